"""The C callbacks of one engine: as little Python as possible between the guest and its client.

An exception must not leave a ctypes callback: it is handed to `fail`, which ends the slice and lets
`Core.run` raise it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

from unicorn import Uc, unicorn_const

from engine.cpu import unicorn_api as api
from engine.cpu.accesses import Access
from engine.cpu.stale_code import StaleCode

if TYPE_CHECKING:
    from engine.cpu.core import CoreClient

Fail = Callable[[BaseException], None]
Words = ctypes.Array[ctypes.c_uint32]
_TIMER_CRN, _ID_CRN, _CACHE_CRN = 14, 0, 7
_IC_IALLUIS, _IC_IALLU, _IC_IVAU = (0, 1, 0), (0, 5, 0), (3, 5, 1)
_WORDS = ctypes.c_uint32 * 8
_known: dict[int, Words] = {}


def _fields(address: int) -> Words:
    """An api.CpRegister as words: crn, crm, op0, op1, op2, padding, value. Stack addresses recur, so views are kept."""
    view = _known[address] = _WORDS.from_address(address)
    return view


def interrupts(client: CoreClient, accesses: list[Access], fail: Fail) -> object:
    """Synchronous exceptions; what an instruction accessed before one counts for nothing, as it will be repeated."""

    def on_interrupt(_engine: int, number: int) -> None:
        accesses.clear()
        try:
            client.on_exception(number)
        except BaseException as error:
            fail(error)

    return api.InterruptCallback(on_interrupt)


def register_reads(client: CoreClient, x: ctypes.Array[ctypes.c_uint64], fail: Fail) -> object:
    """MRS: two million of them in a Linux boot, nearly all of registers that are no business of ours."""
    view_at, registers = _known.get, api.GENERAL_REGISTER

    def on_mrs(_engine: int, register: int, address: int) -> int:
        cp = view_at(address) or _fields(address)
        crn = cp[0]
        if crn != _TIMER_CRN and (crn != _ID_CRN or cp[3]):
            return 0  # op1 is 0 for ID registers; CTR_EL0 and DCZID_EL0, read often, have 3
        try:
            value = client.on_timer_read(cp[2] << 14 | cp[3] << 11 | crn << 7 | cp[1] << 3 | cp[4])
        except BaseException as error:
            fail(error)
            return 1
        if value is None:
            return 0
        target = registers.get(register)
        if target is not None:
            x[target] = value
        return 1

    return api.SystemCallback(on_mrs)


def register_writes(client: CoreClient, fail: Fail) -> object:
    """MSR from a general register."""
    view_at = _known.get

    def on_msr(_engine: int, _register: int, address: int) -> int:
        cp = view_at(address) or _fields(address)
        if cp[0] != _TIMER_CRN:
            return 0
        try:
            key = cp[2] << 14 | cp[3] << 11 | _TIMER_CRN << 7 | cp[1] << 3 | cp[4]
            return client.on_timer_write(key, cp[6] | cp[7] << 32)
        except BaseException as error:
            fail(error)
            return 1

    return api.SystemCallback(on_msr)


def cache_maintenance(stale: StaleCode, stop: Callable[[], object]) -> object:
    """IC instructions: code must be dropped, which can only be done after the slice."""
    view_at = _known.get

    def on_sys(_engine: int, _register: int, address: int) -> int:
        cp = view_at(address) or _fields(address)
        if cp[0] != _CACHE_CRN:
            return 0
        operation = (cp[3], cp[1], cp[4])
        if operation == _IC_IVAU:
            stale.add_line(cp[6] | cp[7] << 32)
            stop()
        elif operation in (_IC_IALLU, _IC_IALLUIS):
            stale.everything = True
            stop()
        return 0

    return api.SystemCallback(on_sys)


def unmapped_accesses(note: Callable[[int], None]) -> object:
    """Physical addresses that nothing backs."""

    def on_unmapped(_engine: int, _access: int, address: int, _size: int, _value: int, _data: int) -> bool:
        note(address)
        return False

    return api.UnmappedCallback(on_unmapped)


class CodeWatches:
    """Callbacks before single instructions; code elsewhere is translated as without them."""

    def __init__(self, engine: Uc, stop: Callable[[], object], fail: Fail) -> None:
        self._engine = engine
        self._stop = stop
        self._fail = fail
        self._reached: Callable[[int], bool] = lambda _address: False
        self._callback = api.CodeCallback(self._on_code)
        self._hooks: list[int] = []

    def set(self, addresses: set[int], reached: Callable[[int], bool]) -> None:
        """Watch these addresses and no others; translated code must be dropped after it."""
        for hook in self._hooks:
            api.remove_hook(self._engine, hook)
        self._reached = reached
        kind = unicorn_const.UC_HOOK_CODE
        self._hooks = [api.add_hook(self._engine, kind, self._callback, None, at, at) for at in sorted(addresses)]

    def _on_code(self, _engine: int, address: int, _size: int, _data: int) -> None:
        try:
            if self._reached(address):
                self._stop()
        except BaseException as error:
            self._fail(error)
