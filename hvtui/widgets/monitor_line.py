"""The monitor line: a command typed at the bottom, with completion and history."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Label

from hvtui import monitor, text
from hvtui.monitor import Facts, MonitorError
from hvtui.theme import Ink

_MOST_KEPT = 200
_MOST_SHOWN = 6


class MonitorLine(Vertical):
    """Hidden until it is opened; Escape closes it."""

    DEFAULT_CSS = """
    MonitorLine { layer: above; dock: bottom; height: auto; display: none; margin: 0 0 1 0; background: $panel; }
    MonitorLine.-open { display: block; }
    MonitorLine Input { background: $panel; }
    MonitorLine Horizontal { height: 1; }
    MonitorLine Label { color: $accent; text-style: bold; padding: 0 0 0 1; }
    MonitorLine Offers { height: 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "close", show=False, priority=True),
        # All of these at once, so that quick fingers type what follows into what has the focus then.
        Binding("enter", "enter", show=False, priority=True),
        Binding("tab", "complete", show=False, priority=True),
        Binding("up", "older", show=False, priority=True),
        Binding("down", "newer", show=False, priority=True),
    ]

    class Entered(Message):
        """A line to be done."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self, facts: Callable[[], Facts]) -> None:
        super().__init__(id="monitor")
        self._facts = facts
        self._history: list[str] = []
        self._place = 0
        self.before: Widget | None = None
        """What gets the focus when it is closed."""
        self._field = Input(
            placeholder="a command; tab completes, up has older ones",
            suggester=_Suggest(self),
            select_on_focus=False,
            compact=True,
        )
        self._field.cursor_blink = False
        self._field.max_length = monitor.LONGEST
        self.offers = Offers()

    def compose(self) -> ComposeResult:
        yield self.offers
        with Horizontal():
            yield Label(":")
            yield self._field

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    @property
    def value(self) -> str:
        """What has been typed."""
        return self._field.value

    def open(self, line: str = "") -> None:
        """Show it with a line to begin with, and give it the keyboard."""
        self.before = self.screen.focused
        self.add_class("-open")
        self._place = len(self._history)
        self._put(line)
        self.offers.explain(*self._explained(line))
        self.screen.set_focus(self._field)

    def action_close(self) -> None:
        self.remove_class("-open")
        self.screen.set_focus(self.before if self.before is not None and self.before.is_attached else None)

    def facts(self) -> Facts:
        """What there is to complete with, now."""
        return self._facts()

    # --- history -------------------------------------------------------------------------------------

    def action_older(self) -> None:
        self._turn(-1)

    def action_newer(self) -> None:
        self._turn(1)

    def _turn(self, step: int) -> None:
        self._place = max(0, min(len(self._history), self._place + step))
        self._put(self._history[self._place] if self._place < len(self._history) else "")

    def _put(self, line: str) -> None:
        self._field.value = line
        self._field.cursor_position = len(line)

    # --- completion ----------------------------------------------------------------------------------

    def action_complete(self) -> None:
        """As much as all that fit have in common; a word alone gets its space."""
        line = self._field.value
        start, words = monitor.complete(line, self._facts())
        if words:
            common = _common(words)
            alone = len(words) == 1 and not common.endswith("/")
            self._put(line[:start] + common + (" " if alone else ""))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.offers.explain(*self._explained(event.value))

    def _explained(self, line: str) -> tuple[str, list[str]]:
        """The usage of the command that is being typed, and the words that may come next."""
        _, words = monitor.complete(line, self._facts())
        try:
            usage = monitor.find(line.split()[0]).usage if " " in line.lstrip() else ""
        except MonitorError as error:
            usage = str(error)
        return usage, words

    def action_enter(self) -> None:
        """Have the line done."""
        line = self._field.value.strip()
        self.action_close()
        if line:
            self._history = [*(each for each in self._history if each != line), line][-_MOST_KEPT:]
            self.post_message(self.Entered(line))


class Offers(Widget):
    """One line above: how the command goes on."""

    told: reactive[tuple[str, tuple[str, ...]]] = reactive(("", ()))

    def explain(self, usage: str, words: list[str]) -> None:
        """What is being typed, and what may come."""
        self.told = (usage, tuple(words))

    def render_line(self, _y: int) -> Strip:
        usage, words = self.told
        width = self.size.width
        shown = "  ".join(words[: _MOST_SHOWN * max(1, width // 80)])
        more = f"  … {len(words)}" if len(words) > _MOST_SHOWN * max(1, width // 80) else ""
        head = [(f" {usage} ", Ink.KEY)] if usage else [(" ", Ink.TEXT)]
        return text.line([*head, (f" {shown}{more}", Ink.MUTED)], width, Ink.BAR)


class _Suggest(Suggester):
    """The first word that fits, dim behind the cursor."""

    def __init__(self, line: MonitorLine) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._line = line

    async def get_suggestion(self, value: str) -> str | None:
        start, words = monitor.complete(value, self._line.facts())
        return value[:start] + words[0] if words and value.strip() else None


def _common(words: list[str]) -> str:
    """What all begin with."""
    first, last = min(words), max(words)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]
