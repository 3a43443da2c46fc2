"""Requests to a machine that need nothing of its thread but to be served there: most of what can be done to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from engine.control import Control
from engine.debug.stops import AccessKind, Breakpoint, Space, Watchpoint
from engine.events import Event
from engine.views import RegistersView

T = TypeVar("T")


class Requests(ABC):
    """Each is the operation of the same name in `Control`; its result or error is the future's."""

    @abstractmethod
    def ask(self, action: Callable[[Control], T]) -> Future[T]:
        """Run `action` on the machine's thread at the next boundary; its result or error is the future's."""

    def inject(self, vm: str, intid: int, vcpu: int = 0) -> Future[None]:
        return self.ask(lambda control: control.inject(vm, intid, vcpu))

    def type(self, vm: str, data: bytes) -> Future[int]:
        """Type into a console; the result is how many bytes it took."""
        return self.ask(lambda control: control.type(vm, data))

    def resize(self, console: str, columns: int, rows: int) -> Future[None]:
        """The screen that a console is shown on has another size."""
        return self.ask(lambda control: control.resize(console, columns, rows))

    def add_breakpoint(
        self, vm: str, place: int | str, condition: str = "", *, ignore: int = 0, temporary: bool = False
    ) -> Future[Breakpoint]:
        """Pause whenever a vCPU of a partition is about to execute at a virtual address, or at a symbol."""
        return self.ask(
            lambda control: control.add_breakpoint(vm, place, condition, ignore=ignore, temporary=temporary)
        )

    def add_watchpoint(
        self,
        vm: str,
        place: int | str,
        size: int = 8,
        access: AccessKind | str = AccessKind.WRITE,
        space: Space | str = Space.VA,
        condition: str = "",
        *,
        ignore: int = 0,
        temporary: bool = False,
    ) -> Future[Watchpoint]:
        """Pause right after an instruction that accessed memory; see `Control.add_watchpoint`."""
        return self.ask(
            lambda control: control.add_watchpoint(
                vm, place, size, access, space, condition, ignore=ignore, temporary=temporary
            )
        )

    def change_breakpoint(
        self, number: int, *, condition: str | None = None, ignore: int | None = None, enabled: bool | None = None
    ) -> Future[None]:
        """Change a breakpoint or watchpoint; None leaves a thing as it is."""
        return self.ask(
            lambda control: control.change_breakpoint(number, condition=condition, ignore=ignore, enabled=enabled)
        )

    def remove_breakpoint(self, number: int) -> Future[None]:
        return self.ask(lambda control: control.remove_breakpoint(number))

    def evaluate(self, vm: str, vcpu: int, text: str) -> Future[int]:
        """The value of an expression for a vCPU."""
        return self.ask(lambda control: control.evaluate(vm, vcpu, text))

    def write_register(self, vm: str, vcpu: int, name: str, value: int) -> Future[None]:
        return self.ask(lambda control: control.write_register(vm, vcpu, name, value))

    def write_memory(self, vm: str, vcpu: int, address: int, data: bytes, space: str = "va") -> Future[None]:
        return self.ask(lambda control: control.write_memory(vm, vcpu, address, data, space))

    def power_off(self, vm: str) -> Future[None]:
        return self.ask(lambda control: control.power_off(vm))

    def registers(self, vm: str, vcpu: int) -> Future[RegistersView]:
        return self.ask(lambda control: control.registers(vm, vcpu))

    def memory(self, vm: str, vcpu: int, address: int, size: int, space: str = "va") -> Future[bytes]:
        return self.ask(lambda control: control.memory(vm, vcpu, address, size, space))

    def events_since(self, sequence: int, limit: int = 5000) -> Future[tuple[int, list[Event]]]:
        """(sequence number of the first, events): the newest at most `limit` events from `sequence` on."""
        return self.ask(lambda control: control.system.events.window(sequence, limit))

    def console_since(self, vm: str, position: int) -> Future[tuple[bytes, int]]:
        """What a partition printed from a byte position on, and the position after it."""
        return self.ask(lambda control: control.console(vm).since(position))
