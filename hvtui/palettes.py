"""Colours by role, a palette a theme.

Every colour is read at 4.5:1 or better on its background, but those for rules, and none carries meaning alone:
a glyph or a word always says the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Roles, each with its colour as `#rrggbb`."""

    name: str
    background: str
    surface: str
    panel: str
    foreground: str
    strong: str
    """Text that stands out of text."""
    muted: str
    faint: str
    """For leading zeros and the like, which nobody needs to read."""
    rule: str
    selected: str
    """Behind the chosen row."""
    selected_blurred: str
    """The same where the focus is elsewhere."""
    blue: str
    violet: str
    amber: str
    green: str
    red: str
    cyan: str
    dark: bool = True


PALETTES: tuple[Palette, ...] = (
    Palette(
        name="hvtui",
        background="#0e1318",
        surface="#151c24",
        panel="#1d2731",
        foreground="#cdd6e3",
        strong="#ffffff",
        muted="#8592a5",
        faint="#5f6c7e",
        rule="#2f3b49",
        selected="#22384f",
        selected_blurred="#1c2a38",
        blue="#6cb6ff",
        violet="#c4a7ff",
        amber="#ffbe5c",
        green="#7fd88f",
        red="#ff7a85",
        cyan="#6fd3e0",
    ),
    # Hues that people with any common kind of colour blindness tell apart (after Okabe and Ito).
    Palette(
        name="colour-blind",
        background="#0d1117",
        surface="#141a22",
        panel="#1c2530",
        foreground="#d6dde6",
        strong="#fefefe",
        muted="#8d99a9",
        faint="#626e7d",
        rule="#323e4c",
        selected="#1e3a5c",
        selected_blurred="#1b2b40",
        blue="#56b4e9",
        violet="#cc79a7",
        amber="#e69f00",
        green="#2fb88f",
        red="#e8743b",
        cyan="#f0e442",
    ),
    Palette(
        name="contrast",
        background="#000000",
        surface="#080808",
        panel="#1a1a1a",
        foreground="#f5f5f5",
        strong="#fffffe",
        muted="#c8c8c8",
        faint="#9a9a9a",
        rule="#b4b4b4",
        selected="#00407f",
        selected_blurred="#002b55",
        blue="#7cc4ff",
        violet="#e0b0ff",
        amber="#ffd500",
        green="#5dff7a",
        red="#ff8f8f",
        cyan="#66f6ff",
    ),
    Palette(
        name="light",
        background="#fbfaf7",
        surface="#f3f1ec",
        panel="#e7e4dd",
        foreground="#27303b",
        strong="#05070a",
        muted="#5b6573",
        faint="#8a929d",
        rule="#c9c5bb",
        selected="#cfe2f7",
        selected_blurred="#e0e8f0",
        blue="#0b62b0",
        violet="#6f3fb5",
        amber="#8a5300",
        green="#1c6b35",
        red="#b3202f",
        cyan="#08687a",
        dark=False,
    ),
)
"""The first one is the usual one, and the one that `Ink` is written in."""

ANSI: tuple[tuple[str, str], ...] = (
    ("#3b4252", "faint"),
    (PALETTES[0].red, "red"),
    (PALETTES[0].green, "green"),
    ("#f0c674", "amber"),
    ("#7aa2f7", "blue"),
    ("#c792ea", "violet"),
    (PALETTES[0].cyan, "cyan"),
    (PALETTES[0].foreground, "foreground"),
    ("#7d8899", "muted"),
    ("#ff9aa3", "red"),
    ("#a5eab1", "green"),
    ("#ffe09a", "amber"),
    ("#a4c0ff", "blue"),
    ("#ddb6f7", "violet"),
    ("#9ceaf3", "cyan"),
    (PALETTES[0].strong, "strong"),
)
"""A terminal's first sixteen colours: in the usual theme, and the roles that stand for them in others."""
