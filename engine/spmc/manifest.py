"""Partition manifests: the `arm,ffa-manifest-1.0` binding of TF-A and Hafnium (DEN0077A v1.2, 5.2)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from engine.errors import MachineError
from engine.ffa.abi import PAGE_SIZE, is_secure
from engine.ffa.partition_info import uuid_from_words
from engine.ffa.version import V1_0, V1_2, Version, parse_version
from engine.images.dtb import DtbError, Node, parse

COMPATIBLE = "arm,ffa-manifest-1.0"
_REGIONS, _DEVICES = "arm,ffa-manifest-memory-regions", "arm,ffa-manifest-device-regions"
_RX_TX, _BOOT_INFO = "arm,ffa-manifest-rx_tx-buffer", "arm,ffa-manifest-boot-info"
_LAST_BOOT = 0xFFFF
_MOST_PAGES = 1 << 16
_SECURE_BIT = 1 << 8


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


class Attribute(enum.IntFlag):
    """Attributes of memory and device regions."""

    READ = 1 << 0
    WRITE = 1 << 1
    EXECUTE = 1 << 2
    NON_SECURE = 1 << 3


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


@dataclass(frozen=True, slots=True)
class MemoryRegionSpec:
    """Memory that a partition gets besides its image."""

    name: str
    base: int | None
    """Physical address, None where it is relative to the load address."""
    offset: int | None
    pages: int
    attributes: Attribute
    phandle: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceRegionSpec:
    """A device that a partition has for itself."""

    name: str
    base: int
    pages: int
    attributes: Attribute
    interrupts: tuple[tuple[int, int], ...]
    """(INTID, attributes): priority in [7:0], secure in bit 8, level in bit 9, kind in [11:10]."""


@dataclass(frozen=True, slots=True)
class RxTx:
    """Buffers that the manifest places."""

    rx: MemoryRegionSpec
    tx: MemoryRegionSpec


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
    try:
        root = parse(data)
    except DtbError as error:
        raise ManifestError(f"manifest: {error}") from None
    manifest = _manifest(_Properties(root, "/"))
    _check(manifest)
    return manifest


_E = TypeVar("_E", bound=enum.IntEnum)
_F = TypeVar("_F", bound=enum.IntFlag)


class _Properties:
    """Typed access to the properties of one node; every complaint names node and property."""

    def __init__(self, found: Node, path: str) -> None:
        self._node = found
        self._path = path

    def refuse(self, key: str, expected: str, got: object) -> ManifestError:
        return ManifestError(f"manifest: {self._path}: {key}: expected {expected} (got {got})")

    def has(self, key: str) -> bool:
        return key in self._node.properties

    def words(self, key: str) -> tuple[int, ...]:
        value = self._node.properties[key]
        if len(value) % 4 or not value:
            raise self.refuse(key, "32-bit cells", f"{len(value)} bytes")
        return struct.unpack(f">{len(value) // 4}I", value)

    def word(self, key: str, default: int, most: int = 0xFFFF_FFFF) -> int:
        if not self.has(key):
            return default
        number = self.number(key)
        if number > most:
            raise self.refuse(key, f"at most {most:#x}", f"{number:#x}")
        return number

    def number(self, key: str) -> int:
        """One cell, or two that make 64 bits."""
        words = self.words(key)
        if len(words) > 2:
            raise self.refuse(key, "one number", f"{len(words)} cells")
        return words[0] if len(words) == 1 else words[0] << 32 | words[1]

    def text(self, key: str) -> str:
        return self._node.properties.get(key, b"").rstrip(b"\0").decode("ascii", "replace")

    def choice(self, key: str, kind: type[_E], default: _E) -> _E:
        number = self.word(key, default)
        try:
            return kind(number)
        except ValueError:
            names = ", ".join(f"{each.value} ({each.name})" for each in kind)
            raise self.refuse(key, f"one of {names}", number) from None

    def flags(self, key: str, kind: type[_F]) -> _F:
        number = self.word(key, 0)
        known = sum(kind)
        if number & ~known:
            raise self.refuse(key, f"bits of {known:#x}", f"{number:#x}")
        return kind(number)

    def children(self, compatible: str) -> Iterator[_Properties]:
        """The nodes below the child that is of a kind."""
        for name, child in self._node.nodes.items():
            if _Properties(child, name).text("compatible") == compatible:
                for below, each in child.nodes.items():
                    yield _Properties(each, f"/{name}/{below}")

    def child(self, compatible: str) -> _Properties | None:
        """The child that is of a kind."""
        for name, child in self._node.nodes.items():
            found = _Properties(child, f"/{name}")
            if found.text("compatible") == compatible:
                return found
        return None

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._node.properties)


def _manifest(root: _Properties) -> Manifest:
    if root.text("compatible") != COMPATIBLE:
        raise root.refuse("compatible", COMPATIBLE, root.text("compatible") or "none")
    version = parse_version(root.word("ffa-version", V1_0.pack()))
    if version is None or not V1_2.serves(version):
        raise root.refuse("ffa-version", f"1.0 to {V1_2}", f"{root.number('ffa-version'):#x}")
    _only(root, "execution-state", 0, "0 (AArch64)")
    _only(root, "xlat-granule", 0, "0 (4K)")
    memory = tuple(_memory(each) for each in root.children(_REGIONS))
    managed = root.has("managed-exit")
    register = root.word("gp-register-num", 4, 3) if root.has("gp-register-num") else None
    info = root.child(_BOOT_INFO)
    return Manifest(
        version=version,
        uuids=_uuids(root),
        id=root.word("id", 0, 0xFFFF) if root.has("id") else None,
        description=root.text("description"),
        contexts=root.word("execution-ctx-count", 1, 8),
        level=root.choice("exception-level", ExceptionLevel, ExceptionLevel.S_EL1),
        load_address=root.number("load-address") if root.has("load-address") else None,
        entry_offset=root.word("entrypoint-offset", 0),
        memory_size=root.word("hvtui,memory-pages", 0, _MOST_PAGES) * PAGE_SIZE,
        boot_order=root.word("boot-order", _LAST_BOOT, _LAST_BOOT),
        messaging=root.flags("messaging-method", Messaging),
        rx_tx=_rx_tx(root, memory),
        notifications=root.has("notification-support"),
        managed_exit=managed,
        managed_exit_virq=root.has("managed-exit-virq"),
        ns_action=root.choice(
            "ns-interrupts-action", NsAction, NsAction.MANAGED_EXIT if managed else NsAction.SIGNALED
        ),
        other_s_action=root.choice("other-s-interrupts-action", OtherAction, OtherAction.SIGNALED),
        gp_register=register,
        power_messages=root.flags("power-management-messages", PowerMessage),
        vm_messages=root.flags("vm-availability-messages", VmMessage),
        boot_info=tuple(name for name in info.names if name != "compatible") if info is not None else (),
        memory=memory,
        devices=tuple(_device(each) for each in root.children(_DEVICES)),
    )


def _only(root: _Properties, key: str, value: int, text: str) -> None:
    if root.word(key, value) != value:
        raise root.refuse(key, text, root.number(key))


def _uuids(root: _Properties) -> tuple[UUID, ...]:
    if not root.has("uuid"):
        raise root.refuse("uuid", "four cells for each UUID", "none")
    words = root.words("uuid")
    if len(words) % 4:
        raise root.refuse("uuid", "four cells for each UUID", f"{len(words)} cells")
    return tuple(uuid_from_words(words[at : at + 4]) for at in range(0, len(words), 4))


def _pages(region: _Properties) -> int:
    pages = region.word("pages-count", 0)
    if not 0 < pages <= _MOST_PAGES:
        raise region.refuse("pages-count", f"1 to {_MOST_PAGES}", pages)
    return pages


def _page_address(region: _Properties, key: str) -> int:
    address = region.number(key)
    if address % PAGE_SIZE or address >> 48:
        raise region.refuse(key, "a page address of 48 bits", f"{address:#x}")
    return address


def _memory(region: _Properties) -> MemoryRegionSpec:
    relative = region.has("load-address-relative-offset")
    if relative == region.has("base-address"):
        raise region.refuse("base-address", "it or load-address-relative-offset", "both" if relative else "neither")
    return MemoryRegionSpec(
        name=region.name,
        base=None if relative else _page_address(region, "base-address"),
        offset=_page_address(region, "load-address-relative-offset") if relative else None,
        pages=_pages(region),
        attributes=region.flags("attributes", Attribute),
        phandle=region.word("phandle", 0) or None,
    )


def _device(region: _Properties) -> DeviceRegionSpec:
    words = region.words("interrupts") if region.has("interrupts") else ()
    if len(words) % 2:
        raise region.refuse("interrupts", "pairs of INTID and attributes", f"{len(words)} cells")
    pairs = tuple(zip(words[::2], words[1::2], strict=True))
    for intid, attributes in pairs:
        if not 16 <= intid < 1020:
            raise region.refuse("interrupts", "INTIDs from 16 to 1019", intid)
        if not attributes & _SECURE_BIT:
            raise region.refuse("interrupts", f"secure interrupts (bit 8 of the attributes of {intid})", attributes)
    if not region.has("base-address"):
        raise region.refuse("base-address", "an address", "none")
    base, pages, attributes = (
        _page_address(region, "base-address"),
        _pages(region),
        region.flags("attributes", Attribute),
    )
    return DeviceRegionSpec(region.name, base, pages, attributes, pairs)


def _rx_tx(root: _Properties, memory: tuple[MemoryRegionSpec, ...]) -> RxTx | None:
    info = root.child(_RX_TX)
    if info is None:
        return None

    def region(key: str) -> MemoryRegionSpec:
        wanted = info.number(key) if info.has(key) else None
        found = next((each for each in memory if each.phandle == wanted), None)
        if wanted is None or found is None:
            raise info.refuse(key, "the phandle of a memory region", wanted)
        return found

    return RxTx(region("rx-buffer"), region("tx-buffer"))


def _check(manifest: Manifest) -> None:
    """Rules between properties (Hafnium's, where the binding has none)."""

    def rule(holds: bool, text: str) -> None:
        if not holds:
            raise ManifestError(f"manifest: {text}")

    newer = Messaging.RECEIVE_DIRECT2 | Messaging.SEND_DIRECT2
    user = manifest.level is ExceptionLevel.S_EL0
    queued = manifest.other_s_action is OtherAction.QUEUED
    rule(manifest.id is None or is_secure(manifest.id), f"/: id: expected bit 15 set (got {manifest.id or 0:#x})")
    rule(not manifest.messaging & newer or manifest.version >= V1_2, "/: messaging-method: REQ2 needs ffa-version 1.2")
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
        both = region.attributes & Attribute.WRITE and region.attributes & Attribute.EXECUTE
        rule(not (user and both), f"/{region.name}: attributes: not writable and executable at S-EL0")
    owned = manifest.interrupts
    rule(len(set(owned)) == len(owned), "/: interrupts: an INTID is named twice")
