"""Splits what a guest prints into text, controls and escape sequences (ECMA-48, and xterm's extensions).

Any bytes are accepted: malformed sequences are dropped as xterm drops them, strings (titles, sixels) are
swallowed, and neither is waited for without end. Every character is looked at a bounded number of times.
"""

from __future__ import annotations

import codecs
import re
from typing import Protocol

_LONGEST = 1024
"""Characters of an unfinished sequence that are waited for."""
_LONGEST_STRING = 1 << 16
"""Characters of a string without an end that are swallowed."""
MOST_PARAMETERS = 32
_LARGEST_PARAMETER = 9999

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STRING_END = re.compile(r"[\x07\x18\x1a\x1b]")
_ESCAPE = re.compile(
    r"""\x1b(?:
    \[(?P<private>[<-?]?)(?P<parameters>[0-9;:]*)(?P<between>[\x20-/]*)(?P<final>[@-~])
    |(?P<string>[]PX^_])
    |(?P<charset>[()*+])(?P<charset_name>[0-~])
    |(?P<other>[\x20\#%-/][0-~]|[0-OQ-WYZ\\`-~])
    )""",
    re.VERBOSE,
)
_UNFINISHED = re.compile(r"\x1b(?:\[[\x00-\x17\x19\x1c-?]*|[()*+\x20\#%-/])?\Z")
_DISTURBED = re.compile(r"\x1b\[([\x00-\x17\x19\x1c-?]*)([@-~])")
"""A control sequence that may have control characters inside."""
_BROKEN = re.compile(r"\x1b(?:\[[\x00-\x17\x19\x1c-?]*)?")
"""What is dropped of a sequence that is none."""


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

    def sequence(self, final: str, private: str, parameters: str) -> None:
        """A control sequence. `final` has the intermediate bytes before it; `private` is "" or one of `<=>?`."""


class Parser:
    """Feeds a listener; keeps what may be the beginning of a sequence until more comes."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._swallow = 0
        """Characters of the string we are in that may still come; 0: in none."""

    def feed(self, data: bytes) -> None:
        """Parse bytes; any are fine."""
        text = self._rest + self._decode(data)
        self._rest = ""
        position, end = 0, len(text)
        while position < end:
            if self._swallow:
                position = self._skip_string(text, position)
                continue
            match = _CONTROL.search(text, position)
            stop = match.start() if match is not None else end
            if stop > position:
                self._listener.text(text[position:stop])
            if match is None:
                return
            position = self._escape(text, stop) if match[0] == "\x1b" else self._control(match)

    def _control(self, match: re.Match[str]) -> int:
        self._listener.control(match[0])
        return match.end()

    def _escape(self, text: str, position: int) -> int:
        """Handle what begins with ESC here; returns where to go on."""
        match = _ESCAPE.match(text, position)
        if match is not None:
            self._tell(match)
            return match.end()
        if len(text) - position <= _LONGEST and _UNFINISHED.match(text, position):
            self._rest = text[position:]
            return len(text)
        disturbed = _DISTURBED.match(text, position, position + _LONGEST)
        if disturbed is not None:
            return self._undisturbed(disturbed)
        broken = _BROKEN.match(text, position)
        return broken.end() if broken is not None else position + 1

    def _undisturbed(self, match: re.Match[str]) -> int:
        """Control characters inside of a sequence act at once, and the sequence then, if it is one."""
        inside, final = match.groups()
        for code in _CONTROL.findall(inside):
            self._listener.control(code)
        plain = _ESCAPE.fullmatch(f"\x1b[{_CONTROL.sub('', inside)}{final}")
        if plain is not None:
            self._tell(plain)
        return match.end()

    def _tell(self, match: re.Match[str]) -> None:
        kind = match.lastgroup
        if kind == "final":
            self._listener.sequence(match["between"] + match["final"], match["private"], match["parameters"])
        elif kind == "string":
            self._swallow = _LONGEST_STRING
        elif kind == "other":
            self._listener.escape(match["other"])
        else:
            self._listener.charset(match["charset"], match["charset_name"])

    def _skip_string(self, text: str, position: int) -> int:
        """Over a string to its end (BEL, ST, CAN, SUB or another sequence), or as far as there is text."""
        match = _STRING_END.search(text, position, position + self._swallow)
        if match is None:
            reached = min(len(text), position + self._swallow)
            self._swallow -= reached - position
            return reached
        if match[0] == "\x1b" and match.end() == len(text):
            self._rest = "\x1b"  # ST, or the beginning of something else
            return len(text)
        self._swallow = 0
        if match[0] != "\x1b":
            return match.end()
        return match.end() + 1 if text[match.end()] == "\\" else match.start()


def number(field: str) -> int:
    """A parameter; a missing one is 0, and there is a largest."""
    return min(int(field[:6] or 0), _LARGEST_PARAMETER)


def numbers(parameters: str) -> list[int]:
    """Parameters of a control sequence, bounded in number and size, at least one; sub-parameters are left out."""
    fields = parameters.split(";", MOST_PARAMETERS)[:MOST_PARAMETERS]
    return [number(field.partition(":")[0]) for field in fields]
