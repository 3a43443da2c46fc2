"""Numbers and times in fixed widths, so that nothing moves as they grow."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from hvtui.theme import themed

_UNITS = ("", "k", "M", "G", "T", "P", "E")
_SECOND = 1_000_000_000


def count(value: int) -> str:
    """A count in six columns, right-aligned: `   670`, `104.3k`, ` 12.1M`."""
    if value < 100_000:
        return f"{value:6d}"
    scaled, unit = float(value), 0
    while scaled >= 999.95 and unit < len(_UNITS) - 1:
        scaled /= 1000
        unit += 1
    return f"{scaled:5.1f}{_UNITS[unit]}"


def seconds(nanoseconds: int) -> str:
    """Virtual time to the nanosecond in 15 columns: `    1.234567890`."""
    whole, rest = divmod(nanoseconds, _SECOND)
    return f"{whole:5d}.{rest:09d}"


def clock(nanoseconds: int) -> str:
    """Virtual time to the millisecond: `0:01:02.345`."""
    milliseconds = nanoseconds // 1_000_000
    rest, milli = divmod(milliseconds, 1000)
    minutes, second = divmod(rest, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}.{milli:03d}"


def shorten(text: str, width: int) -> str:
    """At most `width` columns of a text, with an ellipsis when it was longer."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"[:width]


def fit(text: str, width: int) -> str:
    """Exactly `width` columns."""
    return shorten(text, width).ljust(width)


def fit_parts(parts: list[tuple[str, Style]], width: int) -> list[tuple[str, Style]]:
    """Styled parts in exactly `width` columns, the last of them a space."""
    fitted: list[tuple[str, Style]] = []
    room = width - 1
    for words, style in parts:
        if room > 0:
            fitted.append((shorten(words, room), style))
            room -= len(fitted[-1][0])
    return [*fitted, (" " * (room + 1), Style())]


def line(parts: list[tuple[str, Style]], width: int, base: Style | None = None) -> Strip:
    """A line of exactly `width` columns from styled parts, over the style `base`."""
    segments = [Segment(text, themed(style)) for text, style in parts if text]
    strip = Strip(segments).adjust_cell_length(width)
    return strip.apply_style(themed(base)) if base is not None else strip
