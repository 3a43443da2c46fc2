"""Virtual times as people write them."""

from __future__ import annotations

import re

from hvtui import text

_TIME = re.compile(r"(\+?)(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})")
_SECOND = 1_000_000_000
_EXPECTED = "expected seconds after power-on, or + seconds from now"


class TimeError(ValueError):
    """Something that is no time at all, in words."""


def parse_time(value: str, now: int) -> int:
    """Virtual nanoseconds: `2.5` is since power-on, `+0.1` since `now`. ValueError, in words, when it is neither."""
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise TimeError(_EXPECTED)
    moment = parse_seconds(found[2])
    if found[1]:
        return now + moment
    if moment <= now:
        raise ValueError(f"that has passed: it is {text.seconds(now).strip()} s now")
    return moment


def parse_seconds(value: str) -> int:
    """Nanoseconds of seconds, with up to nine digits after the point. ValueError, in words, when they are none."""
    found = _TIME.fullmatch(value.strip())
    if found is None or found[1]:
        raise ValueError(f"expected seconds, like 0.5 (got {value!r})")
    whole, _, fraction = found[2].partition(".")
    return int(whole or 0) * _SECOND + int(fraction.ljust(9, "0"))
