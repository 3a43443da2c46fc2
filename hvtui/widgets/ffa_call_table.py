"""The newest FF-A calls with their answers, the newest last."""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.ffa.log import endpoint_name
from hvtui import text
from hvtui.ffa_calls import Call
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.table import Row, Table

_HANDLE = re.compile(r"\bhandle 0x[0-9a-f]*([0-9a-f]{4})\b")
_ROOMY = 96
"""Columns from which a line is written in full."""
_TIME = 12


class CallTable(Table[Call]):
    """Follows the newest call while the cursor is on it; else the rows stand still."""

    def __init__(self, nanoseconds: Callable[[int], int]) -> None:
        super().__init__("ffa", "calls", "no calls")
        self._nanoseconds = nanoseconds
        self._following = True
        self._newest: list[Call] = []
        """All calls there are to show, of which the rows may be a part."""

    @property
    def held(self) -> bool:
        """The rows stand still, and newer calls are not among them."""
        if self._following or not self._newest:
            return False
        return not self._rows or self._newest[-1].sequence != self._rows[-1].item.sequence

    def show(self, calls: list[Call], other_filter: bool = False) -> None:
        """The calls there are now; rows change only if the newest is followed, or others were asked for."""
        self._newest = calls
        if not self._following and other_filter:
            self._thaw()
        elif self._following:
            self._follow()
        self.refresh()  # answers come to calls that are rows already

    def _follow(self) -> None:
        self._following = True
        self.set_rows([Row(call.sequence, call) for call in self._newest])
        self._cursor = max(0, len(self._rows) - 1)
        self._keep_in_view()

    def _thaw(self) -> None:
        """The rows of now, the cursor with its call as long as that is among them."""
        chosen = self.chosen
        if chosen is None or all(call.sequence != chosen.sequence for call in self._newest):
            self._follow()
        else:
            self.set_rows([Row(call.sequence, call) for call in self._newest])

    def move(self, step: int) -> None:
        if step > 0 and self.held:
            if step >= len(self._rows):
                self._follow()
            elif self._cursor + step >= len(self._rows):
                self._thaw()
        super().move(step)

    def choose(self, place: int) -> None:
        super().choose(place)
        self._following = place >= len(self._rows) - 1 and not self.held

    # --- drawing -----------------------------------------------------------------------------------

    def heading(self, width: int) -> str:
        return f"{'TIME':>{_TIME - 1}} {'CALLER':6} {text.fit('CALL', _columns(width)[0])} RESULT"

    def parts(self, item: Call, width: int) -> Line:
        told, result = _columns(width)
        style = Ink.RED if item.failed else Ink.AMBER if item.waits else Ink.GREEN
        return [
            (f"{_microseconds(self._nanoseconds(item.event.cycle))} ", Ink.MUTED),
            (f"{endpoint_name(item.event.endpoint):6} ", Ink.BLUE),
            (f"{text.fit(_brief(item.text, width), told)} ", Ink.TEXT),
            (text.shorten(_brief(item.result, width), result), style),
        ]


def _microseconds(nanoseconds: int) -> str:
    """Virtual time in eleven columns; the details have it to the nanosecond."""
    return text.seconds(nanoseconds)[1:-3]


def _brief(line: str, width: int) -> str:
    """Where room is short, without what all such lines have in common."""
    return line if width >= _ROOMY else _HANDLE.sub(r"…\1", line.replace("MSG_SEND_DIRECT", "DIRECT"))


def _columns(width: int) -> tuple[int, int]:
    """Columns of a call and of its result."""
    room = max(0, width - _TIME - 7 - 1)
    return room * 3 // 5, room - room * 3 // 5
