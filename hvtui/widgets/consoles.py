"""All consoles: as many side by side or stacked as can be read, always with the one last chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import Container

from hvtui.widgets.console import Console

_LEAST_LINES = 5
_LEAST_COLUMNS = 60
_MOST = 4


def partition_of(console: str) -> str:
    """Whose console it is, by its name."""
    return console.partition(".")[0]


class Consoles(Container):
    """Shows a window of the consoles; the others go on listening."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(id="consoles")
        self._consoles = {name: Console(number, name) for number, name in enumerate(names, start=1)}
        self._chosen = 0
        for console in list(self._consoles.values())[_MOST:]:
            console.add_class("-hidden")  # or the board would first be laid out for all of them

    def compose(self) -> ComposeResult:
        yield from self._consoles.values()

    def __getitem__(self, vm: str) -> Console:
        return self._consoles[vm]

    def of(self, partition: str) -> Iterator[Console]:
        """The consoles of one partition."""
        return (console for name, console in self._consoles.items() if partition_of(name) == partition)

    def all(self) -> Iterator[Console]:
        """Every console, in the order of the machine file."""
        yield from self._consoles.values()

    @property
    def chosen(self) -> Console:
        """The one that was chosen last."""
        return list(self._consoles.values())[self._chosen]

    def choose(self, number: int) -> Console | None:
        """Bring the console with this number, from 1, into view; None if there is none."""
        if not 1 <= number <= len(self._consoles):
            return None
        self._chosen = number - 1
        self.share_space()
        return self.chosen

    def share_space(self) -> None:
        """Decide which consoles are visible."""
        side_by_side = self.styles.layout is not None and self.styles.layout.name == "horizontal"
        fits = self.size.width // _LEAST_COLUMNS if side_by_side else self.size.height // _LEAST_LINES
        fits = max(1, min(fits, _MOST, len(self._consoles)))
        first = min(max(0, self._chosen - fits + 1), len(self._consoles) - fits)
        for place, console in enumerate(self.all()):
            console.set_class(not first <= place < first + fits, "-hidden")

    def on_resize(self) -> None:
        self.share_space()
