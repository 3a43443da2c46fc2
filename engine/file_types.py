"""Kinds of values in a machine file, and what a person reads where one does not fit."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

# `(?!\n)`: `$` alone would let a final newline through.
_SIZE = r"^[0-9]+[KMG]?(?!\n)$"
_NAME = r"^[A-Za-z][A-Za-z0-9_-]*(?!\n)$"
_PRINTABLE = r"^[ -~]*(?!\n)$"
_MAC = r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}(?!\n)$"
_HOST_PORT = r"^(tap:[A-Za-z0-9_.-]{1,15}|unix:.+)(?!\n)$"
LONGEST_NAME = 32

Size = (
    Annotated[int, Meta(ge=0, description="bytes")]
    | Annotated[str, Meta(pattern=_SIZE, description="bytes, or KiB, MiB, GiB with a suffix K, M, G")]
)
Address = Annotated[int, Meta(ge=0)]
PathText = Annotated[str, Meta(min_length=1, description="relative to the machine file, or cache:NAME")]
Name = Annotated[str, Meta(pattern=_NAME, max_length=LONGEST_NAME)]
CommandLine = Annotated[str, Meta(pattern=_PRINTABLE, max_length=2047)]
Serial = Annotated[str, Meta(pattern=_PRINTABLE, max_length=20)]
MacAddress = Annotated[str, Meta(pattern=_MAC)]
HostPort = Annotated[str, Meta(pattern=_HOST_PORT)]

NAME_PATTERN = _NAME
IN_WORDS = {
    f"expected str matching regex {_SIZE!r}": 'expected a size: bytes, or text like "64K", "512M", "1G"',
    f"expected str matching regex {_NAME!r}": "expected letters, digits, _ and -, a letter first",
    f"expected str matching regex {_PRINTABLE!r}": "expected printable ASCII on one line",
    f"expected str matching regex {_MAC!r}": 'expected a MAC address such as "52:54:00:00:00:01"',
    f"expected str matching regex {_HOST_PORT!r}": 'expected "tap:NAME" or "unix:PATH"',
}
"""What msgspec says about a pattern, and what a person can use."""
