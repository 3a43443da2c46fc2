"""What each control and escape sequence does to the screen."""

from __future__ import annotations

from collections.abc import Callable

from hvtui.terminal.parser import numbers
from hvtui.terminal.screen import Screen

_MOST_REPLIES = 16
_DEVICE = "\x1b[?62;22c"
"""DA1: a VT220 with colours."""
_SECONDARY = "\x1b[>1;10;0c"
"""DA2: a VT220."""


class Dispatch:
    """Turns what the parser tells into calls of the screen; unknown sequences do nothing."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.replies: list[str] = []
        self._controls = self._make_controls()
        self._escapes = self._make_escapes()
        self._counted = self._make_counted()
        self._others = self._make_others()

    # --- what each code does ----------------------------------------------------------------------

    def _make_controls(self) -> dict[str, Callable[[], None]]:
        """C0 controls."""
        screen = self._screen
        return {
            "\b": lambda: screen.left(1),
            "\t": lambda: screen.tab(1),
            "\n": self._line_feed,
            "\v": self._line_feed,
            "\f": self._line_feed,
            "\r": lambda: screen.to_column(0),
            "\x0e": lambda: self._shift(True),
            "\x0f": lambda: self._shift(False),
        }

    def _make_escapes(self) -> dict[str, Callable[[], None]]:
        """Escape sequences without parameters."""
        screen = self._screen
        return {
            "7": screen.save_cursor,
            "8": screen.restore_cursor,
            "D": screen.index,
            "E": self._next_line,
            "H": lambda: screen.tabs.add(min(screen.cursor.x, screen.columns - 1)),
            "M": screen.reverse_index,
            "c": screen.reset,
            "#8": screen.alignment_display,
            "=": lambda: self._keypad(True),
            ">": lambda: self._keypad(False),
        }

    def _make_counted(self) -> dict[str, Callable[[int], None]]:
        """Control sequences whose first parameter is a count, or a place, of at least 1."""
        screen = self._screen
        return {
            "@": screen.insert_characters,
            "A": screen.up,
            "k": screen.up,
            "B": screen.down,
            "e": screen.down,
            "C": screen.right,
            "a": screen.right,
            "D": screen.left,
            "j": screen.left,
            "E": self._lines_down,
            "F": self._lines_up,
            "G": lambda column: screen.to_column(column - 1),
            "`": lambda column: screen.to_column(column - 1),
            "d": lambda line: screen.to_line(line - 1),
            "I": screen.tab,
            "L": screen.insert_lines,
            "M": screen.delete_lines,
            "P": screen.delete_characters,
            "S": screen.scroll_up,
            "T": screen.scroll_down,
            "X": screen.erase_characters,
            "Z": screen.back_tab,
            "b": screen.repeat,
        }

    def _make_others(self) -> dict[str, Callable[[list[int]], None]]:
        """Control sequences by their private marker, intermediate bytes and final byte."""
        screen = self._screen
        return {
            "H": self._position,
            "f": self._position,
            "J": lambda given: screen.erase_in_display(given[0]) if given[0] < 4 else None,
            "K": lambda given: screen.erase_in_line(given[0]) if given[0] < 3 else None,
            "c": lambda given: self._reply(_DEVICE) if given[0] == 0 else None,
            "g": self._clear_tabs,
            "h": lambda given: self._modes(given, True),
            "l": lambda given: self._modes(given, False),
            "n": lambda given: self._report(given[0], ""),
            "r": lambda given: screen.set_margins(max(1, given[0]) - 1, (_second(given) or screen.lines) - 1),
            "s": lambda _: screen.save_cursor(),
            "t": lambda given: self._window(given[0]),
            "u": lambda _: screen.restore_cursor(),
            "!p": lambda _: screen.soft_reset(),
            " q": self._shape,
            "?h": lambda given: self._private_modes(given, True),
            "?l": lambda given: self._private_modes(given, False),
            "?n": lambda given: self._report(given[0], "?"),
            "?$p": self._report_mode,
            ">c": lambda given: self._reply(_SECONDARY) if given[0] == 0 else None,
        }

    # --- what the parser tells ----------------------------------------------------------------------

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
        if slot in "()":
            self._screen.designate("()".index(slot), name)

    def sequence(self, final: str, private: str, parameters: str) -> None:
        if private == "" and final == "m":
            self._screen.set_look(parameters)
        elif private == "" and final in self._counted:
            self._counted[final](max(1, numbers(parameters)[0]))
        elif private + final in self._others:
            self._others[private + final](numbers(parameters))

    # --- what they do -------------------------------------------------------------------------------

    def _line_feed(self) -> None:
        self._screen.index()
        if self._screen.modes.newline:
            self._screen.to_column(0)

    def _next_line(self) -> None:
        self._screen.index()
        self._screen.to_column(0)

    def _lines_down(self, count: int) -> None:
        self._screen.down(count)
        self._screen.to_column(0)

    def _lines_up(self, count: int) -> None:
        self._screen.up(count)
        self._screen.to_column(0)

    def _shift(self, shifted: bool) -> None:
        self._screen.cursor.shifted = shifted

    def _keypad(self, application: bool) -> None:
        self._screen.modes.application_keypad = application

    def _position(self, given: list[int]) -> None:
        self._screen.to(max(1, given[0]) - 1, max(1, _second(given)) - 1)

    def _clear_tabs(self, given: list[int]) -> None:
        if given[0] == 0:
            self._screen.tabs.discard(self._screen.cursor.x)
        elif given[0] == 3:
            self._screen.tabs.clear()

    def _modes(self, given: list[int], on: bool) -> None:
        modes = self._screen.modes
        for mode in given:
            if mode == 4:
                modes.insert = on
            elif mode == 20:
                modes.newline = on

    def _private_modes(self, given: list[int], on: bool) -> None:
        """DECSET and DECRST; modes that would change the size or the whole look are ignored."""
        for mode in given:
            if mode in _SWITCHES:
                setattr(self._screen.modes, _SWITCHES[mode], on)
                self._screen.dirty.add(self._screen.cursor.y)
            elif mode == 6:
                self._screen.cursor.origin = on
                self._screen.to(0, 0)
            elif mode in _ALTERNATES:
                (self._screen.show_alternate if on else self._screen.show_primary)(mode == 1049)
            elif mode == 1048:
                (self._screen.save_cursor if on else self._screen.restore_cursor)()

    def _shape(self, given: list[int]) -> None:
        self._screen.modes.shape = given[0] if given[0] <= 6 else 0
        self._screen.dirty.add(self._screen.cursor.y)

    # --- what it answers ----------------------------------------------------------------------------

    def _reply(self, text: str) -> None:
        self.replies.append(text)
        del self.replies[:-_MOST_REPLIES]

    def _report(self, what: int, private: str) -> None:
        """DSR: 5 asks for the status, 6 for the cursor's place (1-based, as CUP would take it)."""
        screen = self._screen
        if what == 5 and not private:
            self._reply("\x1b[0n")
        elif what == 6:
            line = screen.cursor.y - (screen.top if screen.cursor.origin else 0)
            self._reply(f"\x1b[{private}{line + 1};{min(screen.cursor.x + 1, screen.columns)}R")

    def _window(self, what: int) -> None:
        """XTWINOPS: 18 asks for the size in characters."""
        if what == 18:
            self._reply(f"\x1b[8;{self._screen.lines};{self._screen.columns}t")

    def _report_mode(self, given: list[int]) -> None:
        """DECRQM: 1 set, 2 reset, 0 not known."""
        mode, screen = given[0], self._screen
        known = {6: screen.cursor.origin, **dict.fromkeys(_ALTERNATES, screen.alternate)}
        known |= {number: bool(getattr(screen.modes, name)) for number, name in _SWITCHES.items()}
        self._reply(f"\x1b[?{mode};{(1 if known[mode] else 2) if mode in known else 0}$y")


_ALTERNATES = (47, 1047, 1049)
_SWITCHES = {1: "application_cursor", 7: "autowrap", 25: "visible", 66: "application_keypad", 2004: "bracketed_paste"}


def _second(given: list[int]) -> int:
    return given[1] if len(given) > 1 else 0
