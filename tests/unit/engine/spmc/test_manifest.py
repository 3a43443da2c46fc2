"""Partition manifests: every property, the rules between them, and hostile trees."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from pyfdt.pyfdt import FdtNode

from engine.ffa.version import V1_0, V1_1, V1_2
from engine.images.dtb import Value, cells, node
from engine.spmc.manifest import (
    ExceptionLevel,
    Manifest,
    ManifestError,
    Messaging,
    NsAction,
    OtherAction,
    PowerMessage,
    VmMessage,
    parse_manifest,
)
from engine.spmc.regions import Attribute, DeviceRegionSpec, MemoryRegionSpec
from tests.support.fuzz import damaged
from tests.support.trees import manifest, regions, tree

RW = int(Attribute.READ | Attribute.WRITE)
BUFFERS = (
    regions(
        "memory",
        node("rx", {"phandle": (1,), "base-address": cells(0x0E60_0000), "pages-count": (2,), "attributes": (1,)}),
        node(
            "tx", {"phandle": (2,), "load-address-relative-offset": (0x2000,), "pages-count": (2,), "attributes": (RW,)}
        ),
        node("odd", {"phandle": (3,), "base-address": cells(0x0E70_0000), "pages-count": (1,), "attributes": (RW,)}),
    ),
)
FULL = manifest(
    {
        "id": (0x8001,),
        "description": "full",
        "execution-ctx-count": (4,),
        "exception-level": (2,),
        "load-address": cells(0x0E30_0000),
        "entrypoint-offset": cells(0x4000),
        "hvtui,memory-pages": (256,),
        "boot-order": (3,),
        "messaging-method": (0x607,),
        "notification-support": None,
        "managed-exit-virq": None,
        "ns-interrupts-action": (0,),
        "other-s-interrupts-action": (0,),
        "gp-register-num": (1,),
        "power-management-messages": (5,),
        "vm-availability-messages": (3,),
    },
    node("boot", {"compatible": "arm,ffa-manifest-boot-info", "ffa_manifest": None, "hob_list": None}),
    node("buffers", {"compatible": "arm,ffa-manifest-rx_tx-buffer", "rx-buffer": (1,), "tx-buffer": (2,)}),
    *BUFFERS,
    regions(
        "device",
        node(
            "uart",
            {"base-address": cells(0x0900_0000), "pages-count": (1,), "attributes": (RW,), "interrupts": (29, 0x700)},
        ),
    ),
)


def parsed(properties: dict[str, Value] | None = None, *nodes: FdtNode) -> Manifest:
    return parse_manifest(manifest(properties, *nodes))


def test_every_property() -> None:
    found = parse_manifest(FULL)
    rx = MemoryRegionSpec("rx", 0x0E60_0000, None, 2, Attribute.READ, 1)
    tx = MemoryRegionSpec("tx", None, 0x2000, 2, Attribute.READ | Attribute.WRITE, 2)
    assert found.rx_tx is not None
    assert (found.rx_tx.rx, found.rx_tx.tx) == (rx, tx)
    assert (found.id, found.description, found.contexts, found.level) == (0x8001, "full", 4, ExceptionLevel.S_EL1)
    assert (found.load_address, found.entry_offset, found.memory_size) == (0x0E30_0000, 0x4000, 0x10_0000)
    assert (found.boot_order, found.gp_register, found.boot_info) == (3, 1, ("ffa_manifest", "hob_list"))
    assert found.messaging == Messaging(0x607)
    assert (found.notifications, found.managed_exit, found.managed_exit_virq) == (True, False, True)
    assert (found.ns_action, found.other_s_action) == (NsAction.QUEUED, OtherAction.QUEUED)
    assert found.power_messages == PowerMessage.CPU_OFF | PowerMessage.RESUME
    assert found.vm_messages == VmMessage.CREATED | VmMessage.DESTROYED
    assert found.memory[:2] == (rx, tx)
    assert found.devices == (DeviceRegionSpec("uart", 0x0900_0000, 1, Attribute(RW), ((29, 0x700),)),)
    assert found.interrupts == (29,)


def test_defaults() -> None:
    uuid = UUID(bytes=bytes.fromhex("78563412" * 4))
    assert parsed() == Manifest(version=V1_2, uuids=(uuid,))
    assert parsed().boot_order == 0xFFFF
    assert (parsed().ns_action, parsed().other_s_action) == (NsAction.SIGNALED, OtherAction.SIGNALED)


def test_byte_0_of_a_uuid_is_the_lowest_of_its_first_word() -> None:
    """As the TF-A documentation writes it: 0x1e67b5b4 0xe14f904a 0x13fb1fb8 0xcbdae1da is b4b5671e-4a90-..."""
    words = (0x1E67_B5B4, 0xE14F_904A, 0x13FB_1FB8, 0xCBDA_E1DA)
    assert parsed({"uuid": (*words, 1, 0, 0, 0)}).uuids == (
        UUID("b4b5671e-4a90-4fe1-b81f-fb13dae1dacb"),
        UUID("01000000-0000-0000-0000-000000000000"),
    )


@pytest.mark.parametrize(("word", "version"), [(0x1_0000, V1_0), (0x1_0001, V1_1), (0x1_0002, V1_2)])
def test_versions(word: int, version: object) -> None:
    assert parsed({"ffa-version": (word,)}).version == version


def test_load_address_and_the_older_entrypoint() -> None:
    assert parsed({"load-address": (0x0E30_0000,)}).load_address == 0x0E30_0000
    assert parsed({"entrypoint": cells(0x0E40_0000)}).load_address == 0x0E40_0000
    both = {"load-address": cells(0x0E30_0000), "entrypoint": cells(0x0E40_0000)}
    assert parsed({**both}).load_address == 0x0E30_0000


@pytest.mark.parametrize(
    ("properties", "managed", "action"),
    [
        ({"managed-exit": None}, True, NsAction.MANAGED_EXIT),
        ({"ns-interrupts-action": (1,)}, True, NsAction.MANAGED_EXIT),
        ({"ns-interrupts-action": (2,)}, False, NsAction.SIGNALED),
        ({"managed-exit": None, "ns-interrupts-action": (0,)}, True, NsAction.QUEUED),
    ],
)
def test_managed_exit(properties: dict[str, Value], managed: bool, action: NsAction) -> None:
    found = parsed(properties)
    assert (found.managed_exit, found.ns_action) == (managed, action)


def test_a_partition_at_s_el0() -> None:
    assert parsed({"exception-level": (1,)}).level is ExceptionLevel.S_EL0


def memory(**properties: Value) -> FdtNode:
    usual: dict[str, Value] = {"base_address": cells(0x0E60_0000), "pages_count": (1,), "attributes": (RW,)}
    merged = {key.replace("_", "-"): value for key, value in (usual | properties).items()}
    return regions("memory", node("m", {key: value for key, value in merged.items() if value != ()}))


def device(**properties: Value) -> FdtNode:
    usual: dict[str, Value] = {"base_address": cells(0x0900_0000), "pages_count": (1,), "attributes": (RW,)}
    merged = {key.replace("_", "-"): value for key, value in (usual | properties).items()}
    return regions("device", node("d", {key: value for key, value in merged.items() if value != ()}))


def buffers(rx: int, tx: int) -> tuple[FdtNode, ...]:
    return (node("b", {"compatible": "arm,ffa-manifest-rx_tx-buffer", "rx-buffer": (rx,), "tx-buffer": (tx,)}),)


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        (
            {"compatible": "arm,ffa-manifest-2.0"},
            "compatible: expected arm,ffa-manifest-1.0 (got arm,ffa-manifest-2.0)",
        ),
        ({"compatible": ()}, "compatible: expected arm,ffa-manifest-1.0 (got none)"),
        ({"ffa-version": ()}, "ffa-version: expected 32-bit cells (got none)"),
        ({"ffa-version": (0x1_0003,)}, "ffa-version: expected 1.0 to 1.2 (got 0x10003)"),
        ({"ffa-version": (0x8001_0000,)}, "ffa-version: expected 1.0 to 1.2 (got 0x80010000)"),
        ({"uuid": ()}, "uuid: expected 32-bit cells (got none)"),
        ({"uuid": (1, 2, 3)}, "uuid: expected four cells for each of at most 8 UUIDs (got 3 cells)"),
        ({"uuid": (1,) * 36}, "uuid: expected four cells for each of at most 8 UUIDs (got 36 cells)"),
        ({"uuid": (0,) * 4}, "uuid: expected UUIDs that differ, and are not zero"),
        ({"uuid": (1,) * 8}, "uuid: expected UUIDs that differ, and are not zero"),
        ({"id": (1,)}, "id: expected bit 15 set (got 0x1)"),
        ({"id": (0x1_0000,)}, "id: expected at most 0xffff (got 0x10000)"),
        ({"execution-ctx-count": (0,)}, "execution-ctx-count: expected 1 to 8 (got 0)"),
        ({"execution-ctx-count": (9,)}, "execution-ctx-count: expected at most 0x8 (got 0x9)"),
        ({"exception-level": (0,)}, "exception-level: expected one of 1 (S_EL0), 2 (S_EL1) (got 0)"),
        ({"execution-state": (1,)}, "execution-state: expected 0 (AArch64) (got 1)"),
        ({"xlat-granule": (1,)}, "xlat-granule: expected 0 (4K) (got 1)"),
        ({"load-address": cells(0x0E30_0001)}, "load-address: expected a page address of 48 bits (got 0xe300001)"),
        ({"load-address": cells(1 << 48)}, "load-address: expected a page address of 48 bits"),
        ({"entrypoint-offset": (0x4004,)}, "entrypoint-offset: expected a page boundary (got 0x4004)"),
        ({"entrypoint-offset": cells(1 << 32)}, "entrypoint-offset: expected at most 0xffffffff (got 0x100000000)"),
        ({"hvtui,memory-pages": (1 << 17,)}, "hvtui,memory-pages: expected at most 0x10000 (got 0x20000)"),
        ({"boot-order": (0x1_0000,)}, "boot-order: expected at most 0xffff (got 0x10000)"),
        ({"messaging-method": (8,)}, "messaging-method: expected bits of 0x607 (got 0x8)"),
        ({"messaging-method": (0x200,), "ffa-version": (0x1_0001,)}, "messaging-method: REQ2 needs ffa-version 1.2"),
        ({"ns-interrupts-action": (3,)}, "ns-interrupts-action: expected one of 0 (QUEUED), 1 (MANAGED_EXIT)"),
        ({"other-s-interrupts-action": (0,)}, "other-s-interrupts-action: queued needs ns-interrupts-action queued"),
        ({"gp-register-num": (4,)}, "gp-register-num: expected at most 0x3 (got 0x4)"),
        ({"exception-level": (1,), "execution-ctx-count": (2,)}, "a partition at S-EL0 has one context"),
        ({"exception-level": (1,), "managed-exit": None}, "managed-exit: not for partitions at S-EL0"),
        ({"exception-level": (1,), "ns-interrupts-action": (1,)}, "managed-exit: not for partitions at S-EL0"),
    ],
)
def test_refused_properties(properties: dict[str, Value], problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parsed(properties)
    assert str(caught.value).startswith("manifest: /: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ([memory(base_address=())], "/memory-regions/m: base-address: expected it or load-address-relative-offset"),
        (
            [memory(load_address_relative_offset=(0,))],
            "base-address: expected it or load-address-relative-offset (got b",
        ),
        ([memory(base_address=(1,))], "base-address: expected a page address of 48 bits (got 0x1)"),
        ([memory(pages_count=(0,))], "pages-count: expected 1 to 65536 (got 0)"),
        ([memory(pages_count=())], "pages-count: expected 32-bit cells (got none)"),
        ([memory(pages_count=(0x1_0001,))], "pages-count: expected at most 0x10000 (got 0x10001)"),
        ([memory(attributes=())], "attributes: expected READ (bit 0) at least (got 0x0)"),
        ([memory(attributes=(6,))], "attributes: expected READ (bit 0) at least (got 0x6)"),
        ([memory(attributes=(16,))], "attributes: expected bits of 0xf (got 0x10)"),
        ([device(base_address=())], "/device-regions/d: base-address: expected 32-bit cells (got none)"),
        ([device(attributes=(5,))], "attributes: expected a device that is not executable (got 0x5)"),
        ([device(interrupts=(29,))], "interrupts: expected pairs of INTID and attributes (got 1 cells)"),
        ([device(interrupts=(15, 0x700))], "interrupts: expected INTIDs from 16 to 1019 (got 15)"),
        ([device(interrupts=(1020, 0x700))], "interrupts: expected INTIDs from 16 to 1019 (got 1020)"),
        ([device(interrupts=(29, 0x600))], "interrupts: expected secure interrupts (bit 8 of the attributes of 29)"),
        ([device(interrupts=(29, 0x700, 29, 0x700))], "interrupts: an INTID is named twice"),
        ([*BUFFERS, *buffers(1, 9)], "/b: tx-buffer: expected the phandle of a memory region (got 9)"),
        ([*BUFFERS, *buffers(1, 1)], "/b: tx-buffer: expected another region than the RX buffer, of the same size"),
        ([*BUFFERS, *buffers(1, 3)], "/b: tx-buffer: expected another region than the RX buffer, of the same size"),
        ([node("b", {"compatible": "arm,ffa-manifest-rx_tx-buffer"})], "/b: rx-buffer: expected 32-bit cells"),
    ],
)
def test_refused_nodes(nodes: list[FdtNode], problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parsed({}, *nodes)
    assert problem in str(caught.value)


@pytest.mark.parametrize("kind", ["memory", "device"])
def test_regions_are_few(kind: str) -> None:
    def many(count: int) -> FdtNode:
        usual: dict[str, Value] = {"base-address": cells(0x0E60_0000), "pages-count": (1,), "attributes": (RW,)}
        return regions(kind, *(node(f"r{number}", usual) for number in range(count)))

    parsed({}, many(32))
    with pytest.raises(ManifestError, match=f"{kind}-regions: expected at most 32 regions"):
        parsed({}, many(33))


def test_user_memory_is_not_writable_and_executable() -> None:
    parsed({}, memory(attributes=(7,)))
    parsed({"exception-level": (1,)}, memory(attributes=(5,)))
    with pytest.raises(ManifestError, match="/m: attributes: W or X at S-EL0, not both"):
        parsed({"exception-level": (1,)}, memory(attributes=(7,)))


def test_what_is_no_tree() -> None:
    with pytest.raises(ManifestError, match="manifest: expected a device tree"):
        parse_manifest(b"")


@given(damaged(FULL, manifest(), tree({})))
def test_any_bytes_are_a_manifest_or_one_line(data: bytes) -> None:
    try:
        found: Any = parse_manifest(data)
    except ManifestError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 600
        return
    assert isinstance(found, Manifest)
    assert 1 <= found.contexts <= 8
    assert all(uuid.int for uuid in found.uuids)
