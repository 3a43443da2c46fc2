"""A VM's console: shows what it prints; when it has the keyboard, every key goes to the guest."""

from __future__ import annotations

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from engine.views import VmRunState, VmView
from hvtui.terminal import Terminal, encode_key, encode_paste
from hvtui.text import shorten
from hvtui.theme import Ink
from hvtui.widgets.titles import set_title

LEAVE_KEY = "ctrl+right_square_bracket"
_WHEEL_LINES = 3


class Console(Widget, can_focus=True):
    """One console. Enter or a click gives it the keyboard, Ctrl-] takes it back."""

    typing: reactive[bool] = reactive(False)
    """Keys go to the guest."""
    back: reactive[int] = reactive(0)
    """Lines scrolled back from the newest."""
    vm: reactive[VmView | None] = reactive(None)

    class Typed(Message):
        """Something to type into the guest."""

        def __init__(self, vm: str, data: bytes) -> None:
            super().__init__()
            self.vm = vm
            self.data = data

    class Resized(Message):
        """The console has room for so many characters."""

        def __init__(self, vm: str, columns: int, rows: int) -> None:
            super().__init__()
            self.vm = vm
            self.columns = columns
            self.rows = rows

    class Chosen(Message):
        """The console got the focus."""

        def __init__(self, vm: str) -> None:
            super().__init__()
            self.vm = vm

    class KeyboardTaken(Message):
        """From now on keys go to this VM; "" when they no longer do."""

        def __init__(self, vm: str) -> None:
            super().__init__()
            self.vm = vm

    def __init__(self, number: int, vm: str) -> None:
        super().__init__(id=f"console-{number}", classes="pane console")
        self.number = number
        self.vm_name = vm
        self.terminal = Terminal()

    # --- output --------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """The guest printed something."""
        terminal = self.terminal
        cursor, scrolled = terminal.cursor, terminal.scrolled
        terminal.feed(data)
        replies = terminal.take_replies()
        if self.typing and replies:
            self.post_message(self.Typed(self.vm_name, replies))
        if self.back and terminal.scrolled != scrolled:
            # What is being read stays where it is while new lines come in below.
            self.back = min(terminal.scrollback, self.back + terminal.scrolled - scrolled)
        self._refresh_changed({cursor.y, terminal.cursor.y} if self.typing else set())

    def _refresh_changed(self, more: set[int]) -> None:
        dirty = self.terminal.take_dirty() | more
        width, height = self.size
        if len(dirty) > height // 2:
            self.refresh()
        elif dirty:
            self.refresh(*(Region(0, y + self.back, width, 1) for y in sorted(dirty)))

    def render_line(self, y: int) -> Strip:
        cursor: Style | None = Ink.CURSOR if self.typing and self.has_focus else None
        strip = self.terminal.strip(y, self.back, cursor)
        return strip.adjust_cell_length(self.size.width).apply_style(self.visual_style.rich_style)

    def on_resize(self) -> None:
        if self.size.width and self.size.height:
            self.terminal.resize(self.size.width, self.size.height)
            self.post_message(self.Resized(self.vm_name, self.size.width, self.size.height))
            self.back = min(self.back, self.terminal.scrollback)
            self.terminal.take_dirty()
            self.refresh()

    # --- input ---------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if self.typing:
            self._type_key(event)
        elif event.key == "enter":
            self.typing = True
        elif not self._scroll_key(event.key):
            return
        event.stop()
        event.prevent_default()

    def _type_key(self, event: events.Key) -> None:
        if event.key == LEAVE_KEY:
            self.typing = False
        elif event.key not in ("shift+pageup", "shift+pagedown") or not self._scroll_key(event.key):
            self.send(encode_key(event.key, event.character, self.terminal.application_cursor))

    def send(self, data: bytes) -> None:
        """Type into the guest."""
        if data:
            self.back = 0
            self.post_message(self.Typed(self.vm_name, data))

    def _on_paste(self, event: events.Paste) -> None:
        if self.typing:
            self.send(encode_paste(event.text))
            event.stop()

    async def _on_click(self, event: events.Click) -> None:
        self.typing = True
        event.stop()

    # --- scrollback ------------------------------------------------------------------------------

    def _scroll_key(self, key: str) -> bool:
        page = max(1, self.size.height - 1)
        moves = {"pageup": page, "pagedown": -page, "up": 1, "down": -1, "home": 1 << 30, "end": -(1 << 30)}
        move = moves.get(key.removeprefix("shift+"))
        if move is None:
            return False
        self.look_back(move)
        return True

    def look_back(self, lines: int) -> None:
        """Show older (positive) or newer lines."""
        self.back = max(0, min(self.terminal.scrollback, self.back + lines))

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.look_back(_WHEEL_LINES)
        event.stop()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.look_back(-_WHEEL_LINES)
        event.stop()

    # --- the border --------------------------------------------------------------------------------

    def watch_typing(self) -> None:
        self.set_class(self.typing, "-typing")
        self.post_message(self.KeyboardTaken(self.vm_name if self.typing else ""))
        self.retitle()
        self.refresh()

    def watch_back(self) -> None:
        self.retitle()
        self.refresh()

    def watch_vm(self) -> None:
        self.set_class(self.vm is not None and self.vm.state is VmRunState.CRASHED, "-crashed")
        self.retitle()

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        if has_focus:
            self.post_message(self.Chosen(self.vm_name))
        else:
            self.typing = False
        self.retitle()

    def _on_mount(self, event: events.Mount) -> None:
        super()._on_mount(event)
        self.retitle()

    def retitle(self) -> None:
        """Name, what became of the VM, and where keys go."""
        title = f"{self.number} {self.vm_name}"
        if self.vm is not None and self.vm.state is not VmRunState.RUNNING:
            glyph = "✖" if self.vm.state is VmRunState.CRASHED else "○"
            title = f"{title} {glyph} {self.vm.state.value}: {shorten(self.vm.detail, 60)}"
        set_title(self, f"{title} · {self._hint()}" if self._hint() else title)

    def _hint(self) -> str:
        if self.back:
            return f"{self.back} lines back · end for the newest"
        if self.typing:
            return f"typing into {self.vm_name} · ctrl+] to leave"
        return "enter to type" if self.has_focus else ""
