"""`hvtui fip`: make firmware image packages, and look into them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import click

from engine.errors import MachineError
from engine.images.image import ImageError
from engine.images.loader import read
from engine.monitor.compose import Source, compose
from engine.monitor.fip import KNOWN, LARGEST, Fip, Part, parse
from engine.monitor.fw_config import SpEntry, parse_fw_config
from engine.monitor.parts import names_from, read_parts
from engine.spmc.loaded import open_package

_PACKAGE = b"SPKG"


@click.group()
def fip() -> None:
    """Firmware image packages (FIP), which machines with a secure world boot from."""


@fip.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The package to write.")
@click.option(
    "--part", "parts", multiple=True, metavar="NAME=FILE", help="A part: BL33, HW_CONFIG, TOS_FW_CONFIG, ... or a UUID."
)
@click.option(
    "--sp",
    "sps",
    multiple=True,
    metavar="FILE[@ADDRESS]",
    help="An SP package, and where to load it; as it says itself.",
)
def create(out: Path, parts: tuple[str, ...], sps: tuple[str, ...]) -> None:
    """Make a FIP.

    TB_FW_CONFIG is made from the SP packages; TOS_FW_CONFIG is that of this machine's SPMC unless given.
    """
    given = _parts(parts)
    if sps and KNOWN["TB_FW_CONFIG"] in given:
        raise click.UsageError("--part TB_FW_CONFIG: expected it without --sp, which makes one")
    data = compose(_sources(sps), given)
    made = parse(data)
    read_parts(made)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{out}: expected a file that can be written ({error.strerror})") from None
    click.echo(f"{out}: {len(made.parts)} parts, {len(data)} bytes")


@fip.command()
@click.argument("file", type=click.Path(path_type=Path))
def info(file: Path) -> None:
    """List the parts of a FIP, and its secure partitions."""
    try:
        lines = list(_describe(parse(read(file, LARGEST))))
    except ImageError:
        raise
    except MachineError as error:
        raise ImageError(file, str(error)) from None
    for line in lines:
        click.echo(line)


def _parts(options: Iterable[str]) -> dict[UUID, bytes]:
    found: dict[UUID, bytes] = {}
    for option in options:
        name, equals, file = option.partition("=")
        if not equals or not file:
            raise click.UsageError(f"--part {option}: expected NAME=FILE")
        uuid = _uuid(name)
        if uuid in found:
            raise click.UsageError(f"--part {option}: expected each part only once")
        found[uuid] = read(Path(file), LARGEST)
    return found


def _uuid(name: str) -> UUID:
    """The UUID of a part's name, or the one that it is."""
    known = KNOWN.get(name.upper())
    if known is not None:
        return known
    try:
        return UUID(name)
    except ValueError:
        raise click.UsageError(f"--part {name}: expected a UUID, or one of {', '.join(KNOWN)}") from None


def _sources(options: Sequence[str]) -> list[Source]:
    split = [_place(option) for option in options]
    names = names_from((file.stem for file, _ in split), ())
    return [Source(name, read(file, LARGEST), address) for name, (file, address) in zip(names, split, strict=True)]


def _place(option: str) -> tuple[Path, int | None]:
    """A file, and the address behind the last `@`; a file's name may have an `@` where no number follows it."""
    file, at, text = option.rpartition("@")
    try:
        return (Path(file), int(text, 0)) if at else (Path(option), None)
    except ValueError:
        return Path(option), None


def _describe(found: Fip) -> Iterable[str]:
    config = found.get("TB_FW_CONFIG")
    entries = {entry.uuid: entry for entry in (() if config is None else parse_fw_config(config))}
    rows = [("PART", "UUID", "OFFSET", "SIZE")]
    packages = [("PARTITION", "ID", "LOAD", "ENTRY", "UUID", "MESSAGING")]
    for part in found.parts:
        entry, data = entries.get(part.uuid), found.contents(part)
        rows.append((_name(part, entry), str(part.uuid), f"{part.offset:#x}", f"{part.size:#x}"))
        if data.startswith(_PACKAGE):
            packages.append(_package(part, data, entry))
    yield from _columns(rows)
    if len(packages) > 1:
        yield ""
        yield from _columns(packages)


def _name(part: Part, entry: SpEntry | None) -> str:
    if entry is not None:
        return entry.name
    return part.name if part.uuid in KNOWN.values() else "-"


def _package(part: Part, data: bytes, entry: SpEntry | None) -> tuple[str, str, str, str, str, str]:
    """What the manifest in a package says; the load address is TB_FW_CONFIG's where that has one."""
    try:
        package, manifest = open_package(data)
    except MachineError as error:
        raise MachineError(f"{part.name if entry is None else entry.name}: {error}") from None
    load = manifest.load_address if entry is None else entry.load_address
    offset = manifest.entry_offset or package.image_offset
    return (
        _name(part, entry),
        "-" if manifest.id is None else f"0x{manifest.id:04x}",
        "-" if load is None else f"{load:#x}",
        f"+{offset:#x}" if load is None else f"{load + offset:#x}",
        ",".join(map(str, manifest.uuids)),
        " ".join(str(flag.name).lower().replace("_", "-") for flag in manifest.messaging) or "-",
    )


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Rows under each other, each column as wide as it has to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
