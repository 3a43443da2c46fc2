"""A VM's console: shows what it prints; when it has the keyboard, every key goes to the guest."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive

from engine.errors import MachineError
from engine.views import VmRunState, VmView
from hvtui.frame import Printed
from hvtui.terminal import encode_key, encode_paste, transcript
from hvtui.text import shorten
from hvtui.theme import Ink
from hvtui.widgets.console_search import SearchableView
from hvtui.widgets.titles import set_title

LEAVE_KEY = "ctrl+right_square_bracket"
_AT_ONCE = 1 << 14
"""Bytes that the terminal takes before anything else gets its turn."""
_MOST_WAITING = 1 << 22
"""Bytes that wait for the terminal; older ones are lost, as they are when the engine keeps no more."""
_UNDERLINE_CURSOR = Ink.KEY + Style(underline=True)


class SaveError(MachineError):
    """A console cannot be saved; one line says why."""


class Console(SearchableView, can_focus=True):
    """One console. Enter or a click gives it the keyboard, Ctrl-] takes it back."""

    typing: reactive[bool] = reactive(False)
    """Keys go to the guest."""
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
        self._note = ""
        """What the title says until the next key."""
        self._waiting: deque[Printed] = deque()

    # --- output --------------------------------------------------------------------------------

    def feed(self, printed: Printed | bytes) -> None:
        """The guest printed something. Much of it is taken in pieces, between which keys are served."""
        idle = not self._waiting
        self._waiting += (printed if isinstance(printed, Printed) else Printed(printed)).pieces(_AT_ONCE)
        while len(self._waiting) > 1 and sum(len(each.data) for each in self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
        if idle:
            self._take_waiting()

    def _take_waiting(self) -> None:
        if self._waiting:
            self._take(self._waiting.popleft())
        if self._waiting:
            self.call_later(self._take_waiting)

    def _take(self, printed: Printed) -> None:
        terminal = self.terminal
        cursor, scrolled = terminal.cursor, terminal.scrolled
        terminal.feed(printed.data, printed.begun)
        replies = terminal.take_replies()
        if self.typing and replies:
            self.post_message(self.Typed(self.vm_name, replies))
        if self.back:
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

    def cursor_style(self) -> Style | None:
        if not (self.typing and self.has_focus):
            return None
        return Ink.CURSOR if self.terminal.cursor.block else _UNDERLINE_CURSOR

    def fit(self) -> None:
        super().fit()
        if self.size.width and self.size.height:
            self.post_message(self.Resized(self.vm_name, self.terminal.columns, self.terminal.lines))

    # --- keeping what was said -------------------------------------------------------------------

    def transcript(self) -> str:
        """Scrollback and screen as plain text."""
        return transcript.plain(self.terminal)

    def save(self, path: Path, ansi: bool) -> None:
        """Write scrollback and screen to a file, with colours (SGR sequences) or without. Raises SaveError."""
        text = transcript.ansi(self.terminal) if ansi else self.transcript()
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise SaveError(f"{path}: {error.strerror or error}") from None

    # --- input ---------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if not self.has_focus:
            return  # the search bar's
        self._remark("")
        if self.typing:
            self._type_key(event)
        elif not self.copy_key(event.key) and not self._own_key(event.key) and not self._scroll_key(event.key):
            return
        event.stop()
        event.prevent_default()

    def _own_key(self, key: str) -> bool:
        """Keys of a console that has the focus but not the keyboard; False if it is none."""
        if key == "enter":
            self.typing = True
        elif key == "escape" and self.selection is not None:
            self.leave_copy_mode()
        else:
            return False
        self.retitle()
        return True

    def _type_key(self, event: events.Key) -> None:
        if event.key == LEAVE_KEY:
            self.typing = False
        elif event.key not in ("shift+pageup", "shift+pagedown") or not self._scroll_key(event.key):
            self.leave_copy_mode()
            self.send(encode_key(event.key, event.character, self.terminal.application_cursor))

    def send(self, data: bytes) -> None:
        """Type into the guest."""
        if data:
            self.back = 0
            self.post_message(self.Typed(self.vm_name, data))

    def _on_paste(self, event: events.Paste) -> None:
        if self.typing:
            self.send(encode_paste(event.text, self.terminal.bracketed_paste))
            event.stop()

    async def _on_click(self, event: events.Click) -> None:
        if not self.click_selects(event):
            self.typing = True
        event.stop()

    def copied(self, text: str) -> None:
        self._remark(f"copied {len(text)} characters")

    # --- scrollback ------------------------------------------------------------------------------

    def _scroll_key(self, key: str) -> bool:
        page = max(1, self.size.height - 1)
        moves = {"pageup": page, "pagedown": -page, "up": 1, "down": -1, "home": 1 << 30, "end": -(1 << 30)}
        move = moves.get(key.removeprefix("shift+"))
        if move is None:
            return False
        self.look_back(move)
        return True

    # --- the border --------------------------------------------------------------------------------

    def watch_typing(self) -> None:
        self.set_class(self.typing, "-typing")
        if self.typing:
            self.leave_copy_mode()
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
            self.copy_cursor = None
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

    def _remark(self, note: str) -> None:
        if note != self._note:
            self._note = note
            self.retitle()

    def leave_copy_mode(self) -> None:
        super().leave_copy_mode()
        self.retitle()

    def _hint(self) -> str:
        if self._note:
            return self._note
        if self.copy_cursor is not None:
            return "y copies · escape leaves" if self.copy_cursor.anchor else "copy mode · arrows · m to select"
        if self.back:
            return f"{self.back} lines back · end for the newest"
        if self.typing:
            return f"typing into {self.vm_name} · ctrl+] to leave"
        return "enter to type" if self.has_focus else ""
