"""Versions, ids, features and partition information as both worlds see them (DEN0077A v1.2, 6 and 13)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from engine.ffa.abi import FrameworkMessage, Function, PartitionId, id_pair
from engine.ffa.errors import Code
from engine.ffa.flags import NS_BIT_SUPPORT, PartitionProperty
from engine.ffa.partition_info import parse_infos, parse_regs_page, uuid_words
from engine.ffa.version import V1_1, V1_2
from engine.spmc.states import ContextState
from tests.unit.engine.spmc.standing import (
    HYPERVISOR,
    NORMAL_RAM,
    REQ32,
    REQ64,
    RESP32,
    RESP64,
    RX,
    SP1,
    SP2,
    SP3,
    VM1,
    Standing,
    status,
)

NOT_SUPPORTED, INVALID, DENIED, BUSY = Code.NOT_SUPPORTED, Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY
ANSWERS = {
    Function.ERROR,
    Function.SUCCESS_32,
    Function.SUCCESS_64,
    Function.INTERRUPT,
    Function.MEM_RETRIEVE_RESP,
}
BOTH = (HYPERVISOR, SP1)


@pytest.fixture
def machine(tmp_path: Path) -> Standing:
    return Standing(tmp_path)


@pytest.mark.parametrize("asked", [0x1_0000, 0x1_0001, 0x1_0002, 0x1_0009])
def test_version_is_ours_for_every_minor(machine: Standing, asked: int) -> None:
    assert machine.raw(HYPERVISOR, Function.VERSION, asked)[:8] == [V1_2.pack(), *(0,) * 7]


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize("asked", [0x2_0000, 0x0_0001, 0x8001_0001])
def test_version_of_another_major_is_not_supported(machine: Standing, caller: int, asked: int) -> None:
    assert machine.call(caller, Function.VERSION, asked)[0] == 0xFFFF_FFFF


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_a_partition_speaks_the_version_of_its_manifest(tmp_path: Path, minor: int) -> None:
    """Once initialized it cannot ask for another one."""
    machine = Standing(
        tmp_path, count=1, properties={1: {"ffa-version": (0x1_0000 | minor,), "messaging-method": (3,)}}
    )
    assert machine.version(SP1) == (1, minor)
    others = [machine.call(SP1, Function.VERSION, 0x1_0000 | other)[0] for other in range(3) if other != minor]
    assert others == [0xFFFF_FFFF] * 2
    assert machine.call(SP1, Function.VERSION, 0x1_0000 | minor)[0] == V1_2.pack()


def test_version_cannot_change_once_another_call_was_made(machine: Standing) -> None:
    assert machine.raw(HYPERVISOR, Function.FEATURES, Function.VERSION)[0] == Function.SUCCESS_32
    assert machine.raw(HYPERVISOR, Function.VERSION, V1_1.pack())[0] == 0xFFFF_FFFF
    assert machine.raw(HYPERVISOR, Function.VERSION, V1_2.pack())[0] == V1_2.pack()


def test_each_endpoint_has_a_version_of_its_own(machine: Standing) -> None:
    assert machine.raw(HYPERVISOR, Function.VERSION, V1_1.pack())[0] == V1_2.pack()
    assert (machine.version(VM1), machine.version(SP1)) == (V1_1, V1_2)


def test_functions_of_later_versions_do_not_exist(machine: Standing) -> None:
    machine.negotiate(HYPERVISOR, V1_1)
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET_REGS) == NOT_SUPPORTED
    assert machine.status(HYPERVISOR, Function.FEATURES, Function.PARTITION_INFO_GET_REGS) == NOT_SUPPORTED


def test_id_get_is_the_callers_own(machine: Standing) -> None:
    """The physical instance has the hypervisor's id; only SPM_ID_GET tells the SPMC's."""
    for caller in (HYPERVISOR, SP1, SP2, SP3):
        assert machine.call(caller, Function.ID_GET)[:3] == [Function.SUCCESS_32, 0, caller]


@pytest.mark.parametrize("caller", BOTH)
def test_spm_id_get(machine: Standing, caller: int) -> None:
    assert machine.call(caller, Function.SPM_ID_GET)[:3] == [Function.SUCCESS_32, 0, PartitionId.SPMC]


# --- FEATURES ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize(
    "function",
    [
        Function.VERSION,
        Function.RXTX_MAP_64,
        Function.RXTX_MAP_32,
        Function.RXTX_UNMAP,
        Function.RUN,
        Function.MEM_FRAG_TX,
        Function.MEM_FRAG_RX,
        Function.MSG_SEND2,
        Function.CONSOLE_LOG_32,
        Function.CONSOLE_LOG_64,
        Function.NOTIFICATION_BIND,
        Function.NOTIFICATION_UNBIND,
        Function.NOTIFICATION_SET,
        Function.NOTIFICATION_GET,
        Function.MEM_DONATE_64,
        Function.MEM_LEND_64,
        Function.MEM_SHARE_64,
    ],
)
def test_features_of_calls_that_both_worlds_have(machine: Standing, caller: int, function: Function) -> None:
    assert machine.status(caller, Function.FEATURES, function) == 0


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize("unknown", [0xDEAD, 0x8400_00FF, 0xDEAD_BEEF, 0x8400_0099, 0])
def test_features_of_what_does_not_exist(machine: Standing, caller: int, unknown: int) -> None:
    assert machine.status(caller, Function.FEATURES, unknown) == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("function", "of_normal"),
    [
        (Function.MSG_WAIT, False),
        (Function.YIELD, False),
        (RESP32, False),
        (Function.SECONDARY_EP_REGISTER_64, False),
        (Function.NOTIFICATION_BITMAP_CREATE, True),
        (Function.NOTIFICATION_BITMAP_DESTROY, True),
        (Function.NOTIFICATION_INFO_GET_64, True),
        (Function.RX_ACQUIRE, True),
    ],
)
def test_features_of_calls_that_one_world_has(machine: Standing, function: Function, of_normal: bool) -> None:
    known = {caller: machine.status(caller, Function.FEATURES, function) for caller in BOTH}
    assert known == {HYPERVISOR: 0 if of_normal else NOT_SUPPORTED, SP1: NOT_SUPPORTED if of_normal else 0}


@pytest.mark.parametrize("caller", BOTH)
def test_features_tells_the_truth_about_every_call(machine: Standing, caller: int) -> None:
    """What FEATURES knows is served in some way, and what it does not know is NOT_SUPPORTED when called."""
    lies = []
    for function in Function:
        if function in ANSWERS or function is Function.VERSION:
            continue
        served = machine.status(caller, Function.FEATURES, function) == 0
        if caller == SP1:
            machine.enter(SP1)
        found = status(machine.raw(caller, function))
        if caller == SP1:
            if machine.state(SP1) is ContextState.BLOCKED:  # YIELD
                assert machine.run(SP1) == 0
            machine.respond(SP1)
        if served is (found == NOT_SUPPORTED) and function is not Function.FEATURES:
            lies.append((function.name, served, found))
    assert lies == []


def test_the_npi_is_of_partitions_and_the_sri_of_the_normal_world(machine: Standing) -> None:
    npi, sri = 1, 2
    assert machine.call(SP1, Function.FEATURES, npi)[:3] == [Function.SUCCESS_32, 0, 8]
    assert machine.call(HYPERVISOR, Function.FEATURES, sri)[:3] == [Function.SUCCESS_32, 0, 9]
    assert machine.status(HYPERVISOR, Function.FEATURES, npi) == NOT_SUPPORTED
    assert machine.status(SP1, Function.FEATURES, sri) == NOT_SUPPORTED


def test_the_machine_file_says_which_intids(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, properties={1: {"managed-exit": None}}, npi=5, sri=6, managed_exit=7)
    assert [machine.call(SP1, Function.FEATURES, feature)[2] for feature in (1, 3)] == [5, 7]
    assert machine.call(HYPERVISOR, Function.FEATURES, 2)[2] == 6


def test_features_follow_the_manifest(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1, properties={1: {"notification-support": ()}})
    assert [machine.status(SP1, Function.FEATURES, feature) for feature in (1, 3)] == [NOT_SUPPORTED] * 2


def test_features_of_retrieve_and_buffers_have_details(machine: Standing) -> None:
    for caller in BOTH:
        answer = machine.call(caller, Function.FEATURES, Function.MEM_RETRIEVE_REQ_32, NS_BIT_SUPPORT)
        assert answer[:3] == [Function.SUCCESS_32, 0, NS_BIT_SUPPORT]
        assert machine.call(caller, Function.FEATURES, Function.RXTX_MAP_64)[2] == 1 << 16


# --- unknown calls, framework messages, echo ------------------------------------------------------------


@pytest.mark.parametrize("unknown", [0x8400_00AA, 0x8400_009F, 0xC400_00EE])
@pytest.mark.parametrize("caller", BOTH)
def test_unknown_calls(machine: Standing, caller: int, unknown: int) -> None:
    assert machine.status(caller, unknown) == NOT_SUPPORTED


def test_a_call_outside_ffas_range_is_nobodys(machine: Standing) -> None:
    """0xDEADBEEF: the dispatcher leaves it to EL3, the SPMC to the trap handler, which answer -1."""
    machine.enter(SP1)
    for vcpu in (machine.vcpu(SP1), machine.vcpu(HYPERVISOR)):
        vcpu.registers.x[0] = 0xDEAD_BEEF
    assert not machine.spmc.call(machine.vcpu(SP1), hvc=False)
    assert not machine.spmd.serve(machine.vcpu(HYPERVISOR))
    found = machine.asked(0xDEAD_BEEF)
    assert found is not None
    assert found.code == NOT_SUPPORTED


def test_framework_version_request(machine: Standing) -> None:
    """x1 swapped, w2 = framework | VERSION_RESP, w3 our version, w4 zero."""
    ids, kind = id_pair(PartitionId.SPMD, PartitionId.SPMC), 1 << 31 | FrameworkMessage.VERSION_REQ
    answer = machine.call(HYPERVISOR, REQ32, ids, kind, V1_1.pack())
    expected = [RESP32, id_pair(PartitionId.SPMC, PartitionId.SPMD), 1 << 31 | 9, V1_2.pack(), 0]
    assert answer[:5] == expected


@pytest.mark.parametrize("message", [0, 1, 4, 6, 0xA, 0x7F])
def test_other_framework_messages(machine: Standing, message: int) -> None:
    ids = id_pair(PartitionId.SPMD, PartitionId.SPMC)
    assert machine.status(HYPERVISOR, REQ32, ids, 1 << 31 | message) == NOT_SUPPORTED


def test_the_normal_world_sends_no_framework_messages_to_partitions(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, REQ32, id_pair(VM1, SP1), 1 << 31 | 8) == INVALID


@pytest.mark.parametrize(("request_id", "response"), [(REQ32, RESP32), (REQ64, RESP64)])
@pytest.mark.parametrize("partition", [SP1, SP2])
def test_direct_request_and_response(machine: Standing, partition: int, request_id: int, response: int) -> None:
    """x1 arrives as sent and comes back swapped; x3-x7 pass whole, or by their lower halves with 32-bit ids."""
    payload = [0x1111_2222_3333_0000 + n for n in range(5)]
    passed = payload if request_id == REQ64 else [value & 0xFFFF_FFFF for value in payload]
    machine.raw(VM1, request_id, id_pair(VM1, partition), 0, *payload)
    assert machine.registers(partition, 8) == [request_id, id_pair(VM1, partition), 0, *passed]
    machine.raw(partition, response, id_pair(partition, VM1), 0, *reversed(payload))
    assert machine.registers(VM1, 8) == [response, id_pair(partition, VM1), 0, *reversed(passed)]


@pytest.mark.parametrize("receiver", [0x9999, 0x8004, PartitionId.SPMC, PartitionId.SPMD, 2])
def test_direct_requests_to_nobody_are_refused_not_echoed(machine: Standing, receiver: int) -> None:
    assert machine.status(VM1, REQ32, id_pair(VM1, receiver), 0, 0xDEAD) == INVALID


def test_the_normal_world_cannot_send_as_a_partition(machine: Standing) -> None:
    assert machine.status(VM1, REQ32, id_pair(SP2, SP1)) == INVALID


# --- partition information ------------------------------------------------------------------------------


def test_a_machine_of_one_partition_tells_of_one(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=1)
    assert machine.call(HYPERVISOR, Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1)[:4] == [Function.SUCCESS_32, 0, 1, 0]


@pytest.mark.parametrize("caller", BOTH)
def test_the_count_needs_no_buffers_and_the_list_does(machine: Standing, caller: int) -> None:
    assert machine.call(caller, Function.PARTITION_INFO_GET, 0, 0, 0, 0, 1)[2] == 3
    assert machine.status(caller, Function.PARTITION_INFO_GET) == DENIED


@pytest.mark.parametrize("caller", BOTH)
def test_partition_information_goes_to_the_callers_own_rx(machine: Standing, caller: int) -> None:
    machine.map_buffers(caller)
    assert machine.call(caller, Function.PARTITION_INFO_GET)[:4] == [Function.SUCCESS_32, 0, 3, 24]
    infos = parse_infos(machine.read(machine.ram(caller) + RX, 72), 3, V1_2)
    assert [info.id for info in infos] == [SP1, SP2, SP3]
    assert [info.uuid.hex for info in infos] == ["1" * 32, "2" * 32, "3" * 32]
    sends = PartitionProperty.SEND_DIRECT | PartitionProperty.SEND_DIRECT2
    told = [bool(info.properties & sends) for info in infos]
    assert told == [caller == SP1] * 3
    assert machine.status(caller, Function.PARTITION_INFO_GET) == BUSY
    assert machine.status(caller, Function.RX_RELEASE) == 0
    assert machine.status(caller, Function.PARTITION_INFO_GET) == 0


def test_a_v1_0_caller_gets_short_descriptors(tmp_path: Path) -> None:
    machine = Standing(tmp_path, count=2)
    assert machine.raw(HYPERVISOR, Function.VERSION, 0x1_0000)[0] == V1_2.pack()
    machine.map_buffers(HYPERVISOR)
    assert machine.call(HYPERVISOR, Function.PARTITION_INFO_GET)[:4] == [Function.SUCCESS_32, 0, 2, 0]
    words = machine.read(NORMAL_RAM + RX, 16)
    assert words == bytes.fromhex("01800100050000000280010005000000")


def test_partition_information_by_uuid(machine: Standing) -> None:
    machine.map_buffers(HYPERVISOR)
    words = uuid_words(UUID("2" * 32))
    assert machine.call(HYPERVISOR, Function.PARTITION_INFO_GET, *words)[2] == 1
    (info,) = parse_infos(machine.read(NORMAL_RAM + RX, 24), 1, V1_2)
    assert (info.id, info.uuid.int) == (SP2, 0)
    assert machine.status(HYPERVISOR, Function.PARTITION_INFO_GET, 1, 2, 3, 4) == INVALID


@pytest.mark.parametrize("caller", BOTH)
def test_partition_information_in_registers(machine: Standing, caller: int) -> None:
    last, _, infos = parse_regs_page(machine.call(caller, Function.PARTITION_INFO_GET_REGS))
    assert (last, [info.id for info in infos]) == (2, [SP1, SP2, SP3])
    assert machine.status(caller, Function.PARTITION_INFO_GET_REGS, 0, 0, 3) == INVALID
    assert machine.status(caller, Function.PARTITION_INFO_GET_REGS, 0, 0, 7 << 16 | 1) == Code.RETRY


# --- the debug log ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [Function.CONSOLE_LOG_32, Function.CONSOLE_LOG_64])
def test_console_log_of_a_partition_returns_to_it(machine: Standing, function: int) -> None:
    machine.enter(SP2)
    assert status(machine.raw(SP2, function, 2, 0x6B4F)) == 0
    assert machine.sp(SP2).console.since(0)[0] == b"Ok"
    assert machine.state(SP2) is ContextState.RUNNING


def test_console_log_of_the_normal_world(machine: Standing) -> None:
    assert machine.status(HYPERVISOR, Function.CONSOLE_LOG_32, 2, 0x6B4F) == 0
    assert machine.bench.console() == "Ok"


@pytest.mark.parametrize("caller", BOTH)
@pytest.mark.parametrize(("function", "count"), [(Function.CONSOLE_LOG_32, 25), (Function.CONSOLE_LOG_64, 129)])
def test_console_log_counts(machine: Standing, caller: int, function: int, count: int) -> None:
    letters = [0x4141_4141] * 6
    assert machine.status(caller, function, 0, *letters) == INVALID
    assert machine.status(caller, function, count, *letters) == INVALID
    assert machine.status(caller, function, 24, *letters) == 0
