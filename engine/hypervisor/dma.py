"""Device access to a VM's memory, through the stage 2 that its own accesses go through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from engine.arch.paging import PAGE, S2AP, PageState
from engine.board.virtio.guest_memory import DmaError

if TYPE_CHECKING:
    from engine.hypervisor.partition import Partition

_MOST_PAGES = 4096
"""Translations that are remembered."""


class _Page(NamedTuple):
    physical: int
    access: S2AP
    shared: bool
    """Others may have it mapped, too."""


class Dma:
    """Memory of one VM for its devices: what stage 2 maps with the right permission, and nothing else."""

    def __init__(self, vm: Partition, partitions: Iterable[Partition]) -> None:
        """`partitions`: whoever could run code from memory that the VM shares."""
        self._vm = vm
        self._partitions = partitions
        self._pages: dict[int, _Page] = {}
        self._tables = -1
        """`stage2.entries_written` as the pages were looked up."""
        self._written: list[tuple[int, int]] = []
        """(physical address, bytes) since the last `settle`, of the VM alone and of others, too."""
        self._written_shared: list[tuple[int, int]] = []

    def read(self, address: int, size: int) -> bytes:
        parts = [self._vm.memory.read(*piece[:2]) for piece in self._pieces(address, size, S2AP.READ)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write_ring(self, address: int, data: bytes) -> None:
        self._store(address, data)

    def write(self, address: int, data: bytes) -> None:
        for piece in self._store(address, data):
            self._note(*piece)

    def _store(self, address: int, data: bytes) -> list[tuple[int, int, bool]]:
        """Write all of it, or nothing where the guest could not; the pieces that were written."""
        pieces = list(self._pieces(address, len(data), S2AP.WRITE))
        done = 0
        for physical, length, _ in pieces:
            self._vm.memory.write(physical, data[done : done + length])
            done += length
        return pieces

    def views(self, address: int, size: int, *, write: bool) -> list[memoryview]:
        found = []
        for physical, length, shared in self._pieces(address, size, S2AP.WRITE if write else S2AP.READ):
            found.append(self._vm.memory.view(physical, length))
            if write:
                self._note(physical, length, shared)
        return found

    def _note(self, physical: int, size: int, shared: bool) -> None:
        (self._written_shared if shared else self._written).append((physical, size))

    def settle(self) -> None:
        if self._written:
            self._vm.core.drop_code(self._written)
            self._written = []
        if self._written_shared:
            for partition in self._partitions:
                partition.core.drop_code(self._written_shared)
            self._written_shared = []

    def _pieces(self, address: int, size: int, access: S2AP) -> Iterator[tuple[int, int, bool]]:
        """(physical address, bytes, shared) of a range, joined where it goes on physically. Raises DmaError."""
        if self._tables != self._vm.stage2.entries_written or len(self._pages) > _MOST_PAGES:
            self._pages.clear()
            self._tables = self._vm.stage2.entries_written
        start, length, shared = 0, 0, False
        while size > 0:
            number, offset = divmod(address, PAGE)
            page = self._pages.get(number) or self._look_up(number)
            if page.access & access != access:
                raise DmaError(f"the guest may not {_VERBS[access]} {address:#x}")
            taken = min(PAGE - offset, size)
            if length and (start + length != page.physical + offset or shared is not page.shared):
                yield start, length, shared
                length = 0
            if not length:
                start, shared = page.physical + offset, page.shared
            length += taken
            address, size = address + taken, size - taken
        if length:
            yield start, length, shared

    def _look_up(self, number: int) -> _Page:
        ipa = number * PAGE
        found = self._vm.stage2.resolve(ipa)
        if found is None or not self._vm.memory.contains(found[1], PAGE):
            raise DmaError(f"the guest has no memory at {ipa:#x}")
        leaf, physical = found
        page = self._pages[number] = _Page(physical, leaf.access, leaf.state is not PageState.OWNED)
        return page


_VERBS = {S2AP.READ: "read", S2AP.WRITE: "write"}
