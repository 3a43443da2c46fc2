"""The Trace page: everything that happened, as a log or as lanes, with all about the chosen event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from engine.machine_config import MachineConfig
from engine.views import FfaView, Part, RunState
from hvtui.frame import Frame
from hvtui.items import Page as Details
from hvtui.theme import Ink
from hvtui.trace_filter import Filter, parse_filter
from hvtui.trace_index import Choice, TraceIndex
from hvtui.trace_lanes import lanes_of
from hvtui.trace_look import Goal, Search, TraceLook, Wanted, look
from hvtui.trace_text import event_page
from hvtui.widgets.detail import Detail
from hvtui.widgets.page import Look, Page
from hvtui.widgets.titles import set_title
from hvtui.widgets.trace_log import TraceLog

_NO_FFA = FfaView((), (), ())
_RUNNING_S, _STILL_S = 0.004, 0.02
"""How long one look may examine events: while guests wait for it, and while they stand still anyway."""
_AGAIN_S = 0.03
"""Between two looks for what is not yet examined, while guests run."""


class TracePage(Page):
    """Asks the machine for the rows in view; filters and searches go on from look to look until they are done."""

    part = Part.FFA

    class Says(Message):
        """What came of a search or a jump."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, config: MachineConfig, nanoseconds: Callable[[int], int]) -> None:
        super().__init__("trace")
        self._config, self._nanoseconds = config, nanoseconds
        self.pane = TraceLog(nanoseconds)
        self.detail = Detail("trace-detail")
        self.detail.add_class("page-detail")
        self.choice = Choice()
        self._index = TraceIndex(self.choice)
        self._generation = 0
        self._view = _NO_FFA
        self._look: TraceLook | None = None
        self._goal: Goal | None = None
        self._search: Search | None = None
        self._sought = Filter()
        self._is_running = False

    def compose(self) -> ComposeResult:
        yield self.pane
        yield self.detail

    @property
    def home(self) -> TraceLog:
        return self.pane

    # --- looks -------------------------------------------------------------------------------------

    def look(self) -> Look:
        """The rows in view, and the next piece of whatever is not done."""
        pane, index = self.pane, self._index
        held = not pane.following
        wanted = Wanted(
            self.choice,
            self._generation,
            pane.top if held else None,
            pane.room,
            _RUNNING_S if self._is_running else _STILL_S,
            pane.cursor if held else None,
            self._search,
            self._goal,
        )
        return lambda control: look(control, index, wanted)

    def show(self, frame: Frame) -> None:
        self._view = frame.view.ffa or self._view
        self._is_running = frame.view.state is RunState.RUNNING
        answer = self.answer(frame)
        if isinstance(answer, TraceLook) and answer.wanted.choice == self.choice:
            self._take(answer)

    def _take(self, answer: TraceLook) -> None:
        if answer.generation != self._generation:
            self._number_anew(answer)
        self._look = answer
        if self.choice.lanes:
            self.pane.lanes = lanes_of(self._config, self._view.partitions)
        self.pane.show(answer)
        self._reach(answer)
        self._find(answer)
        self._tell(answer)
        self.retitle()
        if self._unfinished(answer):
            self._ask_again()

    def _number_anew(self, answer: TraceLook) -> None:
        """Rows have other numbers: who held a row goes back to its event."""
        before = self._look
        row = before.row(self.pane.cursor) if before is not None and not self.pane.following else None
        self._generation, self._search = answer.generation, None
        if row is not None and self._goal is None:
            self._goal = Goal(sequence=row.sequence)

    def _unfinished(self, answer: TraceLook) -> bool:
        return not answer.complete or self._search is not None or self._goal is not None or not self._sees(answer)

    def _sees(self, answer: TraceLook) -> bool:
        """The rows in view are there, as far as there are any."""
        wanted = range(max(answer.first, self.pane.top), min(answer.end, self.pane.top + self.pane.room))
        return not wanted or (answer.row(wanted[0]) is not None and answer.row(wanted[-1]) is not None)

    def _ask_again(self) -> None:
        if not self.display:
            return
        if self._is_running:
            self.set_timer(_AGAIN_S, lambda: self.post_message(self.LookAgain()))
        else:
            self.post_message(self.LookAgain())

    def _reach(self, answer: TraceLook) -> None:
        goal = answer.wanted.goal
        if goal is None or goal is not self._goal:
            return
        if answer.reached is None:
            if answer.complete:
                self._goal = None  # there are no rows at all
            return
        self._goal = None
        self.pane.choose(answer.reached, middle=True)
        row = answer.row(answer.reached)
        if goal.cycle is not None and row is not None:
            late = row.event.cycle < goal.cycle
            self.post_message(
                self.Problem(f"nothing is shown after {goal.cycle} instructions")
                if late
                else self.Says(f"instruction {row.event.cycle}, event {row.sequence}")
            )

    def _find(self, answer: TraceLook) -> None:
        if self._search is None or answer.wanted.search is not self._search:
            return
        self._search = answer.searched
        if answer.found is not None:
            self.pane.choose(answer.found, middle=True)
            row = answer.row(answer.found)
            where = f" at instruction {row.event.cycle}" if row is not None else ""
            self.post_message(self.Says(f"{self._sought.text}{where}"))
        elif self._search is None:
            self.post_message(self.Problem(f"no older row has {self._sought.text}"))

    def _tell(self, answer: TraceLook) -> None:
        chosen = answer.chosen
        if chosen is None:
            self.detail.show(None, Details([[(self.pane.empty, Ink.FAINT)]], []))
        else:
            self.detail.show(chosen.row.sequence, event_page(chosen, self._view, self._nanoseconds))

    # --- what people do ------------------------------------------------------------------------------

    def here(self) -> None:
        """Follow the newest row."""
        self._goal = self._search = None
        self.pane.choose(self.pane.cursor if self._look is None else self._look.end - 1)

    def lanes(self) -> None:
        """A log, or lanes."""
        self._choose(replace(self.choice, lanes=not self.choice.lanes))

    def traffic(self) -> None:
        """Console traffic, or in the lanes traps, is shown or hidden."""
        self._choose(replace(self.choice, traffic=not self.choice.traffic))

    def filter(self, text: str) -> None:
        """Only rows that match all words; "" shows all."""
        self._choose(replace(self.choice, filter=parse_filter(text, self._config.partitions)))

    def search(self, text: str) -> None:
        """Go to the next older row that matches all words; "": those looked for last."""
        if text.strip():
            self._sought = parse_filter(text, self._config.partitions)
        if not self._sought.terms:
            self.post_message(self.Problem("search for what?"))
            return
        self._search = Search(self._sought, self._generation, self.pane.cursor)
        self.post_message(self.LookAgain())

    def go_to(self, place: str) -> None:
        """Go to the first event at or after an instruction count. ValueError, in words, for no count."""
        try:
            cycle = int(place.strip().replace(",", ""), 0)
        except ValueError:
            cycle = -1
        if cycle < 0:
            raise ValueError(f"expected an instruction count (got {place!r})")
        self._goal = Goal(cycle=cycle)
        self.post_message(self.LookAgain())

    def _choose(self, choice: Choice) -> None:
        """Other rows; the event under the cursor stays there where it can."""
        if choice == self.choice:
            return
        row = self._look.row(self.pane.cursor) if self._look is not None and not self.pane.following else None
        self._goal = Goal(sequence=row.sequence) if row is not None else None
        self._search = None
        self.choice, self._index = choice, TraceIndex(choice)
        if not choice.lanes:
            self.pane.lanes = None
        self.pane.empty = "no row matches the filter" if choice.filter.terms else "nothing has happened yet"
        self.post_message(self.LookAgain())

    @on(TraceLog.Moved)
    def _moved(self, message: TraceLog.Moved) -> None:
        message.stop()
        self._goal = None  # people went elsewhere meanwhile
        self.retitle()
        if self.display:
            self.post_message(self.LookAgain())

    # --- titles --------------------------------------------------------------------------------------

    def retitle(self) -> None:
        set_title(self.pane, " · ".join(self._titles()))
        set_title(self.detail, "details")

    def _titles(self) -> list[str]:
        choice, answer = self.choice, self._look
        titles = ["lanes (l log)" if choice.lanes else "trace (l lanes)"]
        if choice.filter.terms:
            titles.append(f"filter {choice.filter.text} (F)")
        if choice.traffic:
            titles.append("traps, too (o)" if choice.lanes else "console traffic, too (o)")
        if answer is not None:
            titles.append(f"{answer.end - answer.first:,} rows")
            if not answer.complete:
                titles.append(f"… {100 * answer.examined // answer.kept} %")
        if self._search is not None:
            titles.append(f"… looking for {self._sought.text}")
        if not self.pane.following and self.pane.below:
            titles.append(f"{self.pane.below:,} below (h)")
        return titles
