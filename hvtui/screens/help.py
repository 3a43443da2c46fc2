"""The help screen: the registry of actions as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from hvtui.actions import Action, Param, Scope
from hvtui.keymap import Keymap
from hvtui.screens.modal import NARROW, Dialog
from hvtui.theme import Ink

_CONSOLE = (
    ("enter, click", "Type into the console: every key goes to the guest, also ctrl+c and arrows."),
    ("ctrl+]", "Take the keyboard back."),
    ("pgup, wheel", "Scroll back; while typing, shift+pgup. End shows the newest line."),
    ("enter, ctrl+n", "While searching: to older matches, to newer ones; escape closes. Regular expressions work."),
    ("mouse", "Dragging selects and copies; a double click takes a word, a third one the line."),
)
_CONSOLE_TITLE = "In a console"
_KEYS = 14


class Help(Dialog[None]):
    """All keys with a sentence and an example each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q,question_mark,f1", "close", "Close", show=False)]

    def __init__(self, actions: list[Action], keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap
        self._actions = actions
        self._alone = actions[0] if len(actions) == 1 else None

    def compose(self) -> ComposeResult:
        narrow = self.app.size.width < NARROW
        with VerticalScroll(classes="box large") as box:
            box.border_title = "Keys" if self._alone is None else f":{self._alone.word}"
            box.border_subtitle = "arrows scroll · escape closes"
            if self._alone is not None:
                yield Static(_all_about(self._alone, self._keymap, narrow), classes="section")
                return
            for scope in Scope:
                chosen = [action for action in self._actions if action.scope is scope]
                if chosen:
                    yield Static(_page(scope.value, _section(chosen, self._keymap), narrow), classes="section")
            yield Static(_page(_CONSOLE_TITLE, _consoles(), narrow), classes="section")


def _all_about(action: Action, keymap: Keymap, narrow: bool) -> Group:
    """Title, sentence, and a row for everything else that there is to say."""
    rows = [
        ("usage", f":{action.usage}", Ink.CYAN),
        *((f"  {param.name.upper()}", _meaning(param), Ink.TEXT) for param in action.params),
        ("other words", ", ".join(f":{alias}" for alias in action.aliases), Ink.CYAN),
        ("keys", keymap.label(action) or "none", Ink.KEY),
        ("example", action.example, Ink.TEXT),
    ]
    said = ((Text(label, Ink.MUTED), Text(words, style)) for label, words, style in rows if words)
    return Group(Text(f"{action.title}\n{action.help}\n", Ink.TEXT), _grid(said, narrow))


def _meaning(param: Param) -> str:
    return f"{param.kind.value}{'; may be left out' if param.optional else ''}"


def _section(actions: list[Action], keymap: Keymap) -> Iterator[tuple[Text, Text]]:
    for action in actions:
        yield Text(keymap.label(action), Ink.KEY), _words(action)


def _words(action: Action) -> Text:
    words = Text.assemble((f"{action.title}\n", Ink.STRONG), (action.help, Ink.TEXT))
    if action.params and not action.takes_key:
        words.append(f"\n:{action.usage}", Ink.CYAN)
    if action.example not in action.keys:
        words.append(f"\n{action.example}", Ink.MUTED)
    return words


def _consoles() -> Iterator[tuple[Text, Text]]:
    for keys, text in _CONSOLE:
        yield Text(keys, Ink.KEY), Text(text, Ink.TEXT)


def _page(title: str, rows: Iterable[tuple[Text, Text]], narrow: bool) -> Group:
    return Group(Text(title, Ink.HEADING), _grid(rows, narrow))


def _grid(rows: Iterable[tuple[Text, Text]], narrow: bool) -> Table:
    """Keys beside what they do, or above it."""
    page = Table.grid(padding=(0, 1))
    if narrow:
        for row in rows:
            page.add_row(Text("\n").join(row))
        return page
    page.add_column(width=_KEYS)
    page.add_column()
    for row in rows:
        page.add_row(*row)
    return page
