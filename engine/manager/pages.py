"""Page ownership in the stage-2 tables: the only judge of who may touch shared memory.

Software bits [56:55] keep the state (Owned, SharedOwned, SharedBorrowed, Donated), S2AP and XN enforce it. `prepare`
makes every table first and may fail; the rest cannot, so nothing is ever half done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.arch.paging import PAGE, S2AP, PageState, S2Leaf, S2Memory
from engine.board.memory import Memory
from engine.board.memory_map import RAM_BASE
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.ranges import Range
from engine.ffa.sending import OwnerPages
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import IPA_BITS, TableMemoryExhaustedError


@dataclass(frozen=True, slots=True)
class Access:
    """What a page entry says beside its address."""

    access: S2AP
    execute: bool
    state: PageState

    def of(self, leaf: S2Leaf) -> S2Leaf:
        """The same page with this access."""
        return replace(leaf, access=self.access, execute=self.execute, state=self.state)


def borrowed(granted: Permissions, state: PageState) -> Access:
    """What the page entries of a borrower say."""
    access = S2AP.READ_WRITE if granted.data is Data.RW else S2AP.READ
    return Access(access, granted.instruction is Instruction.X, state)


def inspect(vm: Partition, ranges: Sequence[Range], reserved: Sequence[Range]) -> OwnerPages:
    """What a VM's tables say of pages it wants to send; it may not send `reserved` ones (its buffers)."""
    kinds: set[tuple[S2AP, bool, S2Memory, PageState, bool]] = set()
    for leaf in _leaves(vm, ranges):
        if leaf is None:
            return OwnerPages(mapped=False)
        kinds.add((leaf.access, leaf.execute, leaf.memory, leaf.state, leaf.address >= RAM_BASE))
    free = not any(piece.overlaps(other) for piece in ranges for other in reserved)
    return OwnerPages(
        exclusive=free and all(state is PageState.OWNED for *_, state, _ in kinds),
        uniform=len(kinds) == 1,
        writable=all(access is S2AP.READ_WRITE for access, *_ in kinds),
        executable=all(execute for _, execute, *_ in kinds),
        device=any(memory is S2Memory.DEVICE_nGnRE for _, _, memory, *_ in kinds),
        non_secure=all(normal for *_, normal in kinds),
    )


def check_vacant(vm: Partition, ranges: Sequence[Range]) -> None:
    """Whether pages may be mapped there: DENIED where something is, INVALID_PARAMETERS past the address space."""
    for piece in ranges:
        require_valid(piece.end <= 1 << IPA_BITS, f"{piece} is past {IPA_BITS} bits of address")
        vacant = all(leaf is None or leaf.state is PageState.DONATED for leaf in vm.stage2.read_pages(*piece))
        require_allowed(vacant, f"{piece} is occupied")
        require_allowed(not vm.bus.overlaps(piece.address, piece.end), f"a device is in {piece}")


def physical_pages(vm: Partition, ranges: Sequence[Range]) -> list[int]:
    """Physical address of every page of mapped ranges."""
    return [leaf.address for leaf in _leaves(vm, ranges) if leaf is not None]


def prepare(vm: Partition, ranges: Sequence[Range]) -> None:
    """Make page entries for every page; NO_MEMORY where the tables do not suffice."""
    try:
        for piece in ranges:
            vm.stage2.prepare(*piece)
    except TableMemoryExhaustedError as error:
        tidy(vm, ranges)
        raise FfaError(Code.NO_MEMORY, str(error)) from None
    vm.flush_tlb()


def tidy(vm: Partition, ranges: Sequence[Range]) -> None:
    """Undo `prepare`: give back tables that map nothing."""
    for piece in ranges:
        vm.stage2.release(*piece)


def set_access(vm: Partition, ranges: Sequence[Range], access: Access) -> None:
    """Change how a VM may use pages it has; `prepare` went before."""
    for piece in ranges:
        _write(vm, piece, [None if leaf is None else access.of(leaf) for leaf in vm.stage2.read_pages(*piece)])
    vm.flush_tlb()


def map_pages(vm: Partition, ranges: Sequence[Range], physical: Sequence[int], access: Access) -> None:
    """Give pages to a VM; `check_vacant` and `prepare` went before."""
    position = 0
    for piece in ranges:
        here = physical[position : position + piece.pages]
        leaves = (S2Leaf(address, access.access, access.execute, access.state) for address in here)
        _write(vm, piece, list(leaves))
        position += piece.pages
    vm.flush_tlb()


def unmap_pages(vm: Partition, ranges: Sequence[Range]) -> None:
    """Take pages from a VM."""
    for piece in ranges:
        _write(vm, piece, [None] * piece.pages)
    vm.flush_tlb()


def zero_pages(memory: Memory, physical: Sequence[int]) -> None:
    """Clear pages that nobody uses."""
    for address in physical:
        memory.fill_zero(address, PAGE)


def _leaves(vm: Partition, ranges: Sequence[Range]) -> Iterator[S2Leaf | None]:
    for piece in ranges:
        yield from vm.stage2.read_pages(*piece)


def _write(vm: Partition, piece: Range, leaves: list[S2Leaf | None]) -> None:
    """Set entries; code translated from pages that are or were executable may be another engine's by now."""
    before = vm.stage2.read_pages(*piece)
    stale = [leaf for pair in zip(before, leaves, strict=True) for leaf in pair if leaf is not None and leaf.execute]
    vm.stage2.write_pages(piece.address, leaves)
    if stale:
        vm.core.drop_code(_runs(sorted({leaf.address for leaf in stale})))


def _runs(pages: Sequence[int]) -> list[tuple[int, int]]:
    """(address, size) of consecutive pages."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][0] + runs[-1][1] == page:
            runs[-1] = (runs[-1][0], runs[-1][1] + PAGE)
        else:
            runs.append((page, PAGE))
    return runs
