"""The debugger's part of what can be done: steps, breakpoints, watchpoints, runs to a goal, expressions."""

from __future__ import annotations

from engine.control_base import ControlBase, ControlError
from engine.debug import conditions, stepping
from engine.debug.conditions import Expression, ExpressionError
from engine.debug.goals import AnyGoal, ConsoleText
from engine.debug.registers import VcpuScope
from engine.debug.stops import AccessKind, Breakpoint, Space, Stop, Watchpoint
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.virtual_time import NO_LIMIT

LARGEST_WATCH = 4096
"""Bytes of one watchpoint."""


class DebugControl(ControlBase):
    """None of this changes what guests see, but for a forced step of a vCPU whose turn it is not."""

    # --- steps -----------------------------------------------------------------------------------

    def step(self, vm_name: str, vcpu_index: int) -> None:
        """Execute exactly one instruction of one vCPU. ControlError when it cannot run."""
        vcpu = self._runnable(vm_name, vcpu_index)
        if vcpu.pcore.current is not vcpu:
            self._record("step", vm_name, vcpu_index)
        breakpoints = self.system.breakpoints
        breakpoints.muted = True
        try:
            self.system.hypervisor.step(vcpu)
        finally:
            breakpoints.muted = False

    def _runnable(self, vm_name: str, vcpu_index: int) -> Vcpu:
        vcpu = self.vcpu(vm_name, vcpu_index)
        if not vcpu.runnable:
            raise ControlError(f"{vm_name}/{vcpu_index} cannot step: it is {vcpu.state.value}")
        return vcpu

    def calls(self, vm_name: str, vcpu_index: int) -> bool:
        """Whether a vCPU is about to make a call: BL, BLR, SVC, HVC or SMC. ControlError when it cannot run."""
        return stepping.over(self._runnable(vm_name, vcpu_index)) is not None

    def aim_over(self, vm_name: str, vcpu_index: int) -> bool:
        """Have the next run end after the call that a vCPU is about to make; False, and nothing, if it makes none."""
        target = stepping.over(self._runnable(vm_name, vcpu_index))
        if target is not None:
            self.system.breakpoints.aim(target)
        return target is not None

    def aim_out(self, vm_name: str, vcpu_index: int) -> None:
        """Have the next run end where the function that a vCPU is in has returned."""
        try:
            target = stepping.out(self.vcpu(vm_name, vcpu_index), self.system.hypervisor.cycles_per_tick)
        except stepping.SteppingError as error:
            raise ControlError(str(error)) from None
        self.system.breakpoints.aim(target)

    def aim_at(self, vm_name: str, place: int | str) -> None:
        """Have the next run end where a vCPU of a partition comes to an address or a symbol."""
        self.system.breakpoints.aim(stepping.to(self.vm(vm_name), self._instruction(vm_name, place)))

    def step_over(self, vm_name: str, vcpu_index: int, until: int = NO_LIMIT) -> str:
        """One instruction of one vCPU; a BL, BLR, SVC, HVC or SMC with all that it leads to, other vCPUs included.

        Returns what held the machine: "stepped over: ...", a breakpoint that came first, or "" for a single step and
        where `until` (cycles) came first.
        """
        if self.aim_over(vm_name, vcpu_index):
            return self.run_on(until)
        self.step(vm_name, vcpu_index)
        return ""

    def finish(self, vm_name: str, vcpu_index: int, until: int = NO_LIMIT) -> str:
        """Run until the function that a vCPU is in has returned; what held the machine, as `step_over`."""
        self.aim_out(vm_name, vcpu_index)
        return self.run_on(until)

    def run_to_address(self, vm_name: str, place: int | str, until: int = NO_LIMIT) -> str:
        """Run until a vCPU of a partition comes to an address or a symbol; what held the machine, as `step_over`."""
        self.aim_at(vm_name, place)
        return self.run_on(until)

    # --- breakpoints and watchpoints ---------------------------------------------------------------

    def add_breakpoint(
        self, vm_name: str, place: int | str, condition: str = "", *, ignore: int = 0, temporary: bool = False
    ) -> Breakpoint:
        """Hold the machine whenever a vCPU of a partition is about to execute at a virtual address.

        The place may be a number, a symbol, or a symbol and an offset, `guest_main+0x10`. It counts only where the
        condition holds, for that vCPU before that instruction, and `ignore` times more it does not stop.
        """
        address = self._instruction(vm_name, place)
        breakpoints = self.system.breakpoints
        parsed = self._condition(vm_name, condition)
        made = Breakpoint(breakpoints.next_number(), vm_name, address, parsed, _count(ignore), temporary=temporary)
        return breakpoints.add(made)

    def add_watchpoint(
        self,
        vm_name: str,
        place: int | str,
        size: int = 8,
        access: AccessKind | str = AccessKind.WRITE,
        space: Space | str = Space.VA,
        condition: str = "",
        *,
        ignore: int = 0,
        temporary: bool = False,
    ) -> Watchpoint:
        """Hold the machine right after an instruction that accessed memory: "r", "w" or "rw", 1 to 4096 bytes.

        In the space "va" it is memory of one partition, at a number or a symbol; in "pa" it is the board's, whoever
        of the partitions accesses it (`vm_name` only says whose symbols are meant). The condition sees the vCPU after
        the instruction. Guest code everywhere becomes slower while there is one.
        """
        try:
            kind, where = AccessKind(access), Space(space)
        except ValueError:
            raise ControlError(f"expected r, w or rw, and va or pa (got {access!r} and {space!r})") from None
        address = place if isinstance(place, int) else self.address(vm_name, place)
        if not 1 <= size <= LARGEST_WATCH or not 0 <= address <= (1 << 64) - size:
            raise ControlError(f"expected 1 to {LARGEST_WATCH} bytes of 64-bit addresses (got {size} at {address:#x})")
        breakpoints = self.system.breakpoints
        made = Watchpoint(
            breakpoints.next_number(),
            self.vm(vm_name).name if where is Space.VA else "",
            address,
            self._condition(vm_name, condition),
            _count(ignore),
            temporary=temporary,
            size=size,
            access=kind,
            space=where,
        )
        return breakpoints.add(made)

    def change_breakpoint(
        self, number: int, *, condition: str | None = None, ignore: int | None = None, enabled: bool | None = None
    ) -> None:
        """Change a breakpoint or watchpoint; None leaves a thing as it is, the condition "" takes it away."""
        stop = self._stop(number)
        parsed = stop.condition
        if condition is not None:
            parsed = self._condition(stop.vm or self.system.partitions[0].name, condition)
        if ignore is not None:
            stop.ignore = _count(ignore)
        stop.condition = parsed
        if enabled is not None and enabled is not stop.enabled:
            stop.enabled = enabled
            self.system.breakpoints.arm(stop)

    def remove_breakpoint(self, number: int) -> None:
        """A breakpoint or a watchpoint; ControlError if there is none of this number."""
        self._stop(number)
        self.system.breakpoints.remove(number)

    def _stop(self, number: int) -> Stop:
        try:
            return self.system.breakpoints[number]
        except KeyError:
            numbers = ", ".join(str(each.number) for each in self.system.breakpoints) or "none"
            raise ControlError(f"there is no breakpoint {number} (set: {numbers})") from None

    def _instruction(self, vm_name: str, place: int | str) -> int:
        """The address of an instruction of a partition."""
        self.vm(vm_name)
        address = place if isinstance(place, int) else self.address(vm_name, place)
        if not 0 <= address < 1 << 64 or address % 4:
            raise ControlError(f"expected the address of an instruction, a multiple of 4 (got {address:#x})")
        return address

    def _condition(self, vm_name: str, text: str) -> Expression | None:
        """Parsed, with names that the partition has; None for no text."""
        if not text.strip():
            return None
        try:
            parsed = conditions.parse(text)
        except ExpressionError as error:
            raise ControlError(str(error)) from None
        self._check_names(self.vcpu(vm_name, 0), parsed)
        return parsed

    def _check_names(self, vcpu: Vcpu, parsed: Expression) -> None:
        scope = VcpuScope(vcpu, self.system.hypervisor.cycles_per_tick)
        for name in conditions.names(parsed.tree):
            if scope.value(name) is None:
                raise ControlError(f"expected a register, or a symbol of {vcpu.vm.name} (got {name!r})")

    def evaluate(self, vm_name: str, vcpu_index: int, text: str) -> int:
        """The value of an expression (see engine.debug.conditions) for a vCPU, 0 to 2^64 - 1."""
        vcpu = self.vcpu(vm_name, vcpu_index)
        try:
            parsed = conditions.parse(text)
            self._check_names(vcpu, parsed)
            return parsed.evaluate(VcpuScope(vcpu, self.system.hypervisor.cycles_per_tick))
        except ExpressionError as error:
            raise ControlError(str(error)) from None

    # --- runs to a goal ------------------------------------------------------------------------------

    def run_on(self, until: int, goal: AnyGoal | None = None) -> str:
        """Run until something holds the machine, or to a virtual time in cycles; what held it, or "".

        That is a breakpoint, a watchpoint, this goal, one that is waited for, or where a step of the debugger ends.
        """
        self.check_goal(goal)
        hypervisor, goals = self.system.hypervisor, self.system.goals
        hypervisor.halted, hypervisor.stop_requested = "", False
        goals.set(goal)
        try:
            hypervisor.advance(until)
        finally:
            goals.set(None)
            self.system.breakpoints.aim(None)
            hypervisor.stop_requested = False
        return hypervisor.halted

    def wait_for(self, goal: AnyGoal, limit_ns: int) -> str:
        """Run until a goal is reached, at most so many virtual nanoseconds; its words, with the machine held there.

        ControlError where the time is up, nothing runs any more, or something else holds the machine first.
        """
        hypervisor, goals = self.system.hypervisor, self.system.goals
        self.check_goal(goal)
        reached: list[str] = []
        hypervisor.halted, hypervisor.stop_requested = "", False
        end = hypervisor.now + hypervisor.cycles_of_ns(limit_ns)
        goals.wait(goal, reached.append)
        try:
            hypervisor.advance(end)
        finally:
            goals.give_up()
            hypervisor.stop_requested = False
        if not reached:
            raise ControlError(f"waiting for {goal}: {hypervisor.halted or self.why_not(limit_ns)}")
        return reached[0]

    def why_not(self, limit_ns: int) -> str:
        """What became of a wait that ended without its goal."""
        if self.system.hypervisor.finished:
            return "every guest is off"
        return f"it did not come within {limit_ns / 1e9:.9g} s"

    def check_goal(self, goal: AnyGoal | None) -> None:
        """ControlError for a console that there is not."""
        if isinstance(goal, ConsoleText) and goal.console is not None:
            self.console(goal.console)


def _count(ignore: int) -> int:
    if not 0 <= ignore < 1 << 32:
        raise ControlError(f"expected how many hits to ignore, from 0 (got {ignore})")
    return ignore
