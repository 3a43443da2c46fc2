"""Ways to make a good memory request hostile, each one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from engine.arch.paging import PAGE
from engine.ffa.memory import Data, Instruction
from tests.support.ffa_requests import BYPASS, NORMAL, ZERO, ZERO_AFTER, Ranges, Retrieve, Send

_TOP = (1 << 64) - PAGE


class Scene(NamedTuple):
    """What a hostile VM can choose from."""

    other: int
    """Another VM."""
    own: int
    """IPA of a page of its RAM."""
    buffer: int
    """IPA of its RX buffer."""
    foreign: int
    """IPA of a page of another VM's RAM."""
    number: int
    """Anything."""


def _pick(scene: Scene, *choices: int) -> int:
    return choices[scene.number % len(choices)]


def _all(ranges: Ranges) -> int:
    return sum(count for _, count in ranges)


SendTwist: TypeAlias = Callable[[Send, Scene], Send]
SENDS: dict[str, SendTwist] = {
    "sender is another": lambda s, c: replace(s, sender=c.other),
    "sender is nobody": lambda s, c: replace(s, sender=_pick(c, 0, 0x8000, 0xFFFF)),
    "to itself": lambda s, _: replace(s, to=(*s.to[1:], s.sender)),
    "to nobody": lambda s, _: replace(s, to=()),
    "to a stranger": lambda s, c: replace(s, to=(*s.to[1:], _pick(c, 0, 4, 0x8000, 0x8003, 0xFFFF))),
    "twice to one": lambda s, _: replace(s, to=(*s.to, s.to[0])),
    "to too many": lambda s, _: replace(s, to=tuple({1, 2, 3, 0x8001, 0x8002} - {s.sender})),
    "flags": lambda s, c: replace(s, flags=_pick(c, 2, 4, 8, 0x400, 1 << 31)),
    "clear": lambda s, _: replace(s, flags=ZERO),
    "handle": lambda s, c: replace(s, handle=_pick(c, 1, 1 << 63, (1 << 63) + 1)),
    "instruction access": lambda s, c: replace(s, instruction=Instruction(_pick(c, 1, 2, 3))),
    "data access": lambda s, _: replace(s, data=Data.RW if s.data is Data.UNSPECIFIED else Data.UNSPECIFIED),
    "attributes": lambda s, c: replace(s, attributes=_pick(c, NORMAL, 0x10, 0x1C, 0x2E, 0x6F, 0x30, 0x12F)),
    "no ranges": lambda s, _: replace(s, ranges=()),
    "overlap": lambda s, _: replace(s, ranges=(*s.ranges, s.ranges[0])),
    "wrap": lambda s, c: replace(s, ranges=(*s.ranges, (_TOP, _pick(c, 2, 0xFFF0_0000)))),
    "the last page": lambda s, _: replace(s, ranges=((_TOP, 1),)),
    "unaligned": lambda s, c: replace(s, ranges=((s.ranges[0][0] + _pick(c, 1, 8, 2048), s.ranges[0][1]),)),
    "no pages": lambda s, _: replace(s, ranges=((s.ranges[0][0], 0), *s.ranges[1:])),
    "too many pages": lambda s, c: replace(s, ranges=((s.ranges[0][0], _pick(c, 1024, 1 << 20, 0xFFF0_0000)),)),
    "too wide": lambda s, c: replace(s, ranges=((s.ranges[0][0] | 1 << _pick(c, 39, 40, 48, 63), 1),)),
    "a device": lambda s, c: replace(s, ranges=((_pick(c, 0x0800_0000, 0x0900_0000), 1),)),
    "another's page": lambda s, c: replace(s, ranges=(*s.ranges, (c.foreign, 1))),
    "a buffer": lambda s, c: replace(s, ranges=(*s.ranges, (c.buffer, 1))),
    "count": lambda s, c: replace(s, announced=_pick(c, 1, 2, 255)),
    "damage": lambda s, c: replace(s, damage=1 + c.number % 12),
}
"""By what is wrong."""

RetrieveTwist: TypeAlias = Callable[[Retrieve, Scene], Retrieve]
RETRIEVES: dict[str, RetrieveTwist] = {
    "sender is another": lambda r, c: replace(r, sender=_pick(c, 0, c.other, 0x8001)),
    "stale handle": lambda r, c: replace(r, handle=_pick(c, 0, r.handle + 1, r.handle ^ 1 << 63, (1 << 64) - 1)),
    "tag": lambda r, _: replace(r, tag=r.tag + 1),
    "list too long": lambda r, c: replace(r, to=(*r.to, c.other)),
    "list of itself": lambda r, c: replace(r, to=(r.to[-1],)),
    "list of others": lambda r, c: replace(r, to=(c.other,)),
    "bypass": lambda r, _: replace(r, flags=BYPASS),
    "flags": lambda r, c: replace(r, flags=_pick(c, 1 << 11, 1 << 31)),
    "kind": lambda r, c: replace(r, flags=_pick(c, 1, 2, 3) << 3),
    "clear": lambda r, c: replace(r, flags=_pick(c, ZERO, ZERO_AFTER, ZERO | ZERO_AFTER)),
    "data access": lambda r, _: replace(r, data=Data.RW),
    "instruction access": lambda r, c: replace(r, instruction=Instruction(_pick(c, 0, 1, 2))),
    "attributes": lambda r, c: replace(r, attributes=_pick(c, NORMAL, 0x2E)),
    "too few pages": lambda r, c: replace(r, ranges=((0x1_0000_0000, _pick(c, 1, 9)),)),
    "at its own page": lambda r, c: replace(r, ranges=((c.own, _all(r.ranges) or 1),)),
    "at a device": lambda r, c: replace(r, ranges=((_pick(c, 0x0800_F000, 0x0901_0000), _all(r.ranges) or 1),)),
    "past the end": lambda r, c: replace(r, ranges=(((1 << _pick(c, 39, 40, 63)) - PAGE, _all(r.ranges) or 2),)),
    "wrap": lambda r, _: replace(r, ranges=((_TOP, 2),)),
    "unaligned": lambda r, _: replace(r, ranges=((0x1_0000_0008, _all(r.ranges) or 1),)),
    "overlap": lambda r, _: replace(r, ranges=((0x1_0000_0000, 2), (0x1_0000_1000, 1))),
    "count": lambda r, _: replace(r, announced=1 if r.ranges else 0),
    "damage": lambda r, c: replace(r, damage=(1, 2, 3, 4, 5, 6, 9, 10, 11, 12)[c.number % 10]),
}
"""By what is wrong. Some are right now and then."""
