"""The machine as front ends hold it: a thread that runs the board, and a queue of requests to it.

Front ends never touch the system itself. They send requests, which run on the machine's thread
between two slices, and read frozen views, events and console bytes. No lock is held while guest code
runs. Pacing decides only when the thread sleeps, never what guests see.
"""

from __future__ import annotations

import enum
import queue
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from engine.build import System, build
from engine.control import Control, ControlError
from engine.debug.goals import AnyGoal
from engine.events import KEPT_EVENTS
from engine.hypervisor.virtual_time import NO_LIMIT
from engine.machine_config import MachineConfig
from engine.machine_requests import Requests
from engine.machine_wait import Waiting
from engine.views import EVERYTHING, MachineView, Part, RunState

T = TypeVar("T")

_LONGEST_LAG_S = 0.1
"""When guests are slower than the wall clock by more than this, the lost time is not made up."""
_SHORTEST_NAP_S, _LONGEST_NAP_S = 0.004, 0.05
_LISTENING_NAP_S = 0.01
"""The longest while the machine listens to a network of the host."""
_LISTENING_NS = 1_000_000
"""Virtual time between two looks for frames from the host."""


class Pace(enum.StrEnum):
    """How virtual time relates to the wall clock."""

    REAL = "real"
    """Virtual time never runs ahead of the wall clock; idle guests cost nothing."""
    MAX = "max"
    """As fast as the host can."""


class _Pacer:
    """Maps wall time to the virtual time that may be reached."""

    def __init__(self, hypervisor_ns: Callable[[], int]) -> None:
        self._virtual_ns = hypervisor_ns
        self._wall = 0.0
        self._virtual = 0
        self.rebase()

    def rebase(self) -> None:
        """From here on both clocks run together."""
        self._wall, self._virtual = time.monotonic(), self._virtual_ns()

    def allowed_ns(self) -> int:
        """Virtual nanoseconds that may have passed by now."""
        allowed = self._virtual + int((time.monotonic() - self._wall) * 1e9)
        if allowed - self._virtual_ns() > _LONGEST_LAG_S * 1e9:
            self.rebase()
            return self._virtual + int(_LONGEST_LAG_S * 1e9)
        return allowed


class Machine(Requests):
    """A machine on its own daemon thread. All methods may be called from any other thread."""

    def __init__(
        self, config: MachineConfig, *, pace: Pace = Pace.REAL, digest: bool = False, events: int = KEPT_EVENTS
    ) -> None:
        """Keeps the newest `events` events. MachineError where it cannot be built, or a host link cannot be opened."""
        self.config = config
        self._system: System = build(config, digest=digest, events=events)
        self.control = Control(self._system)
        """Only for requests (`ask`) and, while no thread runs, for tests."""
        self.control.open_links()
        self._hypervisor = self._system.hypervisor
        self._longest_nap = _LISTENING_NAP_S if self._system.host_links else _LONGEST_NAP_S
        self._pace = pace
        self._pacer = _Pacer(lambda: self._hypervisor.ns_of_cycles(self._hypervisor.now))
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._state = RunState.PAUSED
        self._detail = "powered on"
        self._limit = NO_LIMIT
        """Virtual time to pause at, in cycles."""
        self._waiting: Waiting | None = None
        self._when_held: list[Future[str]] = []
        self.failure = ""
        """Traceback of the error that ended the engine thread's running, else ""."""
        self._thread = threading.Thread(target=self._loop, name=f"machine {config.name}", daemon=True)

    # --- requests from front ends ------------------------------------------------------------------

    def start(self, running: bool = True) -> None:
        """Start the thread; guests run at once unless `running` is False."""
        if running:
            self._state, self._detail = RunState.RUNNING, ""
        self._pacer.rebase()
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Stop the thread; returns when it has stopped or after `timeout` seconds."""
        self._closing.set()
        self._ask_to_stop()
        self._requests.put(lambda: None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._give_up()
        self.control.close_links()

    def ask(self, action: Callable[[Control], T]) -> Future[T]:
        """Run `action` on the machine's thread at the next boundary; its result or error is the future's."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(action(self.control))
            except Exception as error:
                future.set_exception(error)

        self._requests.put(run)
        self._ask_to_stop()
        return future

    def pause(self) -> Future[None]:
        return self.ask(lambda _: self._halt("paused"))

    def resume(self) -> Future[None]:
        return self.ask(lambda _: self._resume())

    def run_to(self, goal: AnyGoal) -> Future[None]:
        """Run to the next event of a kind, or to text on a console, then pause."""
        return self.ask(lambda _: self._resume(goal))

    def run_to_time(self, nanoseconds: int) -> Future[None]:
        """Run to a virtual time, then pause; at once where that has passed."""
        return self.ask(lambda _: self._resume(limit=self._hypervisor.cycles_of_ns(nanoseconds)))

    def step(self, vm: str, vcpu: int) -> Future[None]:
        """Pause, and execute one instruction of one vCPU. Fails with ControlError when it cannot run."""
        return self.ask(lambda control: self._step(control, vm, vcpu))

    def step_over(self, vm: str, vcpu: int) -> Future[None]:
        """Pause and step one instruction, or run to the one after a call (BL, BLR, SVC, HVC, SMC), then pause."""
        return self.ask(lambda control: self._step_over(control, vm, vcpu))

    def finish(self, vm: str, vcpu: int) -> Future[None]:
        """Run until the function that a vCPU is in has returned, then pause."""
        return self.ask(lambda control: self._run_aimed(lambda: control.aim_out(vm, vcpu)))

    def run_to_address(self, vm: str, place: int | str) -> Future[None]:
        """Run until a vCPU of a partition comes to an address or a symbol, then pause."""
        return self.ask(lambda control: self._run_aimed(lambda: control.aim_at(vm, place)))

    def wait_for(self, goal: AnyGoal, limit_ns: int) -> Future[str]:
        """Run to a goal, at most so many virtual nanoseconds, then pause; the goal's words, once it is held there.

        Pauses, steps and breakpoints in between do not lose it. Fails with ControlError when the time is up, when
        nothing runs any more, or while something is waited for already.
        """
        future: Future[str] = Future()
        self.ask(lambda control: self._wait(control, Waiting(goal, limit_ns, future)))
        return future

    def give_up(self) -> Future[None]:
        """Wait for nothing any more: the future of `wait_for` is cancelled, and guests go on as they are."""
        return self.ask(lambda _: self._give_up())

    def held(self) -> Future[str]:
        """Done as soon as the machine stands still; the result says why it does."""
        future: Future[str] = Future()
        self.ask(lambda _: self._when_held.append(future))
        return future

    def reset(self, vm: str) -> Future[None]:
        return self.ask(lambda control: self._reset(control, vm))

    def view(self, parts: Part = EVERYTHING) -> Future[MachineView]:
        """The machine with those parts that somebody looks at."""
        return self.ask(lambda control: control.view(self._state, self._detail, parts))

    # --- on the machine's thread ----------------------------------------------------------------------

    def _ask_to_stop(self) -> None:
        self._hypervisor.stop_requested = True

    def _halt(self, detail: str) -> None:
        if self._state is RunState.RUNNING:
            self._state, self._detail = RunState.PAUSED, detail
        self._system.goals.set(None)
        self._system.breakpoints.aim(None)
        self._limit = NO_LIMIT

    def _resume(self, goal: AnyGoal | None = None, limit: int = NO_LIMIT, aimed: bool = False) -> None:
        """Let guests go on, to a goal, to a virtual time (cycles), or to where a step of the debugger ends."""
        self.control.check_goal(goal)
        if not aimed:
            self._system.breakpoints.aim(None)
        if self._state is RunState.PAUSED:
            self._state, self._detail = RunState.RUNNING, ""
            self._pacer.rebase()
        if self._state is RunState.RUNNING:
            self._hypervisor.halted, self._limit = "", limit
            self._system.goals.set(goal)

    def _step(self, control: Control, vm: str, vcpu: int) -> None:
        if self._state in (RunState.RUNNING, RunState.PAUSED):
            self._halt("stepped")
            self._detail = "stepped"
        control.step(vm, vcpu)

    def _step_over(self, control: Control, vm: str, vcpu: int) -> None:
        if not control.calls(vm, vcpu):
            self._step(control, vm, vcpu)
            return
        self._halt("stepped")
        self._run_aimed(lambda: control.aim_over(vm, vcpu))

    def _run_aimed(self, aim: Callable[[], object]) -> None:
        aim()
        self._resume(aimed=True)
        if self._state is not RunState.RUNNING:
            self._system.breakpoints.aim(None)

    def _wait(self, control: Control, waiting: Waiting) -> None:
        try:
            control.check_goal(waiting.goal)
            if self._waiting is not None:
                raise ControlError(f"waiting for {self._waiting.goal} already")
        except ControlError as error:
            waiting.fail(error)
            return
        self._resume()
        self._waiting = waiting
        waiting.until = self._hypervisor.now + self._hypervisor.cycles_of_ns(waiting.limit_ns)
        self._system.goals.wait(waiting.goal, waiting.come)

    def _settle_wait(self) -> None:
        """Tell who waits, once guests are held, that what they wait for has come or never will."""
        waiting = self._waiting
        if waiting is None:
            return
        if waiting.future.cancelled():
            self._give_up()
        elif waiting.words:
            self._waiting = None
            self._halt(waiting.words)
            waiting.done()
        elif self._state in (RunState.OFF, RunState.FAILED) or self._hypervisor.idle_until >= waiting.until:
            self._waiting = None
            self._system.goals.give_up()
            why = self._detail if self._state is RunState.FAILED else self.control.why_not(waiting.limit_ns)
            self._halt("the wait is over")
            waiting.fail(ControlError(f"waiting for {waiting.goal}: {why}"))

    def _give_up(self) -> None:
        if self._waiting is not None:
            self._system.goals.give_up()
            self._waiting.future.cancel()
            self._waiting = None

    def _reset(self, control: Control, vm: str) -> None:
        control.reset(vm)
        if self._state is RunState.OFF:
            self._state, self._detail = RunState.PAUSED, "reset"

    def _loop(self) -> None:
        """Whatever an error ends, the thread goes on to answer: what there is can still be looked at."""
        while not self._closing.is_set():
            self._hypervisor.stop_requested = False
            self._serve(block=self._state is not RunState.RUNNING)
            self._guard(self._settle_wait)
            if self._state is RunState.RUNNING and not self._closing.is_set():
                self._guard(self._run)
                self._guard(self._settle_wait)
            if self._state is not RunState.RUNNING:
                self._tell_held()

    def _tell_held(self) -> None:
        waiting, self._when_held = self._when_held, []
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(self._detail)

    def _serve(self, block: bool, timeout: float | None = None) -> None:
        """Run the requests that wait; with `block`, wait for one first."""
        try:
            if block:
                self._requests.get(timeout=timeout)()
            while True:
                self._requests.get_nowait()()
        except queue.Empty:
            return

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if not self.failure:
                self.failure = traceback.format_exc()
                self._detail = f"{type(error).__name__}: {error}"
            self._state = RunState.FAILED

    def _run(self) -> None:
        """Run guests for a while: until the wall clock is reached, or a request comes."""
        hypervisor = self._hypervisor
        until = NO_LIMIT
        if self._pace is Pace.REAL:
            until = hypervisor.cycles_of_ns(self._pacer.allowed_ns())
        until = min(until, self._limit, NO_LIMIT if self._waiting is None else self._waiting.until)
        self.control.receive_frames()
        if not hypervisor.halted:
            hypervisor.advance(min(until, self._next_listening()))
        if hypervisor.finished:
            self._state, self._detail = RunState.OFF, "; ".join(f"{vm.name}: {vm.detail}" for vm in self._system.vms)
        elif hypervisor.halted:
            self._halt(hypervisor.halted)
        elif hypervisor.now >= self._limit:
            self._halt("the time has come")
        elif self._waiting is not None and hypervisor.idle_until >= self._waiting.until:
            return
        elif hypervisor.idle_until >= NO_LIMIT and self._pace is Pace.MAX:
            self._serve(block=True, timeout=self._longest_nap if self._system.host_links else None)
        elif hypervisor.now >= until:
            self._serve(block=True, timeout=self._nap(until))

    def _next_listening(self) -> int:
        """Virtual time at which to look for frames from the host, where any may come."""
        hypervisor = self._hypervisor
        if not self._system.host_links or hypervisor.idle_until >= NO_LIMIT:
            return NO_LIMIT
        return hypervisor.now + hypervisor.cycles_of_ns(_LISTENING_NS)

    def _nap(self, until: int) -> float:
        """Seconds to sleep: while all guests wait, until the next event; a request wakes the thread anyway."""
        hypervisor = self._hypervisor
        ahead = hypervisor.ns_of_cycles(hypervisor.idle_until - until) / 1e9
        return min(max(ahead, _SHORTEST_NAP_S), self._longest_nap)
