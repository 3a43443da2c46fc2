"""What VMs may do at random beside memory calls: messages, notifications, ends, nonsense."""

from __future__ import annotations

from hypothesis import strategies as st

from engine.ffa.abi import Function
from engine.hypervisor.ffa_stub_spmc import StubCommand
from tests.support.ffa_exchange_model import Doing
from tests.unit.engine.hypervisor.ffa_driver import STUBS, VMS
from tests.unit.engine.hypervisor.ffa_rules import Step, mostly, rarely
from tests.unit.engine.hypervisor.ffa_rules_memory import SP, MemoryRules

_REFUSED = sorted(
    {Function(number) for number in range(0x8400_0071, 0x8400_007C) if number in set(Function)}
    | {Function.MSG_POLL, Function.MSG_SEND, Function.RX_ACQUIRE, Function.SECONDARY_EP_REGISTER_64}
    | {Function.MEM_SHARE_64, Function.MEM_RETRIEVE_REQ_64, Function.MEM_PERM_SET_64, Function.EL3_INTR_HANDLE}
)
"""Calls that nonsense cannot make succeed."""
_bitmaps = st.sampled_from([1, 1, 2, 3, 1 << 63, 0])
_flags = st.sampled_from([0, 0, 0, 1, 2, 1 << 16, 0x10001])


class AllRules(MemoryRules):
    """Everything that VMs do."""

    def steps(self) -> list[Step]:
        """Memory, and everything else."""
        talk, boxes = self.driver.talk, self.driver.notices.boxes.values()
        stubs = {each for deal in self.driver.model.deals.values() for each in deal.sent.to}
        steps = [self.wait, self.ask, self.post, self.bind, self.bad_notification, self.look, self.garbage, self.end]
        steps += [self.use_binding] * 2 if any(box.bound for box in boxes) else []
        steps += [self.look] * 2 if any(box.pending for box in boxes) else []
        steps += [self.interrupt] if Doing.WAITS in talk.doing.values() else []
        steps += [self.answer, self.answer] if talk.asked else []
        steps += [self.stub] * 4 if stubs & {*STUBS} else []
        return super().steps() * 2 + steps

    # --- messages --------------------------------------------------------------------------------------

    def _waiting(self) -> list[int]:
        return [vm for vm, doing in self.driver.talk.doing.items() if doing is Doing.WAITS]

    def _name(self, data: st.DataObject, vm: int) -> int:
        """What a VM calls itself."""
        return vm % 3 + 1 if data.draw(rarely, "forged") else vm

    def wait(self, data: st.DataObject) -> None:
        if len(self.driver.talk.running()) > 1:
            self.driver.wait(self.caller(data), data.draw(rarely, "retain"))

    def interrupt(self, data: st.DataObject) -> None:
        self.driver.interrupt(data.draw(st.sampled_from(self._waiting()), "whom"))

    def ask(self, data: st.DataObject) -> None:
        vm, kind = self.caller(data), data.draw(st.integers(0, 2), "kind")
        receiver = data.draw(st.sampled_from([*self._waiting() * 3, 0, 1, 2, 3, 4]), "receiver")
        flags = 1 << 31 if kind < 2 and data.draw(rarely, "framework") else 0
        self.driver.ask(vm, kind, self._name(data, vm), receiver, flags)

    def answer(self, data: st.DataObject) -> None:
        right, asked = data.draw(mostly, "right"), self.driver.talk.asked
        vm, kind = self.caller(data, asked if right else ()), data.draw(st.integers(0, 2), "kind")
        asker, wide = asked.get(vm, (vm % 3 + 1, False))
        chosen = (2 if wide else kind % 2) if right else kind
        receiver = asker if right else data.draw(st.integers(0, 4), "receiver")
        self.driver.answer(vm, chosen, self._name(data, vm), receiver, int(data.draw(rarely, "flags")))

    def post(self, data: st.DataObject) -> None:
        vm = self.caller(data)
        receiver = data.draw(st.sampled_from([vm % 3 + 1] * 4 + [vm, (vm + 1) % 3 + 1, SP, 9]), "receiver")
        size = data.draw(st.sampled_from([8, 8, 8, 8, 0, 5000]), "size")
        self.driver.post(vm, self._name(data, vm), receiver, size, 2 if data.draw(rarely, "delay") else 0)

    # --- notifications -----------------------------------------------------------------------------------

    def bind(self, data: st.DataObject) -> None:
        vm = self.caller(data)
        sender = data.draw(st.sampled_from([vm % 3 + 1, (vm + 1) % 3 + 1, SP]), "sender")
        self.driver.bind(vm, sender, vm, data.draw(_bitmaps, "bits"), data.draw(st.sampled_from([0, 0, 1]), "per vCPU"))

    def use_binding(self, data: st.DataObject) -> None:
        """Set or unbind what is bound."""
        driver, running = self.driver, self.driver.talk.running()
        bound = [
            (receiver, sender, 1 << bit, kind)
            for receiver, box in sorted(driver.notices.boxes.items())
            for (_, bit), (sender, kind) in sorted(box.bound.items())
            if receiver in running and (sender in running or sender in STUBS)
        ]
        if not bound:
            return
        receiver, sender, bitmap, kind = data.draw(st.sampled_from(bound), "binding")
        more = 4 if data.draw(rarely, "more") else 0
        if data.draw(st.sampled_from([False, False, True]), "unbind"):
            driver.unbind(receiver, sender, receiver, bitmap | more)
        elif sender in STUBS:
            driver.stub(receiver, sender, StubCommand.NOTIFY, bitmap | more)
        else:
            driver.notify(sender, sender, receiver, bitmap | more, int(kind))

    def bad_notification(self, data: st.DataObject) -> None:
        """Any; few of them are right."""
        vm = self.caller(data)
        name, other = self._name(data, vm), data.draw(st.sampled_from([*VMS, SP, 9]), "other")
        bitmap, flags = data.draw(_bitmaps, "bits"), data.draw(_flags, "flags")
        call = data.draw(st.integers(0, 4), "call")
        if call == 0:
            self.driver.bind(vm, other, name, bitmap, flags)
        elif call == 1:
            self.driver.unbind(vm, other, name, bitmap, flags & 1)
        elif call == 2:
            self.driver.notify(vm, name, other, bitmap, flags)
        elif call == 3:
            self.driver.create(vm, name, 1 + flags % 3)
        else:
            self.driver.destroy(vm, name)

    def look(self, data: st.DataObject) -> None:
        """Ask what is pending."""
        info = data.draw(st.sampled_from([None, None, False, True]), "wide INFO_GET")
        vm = self.caller(data, [vm for vm, box in self.driver.notices.boxes.items() if box.pending or box.message])
        if info is not None:
            self.driver.info(self.caller(data, [1]) if data.draw(mostly, "primary") else vm, info)
        else:
            flags = data.draw(st.sampled_from([15, 15, 2, 1, 8, 0]), "flags")
            self.driver.get(vm, self._name(data, vm), int(data.draw(rarely, "vCPU")), flags)

    # --- partitions, ends, nonsense ------------------------------------------------------------------------

    def stub(self, data: st.DataObject) -> None:
        deals, right = self.driver.model.deals, data.draw(mostly, "right")
        due = [(h, each) for h, deal in deals.items() for each in deal.sent.to if each in STUBS]
        if not due or not right:
            due = [(self.handle(data, ()), each) for each in STUBS]
        handle, partition = data.draw(st.sampled_from(due), "what and who")
        has = handle in deals and partition in deals[handle].holders
        command = StubCommand.RELINQUISH if has is right else StubCommand.RETRIEVE
        self.driver.stub(self.caller(data), partition, command, handle)

    def end(self, data: st.DataObject) -> None:
        """Stop a VM, or start it over; then it maps its buffers again, if it can."""
        driver, vm, stop = self.driver, data.draw(st.sampled_from(VMS), "who"), data.draw(st.booleans(), "stop")
        if stop and driver.talk.doing[vm] is not Doing.OFF and set(driver.talk.running()) - {vm}:
            driver.stop(vm)
        else:
            driver.start(vm)
            driver.check()
            self.map_usual(vm)
            driver.create(vm, vm)

    def garbage(self, data: st.DataObject) -> None:
        function = data.draw(st.sampled_from(_REFUSED), "function")
        length = data.draw(st.sampled_from([0, 16, 48, 64, 96, 128, 4096, 4097, 1 << 31]), "length")
        first = 0xFFFF_0000 | length if function == Function.MEM_RECLAIM else length
        values = (first, length, data.draw(st.sampled_from([0, 1, 1 << 31, (1 << 32) - 1]), "w3"))
        self.driver.garbage(self.caller(data), function, values, data.draw(st.binary(max_size=96), "TX"))
