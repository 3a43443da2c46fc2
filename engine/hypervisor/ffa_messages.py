"""Direct and indirect messages, MSG_WAIT, RUN and YIELD between the vCPUs of VMs.

A vCPU that waits is not on any core; whoever answers it writes its registers and makes it runnable.
"""

from __future__ import annotations

from engine.ffa.abi import Function, handle_of, is_secure, receiver_of, sender_of
from engine.ffa.errors import Code, FfaError, require, require_allowed, require_valid
from engine.ffa.flags import RETAIN_RX, SEND2_DELAY_SRI
from engine.ffa.mailbox import Filled, RxContent
from engine.ffa.message import SHOWN, pack_message, parse_message
from engine.ffa.notifications import bitmap_of
from engine.ffa.registers import Result, call, interrupt, is_wide, success_32
from engine.ffa.version import V1_1, V1_2
from engine.hypervisor.ffa_chains import CallChains, leave
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.ffa_notify import NotificationCalls
from engine.hypervisor.ffa_stub_spmc import StubCommand, command, echo
from engine.hypervisor.vcpu import Vcpu
from engine.manager.buffers import fill_rx, read_tx
from engine.manager.endpoint import Call, Handlers
from engine.manager.memory_calls import MemoryCalls
from engine.views import VcpuState, VmRunState

_REQUESTS = (
    Function.MSG_SEND_DIRECT_REQ_32,
    Function.MSG_SEND_DIRECT_REQ_64,
    Function.MSG_SEND_DIRECT_REQ2,
)
_RESPONSES = {
    Function.MSG_SEND_DIRECT_RESP_32: Function.MSG_SEND_DIRECT_REQ_32,
    Function.MSG_SEND_DIRECT_RESP_64: Function.MSG_SEND_DIRECT_REQ_64,
    Function.MSG_SEND_DIRECT_RESP2: Function.MSG_SEND_DIRECT_REQ2,
}


class MessageCalls:
    """Checks of the calls; who waits for whom is in `CallChains`."""

    def __init__(self, relay: Relay, memory: MemoryCalls, notify: NotificationCalls) -> None:
        self._relay = relay
        self._hypervisor = relay.hypervisor
        self._memory = memory
        self._notify = notify
        self.chains = CallChains(relay)

    def handlers(self) -> Handlers:
        """What is served here."""
        return {
            **dict.fromkeys(_REQUESTS, self._request),
            **dict.fromkeys(_RESPONSES, self._respond),
            Function.MSG_SEND2: self._send_indirect,
            Function.MSG_WAIT: self._wait,
            Function.RUN: self._run,
            Function.YIELD: self._yield,
        }

    # --- direct messages -----------------------------------------------------------------------

    def _request(self, request: Call) -> Result | None:
        sender, receiver = sender_of(request.args[1]), receiver_of(request.args[1])
        narrow = not is_wide(request.args[0])
        require_valid(not narrow or request.args[2] == 0, "framework messages are the managers'")
        require_valid(sender == request.caller, f"0x{request.caller:x} sends as 0x{sender:x}")
        require_valid(sender != receiver, "a message to oneself")
        if receiver in self._relay.stubs:
            self._check_service(request, self._relay.stubs[receiver].uuid.bytes)
            return self._ask_stub(receiver, request)
        peer = self._relay.peer(sender, receiver)
        self._check_service(request, peer.uuids[0].bytes)
        require_allowed(narrow or peer.version >= V1_2, "the receiver does not speak v1.2")
        self._check_running(peer)
        vcpu = self._idle_vcpu(peer, request.vcpu.index)
        self.chains.begin(request, vcpu, call(request.args[0], *request.args[1:]))
        return None

    @staticmethod
    def _check_service(request: Call, uuid: bytes) -> None:
        """REQ2 names a service of the receiver, or none."""
        wanted = b"".join(word.to_bytes(8, "little") for word in request.args[2:4])
        named = is_wide(request.args[0]) and any(wanted)
        require_valid(not named or wanted == uuid, "the receiver has no such service")

    @staticmethod
    def _check_running(peer: VmEndpoint) -> None:
        require(peer.vm.state is VmRunState.RUNNING, Code.ABORTED, f"0x{peer.id:x} is {peer.vm.state.value}")

    @staticmethod
    def _idle_vcpu(peer: VmEndpoint, preferred: int) -> Vcpu:
        """A vCPU that waits for messages, the one with the caller's index if it does. BUSY without."""
        waiting = [vcpu for vcpu in peer.vm.vcpus if vcpu.state is VcpuState.WAITING]
        require(waiting, Code.BUSY, f"no vCPU of 0x{peer.id:x} waits")
        return min(waiting, key=lambda vcpu: (vcpu.index != preferred, vcpu.index))

    def _respond(self, request: Call) -> Result | None:
        args, state = request.args, request.vcpu.ffa
        receiver = receiver_of(args[1])
        require_valid(sender_of(args[1]) == request.caller, "a response in another's name")
        require_valid(is_wide(args[0]) or args[2] == 0, "w2 must be zero")
        caller = state.caller
        asked = caller is not None and caller.endpoint == receiver and state.function in _REQUESTS
        require_allowed(asked, f"0x{receiver:x} asked nothing")
        wide = state.function == Function.MSG_SEND_DIRECT_REQ2
        require_allowed(wide is (args[0] == Function.MSG_SEND_DIRECT_RESP2), "another kind of response is due")
        self.chains.finish(request.vcpu, call(args[0], *args[1:]))
        return self._idle(request)

    def _idle(self, request: Call) -> Result | None:
        """Wait for a message, FFA_RUN or an interrupt; the last leaves FFA_INTERRUPT in the registers."""
        vcpu, result = request.vcpu, interrupt(*request.target)
        if vcpu.vm.interrupts.wakes(vcpu.index):
            return result
        leave(vcpu, result)
        self._hypervisor.block(vcpu, VcpuState.WAITING, "ff-a wait")
        return None

    # --- waiting and running -----------------------------------------------------------------------

    def _wait(self, request: Call) -> Result | None:
        state, retain = request.vcpu.ffa, request.args[2] & RETAIN_RX
        require_valid(not retain or request.endpoint.version >= V1_2, "RX is retained from v1.2 on")
        require_allowed(state.caller is None or state.function == Function.RUN, "a direct request waits for its answer")
        if not retain:
            self._relay.empty_rx(request.caller)
        self.chains.finish(request.vcpu, call(Function.MSG_WAIT, request.target.word))
        return self._idle(request)

    def _run(self, request: Call) -> Result | None:
        endpoint, index = sender_of(request.args[1]), receiver_of(request.args[1])
        stubbed = is_secure(endpoint) and endpoint in self._relay.stubs
        require(not stubbed, Code.NOT_SUPPORTED, "stub partitions have no vCPUs")
        peer = self._relay.peer(request.caller, endpoint)
        require_valid(index < len(peer.vm.vcpus), f"vCPU {index} of {len(peer.vm.vcpus)}")
        self._check_running(peer)
        vcpu = peer.vm.vcpus[index]
        if vcpu.ffa.lost == request.caller:
            vcpu.ffa.lost = None
            raise FfaError(Code.ABORTED, "its partition started over in the middle of the call")
        require_allowed(vcpu.state is not VcpuState.OFF, "the vCPU is off")
        if vcpu.ffa.suspended:
            caller = vcpu.ffa.caller
            require_allowed(caller is not None and caller.endpoint == request.caller, "it has another caller")
            self.chains.resume(request, vcpu)
            return None
        require(vcpu.state is VcpuState.WAITING, Code.BUSY, f"the vCPU is {vcpu.state.value}")
        self.chains.begin(request, vcpu, call(Function.RUN, request.args[1]))
        return None

    def _yield(self, request: Call) -> Result | None:
        """Back to whoever called it, with the time after which to go on (w2, w3); else to the scheduler."""
        vcpu, result = request.vcpu, success_32()
        if vcpu.ffa.caller is None:
            self._hypervisor.give_way(vcpu)
            return result
        leave(vcpu, result)
        self.chains.give_back(vcpu, call(Function.YIELD, request.target.word, *request.args[2:4]))
        return None

    # --- indirect messages -----------------------------------------------------------------------------

    def _send_indirect(self, request: Call) -> Result:
        require_valid(not request.args[2] & SEND2_DELAY_SRI, "only SPs delay the interrupt")
        endpoint = request.endpoint
        data = read_tx(self._relay, endpoint)
        self._relay.work.sent = data[:SHOWN]
        message = parse_message(data, endpoint.version)
        require_valid(message.sender == endpoint.id, f"0x{endpoint.id:x} sends as 0x{message.sender:x}")
        require_allowed(message.receiver not in self._relay.stubs, "stub partitions have no RX buffer")
        peer = self._relay.peer(endpoint.id, message.receiver)
        require_allowed(peer.version >= V1_1, "the receiver does not speak v1.1")
        data = pack_message(message, peer.version)
        with self._relay.filling(peer, len(data)):
            fill_rx(self._relay, peer, data, Filled(RxContent.MESSAGE, endpoint.id, len(data)))
        self._notify.rx_full(peer.id)
        return success_32()

    # --- the stub, and ends ------------------------------------------------------------------------------

    def _ask_stub(self, stub: int, request: Call) -> Result:
        args, asked = request.args, command(request.args)
        if asked is None:
            return echo(args)
        try:
            if asked is StubCommand.NOTIFY:
                self._notify.notify(stub, request.caller, bitmap_of(args[4], args[5]))
            elif asked is StubCommand.RETRIEVE:
                self._memory.stub_retrieve(stub, handle_of(args[4], args[5]))
            else:
                self._memory.stub_relinquish(stub, handle_of(args[4], args[5]))
        except FfaError as refused:
            return echo(args, int(refused.code))
        return echo(args, 0)

    def teardown(self, endpoint: VmEndpoint) -> None:
        """An endpoint ended, in the middle of whatever calls."""
        self.chains.teardown(endpoint)
