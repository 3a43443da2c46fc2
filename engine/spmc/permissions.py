"""MEM_PERM_GET and MEM_PERM_SET: a partition at S-EL0 protects its own image in its initialization (DEN0140 v1.2)."""

from __future__ import annotations

from typing import Final

from engine.arch.paging import PAGE, S2AP, PageState
from engine.ffa.abi import Function
from engine.ffa.errors import require_allowed, require_valid
from engine.ffa.ranges import Range
from engine.ffa.registers import Result, success_32
from engine.manager.endpoint import Call, Handlers
from engine.manager.pages import Access
from engine.spmc.secure_manager import SecureManager
from engine.spmc.states import RuntimeModel

_RW, _RO, _XN = 0b001, 0b011, 0b100
"""Data access in [1:0], execute never in bit 2."""
_ACCESS: Final = {
    _RO | _XN: (S2AP.READ, False),
    _RW | _XN: (S2AP.READ_WRITE, False),
    _RO: (S2AP.READ, True),
}
"""What may be asked for; memory that can be written is never executable."""
_MOST_PAGES = 1 << 16
PERMISSIONS: Final = frozenset(
    {Function.MEM_PERM_GET_32, Function.MEM_PERM_GET_64, Function.MEM_PERM_SET_32, Function.MEM_PERM_SET_64}
)
"""Calls that only partitions at S-EL0 have."""


class PermissionCalls:
    """Both calls. At S-EL0 addresses are what the secure stage 2 translates: there is no stage 1."""

    def __init__(self, manager: SecureManager) -> None:
        self._manager = manager

    def handlers(self) -> Handlers:
        """What is served here, to partitions at S-EL0."""
        return {
            Function.MEM_PERM_GET_32: self._get,
            Function.MEM_PERM_GET_64: self._get,
            Function.MEM_PERM_SET_32: self._set,
            Function.MEM_PERM_SET_64: self._set,
        }

    def _check(self, call: Call, pages: int) -> Range:
        """The range that is asked about: pages of the caller's own, while it initializes."""
        context = self._manager.partitions[call.caller].contexts[call.vcpu.index]
        require_allowed(context.model is RuntimeModel.INIT, "only while it initializes")
        base = call.args[1]
        require_valid(base % PAGE == 0 and base < 1 << 48 and 0 < pages <= _MOST_PAGES, f"{pages} pages at {base:#x}")
        piece = Range(base, pages)
        found = call.endpoint.space.inspect([piece], ())
        require_valid(found.mapped and found.exclusive and not found.device, f"{piece} is not its own memory")
        return piece

    def _get(self, call: Call) -> Result:
        found = call.endpoint.space.inspect([self._check(call, 1)], ())
        data = _RW if found.writable else _RO
        return success_32(data if found.executable else data | _XN)

    def _set(self, call: Call) -> Result:
        piece = self._check(call, call.args[2])
        wanted = _ACCESS.get(call.args[3])
        require_valid(wanted is not None, f"permissions {call.args[3]:#x}")
        if wanted is not None:
            call.endpoint.space.plan_access([piece], Access(*wanted, PageState.OWNED))()
        return success_32()
