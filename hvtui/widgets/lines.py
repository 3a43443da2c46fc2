"""A pane of lines that are drawn when they come into view: the base of tables and logs."""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class LinesPane(ScrollView, can_focus=True):
    """Subclasses say how many lines there are (`set_line_count`) and draw one (`draw_line`)."""

    # What is laid out by width would otherwise be laid out for another one, once there is more than fits.
    DEFAULT_CSS = """
    LinesPane { scrollbar-gutter: stable; }
    """

    def draw_line(self, number: int, width: int) -> Strip:
        """Line `number`, from 0, in `width` columns."""
        raise NotImplementedError

    def set_line_count(self, count: int) -> None:
        """Lines there are now."""
        if self.virtual_size.height != count:
            # Setting the reactive would lay out the whole screen, which logs do too often to afford.
            size = Size(0, count)
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)

    @property
    def rows(self) -> int:
        """Lines that are visible at once."""
        return max(1, self.scrollable_content_region.height)

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if number >= self.virtual_size.height:
            return Strip.blank(width, self._base())
        return self.draw_line(number, width).apply_style(self._base())

    def _base(self) -> Style:
        return self.visual_style.rich_style
