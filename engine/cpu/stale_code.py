"""Translated code that the guest or the host has made stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.arch.controls import PSTATE_EL2H

if TYPE_CHECKING:
    from engine.cpu.core import Core

CACHE_LINE: Final = 64


class StaleCode:
    """What must be dropped from the translation cache before guest code runs on.

    The engine invalidates code by itself only when it is overwritten through the address it ran at,
    and not reliably then; so the architecture's own signal, the IC instructions, is honoured.
    """

    __slots__ = ("_lines", "_physical", "everything")

    def __init__(self) -> None:
        self.everything = False
        self._lines: list[int] = []
        self._physical: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._lines or self._physical or self.everything)

    def add_line(self, address: int) -> None:
        """The cache line at a virtual address of the current regime."""
        self._lines.append(address & -CACHE_LINE)

    def add_physical(self, address: int, size: int) -> None:
        """Memory that the host wrote."""
        self._physical.append((address, size))

    def drop(self, core: Core) -> None:
        """Drop it all; never inside a hook, where it would corrupt the running block."""
        lines, physical, everything = self._lines, self._physical, self.everything
        self._lines, self._physical, self.everything = [], [], False
        if everything:
            core.drop_translations()
            return
        for line in lines:
            if core.translate(line, execute=True) is not None:
                core.drop_range(line, CACHE_LINE)
            elif (address := core.translate(line)) is not None:
                physical.append((address, CACHE_LINE))
        if physical:
            self._drop_physical(core, physical)

    @staticmethod
    def _drop_physical(core: Core, ranges: list[tuple[int, int]]) -> None:
        """The engine drops code by executable virtual address only: look through EL2, whose MMU is off."""
        pstate = core.pstate
        core.pstate = PSTATE_EL2H
        for address, size in ranges:
            core.drop_range(address, size)
        core.pstate = pstate
