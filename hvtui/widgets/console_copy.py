"""Selecting and copying text of a console, with the mouse or with keys."""

from __future__ import annotations

from collections.abc import Iterator

from textual import events
from textual.reactive import reactive

from hvtui.terminal import Terminal
from hvtui.terminal.find import Point, Selection, line_at, word_at
from hvtui.theme import Ink
from hvtui.widgets.console_view import Overlay, TerminalView

_EDGE = 1 << 30


class CopyCursor:
    """Where the keys are in the text, and where they began to select."""

    def __init__(self, terminal: Terminal, at: Point) -> None:
        self._terminal = terminal
        self.at = at
        self.anchor: Point | None = None

    @property
    def selection(self) -> Selection | None:
        """From the mark to here; None before there is a mark."""
        return None if self.anchor is None else Selection(self.anchor, self.at)

    def mark(self) -> None:
        """Select from here on."""
        self.anchor = self.at

    def move(self, key: str) -> bool:
        """Go where an arrow or a page key leads; False if the key is none of them."""
        terminal = self._terminal
        page = max(1, terminal.lines - 1)
        steps = {
            "up": (-1, 0),
            "down": (1, 0),
            "left": (0, -1),
            "right": (0, 1),
            "pageup": (-page, 0),
            "pagedown": (page, 0),
            "home": (0, -_EDGE),
            "end": (0, _EDGE),
            "ctrl+home": (-_EDGE, -_EDGE),
            "ctrl+end": (_EDGE, _EDGE),
        }
        if key not in steps:
            return False
        lines, columns = steps[key]
        line = max(terminal.first, min(self.at.line + lines, terminal.end - 1))
        self.at = Point(line, max(0, min(self.at.x + columns, terminal.columns - 1)))
        return True


class CopyableView(TerminalView):
    """Dragging selects and copies; a double click takes a word, a third one the line. Keys do it in copy mode."""

    ALLOW_SELECT = False
    # Textual's own selection knows nothing of scrolled lines.

    selection: reactive[Selection | None] = reactive(None)
    copy_cursor: CopyCursor | None = None
    """Copy mode is on."""
    _pressed: Point | None = None
    _dragged = False

    def copy_selection(self) -> bool:
        """Put what is selected on the clipboard; False if nothing is."""
        if self.selection is None:
            return False
        text = self.selection.text(self.terminal)
        self.app.copy_to_clipboard(text)
        self.copied(text)
        return True

    def copied(self, text: str) -> None:
        """This is on the clipboard now."""

    def overlays(self, number: int) -> Iterator[Overlay]:
        yield from super().overlays(number)
        columns = self.selection.columns(number) if self.selection is not None else None
        if columns is not None:
            yield Overlay(*columns, Ink.SELECTED)
        if self.copy_cursor is not None and self.copy_cursor.at.line == number:
            x = self.copy_cursor.at.x
            yield Overlay(x, x + 1, Ink.CURSOR)

    def watch_selection(self) -> None:
        self.refresh()

    def refitted(self, wraps: bool) -> None:
        super().refitted(wraps)
        if wraps:
            self.leave_copy_mode()

    # --- keys ----------------------------------------------------------------------------------------

    def enter_copy_mode(self) -> None:
        """Arrows move a cursor from here on: from the terminal's own, or the middle when that is out of sight."""
        x, y = self.terminal.cursor[:2]
        middle = Point(self.number_at(self.terminal.lines // 2), 0)
        self.copy_cursor = CopyCursor(self.terminal, middle if self.back else Point(self.number_at(y), x))
        self.selection = None
        self.refresh()

    def leave_copy_mode(self) -> None:
        """Nothing is selected any more."""
        self.copy_cursor = self.selection = None
        self.refresh()

    def copy_key(self, key: str) -> bool:
        """A key in copy mode; False if it means nothing there."""
        cursor = self.copy_cursor
        if cursor is None:
            return False
        if key == "m":
            cursor.mark()
        elif key == "escape":
            self.leave_copy_mode()
            return True
        elif key in ("y", "enter"):
            if self.copy_selection():
                self.leave_copy_mode()
            return True
        elif not cursor.move(key):
            return False
        self.selection = cursor.selection
        self.follow(cursor.at.line)
        self.refresh()
        return True

    # --- the mouse -----------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1:
            self._pressed, self._dragged = self.point_at(event.screen_offset), False
            self.leave_copy_mode()
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._pressed is None:
            return
        region = self.content_region
        self.look_back((event.screen_y < region.y) - (event.screen_y >= region.bottom))
        at = self.point_at(event.screen_offset)
        if self._dragged or at != self._pressed:
            self._dragged = True
            self.selection = Selection(self._pressed, at)

    def on_mouse_up(self) -> None:
        self.release_mouse()
        self._pressed = None
        if self._dragged:
            self.copy_selection()

    def click_selects(self, event: events.Click) -> bool:
        """A click that ends a drag, or is not the first of a row, is for selecting."""
        if self._dragged:
            self._dragged = False
            return True
        if event.chain < 2:
            return False
        point = self.point_at(event.screen_offset)
        self.selection = (word_at if event.chain == 2 else line_at)(self.terminal, point)
        self.copy_selection()
        return True
