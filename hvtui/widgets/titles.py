"""Titles in the frames of panes."""

from __future__ import annotations

from textual.widget import Widget


def set_title(pane: Widget, title: str) -> None:
    """Put a title into a pane's frame; where a frame is a mere rule, it needs room on both sides."""
    plain = title.replace("[", r"\[")
    wanted = f" {plain} " if pane.is_attached and pane.screen.has_class("-narrow") else plain
    if pane.render_str(wanted).markup != pane.border_title:
        pane.border_title = wanted  # which paints the whole pane
