"""Page ownership in the stage-2 tables: the only judge of who may touch shared memory.

Software bits [56:55] keep the state (Owned, SharedOwned, SharedBorrowed, Donated), S2AP and XN enforce it. A change is
planned first, which may fail, and then made, which cannot: nothing is ever half done.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.arch.paging import ADDRESS_MASK, PAGE, S2AP, PageState, S2Leaf, S2Memory
from engine.board.memory import Memory
from engine.board.memory_map import RAM_BASE
from engine.ffa.errors import Code, FfaError, require_allowed, require_valid
from engine.ffa.memory import Data, Instruction, Permissions
from engine.ffa.ranges import Range
from engine.ffa.sending import OwnerPages
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import IPA_BITS
from engine.hypervisor.stage2_edit import PageEdit
from engine.hypervisor.stage2_tables import TableMemoryExhaustedError

_PAGE_LEVEL = 3


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
    leaves: set[S2Leaf | None] = set()
    for kinds in page_kinds(vm, ranges):
        if None in kinds:
            return OwnerPages(mapped=False)
        leaves |= kinds
    mapped = [leaf for leaf in leaves if leaf is not None]
    free = not any(piece.overlaps(other) for piece in ranges for other in reserved)
    worlds = _worlds(vm, ranges)
    return OwnerPages(
        exclusive=free and all(leaf.state is PageState.OWNED for leaf in mapped),
        uniform=len(mapped) == 1 and len(worlds) == 1,
        writable=all(leaf.access is S2AP.READ_WRITE for leaf in mapped),
        executable=all(leaf.execute for leaf in mapped),
        device=any(leaf.memory is S2Memory.DEVICE_nGnRE for leaf in mapped),
        non_secure=worlds == {True},
    )


def _worlds(vm: Partition, ranges: Sequence[Range]) -> set[bool]:
    """Whether mapped pages are Non-secure memory; a VM has no other."""
    return {address >= RAM_BASE for address in physical_pages(vm, ranges)} if vm.secure else {True}


def page_kinds(vm: Partition, ranges: Iterable[Range]) -> Iterator[set[S2Leaf | None]]:
    """The ways in which pages are mapped, as leaves at address 0, None where some are not: one set for each 2 MB."""
    for piece in ranges:
        for entries in vm.stage2.read_pages(*piece):
            kinds = {entry & ~ADDRESS_MASK for entry in entries}
            yield {S2Leaf.decode(kind, _PAGE_LEVEL) if kind else None for kind in kinds}


def check_vacant(vm: Partition, ranges: Sequence[Range]) -> None:
    """Whether pages may be mapped there: DENIED where something is, INVALID_PARAMETERS past the address space."""
    for piece in ranges:
        require_valid(piece.end <= 1 << IPA_BITS, f"{piece} is past {IPA_BITS} bits of address")
        found = itertools.chain.from_iterable(page_kinds(vm, [piece]))
        vacant = all(leaf is None or leaf.state is PageState.DONATED for leaf in found)
        require_allowed(vacant, f"{piece} is occupied")
        require_allowed(not vm.bus.overlaps(piece.address, piece.end), f"a device is in {piece}")


def _entries(vm: Partition, piece: Range) -> list[int]:
    """The page descriptors of a range that is all mapped, or was found vacant."""
    return list(itertools.chain.from_iterable(vm.stage2.read_pages(*piece)))


def physical_pages(vm: Partition, ranges: Sequence[Range]) -> list[int]:
    """Physical address of every page of mapped ranges."""
    return [entry & ADDRESS_MASK for piece in ranges for entry in _entries(vm, piece) if entry]


Change = Callable[[], None]
"""Makes a change that was planned; cannot fail."""


def plan_access(vm: Partition, ranges: Sequence[Range], access: Access) -> Change:
    """Change how a VM may use pages it has. NO_MEMORY where the tables do not suffice."""
    return _plan(vm, [(piece.address, _with_access(_entries(vm, piece), access)) for piece in ranges])


def _with_access(entries: Sequence[int], access: Access) -> list[int]:
    kinds = {entry & ~ADDRESS_MASK for entry in entries} - {0}
    new = {kind: access.of(S2Leaf.decode(kind, _PAGE_LEVEL)).encode(_PAGE_LEVEL) for kind in kinds} | {0: 0}
    return [new[entry & ~ADDRESS_MASK] | entry & ADDRESS_MASK for entry in entries]


def plan_map(vm: Partition, ranges: Sequence[Range], physical: Sequence[int], access: Access) -> Change:
    """Give pages to a VM, where `check_vacant` found room. NO_MEMORY where the tables do not suffice."""
    kind = access.of(S2Leaf(0)).encode(_PAGE_LEVEL)
    entries = iter([kind | address for address in physical])
    return _plan(vm, [(piece.address, list(itertools.islice(entries, piece.pages))) for piece in ranges])


def plan_unmap(vm: Partition, ranges: Sequence[Range]) -> Change:
    """Take pages from a VM."""
    return _plan(vm, [(piece.address, [0] * piece.pages) for piece in ranges])


def forget_donated(vm: Partition, ranges: Sequence[Range]) -> None:
    """What was donated is another's: the donor's RAM keeps the mark of it, addresses it chose elsewhere are free."""
    addresses = (piece.address + n * PAGE for piece in ranges for n in range(piece.pages))
    elsewhere = [Range(ipa, 1) for ipa in addresses if not vm.in_ram(ipa)]
    if elsewhere:
        plan_unmap(vm, elsewhere)()


def ranges_of(physical: Sequence[int]) -> tuple[Range, ...]:
    """Pages in their order, consecutive ones together."""
    return tuple(Range(address, size // PAGE) for address, size in _joined(physical))


def zero_pages(memory: Memory, physical: Sequence[int]) -> None:
    """Clear pages that nobody uses."""
    for address in physical:
        memory.fill_zero(address, PAGE)


def _plan(vm: Partition, runs: Sequence[tuple[int, Sequence[int]]]) -> Change:
    """Entries to set; code translated from pages that are or were executable may be another engine's by now."""
    try:
        edit = PageEdit(vm.stage2, runs)
    except TableMemoryExhaustedError as error:
        raise FfaError(Code.NO_MEMORY, str(error)) from None
    stale = _joined(edit.executable())

    def make() -> None:
        edit.apply()
        if stale:
            vm.core.drop_code(stale)

    return make


def _joined(pages: Sequence[int]) -> list[tuple[int, int]]:
    """(address, size) of consecutive pages."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][0] + runs[-1][1] == page:
            runs[-1] = (runs[-1][0], runs[-1][1] + PAGE)
        else:
            runs.append((page, PAGE))
    return runs
