"""Calls of VMs that stand still: what every one of them answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import ConfigError
from engine.ffa.abi import Function, id_pair
from engine.ffa.errors import Code
from engine.ffa.message import Message, pack_message
from engine.ffa.version import V1_0, V1_1, V1_2
from engine.views import VcpuState
from tests.support.assembler import Program
from tests.support.machines import store_result, tiny
from tests.unit.engine.hypervisor.relaying import RW, TX, Relaying, handle, status


def test_without_the_section_every_call_is_unknown(tmp_path: Path) -> None:
    program = store_result(Program().call(Function.ID_GET), 0, 0)
    assert tiny(tmp_path, program.loop()).run(1000).words(0x4030_0000, 1) == [(1 << 64) - 1]


def test_ids_are_not_vmids(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    assert [machine.call(vm, Function.ID_GET)[2] for vm in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize(("version", "size"), [(V1_0, 0), (V1_1, 24), (V1_2, 24)])
def test_descriptors_follow_the_version_of_each_endpoint(tmp_path: Path, version: tuple[int, int], size: int) -> None:
    machine = Relaying(tmp_path)
    machine.negotiate(1, type(V1_2)(*version))
    machine.map_buffers(1, 2)
    assert machine.call(1, Function.PARTITION_INFO_GET)[2:4] == (5, size)
    assert machine.call(2, Function.PARTITION_INFO_GET)[2:4] == (5, 24)


@pytest.mark.parametrize("owner", [V1_0, V1_1, V1_2])
@pytest.mark.parametrize("borrower", [V1_0, V1_1, V1_2])
def test_sharing_between_versions(tmp_path: Path, owner: tuple[int, int], borrower: tuple[int, int]) -> None:
    machine = Relaying(tmp_path)
    machine.negotiate(1, type(V1_2)(*owner))
    machine.negotiate(2, type(V1_2)(*borrower))
    machine.map_buffers(1, 2)
    sent = handle(machine.send())
    assert machine.retrieve(2, sent, RW) == 0
    assert machine.relinquish(2, sent) == 0
    assert machine.reclaim(1, sent) == 0


def test_calls_newer_than_the_version_are_not_there(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.negotiate(1, V1_0)
    for function in (Function.MSG_SEND2, Function.NOTIFICATION_GET, Function.CONSOLE_LOG_32):
        assert machine.status(1, function) == Code.NOT_SUPPORTED
        assert machine.status(1, Function.FEATURES, function) == Code.NOT_SUPPORTED


def test_v1_0_has_neither_notifications_nor_indirect_messages(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.negotiate(2, V1_0)
    machine.map_buffers(1, 2)
    assert [machine.status(vm, Function.FEATURES, 1) for vm in (1, 2)] == [0, Code.NOT_SUPPORTED]
    message = pack_message(Message(1, 2, b"hello"), V1_2)
    machine.write(1, machine.ram(1) + TX, message)
    assert machine.status(1, Function.MSG_SEND2) == Code.DENIED


def test_features_tell_the_truth(tmp_path: Path) -> None:
    """What FEATURES denies answers NOT_SUPPORTED; what it grants answers anything else."""
    machine = Relaying(tmp_path, allow_donate=False)
    answers = {Function.ERROR, Function.SUCCESS_32, Function.SUCCESS_64, Function.INTERRUPT, Function.MEM_RETRIEVE_RESP}
    waits = {Function.MSG_WAIT, Function.YIELD, Function.VERSION, Function.FEATURES}
    for function in set(Function) - answers - waits:
        told = machine.status(1, Function.FEATURES, function) == 0
        assert told is (machine.status(1, function) != Code.NOT_SUPPORTED), function.name


def test_vms_that_must_not_know_each_other(tmp_path: Path) -> None:
    machine = Relaying(tmp_path, vm_to_vm=False)
    machine.map_buffers(1, 2)
    assert machine.call(1, Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1)[2] == 3
    assert status(machine.send()) == Code.INVALID_PARAMETERS
    assert status(machine.send(to=(0x8001,))) == 0
    assert machine.status(1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2)) == Code.INVALID_PARAMETERS


def test_a_direct_request_waits_until_it_is_answered(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    one, two = machine.vcpu(1), machine.vcpu(2)
    assert machine.status(1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2)) == Code.BUSY
    machine.call(2, Function.MSG_WAIT)
    assert two.state is VcpuState.WAITING
    machine.call(1, Function.MSG_SEND_DIRECT_REQ_64, id_pair(1, 2), 0, 3, 4)
    assert (one.state, two.state) == (VcpuState.CALLING, VcpuState.READY)
    assert list(two.registers.x[0:5]) == [Function.MSG_SEND_DIRECT_REQ_64, id_pair(1, 2), 0, 3, 4]
    assert machine.status(3, Function.MSG_SEND_DIRECT_REQ_64, id_pair(3, 2)) == Code.BUSY
    machine.call(2, Function.MSG_SEND_DIRECT_RESP_64, id_pair(2, 1), 0, 30, 40)
    assert (one.state, two.state) == (VcpuState.READY, VcpuState.WAITING)
    assert list(one.registers.x[0:5]) == [Function.MSG_SEND_DIRECT_RESP_64, id_pair(2, 1), 0, 30, 40]


def test_narrow_messages_leave_the_receivers_other_registers_alone(tmp_path: Path) -> None:
    """x8-x17 are not part of MSG_SEND_DIRECT_REQ and RESP: preserved (DEN0028)."""
    machine = Relaying(tmp_path)
    machine.call(2, Function.MSG_WAIT)
    x = machine.vcpu(2).registers.x
    x[8:18] = list(range(8, 18))
    machine.call(1, Function.MSG_SEND_DIRECT_REQ_64, id_pair(1, 2), 0, *range(0x103, 0x112))
    assert x[3:18] == [*range(0x103, 0x108), *range(8, 18)]


def test_a_callee_that_ends_aborts_its_caller(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.call(2, Function.MSG_WAIT)
    machine.call(1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2))
    machine.system.vms[1].power_on()
    assert machine.vcpu(1).state is VcpuState.READY
    assert status(tuple(machine.vcpu(1).registers.x[n] for n in range(18))) == Code.ABORTED
    machine.call(2, Function.MSG_WAIT)
    machine.call(1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(1, 2))
    machine.system.vms[0].power_on()
    assert machine.status(2, Function.MSG_SEND_DIRECT_RESP_32, id_pair(2, 1)) == Code.DENIED


def test_must_be_zero_registers(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1)
    assert machine.status(1, Function.RX_RELEASE, 1) == Code.INVALID_PARAMETERS
    assert machine.status(1, Function.MEM_SHARE_32, 96, 96, 0x1000, 1) == Code.INVALID_PARAMETERS


def test_buffers_are_neither_shared_nor_shared_memory(tmp_path: Path) -> None:
    machine = Relaying(tmp_path)
    machine.map_buffers(1)
    handle(machine.send())
    machine.call(1, Function.RXTX_UNMAP)
    assert machine.status(1, Function.RXTX_MAP_64, machine.page(1), machine.page(1, 5), 1) == Code.DENIED


def test_npi_and_sri_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ffa\.sri: expected another INTID than ffa\.npi \(got 8\)"):
        Relaying(tmp_path, sri=8)


def test_choices_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"owner_access_on_share: expected one of read-only, read-write \(got 'no'\)"):
        Relaying(tmp_path, owner_access_on_share="no")
