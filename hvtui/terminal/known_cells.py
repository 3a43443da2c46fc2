"""Cells that were written before: most text repeats a few characters in a few looks."""

from __future__ import annotations

from typing import Final

from hvtui.terminal.line import Cell, Look

MOST: Final = 1 << 14
"""Cells that are remembered, in all looks together: a guest has as many characters and looks as it likes."""


class KnownCells:
    """The same cell for the same character and look, as long as there are not too many of them."""

    def __init__(self) -> None:
        self._looks: dict[Look, dict[str, Cell]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, look: Look, run: str) -> list[Cell]:
        """A cell for each character."""
        try:
            known = self._looks[look]
            return [known[character] for character in run]
        except KeyError:
            return self._learn(look, run)

    def _learn(self, look: Look, run: str) -> list[Cell]:
        if self._count > MOST:
            self._looks.clear()
            self._count = 0
        known = self._looks.setdefault(look, {})
        before = len(known)
        known.update({character: Cell(character, look) for character in run if character not in known})
        self._count += len(known) - before
        return [known[character] for character in run]
