"""From a Textual key to the bytes that xterm would send."""

from __future__ import annotations

_ESC = "\x1b"
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4}
_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_SS3 = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_TILDE = {
    "insert": 2,
    "delete": 3,
    "pageup": 5,
    "pagedown": 6,
    "f5": 15,
    "f6": 17,
    "f7": 18,
    "f8": 19,
    "f9": 20,
    "f10": 21,
    "f11": 23,
    "f12": 24,
}
_PLAIN = {"enter": "\r", "tab": "\t", "escape": _ESC, "backspace": "\x7f", "space": " "}
_SHIFTED = {"shift+tab": f"{_ESC}[Z", "shift+enter": "\r", "shift+backspace": "\x7f", "shift+space": " "}
_CONTROL = {
    "at": "\0",
    "space": "\0",
    "2": "\0",
    "backslash": "\x1c",
    "right_square_bracket": "\x1d",
    "circumflex_accent": "\x1e",
    "underscore": "\x1f",
    "slash": "\x1f",
    "backspace": "\b",
    "enter": "\r",
    "tab": "\t",
}


def encode_key(key: str, character: str | None, application_cursor: bool = False) -> bytes:
    """The bytes for a key event; b"" for a key that a terminal does not send. `key` is Textual's name."""
    return _encode(key, character, application_cursor).encode("utf-8", "replace")


def encode_paste(text: str, bracketed: bool = False) -> bytes:
    """Pasted text as if it were typed: lines end with a carriage return; `bracketed` as mode 2004 wants it."""
    text = text.replace("\r\n", "\r").replace("\n", "\r")
    if bracketed:
        # Without ESC the text cannot end its bracket itself.
        text = f"{_ESC}[200~{text.replace(_ESC, '')}{_ESC}[201~"
    return text.encode("utf-8", "replace")


def _encode(key: str, character: str | None, application_cursor: bool) -> str:
    if key in _SHIFTED:
        return _SHIFTED[key]
    *names, base = key.split("+") if key != "+" else ["+"]
    modifier = sum(_MODIFIERS.get(name, 0) for name in names)
    special = _special(base, modifier, application_cursor)
    if special:
        return special
    prefix = _ESC if "alt" in names else ""
    if "ctrl" in names:
        return prefix + _control(base) if _control(base) else ""
    if base in _PLAIN:
        return prefix + _PLAIN[base]
    if character is not None and (character.isprintable() or not names):
        return prefix + character
    return prefix + base if len(base) == 1 else ""


def _special(base: str, modifier: int, application_cursor: bool) -> str:
    """Keys that send a sequence, with xterm's modifier parameter (1 + shift, 2 alt, 4 ctrl)."""
    changed = f";{modifier + 1}" if modifier else ""
    if base in _CURSOR:
        if changed:
            return f"{_ESC}[1{changed}{_CURSOR[base]}"
        return f"{_ESC}{'O' if application_cursor else '['}{_CURSOR[base]}"
    if base in _SS3:
        return f"{_ESC}[1{changed}{_SS3[base]}" if changed else f"{_ESC}O{_SS3[base]}"
    if base in _TILDE:
        return f"{_ESC}[{_TILDE[base]}{changed}~"
    return ""


def _control(base: str) -> str:
    if len(base) == 1 and base.isalpha() and base.isascii():
        return chr(ord(base.lower()) - ord("a") + 1)
    return _CONTROL.get(base, "")
