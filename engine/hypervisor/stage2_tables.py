"""Memory for translation tables: the firmware's own, which no partition has."""

from __future__ import annotations

from engine.arch.paging import PAGE
from engine.board.memory import Memory


class TableMemoryExhaustedError(Exception):
    """The firmware's carve-out holds no more translation tables."""


class TableAllocator:
    """Zeroed 4 KB pages for translation tables out of the firmware's own memory."""

    def __init__(self, memory: Memory, base: int, end: int) -> None:
        self._memory = memory
        self._next = base
        self._end = end
        self._free: list[int] = []
        self.used = 0
        """Pages that are in use as tables."""

    def take(self) -> int:
        """Address of a zeroed page; raises TableMemoryExhaustedError."""
        if self._free:
            page = self._free.pop()
        elif self._next < self._end:
            page, self._next = self._next, self._next + PAGE
        else:
            raise TableMemoryExhaustedError(f"all of the translation table memory up to {self._end:#x} is in use")
        self._memory.fill_zero(page, PAGE)
        self.used += 1
        return page

    @property
    def available(self) -> int:
        """Pages that can still be taken."""
        return len(self._free) + (self._end - self._next) // PAGE

    def give_back(self, page: int) -> None:
        """Return a page that no table points to and no TLB remembers; nothing is left in it."""
        self._memory.fill_zero(page, PAGE)
        self._free.append(page)
        self.used -= 1
