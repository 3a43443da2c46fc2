"""From a machine file and overrides to the machine that they mean: defaults resolved, everything checked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from engine import machine_file, paths
from engine.board.memory_map import BLOCK_SIZE, FIRMWARE_SIZE, GIB, KIB, MIB, RAM_BASE, RAM_LIMIT
from engine.images.image import ImageError
from engine.machine_config import BoardConfig, MachineConfig, SecureConfig, SpConfig, VmConfig
from engine.machine_file import (
    ConfigError,
    FfaSection,
    MachineFile,
    SecureSection,
    SpSection,
    VmSection,
    shown,
)
from engine.monitor.parts import load_parts, partition_names
from engine.virtio_config import VirtioResolver

__all__ = ["ConfigError", "FfaSection", "from_tables", "load"]

_UNITS = {"K": KIB, "M": MIB, "G": GIB}
_MAX_RAM = 4 * GIB
_PL031_LIMIT = 1 << 32


def load(file: str | Path, overrides: Iterable[str] = ()) -> MachineConfig:
    """Read a machine file and apply `--set` overrides; ConfigError says in one line what is wrong."""
    path = Path(file)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(path, "", f"expected a readable machine file ({_why(error)})") from None
    raw = machine_file.parse(data, path)
    return from_tables(machine_file.apply_overrides(raw, overrides), path)


def from_tables(raw: Mapping[str, Any], file: Path) -> MachineConfig:
    """Check and resolve the tables of a machine file; `file` names them and is what paths are relative to."""
    return _Resolver(file).machine(machine_file.convert(raw, file))


class _Resolver:
    """Resolves one machine file; every method names the key it complains about."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._virtio = VirtioResolver(self._refuse, self._path, self._size)

    def _refuse(self, key: str, expected: str, got: str) -> ConfigError:
        return ConfigError(self._file, key, f"expected {expected} (got {got})")

    def machine(self, parsed: MachineFile) -> MachineConfig:
        cores = parsed.board.cores
        fip = self._fip(parsed.secure)
        vms: list[VmConfig] = []
        for index, section in enumerate(parsed.vm):
            first = sum(vm.vcpus for vm in vms)
            vms.append(self._vm(f"vm[{index}]", section, cores, first, fip, index + 1))
        self._names(vms)
        self._no_overlap(vms)
        self._levels(vms, parsed.ffa)
        self._ffa(parsed.ffa)
        secure = self._secure(parsed, fip)
        return MachineConfig(
            file=self._file,
            name=parsed.machine.name or self._file.stem,
            description=parsed.machine.description,
            cycles_per_tick=parsed.machine.cycles_per_tick,
            seed=parsed.machine.seed,
            board=self._board(parsed.board, vms),
            vms=tuple(vms),
            ffa=parsed.ffa,
            devices=tuple(parsed.device),
            secure=secure,
            networks=self._virtio.networks(parsed.network),
        )

    def _fip(self, options: SecureSection | None) -> Path | None:
        return None if options is None else self._optional("secure.fip", options.fip)

    def _secure(self, parsed: MachineFile, fip: Path | None) -> SecureConfig | None:
        options = parsed.secure
        if options is None:
            if parsed.sp:
                raise self._refuse("sp", "no secure partitions without a [secure] section", f"{len(parsed.sp)}")
            return None
        if fip is not None and parsed.sp:
            raise self._refuse("secure.fip", "either a FIP or [[sp]] sections", "both")
        names = [vm.name for vm in parsed.vm]
        for index, section in enumerate(parsed.sp):
            if section.name in names or section.name in machine_file.SECTIONS:
                raise self._refuse(f"sp[{index}].name", "a name no other partition has", shown(section.name))
            names.append(section.name)
        sps = tuple(self._sp(f"sp[{index}]", section) for index, section in enumerate(parsed.sp))
        found = tuple(sp.name for sp in sps) if fip is None else self._boot(parsed, fip)
        if len(found) > options.max_endpoints:
            room = f"room for {len(found)} secure partitions"
            raise self._refuse("secure.max_endpoints", room, f"{options.max_endpoints}")
        return SecureConfig(options=options, fip=fip, sps=sps, names=found)

    def _boot(self, parsed: MachineFile, fip: Path) -> tuple[str, ...]:
        """Names of the partitions in a FIP. It is read for them now, and again when the machine is built."""
        try:
            parts = load_parts(fip)
        except ImageError as error:
            raise ConfigError(self._file, "secure.fip", str(error)) from None
        vms = [vm.name for vm in parsed.vm]
        for index, vm in enumerate(parsed.vm):
            if vm.image == machine_file.BL33_IMAGE and parts.bl33 is None:
                raise self._refuse(f"vm[{index}].image", "a FIP with a BL33", str(fip))
        found = partition_names(parts, vms)
        for name in found:
            if name in vms:
                raise self._refuse(f"vm[{vms.index(name)}].name", "a name no partition of the FIP has", shown(name))
        return found

    def _sp(self, key: str, section: SpSection) -> SpConfig:
        apart = section.image is not None and section.manifest is not None
        if (section.package is None) is not apart or (section.package is not None and section.image is not None):
            raise self._refuse(key, "either a package, or an image and a manifest", "neither or a mixture")
        return SpConfig(
            name=section.name,
            package=self._optional(f"{key}.package", section.package),
            image=self._optional(f"{key}.image", section.image),
            manifest=self._optional(f"{key}.manifest", section.manifest),
            load=section.load,
        )

    def _optional(self, key: str, text: str | None) -> Path | None:
        return None if text is None else self._path(key, text)

    def _levels(self, vms: list[VmConfig], ffa: FfaSection | None) -> None:
        """Whoever owns EL2 has the normal world to itself."""
        for index, vm in enumerate(vms):
            if vm.el == 2 and len(vms) > 1:
                raise self._refuse(f"vm[{index}].el", "1 where there are several VMs", "2")
            if vm.el == 2 and ffa is not None:
                raise self._refuse(f"vm[{index}].el", "1 where the hypervisor relays FF-A ([ffa])", "2")
            if vm.el == 2 and vm.base_pa != vm.ram_base:
                raise self._refuse(f"vm[{index}].base_pa", "ram_base, since nothing translates", f"{vm.base_pa:#x}")

    def _ffa(self, section: FfaSection | None) -> None:
        if section is not None and section.npi == section.sri:
            raise self._refuse("ffa.sri", "another INTID than ffa.npi", str(section.sri))

    def _board(self, section: machine_file.BoardSection, vms: list[VmConfig]) -> BoardConfig:
        seconds = int(section.wall_time.timestamp())
        if not 0 <= seconds < _PL031_LIMIT:
            raise self._refuse("board.wall_time", "a date from 1970 to 2106", section.wall_time.isoformat())
        needed = max(vm.end_pa for vm in vms) + FIRMWARE_SIZE
        ram_end = needed
        if section.ram is not None:
            ram_end = RAM_BASE + self._blocks("board.ram", section.ram, RAM_LIMIT + FIRMWARE_SIZE - RAM_BASE)
            if ram_end < needed:
                expected = f"at least {(needed - RAM_BASE) // MIB}M, for every VM and 16M of firmware above them"
                raise self._refuse("board.ram", expected, shown(section.ram))
        return BoardConfig(cores=section.cores, time_slice_ms=section.time_slice_ms, wall_time=seconds, ram_end=ram_end)

    def _vm(self, key: str, section: VmSection, cores: int, first: int, fip: Path | None, number: int) -> VmConfig:
        size = self._blocks(f"{key}.ram_size", section.ram_size, _MAX_RAM)
        base_pa = section.ram_base if section.base_pa is None else section.base_pa
        self._window(f"{key}.ram_base", section.ram_base, size)
        self._window(f"{key}.base_pa", base_pa, size)
        if section.dtb is not None and (section.bootargs or section.initrd is not None):
            raise self._refuse(
                f"{key}.dtb", "no bootargs and no initrd beside a device tree of your own", shown(section.dtb)
            )
        bl33 = section.image == machine_file.BL33_IMAGE
        if bl33 and section.el != 2:
            raise self._refuse(f"{key}.image", "a file, or el = 2 beside it", shown(section.image))
        if bl33 and fip is None:
            raise self._refuse(f"{key}.image", "a FIP to take it from (secure.fip)", "none")
        return VmConfig(
            name=section.name,
            el=section.el,
            vcpus=section.vcpus,
            ram_base=section.ram_base,
            ram_size=size,
            base_pa=base_pa,
            image=fip if bl33 and fip is not None else self._path(f"{key}.image", section.image),
            bl33=bl33,
            format=section.format,
            load=self._offset(f"{key}.load", section.load, size),
            entry=self._offset(f"{key}.entry", section.entry, size),
            initrd=self._path(f"{key}.initrd", section.initrd) if section.initrd is not None else None,
            dtb=self._path(f"{key}.dtb", section.dtb) if section.dtb is not None else None,
            bootargs=section.bootargs,
            affinity=self._affinity(f"{key}.affinity", section, cores, first),
            console=section.console,
            virtio=self._virtio.vm(
                key,
                number,
                section.disk,
                section.nic,
                section.vsock,
                console=section.virtio_console,
                rng=section.rng,
            ),
        )

    def _size(self, key: str, value: int | str) -> int:
        if isinstance(value, int):
            return value
        digits, unit = (value[:-1], value[-1]) if value[-1] in _UNITS else (value, "")
        if len(digits) > 20:
            raise self._refuse(key, "a smaller size", shown(value))
        return int(digits) * _UNITS.get(unit, 1)

    def _blocks(self, key: str, value: int | str, maximum: int) -> int:
        size = self._size(key, value)
        if not 0 < size <= maximum or size % BLOCK_SIZE:
            raise self._refuse(key, f"a multiple of 2M, at most {maximum // MIB}M", shown(value))
        return size

    def _offset(self, key: str, value: int | str | None, size: int) -> int | None:
        if value is None:
            return None
        offset = self._size(key, value)
        if offset >= size or offset % 4:
            raise self._refuse(key, "an offset into RAM, a multiple of 4", shown(value))
        return offset

    def _window(self, key: str, base: int, size: int) -> None:
        if base % BLOCK_SIZE:
            raise self._refuse(key, "an address aligned to 2M", f"{base:#x}")
        if base < RAM_BASE or base + size > RAM_LIMIT:
            expected = f"RAM between {RAM_BASE:#x} and {RAM_LIMIT:#x}"
            raise self._refuse(key, expected, _span(base, base + size))

    def _affinity(self, key: str, section: VmSection, cores: int, first: int) -> tuple[int, ...]:
        if section.affinity is None:
            return tuple((first + vcpu) % cores for vcpu in range(section.vcpus))
        if len(section.affinity) != section.vcpus:
            raise self._refuse(key, f"one core for each of {section.vcpus} vCPUs", shown(section.affinity))
        if any(core >= cores for core in section.affinity):
            raise self._refuse(key, f"cores below board.cores = {cores}", shown(section.affinity))
        return tuple(section.affinity)

    def _path(self, key: str, text: str) -> Path:
        path = paths.resolve(text, self._file.parent)
        try:
            if stat.S_ISREG(path.stat().st_mode) and os.access(path, os.R_OK):
                return path
            reason = "not a regular file, or no permission to read it"
        except (OSError, ValueError) as error:
            reason = _why(error)
        if text.startswith(paths.CACHE_PREFIX):
            reason += f"; {paths.remedy(text)}"
        raise self._refuse(key, f"a readable file: {reason}", str(path))

    def _names(self, vms: list[VmConfig]) -> None:
        for index, vm in enumerate(vms):
            if vm.name in machine_file.SECTIONS:
                raise self._refuse(f"vm[{index}].name", "a name that is not a section's", shown(vm.name))
            if vm.name in [other.name for other in vms[:index]]:
                raise self._refuse(f"vm[{index}].name", "a name no other VM has", shown(vm.name))

    def _no_overlap(self, vms: list[VmConfig]) -> None:
        for (_, a), (index, b) in combinations(enumerate(vms), 2):
            if a.base_pa < b.end_pa and b.base_pa < a.end_pa:
                expected = f"physical RAM apart from {a.name}'s, {_span(a.base_pa, a.end_pa)}"
                raise self._refuse(f"vm[{index}].base_pa", expected, _span(b.base_pa, b.end_pa))


def _span(start: int, end: int) -> str:
    return f"{start:#x} to {end:#x}"


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
