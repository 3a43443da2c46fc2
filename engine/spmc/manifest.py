"""Partition manifests: the `arm,ffa-manifest-1.0` binding of TF-A and Hafnium (DEN0077A v1.2, 5.2)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from engine.errors import MachineError
from engine.ffa.abi import PAGE_SIZE, is_secure
from engine.ffa.partition_info import uuid_from_words
from engine.ffa.version import V1_2, Version, parse_version
from engine.images.properties import Properties
from engine.spmc.regions import (
    MOST_PAGES,
    Attribute,
    DeviceRegionSpec,
    MemoryRegionSpec,
    RxTx,
    device_regions,
    memory_regions,
    page_address,
    rx_tx_buffers,
)

__all__ = [
    "COMPATIBLE",
    "Attribute",
    "DeviceRegionSpec",
    "ExceptionLevel",
    "Manifest",
    "ManifestError",
    "MemoryRegionSpec",
    "Messaging",
    "NsAction",
    "OtherAction",
    "PowerMessage",
    "RxTx",
    "VmMessage",
    "parse_manifest",
]

COMPATIBLE = "arm,ffa-manifest-1.0"
_BOOT_INFO = "arm,ffa-manifest-boot-info"
_LAST_BOOT = 0xFFFF
_MOST_CONTEXTS = _MOST_UUIDS = 8


class ManifestError(MachineError):
    """A manifest that cannot be used; the text names node and property, and says what was expected."""


class ExceptionLevel(enum.IntEnum):
    """Where a partition runs, with the numbers of the binding."""

    S_EL0 = 1
    S_EL1 = 2


class Messaging(enum.IntFlag):
    """messaging-method."""

    RECEIVE_DIRECT = 1 << 0
    SEND_DIRECT = 1 << 1
    INDIRECT = 1 << 2
    RECEIVE_DIRECT2 = 1 << 9
    SEND_DIRECT2 = 1 << 10


class NsAction(enum.IntEnum):
    """ns-interrupts-action, the least permissive first."""

    QUEUED = 0
    MANAGED_EXIT = 1
    SIGNALED = 2


class OtherAction(enum.IntEnum):
    """other-s-interrupts-action."""

    QUEUED = 0
    SIGNALED = 1


class PowerMessage(enum.IntFlag):
    """power-management-messages."""

    CPU_OFF = 1 << 0
    SUSPEND = 1 << 1
    RESUME = 1 << 2


class VmMessage(enum.IntFlag):
    """vm-availability-messages."""

    CREATED = 1 << 0
    DESTROYED = 1 << 1


_NO_MESSAGES, _NO_POWER, _NO_VMS = Messaging(0), PowerMessage(0), VmMessage(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a partition asks of the SPMC."""

    version: Version
    uuids: tuple[UUID, ...]
    id: int | None = None
    description: str = ""
    contexts: int = 1
    level: ExceptionLevel = ExceptionLevel.S_EL1
    load_address: int | None = None
    entry_offset: int = 0
    """From the start of the package; 0: where its image begins."""
    memory_size: int = 0
    """Bytes of RAM it wants from its load address on, 0 for just enough."""
    boot_order: int = _LAST_BOOT
    messaging: Messaging = _NO_MESSAGES
    rx_tx: RxTx | None = None
    notifications: bool = False
    managed_exit: bool = False
    managed_exit_virq: bool = False
    ns_action: NsAction = NsAction.SIGNALED
    other_s_action: OtherAction = OtherAction.SIGNALED
    gp_register: int | None = None
    power_messages: PowerMessage = _NO_POWER
    vm_messages: VmMessage = _NO_VMS
    boot_info: tuple[str, ...] = ()
    memory: tuple[MemoryRegionSpec, ...] = ()
    devices: tuple[DeviceRegionSpec, ...] = ()

    @property
    def interrupts(self) -> tuple[int, ...]:
        """INTIDs of its devices."""
        return tuple(intid for device in self.devices for intid, _ in device.interrupts)


def parse_manifest(data: bytes) -> Manifest:
    """A manifest from its DTB. Raises ManifestError."""
    manifest = _manifest(Properties.root(data, _error))
    _check(manifest)
    return manifest


def _error(text: str) -> ManifestError:
    return ManifestError(f"manifest: {text}")


def _manifest(root: Properties) -> Manifest:
    root.compatible(COMPATIBLE)
    version = parse_version(root.number("ffa-version"))
    if version is None or not V1_2.serves(version):
        root.refuse("ffa-version", f"1.0 to {V1_2}", f"{root.number('ffa-version'):#x}")
    _only(root, "execution-state", 0, "0 (AArch64)")
    _only(root, "xlat-granule", 0, "0 (4K)")
    memory = memory_regions(root)
    managed = root.has("managed-exit")
    ns_action = root.choice("ns-interrupts-action", NsAction, NsAction.MANAGED_EXIT if managed else NsAction.SIGNALED)
    return Manifest(
        version=version,
        uuids=_uuids(root),
        id=root.optional("id", 0xFFFF),
        description=root.text("description"),
        contexts=root.word("execution-ctx-count", 1, _MOST_CONTEXTS),
        level=root.choice("exception-level", ExceptionLevel, ExceptionLevel.S_EL1),
        load_address=_load_address(root),
        entry_offset=root.word("entrypoint-offset", 0),
        memory_size=root.word("hvtui,memory-pages", 0, MOST_PAGES) * PAGE_SIZE,
        boot_order=root.word("boot-order", _LAST_BOOT, _LAST_BOOT),
        messaging=root.flags("messaging-method", Messaging),
        rx_tx=rx_tx_buffers(root, memory),
        notifications=root.has("notification-support"),
        managed_exit=managed or ns_action is NsAction.MANAGED_EXIT,
        managed_exit_virq=root.has("managed-exit-virq"),
        ns_action=ns_action,
        other_s_action=root.choice("other-s-interrupts-action", OtherAction, OtherAction.SIGNALED),
        gp_register=root.optional("gp-register-num", 3),
        power_messages=root.flags("power-management-messages", PowerMessage),
        vm_messages=root.flags("vm-availability-messages", VmMessage),
        boot_info=_boot_info(root),
        memory=memory,
        devices=device_regions(root),
    )


def _only(root: Properties, key: str, value: int, text: str) -> None:
    if root.word(key, value) != value:
        root.refuse(key, text, root.number(key))


def _uuids(root: Properties) -> tuple[UUID, ...]:
    words = root.words("uuid")
    if len(words) % 4 or len(words) > 4 * _MOST_UUIDS:
        root.refuse("uuid", f"four cells for each of at most {_MOST_UUIDS} UUIDs", f"{len(words)} cells")
    found = tuple(uuid_from_words(words[at : at + 4]) for at in range(0, len(words), 4))
    if not all(uuid.int for uuid in found) or len(set(found)) != len(found):
        root.refuse("uuid", "UUIDs that differ, and are not zero", ", ".join(map(str, found)))
    return found


def _load_address(root: Properties) -> int | None:
    """`entrypoint` is what older manifests have besides or in its place: an address, not an offset."""
    key = "load-address" if root.has("load-address") else "entrypoint"
    return page_address(root, key) if root.has(key) else None


def _boot_info(root: Properties) -> tuple[str, ...]:
    info = root.child(_BOOT_INFO)
    return () if info is None else tuple(name for name in info.names if name != "compatible")


def _check(manifest: Manifest) -> None:
    """Rules between properties (Hafnium's, where the binding has none)."""

    def rule(holds: bool, text: str) -> None:
        if not holds:
            raise _error(text)

    newer = Messaging.RECEIVE_DIRECT2 | Messaging.SEND_DIRECT2
    user = manifest.level is ExceptionLevel.S_EL0
    queued = manifest.other_s_action is OtherAction.QUEUED
    rule(manifest.id is None or is_secure(manifest.id), f"/: id: expected bit 15 set (got {manifest.id or 0:#x})")
    rule(not manifest.messaging & newer or manifest.version >= V1_2, "/: messaging-method: REQ2 needs ffa-version 1.2")
    rule(manifest.contexts > 0, f"/: execution-ctx-count: expected 1 to {_MOST_CONTEXTS} (got 0)")
    rule(not user or manifest.contexts == 1, "/: execution-ctx-count: a partition at S-EL0 has one context")
    rule(
        not manifest.entry_offset % PAGE_SIZE,
        f"/: entrypoint-offset: expected a page boundary (got {manifest.entry_offset:#x})",
    )
    rule(not manifest.managed_exit or not user, "/: managed-exit: not for partitions at S-EL0")
    rule(
        not queued or manifest.ns_action is NsAction.QUEUED,
        "/: other-s-interrupts-action: queued needs ns-interrupts-action queued",
    )
    for region in manifest.memory:
        both = Attribute.WRITE | Attribute.EXECUTE
        rule(not user or region.attributes & both != both, f"/{region.name}: attributes: W or X at S-EL0, not both")
    owned = sorted(manifest.interrupts)
    rule(all(one != next_ for one, next_ in pairwise(owned)), "/: interrupts: an INTID is named twice")
