"""VMs' RX buffers with two producers, the relayer and the SPMC (DEN0077A v1.2, 7.2.2 and 13.4-13.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.ffa.abi import Function, handle_of
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.flags import GetFlag
from engine.ffa.memory import NORMAL_WB_ISH, Data, Permissions
from engine.ffa.message import Message
from engine.ffa.ranges import Composite, Range
from engine.ffa.version import V1_0, V1_1, V1_2
from engine.observe_ffa import ffa_view
from tests.unit.engine.hypervisor.beside_secure import PAGES, RX, SP1, TX, VM1, VM2, BesideSecure
from tests.unit.engine.hypervisor.relaying import status

SP2 = 0x8002
INVALID, DENIED, BUSY = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY
MAP, UNMAP, RELEASE = Function.RXTX_MAP_64, Function.RXTX_UNMAP, Function.RX_RELEASE
INFO, WAIT = Function.PARTITION_INFO_GET, Function.MSG_WAIT
CREATE, DESTROY, GET = (
    Function.NOTIFICATION_BITMAP_CREATE,
    Function.NOTIFICATION_BITMAP_DESTROY,
    Function.NOTIFICATION_GET,
)
NPI = 8
RW = Permissions(Data.RW)
FREE = 0x1000_0000
"""An offset past everybody's RAM."""


@pytest.fixture
def machine(tmp_path: Path) -> BesideSecure:
    made = BesideSecure(tmp_path)
    made.map_buffers(VM1, VM2, SP1, SP2)
    return made


@pytest.mark.parametrize("sender", [SP1, SP2])
@pytest.mark.parametrize("receiver", [VM1, VM2])
def test_a_partitions_message_is_in_the_vms_rx(machine: BesideSecure, sender: int, receiver: int) -> None:
    assert machine.send(sender, receiver, b"from there") == 0
    assert machine.received(receiver) == Message(sender, receiver, b"from there")
    assert machine.status(receiver, RELEASE) == 0
    assert machine.status(receiver, RELEASE) == DENIED


def test_a_secure_world_may_have_no_partitions(tmp_path: Path) -> None:
    machine = BesideSecure(tmp_path, sps=0)
    machine.map_buffers(VM1)
    assert machine.status(VM1, INFO) == 0
    assert [info.id for info in machine.proxy.relay.infos(VM1)] == [VM1, VM2]


def test_the_relayer_itself_is_sent_nothing(machine: BesideSecure) -> None:
    assert machine.send(SP1, 0) == DENIED


def test_what_a_partition_sent_is_not_overwritten_by_the_relayer(machine: BesideSecure) -> None:
    assert machine.send(SP1, VM2, b"first") == 0
    assert machine.send(VM1, VM2, b"second") == BUSY
    assert machine.send(SP2, VM2, b"second") == BUSY
    assert machine.status(VM2, INFO) == BUSY
    assert machine.received(VM2).payload == b"first"
    assert machine.status(VM2, RELEASE) == 0
    assert machine.send(VM1, VM2, b"second") == 0
    assert machine.received(VM2) == Message(VM1, VM2, b"second")


def test_what_the_relayer_put_there_is_not_overwritten_by_a_partition(machine: BesideSecure) -> None:
    assert machine.send(VM1, VM2, b"first") == 0
    assert machine.send(SP1, VM2, b"second") == BUSY
    assert machine.received(VM2).payload == b"first"
    assert machine.status(VM2, RELEASE) == 0
    assert machine.send(SP1, VM2, b"second") == 0
    assert machine.received(VM2) == Message(SP1, VM2, b"second")


def test_partition_information_fills_rx_for_both(machine: BesideSecure) -> None:
    assert machine.status(VM2, INFO) == 0
    assert machine.send(SP1, VM2) == BUSY
    assert machine.status(VM2, RELEASE) == 0
    assert machine.send(SP1, VM2) == 0


def test_a_retrieve_response_waits_for_rx_and_maps_nothing_before(machine: BesideSecure) -> None:
    """Refused it leaves RX with the SPMC; granted RX is full."""
    handle = share(machine, VM1, VM2)
    assert machine.send(SP1, VM2) == 0
    assert retrieve(machine, VM2, VM1, handle) == BUSY
    assert machine.status(VM2, RELEASE) == 0
    assert retrieve(machine, VM2, VM1, handle, at=RX) == DENIED
    assert machine.send(SP1, VM2) == 0
    assert machine.status(VM2, RELEASE) == 0
    assert retrieve(machine, VM2, VM1, handle) == 0
    assert machine.send(SP1, VM2) == BUSY


@pytest.mark.parametrize(("retain", "found"), [(0, 0), (1, BUSY)])
@pytest.mark.parametrize("sender", [SP1, VM1])
def test_msg_wait_releases_rx_unless_it_retains_it(machine: BesideSecure, sender: int, retain: int, found: int) -> None:
    assert machine.send(sender, VM2) == 0
    machine.call(VM2, WAIT, 0, retain)
    assert machine.send(SP1, VM2) == found
    assert machine.send(VM1, VM2) == BUSY


def share(machine: BesideSecure, owner: int, borrower: int) -> int:
    """The handle of a page that one VM shares with another."""
    composite = Composite((Range(machine.ram(owner) + PAGES, 1),))
    region = MemoryRegion(owner, (EndpointAccess(borrower, RW, composite=composite),), NORMAL_WB_ISH)
    data = pack(region, V1_2)
    machine.manager.memory.write(machine.physical(owner, TX), data)
    answer = machine.call(owner, Function.MEM_SHARE_32, len(data), len(data))
    assert status(answer) == 0
    return handle_of(answer[2], answer[3])


def retrieve(machine: BesideSecure, borrower: int, owner: int, handle: int, at: int = FREE) -> int:
    """RETRIEVE_REQ to an IPA, counted from the start of RAM; the answer stays in RX."""
    composite = Composite((Range(machine.ram(borrower) + at, 1),))
    region = MemoryRegion(owner, (EndpointAccess(borrower, RW, composite=composite),), handle=handle)
    data = pack(region, V1_2)
    machine.manager.memory.write(machine.physical(borrower, TX), data)
    return machine.status(borrower, Function.MEM_RETRIEVE_REQ_32, len(data), len(data))


def test_views_show_who_filled_rx(machine: BesideSecure) -> None:
    def shown() -> tuple[str, str, int, int]:
        view = ffa_view(machine.bench.system)
        assert view is not None
        part = next(each for each in view.partitions if each.id == VM2)
        assert (part.tx, part.rx) == (machine.ram(VM2) + TX, machine.ram(VM2) + RX)
        return part.rx_owner, part.rx_content, part.rx_sender, part.rx_size

    assert shown() == ("producer", "", 0, 0)
    assert machine.send(SP1, VM2) == 0
    assert shown() == ("consumer", "message", SP1, 44)
    assert machine.status(VM2, RELEASE) == 0
    assert shown() == ("producer", "", 0, 0)
    assert machine.send(VM1, VM2) == 0
    assert shown() == ("consumer", "message", VM1, 44)


# --- notifications -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("receiver", [VM1, VM2])
def test_the_vm_is_notified_by_its_npi(machine: BesideSecure, receiver: int) -> None:
    machine.open_to_interrupts(receiver)
    assert machine.status(receiver, CREATE, receiver, 1) == 0
    interrupts = machine.bench.system.vms[receiver - 1].vgic
    assert NPI not in interrupts.pending(0)
    assert machine.send(SP1, receiver) == 0
    assert NPI in interrupts.pending(0)
    answer = machine.call(receiver, GET, receiver, GetFlag.SPM)
    assert (status(answer), list(answer[2:8])) == (0, [0, 0, 0, 0, 1, 0])


def test_a_vm_without_bitmaps_gets_the_message_all_the_same(machine: BesideSecure) -> None:
    machine.open_to_interrupts(VM2)
    assert machine.send(SP1, VM2) == 0
    assert NPI not in machine.bench.system.vms[1].vgic.pending(0)
    assert machine.received(VM2).payload == b"four"


def test_bitmaps_that_cannot_be_destroyed_there_stay_as_they_are_here(machine: BesideSecure) -> None:
    """A notification of the SPMC is pending: what another VM may signal is still bound."""
    assert machine.status(VM2, CREATE, VM2, 1) == 0
    assert machine.status(VM2, Function.NOTIFICATION_BIND, VM1 << 16 | VM2, 0, 4) == 0
    assert machine.send(SP1, VM2) == 0
    assert machine.status(VM2, DESTROY, VM2) == DENIED
    assert machine.status(VM1, Function.NOTIFICATION_SET, VM1 << 16 | VM2, 0, 4) == 0
    assert machine.status(VM2, GET, VM2, GetFlag.SPM | GetFlag.VM) == 0
    assert machine.status(VM2, DESTROY, VM2) == 0


# --- both managers know the buffers, or neither does -----------------------------------------------------------


def test_unmap_is_on_both_sides(machine: BesideSecure) -> None:
    assert machine.send(SP1, VM2) == 0
    assert machine.status(VM2, UNMAP) == 0
    assert machine.send(SP1, VM2) == DENIED
    assert machine.send(VM1, VM2) == DENIED
    assert machine.status(VM2, UNMAP) == INVALID
    assert machine.map(VM2) == 0
    assert machine.send(SP1, VM2) == 0


def test_a_refused_map_maps_nowhere(machine: BesideSecure) -> None:
    assert machine.map(VM2) == DENIED
    assert machine.status(VM2, UNMAP) == 0
    assert machine.map(VM2, pages=2) == INVALID
    assert VM2 not in machine.manager.vms


def test_what_the_spmc_refuses_is_not_mapped_here(tmp_path: Path) -> None:
    machine = BesideSecure(tmp_path, sps=1, secure={"max_endpoints": 1})
    assert machine.map(VM1) == 0
    assert machine.map(VM2) == Code.NO_MEMORY
    assert machine.status(VM2, INFO) == DENIED
    assert machine.status(VM1, UNMAP) == 0
    assert machine.map(VM2) == 0


@pytest.mark.parametrize(("here", "there"), [(2, 1), (1, 2)])
def test_features_tells_what_both_managers_take(tmp_path: Path, here: int, there: int) -> None:
    machine = BesideSecure(tmp_path, ffa={"max_buffer_pages": here}, secure={"max_buffer_pages": there})
    assert machine.call(VM1, Function.FEATURES, MAP)[2] == 1 << 16
    assert machine.map(VM1, pages=2) == INVALID
    assert machine.map(VM1) == 0


def test_vms_acquire_nothing_and_name_nobody(machine: BesideSecure) -> None:
    assert machine.status(VM1, Function.FEATURES, Function.RX_ACQUIRE) == Code.NOT_SUPPORTED
    assert machine.status(VM1, Function.RX_ACQUIRE, VM2) == Code.NOT_SUPPORTED
    assert machine.status(VM1, RELEASE, VM2) == INVALID
    assert machine.status(VM1, UNMAP, VM2 << 16) == INVALID


def test_a_vm_of_v1_0_has_its_buffers_for_the_relayer_alone(tmp_path: Path) -> None:
    machine = BesideSecure(tmp_path)
    machine.call(VM2, Function.VERSION, V1_0.pack())
    machine.map_buffers(VM1, VM2, SP1)
    assert machine.send(SP1, VM2) == DENIED
    assert machine.status(VM2, INFO) == 0
    assert machine.status(VM2, RELEASE) == 0


def test_a_vm_of_v1_1_reads_the_payload_where_the_header_says(tmp_path: Path) -> None:
    machine = BesideSecure(tmp_path)
    machine.call(VM2, Function.VERSION, V1_1.pack())
    machine.map_buffers(VM2, SP1)
    assert machine.send(SP1, VM2, b"payload") == 0
    header = machine.manager.memory.read(machine.physical(VM2, RX), 64)
    offset, size = int.from_bytes(header[8:12], "little"), int.from_bytes(header[16:20], "little")
    assert header[offset : offset + size] == b"payload"


# --- a VM that starts over -------------------------------------------------------------------------------------


def test_a_vm_that_starts_over_has_no_buffers_until_it_maps_them(machine: BesideSecure) -> None:
    assert machine.send(SP1, VM2) == 0
    machine.bench.system.vms[1].power_on()
    assert machine.manager.vms.keys() == {VM1}
    assert machine.send(SP1, VM2) == DENIED
    machine.map_buffers(VM2)
    assert machine.send(SP1, VM2) == 0


def test_a_vm_that_starts_over_may_create_its_bitmaps_again(machine: BesideSecure) -> None:
    """Also with a notification pending, and it does not find that one."""
    assert machine.status(VM2, CREATE, VM2, 1) == 0
    assert machine.send(SP1, VM2) == 0
    machine.bench.system.vms[1].power_on()
    assert machine.status(VM2, CREATE, VM2, 1) == 0
    answer = machine.call(VM2, GET, VM2, GetFlag.SPM)
    assert (status(answer), list(answer[2:8])) == (0, [0] * 6)
