"""virtio devices and networks in a machine file: as they are written, and as they will be built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.board.memory_map import VIRTIO_SLOTS
from engine.file_types import HostPort, MacAddress, Name, PathText, Serial, Size

SECTOR = 512
_LARGEST_DISK = 64 << 30
_FIRST_CID = 3
"""0 to 2 are a hypervisor's, local, and the host's (virtio 1.2, 5.10.4)."""
_NS_PER_US, _NS_PER_S = 1_000, 1_000_000_000

Refuse = Callable[[str, str, str], Exception]
"""Makes the error for a key: what was expected, and what was there."""


class DiskSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[vm.disk]]: a virtio block device, backed by an image file or by memory."""

    image: PathText | None = None
    """Raw image; without one the disk is `size` bytes of memory."""
    size: Size | None = None
    """Of a disk in memory: bytes, or text like "64M"."""
    overlay: bool = True
    """Writes go to memory and are gone with the machine; without, they go to the image."""
    read_only: bool = False
    """The guest is told that it cannot write."""
    serial: Serial | None = None
    """What GET_ID answers."""


class NicSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[vm.nic]]: a virtio network device."""

    mac: MacAddress | None = None
    """52:54:00:00:00:0n for the first NIC of the n-th VM if left out."""
    network: Name = "lan"
    """Switch that it is plugged into."""


class VsockSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[vm.vsock]: a virtio socket device, for streams between VMs."""

    cid: Annotated[int, Meta(ge=_FIRST_CID, le=0xFFFF_FFFE)] | None = None
    """Context id; 2 + n for the n-th VM if left out."""


class NetworkSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[network]]: an Ethernet switch. One that a NIC names need not be described."""

    name: Name
    delay_us: Annotated[float, Meta(ge=0, le=1e6)] = 0
    """Virtual microseconds that each frame takes."""
    loss_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Frames lost of a million; which ones depends on the machine's seed alone."""
    mac_table: Annotated[int, Meta(ge=1, le=65536)] = 1024
    """Addresses that it learns before it forgets the oldest."""
    ageing_s: Annotated[float, Meta(ge=0.001, le=1e6)] = 300
    """Virtual seconds after which it forgets an address that it did not see again."""
    host: HostPort | None = None
    """A port to the host: "tap:NAME", or "unix:PATH" of a datagram socket."""


class DiskConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One disk."""

    image: Path | None
    size: int
    """Bytes of a disk in memory; 0 with an image."""
    overlay: bool
    read_only: bool
    serial: str


class NicConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One network device."""

    mac: bytes
    network: str


class VirtioConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the virtio-mmio slots of a VM, in this order."""

    disks: tuple[DiskConfig, ...] = ()
    nics: tuple[NicConfig, ...] = ()
    console: bool = False
    rng: bool = False
    cid: int | None = None
    """Context id of its socket device; None without one."""

    @property
    def slots(self) -> int:
        """Number of devices."""
        return len(self.disks) + len(self.nics) + self.console + self.rng + (self.cid is not None)


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One switch."""

    name: str
    delay_ns: int = 0
    loss_ppm: int = 0
    mac_table: int = 1024
    ageing_ns: int = 300 * _NS_PER_S
    host: str | None = None


class VirtioResolver:
    """Resolves the virtio keys of VMs, one after the other: some defaults depend on those before."""

    def __init__(self, refuse: Refuse, path: Callable[[str, str], Path], size: Callable[[str, int | str], int]) -> None:
        self._refuse = refuse
        self._path = path
        self._size = size
        self._macs: set[tuple[str, bytes]] = set()
        self._cids: set[int] = set()

    def vm(
        self,
        key: str,
        number: int,
        disks: Sequence[DiskSection],
        nics: Sequence[NicSection],
        vsock: VsockSection | None,
        *,
        console: bool,
        rng: bool,
    ) -> VirtioConfig:
        """The devices of VM `number`, counted from 1."""
        made = VirtioConfig(
            disks=tuple(self._disk(f"{key}.disk[{n}]", each) for n, each in enumerate(disks)),
            nics=tuple(self._nic(f"{key}.nic[{n}]", each, number, n) for n, each in enumerate(nics)),
            console=console,
            rng=rng,
            cid=None if vsock is None else self._cid(f"{key}.vsock.cid", vsock, number),
        )
        if made.slots > VIRTIO_SLOTS:
            raise self._refuse(key, f"at most {VIRTIO_SLOTS} virtio devices", str(made.slots))
        return made

    def _disk(self, key: str, section: DiskSection) -> DiskConfig:
        if (section.image is None) is (section.size is None):
            raise self._refuse(key, "either an image or a size", "neither" if section.size is None else "both")
        size = 0
        if section.size is not None:
            size = self._size(f"{key}.size", section.size)
            if not SECTOR <= size <= _LARGEST_DISK or size % SECTOR:
                expected = f"a multiple of {SECTOR} bytes, at most {_LARGEST_DISK >> 30}G"
                raise self._refuse(f"{key}.size", expected, repr(section.size))
        return DiskConfig(
            image=None if section.image is None else self._path(f"{key}.image", section.image),
            size=size,
            overlay=section.overlay,
            read_only=section.read_only,
            serial=section.serial if section.serial is not None else "hvtui-disk",
        )

    def _nic(self, key: str, section: NicSection, number: int, nic: int) -> NicConfig:
        text = section.mac or f"52:54:00:00:{nic:02x}:{number:02x}"
        mac = bytes.fromhex(text.replace(":", ""))
        if mac[0] & 1 or not any(mac):
            raise self._refuse(f"{key}.mac", "the address of a single station", text)
        if (section.network, mac) in self._macs:
            raise self._refuse(f"{key}.mac", f"an address that nobody else has in {section.network}", text)
        self._macs.add((section.network, mac))
        return NicConfig(mac=mac, network=section.network)

    def _cid(self, key: str, section: VsockSection, number: int) -> int:
        cid = section.cid if section.cid is not None else _FIRST_CID - 1 + number
        if cid in self._cids:
            raise self._refuse(key, "a context id that no other VM has", str(cid))
        self._cids.add(cid)
        return cid

    def networks(self, sections: Sequence[NetworkSection]) -> tuple[NetworkConfig, ...]:
        """The switches that are described, and those that NICs name besides."""
        found: dict[str, NetworkConfig] = {}
        for index, section in enumerate(sections):
            if section.name in found:
                raise self._refuse(f"network[{index}].name", "a name no other network has", repr(section.name))
            found[section.name] = NetworkConfig(
                name=section.name,
                delay_ns=int(section.delay_us * _NS_PER_US),
                loss_ppm=section.loss_ppm,
                mac_table=section.mac_table,
                ageing_ns=int(section.ageing_s * _NS_PER_S),
                host=section.host,
            )
        for name, _ in sorted(self._macs):
            found.setdefault(name, NetworkConfig(name=name))
        return tuple(found.values())
