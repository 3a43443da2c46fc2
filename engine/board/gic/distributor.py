"""The GIC distributor: SPIs, their routing, and what each PE should be told next (IHI0069 12.9).

Affinity routing only. With `security=False` there is one security state (GICD_CTLR.DS is 1), which is what a
virtual machine sees. With `security=True` every access says from which state it comes and Non-secure ones get
the Non-secure view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.board.gic import control, routing
from engine.board.gic.interrupts import (
    ALL_GROUPS,
    FIRST_SPI,
    NOTHING,
    PRIVATE,
    SPECIAL,
    SPIS,
    BankState,
    InterruptBank,
    members_of,
)
from engine.board.gic.redistributor import (
    IIDR,
    PIDR2,
    Redistributor,
    RedistributorRegion,
    RedistributorState,
    private_bank,
)
from engine.board.gic.registers import ARRAYS_BEGIN, ARRAYS_END, lanes, read_array, write_array
from engine.board.gic.routing import Routing, RoutingState
from engine.board.gic.sgi import groups_reached, intid_of, targets

_UNKNOWN = -1

DistributorState: TypeAlias = tuple[int, tuple[int, ...], BankState, RoutingState, tuple[RedistributorState, ...]]


class Distributor:
    """A GIC of `pes` processing elements (affinities 0.0.0.n) with `spis` SPIs, 32 to 988 in steps of 32.

    `on_change(pe)` is called whenever the interrupts that PE `pe` should see may have changed.
    """

    name = "GICD"
    size = 0x10000

    def __init__(
        self,
        pes: int,
        spis: int = SPIS,
        security: bool = False,
        on_change: Callable[[int], None] = lambda _: None,
        group1: bool = False,
    ) -> None:
        """`group1`: interrupts are in Group 1 after reset (IGROUPR reads as ones)."""
        self.pes = pes
        self.security = security
        self.enables = 0
        """Group enables of GICD_CTLR."""
        self.spi = InterruptBank(FIRST_SPI, min(spis, SPECIAL - FIRST_SPI), security, group1)
        self.routing = Routing(self.spi.mask, pes)
        self.redistributors = [
            Redistributor(pe, pe == pes - 1, private_bank(security, group1), self.changed) for pe in range(pes)
        ]
        self.region = RedistributorRegion(self.redistributors)
        """The redistributors as one bus device."""
        self._on_change = on_change
        self._cpu_groups = [0] * pes
        self._highest = [_UNKNOWN] * pes

    def reset(self) -> None:
        """Everything but input lines and CPU interfaces returns to its reset value."""
        self.enables = 0
        self.spi.reset()
        self.routing.reset()
        for redistributor in self.redistributors:
            redistributor.reset()
        self._all_changed()

    def bank(self, intid: int, pe: int) -> InterruptBank | None:
        """The bank that holds an INTID as seen by `pe`, None when there is no such interrupt."""
        bank = self.redistributors[pe].bank if intid < FIRST_SPI else self.spi
        return bank if bank.holds(intid) else None

    def existing(self, intid: int, pe: int) -> InterruptBank:
        """The bank that holds an INTID as seen by `pe`. Raises ValueError when there is no such interrupt."""
        bank = self.bank(intid, pe)
        if bank is None:
            raise ValueError(f"interrupt {intid} does not exist")
        return bank

    def changed(self, pe: int) -> None:
        """What `pe` should see may be different now: forget the cached answer and say so."""
        self._highest[pe] = _UNKNOWN
        self._on_change(pe)

    def set_line(self, intid: int, level: bool, pe: int = 0) -> None:
        """Drive the input line of a PPI of `pe` or of an SPI. Raises ValueError for an INTID without a line."""
        bank = self.existing(intid, pe)
        if bank.set_line(intid, level):
            self._interrupt_changed(intid, pe)

    def set_pending(self, intid: int, pe: int = 0) -> None:
        """Latch an interrupt as pending, like a write to ISPENDR. Raises ValueError for an unknown INTID."""
        self.existing(intid, pe).latch |= 1 << intid
        self._interrupt_changed(intid, pe)

    def ready(self, pe: int) -> int:
        """Bitmap of what may be signalled to `pe` now, 1-of-N interrupts at the lowest PE that takes them."""
        groups = self.enables & self._cpu_groups[pe]
        found = self.redistributors[pe].bank.ready(groups)
        shared = self.spi.ready(groups)
        return found | shared & self._routed(pe, groups) if shared else found

    def highest(self, pe: int) -> int:
        """Candidate key (priority << 10 | INTID) of the highest priority pending interrupt, else NOTHING."""
        key = self._highest[pe]
        if key == _UNKNOWN:
            ready = self.ready(pe)
            key = min(self._keys(pe, ready)) if ready else NOTHING
            self._highest[pe] = key
        return key

    def ready_keys(self, pe: int, limit: int) -> list[int]:
        """The candidate keys of the `limit` most urgent interrupts for `pe`, most urgent first."""
        ready = self.ready(pe)
        if not ready:
            return []
        keys = self._keys(pe, ready)
        keys.sort()
        return keys[:limit]

    def acknowledge(self, pe: int, intid: int) -> None:
        """`pe` took the interrupt: it becomes active."""
        bank = self.redistributors[pe].bank if intid < FIRST_SPI else self.spi
        bank.acknowledge(intid)
        self.changed(pe)

    def deactivate(self, pe: int, intid: int) -> None:
        """The active state of an interrupt ends; an INTID that does not exist is ignored."""
        bank = self.bank(intid, pe)
        if bank is not None:
            bank.deactivate(intid)
            self.changed(pe)
            if intid >= FIRST_SPI and self.routing.target(intid) != pe:
                self._interrupt_changed(intid, pe)

    def set_cpu_groups(self, pe: int, groups: int) -> None:
        """The group enables of the CPU interface of `pe`: what is disabled there is not sent there."""
        if groups != self._cpu_groups[pe]:
            self._cpu_groups[pe] = groups
            if self.routing.any_pe:
                self._all_changed()
            else:
                self.changed(pe)

    def send_sgi(self, pe: int, key: int, value: int, secure: bool = False) -> None:
        """`pe` wrote ICC_SGI0R, ICC_SGI1R or ICC_ASGI1R (`key`): latch the SGI at every target that takes it."""
        bit = 1 << intid_of(value)
        reached = groups_reached(key, self.security, secure)
        for target in members_of(targets(value, pe, self.pes)):
            bank = self.redistributors[target].bank
            if bank.members(reached) & bit:
                bank.latch |= bit
                self.changed(target)

    def route(self, intid: int) -> int | None:
        """The PE an SPI goes to by affinity (0 for a private INTID), None for nowhere or 1-of-N."""
        return self.routing.target(intid) if self.spi.holds(intid) else 0

    def pending(self, pe: int) -> tuple[int, ...]:
        """INTIDs pending for `pe`, enabled or not, ascending."""
        shared = self.spi.pending
        if shared:
            shared &= self._routed(pe, ALL_GROUPS)
        return tuple(members_of(self.redistributors[pe].bank.pending | shared))

    def read(self, offset: int, size: int, secure: bool = False) -> int:
        """A load at a byte offset of the GICD frame."""
        if offset < ARRAYS_BEGIN:
            return lanes(self._control(offset & ~3, secure), offset & 3, size)
        if offset < ARRAYS_END:
            return read_array(self.spi, offset, size, not secure)
        if routing.BASE <= offset < routing.END:
            return self.routing.read(offset, size, self.spi.visible(not secure))
        return lanes(PIDR2, offset & 3, size) if offset & ~3 == control.PIDR2 else 0

    def write(self, offset: int, size: int, value: int, secure: bool = False) -> None:
        """A store at a byte offset of the GICD frame."""
        if offset < ARRAYS_BEGIN:
            self._write_control(offset, value & (1 << 8 * size) - 1, secure)
        elif offset < ARRAYS_END:
            write_array(self.spi, offset, size, value, not secure)
        elif routing.BASE <= offset < routing.END:
            self.routing.write(offset, size, value, self.spi.visible(not secure))
        else:
            return
        self._all_changed()

    def register(self, offset: int) -> str:
        """Register name for logs, for example `GICD_ISENABLER1`."""
        return control.register_name(offset)

    def save(self) -> DistributorState:
        """The whole state as plain data."""
        redistributors = tuple(redistributor.save() for redistributor in self.redistributors)
        return self.enables, tuple(self._cpu_groups), self.spi.save(), self.routing.save(), redistributors

    def restore(self, state: DistributorState) -> None:
        """Take back what `save` gave."""
        self.enables, cpu_groups, spi, routes, redistributors = state
        self._cpu_groups = list(cpu_groups)
        self.spi.restore(spi)
        self.routing.restore(routes)
        for redistributor, saved in zip(self.redistributors, redistributors, strict=True):
            redistributor.restore(saved)
        self._all_changed()

    def _keys(self, pe: int, bitmap: int) -> list[int]:
        local = bitmap & PRIVATE
        keys = self.redistributors[pe].bank.keys(local) if local else []
        return keys + self.spi.keys(bitmap & ~PRIVATE) if bitmap > PRIVATE else keys

    def _routed(self, pe: int, groups: int) -> int:
        """Bitmap of the SPIs that go to `pe`; a 1-of-N interrupt goes where its group is enabled first."""
        routed = self.routing.to_pe[pe]
        if self.routing.any_pe:
            taken = sum(group for group in (1, 2, 4) if groups & group and self._first_taker(group) == pe)
            routed |= self.routing.any_pe & self.spi.members(taken)
        return routed

    def _first_taker(self, group: int) -> int:
        """The lowest-numbered PE whose CPU interface has the group enabled, -1 when none has."""
        return next((pe for pe, groups in enumerate(self._cpu_groups) if groups & group), -1)

    def _control(self, offset: int, secure: bool) -> int:
        if offset == control.CTLR:
            return control.control_view(self.enables, self.security, secure)
        if offset == control.TYPER:
            return control.typer(self.pes, self.spi.mask.bit_length(), self.security)
        return IIDR if offset == control.IIDR else 0

    def _write_control(self, offset: int, value: int, secure: bool) -> None:
        if offset == control.CTLR:
            self.enables = control.enables_after(self.enables, value, self.security, secure)
        elif offset in (control.SETSPI_NSR, control.CLRSPI_NSR):
            self._message(value, offset == control.SETSPI_NSR, secure)
        elif offset in (control.SETSPI_SR, control.CLRSPI_SR) and (secure or not self.security):
            self._message(value, offset == control.SETSPI_SR, secure)

    def _message(self, value: int, pend: bool, secure: bool) -> None:
        """A message-based SPI: the low 10 bits name the interrupt to set or clear."""
        bit = 1 << (value & 0x3FF) & self.spi.visible(not secure)
        self.spi.latch = self.spi.latch | bit if pend else self.spi.latch & ~bit

    def _interrupt_changed(self, intid: int, pe: int) -> None:
        target = pe if intid < FIRST_SPI else self.routing.target(intid)
        if target is None:
            self._all_changed()
        else:
            self.changed(target)

    def _all_changed(self) -> None:
        self._highest = [_UNKNOWN] * self.pes
        for pe in range(self.pes):
            self._on_change(pe)
