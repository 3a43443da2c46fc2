"""The machine file as it is written: TOML text to typed sections, with overrides, and its JSON schema.

Nothing here looks at other files or compares one key with another; `engine.config` does.
"""

from __future__ import annotations

import copy
import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import tomli
from msgspec import Meta

from engine.board import memory_map
from engine.errors import MachineError
from engine.file_types import (
    IN_WORDS,
    LONGEST_NAME,
    NAME_PATTERN,
    Address,
    CommandLine,
    Name,
    PathText,
    Size,
)
from engine.paths import CACHE_PREFIX
from engine.virtio_config import DiskSection, NetworkSection, NicSection, VsockSection

SECTIONS = ("machine", "board", "ffa", "secure", "vm", "sp", "device", "network")
"""Names a partition may not have, because `--set` already means something else by them."""

_TABLES = SECTIONS[:-4]
MOST_SPS = 8
"""Secure partitions of one machine."""
BL33_IMAGE = "fip:bl33"
"""The image of a VM that is the BL33 of the FIP."""
PATH_KEYS = ("image", "initrd", "dtb", "fip", "package", "manifest")

_INDEXED = re.compile(r"([a-z_]+)\[([0-9]{1,3})\]")
_DATE = "expected a date and time such as 2020-01-01T00:00:00Z"

_IN_WORDS = {
    "invalid RFC3339 encoded datetime": _DATE,
    "expected datetime with a timezone component": _DATE,
    "expected datetime": _DATE,
} | IN_WORDS
"""What msgspec says about a pattern or a date, and what a person can use."""

ImageFormat = Literal["auto", "elf", "linux", "raw"]
DeviceKind = Literal["sp805", "timer-frame", "sbsa-watchdog"]
OwnerAccess = Literal["read-only", "read-write"]
_CHOICES = {
    "format": get_args(ImageFormat),
    "kind": get_args(DeviceKind),
    "owner_access_on_share": get_args(OwnerAccess),
}


class ConfigError(MachineError):
    """A machine file that cannot be used; the text is `FILE: key.path: what was expected (got ...)`."""

    def __init__(self, file: str | Path, key: str, problem: str) -> None:
        super().__init__(": ".join(part for part in (str(file), key, problem) if part))


class MachineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[machine]: what concerns the whole run."""

    name: str | None = None
    """Shown to people; the file's stem if left out."""
    description: str = ""
    cycles_per_tick: Annotated[int, Meta(ge=1, le=1024)] = 8
    """Instructions in one tick (16 ns) of the 62.5 MHz counter."""
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    """Whatever is random in the machine derives from it."""


class BoardSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[board]: the physical machine."""

    cores: Annotated[int, Meta(ge=1, le=8)] = 1
    """Physical cores."""
    time_slice_ms: Annotated[float, Meta(ge=0.1, le=1000)] = 10
    """Virtual milliseconds a vCPU runs before its core takes another one."""
    wall_time: Annotated[datetime.datetime, Meta(tz=True)] = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    """What the PL031 clock shows at power-on."""
    ram: Size | None = None
    """Physical RAM from 0x40000000; just enough if left out."""


class VmSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[vm]]: one guest."""

    name: Name
    image: PathText
    """Program to start: ELF, arm64 Linux Image (also gzip'd), or raw bytes; "fip:bl33" is the one in [secure] fip."""
    format: ImageFormat = "auto"
    """`auto` tells ELF and Linux images by their magic numbers; anything else is raw."""
    load: Size | None = None
    """Where the image goes, as an offset from `ram_base`; not for an ELF linked at fixed addresses."""
    entry: Size | None = None
    """First instruction, as an offset from `ram_base`; the image's own if left out."""
    vcpus: Annotated[int, Meta(ge=1, le=8)] = 1
    el: Annotated[int, Meta(ge=1, le=2)] = 1
    """Exception level it starts at: 1 as a guest of the hypervisor, 2 as a payload that owns EL2 itself."""
    ram_base: Address = memory_map.RAM_BASE
    """Where the guest sees its RAM (IPA)."""
    ram_size: Size
    base_pa: Address | None = None
    """Where that RAM lies on the board (PA); at `ram_base` if left out."""
    initrd: PathText | None = None
    dtb: PathText | None = None
    """Device tree given as a file; one that describes this machine is made if left out."""
    bootargs: CommandLine = ""
    """Kernel command line, /chosen/bootargs."""
    affinity: list[Annotated[int, Meta(ge=0)]] | None = None
    """Physical core of each vCPU; spread evenly over the cores if left out."""
    console: bool = True
    """Whether the guest has a PL011."""
    disk: Annotated[list[DiskSection], Meta(max_length=8)] = []
    nic: Annotated[list[NicSection], Meta(max_length=8)] = []
    virtio_console: bool = False
    """Whether it has a second console, hvc0."""
    rng: bool = False
    """Whether it has a virtio entropy device; its bytes derive from the machine's seed."""
    vsock: VsockSection | None = None


class FfaSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[ffa]: the hypervisor relays FF-A (DEN0077A v1.2) for its VMs. Without this section it answers NOT_SUPPORTED."""

    owner_access_on_share: OwnerAccess = "read-only"
    """What the owner of shared memory keeps until it reclaims it."""
    allow_donate: bool = False
    """Whether MEM_DONATE exists."""
    vm_to_vm: bool = True
    """Whether VMs know of each other; without, each sees itself and the secure partitions."""
    npi: Annotated[int, Meta(ge=0, le=15, description="INTID")] = 8
    """SGI that tells a VM of pending notifications; software finds it by FEATURES."""
    sri: Annotated[int, Meta(ge=0, le=15, description="INTID")] = 9
    """SGI that tells the first VM, the primary scheduler, whom to run."""
    max_transactions: Annotated[int, Meta(ge=1, le=4096)] = 16
    """Memory transactions at one time; NO_MEMORY above."""
    max_endpoints: Annotated[int, Meta(ge=1, le=64)] = 8
    """Endpoints with notification bitmaps; NO_MEMORY above."""
    max_receivers: Annotated[int, Meta(ge=1, le=8)] = 8
    """Borrowers of one transaction; INVALID_PARAMETERS above."""
    max_buffer_pages: Annotated[int, Meta(ge=1, le=63)] = 1
    """Pages of each RX and TX buffer."""


class SecureSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[secure]: the machine has a secure world: EL3 monitor with SPMD, and the SPMC at S-EL2."""

    fip: PathText | None = None
    """Firmware image package to boot from; made of the [[sp]] sections if left out."""
    owner_access_on_share: OwnerAccess = "read-only"
    """What a secure owner of shared memory keeps until it reclaims it."""
    npi: Annotated[int, Meta(ge=0, le=15, description="INTID")] = 8
    """Virtual interrupt that tells a partition of pending notifications; software finds it by FEATURES."""
    sri: Annotated[int, Meta(ge=0, le=15, description="INTID")] = 9
    """SGI that tells the normal world's scheduler whom to run."""
    managed_exit: Annotated[int, Meta(ge=0, le=15, description="INTID")] = 4
    """Virtual interrupt that asks a partition to leave."""
    max_depth: Annotated[int, Meta(ge=1, le=8)] = 3
    """Calls from partition to partition in one chain; BUSY above."""
    max_transactions: Annotated[int, Meta(ge=1, le=4096)] = 16
    """Memory transactions at one time; NO_MEMORY above."""
    max_endpoints: Annotated[int, Meta(ge=1, le=64)] = 8
    """Endpoints with notification bitmaps; NO_MEMORY above."""
    max_receivers: Annotated[int, Meta(ge=1, le=8)] = 8
    """Borrowers of one transaction; INVALID_PARAMETERS above."""
    max_buffer_pages: Annotated[int, Meta(ge=1, le=63)] = 1
    """Pages of each RX and TX buffer."""


class SpSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[sp]]: one secure partition, as a package or as image and manifest."""

    name: Name
    package: PathText | None = None
    """SP package (SPKG)."""
    image: PathText | None = None
    """Raw image, with `manifest` beside it."""
    manifest: PathText | None = None
    """Partition manifest, a device tree blob."""
    load: Address | None = None
    """Where it is loaded in secure RAM; where its manifest says if left out."""


class DeviceSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[device]]: an interrupt source at a place of its own."""

    kind: DeviceKind
    base: Address
    """First address of its 4 KB; of a generic watchdog's control frame, whose refresh frame is 64 KB above."""
    intid: Annotated[int, Meta(ge=32, le=287)]
    """Shared peripheral interrupt it raises."""
    vm: Name | None = None
    """Who has it in the normal world; left out, the partition whose manifest has a device region at `base`."""


class MachineFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole machine file."""

    vm: Annotated[list[VmSection], Meta(min_length=1, max_length=64)]
    machine: MachineSection = MachineSection()
    board: BoardSection = BoardSection()
    ffa: FfaSection | None = None
    secure: SecureSection | None = None
    sp: Annotated[list[SpSection], Meta(max_length=MOST_SPS)] = []
    device: Annotated[list[DeviceSection], Meta(max_length=16)] = []
    network: Annotated[list[NetworkSection], Meta(max_length=8)] = []


def json_schema() -> dict[str, Any]:
    """JSON schema of a machine file (TOML tables are objects)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(MachineFile)}


def parse(data: bytes, file: str | Path) -> dict[str, Any]:
    """The tables in TOML text; ConfigError with the line number if it is not TOML."""
    try:
        return tomli.loads(data.decode())
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, f"line {line}", "expected UTF-8 text") from None
    except tomli.TOMLDecodeError as error:
        raise ConfigError(file, f"line {error.lineno}", f"expected TOML: {error.msg}, column {error.colno}") from None
    except (ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(file, "", f"expected TOML: {error}") from None


def convert(raw: Mapping[str, Any], file: str | Path) -> MachineFile:
    """Check types, ranges and key names; ConfigError names the first key that is wrong."""
    if not raw.get("vm"):
        raise ConfigError(file, "vm", f"expected 1 to 64 [[vm]] tables (got {shown(raw.get('vm'))})")
    try:
        return msgspec.convert(raw, MachineFile)
    except (msgspec.ValidationError, RecursionError) as error:
        key, problem = _explain(str(error), raw)
        raise ConfigError(file, key, problem) from None


def is_name(text: str) -> bool:
    """Whether a partition may have this name."""
    return len(text) <= LONGEST_NAME and re.match(NAME_PATTERN, text) is not None and text not in SECTIONS


def shown(value: object) -> str:
    """A value for an error message, not too long; None, which TOML does not have, means there was none."""
    text = "none" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _explain(message: str, raw: Mapping[str, Any]) -> tuple[str, str]:
    """Turn msgspec's message and `$.a.b[0]` path into a key path and what was expected there."""
    problem, _, path = message.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    if unknown := re.search(r"unknown field `(.*)`$", problem, re.DOTALL):
        return f"{key}.{unknown[1]}".lstrip("."), "expected no such key (unknown)"
    if missing := re.search(r"missing required field `(.*)`$", problem):
        return f"{key}.{missing[1]}".lstrip("."), "expected a value (missing)"
    problem = problem[:1].lower() + problem[1:].replace("`", "")
    if ", got " in problem:
        problem = problem.partition(", got ")[0]
    if problem.startswith("invalid enum value"):
        choices = _CHOICES.get(key.rpartition(".")[2], ())
        problem = f"expected one of {', '.join(choices)}"
    problem = _IN_WORDS.get(problem, problem)
    return key, f"{problem} (got {shown(_value_at(raw, key))})"


def _value_at(raw: object, key: str) -> object:
    """The value at a key path such as `vm[0].vcpus`; None if the path leads nowhere."""
    for part in re.findall(r"[^.\[\]]+", key):
        try:
            raw = raw[int(part)] if isinstance(raw, list) else raw[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return raw


def apply_overrides(raw: Mapping[str, Any], overrides: Iterable[str], directory: Path | None = None) -> dict[str, Any]:
    """A copy of `raw` with each `KEY=VALUE` set; KEY begins with the name of a section or of a partition.

    VALUE is read as TOML, and as plain text where it is not TOML. Relative paths are relative to
    `directory` (default: the current one), not to the machine file. ConfigError names the override.
    """
    result = copy.deepcopy(dict(raw))
    for override in overrides:
        key, equals, text = override.partition("=")
        path = key.strip().split(".")
        if not equals or len(path) < 2 or not all(path):
            raise ConfigError("--set", override, "expected SECTION.KEY=VALUE or VM.KEY=VALUE")
        value = _toml_value(text.strip())
        if path[-1] in PATH_KEYS and isinstance(value, str) and not value.startswith((CACHE_PREFIX, BL33_IMAGE)):
            value = str((directory or Path.cwd()) / value)
        _assign(_section(result, path[0], override), path[1:], value, override)
    return result


def _toml_value(text: str) -> object:
    try:
        document = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return document["value"] if len(document) == 1 else text


def _section(raw: dict[str, Any], name: str, override: str) -> dict[str, Any]:
    """The table that `name` means: [machine], [board], [ffa], [secure], or the partition of that name."""
    if name in _TABLES:
        section = raw.setdefault(name, {})
    else:
        partitions = [*_tables(raw.get("vm")), *_tables(raw.get("sp"))]
        section = next((each for each in partitions if each.get("name") == name), None)
    if not isinstance(section, dict):
        names = [str(each.get("name")) for each in [*_tables(raw.get("vm")), *_tables(raw.get("sp"))]]
        raise ConfigError("--set", override, f"expected one of {', '.join([*_TABLES, *names])} (got {name})")
    return section


def _tables(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _assign(table: dict[str, Any], path: Sequence[str], value: object, override: str) -> None:
    for part in path[:-1]:
        table = _table_in(table, part, override)
    table[path[-1]] = value


def _table_in(table: dict[str, Any], part: str, override: str) -> dict[str, Any]:
    """The table that `part` names: `ffa`, made where there is none, or `disk[0]`."""
    indexed = _INDEXED.fullmatch(part)
    if indexed is not None:
        tables = _tables(table.get(indexed[1]))
        if int(indexed[2]) < len(tables):
            return tables[int(indexed[2])]
        raise ConfigError("--set", override, f"expected a number below {len(tables)} after {indexed[1]}")
    inner = table.setdefault(part, {})
    if not isinstance(inner, dict):
        raise ConfigError("--set", override, f"expected {part} to be a table")
    return inner
