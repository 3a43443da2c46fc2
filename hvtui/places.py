"""Places as people name them, what they mean to a vCPU, and how addresses and sizes are written."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from engine import inspect
from engine.control import Control, ControlError
from engine.debug.translating import SPACES
from engine.debug_views import TranslationView
from engine.errors import MachineError

_PREFIXED: Final = re.compile(rf"({'|'.join(SPACES)})\s*:(.*)", re.IGNORECASE)
_LIMIT: Final = 1 << 64
_UNITS: Final = ("", "K", "M", "G", "T", "P", "E")


class Spot(NamedTuple):
    """An address and whose it is: a vCPU's "va", its partition's "ipa" or the board's "pa"."""

    space: str
    address: int


class Place(NamedTuple):
    """What somebody typed, by itself without its space."""

    text: str
    space: str | None
    """None where it was left out."""

    @property
    def is_number(self) -> bool:
        """It names nothing: an address of whatever space is looked at."""
        try:
            int(self.text, 0)
        except ValueError:
            return False
        return True


def parse(text: str) -> Place:
    """`0x48000000`, `guest_main+0x10`, `sp`, `pa:0x48000000`. ValueError where nothing is left to read."""
    found = _PREFIXED.fullmatch(text.strip())
    place = Place(found[2].strip(), found[1].lower()) if found else Place(text.strip(), None)
    if not place.text:
        raise ValueError("expected an address, a symbol or a register, as in guest_main+0x10 or pa:0x48000000")
    return place


def next_space(now: str, wanted: str | None) -> str:
    """The space that was asked for, or the one after `now`. ValueError for one that there is not."""
    if wanted is None:
        return SPACES[(SPACES.index(now) + 1) % len(SPACES)]
    if wanted not in SPACES:
        raise ValueError(f"expected va, ipa or pa (got {wanted!r})")
    return wanted


# --- on the machine's thread -------------------------------------------------------------------------


def resolve(control: Control, vm: str, vcpu: int, place: Place, space: str) -> Spot:
    """Where a place is. A plain number is one of `space`; names are virtual. MachineError where it is nowhere."""
    whose = place.space or (space if place.is_number else "va")
    try:
        address = control.evaluate(vm, vcpu, place.text)
    except MachineError:
        address = control.address(vm, place.text)  # names of symbols that no expression could have
    if not 0 <= address < _LIMIT:
        raise ControlError(f"expected an address of 64 bits (got {place.text})")
    return Spot(whose, address)


def seen_in(control: Control, vm: str, vcpu: int, spot: Spot, space: str) -> Spot:
    """The same memory by its address of another space; where no translation leads there, the number as it is."""
    if SPACES.index(space) <= SPACES.index(spot.space):
        return Spot(space, spot.address)
    try:
        el = max(1, control.vcpu(vm, vcpu).registers.el)
        found = inspect.translation(control, vm, vcpu, spot.address, spot.space, el=el)
    except MachineError:
        return Spot(space, spot.address)
    address = found.ipa if space == "ipa" else physical(found)
    return Spot(space, spot.address if address is None else address)


def intermediate(found: TranslationView) -> int | None:
    """The IPA that stage 1 leads to, even if the access is forbidden there."""
    if found.ipa is not None or found.stage1 is None:
        return found.ipa
    return found.stage1.output


def physical(found: TranslationView) -> int | None:
    """Where the memory is, even if the access is forbidden there."""
    if found.physical is not None or found.stage2 is None:
        return found.physical
    return found.stage2.output


# --- writing -----------------------------------------------------------------------------------------


def digits(highest: int) -> int:
    """Hexadecimal digits of a column of addresses: 8, 12 or 16, so that it rarely changes its width."""
    return max(8, -(-highest.bit_length() // 16) * 4)


def size(number: int) -> str:
    """Bytes in at most six columns: `4K`, `15.1M`, `511G`."""
    steps = min(max(0, number.bit_length() - 1) // 10, len(_UNITS) - 1)
    scaled, unit = number / 1024**steps, _UNITS[steps]
    return f"{scaled:.0f}{unit}" if scaled == int(scaled) or scaled >= 100 else f"{scaled:.1f}{unit}"
