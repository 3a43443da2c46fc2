"""The arm64 Linux `Image` format (Documentation/arch/arm64/booting.rst, section 4), plain or gzip'd."""

from __future__ import annotations

import struct
import zlib

from engine.board.memory_map import BLOCK_SIZE
from engine.images.image import ImageError, LoadedImage, Ram, Segment
from engine.images.symbols import SymbolTable

_HEADER = struct.Struct("<IIQQQQQQII")
"""code0, code1, text_offset, image_size, flags, res2, res3, res4, magic, res5 (64 bytes)."""

_MAGIC = 0x644D5241
_FLAG_BIG_ENDIAN = 1 << 0

_OLD_TEXT_OFFSET = 0x8_0000
"""text_offset of kernels before 3.17, which leave image_size 0."""

_GZIP_MAGIC = b"\x1f\x8b\x08"


def is_linux(data: bytes) -> bool:
    """Whether this begins with an arm64 Image header."""
    return len(data) >= _HEADER.size and _HEADER.unpack_from(data)[8] == _MAGIC


def is_gzip(data: bytes) -> bool:
    """Whether this begins like a gzip file."""
    return data.startswith(_GZIP_MAGIC)


def unpack_gzip(file: str, data: bytes, limit: int) -> bytes:
    """Decompress at most `limit` bytes; ImageError if the stream is damaged or holds more."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        image = unpacker.decompress(data, limit)
    except zlib.error as error:
        raise ImageError(file, f"expected intact gzip data ({error})") from None
    if not unpacker.eof:
        problem = f"expected at most {limit} bytes once unpacked" if unpacker.unconsumed_tail else "truncated gzip data"
        raise ImageError(file, problem)
    return image


def load_linux(file: str, data: bytes, ram: Ram, load: int | None, entry: int | None) -> LoadedImage:
    """Load an Image at its text_offset from a 2 MiB boundary (`ram.base + load`, by default the start of RAM).

    The kernel's BSS lies within `image_size`. ImageError for a wrong header or a RAM that is too small.
    """
    if not is_linux(data):
        raise ImageError(file, "expected an arm64 Linux Image (no magic number at 0x38)")
    text_offset, image_size, flags = _HEADER.unpack_from(data)[2:5]
    if flags & _FLAG_BIG_ENDIAN:
        raise ImageError(file, "expected a little-endian kernel")
    offset = load or 0
    if offset % BLOCK_SIZE:
        raise ImageError(file, f"expected a load offset that is a multiple of 2M (got {offset:#x})")
    if image_size == 0:
        text_offset = _OLD_TEXT_OFFSET
    size = max(image_size, len(data))
    start = ram.base + offset + text_offset
    if text_offset % 4 or not ram.holds(start, size):
        got = f"{start:#x} to {start + size:#x}"
        raise ImageError(file, f"expected a kernel that fits RAM, {ram.base:#x} to {ram.end:#x} (got {got})")
    return LoadedImage(
        segments=(Segment(start, data, size),),
        entry=start if entry is None else ram.base + entry,
        symbols=SymbolTable(),
        end=start + size,
    )
