"""Whole address spaces: against the tables page by page, and with what FF-A has made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import inspect
from engine.arch.paging import PAGE, S2AP, S2Leaf
from engine.board.memory_map import RTC_BASE, SECURE_HEAP, UART_BASE, VIRTIO_BASE
from engine.control import Control
from engine.debug.address_map import ipa_map_view, who_maps_view
from engine.debug.stage2_runs import runs, tables
from engine.debug_views import IpaKind, IpaMapView, IpaRange, Mapping
from engine.ffa.ranges import Range
from engine.ffa.transactions import Kind
from engine.hypervisor.partition import Partition
from engine.hypervisor.stage2 import IPA_BITS
from tests.support.machines import RAM_SIZE, Guest, spin, tiny
from tests.unit.engine.debug.guests import shared, standing
from tests.unit.engine.hypervisor.relaying import RAM_SIZE as RELAYED_RAM
from tests.unit.engine.hypervisor.relaying import RO, RW_NX, Relaying, handle
from tests.unit.engine.spmc.standing import SP1, VM1, Standing, wish

FILES = ["two-vms.toml", "ffa-vms.toml", "ffa.toml", "tfa.toml"]


def at(view: IpaMapView, ipa: int) -> IpaRange:
    return next(each for each in view.ranges if each.ipa <= ipa < each.ipa + each.size)


def mappings(control: Control, physical: int) -> dict[str, Mapping]:
    return {each.partition: each for each in inspect.who_maps(control, physical).mappings}


def by_page(partition: Partition) -> dict[int, S2Leaf]:
    return {
        ipa + offset: S2Leaf(leaf.address + offset, leaf.access, leaf.execute, leaf.state, leaf.memory)
        for ipa, size, leaf in partition.stage2.leaves()
        for offset in range(0, size, PAGE)
    }


@pytest.mark.parametrize("file", FILES)
def test_a_map_is_the_tables_and_has_no_holes(file: str) -> None:
    control = standing(file)
    for partition in control.system.partitions:
        view = inspect.ipa_map(control, partition.name)
        ends = [0, *(each.ipa + each.size for each in view.ranges)]
        assert [each.ipa for each in view.ranges] == ends[:-1]
        assert ends[-1] == 1 << IPA_BITS
        shown = {
            each.ipa + offset: each.physical + offset
            for each in view.ranges
            if each.physical is not None
            for offset in range(0, each.size, PAGE)
        }
        assert shown == {ipa: leaf.address for ipa, leaf in by_page(partition).items()}
        assert sum(size for _, size in view.tables) // PAGE <= partition.stage2.tables.used
        assert any(start <= view.root < start + size for start, size in view.tables)


def test_what_a_vm_has(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(spin(), virtio={"rng": True}))
    view = inspect.ipa_map(bench.control, "vm0")
    ram, uart, rtc, virtio = (at(view, ipa) for ipa in (bench.vm.ram_base, UART_BASE, RTC_BASE, VIRTIO_BASE))
    assert (ram.kind, ram.detail, ram.size, ram.permissions) == (IpaKind.OWN, "RAM", RAM_SIZE, "rwx")
    assert (ram.physical, ram.memory, ram.peers) == (bench.vm.config.base_pa, "Normal write-back", ())
    assert [(each.kind, each.detail, each.physical) for each in (uart, rtc, virtio)] == [
        (IpaKind.DEVICE, "pl011", None),
        (IpaKind.DEVICE, "pl031", None),
        (IpaKind.VIRTIO, bench.vm.virtio[0].name, None),
    ]
    assert at(view, 0).kind is IpaKind.NOTHING


def test_tables_of_split_blocks_are_all_found(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin())
    stage2 = bench.vm.stage2
    before = tables(stage2)
    used = stage2.tables.used
    stage2.map(0x6000_0000, S2Leaf(0x4000_0000, S2AP.READ, execute=False), 3 * PAGE)
    assert sum(size for _, size in tables(stage2)) - sum(size for _, size in before) == PAGE * (
        stage2.tables.used - used
    )
    (run,) = [run for run in runs(stage2) if run.ipa == 0x6000_0000]
    assert (run.size, run.leaf.access, run.leaf.execute, run.leaf.address) == (3 * PAGE, S2AP.READ, False, 0x4000_0000)


@pytest.fixture
def machine(tmp_path: Path) -> Relaying:
    relaying = Relaying(tmp_path)
    relaying.map_buffers(1, 2, 3)
    return relaying


def told(machine: Relaying, vm: int, ipa: int) -> tuple[IpaKind, str, tuple[str, ...], tuple[int, ...]]:
    found = at(ipa_map_view(machine.system, machine.system.vms[vm - 1]), ipa)
    return found.kind, found.permissions, found.peers, found.handles


def owners(machine: Relaying, physical: int) -> dict[str, tuple[IpaKind, str]]:
    view = who_maps_view(machine.system, physical)
    return {each.partition: (each.kind, each.permissions) for each in view.mappings}


def test_a_share_on_both_sides(machine: Relaying) -> None:
    page = machine.page(1)
    physical = machine.physical(1, page)
    sent = handle(machine.send(to=(2, 3), permissions=RO))
    assert told(machine, 1, page) == (IpaKind.SHARED, "r-x", ("vm1", "vm2"), (sent,))
    assert machine.retrieve(2, sent, RO, to=(2, 3)) == 0
    assert told(machine, 2, page) == (IpaKind.BORROWED, "r--", ("vm0",), (sent,))
    assert told(machine, 3, page)[0] is IpaKind.NOTHING
    assert owners(machine, physical) == {"vm0": (IpaKind.SHARED, "r-x"), "vm1": (IpaKind.BORROWED, "r--")}
    assert owners(machine, physical + 0x123) == owners(machine, physical)
    assert owners(machine, physical + 2 * PAGE) == {"vm0": (IpaKind.OWN, "rwx")}
    assert at(ipa_map_view(machine.system, machine.system.vms[0]), page).size == 2 * PAGE
    machine.relinquish(2, sent)
    assert machine.reclaim(1, sent) == 0
    assert owners(machine, physical) == {"vm0": (IpaKind.OWN, "rwx")}


def test_what_is_lent_is_no_more_its_owners(machine: Relaying) -> None:
    page = machine.page(1)
    sent = handle(machine.send(Kind.LEND))
    assert told(machine, 1, page) == (IpaKind.LENT, "---", ("vm1",), (sent,))
    assert machine.retrieve(2, sent, RW_NX) == 0
    found = owners(machine, machine.physical(1, page))
    assert found["vm0"] == (IpaKind.LENT, "---")
    assert found["vm1"][0] is IpaKind.BORROWED
    assert found["vm1"][1].startswith("rw")


def test_a_donation_before_and_after_it_is_received(machine: Relaying) -> None:
    page = machine.page(1)
    sent = handle(machine.send(Kind.DONATE))
    assert told(machine, 1, page) == (IpaKind.DONATED, "---", ("vm1",), (sent,))
    assert machine.retrieve(2, sent, wish(Kind.DONATE)) == 0
    assert told(machine, 1, page) == (IpaKind.DONATED, "---", ("?",), ())
    found = at(ipa_map_view(machine.system, machine.system.vms[1]), page)
    assert (found.kind, found.detail) == (IpaKind.OWN, "received by donation")
    assert owners(machine, machine.physical(1, page)) == {
        "vm0": (IpaKind.DONATED, "---"),
        "vm1": (IpaKind.OWN, found.permissions),
    }


def test_two_transactions_side_by_side_stay_apart(machine: Relaying) -> None:
    one = handle(machine.send(ranges=[Range(machine.page(1), 1)]))
    two = handle(machine.send(ranges=[Range(machine.page(1, 1), 1)], to=(3,)))
    assert told(machine, 1, machine.page(1)) == (IpaKind.SHARED, "r-x", ("vm1",), (one,))
    assert told(machine, 1, machine.page(1, 1)) == (IpaKind.SHARED, "r-x", ("vm2",), (two,))


def test_a_real_loan_from_a_vm_to_a_secure_partition() -> None:
    control, record = shared("ffa.toml", "lend", (0x8002, "retrieved"))
    physical = control.system.vms[0].physical(record.ranges[0][0])
    found = mappings(control, physical)
    assert set(found) == {"vm0", "sp_irq"}
    assert (found["vm0"].kind, found["vm0"].permissions, found["vm0"].peers) == (IpaKind.LENT, "---", ("sp_irq",))
    assert (found["sp_irq"].kind, found["sp_irq"].permissions) == (IpaKind.BORROWED, "rw-")
    assert (found["sp_irq"].peers, found["sp_irq"].handles) == (("vm0",), (record.handle,))
    assert found["sp_irq"].ipa == record.borrowers[0].ranges[0][0]


def test_real_vms_that_share_a_page() -> None:
    control, record = shared("ffa-vms.toml", "share", (2, "retrieved"), (3, "retrieved"))
    found = mappings(control, control.system.vms[0].physical(record.ranges[0][0]))
    assert [(name, each.kind) for name, each in found.items()] == [
        ("vm0", IpaKind.SHARED),
        ("vm1", IpaKind.BORROWED),
        ("vm2", IpaKind.BORROWED),
    ]
    assert found["vm0"].permissions == "r-x"


def test_whoever_owns_el2_lends_by_record_alone(tmp_path: Path) -> None:
    machine = Standing(tmp_path)
    machine.map_buffers(VM1, SP1)
    sent = machine.sent(Kind.LEND)
    assert machine.retrieve(SP1, sent, wish(Kind.LEND)) == 0
    found = mappings(machine.bench.control, machine.page(VM1))
    assert (found["vm0"].kind, found["vm0"].peers, found["vm0"].permissions) == (IpaKind.LENT, ("sp1",), "rwx")
    assert (found["sp1"].kind, found["sp1"].handles) == (IpaKind.BORROWED, (sent,))


def test_whose_memory_it_is_that_no_partition_has() -> None:
    control = standing("ffa.toml")
    root = control.vm("vm0").stage2.root
    secure_root = control.vm("sp_irq").stage2.root
    ram = control.system.memory
    places = {
        root: "stage-2 tables of vm0",
        secure_root: "stage-2 tables of sp_irq",
        ram.base + ram.size - PAGE: "firmware",
        SECURE_HEAP + 0x40_0000: "secure RAM",
        control.system.vms[0].config.base_pa: "RAM",
        0x1000: "nothing",
    }
    assert {page: inspect.who_maps(control, page).place for page in places} == places
    assert inspect.who_maps(control, root).mappings == ()
    assert inspect.who_maps(control, secure_root).mappings == ()


def test_ranges_of_one_transaction_are_one_range_where_they_meet(machine: Relaying) -> None:
    """Every second page of a hundred, and then all that is left: pieces come and go with the transactions."""
    even = handle(machine.send(ranges=[Range(machine.page(1, 2 * n), 1) for n in range(50)]))
    view = ipa_map_view(machine.system, machine.system.vms[0])
    given = [each for each in view.ranges if each.kind is IpaKind.SHARED]
    assert [(each.ipa, each.size, each.handles) for each in given] == [
        (machine.page(1, 2 * n), PAGE, (even,)) for n in range(50)
    ]
    assert machine.reclaim(1, even) == 0
    handle(machine.send(ranges=[Range(machine.page(1, n), 1) for n in range(100)]))
    view = ipa_map_view(machine.system, machine.system.vms[0])
    (given_again,) = [each for each in view.ranges if each.kind is IpaKind.SHARED]
    assert (given_again.ipa, given_again.size) == (machine.page(1), 100 * PAGE)
    own = [each for each in view.ranges if each.kind is IpaKind.OWN]
    assert sum(each.size for each in own) == RELAYED_RAM - 100 * PAGE
