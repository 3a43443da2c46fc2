"""The packed lists of NOTIFICATION_INFO_GET (DEN0077A v1.2, 16.7).

w2 or x2: bit 0 more are pending, [11:7] number of lists, then two bits a list with the number of vCPU ids in it.
w3-w7 or x3-x7: 16-bit ids, each list an endpoint followed by up to three of its vCPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MORE = 1 << 0
_LISTS_SHIFT, _LISTS_MASK = 7, 0x1F
_SIZES_SHIFT, _SIZE_BITS = 12, 2
VCPUS_PER_LIST = 3
IDS_32, IDS_64 = 10, 20
"""Ids that five registers hold."""


class IdList(NamedTuple):
    """One list: an endpoint with a global notification, or vCPUs with notifications of their own."""

    endpoint: int
    vcpus: tuple[int, ...] = ()

    @property
    def ids(self) -> int:
        """16-bit ids the list takes."""
        return 1 + len(self.vcpus)


def capacity(wide: bool) -> int:
    """Ids an answer holds: 20 in the 64-bit form, 10 in the 32-bit one."""
    return IDS_64 if wide else IDS_32


def pack_info(lists: Sequence[IdList], more: bool, wide: bool) -> tuple[int, ...]:
    """x2-x7 (or w2-w7) of the answer; the lists fit in `capacity(wide)` ids."""
    flags = (MORE if more else 0) | len(lists) << _LISTS_SHIFT
    for index, entry in enumerate(lists):
        flags |= len(entry.vcpus) << _SIZES_SHIFT + _SIZE_BITS * index
    ids = _flatten(lists)
    per_register = 4 if wide else 2
    packed = [0] * 5
    for index, value in enumerate(ids):
        packed[index // per_register] |= value << 16 * (index % per_register)
    return (flags, *packed)


def unpack_info(registers: Sequence[int], wide: bool) -> tuple[tuple[IdList, ...], bool]:
    """Lists and the more flag of an answer's x2-x7; a count past the ids ends the lists."""
    flags, per_register = registers[0], 4 if wide else 2
    ids = [registers[1 + n // per_register] >> 16 * (n % per_register) & 0xFFFF for n in range(capacity(wide))]
    lists, position = [], 0
    for index in range(min(flags >> _LISTS_SHIFT & _LISTS_MASK, capacity(wide))):
        count = flags >> _SIZES_SHIFT + _SIZE_BITS * index & VCPUS_PER_LIST
        if position + 1 + count > len(ids):
            break
        lists.append(IdList(ids[position], tuple(ids[position + 1 : position + 1 + count])))
        position += 1 + count
    return tuple(lists), bool(flags & MORE)


def _flatten(lists: Iterable[IdList]) -> list[int]:
    return [value for entry in lists for value in (entry.endpoint, *entry.vcpus)]
