"""From an image file to bytes in guest RAM, whatever its format. Every length in a file is hostile."""

from __future__ import annotations

from pathlib import Path

from engine.images.elf import MAGIC, load_elf
from engine.images.image import ImageError, LoadedImage, Ram, Segment
from engine.images.linux_image import is_gzip, is_linux, load_linux, unpack_gzip
from engine.images.symbols import SymbolTable, parse_system_map
from engine.machine_file import ImageFormat


def load_image(
    file: str,
    data: bytes,
    ram: Ram,
    image_format: ImageFormat = "auto",
    load: int | None = None,
    entry: int | None = None,
) -> LoadedImage:
    """Load the bytes of an image; `file` only names it in errors.

    `load` and `entry` are offsets from `ram.base`. ImageError if the image is damaged, for another
    architecture, not what `image_format` says, or does not fit.
    """
    if image_format in ("auto", "linux") and is_gzip(data):
        data = unpack_gzip(file, data, ram.size)
    if image_format == "auto":
        image_format = detect(data)
    if image_format == "elf":
        if not data.startswith(MAGIC):
            raise ImageError(file, "expected an ELF file (no magic number)")
        return load_elf(file, data, ram, load, entry)
    if image_format == "linux":
        return load_linux(file, data, ram, load, entry)
    return _load_raw(file, data, ram, load or 0, entry)


def detect(data: bytes) -> ImageFormat:
    """Tell ELF and Linux images by their magic numbers; anything else is raw."""
    if data.startswith(MAGIC):
        return "elf"
    return "linux" if is_linux(data) else "raw"


def read(path: Path, limit: int) -> bytes:
    """The bytes of a file; ImageError if it cannot be read or has more than `limit` of them."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ImageError(path, f"expected a readable file ({error})") from None
    if len(data) > limit:
        raise ImageError(path, f"expected at most {limit} bytes")
    return data


def sibling_symbols(image: Path) -> SymbolTable:
    """Symbols from a System.map beside a kernel; empty if there is none."""
    try:
        return parse_system_map((image.parent / "System.map").read_text("utf-8", "replace"))
    except OSError:
        return SymbolTable()


def _load_raw(file: str, data: bytes, ram: Ram, load: int, entry: int | None) -> LoadedImage:
    if not data:
        raise ImageError(file, "expected an image with something in it (empty file)")
    start = ram.base + load
    if not ram.holds(start, len(data)):
        got = f"{start:#x} to {start + len(data):#x}"
        raise ImageError(file, f"expected an image that fits RAM, {ram.base:#x} to {ram.end:#x} (got {got})")
    return LoadedImage(
        segments=(Segment(start, data, len(data)),),
        entry=start if entry is None else ram.base + entry,
        symbols=SymbolTable(),
        end=start + len(data),
    )
