"""All consoles: as many as can be read, or as many as somebody wants, always with the one last chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import reactive

from hvtui.widgets.console import Console

_LEAST_LINES = 5
_LEAST_COLUMNS = 60
_MOST = 4
_GRID = ("layout", "grid_size_columns", "grid_size_rows")
"""What a fixed number of consoles sets beside the style sheet."""


def partition_of(console: str) -> str:
    """Whose console it is, by its name."""
    return console.partition(".")[0]


class Consoles(Container):
    """Shows a window of the consoles; the others go on listening."""

    split: reactive[int] = reactive(0)
    """How many are shown at once, from 1 to 4; 0: as many as can be read, where the style sheet puts them."""

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

    def cycle_split(self) -> int:
        """One, two, three, four at once, as far as there are so many, then automatic again; returns `split`."""
        most = min(_MOST, len(self._consoles))
        self.split = (self.split + 1) % (most + 1)
        return self.split

    def validate_split(self, split: int) -> int:
        return max(0, min(split, _MOST))

    def watch_split(self) -> None:
        self.share_space()

    def share_space(self) -> None:
        """Decide which consoles are visible, and where."""
        visible = min(self.split or self._fitting(), len(self._consoles))
        first = min(max(0, self._chosen - visible + 1), len(self._consoles) - visible)
        for place, console in enumerate(self.all()):
            console.set_class(not first <= place < first + visible, "-hidden")
        self._lay_out(list(self.all())[first : first + visible])

    def _fitting(self) -> int:
        """As many as can be read in the layout of the style sheet."""
        layout = self.styles.base.layout
        side_by_side = layout is not None and layout.name == "horizontal"
        fits = self.size.width // _LEAST_COLUMNS if side_by_side else self.size.height // _LEAST_LINES
        return max(1, min(fits, _MOST, len(self._consoles)))

    def _lay_out(self, visible: list[Console]) -> None:
        """A grid of what was asked for: two side by side where they fit, three and four in two columns."""
        styles = self.styles
        for console in self.all():
            console.styles.clear_rule("column_span")
        if not self.split or self.has_class("-maximised"):
            for rule in _GRID:
                styles.clear_rule(rule)
        else:
            columns = 1 if len(visible) == 1 or self._stacks(len(visible)) else 2
            styles.layout = "grid"
            styles.grid_size_columns = columns
            styles.grid_size_rows = -(-len(visible) // columns)
            if len(visible) % columns:
                visible[-1].styles.column_span = columns
        self.refresh(layout=True)

    def _stacks(self, count: int) -> bool:
        return count == 2 and self.size.width < 2 * _LEAST_COLUMNS

    def on_resize(self) -> None:
        self.share_space()
