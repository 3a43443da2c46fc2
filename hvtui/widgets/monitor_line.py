"""The monitor line: a command typed at the bottom, with completion and history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events, on
from textual.app import ComposeResult
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
        self._field = _Field(self)
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

    def close_line(self) -> None:
        """Hide it, and give the keyboard back."""
        self.remove_class("-open")
        self.screen.set_focus(self.before if self.before is not None and self.before.is_attached else None)

    def facts(self) -> Facts:
        """What there is to complete with, now."""
        return self._facts()

    # --- history -------------------------------------------------------------------------------------

    def older(self) -> None:
        """The line entered before the one shown."""
        self._turn(-1)

    def newer(self) -> None:
        """The line entered after the one shown, or an empty one."""
        self._turn(1)

    def _turn(self, step: int) -> None:
        self._place = max(0, min(len(self._history), self._place + step))
        self._put(self._history[self._place] if self._place < len(self._history) else "")

    def _put(self, line: str) -> None:
        self._field.value = line
        self._field.cursor_position = len(line)

    # --- completion ----------------------------------------------------------------------------------

    def complete(self) -> None:
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

    def enter(self) -> None:
        """Have the line done."""
        line = self._field.value.strip()
        self.close_line()
        if line:
            self._history = [*(each for each in self._history if each != line), line][-_MOST_KEPT:]
            self.post_message(self.Entered(line))


class _Field(Input):
    """Where the line is typed. Its keys work in the order they come, however quickly that is."""

    def __init__(self, line: MonitorLine) -> None:
        super().__init__(
            placeholder="a command; tab completes, up has older ones",
            suggester=_Suggest(line),
            select_on_focus=False,
            compact=True,
        )
        self.cursor_blink = False
        self.max_length = monitor.LONGEST
        self._line = line
        self._own = {
            "enter": line.enter,
            "escape": line.close_line,
            "ctrl+c": line.close_line,
            "tab": line.complete,
            "up": line.older,
            "down": line.newer,
        }

    async def _on_key(self, event: events.Key) -> None:
        if self._line.is_open and event.key not in self._own:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if self._line.is_open:
            self._own[event.key]()
        else:
            self.app.simulate_key(event.key)  # it was on its way when the line was closed


class Offers(Widget):
    """One line above: how the command goes on."""

    told: reactive[tuple[str, tuple[str, ...]]] = reactive(("", ()))

    def explain(self, usage: str, words: list[str]) -> None:
        """What is being typed, and what may come."""
        self.told = (usage, tuple(words))

    def render_line(self, _y: int) -> Strip:
        usage, words = self.told
        width = self.size.width
        head = f" {usage} " if usage else " "
        offered = (f" {_fitting(words, width - len(head) - 1)}", Ink.MUTED)
        return text.line([(head, Ink.KEY), offered], width, Ink.BAR)


def _fitting(words: Sequence[str], width: int) -> str:
    """The words that fit, and how many more there are."""
    for count in range(min(len(words), width // 2), 0, -1):
        more = f"  … {len(words) - count} more" if count < len(words) else ""
        line = "  ".join(words[:count]) + more
        if len(line) <= width:
            return line
    return text.shorten(f"{len(words)} words" if words else "", max(0, width))


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
