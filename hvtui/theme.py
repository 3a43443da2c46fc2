"""The one dark theme: colours by role, for style sheets and for lines drawn by hand.

Every colour is read at 4.5:1 or better on the background, and none carries meaning alone: a glyph or a
word always says the same.
"""

from __future__ import annotations

from rich.style import Style
from textual.theme import Theme

BACKGROUND = "#0e1318"
SURFACE = "#151c24"
PANEL = "#1d2731"
FOREGROUND = "#cdd6e3"
MUTED = "#8592a5"
FAINT = "#5f6c7e"
"""For rules and leading zeros, which nobody needs to read."""
BLUE = "#6cb6ff"
VIOLET = "#c4a7ff"
AMBER = "#ffbe5c"
GREEN = "#7fd88f"
RED = "#ff7a85"
CYAN = "#6fd3e0"

THEME = Theme(
    name="hvtui",
    primary=BLUE,
    secondary=VIOLET,
    accent=AMBER,
    warning=AMBER,
    error=RED,
    success=GREEN,
    foreground=FOREGROUND,
    background=BACKGROUND,
    surface=SURFACE,
    panel=PANEL,
    dark=True,
    variables={
        "muted": MUTED,
        "faint": FAINT,
        "rule": "#2f3b49",
        "block-cursor-background": BLUE,
        "block-cursor-foreground": BACKGROUND,
        "border": BLUE,
        "border-blurred": "#2f3b49",
    },
)


class Ink:
    """Styles for `render_line`."""

    # Roles come before colours: in here, a colour's name is its style once that is defined.
    HEADING = Style(color=BLUE, bold=True)
    CHANGED = Style(color=BACKGROUND, bgcolor=AMBER, bold=True)
    CURSOR = Style(color=BACKGROUND, bgcolor=AMBER)
    KEY = Style(color=AMBER, bold=True)
    ALERT = Style(color=BACKGROUND, bgcolor=RED, bold=True)
    BAR = Style(bgcolor=PANEL)
    SELECTED = Style(bgcolor="#22384f")
    SELECTED_BLURRED = Style(bgcolor="#1c2a38")
    STRONG = Style(color="#ffffff", bold=True)
    TEXT = Style(color=FOREGROUND)
    MUTED = Style(color=MUTED)
    FAINT = Style(color=FAINT)
    BLUE = Style(color=BLUE)
    VIOLET = Style(color=VIOLET)
    AMBER = Style(color=AMBER)
    GREEN = Style(color=GREEN)
    RED = Style(color=RED)
    CYAN = Style(color=CYAN)
