"""Emulated device accesses: from a stage-2 data abort to a device register and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.arch import loadstore
from engine.arch.esr import EC, DataAbort
from engine.arch.loadstore import LoadStore, Transfer
from engine.board.bus import Device
from engine.cpu.state import XZR
from engine.events import Trap

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.vcpu import Vcpu

_MASK64 = (1 << 64) - 1


def extended(value: int, size: int, sign_extend: bool, sixty_four: bool) -> int:
    """A value of `size` bytes as a load leaves it in a general register."""
    bits = 8 * size
    value &= (1 << bits) - 1
    if sign_extend and value >> (bits - 1):
        value |= _MASK64 << bits
    return value & (_MASK64 if sixty_four else 0xFFFF_FFFF)


class MisalignedError(Exception):
    """The access is not aligned to its size, which Device memory does not allow (Arm ARM B2.8.2)."""


class Mmio:
    """Serves data aborts on addresses where a VM's devices are."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._names: dict[tuple[str, int, bool], str] = {}

    def access(self, vcpu: Vcpu, abort: DataAbort, ipa: int) -> bool:
        """Emulate the access at PC and step over it; False when no device can take it. Raises MisalignedError."""
        if abort.cache_maintenance:
            return self._maintenance(vcpu, ipa)
        word = vcpu.vm.core.instruction()
        if word is None:
            return False
        # The model claims a valid syndrome for pre- and post-indexed accesses too, which have none (D17.2.37).
        if abort.valid and not loadstore.writes_back(word):
            return self._described(vcpu, abort, ipa)
        access = loadstore.decode(word)
        return access is not None and self.emulate(vcpu, access, ipa)

    def _described(self, vcpu: Vcpu, abort: DataAbort, ipa: int) -> bool:
        size, register = abort.size, abort.register
        found = vcpu.vm.bus.find(ipa, size)
        if found is None:
            return False
        if ipa % size:
            raise MisalignedError
        state = vcpu.vm.core.state
        if abort.write:
            value = 0 if register == XZR else state.x[register]
            self._store(vcpu, *found, size, value)
        else:
            value = extended(self._load(vcpu, *found, size), size, abort.sign_extend, abort.sixty_four)
            if register != XZR:
                state.x[register] = value
        state.pc += 4
        return True

    def _maintenance(self, vcpu: Vcpu, ipa: int) -> bool:
        """Cache maintenance by address has nothing to do on a device."""
        if vcpu.vm.bus.find(ipa, 1) is None:
            return False
        vcpu.vm.core.state.pc += 4
        return True

    def emulate(self, vcpu: Vcpu, access: LoadStore, ipa: int) -> bool:
        """Carry out a decoded access and step over it; False when no device can take it. Raises MisalignedError."""
        found = [vcpu.vm.bus.find(ipa + part.offset, part.size) for part in access.transfers]
        if not all(found):
            return False
        if ipa % access.transfers[0].size:
            raise MisalignedError
        state = vcpu.vm.core.state
        for part, place in zip(access.transfers, found, strict=True):
            if place is not None:
                self._transfer(vcpu, part, *place)
        if access.writeback is not None:
            state.x[access.base] = (state.x[access.base] + access.writeback) & _MASK64
        state.pc += 4
        return True

    def _transfer(self, vcpu: Vcpu, part: Transfer, device: Device, offset: int) -> None:
        """Move one register; vectors go in chunks of up to 8 bytes."""
        chunk = min(part.size, 8)
        steps = range(0, part.size, chunk)
        if part.load:
            parts = (self._load(vcpu, device, offset + n, chunk) << 8 * n for n in steps)
            self._set(vcpu, part, sum(parts))
            return
        value = self._get(vcpu, part)
        for n in steps:
            self._store(vcpu, device, offset + n, chunk, value >> 8 * n)

    def _set(self, vcpu: Vcpu, part: Transfer, value: int) -> None:
        if part.vector:
            vcpu.vm.core.write_vector(part.register, value)
        elif part.register != XZR:
            vcpu.vm.core.state.x[part.register] = extended(value, part.size, part.sign_extend, part.sixty_four)

    def _get(self, vcpu: Vcpu, part: Transfer) -> int:
        if part.vector:
            return vcpu.vm.core.read_vector(part.register)
        return 0 if part.register == XZR else vcpu.vm.core.state.x[part.register]

    def _load(self, vcpu: Vcpu, device: Device, offset: int, size: int) -> int:
        value = device.read(offset, size) & (1 << 8 * size) - 1
        self._report(vcpu, device, offset, False, value)
        return value

    def _store(self, vcpu: Vcpu, device: Device, offset: int, size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        self._report(vcpu, device, offset, True, value)
        device.write(offset, size, value)

    def _report(self, vcpu: Vcpu, device: Device, offset: int, write: bool, value: int) -> None:
        key = (device.name, offset, write)
        name = self._names.get(key)
        if name is None:
            name = f"{'write' if write else 'read'} {device.name} {device.register(offset)}"
            self._names[key] = name
        pcore, vm = vcpu.pcore, vcpu.vm
        event = Trap(pcore.now, vm.name, vcpu.index, EC.DATA_ABORT_LOWER, vm.core.state.pc, name, value)
        self._hypervisor.events.emit(event)
