"""What is loaded from a FIP, and FIPs that cannot be booted from."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings

from engine.errors import MachineError
from engine.ffa.version import V1_1
from engine.images.dtb import Value, cells, node
from engine.images.image import ImageError
from engine.monitor.compose import ComposeError, Source, compose
from engine.monitor.core_manifest import CoreManifest, pack_core_manifest
from engine.monitor.fip import KNOWN, Fip, pack, parse
from engine.monitor.fw_config import SpEntry, pack_fw_config, swapped
from engine.monitor.parts import BootParts, PartsError, load_parts, names_from, partition_names, read_parts
from tests.support.fuzz import damaged
from tests.support.packages import BASES, BL33, TB_FW_CONFIG, TOS_FW_CONFIG, Package, device, fip, fip_bytes, memory


def boot(*sps: Package, parts: dict[UUID, bytes] | None = None) -> BootParts:
    return read_parts(fip(*sps, parts=parts))


def refusal(found: Fip) -> str:
    with pytest.raises(MachineError) as caught:
        read_parts(found)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_everything_in_its_place() -> None:
    first = Package(1, {"hvtui,memory-pages": (256,), "entrypoint-offset": (0x5000,)}, image=bytes(0x2000))
    parts = boot(first, Package(2), parts={BL33: b"payload", KNOWN["HW_CONFIG"]: b"tree"})
    assert parts.listing == ("TB_FW_CONFIG", "TOS_FW_CONFIG", "BL33", "HW_CONFIG", "sp1", "sp2")
    assert (parts.core, parts.bl33, parts.hw_config) == (CoreManifest(), b"payload", b"tree")
    one, two = parts.packages
    assert (one.name, one.id, one.address, one.size, one.entry) == ("sp1", 0x8001, BASES[0], 0x10_0000, 0x0E30_5000)
    assert (two.name, two.id, two.address, two.size, two.entry) == ("sp2", 0x8002, BASES[1], 0x5000, 0x0E40_4000)
    assert one.data == first.data
    assert one.manifest.uuids == (first.uuid,)


def test_nothing_but_the_configurations() -> None:
    parts = boot()
    assert (parts.packages, parts.bl33, parts.hw_config) == ((), None, None)


def test_the_load_address_of_the_configuration_counts() -> None:
    data = compose([Source("sp1", Package(1).data, 0x0E70_0000)], {})
    assert read_parts(parse(data)).packages[0].address == 0x0E70_0000


def test_ids_that_manifests_leave_open() -> None:
    sps = Package(1, {"id": ()}), Package(2, {"id": (0x8001,)}), Package(3, {"id": ()})
    assert [sp.id for sp in boot(*sps).packages] == [0x8002, 0x8001, 0x8003]


def test_parts_that_are_python_here_are_listed() -> None:
    parts = boot(parts={KNOWN["BL31"]: b"el3", KNOWN["BL32"]: b"spmc"})
    assert parts.listing[2:] == ("BL31", "BL32")


# --- names ------------------------------------------------------------------------------------------


def test_partitions_are_named_as_told() -> None:
    found = fip(Package(1), Package(2))
    assert [sp.name for sp in read_parts(found, ("red", "blue")).packages] == ["red", "blue"]
    with pytest.raises(PartsError, match=r"TB_FW_CONFIG: expected 1 partitions \(got 2\)"):
        read_parts(found, ("red",))


def test_a_description_that_is_a_name_is_one() -> None:
    parts = boot(Package(1, {"description": "crypto"}), Package(2, {"description": "two words"}), Package(3))
    assert partition_names(parts, ()) == ("crypto", "sp2", "sp3")
    assert partition_names(parts, ["crypto"]) == ("sp1", "sp2", "sp3")


def test_names_are_nobody_elses() -> None:
    wanted = ["a", "a", "sp9", "vm", "x" * 33, "x" * 32, "_", "b\n", ""]
    assert names_from(wanted, []) == ("a", "sp2", "sp3", "sp4", "sp5", "x" * 32, "sp7", "sp8", "sp9")


# --- what cannot be booted from ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TB_FW_CONFIG", "TOS_FW_CONFIG"])
def test_a_missing_configuration(name: str) -> None:
    found = fip(Package(1))
    rest = pack((part.uuid, found.contents(part)) for part in found.parts if part.name != name)
    assert refusal(parse(rest)) == f"{name}: expected this part (missing)"


def with_config(*entries: SpEntry, packages: tuple[Package, ...] = (Package(1),)) -> Fip:
    """A FIP whose TB_FW_CONFIG does not fit its packages."""
    parts = {TOS_FW_CONFIG: pack_core_manifest(CoreManifest()), TB_FW_CONFIG: pack_fw_config(entries)}
    return parse(pack((parts | {each.uuid: each.data for each in packages}).items()))


def test_a_missing_package() -> None:
    found = with_config(SpEntry("one", Package(1).uuid, BASES[0]), SpEntry("two", Package(2).uuid, BASES[1]))
    assert refusal(found) == f"two: expected a package with UUID {Package(2).uuid} (missing)"


def test_a_uuid_in_the_wrong_byte_order_in_the_configuration() -> None:
    right = Package(1).uuid
    text = refusal(with_config(SpEntry("one", swapped(right), BASES[0])))
    assert text == (
        f"one: expected UUID {right}, as the FIP has "
        f"(got {swapped(right)} in TB_FW_CONFIG: the bytes of each word are in the wrong order)"
    )


def test_a_uuid_in_the_wrong_byte_order_in_both() -> None:
    right = Package(1).uuid
    parts = {TB_FW_CONFIG: pack_fw_config([SpEntry("one", swapped(right), BASES[0])]), swapped(right): Package(1).data}
    text = refusal(fip(parts=parts))
    assert text.startswith(f"one: expected UUID {right}, as its manifest has (got {swapped(right)} in TB_FW_CONFIG and")


def test_a_uuid_of_somebody_else() -> None:
    parts = {
        TB_FW_CONFIG: pack_fw_config([SpEntry("one", Package(2).uuid, BASES[0])]),
        Package(2).uuid: Package(1).data,
    }
    text = refusal(fip(parts=parts))
    assert text == f"one: expected UUID {Package(1).uuid}, as its manifest has (got {Package(2).uuid})"


def test_a_damaged_package() -> None:
    for data, problem in (
        (b"SPKG", "one: expected an SP package (got 4 bytes)"),
        (b"\x7fELF" + Package(1).data[4:], "one: expected the magic number SPKG"),
        (Package(1, {"xlat-granule": (2,)}).data, "one: manifest: /: xlat-granule: expected 0 (4K) (got 2)"),
    ):
        parts = {TB_FW_CONFIG: pack_fw_config([SpEntry("one", Package(1).uuid, BASES[0])]), Package(1).uuid: data}
        assert refusal(fip(parts=parts)).startswith(problem)


RW_BASE = cells(0x0E60_0000)


@pytest.mark.parametrize(
    ("sps", "problem"),
    [
        (
            [Package(1), Package(2, {"id": (0x8001,)})],
            "sp2: expected a partition id that no other has (0x8001 is sp1's)",
        ),
        ([Package(1, {"id": (0x8000,)})], "sp1: expected a partition id from 0x8001 to 0xfffe (got 0x8000)"),
        ([Package(1, {"id": (0xFFFF,)})], "sp1: expected a partition id from 0x8001 to 0xfffe (got 0xffff)"),
        (
            [Package(1), Package(2, {"load-address": cells(BASES[0] + 0x4000)})],
            "sp2: expected secure RAM apart from sp1, 0xe300000 to 0xe305000 (got 0xe304000 to 0xe309000)",
        ),
        (
            [Package(1, {"load-address": cells(0x0E2F_F000)})],
            "sp1: expected secure RAM apart from the SPMC, 0xe100000 to 0xe300000 (got 0xe2ff000 to 0xe304000)",
        ),
        ([Package(1, {"load-address": cells(0x0E00_0000)})], "sp1: expected secure RAM apart from EL3"),
        (
            [Package(1, {"load-address": cells(0x0E7F_F000)})],
            "sp1: expected secure RAM apart from the SPMC's tables and buffers, 0xe800000 to 0xf000000",
        ),
        (
            [Package(1, {"load-address": cells(0x4000_0000)})],
            "sp1: expected secure RAM, 0xe000000 to 0xf000000 (got 0x40000000 to 0x40005000)",
        ),
        ([Package(1, {"load-address": cells(0x0EFF_F000)})], "sp1: expected secure RAM, 0xe000000 to 0xf000000"),
        ([Package(1, {"hvtui,memory-pages": (0x1000,)})], "sp1: expected secure RAM, 0xe000000 to 0xf000000"),
        ([Package(1, {"hvtui,memory-pages": (0x101,)}), Package(2)], "sp2: expected secure RAM apart from sp1"),
        (
            [Package(1, {"entrypoint-offset": (0x5000,)})],
            "sp1: expected its entry point from 0xe300000 to 0xe305000 (got 0xe305000)",
        ),
        (
            [Package(1, nodes=(memory(base_address=cells(BASES[1])),)), Package(2)],
            "sp2: expected secure RAM apart from sp1: /m, 0xe400000 to 0xe401000",
        ),
        (
            [Package(1, nodes=(memory(base_address=RW_BASE),)), Package(2, nodes=(memory(base_address=RW_BASE),))],
            "sp2: /m: expected secure RAM apart from sp1: /m",
        ),
        (
            [Package(1, nodes=(memory(load_address_relative_offset=cells(0x50_0000)),))],
            "sp1: /m: expected secure RAM apart from the SPMC's tables and buffers",
        ),
        ([Package(1, nodes=(memory(base_address=cells(0x4000_0000)),))], "sp1: /m: expected secure RAM, "),
        (
            [Package(1, nodes=(memory(base_address=RW_BASE, attributes=(11,)),))],
            "sp1: /m: expected Non-secure RAM, 0x40000000 to 0x140000000 (got 0xe600000 to 0xe601000)",
        ),
        (
            [Package(1, nodes=(device(0x0900_0000, 29),)), Package(2, nodes=(device(0x0900_0000, 30, 29),))],
            "sp2: expected interrupts that no other partition has (29 is sp1's)",
        ),
        (
            [Package(1, nodes=(device(0x0A10_0000, pages=2),)), Package(2, nodes=(device(0x0A10_1000),))],
            "sp2: /d: expected a device apart from sp1: /d, 0xa100000 to 0xa102000 (got 0xa101000 to 0xa102000)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_partitions_that_do_not_go_together(sps: list[Package], problem: str) -> None:
    assert refusal(fip(*sps)).startswith(problem)


def test_what_does_go_together() -> None:
    """Next to each other, regions inside the partition's own RAM, the same Non-secure memory, the PL011 of each."""
    own: dict[str, Value] = {"hvtui,memory-pages": (0x100,), "load-address": cells(BASES[0])}
    shared = {"base_address": cells(0x4000_0000), "attributes": (11,)}
    inside = node("m2", {"load-address-relative-offset": (0x8_0000,), "pages-count": (1,), "attributes": (3,)})
    first = memory(**shared)
    first.append(inside)
    sps = Package(1, own, (first, device())), Package(2, nodes=(memory(**shared), device()))
    assert [sp.end for sp in boot(*sps).packages] == [BASES[1], BASES[1] + 0x5000]


def test_the_spmc_may_lie_elsewhere() -> None:
    core = CoreManifest(load_address=0x0E60_0000, entry=0x0E60_0000)
    parts = {TOS_FW_CONFIG: pack_core_manifest(core)}
    assert boot(Package(1, {"load-address": cells(0x0E10_0000)}), parts=parts).core.load_address == 0x0E60_0000
    text = refusal(fip(Package(1, {"load-address": cells(0x0E60_0000)}), parts=parts))
    assert text.startswith("sp1: expected secure RAM apart from the SPMC, 0xe600000 to 0xe800000")


@pytest.mark.parametrize("load", [0x0E0F_F000, 0x0E60_1000, 0x0D00_0000])
def test_an_spmc_where_it_cannot_be(load: int) -> None:
    parts = {TOS_FW_CONFIG: pack_core_manifest(CoreManifest(load_address=load, entry=load))}
    assert refusal(fip(parts=parts)).startswith("TOS_FW_CONFIG: expected secure RAM")


def test_a_partition_newer_than_the_spmc() -> None:
    parts = {TOS_FW_CONFIG: pack_core_manifest(CoreManifest(version=V1_1))}
    assert boot(Package(1, {"ffa-version": (0x1_0001,)}), parts=parts).core.version == V1_1
    assert refusal(fip(Package(1), parts=parts)) == "sp1: expected at most FF-A 1.1, as the SPMC (got 1.2)"


def test_more_partitions_than_a_machine_has() -> None:
    entries = [SpEntry(f"sp{number}", UUID(int=number), number << 12) for number in range(1, 10)]
    assert refusal(with_config(*entries)) == "TB_FW_CONFIG: expected at most 8 partitions (got 9)"


# --- composing, and files -----------------------------------------------------------------------------


def test_a_second_uuid_is_the_key_where_the_first_is_taken() -> None:
    both = Package(2, {"uuid": (*Package(1).words, *Package(2).words)})
    parts = read_parts(parse(compose([Source("a", Package(1).data, None), Source("b", both.data, None)], {})))
    assert [sp.name for sp in parts.packages] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (Source("b", b"", None), "b: expected an SP package (got 0 bytes)"),
        (
            Source("b", Package(2, {"load-address": ()}).data, None),
            "b: expected a load address, here or in its manifest",
        ),
        (Source("b", Package(2).data, 0x0E40_0001), "b: expected a page address of 48 bits (got 0xe400001)"),
        (Source("b", Package(2).data, -0x1000), "b: expected a page address of 48 bits (got -0x1000)"),
        (Source("b", Package(2).data, 1 << 90), "b: expected a page address of 48 bits"),
        (Source("b", Package(1).data, BASES[1]), f"b: expected a UUID that no other part has (got {Package(1).uuid})"),
    ],
)
def test_what_cannot_be_composed(source: Source, problem: str) -> None:
    with pytest.raises(ComposeError) as caught:
        compose([Source("a", Package(1).data, None), source], {})
    assert str(caught.value).startswith(problem)


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "m.fip"
    file.write_bytes(fip_bytes(Package(1)))
    assert [sp.name for sp in load_parts(file, ("one",)).packages] == ["one"]
    file.write_bytes(b"FIP")
    with pytest.raises(ImageError, match=r"m\.fip: expected a FIP \(got 3 bytes\)"):
        load_parts(file)
    with pytest.raises(ImageError, match=r"gone\.fip: expected a readable file"):
        load_parts(tmp_path / "gone.fip")


@settings(max_examples=200)
@given(damaged(fip_bytes(Package(1), Package(2, nodes=(memory(base_address=RW_BASE), device())), parts={BL33: b"x"})))
def test_any_bytes_can_be_booted_from_or_are_one_line(data: bytes) -> None:
    try:
        parts = read_parts(parse(data))
    except MachineError as error:
        assert str(error).isprintable()
        return
    spans = sorted((sp.address, sp.end) for sp in parts.packages)
    assert all(0x0E10_0000 <= start < end <= 0x0E80_0000 for start, end in spans)
    assert len({sp.id for sp in parts.packages}) == len(parts.packages)
