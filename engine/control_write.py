"""What a debugger changes: registers, memory, and whether a VM is on. Each change is a recorded input."""

from __future__ import annotations

from typing import Final

from engine.arch.controls import PSTATE_DAIF, PSTATE_EL0T, PSTATE_EL1H, PSTATE_EL2H
from engine.arch.sysreg import SysReg
from engine.control_base import ControlBase, ControlError
from engine.debug.pages import pieces
from engine.debug.registers import general
from engine.errors import MachineError
from engine.events import HostInput
from engine.hypervisor.vcpu import Vcpu
from engine.monitor.payload import Payload
from engine.views import VmRunState

LARGEST_WRITE: Final = 4096
"""Bytes of one change of memory."""
_NZCV = 0xF000_0000
_MODE = 0x1F
_EL1T = PSTATE_EL1H & _MODE & ~1
_EL2T = PSTATE_EL2H & _MODE & ~1
_SP = 31
_TRANSLATION = frozenset({SysReg.TTBR0_EL1, SysReg.TTBR1_EL1, SysReg.TCR_EL1, SysReg.MAIR_EL1})
_PLAIN = _TRANSLATION | {
    SysReg.ELR_EL1,
    SysReg.SPSR_EL1,
    SysReg.ESR_EL1,
    SysReg.FAR_EL1,
    SysReg.VBAR_EL1,
    SysReg.CONTEXTIDR_EL1,
    SysReg.TPIDR_EL0,
    SysReg.TPIDRRO_EL0,
    SysReg.TPIDR_EL1,
    SysReg.CPACR_EL1,
}
"""System registers whose writes have no effect but on what uses them."""


class WriteControl(ControlBase):
    """Secure partitions are no exception: this is the debugger of the whole board."""

    def write_register(self, vm_name: str, vcpu_index: int, name: str, value: int) -> None:
        """Set X0-X30, SP, PC, PSTATE, SP_EL0, SP_EL1 or a plain EL1 register, by its name in any case of letters.

        ControlError for a value that it cannot have. The new state is what the vCPU runs on with.
        """
        vcpu = self.vcpu(vm_name, vcpu_index)
        register = name.strip().upper()
        _check(vcpu, register, value)
        self._record("register", vm_name, vcpu_index, register.encode(), value)
        vcpu.vm.load(vcpu)
        _write(vcpu, register, value)

    def write_memory(self, vm_name: str, vcpu_index: int, address: int, data: bytes, space: str = "va") -> None:
        """Store up to 4096 bytes in RAM; `space` is a vCPU's virtual "va", its partition's "ipa" or the board's "pa".

        Permissions do not matter, as for any debugger. ControlError, with nothing stored, where some of it is no RAM
        that the partition's security state sees.
        """
        vcpu = self.vcpu(vm_name, vcpu_index)
        if not 1 <= len(data) <= LARGEST_WRITE:
            raise ControlError(f"expected 1 to {LARGEST_WRITE} bytes (got {len(data)})")
        if not 0 <= address <= (1 << 64) - len(data):
            raise ControlError(f"expected a 64-bit address (got {address:#x})")
        pieces = _pieces(vcpu, address, len(data), space)
        self._record(f"write {space}", vm_name, vcpu_index, data, address)
        begin = 0
        for physical, length in pieces:
            vcpu.vm.memory.write(physical, data[begin : begin + length])
            begin += length
        self._forget(pieces)

    def _forget(self, pieces: list[tuple[int, int]]) -> None:
        """Code and translation tables that were there are not what engines remember of them."""
        for partition in self.system.partitions:
            seen = [piece for piece in pieces if partition.memory.contains(*piece)]
            if seen:
                partition.core.drop_code(seen)
                partition.core.flush_tlb()

    def give_change(self, event: HostInput) -> None:
        """Make a recorded change again. ControlError for an input of any other kind."""
        match event.kind.split():
            case ["off"]:
                self.power_off(event.vm)
            case ["register"]:
                self.write_register(event.vm, event.vcpu, event.data.decode(), event.number)
            case ["write", space]:
                self.write_memory(event.vm, event.vcpu, event.number, event.data, space)
            case _:
                raise ControlError(f"expected an input that can be given again (got {event.kind!r})")

    def power_off(self, vm_name: str) -> None:
        """A VM is off at once, as by SYSTEM_OFF. ControlError where it is so already, or for a secure partition."""
        vm = self.vm(vm_name)
        if vm.secure:
            raise ControlError(f"{vm_name} is secure: it ends only with the board")
        if vm.state is not VmRunState.RUNNING:
            raise ControlError(f"{vm_name} is {vm.state.value} already")
        self._record("off", vm_name)
        self.system.hypervisor.stop_vm(vm, VmRunState.OFF, "powered off")


def _pieces(vcpu: Vcpu, address: int, size: int, space: str) -> list[tuple[int, int]]:
    """(physical address, bytes) of a range, cut where pages end."""
    vcpu.vm.load(vcpu)
    found = []
    try:
        for piece in pieces(vcpu, address, size, space):
            if piece.physical is None:
                raise ControlError(f"there is no RAM at {space} {piece.address:#x}")
            found.append((piece.physical, piece.size))
    except MachineError as error:
        raise ControlError(str(error)) from None
    return found


def _check(vcpu: Vcpu, name: str, value: int) -> None:
    numbered = general(name)
    known = name in ("SP", "PC", "PSTATE", "SP_EL0", "SP_EL1") or name in {key.name for key in _PLAIN}
    if not known and (numbered is None or name[0] != "X"):
        raise ControlError(f"expected X0 to X30, SP, PC, PSTATE or a plain EL1 register (got {name!r})")
    if not 0 <= value < 1 << 64:
        raise ControlError(f"expected a 64-bit value for {name} (got {value:#x})")
    if name == "PC" and value % 4:
        raise ControlError(f"expected a multiple of 4 for PC (got {value:#x})")
    if name == "PSTATE":
        _check_pstate(vcpu, value)


def _check_pstate(vcpu: Vcpu, value: int) -> None:
    """Flags, masks, and a mode that the partition can be in (Arm ARM C5.2.18)."""
    modes = {PSTATE_EL0T & _MODE}
    if not vcpu.vm.user:
        modes |= {_EL1T, PSTATE_EL1H & _MODE}
    if isinstance(vcpu.vm, Payload):
        modes |= {_EL2T, PSTATE_EL2H & _MODE}
    if value & ~(_NZCV | PSTATE_DAIF | _MODE) or value & _MODE not in modes:
        names = ", ".join(f"{mode:#x}" for mode in sorted(modes))
        raise ControlError(f"expected flags, interrupt masks and a mode of {names} for PSTATE (got {value:#x})")


def _write(vcpu: Vcpu, name: str, value: int) -> None:
    """To the engine, where the vCPU is."""
    core = vcpu.vm.core
    state = core.state
    numbered = general(name)
    if numbered is not None:
        state.x[numbered[0]] = value
    elif name == "SP":
        state.x[_SP] = value
    elif name == "PC":
        state.pc = value
    elif name == "PSTATE":
        _write_pstate(vcpu, value)
    elif name in ("SP_EL0", "SP_EL1"):
        level = int(name[-1])
        state.sp_el[level] = value
        if level == (state.el if state.spsel else 0):
            state.x[_SP] = value
    else:
        core.write(SysReg[name], value)
        if SysReg[name] in _TRANSLATION:
            core.flush_tlb()


def _write_pstate(vcpu: Vcpu, value: int) -> None:
    """The stack pointer in use goes with the mode; an interrupt that is no longer masked is taken next."""
    core = vcpu.vm.core
    state = core.state
    state.sp_el[state.el if state.spsel else 0] = state.x[_SP]
    core.pstate = value
    state.x[_SP] = state.sp_el[state.el if state.spsel else 0]
    vcpu.interrupts_changed = vcpu.interrupts_new = True
