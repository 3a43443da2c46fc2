"""The command palette's entries: the registry of actions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from hvtui.actions import ACTIONS, Action, key_label

_NOT_HERE = ("palette",)


class ActionCommands(Provider):
    """Finds actions of the screen under the palette by their title."""

    async def discover(self) -> Hits:
        for title, help_text, run in self._entries():
            yield DiscoveryHit(title, run, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, help_text, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=help_text)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], Coroutine[Any, Any, None]]]]:
        for action in ACTIONS:
            if action.name in _NOT_HERE or self.screen.check_action(action.name, ()) is False:
                continue
            for title, call in _calls(action):
                run = partial(self.screen.run_action, call)
                yield title, f"{key_label(action)}   {action.help}", run


def _calls(action: Action) -> Iterator[tuple[str, str]]:
    """(title, Textual action string); the first four numbers of an action that takes one."""
    if not action.takes_key:
        yield action.title, action.name
        return
    for key in action.keys[:4]:
        yield f"{action.title} {key}", f"{action.name}({key})"
