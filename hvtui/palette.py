"""The command palette's entries: the registry of actions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from hvtui.actions import ACTIONS, Action
from hvtui.modes import MODES
from hvtui.screens.board_base import BoardBase

_NOT_HERE = ("palette",)
_MOST_PLACES = 4
"""Of an action that takes a number, these are worth offering."""


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
        board = self.screen
        if not isinstance(board, BoardBase):
            return
        for action in ACTIONS:
            if action.name in _NOT_HERE or action.scripted or board.check_action(action.name, ()) is False:
                continue
            help_text = f"{board.settings.keymap.label(action)}   {action.help}".lstrip()
            for title, call in _calls(action):
                yield title, help_text, partial(board.run_action, call)


def _calls(action: Action) -> Iterator[tuple[str, str]]:
    """(title, Textual action string); what needs a word more opens the monitor line."""
    if action.name == "screen":
        for place, mode in enumerate(MODES, start=1):
            yield f"Go to {mode.title}", f"screen({place})"
    elif action.takes_key:
        for place in range(1, _MOST_PLACES + 1):
            yield f"{action.title} {place}", f"{action.name}({place})"
    elif all(each.optional for each in action.params):
        yield action.title, action.name
    else:
        yield f"{action.title} …", f"monitor('{action.word} ')"
