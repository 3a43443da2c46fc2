"""How much room panes have, where a person has changed it: kept until the terminal has another shape."""

from __future__ import annotations

from textual.screen import Screen
from textual.widget import Widget

_LINES, _COLUMNS = 1, 4
"""That a pane grows at once."""
_LEAST_LINES, _LEAST_COLUMNS = 3, 20
_GRID_ROWS = {"consoles": "{} auto 1fr 1", "events": "1fr auto {} 1"}
"""Of the board where it is a grid of four rows."""


def change(screen: Screen[None], pane: Widget, step: int) -> None:
    """Give a pane more room (`step` 1) or less (-1), at the cost of those beside it; nothing where it is alone."""
    box = pane.parent
    while isinstance(box, Widget) and box is not screen and not _shared(box):
        pane, box = box, box.parent  # what fills its box grows with it
    if not isinstance(box, Widget) or not _shared(box):
        return
    lines = _between(pane.outer_size.height + step * _LINES, _LEAST_LINES, box.size.height)
    columns = _between(pane.outer_size.width + step * _COLUMNS, _LEAST_COLUMNS, box.size.width)
    layout = box.styles.layout.name if box.styles.layout is not None else "vertical"
    if layout == "horizontal":
        pane.styles.width = columns
    elif layout == "vertical" or pane.id == "partitions":
        pane.styles.height = lines
    elif pane.id == "registers":
        screen.styles.grid_columns = f"1fr {columns}"
    elif pane.id in _GRID_ROWS and not screen.has_class("-short"):
        screen.styles.grid_rows = _GRID_ROWS[pane.id].format(lines)


def restore(screen: Screen[None]) -> None:
    """Every pane as the style sheet has it."""
    for rule in ("grid_columns", "grid_rows"):
        screen.styles.clear_rule(rule)
    for pane in screen.query(".pane, #consoles, .page-tables, .page-box"):
        if pane.id != "partitions":  # which is as high as its lines
            pane.styles.clear_rule("height")
        pane.styles.clear_rule("width")
    screen.refresh(layout=True)


def _between(value: int, least: int, whole: int) -> int:
    return max(least, min(value, whole - least))


def _shared(box: Widget) -> bool:
    """More than one widget has a place in it."""
    return sum(child.display and not child.styles.is_docked for child in box.children) > 1
