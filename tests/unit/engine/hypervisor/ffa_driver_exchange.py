"""Messages, notifications, stub partitions and ends of VMs, predicted and checked like memory calls."""

from __future__ import annotations

from collections.abc import Sequence

from engine.ffa.abi import Function, handle_words, id_pair
from engine.ffa.errors import Code
from engine.ffa.memory import Instruction
from engine.ffa.message import Message, pack_message
from engine.hypervisor.ffa_stub_spmc import StubCommand
from engine.views import VmRunState
from tests.support.ffa_exchange_model import BUFFER, Doing, Inbox, keys_of
from tests.support.ffa_model import codes
from tests.support.ffa_requests import DONATE, Retrieve
from tests.unit.engine.hypervisor.ffa_driver import STUBS, VMS
from tests.unit.engine.hypervisor.ffa_driver_memory import MemoryDriver
from tests.unit.engine.hypervisor.relaying import status

_PAYLOAD = 0xC0FFEE
REQUESTS = (
    Function.MSG_SEND_DIRECT_REQ_32,
    Function.MSG_SEND_DIRECT_REQ_64,
    Function.MSG_SEND_DIRECT_REQ2,
)
RESPONSES = (
    Function.MSG_SEND_DIRECT_RESP_32,
    Function.MSG_SEND_DIRECT_RESP_64,
    Function.MSG_SEND_DIRECT_RESP2,
)


class FullDriver(MemoryDriver):
    """Everything that VMs do with each other."""

    # --- messages --------------------------------------------------------------------------------------

    def ask(self, vm: int, kind: int, sender: int, receiver: int, flags: int = 0) -> None:
        """A direct request to another VM."""
        function = REQUESTS[kind]
        wide = function is Function.MSG_SEND_DIRECT_REQ2
        expected = self.talk.may_ask(vm, sender, receiver, bool(flags))
        if self.call(expected, vm, function, id_pair(sender, receiver), flags, 0, _PAYLOAD) is None:
            return
        self.talk.ask(vm, receiver, wide)
        x = self.board.vcpu(receiver).registers.x
        assert (x[0], x[1], x[4]) == (function, id_pair(vm, receiver), _PAYLOAD)

    def answer(self, vm: int, kind: int, sender: int, receiver: int, flags: int = 0) -> None:
        """A direct response."""
        function = RESPONSES[kind]
        wide = function is Function.MSG_SEND_DIRECT_RESP2
        expected = self.talk.may_answer(vm, sender, receiver, flags, wide)
        if self.call(expected, vm, function, id_pair(sender, receiver), flags, 0, _PAYLOAD) is None:
            return
        self.talk.answer(vm)
        x = self.board.vcpu(receiver).registers.x
        assert (x[0], x[1], x[4]) == (function, id_pair(vm, receiver), _PAYLOAD)

    def wait(self, vm: int, retain: bool) -> None:
        """MSG_WAIT; some other VM must be running."""
        expected = {Code.DENIED} if vm in self.talk.asked else set()
        if self.call(expected, vm, Function.MSG_WAIT, 0, int(retain)) is not None:
            self.talk.doing[vm] = Doing.WAITS
            if not retain:
                self.buffers.full.discard(vm)

    def interrupt(self, vm: int) -> None:
        """An interrupt ends the wait of a VM."""
        assert self.talk.doing[vm] is Doing.WAITS
        self.board.system.hypervisor.resume(self.board.vcpu(vm))
        self.talk.doing[vm] = Doing.RUNS

    def post(self, vm: int, sender: int, receiver: int, size: int = 8, flags: int = 0) -> None:
        """MSG_SEND2."""
        message = Message(sender, receiver, bytes([vm]) * size)
        expected = codes(vm not in self.buffers.pairs or sender != vm or flags or not 0 < size <= BUFFER - 40)
        if receiver in VMS and receiver != vm:
            expected |= self.buffers.may_fill(receiver)
        else:
            expected |= {Code.DENIED if receiver in STUBS else Code.INVALID_PARAMETERS}
        self.write_tx(vm, pack_message(message, self.board.relay.endpoints[vm].version))
        if self.call(expected, vm, Function.MSG_SEND2, 0, flags) is None:
            return
        self.buffers.full.add(receiver)
        assert self.read_rx(receiver, 128).count(vm) >= size
        if receiver in self.notices.boxes:
            self.notices.boxes[receiver].message = True

    # --- notifications ---------------------------------------------------------------------------------

    def create(self, vm: int, named: int, vcpus: int = 1) -> None:
        """NOTIFICATION_BITMAP_CREATE."""
        expected = self.notices.may_create(vm, named, vcpus)
        if self.call(expected, vm, Function.NOTIFICATION_BITMAP_CREATE, named, vcpus) is not None:
            self.notices.boxes[vm] = Inbox()

    def destroy(self, vm: int, named: int) -> None:
        """NOTIFICATION_BITMAP_DESTROY."""
        if self.call(self.notices.may_destroy(vm, named), vm, Function.NOTIFICATION_BITMAP_DESTROY, named) is not None:
            del self.notices.boxes[vm]

    def bind(self, vm: int, sender: int, receiver: int, bitmap: int, flags: int = 0) -> None:
        """NOTIFICATION_BIND."""
        expected = self.notices.may_bind(vm, sender, receiver, bitmap, False, flags)
        values = (id_pair(sender, receiver), flags, *handle_words(bitmap))
        if self.call(expected, vm, Function.NOTIFICATION_BIND, *values) is not None:
            self.notices.boxes[vm].bound |= dict.fromkeys(keys_of(sender, bitmap), (sender, bool(flags)))

    def unbind(self, vm: int, sender: int, receiver: int, bitmap: int, flags: int = 0) -> None:
        """NOTIFICATION_UNBIND."""
        expected = self.notices.may_bind(vm, sender, receiver, bitmap, True, flags)
        values = (id_pair(sender, receiver), flags, *handle_words(bitmap))
        if self.call(expected, vm, Function.NOTIFICATION_UNBIND, *values) is not None:
            for key in keys_of(sender, bitmap):
                del self.notices.boxes[vm].bound[key]

    def notify(self, vm: int, sender: int, receiver: int, bitmap: int, flags: int = 0) -> None:
        """NOTIFICATION_SET."""
        expected = self.notices.may_set(vm, sender, receiver, bitmap, flags)
        values = (id_pair(sender, receiver), flags, *handle_words(bitmap))
        if self.call(expected, vm, Function.NOTIFICATION_SET, *values) is not None:
            self.notices.boxes[receiver].pending |= keys_of(sender, bitmap)

    def get(self, vm: int, receiver: int, vcpu: int, flags: int) -> None:
        """NOTIFICATION_GET."""
        expected = self.notices.may_get(vm, receiver, vcpu)
        answer = self.call(expected, vm, Function.NOTIFICATION_GET, id_pair(vcpu, receiver), flags)
        if answer is not None:
            sp, of_vm, message = self.notices.get(vm, flags)
            assert answer[2:8] == (*handle_words(sp), *handle_words(of_vm), 0, message)

    def info(self, vm: int, wide: bool) -> None:
        """NOTIFICATION_INFO_GET."""
        news = self.notices.info(vm)
        function = Function.NOTIFICATION_INFO_GET_64 if wide else Function.NOTIFICATION_INFO_GET_32
        answer = self.call(set() if news else {Code.NO_DATA}, vm, function)
        if answer is not None:
            assert _lists(answer[2:8], 4 if wide else 2) == sorted((each, [0] if kind else []) for each, kind in news)

    # --- stub partitions ---------------------------------------------------------------------------------

    def stub(self, vm: int, partition: int, command: StubCommand, handle: int) -> None:
        """Have a stub partition retrieve, relinquish or notify (`handle` is then a bitmap)."""
        deal, words = self.model.deals.get(handle), (0, command, *handle_words(handle))
        single = deal is not None and deal.sent.single
        kind = Instruction.NX if single else Instruction.UNSPECIFIED
        to, owner = (deal.sent.to, deal.sent.sender) if deal is not None else ((), 0)
        request = Retrieve(handle, owner, to, instruction=kind, tag=deal.sent.tag if deal is not None else 0)
        if command is StubCommand.RETRIEVE:
            expected = self.model.may_retrieve(partition, request)
        elif command is StubCommand.RELINQUISH:
            expected = self.model.may_relinquish(partition, handle, (partition,), 0)
        else:
            expected = self.notices.may_set(partition, partition, vm, handle, 0)
        before = self.board.frozen()
        answer = self.board.call(vm, Function.MSG_SEND_DIRECT_REQ_32, id_pair(vm, partition), *words)
        assert status(answer) == 0
        code = answer[3] - (1 << 32) if answer[3] >> 31 else answer[3]
        if not self.judge(before, expected, f"stub {command.name}", code):
            return
        if command is StubCommand.RETRIEVE and deal is not None:
            self.model.retrieved(partition, request)
            self.gone |= {page.address for page in deal.own} if deal.sent.kind is DONATE else set()
        elif command is StubCommand.RELINQUISH:
            self.model.relinquished(partition, handle)
        else:
            self.notices.boxes[vm].pending |= keys_of(partition, handle)

    # --- ends ----------------------------------------------------------------------------------------------

    def stop(self, vm: int) -> None:
        """A VM turns itself off or crashes."""
        self.board.system.hypervisor.stop_vm(self.board.system.vms[vm - 1], VmRunState.OFF, "")
        self._ended(vm, Doing.OFF)

    def start(self, vm: int) -> None:
        """A VM starts, for the first time or over."""
        self.board.system.vms[vm - 1].power_on()
        self._ended(vm, Doing.RUNS)

    def _ended(self, vm: int, doing: Doing) -> None:
        self.model.ended(vm)
        self.notices.ended(vm)
        self.forget_buffers(vm)
        asker = self.talk.ended(vm, doing)
        if asker is not None:
            x = self.board.vcpu(asker).registers.x
            assert (x[0], x[2]) == (Function.ERROR, Code.ABORTED & 0xFFFF_FFFF)

    # --- anything else -------------------------------------------------------------------------------------

    def garbage(self, vm: int, function: Function, values: Sequence[int], data: bytes) -> None:
        """A call that cannot be granted, with nonsense in registers and TX."""
        self.write_tx(vm, b"\xff\xff" + data)
        before = self.board.frozen()
        code = status(self.board.call(vm, function, *values))
        assert code, f"{function.name} was granted"
        self.judge(before, {Code(code)}, "garbage", code)


def _lists(registers: Sequence[int], ids_each: int) -> list[tuple[int, list[int]]]:
    """(endpoint, vCPUs) of the answer of NOTIFICATION_INFO_GET, sorted (DEN0077A 16.7)."""
    flags, ids = registers[0], [word >> 16 * n & 0xFFFF for word in registers[1:] for n in range(ids_each)]
    lists = []
    for index in range(flags >> 7 & 0x1F):
        count = flags >> 12 + 2 * index & 3
        lists.append((ids[0], ids[1 : 1 + count]))
        del ids[: 1 + count]
    assert not flags & 1
    assert not any(ids)
    return sorted(lists)
