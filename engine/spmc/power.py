"""Power management messages: partitions hear that their core goes off (DEN0077A v1.2, 18.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.arch.psci import Function as Psci
from engine.arch.psci import Result as PsciResult
from engine.arch.psci import function_name
from engine.events import PsciCall
from engine.ffa.abi import FRAMEWORK_MESSAGE, FrameworkMessage, Function, PartitionId, id_pair
from engine.ffa.registers import Result, call
from engine.spmc.call_chain import Context
from engine.spmc.manifest import PowerMessage
from engine.spmc.states import ContextState, RuntimeModel

if TYPE_CHECKING:
    from engine.hypervisor.hypervisor import Hypervisor
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.spmc.partition import SecurePartition
    from engine.spmc.switching import Switching

POWER_REQUEST = FRAMEWORK_MESSAGE | FrameworkMessage.PSCI_REQ
"""w2 of what a partition is told by."""
POWER_RESPONSE = FRAMEWORK_MESSAGE | FrameworkMessage.PSCI_RESP
"""w2 of its answer; w3 is a PSCI status."""
_SIGN = 1 << 31


@dataclass(slots=True)
class _GoingOff:
    """What is left to do on a core before it goes off."""

    waiting: list[Context]
    """Who has yet to be told, in order."""
    told: Context
    """Who handles its message now."""


class PowerMessages:
    """One partition after the other on each core that goes off; what they answer stops nothing, but is told of."""

    def __init__(self, hypervisor: Hypervisor, partitions: dict[int, SecurePartition], switching: Switching) -> None:
        self._hypervisor = hypervisor
        self._partitions = partitions
        self._switching = switching
        self._leaving: dict[int, _GoingOff] = {}
        """By index of the core."""
        self.gone: Callable[[PhysicalCore], None] = lambda _pcore: None
        """Called when everybody on a core was told: EL3 turns it off."""

    def reset(self) -> None:
        """Power-on."""
        self._leaving.clear()

    def begin(self, pcore: PhysicalCore, contexts: Iterable[Context]) -> bool:
        """CPU_OFF of a core: tell those of `contexts` that are to hear of it, in order.

        False if there is nobody to be told; else a partition runs, and `gone` is called later.
        """
        waiting = [context for context in contexts if context.core is pcore and self._wants(context)]
        told = self._tell_next(pcore, waiting)
        if told is not None:
            self._leaving[pcore.index] = _GoingOff(waiting, told)
        return told is not None

    def _wants(self, context: Context) -> bool:
        """Partitions of one context are on no particular core; power management is none of their business."""
        manifest = self._partitions[context.endpoint].manifest
        return manifest.contexts > 1 and bool(manifest.power_messages & PowerMessage.CPU_OFF)

    def _tell_next(self, pcore: PhysicalCore, waiting: list[Context]) -> Context | None:
        """Who is told now, None if nobody is left. In the middle of something else nobody can be told."""
        while waiting:
            context = waiting.pop(0)
            if context.state is ContextState.IDLE:
                self._tell(context, pcore)
                return context
            self._refused(context, PsciResult.DENIED)
        return None

    def _tell(self, context: Context, pcore: PhysicalCore) -> None:
        context.model = RuntimeModel.DIRECT_REQUEST
        context.request, context.requester = Function.MSG_SEND_DIRECT_REQ_32, PartitionId.SPMC
        ids = id_pair(PartitionId.SPMC, context.endpoint)
        self._switching.enter(context, pcore, call(context.request, ids, POWER_REQUEST, Psci.CPU_OFF))

    def settle(self, pcore: PhysicalCore, result: Result | None) -> bool:
        """A partition is done with a core. True if it was told that the core goes off: what follows is done here."""
        core = self._leaving.get(pcore.index)
        if core is None:
            return False
        if result is not None and result.fid == Function.MSG_SEND_DIRECT_RESP_32 and result.values[3]:
            self._refused(core.told, ((result.values[3] & 0xFFFF_FFFF) ^ _SIGN) - _SIGN)
        told = self._tell_next(pcore, core.waiting)
        if told is not None:
            core.told = told
            return True
        del self._leaving[pcore.index]
        self._switching.leaving()
        self.gone(pcore)
        self._switching.signal_queued(pcore)
        return True

    def _refused(self, context: Context, status: int) -> None:
        partition = self._partitions[context.endpoint]
        name = function_name(Psci.CPU_OFF) or ""
        event = PsciCall(context.core.now, partition.name, context.index, name, (0, 0, 0), status)
        self._hypervisor.events.emit(event)
