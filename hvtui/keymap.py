"""Which keys do what: those of the registry, unless a person has chosen others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hvtui.actions import ACTIONS, Action

_NAMES = {
    " ": "space",
    "!": "exclamation_mark",
    '"': "quotation_mark",
    "#": "number_sign",
    "$": "dollar_sign",
    "%": "percent_sign",
    "&": "ampersand",
    "'": "apostrophe",
    "(": "left_parenthesis",
    ")": "right_parenthesis",
    "*": "asterisk",
    "+": "plus",
    ",": "comma",
    "-": "minus",
    ".": "full_stop",
    "/": "slash",
    ":": "colon",
    ";": "semicolon",
    "<": "less_than_sign",
    "=": "equals_sign",
    ">": "greater_than_sign",
    "?": "question_mark",
    "@": "at",
    "[": "left_square_bracket",
    "\\": "backslash",
    "]": "right_square_bracket",
    "^": "circumflex_accent",
    "_": "underscore",
    "`": "grave_accent",
    "{": "left_curly_bracket",
    "|": "vertical_line",
    "}": "right_curly_bracket",
    "~": "tilde",
}
"""Textual's names of characters."""
_CHARACTERS = {name: character for character, name in _NAMES.items() if character != " "}
_SPECIAL = {
    *("space", "tab", "enter", "escape", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"),
    *("up", "down", "left", "right", *(f"f{number}" for number in range(1, 25))),
}
_MODIFIED = re.compile(r"((?:(?:ctrl|alt|shift)\+)*)(.+)", re.DOTALL)
OF_PANES = frozenset(
    ("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "enter", "j", "k")
)  # fmt: skip
"""Keys that tables and consoles use themselves."""


class KeymapError(ValueError):
    """Keys that cannot be, in one line."""


def key_name(text: str) -> str:
    """Textual's name of a key as people write it: `?`, `ctrl+x`, `F7`, `space`. KeymapError if there is none."""
    found = _MODIFIED.fullmatch(text)
    modifiers, base = (found[1], found[2]) if found else ("", "")
    if base in _NAMES:
        return modifiers + _NAMES[base]
    if base.lower() in _SPECIAL or base in _CHARACTERS or (len(base) == 1 and base.isalnum() and base.isascii()):
        return modifiers + (base if len(base) == 1 and not modifiers else base.lower())
    raise KeymapError(f"expected a key like x, ?, ctrl+x, f7 or space (got {text!r})")


def label(key: str) -> str:
    """A key as people read it."""
    *modifiers, base = key.split("+")
    return "+".join([*modifiers, _CHARACTERS.get(base, base)])


@dataclass(frozen=True)
class Keymap:
    """The keys of every action."""

    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Textual's names, by action; those of the registry for actions that are not named."""

    def keys(self, action: Action) -> tuple[str, ...]:
        return self.chosen.get(action.name, action.keys)

    def label(self, action: Action) -> str:
        """Its keys as people write them; "" without any."""
        keys = self.keys(action)
        if action.takes_key and len(keys) > 1:
            return f"{label(keys[0])}-{label(keys[-1])[-1:]}"
        return ", ".join(map(label, keys))

    def first(self, action: Action) -> str:
        """The key to be named where there is room for one."""
        keys = self.keys(action)
        return label(keys[0]) if keys else ""

    def bound(self) -> Iterator[tuple[str, Action, int]]:
        """(key, action, its place from 1 among the action's keys) of every key."""
        for action in ACTIONS:
            for place, key in enumerate(self.keys(action), start=1):
                yield key, action, place


def keymap(chosen: Mapping[str, str | list[str]]) -> Keymap:
    """Keys by action, as a person writes them. KeymapError, naming the action, where they cannot be."""
    names = {action.name: action for action in ACTIONS} | {action.word: action for action in ACTIONS}
    made = {}
    for name, written in chosen.items():
        if name not in names:
            raise KeymapError(f"{name}: expected the name of an action (unknown)")
        try:
            keys = tuple(key_name(key) for key in ([written] if isinstance(written, str) else written))
        except KeymapError as error:
            raise KeymapError(f"{name}: {error}") from None
        taken = OF_PANES.intersection(keys)
        if taken:
            raise KeymapError(f"{name}: expected another key than {label(min(taken))}, which tables use")
        made[names[name].name] = keys
    result = Keymap(made)
    _refuse_clashes(result, set(made))
    return result


def _refuse_clashes(made: Keymap, chosen: set[str]) -> None:
    """A key chosen for one action that another one has as well."""
    seen: dict[str, str] = {}
    for key, action, _ in made.bound():
        other = seen.setdefault(key, action.name)
        if other != action.name and chosen & {other, action.name}:
            raise KeymapError(f"{action.name}: expected a key of its own (got {label(key)}, the key of {other})")
