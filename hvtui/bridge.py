"""Between the machine's thread and the widgets: the only module that holds the machine.

One question is in the machine's queue at a time. Its answer becomes one `Frame`, which is handed over
before the next question is asked, so frames never pile up and nothing that is new gets lost. The pace
follows what is worth seeing: thirty frames a second while consoles print, four while only events come,
two or three while guests sleep, none while the machine stands still. What painting costs is measured,
and bounded to a share of the time, because every moment that Python spends here is one that the guests'
traps wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from engine.control import Control
from engine.cpu.timer import NS_PER_TICK
from engine.events import Event
from engine.machine import Machine
from engine.views import NOTHING_MORE, MachineView, Part, RunState
from hvtui import collect
from hvtui.collect import KEPT_EVENTS, Answer, Question
from hvtui.frame import EventBatch, Frame
from hvtui.speed import Speedometer

T = TypeVar("T")

_FRAME_S = 1 / 30
_TABLES_S = 0.25
"""Between two looks at the whole machine while it runs: figures that change faster are not read."""
_QUIET_S = 0.4
"""Between two frames while nothing is printed and nothing happens; output ends it early."""
_REGISTERS_S = 1.0
_ECHO_S = 0.008
_ECHO_WITHIN_S = 0.15
"""After a key, answers are looked for often for this long."""
_SHARE = 30
"""Of this many moments, painting takes at most one."""
_SLOWEST_S = 0.5
_LIVE_EVENTS = 600
_MANY_EVENTS = 50
"""More than guests make that only wake up now and then."""
_TYPE_AT_ONCE = 4096
_FULL_PORT_S = 0.1
"""A serial port that took nothing is tried again after this."""


class Bridge:
    """Asks the machine for frames, and passes requests to it."""

    def __init__(self, machine: Machine, deliver: Callable[[Frame], None], complain: Callable[[str], None]) -> None:
        self._machine = machine
        self._deliver = deliver
        self._complain = complain
        self.selected: tuple[str, int] = (machine.config.vms[0].name, 0)
        """(VM, vCPU) whose registers are looked at."""
        self.registers_visible = True
        """Somebody looks at them."""
        self.parts = NOTHING_MORE
        """What somebody looks at: only then is it asked for."""
        self.look_for: Callable[[], tuple[str, Callable[[Control], object]] | None] = lambda: None
        """What the page that is open wants to know besides."""
        self.idle = asyncio.Event()
        """The machine stands still and everything it said was delivered."""
        self._wake = asyncio.Event()
        self._dozing = False
        """Read from the machine's thread: output should end the rest."""
        self._positions = dict.fromkeys(machine.config.consoles, 0)
        self._typed: dict[str, bytearray] = {}
        self._typed_at = self._type_again_at = 0.0
        self._next_event = self._next_call = 0
        self._ffa_endpoint: int | None = None
        self._complete = False
        """The widgets have every event that is kept."""
        self._view: MachineView | None = None
        self._tables_at = self._registers_at = 0.0
        self._executed = -1
        self._speed = Speedometer()

    @property
    def state(self) -> RunState:
        """Run state in the newest frame."""
        return self._view.state if self._view is not None else RunState.PAUSED

    def nanoseconds(self, cycle: int) -> int:
        """Virtual time of an event."""
        return cycle * NS_PER_TICK // self._machine.config.cycles_per_tick

    # --- requests ----------------------------------------------------------------------------------

    async def request(self, send: Callable[[Machine], Future[T]]) -> T:
        """Have the machine do something; its error is raised here. The next frame comes at once."""
        self.idle.clear()
        try:
            return await asyncio.wrap_future(send(self._machine))
        finally:
            self.look()

    def type(self, vm: str, data: bytes) -> None:
        """Type into a guest, as fast as its serial port takes it."""
        self._typed.setdefault(vm, bytearray()).extend(data)
        self._typed_at = time.monotonic()
        self.look()

    def resize(self, console: str, columns: int, rows: int) -> None:
        """The screen of a console has another size."""
        self._machine.resize(console, columns, rows)
        self.look()

    def select(self, vm: str, vcpu: int) -> None:
        """Look at another vCPU's registers."""
        if (vm, vcpu) != self.selected:
            self.selected = (vm, vcpu)
            self.look()

    def filter_ffa(self, endpoint: int | None) -> None:
        """Look at the FF-A calls of one endpoint, as far back as they are kept; None: of all."""
        self._ffa_endpoint, self._next_call = endpoint, 0
        self.look()

    def look(self) -> None:
        """Ask for a full frame now."""
        self.idle.clear()
        self._tables_at = self._registers_at = 0.0
        self._executed = -1
        self._wake.set()

    # --- frames --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver frames until cancelled."""
        loop = asyncio.get_running_loop()
        self._machine.ask(lambda control: self._listen(control, loop))
        used = time.thread_time()
        while True:
            try:
                frame = await self._frame()
                self._deliver(frame)
            except Exception as error:
                self._complain(f"{type(error).__name__}: {error}")
                await asyncio.sleep(1)
                continue
            spent, used = time.thread_time() - used, time.thread_time()
            await self._rest(frame, spent)

    def _listen(self, control: Control, loop: asyncio.AbstractEventLoop) -> None:
        """Have the machine's thread end a long rest when a guest prints."""

        def printed(_: bytes) -> None:
            if self._dozing:
                self._dozing = False
                loop.call_soon_threadsafe(self._wake.set)

        for vm in self._positions:
            control.console(vm).listeners.append(printed)

    async def _frame(self) -> Frame:
        self._wake.clear()
        question = self._question()
        # Both are served in the same gap between two slices; the second answers last.
        view = self._machine.view(self.parts) if self._tables_due() else None
        answer = await asyncio.wrap_future(self._machine.ask(lambda control: collect.answer(control, question)))
        if view is not None:
            self._tables_at = time.monotonic()
            self._view = view.result()
        assert self._view is not None
        return self._digest(question, answer)

    def _tables_due(self) -> bool:
        return self._view is None or time.monotonic() - self._tables_at >= _TABLES_S

    def _question(self) -> Question:
        now = time.monotonic()
        running = self.state is RunState.RUNNING
        tables = self._tables_due()
        everything = tables and not running and not self._complete
        look = not running or now - self._registers_at >= _REGISTERS_S
        registers = self.registers_visible and look
        if look:
            self._registers_at = now
        typed = self._typed.items() if now >= self._type_again_at else ()
        return Question(
            positions=tuple(self._positions.items()),
            typed=tuple((vm, bytes(data[:_TYPE_AT_ONCE])) for vm, data in typed),
            events_from=0 if everything else self._next_event,
            events_limit=KEPT_EVENTS if everything else _LIVE_EVENTS if tables else 0,
            ffa_from=self._next_call if tables and Part.FFA in self.parts else -1,
            ffa_endpoint=self._ffa_endpoint,
            registers_of=self.selected if registers else None,
            registers_at=self._executed if running else -1,
            look=self.look_for() if look else None,
        )

    def _digest(self, question: Question, answer: Answer) -> Frame:
        assert self._view is not None
        for vm, _, position in answer.consoles:
            self._positions[vm] = position
        if question.registers_of == self.selected and self._executed == question.registers_at:
            self._executed = answer.registers_at
        for vm, taken in answer.taken:
            self._forget_typed(vm, taken)
        if answer.ffa is not None and answer.ffa.endpoint == self._ffa_endpoint:
            self._next_call = answer.ffa.end
        return Frame(
            view=self._view,
            consoles=tuple((vm, data) for vm, data, _ in answer.consoles),
            events=self._batch(question, *answer.events),
            ffa=answer.ffa,
            registers=answer.registers,
            mips=self._speed.measure(self._view),
            failure=self._machine.failure,
            looked=answer.looked,
        )

    def _forget_typed(self, vm: str, taken: int) -> None:
        """The port took some bytes; a full one is tried again later."""
        del self._typed[vm][:taken]
        if not self._typed[vm]:
            del self._typed[vm]
        if not taken:
            self._type_again_at = time.monotonic() + _FULL_PORT_S

    def _batch(self, question: Question, first: int, events: list[Event]) -> EventBatch | None:
        """While guests run, the newest events; once they stand still, all that are kept."""
        gap = first > self._next_event
        self._complete = self.state is not RunState.RUNNING and (question.all_events or (self._complete and not gap))
        if not events:
            return None
        self._next_event = first + len(events)
        return EventBatch(first, tuple(events), question.all_events)

    # --- resting -------------------------------------------------------------------------------------

    async def _rest(self, frame: Frame, spent: float) -> None:
        """Wait until the next frame is worth its cost, or something asks for one."""
        if time.monotonic() - self._typed_at < _ECHO_WITHIN_S:
            if frame.consoles and not self._typed:
                self._typed_at = 0.0  # this is the echo
            await self._sleep(_ECHO_S)
        elif frame.view.state is RunState.RUNNING or self._typed:
            await self._rest_running(frame, min(spent * _SHARE, _SLOWEST_S))
        elif not self._complete:
            self._tables_at = 0.0
        else:
            if not self._wake.is_set():
                self.idle.set()
            await self._wake.wait()

    async def _rest_running(self, frame: Frame, least: float) -> None:
        busy = bool(frame.consoles or self._typed)
        if busy or (frame.events is not None and len(frame.events.events) >= _MANY_EVENTS):
            await self._sleep(max(_FRAME_S if busy else _TABLES_S, least))
            return
        self._dozing = True
        await self._sleep(_QUIET_S)
        self._dozing = False

    async def _sleep(self, delay: float) -> None:
        timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
        await self._wake.wait()
        timer.cancel()
