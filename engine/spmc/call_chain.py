"""Who called whom: direct requests and FFA_RUN from partition to partition (DEN0077A v1.2, 8.6).

A context knows its caller and its callee; a chain is what these links lead through, so it is plain data and a part of
it can be suspended and taken up again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.ffa.abi import PartitionId, target_word
from engine.ffa.errors import Code, require
from engine.spmc.states import ContextState, RuntimeModel, check_transition

if TYPE_CHECKING:
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.hypervisor.vcpu import Vcpu


@dataclass(slots=True, eq=False)
class Context:
    """One execution context of a secure partition."""

    endpoint: int
    index: int
    vcpu: Vcpu
    state: ContextState = ContextState.RESET
    model: RuntimeModel = RuntimeModel.INIT
    caller: Context | None = None
    """The context that waits for it, None when the normal world or nobody does."""
    callee: Context | None = None
    """The context it waits for."""
    request: int = 0
    """The function it was entered by; a direct request or FFA_RUN."""
    requester: int | None = None
    """Endpoint that gets its direct response; None unless it serves a direct request."""
    interrupted: Context | None = None
    """The context that ran on its core before a secure interrupt started this one."""
    resumable: bool = False
    """It ran when a Non-secure interrupt preempted its chain: FFA_RUN of the normal world is for it."""
    yielded: bool = False
    """It gave way by FFA_YIELD."""
    leaving: bool = False
    """It was asked to leave by the managed exit interrupt, and has not yet."""

    def become(self, state: ContextState) -> None:
        """Change state; IllegalTransitionError where the state machine does not allow it."""
        check_transition(self.state, state)
        self.state = state

    def restart(self) -> None:
        """It begins again, as after power-on."""
        self.state, self.model = ContextState.RESET, RuntimeModel.INIT

    @property
    def core(self) -> PhysicalCore:
        """The physical core it is on."""
        return self.vcpu.pcore

    @property
    def word(self) -> int:
        """Target information: id in [31:16], context in [15:0]."""
        return target_word(self.endpoint, self.index)

    @property
    def handles_power(self) -> bool:
        """It serves a power management message of the SPMC (DEN0077A v1.2, 18.2)."""
        return self.requester == PartitionId.SPMC

    def callers(self) -> Iterator[Context]:
        """Secure contexts that wait for it, nearest first."""
        caller = self.caller
        while caller is not None:
            yield caller
            caller = caller.caller

    def innermost(self) -> Context:
        """Who works at the end of the chain from here."""
        return self if self.callee is None else self.callee.innermost()

    def link(self, callee: Context) -> None:
        """Wait for `callee`."""
        self.callee, callee.caller = callee, self

    def unlink(self) -> Context | None:
        """The end of a call: who waited for it, None if that was no secure partition."""
        caller, self.caller = self.caller, None
        if caller is not None:
            caller.callee = None
        return caller

    def forget(self) -> None:
        """It is in the middle of nothing."""
        self.caller = self.callee = self.interrupted = self.requester = None
        self.request, self.yielded, self.leaving, self.resumable = 0, False, False, False


def check_call(caller: Context, receiver: int, max_depth: int) -> None:
    """BUSY when `receiver` waits in this chain already (a cycle), or when the chain would be too deep."""
    chain = [caller, *caller.callers()]
    require(all(each.endpoint != receiver for each in chain), Code.BUSY, f"0x{receiver:x} is in the call chain")
    require(len(chain) <= max_depth, Code.BUSY, f"call chains are at most {max_depth} deep")
