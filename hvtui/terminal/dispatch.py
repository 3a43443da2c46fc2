"""What each control and escape sequence does to the screen."""

from __future__ import annotations

from collections.abc import Callable

from hvtui.terminal.screen import Screen


class Dispatch:
    """Turns what the parser tells into calls of the screen; unknown sequences do nothing."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.replies: list[str] = []
        self._controls: dict[str, Callable[[], None]] = {
            "\b": screen.backspace,
            "\t": screen.tab,
            "\n": screen.linefeed,
            "\v": screen.linefeed,
            "\f": screen.linefeed,
            "\r": screen.carriage_return,
            "\x0e": screen.shift_out,
            "\x0f": screen.shift_in,
        }
        self._escapes: dict[str, Callable[[], None]] = {
            "7": screen.save_cursor,
            "8": screen.restore_cursor,
            "D": screen.index,
            "E": self._next_line,
            "H": screen.set_tab_stop,
            "M": screen.reverse_index,
            "c": screen.reset,
            "#8": screen.alignment_display,
        }
        self._counted: dict[str, Callable[[int], None]] = {
            "@": screen.insert_characters,
            "A": screen.cursor_up,
            "B": screen.cursor_down,
            "e": screen.cursor_down,
            "C": screen.cursor_forward,
            "a": screen.cursor_forward,
            "D": screen.cursor_back,
            "E": screen.cursor_down1,
            "F": screen.cursor_up1,
            "G": screen.cursor_to_column,
            "`": screen.cursor_to_column,
            "d": screen.cursor_to_line,
            "L": screen.insert_lines,
            "M": screen.delete_lines,
            "P": screen.delete_characters,
            "X": screen.erase_characters,
            "S": self._scroll_up,
            "T": self._scroll_down,
        }

    def text(self, text: str) -> None:
        self._screen.draw(text)

    def control(self, code: str) -> None:
        action = self._controls.get(code)
        if action is not None:
            action()

    def escape(self, code: str) -> None:
        action = self._escapes.get(code)
        if action is not None:
            action()

    def charset(self, slot: str, name: str) -> None:
        self._screen.define_charset(name, slot)

    def sequence(self, final: str, private: str, parameters: list[int]) -> None:
        screen, first = self._screen, parameters[0]
        if private == "?" and final in "hl":
            for mode in parameters:
                screen.private_mode(mode, final == "h")
        elif private:
            return
        elif final in self._counted:
            self._counted[final](max(1, first))
        elif final in "Hf":
            screen.cursor_position(first, parameters[1] if len(parameters) > 1 else 1)
        elif final == "m":
            screen.select_graphic_rendition(*parameters)
        else:
            self._seldom(final, parameters)

    def _seldom(self, final: str, parameters: list[int]) -> None:
        screen, first = self._screen, parameters[0]
        if final == "J" and first in (0, 1, 2, 3):
            screen.erase_in_display(first)
        elif final == "K" and first in (0, 1, 2):
            screen.erase_in_line(first)
        elif final in "hl" and first in (4, 20):
            (screen.set_mode if final == "h" else screen.reset_mode)(first)
        elif final == "r":
            screen.set_margins(first or 1, (parameters[1] if len(parameters) > 1 else 0) or screen.lines)
        elif final == "g":
            screen.clear_tab_stop(first)
        elif final in "su":
            (screen.save_cursor if final == "s" else screen.restore_cursor)()
        elif final == "n":
            self._report(first)

    def _report(self, what: int) -> None:
        """DSR: 5 asks for the status, 6 for the cursor's place (1-based)."""
        cursor = self._screen.cursor
        if what == 5:
            self.replies.append("\x1b[0n")
        elif what == 6:
            self.replies.append(f"\x1b[{cursor.y + 1};{min(cursor.x + 1, self._screen.columns)}R")
        del self.replies[:-16]

    def _next_line(self) -> None:
        self._screen.carriage_return()
        self._screen.index()

    def _scroll_up(self, count: int) -> None:
        self._at_margin(count, top=False)

    def _scroll_down(self, count: int) -> None:
        self._at_margin(count, top=True)

    def _at_margin(self, count: int, top: bool) -> None:
        screen = self._screen
        first, last = screen.margins or (0, screen.lines - 1)
        x, y = screen.cursor.x, screen.cursor.y
        screen.cursor.y = first if top else last
        for _ in range(min(count, screen.lines)):
            (screen.reverse_index if top else screen.index)()
        screen.cursor.x, screen.cursor.y = x, y
