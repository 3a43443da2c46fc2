"""Memory accesses of guest code that somebody watches: noted as they happen, judged after their instruction.

The engine's hooks see the physical address where an access begins, and must not stop it: between two accesses of
an instruction it would leave registers half changed. So they only make the slice end after the instruction at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from unicorn import Uc, unicorn_const

from engine.arch.bits import MASK64
from engine.arch.paging import PAGE
from engine.board.memory import Memory
from engine.cpu import unicorn_api as api

_REACH: Final = 7
"""Bytes before a range at which an access may begin that touches it: the engine's are 8 bytes long at most."""
_KINDS = (unicorn_const.UC_HOOK_MEM_READ, unicorn_const.UC_HOOK_MEM_WRITE)


@dataclass(frozen=True, slots=True)
class Access:
    """One access, as it was just before it was made."""

    write: bool
    physical: int
    """Where it begins; what is beyond the end of that page may lie elsewhere."""
    size: int
    """Bytes."""
    before: bytes
    """What memory held, up to the end of the page."""
    pc: int
    registers: bytes
    """X0-X30 and SP, 8 bytes each."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Physical addresses where an access that is worth a look may begin."""

    low: int
    span: int
    mask: int = MASK64
    """PAGE - 1: in any page."""

    @classmethod
    def physical(cls, address: int, size: int) -> tuple[Filter, ...]:
        """For what touches physical memory, also where a virtual page before it lies elsewhere."""
        whole = cls(address - _REACH, size + _REACH)
        return (whole, cls(-_REACH, _REACH, PAGE - 1)) if address % PAGE < _REACH else (whole,)

    @classmethod
    def virtual(cls, address: int, size: int) -> tuple[Filter, ...]:
        """For what touches virtual memory: translation keeps the place in the page."""
        return (cls(address - _REACH, size + _REACH, PAGE - 1),)

    def takes(self, address: int) -> bool:
        return address - self.low & self.mask < self.span


class AccessWatches:
    """The hooks of one engine; there are none, and memory is as fast as ever, while nothing is watched."""

    def __init__(
        self,
        engine: Uc,
        memory: Memory,
        registers: Callable[[], tuple[int, bytes]],
        end_slice: Callable[[], object],
        fail: Callable[[BaseException], object],
    ) -> None:
        """`registers` gives PC, and X0-X30 with SP; `end_slice` ends the slice after the instruction at hand."""
        self._engine = engine
        self._memory = memory
        self._registers = registers
        self._end_slice = end_slice
        self._fail = fail
        self._filters: Sequence[Filter] = ()
        self._judge: Callable[[Sequence[Access]], bool] = lambda _accesses: False
        self._callback = api.AccessCallback(self._on_access)
        self._hooks: list[int] = []
        self.pending: list[Access] = []
        """What the instruction at hand has accessed; nothing if an exception ended it."""

    def set(self, filters: Sequence[Filter], judge: Callable[[Sequence[Access]], bool]) -> None:
        """Watch these and nothing else; between slices, and translated code must be dropped after it."""
        for hook in self._hooks:
            api.remove_hook(self._engine, hook)
        self._filters, self._judge = filters, judge
        bounds = [(max(0, each.low), each.low + each.span - 1) for each in filters]
        if any(each.mask != MASK64 for each in filters):
            bounds = [(1, 0)]
        self._hooks = [
            api.add_hook(self._engine, kind, self._callback, None, *each) for each in bounds for kind in _KINDS
        ]

    def settle(self) -> bool:
        """Have what was noted judged, between slices; whether guests must stop here."""
        if not self.pending:
            return False
        accesses = tuple(self.pending)
        self.pending.clear()
        return self._judge(accesses)

    def note_write(self, physical: int, size: int) -> None:
        """A trap handler is about to store for the guest, within a page."""
        if any(each.takes(address) for each in self._filters for address in range(physical, physical + size)):
            self._note(True, physical, size)

    def _on_access(self, _engine: int, kind: int, physical: int, size: int, _value: int, _data: int) -> None:
        try:
            for each in self._filters:
                if each.takes(physical):
                    self._note(kind == unicorn_const.UC_MEM_WRITE, physical, size)
                    self._end_slice()
                    return
        except BaseException as error:
            self._fail(error)

    def _note(self, write: bool, physical: int, size: int) -> None:
        length = min(size, PAGE - physical % PAGE)
        before = self._memory.read(physical, length) if self._memory.contains(physical, length) else b""
        self.pending.append(Access(write, physical, size, before, *self._registers()))
