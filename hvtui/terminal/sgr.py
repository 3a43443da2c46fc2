"""Select graphic rendition: from the parameters of `CSI ... m` to a look (ECMA-48 8.3.117, and ISO 8613-6 colours)."""

from __future__ import annotations

from collections.abc import Iterator

from hvtui.terminal.line import PLAIN, TRUE_COLOUR, Look
from hvtui.terminal.parser import MOST_PARAMETERS, number

_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    5: {"blink": True},
    6: {"blink": True},
    7: {"reverse": True},
    8: {"concealed": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    25: {"blink": False},
    27: {"reverse": False},
    28: {"concealed": False},
    29: {"strike": False},
    53: {"overline": True},
    55: {"overline": False},
}


def applied(look: Look, parameters: str) -> Look:
    """The look after a sequence; what is unknown changes nothing."""
    fields = iter(parameters.split(";", MOST_PARAMETERS)[:MOST_PARAMETERS])
    for field in fields:
        code, _, rest = field.partition(":")
        look = _one(look, number(code), rest, fields)
    return look


def _one(look: Look, code: int, rest: str, following: Iterator[str]) -> Look:
    if code == 0:
        return PLAIN
    if code == 4 and rest:
        return look._replace(underline=number(rest.partition(":")[0]) != 0)
    if code in _SWITCHES:
        return look._replace(**_SWITCHES[code])
    if code in (38, 48):
        colour = _with_colons(rest) if rest else _with_semicolons(following)
        return look if colour is None else _coloured(look, code == 38, colour)
    return _ansi(look, code)


def _ansi(look: Look, code: int) -> Look:
    """The sixteen colours, and back to the default."""
    for base, front in ((30, True), (40, False)):
        if base <= code <= base + 7:
            return _coloured(look, front, code - base)
        if base + 60 <= code <= base + 67:
            return _coloured(look, front, code - base - 60 + 8)
        if code == base + 9:
            return _coloured(look, front, -1)
    return look


def _coloured(look: Look, front: bool, colour: int) -> Look:
    return look._replace(front=colour) if front else look._replace(back=colour)


def _with_semicolons(fields: Iterator[str]) -> int | None:
    """38;5;N or 38;2;R;G;B."""
    kind = number(next(fields, ""))
    if kind == 5:
        return _indexed(number(next(fields, "")))
    if kind == 2:
        return _true_colour([number(next(fields, "")) for _ in range(3)])
    return None


def _with_colons(rest: str) -> int | None:
    """38:5:N, 38:2::R:G:B (with a colour space, mostly empty) or 38:2:R:G:B."""
    values = [number(field) for field in rest.split(":")[:8]]
    if values[0] == 5 and len(values) > 1:
        return _indexed(values[1])
    if values[0] == 2 and len(values) >= 4:
        return _true_colour(values[2:5] if len(values) > 4 else values[1:4])
    return None


def _indexed(value: int) -> int | None:
    return value if value < 256 else None


def _true_colour(values: list[int]) -> int | None:
    red, green, blue = values
    return TRUE_COLOUR | red << 16 | green << 8 | blue if max(values) < 256 else None


_CODES = {"bold": 1, "dim": 2, "italic": 3, "underline": 4, "blink": 5, "reverse": 7, "concealed": 8, "strike": 9}


def encoded(look: Look) -> str:
    """Parameters that lead from the default to a look."""
    codes = [str(code) for name, code in _CODES.items() if getattr(look, name)]
    if look.overline:
        codes.append("53")
    codes += [_encoded_colour(colour, code) for colour, code in ((look.front, 38), (look.back, 48)) if colour >= 0]
    return ";".join(codes)


def _encoded_colour(colour: int, code: int) -> str:
    if colour >= TRUE_COLOUR:
        return f"{code};2;{colour >> 16 & 255};{colour >> 8 & 255};{colour & 255}"
    return f"{code};5;{colour}" if colour >= 16 else str((code - 8 if colour < 8 else code + 44) + colour)
