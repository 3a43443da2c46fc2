"""TOS_FW_CONFIG: the manifest of the SPMC itself, `arm,ffa-core-manifest-1.0`, which EL3 reads before entering it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.board.memory_map import SPMC_BASE, SPMC_SIZE
from engine.errors import MachineError
from engine.ffa.abi import PAGE_SIZE, PartitionId
from engine.ffa.version import V1_2, Version
from engine.images.dtb import cells, node, pack
from engine.images.properties import Properties

COMPATIBLE = "arm,ffa-core-manifest-1.0"


class CoreManifestError(MachineError):
    """A core manifest that cannot be used; the text names the property, and says what was expected."""


@dataclass(frozen=True, slots=True)
class CoreManifest:
    """What EL3 is told of the SPMC; the default is what this machine's own chain of trust has."""

    id: int = PartitionId.SPMC
    version: Version = V1_2
    """What whoever made the manifest expects; the SPMC speaks 1.2, which serves earlier versions too."""
    load_address: int = SPMC_BASE
    entry: int = SPMC_BASE
    """Address of its first instruction, in its memory."""
    size: int = SPMC_SIZE
    """Bytes of secure RAM from its load address on."""

    @property
    def end(self) -> int:
        """First address above it."""
        return self.load_address + self.size


def parse_core_manifest(data: bytes) -> CoreManifest:
    """A core manifest from its DTB; what TF-A lets be left out has the defaults above. Raises CoreManifestError."""
    root = Properties.root(data, _error)
    root.compatible(COMPATIBLE)
    attribute = root.node("attribute")
    if attribute is None:
        raise _error("/attribute: expected this node (missing)")
    load = attribute.word("load_address", SPMC_BASE, (1 << 64) - 1)
    manifest = CoreManifest(
        id=attribute.number("spmc_id"),
        version=Version(attribute.number("maj_ver", 0x7FFF), attribute.number("min_ver", 0xFFFF)),
        load_address=load,
        # Zero is how manifests say that it begins where it is loaded.
        entry=attribute.word("entrypoint", 0, (1 << 64) - 1) or load,
        size=attribute.word("binary_size", SPMC_SIZE),
    )
    _check(attribute, manifest)
    return manifest


def _check(attribute: Properties, manifest: CoreManifest) -> None:
    if manifest.id != PartitionId.SPMC:
        attribute.refuse("spmc_id", f"{int(PartitionId.SPMC):#x}", f"{manifest.id:#x}")
    if not V1_2.serves(manifest.version):
        key = "maj_ver" if manifest.version.major != V1_2.major else "min_ver"
        attribute.refuse(key, f"1.0 to {V1_2}", manifest.version)
    if attribute.word("exec_state", 0):
        attribute.refuse("exec_state", "0 (AArch64)", attribute.number("exec_state"))
    if manifest.load_address % PAGE_SIZE:
        attribute.refuse("load_address", "a page address", f"{manifest.load_address:#x}")
    if not manifest.size:
        attribute.refuse("binary_size", "at least 1", 0)
    if not manifest.load_address <= manifest.entry < manifest.end or manifest.entry % 4:
        span = f"an instruction from {manifest.load_address:#x} to {manifest.end:#x}"
        attribute.refuse("entrypoint", span, f"{manifest.entry:#x}")


def pack_core_manifest(manifest: CoreManifest) -> bytes:
    """The DTB of a core manifest."""
    attribute = node(
        "attribute",
        {
            "spmc_id": (manifest.id,),
            "maj_ver": (manifest.version.major,),
            "min_ver": (manifest.version.minor,),
            "exec_state": (0,),
            "load_address": cells(manifest.load_address),
            "entrypoint": cells(manifest.entry),
            "binary_size": (manifest.size,),
        },
    )
    return pack(node("/", {"compatible": COMPATIBLE, "#address-cells": (2,), "#size-cells": (1,)}, attribute))


def _error(text: str) -> CoreManifestError:
    return CoreManifestError(f"TOS_FW_CONFIG: {text}")
