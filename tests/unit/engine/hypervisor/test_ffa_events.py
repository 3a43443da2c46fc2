"""What events keep of FF-A calls: registers, descriptors, reasons and counted work."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.sysreg import SysReg
from engine.board.memory import PhysicalMemory
from engine.cpu.core import Core
from engine.events import FREE, FfaAnswer, FfaCall, FfaCost
from engine.ffa.abi import Function, handle_words, id_pair
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack, parse_retrieve, parse_send
from engine.ffa.errors import Code
from engine.ffa.flags import RegionFlag
from engine.ffa.memory import NORMAL_WB_ISH
from engine.ffa.message import SHOWN, Message, pack_message
from engine.ffa.partition_info import parse_infos
from engine.ffa.ranges import Composite, Range
from engine.ffa.registers import NARROW, WIDE, success_32
from engine.ffa.relinquish import Relinquish, parse_relinquish
from engine.ffa.transactions import Kind
from engine.ffa.version import V1_0, V1_1, V1_2
from engine.hypervisor.ffa_stub_spmc import StubCommand
from tests.unit.engine.hypervisor.relaying import RW, RW_NX, TX, Relaying, handle

SPLIT = 512 + 2
"""Entries written when a 2 MB block becomes a table of pages: the pages, and break-before-make of the block."""


@pytest.fixture
def machine(tmp_path: Path) -> Relaying:
    relaying = Relaying(tmp_path)
    relaying.map_buffers(1, 2)
    return relaying


def calls(machine: Relaying) -> list[FfaCall]:
    return [event for event in machine.system.events.since(0) if isinstance(event, FfaCall)]


def last(machine: Relaying) -> FfaCall:
    return calls(machine)[-1]


def newest(machine: Relaying, function: Function) -> FfaCall:
    return [call for call in calls(machine) if call.args[0] == function][-1]


def test_registers_are_kept_as_they_were(machine: Relaying) -> None:
    machine.call(1, Function.ID_GET | 0xAAAA << 32, 7 << 32, 5)
    call = last(machine)
    assert (call.vm, call.vcpu, call.endpoint, call.version) == ("vm0", 0, 1, V1_2)
    assert call.args == (Function.ID_GET | 0xAAAA << 32, 7 << 32, 5, 0, 0, 0, 0, 0)
    assert call.result == success_32(1).values
    assert (call.reason, call.sent, call.received, call.cost) == ("", b"", b"", FREE)


def test_wide_calls_have_all_their_registers(machine: Relaying) -> None:
    machine.call(1, Function.MSG_SEND_DIRECT_REQ2, id_pair(1, 0x8001), 0, 0, *range(4, WIDE))
    call = last(machine)
    assert call.args[4:] == call.result[4:] == tuple(range(4, WIDE))
    machine.call(1, Function.PARTITION_INFO_GET_REGS)
    assert (len(last(machine).args), len(last(machine).result)) == (WIDE, WIDE)
    machine.call(1, Function.FEATURES)
    assert (len(last(machine).args), len(last(machine).result)) == (NARROW, NARROW)


def test_a_refusal_has_its_reason(machine: Relaying) -> None:
    machine.call(2, Function.MEM_RECLAIM, 5)
    assert last(machine).result[2] == Code.INVALID_PARAMETERS & 0xFFFF_FFFF
    assert last(machine).reason == "unknown handle 0x5"


@pytest.mark.parametrize("version", [V1_0, V1_1, V1_2])
def test_descriptors_are_kept_as_sent_and_as_received(tmp_path: Path, version: tuple[int, int]) -> None:
    machine = Relaying(tmp_path)
    agreed = type(V1_2)(*version)
    for vm in (1, 2):
        machine.negotiate(vm, agreed)
    machine.map_buffers(1, 2)
    sent = handle(machine.send())
    share = last(machine)
    assert share.version == agreed
    assert [entry.endpoint for entry in parse_send(share.sent, agreed).access] == [2]
    assert share.received == b""
    machine.retrieve(2, sent)
    retrieve = newest(machine, Function.MEM_RETRIEVE_REQ_32)
    assert parse_retrieve(retrieve.sent, agreed).handle == parse_retrieve(retrieve.received, agreed).handle == sent
    assert len(retrieve.received) == retrieve.result[1]
    machine.relinquish(2, sent)
    assert parse_relinquish(last(machine).sent) == Relinquish(sent, (2,))


def test_a_refused_descriptor_is_kept_too(machine: Relaying) -> None:
    machine.send_bytes(1, Function.MEM_SHARE_32, b"\xff" * 64)
    assert last(machine).sent == b"\xff" * 64
    assert last(machine).reason


def test_a_message_is_kept_with_the_beginning_of_its_payload(machine: Relaying) -> None:
    data = pack_message(Message(1, 2, bytes(range(200))), V1_2)
    machine.write(1, machine.ram(1) + TX, data)
    assert machine.status(1, Function.MSG_SEND2) == 0
    assert last(machine).sent == data[:SHOWN]
    assert last(machine).cost == FfaCost(copied=4096 + len(data))


def test_partition_information_is_kept(machine: Relaying) -> None:
    machine.call(1, Function.PARTITION_INFO_GET)
    call = last(machine)
    assert [info.id for info in parse_infos(call.received, call.result[2], V1_2)] == [1, 2, 3, 0x8001, 0x8002]
    machine.call(2, Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1)
    assert last(machine).received == b""


def long_region(machine: Relaying) -> bytes:
    """As many ranges as a buffer of 4 KB can name, every second page."""
    ranges = tuple(Range(machine.page(1, 2 * n), 1) for n in range(249))
    access = EndpointAccess(2, RW, composite=Composite(ranges))
    return pack(MemoryRegion(1, (access,), NORMAL_WB_ISH), V1_2)


def test_the_last_fragment_has_the_whole_descriptor(machine: Relaying) -> None:
    data = long_region(machine)
    machine.write(1, machine.ram(1) + TX, data[:1000])
    answer = machine.call(1, Function.MEM_SHARE_32, len(data), 1000)
    assert last(machine).sent == data[:1000]
    assert last(machine).cost == FfaCost(copied=1000)
    machine.write(1, machine.ram(1) + TX, data[1000:2000])
    answer = machine.call(1, Function.MEM_FRAG_TX, answer[1], answer[2], 1000)
    assert (last(machine).sent, last(machine).cost) == (b"", FfaCost(copied=1000))
    machine.write(1, machine.ram(1) + TX, data[2000:])
    machine.call(1, Function.MEM_FRAG_TX, answer[1], answer[2], len(data) - 2000)
    assert last(machine).sent == data
    assert last(machine).cost.copied == len(data) - 2000
    assert last(machine).cost.entries == SPLIT


# --- cost ------------------------------------------------------------------------------------------


def test_the_cost_of_a_share_from_send_to_reclaim(machine: Relaying) -> None:
    sent = handle(machine.send())
    share = last(machine)
    assert share.cost == FfaCost(entries=SPLIT, flushes=1, copied=len(share.sent))
    machine.retrieve(2, sent)
    retrieve = newest(machine, Function.MEM_RETRIEVE_REQ_32)
    table = 512 + 1  # a new one for pages, linked where nothing was: no TLB remembers that
    assert retrieve.cost == FfaCost(table, 0, len(retrieve.sent) + len(retrieve.received))
    machine.relinquish(2, sent)
    assert last(machine).cost == FfaCost(entries=2, flushes=1, copied=4096)
    machine.reclaim(1, sent)
    assert last(machine).cost == FfaCost(entries=2, flushes=1)


def test_cost_is_what_really_happened(machine: Relaying, monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"entries": 0, "flushes": 0, "cleared": 0}
    store = PhysicalMemory.write
    write, flush, clear = PhysicalMemory.write_u64, Core.flush_tlb, PhysicalMemory.fill_zero

    def count_write(memory: PhysicalMemory, address: int, value: int) -> None:
        done["entries"] += 1
        write(memory, address, value)

    def count_flush(core: Core) -> None:
        done["flushes"] += 1
        flush(core)

    def count_clear(memory: PhysicalMemory, address: int, size: int) -> None:
        if any(vm.config.base_pa <= address < vm.config.base_pa + vm.config.ram_size for vm in machine.system.vms):
            done["cleared"] += size
        clear(memory, address, size)

    def count_bytes(memory: PhysicalMemory, address: int, data: bytes) -> None:
        if address >= machine.system.config.board.firmware_base:
            done["entries"] += len(data) // 8
        store(memory, address, data)

    monkeypatch.setattr(PhysicalMemory, "write_u64", count_write)
    monkeypatch.setattr(PhysicalMemory, "write", count_bytes)
    monkeypatch.setattr(Core, "flush_tlb", count_flush)
    monkeypatch.setattr(PhysicalMemory, "fill_zero", count_clear)
    sent = handle(machine.send(Kind.LEND, flags=RegionFlag.ZERO))
    assert last(machine).cost.cleared == 2 * 4096
    machine.retrieve(2, sent, RW_NX)
    machine.relinquish(2, sent, 1)
    assert last(machine).cost.cleared == 2 * 4096
    machine.reclaim(1, sent)
    costs = [call.cost for call in calls(machine)]
    told = {name: sum(getattr(cost, name) for cost in costs) for name in done}
    assert told == done


def test_refused_calls_cost_what_they_read(machine: Relaying) -> None:
    machine.send(to=(9,))
    assert last(machine).cost == FfaCost(copied=len(last(machine).sent))
    machine.call(1, Function.MEM_RECLAIM, 9)
    assert last(machine).cost == FREE


def test_a_request_pays_for_what_a_simulated_partition_does(machine: Relaying) -> None:
    sent = handle(machine.send(Kind.LEND, to=(0x8001,)))
    command = (Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 0x8001), 0)
    machine.call(1, *command, StubCommand.RETRIEVE, *handle_words(sent))
    assert last(machine).cost == FREE


def test_the_end_of_a_vm_is_not_the_next_callers_cost(machine: Relaying) -> None:
    sent = handle(machine.send(Kind.LEND))
    machine.retrieve(2, sent, RW_NX)
    machine.system.vms[1].power_on()
    machine.call(1, Function.ID_GET)
    assert last(machine).cost == FREE


def test_the_same_calls_have_the_same_digest(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        machine = Relaying(tmp_path / name)
        machine.map_buffers(1, 2)
        machine.retrieve(2, handle(machine.send()))
        digests.append(machine.system.events.hexdigest())
    assert digests[0] == digests[1]


# --- answers ---------------------------------------------------------------------------------------


def test_answers_have_registers(machine: Relaying) -> None:
    machine.call(2, Function.MSG_WAIT)
    assert last(machine).result == ()
    machine.call(1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2), 0, 0xAA)
    (answer,) = [event for event in machine.system.events.since(0) if isinstance(event, FfaAnswer)]
    assert (answer.vm, answer.endpoint) == ("vm1", 2)
    assert answer.result == (Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2), 0, 0xAA, 0, 0, 0, 0)


def test_an_interrupt_that_ends_a_wait_is_an_answer(machine: Relaying) -> None:
    machine.call(2, Function.NOTIFICATION_BITMAP_CREATE, 2, 1)
    machine.call(2, Function.NOTIFICATION_BIND, id_pair(1, 2), 0, 1)
    machine.call(2, Function.MSG_WAIT)
    vcpu = machine.vcpu(2)
    vgic, npi = machine.system.vms[1].vgic, machine.relay.config.npi
    vgic.gicd.write(0, 4, 0x12)
    for register in (0x80, 0x100):  # group 1, enabled
        vgic.gicr.write(0x1_0000 + register, 4, 1 << npi)
    vgic.sysreg_write(0, SysReg.ICC_PMR_EL1, 0xFF)
    vgic.sysreg_write(0, SysReg.ICC_IGRPEN1_EL1, 1)
    assert not vcpu.runnable
    machine.call(1, Function.NOTIFICATION_SET, id_pair(1, 2), 0, 1)
    assert machine.vcpu(2).runnable
    (answer,) = [event for event in machine.system.events.since(0) if isinstance(event, FfaAnswer)]
    assert (answer.endpoint, answer.result) == (2, tuple(vcpu.registers.x[n] for n in range(8)))
    assert answer.result[:2] == (Function.INTERRUPT, 2 << 16)
