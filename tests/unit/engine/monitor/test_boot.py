"""The boot of a machine with a secure world: from sections or a FIP, stage by stage, and what cannot boot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import config
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.config import ConfigError
from engine.errors import MachineError
from engine.events import BootStage, FfaCall
from engine.ffa.abi import Function, id_pair
from engine.images.dtb import cells
from engine.images.placement import load_guest
from engine.machine_config import MachineConfig
from engine.monitor.boot import boot_parts
from engine.monitor.compose import Source, compose
from engine.monitor.fip import KNOWN
from engine.spmc.package import pack_package
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, store_result
from tests.support.packages import BASES, BL33, Package, fip_bytes, memory
from tests.support.secure import SP_BASE, SP_SIZE, SecureBench, Sp, echo, manifest, secure, secure_config

REQ = Function.MSG_SEND_DIRECT_REQ_32
SPS = [Sp(echo(), {"boot-order": (2,)}), Sp(echo(), {"boot-order": (1,), "description": "second"})]


def client() -> Program:
    """Asks the first partition, and keeps its answer."""
    return store_result(Program().call(REQ, id_pair(1, 0x8001), 0, 0, 5, conduit=a.smc()), 4, 0).loop()


def written(directory: Path, data: bytes) -> None:
    (directory / "m.fip").write_bytes(data)


def write_fip(directory: Path, sps: list[Sp], *, bl33: bytes | None = None) -> None:
    sources = [
        Source(f"node{number}", pack_package(manifest(number, sp), sp.program.code), None)
        for number, sp in enumerate(sps)
    ]
    written(directory, compose(sources, {} if bl33 is None else {BL33: bl33}))


def tables(**vm: Any) -> dict[str, Any]:
    """A machine that boots from m.fip."""
    usual = {"name": "vm0", "image": "fip:bl33", "el": 2, "ram_size": "4M", "format": "raw"}
    return {"secure": {"fip": "m.fip"}, "machine": {"cycles_per_tick": 1}, "vm": [usual | vm]}


def fip_machine(directory: Path, **vm: Any) -> MachineConfig:
    return config.from_tables(tables(**vm), directory / "m.toml")


def stages(bench: SecureBench) -> list[BootStage]:
    return [event for event in bench.events() if isinstance(event, BootStage)]


# --- from a FIP -------------------------------------------------------------------------------------


def test_a_machine_from_a_fip_runs_its_bl33(tmp_path: Path) -> None:
    write_fip(tmp_path, SPS, bl33=client().code)
    bench = SecureBench(fip_machine(tmp_path)).run(2000)
    assert bench.word(DATA) == 0x1005
    assert bench.system.config.partitions == ("vm0", "sp1", "second")
    assert [sp.name for sp in bench.spmc.partitions.values()] == ["sp1", "second"]


def test_sections_make_the_same_machine(tmp_path: Path) -> None:
    """A FIP of the same packages differs in the names of its parts only."""
    write_fip(tmp_path, SPS, bl33=client().code)
    from_fip = SecureBench(fip_machine(tmp_path)).run(2000)
    from_sections = secure(tmp_path, SPS, client()).run(2000)
    calls = [
        [event.args for event in each.events() if isinstance(event, FfaCall)] for each in (from_fip, from_sections)
    ]
    assert calls[0] == calls[1]
    assert [each.loaded_package.data for each in from_fip.spmc.partitions.values()] == [
        each.loaded_package.data for each in from_sections.spmc.partitions.values()
    ]


def test_partitions_from_a_fip_and_a_vm_from_a_file(tmp_path: Path) -> None:
    write_fip(tmp_path, SPS)
    (tmp_path / "vm.bin").write_bytes(client().code)
    assert SecureBench(fip_machine(tmp_path, image="vm.bin")).run(2000).word(DATA) == 0x1005


def test_the_load_address_of_a_section_counts(tmp_path: Path) -> None:
    write_fip(tmp_path, [])
    (tmp_path / "sp.spkg").write_bytes(Package(1).data)
    (tmp_path / "vm.bin").write_bytes(b"code")
    raw = tables(image="vm.bin") | {"secure": {}, "sp": [{"name": "one", "package": "sp.spkg", "load": 0x0E70_0000}]}
    machine = config.from_tables(raw, tmp_path / "m.toml")
    assert machine.secure is not None
    (package,) = boot_parts(machine.secure).packages
    assert (package.name, package.address, package.entry) == ("one", 0x0E70_0000, 0x0E70_4000)


def test_a_fip_that_changed_since_is_refused(tmp_path: Path) -> None:
    write_fip(tmp_path, SPS, bl33=b"code")
    machine = fip_machine(tmp_path)
    written(tmp_path, fip_bytes(Package(1), parts={BL33: b"code"}))
    with pytest.raises(MachineError, match=r"m\.fip: TB_FW_CONFIG: expected 2 partitions \(got 1\)"):
        build(machine)
    written(tmp_path, fip_bytes(Package(1), Package(2)))
    with pytest.raises(MachineError, match=r"m\.fip: BL33: expected this part \(missing\)"):
        load_guest(machine.vms[0])
    written(tmp_path, b"")
    with pytest.raises(MachineError, match=r"m\.fip: expected a FIP \(got 0 bytes\)"):
        load_guest(machine.vms[0])


def test_an_image_that_is_bl33_can_be_placed(tmp_path: Path) -> None:
    write_fip(tmp_path, [], bl33=b"code" * 4)
    guest = load_guest(fip_machine(tmp_path, load=0x20_0000, entry=0x20_0008).vms[0])
    assert (guest.segments[0].ipa, guest.segments[0].data) == (RAM_BASE + 0x20_0000, b"code" * 4)
    assert guest.entry == RAM_BASE + 0x20_0008


# --- stage by stage ---------------------------------------------------------------------------------


def test_the_stages_of_a_machine_whose_payload_owns_el2(tmp_path: Path) -> None:
    bench = secure(tmp_path, SPS, client()).run(2000)
    assert [(event.stage, event.vm, event.address, event.entry) for event in stages(bench)] == [
        ("BL1", "", 0, 0),
        ("BL2", "", 0, 0),
        ("BL31", "", 0, 0),
        ("BL32", "", 0x0E10_0000, 0x0E10_0000),
        ("SP 0x8002", "sp2", SP_BASE + SP_SIZE, SP_BASE + SP_SIZE + 0x4000),
        ("SP 0x8001", "sp1", SP_BASE, SP_BASE + 0x4000),
        ("BL33", "vm0", RAM_BASE, RAM_BASE),
    ]
    details = {event.stage: event.detail for event in stages(bench)}
    assert details["BL2"] == "FIP with 4 parts: TB_FW_CONFIG, TOS_FW_CONFIG, sp1, sp2"
    assert details["BL32"] == "SPMC 0x8000, FF-A 1.2"
    assert details["SP 0x8001"] == "S-EL1 partition, FF-A 1.2"
    assert details["BL33"] == "payload at NS-EL2"


def test_each_stage_begins_when_the_one_before_is_done(tmp_path: Path) -> None:
    """The second partition at the first one's MSG_WAIT, the normal world at the second one's."""
    bench = secure(tmp_path, SPS, client()).run(2000)
    waits = [event for event in bench.events() if isinstance(event, FfaCall) and event.args[0] == Function.MSG_WAIT]
    assert [event.vm for event in waits[:2]] == ["sp2", "sp1"]
    assert [event.cycle for event in stages(bench)[5:]] == [event.cycle for event in waits[:2]]
    assert 0 < waits[0].cycle < waits[1].cycle


def test_a_machine_with_the_hypervisor(tmp_path: Path) -> None:
    bench = secure(tmp_path, SPS[:1], Program().loop(), el=1).run(2000)
    last = stages(bench)[-1]
    assert (last.stage, last.vm, last.address, last.entry, last.detail) == ("BL33", "", 0, 0, "hypervisor at NS-EL2")


def test_contexts_of_other_cores_are_no_stages(tmp_path: Path) -> None:
    bench = secure(tmp_path, [Sp(echo(), {"execution-ctx-count": (2,)})], Program().loop(), cores=2).run(5000)
    assert [event.stage for event in stages(bench)] == ["BL1", "BL2", "BL31", "BL32", "SP 0x8001", "BL33"]


def test_without_partitions_the_normal_world_comes_at_once(tmp_path: Path) -> None:
    bench = secure(tmp_path, [], store_result(Program().call(Function.SPM_ID_GET, conduit=a.smc()), 2, 0).loop())
    assert bench.run(100).word(DATA) == 0x8000
    assert [event.stage for event in stages(bench)] == ["BL1", "BL2", "BL31", "BL32", "BL33"]


# --- what cannot boot -------------------------------------------------------------------------------


def refusal(directory: Path, raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        config.from_tables(raw, directory / "m.toml")
    return str(caught.value).replace(f"{directory}/", "").removeprefix("m.toml: ")


def test_mistakes_in_the_machine_file(tmp_path: Path) -> None:
    (tmp_path / "vm.bin").write_bytes(b"code")
    write_fip(tmp_path, SPS)
    both = tables(image="vm.bin") | {"sp": [{"name": "x", "package": "m.fip"}]}
    none = tables()
    del none["secure"]
    for raw, problem in (
        (tables(), "vm[0].image: expected a FIP with a BL33 (got m.fip)"),
        (tables(el=1), "vm[0].image: expected a file, or el = 2 beside it (got 'fip:bl33')"),
        (tables(image="vm.bin", name="second"), None),
        (tables(image="vm.bin", name="sp1"), "vm[0].name: expected a name no partition of the FIP has (got 'sp1')"),
        (tables() | {"secure": {}}, "vm[0].image: expected a FIP to take it from (secure.fip) (got none)"),
        (none, "vm[0].image: expected a FIP to take it from (secure.fip) (got none)"),
        (tables() | {"secure": {"fip": "gone"}}, "secure.fip: expected a readable file: No such file or directory"),
        (
            tables(image="vm.bin") | {"secure": {"fip": "m.fip", "max_endpoints": 1}},
            f"secure.max_endpoints: expected room for {len(SPS)} secure partitions (got 1)",
        ),
        (both, "secure.fip: expected either a FIP or [[sp]] sections (got both)"),
    ):
        if problem is None:
            assert config.from_tables(raw, tmp_path / "m.toml").partitions == ("second", "sp1", "sp2")
        else:
            assert refusal(tmp_path, raw).startswith(problem)


def test_a_damaged_fip_is_a_mistake_in_the_machine_file(tmp_path: Path) -> None:
    overlapping = Package(2, {"load-address": cells(BASES[0])})
    for data, problem in (
        (b"", "expected a FIP (got 0 bytes)"),
        (compose([], {KNOWN["TOS_FW_CONFIG"]: b""}), "TOS_FW_CONFIG: expected a device tree"),
        (
            compose([Source("one", Package(1).data, None), Source("two", overlapping.data, None)], {}),
            "two: expected secure RAM apart from one, 0xe300000 to 0xe305000 (got 0xe300000 to 0xe305000)",
        ),
    ):
        written(tmp_path, data)
        assert refusal(tmp_path, tables()).startswith(f"secure.fip: m.fip: {problem}")


def test_sections_with_the_same_id(tmp_path: Path) -> None:
    machine = secure_config(tmp_path, [Sp(echo()), Sp(echo(), {"id": (0x8001,)})], Program().loop())
    with pytest.raises(MachineError, match=r"sp2: expected a partition id that no other has \(0x8001 is sp1's\)"):
        build(machine)


def test_memory_that_the_board_has_not(tmp_path: Path) -> None:
    """Nor may it be the firmware's, which lies above the VMs: stage 2 tables are there."""
    region = memory(base_address=cells(RAM_BASE + 0x40_0000), attributes=(11,))
    written(tmp_path, fip_bytes(Package(1, nodes=(region,)), parts={BL33: b"code"}))
    with pytest.raises(
        MachineError, match=r"sp1: /m: expected RAM of the board below 0x40400000 \(got up to 0x40401000\)"
    ):
        build(fip_machine(tmp_path))
    build(config.from_tables(tables() | {"board": {"ram": "32M"}}, tmp_path / "m.toml"))
