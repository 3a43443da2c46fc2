"""Who called whom, and the words of the stack from SP upwards."""

from __future__ import annotations

from itertools import zip_longest

from engine.debug_views import Frame, StackView, StackWord
from hvtui import places, text
from hvtui.items import Line
from hvtui.theme import Ink
from hvtui.widgets.text_pane import TextPane

_TWO_COLUMNS = 70
"""From which words stand at the right of calls."""


class StackPane(TextPane):
    """Calls first, the innermost at the top; then raw words."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._view: StackView | None = None

    def show(self, view: StackView) -> None:
        """The stack as it is."""
        self._view = view
        self.write()

    def write(self) -> None:
        if self._view is not None:
            self.set_lines(stack_lines(self._view, self.scrollable_content_region.width))


def stack_lines(view: StackView, width: int) -> list[Line]:
    """Frames, why there are no more, and words: below, or at the right where there is room."""
    column = places.digits(max([view.sp, *(frame.pc for frame in view.frames)]))
    half = width // 2 if width >= _TWO_COLUMNS else width
    calls: list[Line] = [_frame(frame, column) for frame in view.frames]
    calls.append([(text.shorten(f"   {view.end}", half - 1), Ink.FAINT)])
    records = {frame.fp for frame in view.frames if frame.fp}
    words: list[Line] = [[(f"SP {view.sp:#x}", Ink.HEADING)]]
    words += [_word(word, view.sp, word.address in records) for word in view.words]
    if half == width:
        return calls + words
    empty: Line = []
    pairs = zip_longest(calls, words, fillvalue=empty)
    return [[*text.fit_parts(left, half), *right] for left, right in pairs]


def _frame(frame: Frame, column: int) -> Line:
    here = frame.level == 0
    return [
        (f"{frame.level:2} ", Ink.KEY if here else Ink.MUTED),
        (f"{frame.pc:0{column}x} ", Ink.MUTED),
        (frame.symbol or "?", Ink.STRONG if here else Ink.TEXT),
        (f"  {frame.source.value}" if frame.source.value == "LR" else "", Ink.FAINT),
    ]


def _word(word: StackWord, sp: int, is_record: bool) -> Line:
    """`+018 0000000048002c08 uart_putc+0x8`, marked where a frame record begins."""
    offset = f"{word.address - sp:+04x} "
    mark = ("▪", Ink.BLUE) if is_record else (" ", Ink.TEXT)
    if word.value is None:
        return [mark, (offset, Ink.MUTED), ("·" * 16, Ink.FAINT)]
    value = f"{word.value:016x}"
    zeros = min(15, len(value) - len(value.lstrip("0")))
    return [
        mark,
        (offset, Ink.MUTED),
        (value[:zeros], Ink.FAINT),
        (value[zeros:], Ink.TEXT),
        (f" {word.symbol}", Ink.GREEN),
    ]
