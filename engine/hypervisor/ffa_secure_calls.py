"""Calls of VMs that concern the secure world: checked here, then relayed; all others stay the relayer's own."""

from __future__ import annotations

from collections.abc import Callable

from engine.ffa.abi import Function, is_64, receiver_of, sender_of
from engine.ffa.errors import Code, FfaError, require_valid
from engine.ffa.flags import SEND2_DELAY_SRI, GetFlag
from engine.ffa.message import SHOWN, pack_message, parse_message
from engine.ffa.notification_info import IdList, capacity, pack_info, unpack_info
from engine.ffa.registers import Result, is_wide, success_32, success_64
from engine.ffa.version import V1_2
from engine.hypervisor.ffa_endpoints import Relay, VmEndpoint
from engine.hypervisor.ffa_notify import PRIMARY, NotificationCalls
from engine.hypervisor.ffa_secure import SecureClient, goes_there
from engine.manager.buffers import read_tx
from engine.manager.endpoint import Call, Handler, Handlers
from engine.views import VmRunState

_REQUESTS = (
    Function.MSG_SEND_DIRECT_REQ_32,
    Function.MSG_SEND_DIRECT_REQ_64,
    Function.MSG_SEND_DIRECT_REQ2,
)
_KEPT_THERE = int(GetFlag.SP | GetFlag.SPM)


class SecureCalls:
    """Wraps the relayer's own handlers."""

    def __init__(self, relay: Relay, secure: SecureClient, local: Handlers, notify: NotificationCalls) -> None:
        self._relay = relay
        self._secure = secure
        self._local = local
        self._notify = notify
        self._news: list[IdList] = []
        """What the SPMC told of its notifications and the primary VM has not asked for yet."""

    def handlers(self) -> Handlers:
        """What replaces the relayer's own handlers."""
        return {
            **dict.fromkeys(_REQUESTS, self._request),
            Function.RUN: self._run,
            Function.MSG_SEND2: self._send_indirect,
            Function.NOTIFICATION_BITMAP_CREATE: self._on_both_sides,
            Function.NOTIFICATION_BITMAP_DESTROY: self._on_both_sides,
            Function.NOTIFICATION_BIND: self._by(sender_of),
            Function.NOTIFICATION_UNBIND: self._by(sender_of),
            Function.NOTIFICATION_SET: self._by(receiver_of),
            Function.NOTIFICATION_GET: self._get,
            Function.NOTIFICATION_INFO_GET_32: self._info,
            Function.NOTIFICATION_INFO_GET_64: self._info,
        }

    # --- messages ----------------------------------------------------------------------------------

    def _request(self, request: Call) -> Result | None:
        args = request.args
        if not goes_there(receiver_of(args[1])):
            return self._local[Function(args[0])](request)
        require_valid(is_wide(args[0]) or args[2] == 0, "framework messages are the managers'")
        sender = sender_of(args[1])
        require_valid(sender == request.caller, f"0x{request.caller:x} sends as 0x{sender:x}")
        return self._secure.forward(request.vcpu, args)

    def _run(self, request: Call) -> Result | None:
        word = request.args[1]
        if not goes_there(sender_of(word)):
            return self._local[Function.RUN](request)
        self._secure.check_run(request.vcpu, word)
        return self._secure.forward(request.vcpu, request.args)

    def _send_indirect(self, request: Call) -> Result | None:
        endpoint = request.endpoint
        data = read_tx(self._relay, endpoint)
        message = parse_message(data, endpoint.version)
        if not goes_there(message.receiver):
            return self._local[Function.MSG_SEND2](request)
        self._relay.work.sent = data[:SHOWN]
        require_valid(not request.args[2] & SEND2_DELAY_SRI, "only SPs delay the interrupt")
        require_valid(message.sender == endpoint.id, f"0x{endpoint.id:x} sends as 0x{message.sender:x}")
        self._secure.send_message(request.vcpu, pack_message(message, V1_2), endpoint.id)
        return success_32()

    # --- notifications --------------------------------------------------------------------------------

    def _on_both_sides(self, request: Call) -> Result | None:
        """Each manager keeps a bitmap for what its own side signals; both exist or neither does."""
        bitmaps = self._relay.notifications.endpoints
        before = bitmaps.get(request.caller)
        done = self._local[Function(request.args[0])](request)
        try:
            self._secure.notification(request.vcpu, request.args)
        except FfaError:
            if before is None:
                del bitmaps[request.caller]
            else:
                bitmaps[request.caller] = before
            raise
        return done

    def _by(self, other: Callable[[int], int]) -> Handler:
        """A call that goes to the side of the endpoint it names besides the caller."""
        mine = receiver_of if other is sender_of else sender_of

        def serve(request: Call) -> Result | None:
            if not goes_there(other(request.args[1])):
                return self._local[Function(request.args[0])](request)
            require_valid(mine(request.args[1]) == request.caller, f"not 0x{request.caller:x}'s notifications")
            return self._secure.notification(request.vcpu, request.args)

        return serve

    def _get(self, request: Call) -> Result | None:
        """What partitions signalled is kept there, what VMs did is kept here."""
        own = self._local[Function.NOTIFICATION_GET](request)
        flags = request.args[2] & _KEPT_THERE
        if own is None or not flags:
            return own
        there = self._secure.notification(request.vcpu, (*request.args[:2], flags, *request.args[3:]))
        self._news = [entry for entry in self._news if entry.endpoint != request.caller]
        bitmaps = (here | far for here, far in zip(own.values[2:], there.values[2:], strict=True))
        return success_32(*bitmaps)

    def _info(self, request: Call) -> Result | None:
        """What the SPMC told comes first; the primary VM hears of all endpoints, any other one of itself."""
        wide = is_64(request.args[0])
        mine = [entry for entry in self._news if request.caller in (PRIMARY, entry.endpoint)]
        told: list[IdList] = []
        room = capacity(wide)
        while mine and mine[0].ids <= room:
            told.append(mine.pop(0))
            room -= told[-1].ids
        if not told:
            return self._local[Function(request.args[0])](request)
        self._news = [entry for entry in self._news if entry not in told]
        registers = pack_info(told, True, wide)
        return success_64(*registers) if wide else success_32(*registers)

    def drop(self, endpoint: VmEndpoint) -> None:
        """A VM ended: the SPMC keeps no bitmaps for it, so that it may create them again."""
        self._news = [entry for entry in self._news if entry.endpoint != endpoint.id]
        if endpoint.id in self._relay.notifications.endpoints:
            self._secure.drop_notifications(endpoint.vm.vcpus[0], endpoint.id, endpoint.contexts)

    def on_schedule_receiver(self) -> None:
        """The SRI of the secure world: ask what is pending, tell the VMs concerned, and the primary one of the rest."""
        vms = (endpoint.vm for endpoint in self._relay.endpoints.values())
        vcpu = next((vm.vcpus[0] for vm in vms if vm.state is VmRunState.RUNNING), None)
        if vcpu is None:
            return
        more = True
        while more:
            try:
                answer = self._secure.call(vcpu, Function.NOTIFICATION_INFO_GET_64)
            except FfaError as nothing:
                if nothing.code is not Code.NO_DATA:
                    raise
                return
            lists, more = unpack_info(answer.values[2:8], True)
            for entry in lists:
                self._tell(entry)

    def _tell(self, entry: IdList) -> None:
        if entry not in self._news:
            self._news.append(entry)
        if goes_there(entry.endpoint):
            self._notify.signal_scheduler()
        elif entry.endpoint in self._relay.endpoints:
            self._notify.signal(entry.endpoint, entry.vcpus[0] if entry.vcpus else None)
