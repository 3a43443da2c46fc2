"""Direct messages, FFA_RUN, MSG_WAIT and YIELD of secure partitions (DEN0077A v1.2, 7, 8 and 15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.ffa.abi import Function, is_secure, receiver_of, sender_of
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.flags import RETAIN_RX, PartitionProperty
from engine.ffa.registers import Result, call, error, interrupt, is_wide, success_32
from engine.ffa.version import V1_2
from engine.spmc.call_chain import Context, check_call
from engine.spmc.power import POWER_RESPONSE
from engine.spmc.states import ContextState, RuntimeModel

if TYPE_CHECKING:
    from engine.hypervisor.physical_core import PhysicalCore
    from engine.spmc.partition import SecurePartition
    from engine.spmc.switching import Switching

REQUESTS = (Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64, Function.MSG_SEND_DIRECT_REQ2)
RESPONSES = {
    Function.MSG_SEND_DIRECT_RESP_32: (Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64),
    Function.MSG_SEND_DIRECT_RESP_64: (Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_REQ_64),
    Function.MSG_SEND_DIRECT_RESP2: (Function.MSG_SEND_DIRECT_REQ2,),
}
_RECEIVES = {True: PartitionProperty.RECEIVE_DIRECT2, False: PartitionProperty.RECEIVE_DIRECT}
_SENDS = {True: PartitionProperty.SEND_DIRECT2, False: PartitionProperty.SEND_DIRECT}


class Messages:
    """What moves control between partitions. Methods with a `pcore` serve the normal world, the others partitions."""

    def __init__(
        self,
        partitions: dict[int, SecurePartition],
        switching: Switching,
        has_notifications: Callable[[int], bool],
        initialized: Callable[[PhysicalCore], None],
        max_depth: int,
    ) -> None:
        self._partitions = partitions
        self._switching = switching
        self._has_notifications = has_notifications
        self._initialized = initialized
        self._max_depth = max_depth

    # --- direct requests ---------------------------------------------------------------------------

    def request_from_normal(self, pcore: PhysicalCore, args: tuple[int, ...]) -> None:
        """A direct request of a VM or of the hypervisor; its answer comes later. Raises FfaError."""
        sender = sender_of(args[1])
        require_valid(not is_secure(sender), f"the normal world sends as 0x{sender:x}")
        target = self._receiver(args, pcore)
        self._deliver(target, pcore, args)

    def request(self, caller: Context, args: tuple[int, ...]) -> None:
        """A partition's direct request to another one. Raises FfaError."""
        sender, receiver = sender_of(args[1]), receiver_of(args[1])
        require_valid(sender == caller.endpoint, f"0x{caller.endpoint:x} sends as 0x{sender:x}")
        require_valid(receiver != sender, "a message to oneself")
        _check_stays(caller)
        _check_free(caller)
        sends = self._partitions[sender].endpoint.properties & _SENDS[is_wide(args[0])]
        require_allowed(sends, "its manifest does not let it send direct requests of this kind")
        require_valid(receiver in self._partitions, f"unknown receiver 0x{receiver:x}")
        check_call(caller, receiver, self._max_depth)
        target = self._receiver(args, caller.core)
        self._switching.pause(caller, ContextState.BLOCKED, f"ff-a call of 0x{receiver:x}")
        caller.link(target)
        self._deliver(target, caller.core, args)

    def _receiver(self, args: tuple[int, ...], pcore: PhysicalCore) -> Context:
        """The idle context that a direct request goes to."""
        receiver, wide = receiver_of(args[1]), is_wide(args[0])
        require_valid(wide or args[2] == 0, "framework messages are the managers'")
        partition = self._partitions.get(receiver)
        if partition is None:
            raise FfaError(Code.INVALID_PARAMETERS, f"unknown receiver 0x{receiver:x}")
        uuid = b"".join(word.to_bytes(8, "little") for word in args[2:4])
        known = not wide or not any(uuid) or any(each.bytes == uuid for each in partition.endpoint.uuids)
        require_valid(known, "the receiver has no such service")
        require_allowed(partition.endpoint.properties & _RECEIVES[wide], "it does not receive requests of this kind")
        require_allowed(not wide or partition.endpoint.version >= V1_2, "the receiver does not speak v1.2")
        target = partition.context_for(pcore)
        require(target.state is not ContextState.ABORTED, Code.ABORTED, f"0x{receiver:x} is aborted")
        require(target.state is ContextState.IDLE, Code.BUSY, f"0x{receiver:x} is {target.state.value}")
        return target

    def _deliver(self, target: Context, pcore: PhysicalCore, args: tuple[int, ...]) -> None:
        target.model = RuntimeModel.DIRECT_REQUEST
        target.request, target.requester = args[0], sender_of(args[1])
        self._switching.enter(target, pcore, call(args[0], *args[1:]))

    def respond(self, context: Context, args: tuple[int, ...]) -> Result | None:
        """A direct response; FFA_INTERRUPT instead while the partition has interrupts to handle first."""
        sender, receiver = sender_of(args[1]), receiver_of(args[1])
        require_valid(sender == context.endpoint, "a response in another's name")
        kind = POWER_RESPONSE if context.handles_power else 0
        require_valid(is_wide(args[0]) or args[2] == kind, f"w2 must be 0x{kind:x}")
        require_allowed(context.requester == receiver, f"0x{receiver:x} asked nothing")
        due = context.request in RESPONSES[Function(args[0])]
        due &= not context.handles_power or args[0] == Function.MSG_SEND_DIRECT_RESP_32
        require_allowed(due, "another kind of response is due")
        _check_free(context)
        if self._must_handle(context):
            return interrupt(0, 0)
        context.requester, context.request, context.leaving = None, 0, False
        self._switching.pause(context, ContextState.IDLE, "ff-a wait")
        self._switching.resume_caller(context, call(args[0], *args[1:]))
        return None

    def _must_handle(self, context: Context) -> bool:
        """Whether a virtual interrupt is pending, or taken and not ended: its core may not go away yet."""
        interrupts = self._partitions[context.endpoint].interrupts
        require_allowed(not interrupts.in_service(context.index), "an interrupt is not deactivated")
        return interrupts.wakes(context.index)

    # --- waiting and running ----------------------------------------------------------------------------

    def wait(self, context: Context, args: tuple[int, ...]) -> Result | None:
        """MSG_WAIT: the end of what it was entered for."""
        endpoint, retain = self._partitions[context.endpoint].endpoint, args[2] & RETAIN_RX
        require_valid(not retain or endpoint.version >= V1_2, "RX is retained from v1.2 on")
        _check_free(context)
        if self._must_handle(context):
            return interrupt(0, 0)
        endpoint.mailbox.wait(bool(retain))
        context.leaving = False
        if context.model is RuntimeModel.SECURE_INTERRUPT:
            self._switching.handled(context)
            return None
        context.request = 0
        self._switching.pause(context, ContextState.IDLE, "ff-a wait")
        if context.model is RuntimeModel.INIT:
            self._initialized(context.core)
        else:
            self._switching.resume_caller(context, call(Function.MSG_WAIT, context.word))
        return None

    def run_from_normal(self, pcore: PhysicalCore, args: tuple[int, ...]) -> None:
        """FFA_RUN: takes up a preempted chain or a partition that gave way, or starts an idle one."""
        context = self._named(args)
        pinned = len(self._partitions[context.endpoint].contexts) > 1
        require_allowed(not pinned or context.core is pcore, "it is pinned to another core")
        if context.resumable:
            self._switching.run_preempted(context, pcore)
        elif context.yielded and context.caller is None:
            context.yielded = False
            self._switching.enter(context, pcore, success_32())
        else:
            self._start(context, pcore, args)

    def _start(self, context: Context, pcore: PhysicalCore, args: tuple[int, ...]) -> None:
        """Cycles for an idle execution context."""
        running = context.state in (ContextState.RUNNING, ContextState.BLOCKED)
        require(not running, Code.BUSY, f"it is {context.state.value}")
        require(context.state is not ContextState.ABORTED, Code.ABORTED, "it is aborted")
        require_allowed(context.state is ContextState.IDLE, f"it is {context.state.value}")
        partition = self._partitions[context.endpoint]
        work = partition.endpoint.mailbox.full or self._has_notifications(context.endpoint)
        require_allowed(len(partition.contexts) > 1 or work, "it has nothing to do")
        context.model, context.request = RuntimeModel.RUN, args[0]
        self._switching.enter(context, pcore, call(Function.RUN, args[1]))

    def run(self, caller: Context, args: tuple[int, ...]) -> None:
        """A partition gives cycles to one that was preempted for it, or that gave way to it."""
        _check_stays(caller)
        named = self._named(args)
        require_allowed(named.caller is caller, "it works for somebody else")
        last = named.innermost()
        require_allowed(last.state is ContextState.PREEMPTED or last.yielded, f"it is {last.state.value}")
        resumed = success_32() if last.yielded else None
        last.yielded = False
        self._switching.pause(caller, ContextState.BLOCKED, f"ff-a run of 0x{named.endpoint:x}")
        self._switching.enter(last, caller.core, resumed)

    def _named(self, args: tuple[int, ...]) -> Context:
        endpoint, index = sender_of(args[1]), receiver_of(args[1])
        partition = self._partitions.get(endpoint)
        if partition is None or index >= len(partition.contexts):
            raise FfaError(Code.INVALID_PARAMETERS, f"no context {index} of 0x{endpoint:x}")
        return partition.contexts[index]

    def give_way(self, context: Context) -> None:
        """YIELD: back to whoever runs it, until that one runs it again."""
        _check_stays(context)
        pcore, caller = context.core, context.caller
        self._switching.pause(context, ContextState.BLOCKED, "ff-a yield")
        context.yielded = True
        result = call(Function.YIELD, context.word)
        if caller is None:
            self._switching.to_normal(pcore, result)
        else:
            self._switching.enter(caller, pcore, result)

    def abort(self, context: Context) -> None:
        """A running context failed for good: whoever waits for it is told (DEN0077A v1.2, 7.4)."""
        self._switching.pause(context, ContextState.ABORTED, "aborted")
        interrupted, callee = context.interrupted, context.callee
        caller, pcore = context.unlink(), context.core
        context.forget()
        if callee is not None:
            self._switching.leave_behind(callee.innermost())
        if interrupted is not None and caller is None:
            self._switching.go_on(interrupted, pcore)
        else:
            self._switching.answer_caller(caller, pcore, error(Code.ABORTED, context.word))

    def withdraw(self, context: Context) -> None:
        """A context that does not run failed with the rest of its partition; who waits for it is told in its time."""
        context.become(ContextState.ABORTED)
        if context.resumable:
            caller = context.unlink()
            if caller is not None:
                self._switching.answer(caller, error(Code.ABORTED, context.word))
                caller.resumable = True
            context.forget()


def _check_stays(context: Context) -> None:
    """DENIED while its core waits for it to go off (DEN0077A v1.2, 8.3)."""
    require_allowed(not context.handles_power, "it handles a power management message")


def _check_free(context: Context) -> None:
    """DENIED while another partition owes it an answer, which a secure interrupt made it leave for a while."""
    require_allowed(context.callee is None, "it waits for another partition")
