"""BL1 and BL2: every machine with a secure world boots through a FIP, its own or one made of its [[sp]] sections."""

from __future__ import annotations

from engine.board.memory_map import SECURE_SIZE
from engine.errors import MachineError
from engine.images.loader import read
from engine.machine_config import SecureConfig, SpConfig
from engine.monitor.compose import Source, compose
from engine.monitor.fip import parse
from engine.monitor.parts import BootParts, load_parts, read_parts
from engine.spmc.package import pack_package


def boot_parts(config: SecureConfig) -> BootParts:
    """Everything that the chain of trust loads. MachineError names the file, or the partition, that is wrong."""
    if config.fip is not None:
        return load_parts(config.fip, config.names)
    return read_parts(parse(compose([Source(sp.name, _package(sp), sp.load) for sp in config.sps], {})))


def _package(sp: SpConfig) -> bytes:
    """A package file, or one made of image and manifest."""
    if sp.package is not None:
        return read(sp.package, SECURE_SIZE)
    if sp.image is None or sp.manifest is None:
        raise MachineError(f"{sp.name}: expected an image and a manifest")
    manifest, image = read(sp.manifest, SECURE_SIZE), read(sp.image, SECURE_SIZE)
    try:
        return pack_package(manifest, image)
    except MachineError as error:
        raise MachineError(f"{sp.name}: {error}") from None
