"""Themes: every colour can be read on its background, and what is drawn by hand follows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest
from rich.color import Color
from rich.style import Style

from hvtui import theme
from hvtui.palettes import PALETTES, Palette
from hvtui.theme import Ink, themed

TEXT_ROLES = ("foreground", "strong", "muted", "blue", "violet", "amber", "green", "red", "cyan")


@pytest.fixture(autouse=True)
def usual_theme() -> Iterator[None]:
    yield
    theme.use(PALETTES[0].name)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.name)
def test_text_can_be_read(palette: Palette) -> None:
    for role in TEXT_ROLES:
        for ground in ("background", "panel", "surface"):
            assert contrast(getattr(palette, role), getattr(palette, ground)) >= 4.5, (role, ground)
        assert contrast(getattr(palette, role), palette.selected) >= 3, role


def test_the_contrast_theme_has_more_of_it() -> None:
    palette = next(each for each in PALETTES if each.name == "contrast")
    for role in (*TEXT_ROLES, "faint"):
        assert contrast(getattr(palette, role), palette.background) >= 7, role


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.name)
def test_roles_have_colours_of_their_own(palette: Palette) -> None:
    colours = [getattr(palette, each.name) for each in fields(Palette) if each.name not in ("name", "dark")]
    assert len(colours) == len(set(colours))


@pytest.mark.parametrize("palette", PALETTES, ids=lambda palette: palette.name)
def test_styles_follow(palette: Palette) -> None:
    theme.use(palette.name)
    assert themed(Ink.GREEN).color == Color.parse(palette.green)
    assert themed(Ink.CHANGED) == Style(color=palette.background, bgcolor=palette.amber, bold=True)
    assert themed(Ink.AMBER + Style(bold=True)) == Style(color=palette.amber, bold=True)
    assert themed(Style(color="#123456")) == Style(color="#123456")
