"""The whole address space of a partition: what its stage 2 maps, and what the FF-A records say of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from engine.arch.attributes import stage2_memory
from engine.arch.paging import PAGE, S2AP, PageState, S2Leaf
from engine.arch.regime import Access, letters
from engine.arch.translation import stage2_allowed
from engine.board.memory_map import FIRMWARE_SIZE, SECURE_BASE, SECURE_SIZE
from engine.build import System
from engine.debug import stage2_runs
from engine.debug.stage2_runs import Run
from engine.debug_views import IpaKind, IpaMapView, IpaRange, Mapping, PageOwnersView
from engine.ffa.abi import is_secure
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import IPA_BITS
from engine.observe_ffa import ffa_view
from engine.spmc.partition import SecurePartition
from engine.views import FfaTransactionView, FfaView

_UNKNOWN = ("?",)
_GIVEN = {"share": IpaKind.SHARED, "lend": IpaKind.LENT, "donate": IpaKind.DONATED}


class _Tie(NamedTuple):
    """Addresses of a partition that a transaction binds."""

    start: int
    end: int
    kind: IpaKind
    peers: tuple[str, ...]
    handle: int


class _Ties:
    """What transactions bind of a partition, by address."""

    def __init__(self, ties: Iterable[_Tie]) -> None:
        ordered = sorted(ties)
        self._limits = sorted({limit for tie in ordered for limit in (tie.start, tie.end)})
        self._bound: list[tuple[_Tie, ...]] = []
        """Of the addresses from one limit to the next."""
        bound: tuple[_Tie, ...] = ()
        following = iter(ordered)
        tie = next(following, None)
        for limit in self._limits:
            bound = tuple(each for each in bound if each.end > limit)
            while tie is not None and tie.start == limit:
                bound, tie = (*bound, tie), next(following, None)
            self._bound.append(bound)

    def limits(self, start: int, end: int) -> list[int]:
        """Where what is bound changes inside (start, end)."""
        return self._limits[bisect_right(self._limits, start) : bisect_left(self._limits, end)]

    def at(self, address: int) -> tuple[_Tie, ...]:
        index = bisect_right(self._limits, address) - 1
        return self._bound[index] if index >= 0 else ()


def ipa_map_view(system: System, partition: Partition) -> IpaMapView:
    """All of it, from 0 to the end of the address space."""
    return _map(partition, _ties(system, partition, ffa_view(system)))


def who_maps_view(system: System, address: int) -> PageOwnersView:
    """Every partition whose stage 2 has the page of a physical address, also where it may do nothing there."""
    page, ffa = address & -PAGE, ffa_view(system)
    maps = [_map(each, _ties(system, each, ffa)) for each in system.partitions]
    mappings = tuple(mapping for each in maps for mapping in _mappings(each, page))
    return PageOwnersView(page, _place(system, maps, page), mappings)


def _map(partition: Partition, ties: _Ties) -> IpaMapView:
    stage2 = partition.stage2
    mapped = _joined(piece for run in stage2_runs.runs(stage2) for piece in _pieces(partition, run, ties))
    found = sorted([*mapped, *_devices(partition)], key=lambda each: each.ipa)
    return IpaMapView(
        partition=partition.name,
        secure=partition.secure,
        root=stage2.root,
        tables=stage2_runs.tables(stage2),
        ranges=tuple(_with_gaps(found)),
    )


def _mappings(view: IpaMapView, page: int) -> Iterator[Mapping]:
    for each in view.ranges:
        if each.physical is not None and each.physical <= page < each.physical + each.size:
            ipa = each.ipa + page - each.physical
            yield Mapping(view.partition, ipa, each.permissions, each.kind, each.peers, each.handles)


def _place(system: System, maps: Sequence[IpaMapView], page: int) -> str:
    for view in maps:
        if any(start <= page < start + size for start, size in view.tables):
            return f"stage-2 tables of {view.partition}"
    ram = system.memory
    if ram.contains(page, PAGE):
        return "firmware" if page >= ram.base + ram.size - FIRMWARE_SIZE else "RAM"
    secure = system.secure is not None and SECURE_BASE <= page < SECURE_BASE + SECURE_SIZE
    return "secure RAM" if secure else "nothing"


# --- what is mapped --------------------------------------------------------------------------------


def _pieces(partition: Partition, run: Run, ties: _Ties) -> Iterator[IpaRange]:
    """A run cut where transactions, or the partition's own RAM, begin and end."""
    ram = (partition.ram_base, partition.ram_base + partition.ram_size)
    inside = sorted({*ties.limits(run.ipa, run.end), *(limit for limit in ram if run.ipa < limit < run.end)})
    for start, end in zip([run.ipa, *inside], [*inside, run.end], strict=True):
        yield _piece(partition, run, start, end - start, ties.at(start))


def _joined(pieces: Iterable[IpaRange]) -> Iterator[IpaRange]:
    """Pieces that nothing tells apart but their addresses are one."""
    last: IpaRange | None = None
    for piece in pieces:
        if last is not None and _moved(last, last.size) == msgspec.structs.replace(piece, size=last.size):
            last = msgspec.structs.replace(last, size=last.size + piece.size)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


def _moved(piece: IpaRange, distance: int) -> IpaRange:
    return msgspec.structs.replace(piece, ipa=piece.ipa + distance, physical=(piece.physical or 0) + distance)


def _piece(partition: Partition, run: Run, ipa: int, size: int, ties: Sequence[_Tie]) -> IpaRange:
    leaf = run.leaf
    kind, ties = _kind(leaf, ties)
    peers = tuple(dict.fromkeys(peer for tie in ties for peer in tie.peers))
    return IpaRange(
        ipa=ipa,
        size=size,
        physical=leaf.address + ipa - run.ipa,
        permissions=letters(stage2_allowed(run.descriptor)),
        memory=stage2_memory(run.descriptor),
        kind=kind,
        detail=_name(partition, ipa) if kind is IpaKind.OWN else "",
        peers=peers or (() if kind is IpaKind.OWN else _UNKNOWN),
        handles=tuple(tie.handle for tie in ties),
    )


def _kind(leaf: S2Leaf, ties: Sequence[_Tie]) -> tuple[IpaKind, Sequence[_Tie]]:
    """The tables decide, and the records say with whom; for whoever owns EL2 there are only records."""
    given = [tie for tie in ties if tie.kind is not IpaKind.BORROWED]
    if leaf.state is PageState.OWNED:
        return (given[0].kind, given) if given else (IpaKind.OWN, ())
    if leaf.state is PageState.SHARED_BORROWED:
        return IpaKind.BORROWED, [tie for tie in ties if tie.kind is IpaKind.BORROWED]
    if leaf.state is PageState.DONATED:
        return IpaKind.DONATED, [tie for tie in given if tie.kind is IpaKind.DONATED]
    unrecorded = IpaKind.LENT if leaf.access is S2AP.NONE else IpaKind.SHARED
    return (given[0].kind if given else unrecorded), given


def _name(partition: Partition, ipa: int) -> str:
    """What own memory is called."""
    if partition.in_ram(ipa):
        return "RAM"
    regions = partition.manifest.memory if isinstance(partition, SecurePartition) else ()
    for region in regions:
        if region.base is not None and region.base <= ipa < region.base + region.pages * PAGE:
            return region.name
    return "received by donation"


# --- what is not -----------------------------------------------------------------------------------


def _devices(partition: Partition) -> Iterator[IpaRange]:
    """Emulated devices are where nothing is mapped: each access is a stage-2 fault that the hypervisor serves."""
    access = letters(Access.READ | Access.WRITE)
    for each in partition.bus.attachments:
        kind = IpaKind.VIRTIO if each.device in partition.virtio else IpaKind.DEVICE
        yield IpaRange(each.base, each.end - each.base, None, access, "", kind, each.device.name)


def _with_gaps(found: Sequence[IpaRange]) -> Iterator[IpaRange]:
    nothing, at = letters(Access(0)), 0
    for each in found:
        if each.ipa > at:
            yield IpaRange(at, each.ipa - at, None, nothing, "", IpaKind.NOTHING)
        yield each
        at = max(at, each.ipa + each.size)
    if at < 1 << IPA_BITS:
        yield IpaRange(at, (1 << IPA_BITS) - at, None, nothing, "", IpaKind.NOTHING)


# --- what the records say --------------------------------------------------------------------------


def _ties(system: System, partition: Partition, ffa: FfaView | None) -> _Ties:
    """What transactions bind of a partition, in its own addresses."""
    if ffa is None:
        return _Ties(())
    names = {each.id: each.name for each in ffa.partitions}
    ids = _ids(system, partition, ffa)
    return _Ties(tie for record in ffa.transactions for tie in _of_record(record, ids, names))


def _ids(system: System, partition: Partition, ffa: FfaView) -> set[int]:
    """Its FF-A ids; whoever owns EL2 speaks for all of the normal world."""
    if isinstance(partition, SecurePartition):
        return {partition.endpoint.id}
    if system.ffa is not None:
        return {each.id for each in system.ffa.relay.endpoints.values() if each.vm is partition}
    named = {record.owner for record in ffa.transactions}
    named |= {borrower.endpoint for record in ffa.transactions for borrower in record.borrowers}
    return {endpoint for endpoint in named if not is_secure(endpoint)}


def _of_record(record: FfaTransactionView, ids: set[int], names: dict[int, str]) -> Iterator[_Tie]:
    def name(endpoint: int) -> str:
        return names.get(endpoint, f"0x{endpoint:04x}")

    if record.owner in ids:
        peers = tuple(name(borrower.endpoint) for borrower in record.borrowers)
        for ipa, pages in record.ranges:
            yield _Tie(ipa, ipa + pages * PAGE, _GIVEN[record.kind], peers, record.handle)
    for borrower in record.borrowers:
        for ipa, pages in borrower.ranges if borrower.endpoint in ids else ():
            yield _Tie(ipa, ipa + pages * PAGE, IpaKind.BORROWED, (name(record.owner),), record.handle)
