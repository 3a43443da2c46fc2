"""Themes for style sheets, and styles for lines drawn by hand."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from textual.theme import Theme

from hvtui.palettes import ANSI, PALETTES, Palette

_USUAL = PALETTES[0]


def _theme(palette: Palette) -> Theme:
    return Theme(
        name=palette.name,
        primary=palette.blue,
        secondary=palette.violet,
        accent=palette.amber,
        warning=palette.amber,
        error=palette.red,
        success=palette.green,
        foreground=palette.foreground,
        background=palette.background,
        surface=palette.surface,
        panel=palette.panel,
        dark=palette.dark,
        variables={
            "muted": palette.muted,
            "faint": palette.faint,
            "rule": palette.rule,
            "block-cursor-background": palette.blue,
            "block-cursor-foreground": palette.background,
            "border": palette.blue,
            "border-blurred": palette.rule,
        },
    )


THEMES: dict[str, Theme] = {palette.name: _theme(palette) for palette in PALETTES}


class Ink:
    """Styles for `render_line`, in the colours of the usual theme; `themed` gives those of the theme that is on."""

    # Roles come before colours: in here, a colour's name is its style once that is defined.
    HEADING = Style(color=_USUAL.blue, bold=True)
    CHANGED = Style(color=_USUAL.background, bgcolor=_USUAL.amber, bold=True)
    CURSOR = Style(color=_USUAL.background, bgcolor=_USUAL.amber)
    KEY = Style(color=_USUAL.amber, bold=True)
    ALERT = Style(color=_USUAL.background, bgcolor=_USUAL.red, bold=True)
    MODE = Style(color=_USUAL.background, bgcolor=_USUAL.blue, bold=True)
    """The screen that is open, in the bar of screens."""
    BAR = Style(bgcolor=_USUAL.panel)
    SELECTED = Style(bgcolor=_USUAL.selected)
    SELECTED_BLURRED = Style(bgcolor=_USUAL.selected_blurred)
    STRONG = Style(color=_USUAL.strong, bold=True)
    TEXT = Style(color=_USUAL.foreground)
    MUTED = Style(color=_USUAL.muted)
    FAINT = Style(color=_USUAL.faint)
    BLUE = Style(color=_USUAL.blue)
    VIOLET = Style(color=_USUAL.violet)
    AMBER = Style(color=_USUAL.amber)
    GREEN = Style(color=_USUAL.green)
    RED = Style(color=_USUAL.red)
    CYAN = Style(color=_USUAL.cyan)


class _Colours:
    """From the usual theme's colours to those of the theme that is on."""

    def __init__(self) -> None:
        self.now: dict[str, str] = {}

    def use(self, palette: Palette) -> None:
        roles = [each.name for each in fields(Palette) if each.name not in ("name", "dark")]
        pairs = {colour: getattr(palette, role) for colour, role in ANSI}
        pairs |= {getattr(_USUAL, role): getattr(palette, role) for role in roles}
        self.now = {} if palette is _USUAL else pairs


_colours = _Colours()


def use(theme: str) -> None:
    """Have `themed` give the colours of another theme. KeyError if there is none of this name."""
    _colours.use({palette.name: palette for palette in PALETTES}[theme])
    _translated.cache_clear()


def themed(style: Style) -> Style:
    """A style of `Ink`, or made of such, as it looks now."""
    return _translated(style) if _colours.now else style


@lru_cache(maxsize=2048)
def _translated(style: Style) -> Style:
    changes = Style(color=_other(style.color), bgcolor=_other(style.bgcolor))
    return style + changes


def _other(colour: Color | None) -> Color | None:
    if colour is None or colour.triplet is None:
        return None
    found = _colours.now.get(colour.triplet.hex)
    return Color.parse(found) if found is not None else None
