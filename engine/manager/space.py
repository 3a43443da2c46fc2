"""The memory of an endpoint as its manager changes it: through its stage 2, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.arch.paging import PAGE, S2AP, PageState, S2Leaf
from engine.board.memory import Memory
from engine.ffa.abi import is_secure
from engine.ffa.errors import require_allowed, require_valid
from engine.ffa.ranges import Range
from engine.ffa.sending import OwnerPages
from engine.ffa.transactions import TransactionTable
from engine.manager import pages
from engine.manager.pages import Access, Change

if TYPE_CHECKING:
    from engine.hypervisor.partition import Partition


class AddressSpace(Protocol):
    """Addresses are the endpoint's own."""

    def inspect(self, ranges: Sequence[Range], reserved: Sequence[Range]) -> OwnerPages:
        """What is known of pages it wants to send; it may not send `reserved` ones."""

    def check_vacant(self, ranges: Sequence[Range]) -> None:
        """Whether pages may be mapped there; raises FfaError."""

    def check_exclusive(self, piece: Range) -> None:
        """Whether a range is its own, alone and writable; raises FfaError."""

    def plan_access(self, ranges: Sequence[Range], access: Access) -> Change:
        """To change how it may use pages it has; raises FfaError where it cannot be done, which making it then can."""

    def plan_map(self, ranges: Sequence[Range], physical: Sequence[int], access: Access) -> Change:
        """To give it pages, where `check_vacant` found room; raises FfaError."""

    def plan_unmap(self, ranges: Sequence[Range]) -> Change:
        """To take pages from it."""

    def forget_donated(self, ranges: Sequence[Range]) -> None:
        """What it donated was retrieved; cannot fail."""

    def physical(self, ranges: Sequence[Range]) -> list[int]:
        """Physical address of every page of mapped ranges."""

    def translate(self, address: int) -> int | None:
        """Physical address, None where nothing is mapped."""

    def touched(self) -> tuple[int, int]:
        """Table entries written and TLB invalidations, ever."""


class Stage2Space:
    """A partition's memory, which its stage-2 tables alone decide about."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition

    def inspect(self, ranges: Sequence[Range], reserved: Sequence[Range]) -> OwnerPages:
        return pages.inspect(self._partition, ranges, reserved)

    def check_vacant(self, ranges: Sequence[Range]) -> None:
        pages.check_vacant(self._partition, ranges)

    def check_exclusive(self, piece: Range) -> None:
        for kinds in pages.page_kinds(self._partition, [piece]):
            require_valid(None not in kinds, f"{piece} is not in the caller's memory")
            require_allowed(all(_usable(leaf) for leaf in kinds), f"{piece} is not the caller's alone")

    def plan_access(self, ranges: Sequence[Range], access: Access) -> Change:
        return pages.plan_access(self._partition, ranges, access)

    def plan_map(self, ranges: Sequence[Range], physical: Sequence[int], access: Access) -> Change:
        return pages.plan_map(self._partition, ranges, physical, access)

    def plan_unmap(self, ranges: Sequence[Range]) -> Change:
        return pages.plan_unmap(self._partition, ranges)

    def forget_donated(self, ranges: Sequence[Range]) -> None:
        pages.forget_donated(self._partition, ranges)

    def physical(self, ranges: Sequence[Range]) -> list[int]:
        return pages.physical_pages(self._partition, ranges)

    def translate(self, address: int) -> int | None:
        return self._partition.stage2.translate(address)

    def touched(self) -> tuple[int, int]:
        return self._partition.stage2.entries_written, self._partition.tlb_flushes


class NormalSpace:
    """The normal world's memory as the SPMC sees it: physical, and under somebody else's translation.

    What the normal world lets its own partitions touch is for its hypervisor to decide.
    """

    def __init__(self, memory: Memory, table: TransactionTable) -> None:
        self._memory = memory
        self._table = table
        self._given: set[int] = set()
        """Pages it donated."""
        self.buffers: dict[int, tuple[Range, ...]] = {}
        """RX/TX buffers that a hypervisor registered for its VMs."""

    def reset(self) -> None:
        """All of it is the normal world's again."""
        self._given.clear()
        self.buffers.clear()

    def inspect(self, ranges: Sequence[Range], reserved: Sequence[Range]) -> OwnerPages:
        mapped = all(self._memory.contains(piece.address, piece.pages * PAGE) for piece in ranges)
        if not mapped:
            return OwnerPages(mapped=False)
        free = not any(piece.overlaps(other) for piece in ranges for other in reserved)
        return OwnerPages(exclusive=free and self._untied(ranges))

    def _untied(self, ranges: Sequence[Range]) -> bool:
        """Whether no page is in a transaction of the normal world, was given away by one, or is a VM's buffer."""
        records = (record for record in self._table.records.values() if not is_secure(record.owner))
        tied = [piece for record in records for piece in record.ranges]
        tied += [piece for pair in self.buffers.values() for piece in pair]
        free = not any(piece.overlaps(other) for piece in ranges for other in tied)
        return free and self._given.isdisjoint(self.physical(ranges))

    def check_vacant(self, ranges: Sequence[Range]) -> None:
        """Nothing is ever mapped here for the normal world."""

    def check_exclusive(self, piece: Range) -> None:
        require_valid(self._memory.contains(piece.address, piece.pages * PAGE), f"{piece} is not Non-secure memory")
        require_allowed(self._untied([piece]), f"{piece} is in a memory transaction or a buffer")

    def plan_access(self, ranges: Sequence[Range], access: Access) -> Change:
        """There are no tables; what is donated belongs to the secure world from then on."""
        named = self.physical(ranges)
        given = access.state is PageState.DONATED
        return lambda: self._given.update(named) if given else self._given.difference_update(named)

    def plan_map(self, _ranges: Sequence[Range], _physical: Sequence[int], _access: Access) -> Change:
        """There are no tables."""
        return _nothing

    def plan_unmap(self, _ranges: Sequence[Range]) -> Change:
        """There are no tables."""
        return _nothing

    def forget_donated(self, _ranges: Sequence[Range]) -> None:
        """Nothing of it was mapped."""

    def physical(self, ranges: Sequence[Range]) -> list[int]:
        return [piece.address + n * PAGE for piece in ranges for n in range(piece.pages)]

    def translate(self, address: int) -> int | None:
        return address if self._memory.contains(address) else None

    def touched(self) -> tuple[int, int]:
        return 0, 0


def _usable(leaf: S2Leaf | None) -> bool:
    return leaf is not None and leaf.state is PageState.OWNED and leaf.access is S2AP.READ_WRITE


def _nothing() -> None:
    """A change that there is nothing to do for."""
