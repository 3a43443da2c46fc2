"""What the Memory screen asks of the machine, all at once, and the picture that it gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine import inspect
from engine.control import Control
from engine.debug_views import IpaMapView, IpaRange, PageOwnersView, TranslationView
from engine.errors import MachineError
from hvtui import places
from hvtui.places import Place, Spot

ACCESSES = ("read", "write", "execute")


@dataclass(frozen=True, slots=True)
class MemoryPicture:
    """What becomes of one address, and everything that is around it."""

    asked: MemoryLook
    base: Spot
    """Where somebody went, as it was meant."""
    spot: Spot
    """The same place in the space that is looked at."""
    symbol: str
    """Of a virtual address, "" without."""
    translation: TranslationView | None
    refusal: str
    """Why there is none."""
    ipa: int | None
    """Of the partition, None where the address has none."""
    physical: int | None
    """None where nothing is mapped."""
    map: IpaMapView
    owners: PageOwnersView | None
    problem: str
    """Why a place that somebody wanted to see cannot be seen."""

    @property
    def range(self) -> IpaRange | None:
        """The part of the map that the address is in."""
        return None if self.ipa is None else _at(self.map, self.ipa)


@dataclass(frozen=True, slots=True)
class MemoryLook:
    """An address of a vCPU; called on the machine's thread."""

    vm: str
    vcpu: int
    base: Spot | None
    """None: where PC is."""
    space: str
    access: str
    going: Place | None
    """Somebody wants to see another place."""

    def __call__(self, control: Control) -> MemoryPicture:
        base, problem = self._base(control)
        wanted = self.going.space if self.going is not None and not problem else None
        spot = places.seen_in(control, self.vm, self.vcpu, base, wanted or self.space)
        whole = inspect.ipa_map(control, self.vm)
        walk = self._walk(control, spot, whole)
        return MemoryPicture(
            asked=self,
            base=base,
            spot=spot,
            symbol=control.vm(self.vm).symbols.lookup(spot.address) if spot.space == "va" else "",
            translation=walk.translation,
            refusal=walk.refusal,
            ipa=walk.ipa,
            physical=walk.physical,
            map=whole,
            owners=None if walk.physical is None else inspect.who_maps(control, walk.physical),
            problem=problem,
        )

    def _base(self, control: Control) -> tuple[Spot, str]:
        """Where to look, and why not where somebody wanted to."""
        now = self.base or Spot("va", control.vcpu(self.vm, self.vcpu).registers.pc)
        if self.going is None:
            return now, ""
        try:
            went = places.resolve(control, self.vm, self.vcpu, self.going, self.space)
            if went.space == "ipa":
                self._translate(control, went)
        except MachineError as error:
            return now, str(error)
        return went, ""

    def _walk(self, control: Control, spot: Spot, whole: IpaMapView) -> _Walk:
        if spot.space == "pa":
            ipa = _mapped(whole, spot.address)
            if ipa is None:
                return _Walk(None, f"{self.vm} does not map it: no walk of its own leads there", None, spot.address)
            return _Walk(self._translate(control, Spot("ipa", ipa)), "", ipa, spot.address)
        try:
            found = self._translate(control, spot)
        except MachineError as error:
            return _Walk(None, str(error), None, None)
        ipa, physical = places.intermediate(found), places.physical(found)
        if physical is None and ipa is not None:
            physical = _physical(whole, ipa)
        return _Walk(found, "", ipa, physical)

    def _translate(self, control: Control, spot: Spot) -> TranslationView:
        return inspect.translation(control, self.vm, self.vcpu, spot.address, spot.space, self.access)


class _Walk(NamedTuple):
    """Where an address leads."""

    translation: TranslationView | None
    refusal: str
    ipa: int | None
    physical: int | None


def _at(whole: IpaMapView, ipa: int) -> IpaRange | None:
    return next((each for each in whole.ranges if each.ipa <= ipa < each.ipa + each.size), None)


def _physical(whole: IpaMapView, ipa: int) -> int | None:
    """What stage 2 would make of an address that stage 1 does not let through."""
    found = _at(whole, ipa)
    return None if found is None or found.physical is None else found.physical + ipa - found.ipa


def _mapped(whole: IpaMapView, physical: int) -> int | None:
    """The first of the partition's addresses that leads to a physical one."""
    for each in whole.ranges:
        if each.physical is not None and each.physical <= physical < each.physical + each.size:
            return each.ipa + physical - each.physical
    return None
