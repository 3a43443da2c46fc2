"""Notification calls of partitions and VMs, and what they leave in registers and interrupt controllers."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ffa.abi import Function, id_pair
from engine.ffa.notification_info import IdList, unpack_info
from tests.unit.engine.spmc.standing import HYPERVISOR, Standing, status

CREATE, DESTROY = Function.NOTIFICATION_BITMAP_CREATE, Function.NOTIFICATION_BITMAP_DESTROY
SET, GET, INFO = Function.NOTIFICATION_SET, Function.NOTIFICATION_GET, Function.NOTIFICATION_INFO_GET_64
NPI, SRI = 8, 9
PER_VCPU, DELAY = 1, 2
FROM_SP, FROM_VM, FROM_SPM, FROM_HYPERVISOR = 1, 2, 4, 8
ALL = 15


def bind(machine: Standing, sender: int, receiver: int, bitmap: int, flags: int = 0, caller: int | None = None) -> int:
    words = (id_pair(sender, receiver), flags, bitmap & 0xFFFF_FFFF, bitmap >> 32)
    return machine.status(receiver if caller is None else caller, Function.NOTIFICATION_BIND, *words)


def unbind(machine: Standing, sender: int, receiver: int, bitmap: int, caller: int | None = None) -> int:
    words = (id_pair(sender, receiver), 0, bitmap & 0xFFFF_FFFF, bitmap >> 32)
    return machine.status(receiver if caller is None else caller, Function.NOTIFICATION_UNBIND, *words)


def notify(
    machine: Standing, sender: int, receiver: int, bitmap: int, flags: int = 0, caller: int | None = None
) -> int:
    words = (id_pair(sender, receiver), flags, bitmap & 0xFFFF_FFFF, bitmap >> 32)
    return machine.status(sender if caller is None else caller, SET, *words)


def take(machine: Standing, receiver: int, flags: int = ALL, vcpu: int = 0, core: int = 0) -> Sequence[int]:
    """Bitmaps from SPs, from VMs, and of the framework."""
    x = machine.call(receiver, GET, vcpu << 16 | receiver, flags, core=core)
    assert status(x) == 0, status(x)
    assert x[1] == 0
    return [x[2] | x[3] << 32, x[4] | x[5] << 32, x[6] | x[7] << 32]


def news(machine: Standing) -> tuple[IdList, ...]:
    x = machine.call(HYPERVISOR, INFO)
    assert status(x) == 0
    assert x[0] == Function.SUCCESS_64
    lists, more = unpack_info(x[2:8], wide=True)
    assert not more
    return lists


def sri(machine: Standing) -> bool:
    """Whether the scheduler in the normal world has been told since this was last asked."""
    gic = machine.bench.vm.interrupts
    pending = SRI in gic.pending(0)
    machine.bench.vm.vgic.gicr.write(0x1_0000 + 0x280, 4, 1 << SRI)
    assert SRI not in gic.pending(0)
    return pending
