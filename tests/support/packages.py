"""SP packages and FIPs, for tests that run no guest."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from pyfdt.pyfdt import FdtNode

from engine.board.memory_map import UART_BASE
from engine.images.dtb import Value, cells, node
from engine.monitor.compose import Source, compose
from engine.monitor.fip import KNOWN, Fip, parse
from engine.spmc.package import pack_package
from tests.support.trees import manifest, regions

BASES = (0x0E30_0000, 0x0E40_0000, 0x0E50_0000)
"""Where the partitions of `partition` are loaded."""
TB_FW_CONFIG, TOS_FW_CONFIG, BL33 = KNOWN["TB_FW_CONFIG"], KNOWN["TOS_FW_CONFIG"], KNOWN["BL33"]


@dataclass(frozen=True)
class Package:
    """One partition: properties of its manifest beyond the usual ones, and further nodes."""

    number: int = 1
    properties: dict[str, Value] = field(default_factory=dict)
    nodes: tuple[FdtNode, ...] = ()
    image: bytes = b"image"

    @property
    def words(self) -> tuple[int, int, int, int]:
        """The UUID in the manifest: bytes 1, 0, 0, 0x11 and on, so that no order of them is another's."""
        return (0x1100_0000 + self.number, 0x2200_0000, 0x3300_0000, 0x4400_0000)

    @property
    def uuid(self) -> UUID:
        """By which a FIP has it: the lowest byte of each word first."""
        return UUID(f"0{self.number}000011-0000-0022-0000-003300000044")

    @property
    def data(self) -> bytes:
        usual: dict[str, Value] = {
            "uuid": self.words,
            "id": (0x8000 + self.number,),
            "load-address": cells(BASES[self.number - 1]),
            "messaging-method": (3,),
        }
        return pack_package(manifest(usual | self.properties, *self.nodes), self.image)


def memory(**properties: Value) -> FdtNode:
    """A memory region `m`."""
    usual: dict[str, Value] = {"pages-count": (1,), "attributes": (3,)}
    return regions("memory", node("m", usual | {key.replace("_", "-"): value for key, value in properties.items()}))


def device(base: int = UART_BASE, *interrupts: int, pages: int = 1) -> FdtNode:
    """A device region `d`."""
    properties: dict[str, Value] = {"base-address": cells(base), "pages-count": (pages,), "attributes": (3,)}
    if interrupts:
        properties["interrupts"] = tuple(cell for intid in interrupts for cell in (intid, 0x700))
    return regions("device", node("d", properties))


def fip_bytes(*sps: Package, parts: dict[UUID, bytes] | None = None) -> bytes:
    """A FIP of partitions sp1, sp2, ... and other parts."""
    sources = [Source(f"sp{number}", sp.data, None) for number, sp in enumerate(sps, 1)]
    return compose(sources, parts or {})


def fip(*sps: Package, parts: dict[UUID, bytes] | None = None) -> Fip:
    return parse(fip_bytes(*sps, parts=parts))
