"""The help screen: the registry of actions as a page."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from hvtui.actions import ACTIONS, Action, Scope, key_label
from hvtui.screens.modal import Dialog
from hvtui.theme import Ink

_CONSOLE = (
    ("enter, click", "Type into the console: every key goes to the guest, also ctrl+c and arrows."),
    ("ctrl+]", "Take the keyboard back."),
    ("pgup, wheel", "Scroll back; while typing, shift+pgup. End shows the newest line."),
)
_KEYS = 14


class Help(Dialog[None]):
    """All keys with a sentence and an example each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,q,question_mark,f1", "close", "Close", show=False)]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box large") as box:
            box.border_title = "Keys"
            box.border_subtitle = "arrows scroll · escape closes"
            for scope in Scope:
                yield Static(_section(scope), classes="section")
            yield Static(_consoles(), classes="section")


def _section(scope: Scope) -> Text:
    page = Text(f"{scope.value}\n", Ink.HEADING)
    for action in ACTIONS:
        if action.scope is scope:
            page.append_text(_entry(action))
    page.rstrip()
    return page


def _entry(action: Action) -> Text:
    entry = Text()
    entry.append(f"  {key_label(action):{_KEYS}}", Ink.KEY)
    entry.append(f"{action.title}\n", Ink.STRONG)
    entry.append(f"  {'':{_KEYS}}{action.help}\n", Ink.TEXT)
    if action.example not in action.keys:
        entry.append(f"  {'':{_KEYS}}{action.example}\n", Ink.MUTED)
    return entry


def _consoles() -> Text:
    page = Text("Consoles\n", Ink.HEADING)
    for keys, text in _CONSOLE:
        page.append(f"  {keys:{_KEYS}}", Ink.KEY)
        page.append(f"{text}\n", Ink.TEXT)
    page.rstrip()
    return page
