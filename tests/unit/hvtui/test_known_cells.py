"""Cells are shared, and no guest can make them more than there may be."""

from __future__ import annotations

from hvtui.terminal.known_cells import MOST, KnownCells
from hvtui.terminal.line import PLAIN, TRUE_COLOUR, Cell, Look


def test_the_same_character_in_the_same_look_is_one_cell() -> None:
    known = KnownCells()
    cells = known.of(PLAIN, "abba")
    assert cells == [Cell(character, PLAIN) for character in "abba"]
    assert cells[0] is cells[3] is known.of(PLAIN, "a")[0]
    assert known.of(Look(bold=True), "a") == [Cell("a", Look(bold=True))]
    assert len(known) == 3


def test_any_number_of_looks_and_characters_stays_bounded() -> None:
    known, run = KnownCells(), "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    for colour in range(100):
        look = Look(front=TRUE_COLOUR + colour)
        assert known.of(look, run) == [Cell(character, look) for character in run]
        assert len(known) <= MOST + len(run)
        assert sum(map(len, known._looks.values())) == len(known)
