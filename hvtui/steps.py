"""What a headless run waits for and types: the words of `--expect` and `--send`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "e": b"\x1b", "0": b"\0", "\\": b"\\"}


class StepError(ValueError):
    """A step that cannot be understood, in one line."""


class Expect(msgspec.Struct, frozen=True):
    """Wait until a console shows text that matches."""

    console: str | None
    """Name of a VM; None means any console."""
    pattern: re.Pattern[str]
    """Searched for; `^` and `$` match at line ends."""


class Send(msgspec.Struct, frozen=True):
    """Type something."""

    console: str
    """Name of a VM."""
    data: bytes


Step = Expect | Send


def parse_expect(text: str, names: Sequence[str]) -> Expect:
    """`[NAME:]REGEX`; what stands before a colon is part of the expression unless it names a VM."""
    console, expression = _split(text, names)
    try:
        return Expect(console, re.compile(expression, re.MULTILINE))
    except (re.error, OverflowError, RecursionError) as error:
        raise StepError(f"expected a regular expression: {error} (got {expression!r})") from None


def parse_send(text: str, names: Sequence[str]) -> Send:
    r"""`[NAME:]TEXT`, by default for the first VM; \n \r \t \e \0 \\ and \xNN stand for bytes."""
    console, escaped = _split(text, names)
    return Send(console or names[0], decode_escapes(escaped))


def decode_escapes(text: str) -> bytes:
    """UTF-8 bytes of text in which backslash escapes stand for bytes; StepError for an unknown escape."""
    parts = []
    for literal, escape in re.findall(r"([^\\]+)|\\(x[0-9A-Fa-f]{2}|.?)", text, re.DOTALL):
        if literal:
            parts.append(literal.encode("utf-8", "surrogateescape"))
        elif len(escape) == 3:
            parts.append(bytes.fromhex(escape[1:]))
        elif escape in _ESCAPES:
            parts.append(_ESCAPES[escape])
        else:
            raise StepError(rf"expected \n, \r, \t, \e, \0, \\ or \xNN (got \{escape})")
    return b"".join(parts)


def _split(text: str, names: Sequence[str]) -> tuple[str | None, str]:
    name, colon, rest = text.partition(":")
    return (name, rest) if colon and name in names else (None, text)
