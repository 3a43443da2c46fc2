"""Everything a person can do to a machine that stands still: look, run, step, type, inject.

Synchronous and single-threaded; `Machine` gives it a thread. Whatever changes what guests see is a
`HostInput` event, so that a run can be repeated from its machine file and its inputs alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine import observe
from engine.board import intids
from engine.control_base import ControlError
from engine.control_debug import DebugControl
from engine.control_write import WriteControl
from engine.errors import MachineError
from engine.events import HostInput, screen_number, screen_size
from engine.hypervisor.vcpu import Vcpu
from engine.hypervisor.virtual_time import NO_LIMIT
from engine.views import EVERYTHING, MachineView, Part, RegistersView, RunState, VmRunState

__all__ = ["LARGEST_SCREEN", "Control", "ControlError"]

LARGEST_SCREEN = 0xFFFF
"""Columns and rows."""


class Control(DebugControl, WriteControl):
    """One built system and the operations on it; call from one thread, between slices."""

    # --- running -------------------------------------------------------------------------------

    def advance(self, until: int) -> None:
        """Run to a virtual time in cycles, or until a stop is requested."""
        self.system.hypervisor.advance(until)

    def run_instructions(self, count: int) -> None:
        """Run until all cores together executed `count` more instructions, or none will be without input."""
        hypervisor = self.system.hypervisor
        hypervisor.advance(NO_LIMIT, hypervisor.progress + count)

    # --- input -----------------------------------------------------------------------------------

    def type(self, console_name: str, data: bytes) -> int:
        """Type into a console; returns how many bytes it took (a full port takes fewer, or none)."""
        console = self.console(console_name)
        taken = data[: console.room]
        if taken:
            self._record("type", console_name, data=taken)
            console.send(taken)
        return len(taken)

    def resize(self, console_name: str, columns: int, rows: int) -> None:
        """The screen that a console is shown on has another size, each from 1 to 65535."""
        console = self.console(console_name)
        if not (1 <= columns <= LARGEST_SCREEN and 1 <= rows <= LARGEST_SCREEN):
            raise ControlError(f"expected a size from 1x1 to {LARGEST_SCREEN}x{LARGEST_SCREEN} (got {columns}x{rows})")
        self._record("resize", console_name, number=screen_number(columns, rows))
        console.resize(columns, rows)

    def inject(self, vm_name: str, intid: int, vcpu_index: int = 0) -> None:
        """Make an SGI, PPI or SPI pending in a VM's interrupt controller."""
        vcpu = self.vcpu(vm_name, vcpu_index)
        if not 0 <= intid < intids.LIMIT:
            raise ControlError(f"expected an INTID from 0 to {intids.LIMIT - 1} (got {intid})")
        if vcpu.vm.state is not VmRunState.RUNNING:
            raise ControlError(f"{vm_name} is {vcpu.vm.state.value}: nothing can be injected")
        self._record("inject", vm_name, vcpu_index, number=intid)
        self.system.hypervisor.interrupt_raised(vcpu, intid, "injected")
        vcpu.vm.interrupts.inject(intid, vcpu_index)

    def reset(self, vm_name: str) -> None:
        """Cold reset of one VM; of the board where it owns EL2. ControlError for a secure partition."""
        vm = self.vm(vm_name)
        if vm.secure:
            raise ControlError(f"{vm_name} is secure: it starts over only when the board does")
        self._record("reset", vm_name)
        self.system.hypervisor.reset_vm(vm, "reset")

    # --- networks --------------------------------------------------------------------------------

    def plug(self, port_name: str, plugged: bool, why: str = "") -> None:
        """Put the cable of a port in, or pull it out; does nothing where it is like that already."""
        cable = self.cable(port_name)
        if cable.plugged is not plugged:
            self._record("plug" if plugged else "unplug", port_name, data=why.encode())
            cable.plug(plugged)

    def open_links(self) -> None:
        """Open the networks' links to the host. MachineError, with none of them open, where one cannot be."""
        try:
            for link in self.system.host_links:
                link.open()
        except MachineError:
            self.close_links()
            raise

    def close_links(self) -> None:
        """Give the links to the host up."""
        for link in self.system.host_links:
            link.close()

    def receive_frames(self) -> list[str]:
        """Take the frames that came from the host; one line for each link that is gone, whose cable is out then."""
        trouble = []
        for link in self.system.host_links:
            try:
                frames = link.receive()
            except MachineError as error:
                trouble.append(str(error))
                link.close()
                self.plug(link.port.name, False, str(error))
                continue
            for frame in frames:
                self.frame(link.network.name, frame)
        return trouble

    def frame(self, network_name: str, data: bytes) -> None:
        """A frame comes into a network from the host; any bytes. ControlError where it has no port to the host."""
        link = next((link for link in self.system.host_links if link.network.name == network_name), None)
        if link is None:
            raise ControlError(f"there is no network {network_name!r} with a port to the host")
        self._record("frame", network_name, data=data)
        link.port.send(data)

    # --- replaying -------------------------------------------------------------------------------

    def reach(self, cycle: int, progress: int) -> None:
        """Run on to the state that a recorded run was in at that time, after so many instructions."""
        hypervisor = self.system.hypervisor
        hypervisor.advance(cycle, progress)
        if hypervisor.now < cycle:
            # Every guest waited: time went on without instructions.
            hypervisor.advance(cycle)

    def replay(self, inputs: Iterable[HostInput]) -> None:
        """Run on, giving each recorded input at exactly the state of the machine it came into."""
        for event in inputs:
            self.reach(event.cycle, event.progress)
            self._give(event)

    def _give(self, event: HostInput) -> None:
        match event.kind.split():
            case ["type"]:
                self.type(event.vm, event.data)
            case ["resize"]:
                self.resize(event.vm, *screen_size(event.number))
            case ["inject"]:
                self.inject(event.vm, event.number, max(0, event.vcpu))
            case ["step"]:
                self.step(event.vm, event.vcpu)
            case ["reset"]:
                self.reset(event.vm)
            case ["frame"]:
                self.frame(event.vm, event.data)
            case ["plug" | "unplug" as plug]:
                self.plug(event.vm, plug == "plug", event.data.decode())
            case _:
                self.give_change(event)

    # --- looking -----------------------------------------------------------------------------------

    def view(self, state: RunState, detail: str, parts: Part = EVERYTHING) -> MachineView:
        """The machine with those parts that somebody looks at."""
        return observe.machine_view(self.system, state, detail, parts)

    def registers(self, vm_name: str, vcpu_index: int) -> RegistersView:
        return observe.registers_view(self.vcpu(vm_name, vcpu_index), self.system.config.cycles_per_tick)

    def memory(self, vm_name: str, vcpu_index: int, address: int, size: int, space: str = "va") -> bytes:
        """`size` bytes (at most 64 KB); `space` is a vCPU's virtual "va", its VM's "ipa" or the board's "pa"."""
        return observe.read_memory(self.vcpu(vm_name, vcpu_index), address, size, space)

    def digest(self) -> str:
        """SHA-256 over every event and the final registers of every vCPU."""
        return self.system.events.hexdigest(*(observe.register_bytes(vcpu) for vcpu in self._vcpus()))

    def _vcpus(self) -> list[Vcpu]:
        return [vcpu for vm in self.system.partitions for vcpu in vm.vcpus]
