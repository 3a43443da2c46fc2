"""From registers to a handler and back: version and must-be-zero checks, refusals, and the event that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.events import FfaCall
from engine.ffa import abi
from engine.ffa.abi import Function
from engine.ffa.errors import Code, FfaError
from engine.ffa.registers import NARROW, WIDE, Result, arguments, check_mbz, error, is_wide
from engine.manager.endpoint import Call, Endpoint, Handlers, Supported
from engine.manager.manager import Manager

if TYPE_CHECKING:
    from engine.hypervisor.vcpu import Vcpu

_MASK32 = 0xFFFF_FFFF
Before = Callable[[Call, Function], None]
"""A last check before a call is served; raises FfaError."""


class CallServer:
    """Serves the calls of one kind of caller."""

    def __init__(
        self,
        manager: Manager,
        handlers: Handlers,
        supported: Supported,
        virtual: bool = True,
        before: Before = lambda _call, _function: None,
    ) -> None:
        self._manager = manager
        self._handlers = handlers
        self._supported = supported
        self._virtual = virtual
        self._before = before
        self.refusal = ""
        """Why the last call was refused, "" if it was not."""

    def serve(self, endpoint: Endpoint, vcpu: Vcpu) -> bool:
        """Serve the call in a vCPU's registers; False, changing nothing, if its id is not in FF-A's range."""
        x = vcpu.registers.x
        fid = x[0] & _MASK32
        if not abi.is_ffa(fid):
            return False
        result = self.answer(endpoint, vcpu, tuple(x[: WIDE if is_wide(fid) else NARROW]))
        if result is not None:
            x[: len(result.values)] = list(result.values)
        return True

    def answer(self, endpoint: Endpoint, vcpu: Vcpu, registers: tuple[int, ...], report: bool = True) -> Result | None:
        """Serve a call given by its registers; None where the answer comes later.

        Without `report` it makes no event: somebody relays it as it came, and tells of it already.
        """
        call = Call(endpoint, vcpu, arguments(registers))
        self._manager.take_work()
        result, self.refusal = self._serve(call)
        if report:
            self._report(call, registers, () if result is None else result.values, self.refusal)
        return result

    def _serve(self, call: Call) -> tuple[Result | None, str]:
        """The answer, None where it comes later; and why it is a refusal."""
        known, negotiation = abi.function(call.args[0]), call.endpoint.negotiation
        try:
            if known is None or not self._supported(known, call.endpoint) or abi.since(known) > negotiation.agreed:
                raise FfaError(Code.NOT_SUPPORTED, "not served")
            check_mbz(call.args, self._virtual)
            self._before(call, known)
            if known is not Function.VERSION:
                negotiation.settle()
            return self._handlers[known](call), ""
        except FfaError as refused:
            return error(refused.code), refused.reason

    def _report(self, call: Call, registers: tuple[int, ...], values: tuple[int, ...], reason: str) -> None:
        """What happened, as it was: nobody may ever look, so nothing is put into words here."""
        endpoint, vcpu, work = call.endpoint, call.vcpu, self._manager.take_work()
        head = (vcpu.pcore.now, vcpu.vm.name, vcpu.index, endpoint.id, registers, values, endpoint.version, reason)
        emit = self._manager.hypervisor.events.emit
        if work is None:
            emit(FfaCall(*head))
        else:
            emit(FfaCall(*head, work.sent, work.received, work.cost), len(work.sent) + len(work.received))
