"""The registry's keys as Textual has them; their ids are what `App.set_keymap` names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from textual.binding import Binding

from hvtui.actions import ACTIONS, Action
from hvtui.keymap import Keymap


def bindings() -> list[Binding]:
    """One for every action that the registry gives keys, and one for every key of those that take it."""
    return [binding for action in ACTIONS for binding in _of(action)]


def _of(action: Action) -> Iterator[Binding]:
    if action.takes_key:
        for place, key in enumerate(action.keys, start=1):
            yield Binding(key, f"{action.name}({place})", action.title, show=False, id=f"{action.name}-{place}")
    else:
        yield Binding(",".join(action.keys) or _none(action.name), action.name, show=False, id=action.name)


def as_keymap(keymap: Keymap) -> dict[str, str]:
    """What differs from the registry, for `App.set_keymap`."""
    changed: dict[str, str] = {}
    for action in ACTIONS:
        if action.name not in keymap.chosen:
            continue
        keys = keymap.keys(action)
        if action.takes_key:
            names = [f"{action.name}-{place}" for place in _places(action)]
            changed |= {name: key or _none(name) for name, key in zip_longest(names, keys[: len(names)], fillvalue="")}
        else:
            changed[action.name] = ",".join(keys) or _none(action.name)
    return changed


def _none(name: str) -> str:
    """A key that no keyboard has: to Textual, no key at all would mean the usual one."""
    return f"{name}-has-no-key"


def _places(action: Action) -> range:
    return range(1, len(action.keys) + 1)
