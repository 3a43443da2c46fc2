"""Splits what a guest prints into text, controls and escape sequences (ECMA-48, and xterm's extensions).

Any bytes are accepted: malformed sequences are dropped as xterm drops them, and no sequence, however
long, holds more than `_LONGEST` characters or the console's attention for ever.
"""

from __future__ import annotations

import codecs
import re
from typing import Protocol

_LONGEST = 1024
"""Characters of an unfinished sequence that are waited for."""
_MOST_PARAMETERS = 16
_LARGEST_PARAMETER = 9999

_TOKEN = re.compile(
    r"""(?P<text>[^\x00-\x1f\x7f]+)
    |\x1b\[(?P<private>[<-?]?)(?P<parameters>[0-9;:]*)(?P<between>[\x20-/]*)(?P<final>[@-~])
    |\x1b(?P<string>[]PX^_])[^\x07\x18\x1a\x1b]*(?:\x07|\x18|\x1a|\x1b\\|(?=\x1b[^\\]))
    |\x1b(?P<charset>[()*+])(?P<charset_name>[0-~])
    |\x1b(?P<other>[\x20\#%-/][0-~]|[0-OQ-WYZ\\`-~])
    |(?P<control>[\x00-\x1a\x1c-\x1f\x7f])""",
    re.VERBOSE,
)
_UNFINISHED = re.compile(
    r"\x1b(?:\[[<-?]?[0-9;:]*[\x20-/]*|[]PX^_][^\x07\x18\x1a\x1b]*\x1b?|[()*+\x20\#%-/])?\Z",
)


class Listener(Protocol):
    """What a parser tells."""

    def text(self, text: str) -> None:
        """Printable characters, never empty."""

    def control(self, code: str) -> None:
        """One C0 control character, or DEL."""

    def escape(self, code: str) -> None:
        """An escape sequence without its ESC: `7`, `M`, `#8`."""

    def charset(self, slot: str, name: str) -> None:
        """Designate a character set: slot is one of `()*+`."""

    def sequence(self, final: str, private: str, parameters: list[int]) -> None:
        """A control sequence; a missing parameter is 0. `private` is "" or one of `<=>?`."""


class Parser:
    """Feeds a listener; keeps what may be the beginning of a sequence until more comes."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Parse bytes; any are fine."""
        text = self._rest + self._decode(data)
        self._rest = ""
        position, end = 0, len(text)
        while position < end:
            match = _TOKEN.match(text, position)
            if match is not None:
                self._tell(match)
                position = match.end()
            elif end - position <= _LONGEST and _UNFINISHED.match(text, position):
                self._rest = text[position:]
                return
            else:
                position += 1  # an ESC that begins nothing known

    def _tell(self, match: re.Match[str]) -> None:
        kind = match.lastgroup
        if kind == "text":
            self._listener.text(match["text"])
        elif kind == "control":
            self._listener.control(match["control"])
        elif kind == "final":
            if not match["between"]:
                self._listener.sequence(match["final"], match["private"], _numbers(match["parameters"]))
        elif kind == "other":
            self._listener.escape(match["other"])
        elif kind == "charset_name":
            self._listener.charset(match["charset"], match["charset_name"])


def _numbers(text: str) -> list[int]:
    """Parameters of a control sequence, bounded in number and size."""
    fields = text.replace(":", ";").split(";", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
    return [min(int(field[:6] or 0), _LARGEST_PARAMETER) for field in fields]
