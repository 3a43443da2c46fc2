"""ELF guests: fixed-address programs (ET_EXEC) and position-independent ones (ET_DYN)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from elftools.elf.elffile import ELFFile

from engine.images.image import ImageError, LoadedImage, Ram, Segment
from engine.images.symbols import Symbol, SymbolTable

MAGIC = b"\x7fELF"

_MAX_SEGMENTS = 256
_MAX_SYMBOLS = 1 << 20

_SYM = struct.Struct("<IBBHQQ")
"""Elf64_Sym: st_name, st_info, st_other, st_shndx, st_value, st_size."""

_SHN_UNDEF = 0
_SHN_ABS = 0xFFF1
_STT_CODE_OR_DATA = (0, 1, 2)
"""STT_NOTYPE, STT_OBJECT, STT_FUNC: what can be a place in the program."""
_STT_FUNC = 2
_STB_GLOBAL = 1

_ADDRESS_MASK = (1 << 64) - 1
_PAGE = 4096


class _Load(NamedTuple):
    """A PT_LOAD program header."""

    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int


def load_elf(file: str, data: bytes, ram: Ram, load: int | None, entry: int | None) -> LoadedImage:
    """Load an AArch64 ELF; ET_EXEC at its physical addresses, ET_DYN with its lowest address at `ram.base + load`.

    `entry` is an offset from `ram.base` that replaces the file's own. A position-independent program
    relocates itself. ImageError for anything malformed, of another architecture, or outside RAM.
    """
    kind, start, loads, symbols = _parse(file, data)
    relocatable = kind == "ET_DYN"
    if load is not None and not relocatable:
        raise ImageError(file, "expected no load offset: this ELF is linked at fixed addresses")
    if (load or 0) % _PAGE:
        raise ImageError(file, f"expected a load offset that is a multiple of 4K (got {load:#x})")
    # Whole pages, because ADRP counts in them.
    lowest = min(header.vaddr for header in loads) & -_PAGE
    bias = ram.base + (load or 0) - lowest if relocatable else 0
    segments = tuple(_segment(file, data, ram, header, bias if relocatable else None) for header in loads)
    last = max(header.vaddr + header.memsz for header in loads) + bias
    return LoadedImage(
        segments=segments,
        entry=_entry(file, ram, loads, segments, start) if entry is None else ram.base + entry,
        symbols=SymbolTable([s._replace(address=(s.address + bias) & _ADDRESS_MASK) for s in symbols], last),
        end=max(segment.end for segment in segments),
    )


def _parse(file: str, data: bytes) -> tuple[str, int, list[_Load], list[Symbol]]:
    """Type, e_entry, PT_LOAD headers and symbols of an AArch64 ELF."""
    try:
        elf = ELFFile(io.BytesIO(data))
        kind = _check_kind(file, elf)
        loads = list(_loads(file, elf))
        symbols = list(_symbols(data, elf))
        start = int(elf["e_entry"])
    except ImageError:
        raise
    except Exception as error:
        # The parser trusts its input; whatever it raises on hostile bytes means the same to the user.
        raise ImageError(file, f"expected an intact ELF file ({type(error).__name__}: {error})") from None
    if not loads:
        raise ImageError(file, "expected an ELF with something to load (no PT_LOAD segment)")
    return kind, start, loads, symbols


def _check_kind(file: str, elf: Any) -> str:
    if elf.elfclass != 64 or not elf.little_endian or elf["e_machine"] != "EM_AARCH64":
        raise ImageError(file, f"expected a little-endian AArch64 ELF (got {elf.elfclass}-bit {elf['e_machine']})")
    kind = elf["e_type"]
    if kind not in ("ET_EXEC", "ET_DYN"):
        raise ImageError(file, f"expected an executable ELF (got {kind})")
    return str(kind)


def _loads(file: str, elf: Any) -> Iterator[_Load]:
    if elf["e_phnum"] > _MAX_SEGMENTS:
        raise ImageError(file, f"expected at most {_MAX_SEGMENTS} segments (got {elf['e_phnum']})")
    for index in range(elf["e_phnum"]):
        header = elf._get_segment_header(index)  # noqa: SLF001 - get_segment() would also parse notes and dynamic tables
        if header["p_type"] == "PT_LOAD" and header["p_memsz"]:
            yield _Load(header["p_offset"], header["p_vaddr"], header["p_paddr"], header["p_filesz"], header["p_memsz"])


def _segment(file: str, data: bytes, ram: Ram, header: _Load, bias: int | None) -> Segment:
    if header.filesz > header.memsz or header.offset + header.filesz > len(data):
        raise ImageError(file, f"truncated: segment at {header.vaddr:#x} goes beyond the end of the file")
    ipa = header.paddr if bias is None else header.vaddr + bias
    if not ram.holds(ipa, header.memsz):
        got = f"{ipa:#x} to {ipa + header.memsz:#x}"
        raise ImageError(file, f"expected segments inside RAM, {ram.base:#x} to {ram.end:#x} (got {got})")
    return Segment(ipa, data[header.offset : header.offset + header.filesz], header.memsz)


def _entry(file: str, ram: Ram, loads: list[_Load], segments: tuple[Segment, ...], start: int) -> int:
    """IPA of e_entry, which is a virtual address in one of the segments."""
    for header, segment in zip(loads, segments, strict=True):
        offset = start - header.vaddr
        if 0 <= offset < header.memsz and offset % 4 == 0 and ram.holds(segment.ipa + offset, 4):
            return segment.ipa + offset
    raise ImageError(file, f"expected an aligned entry point inside a segment (got {start:#x})")


def _symbols(data: bytes, elf: Any) -> Iterator[Symbol]:
    """Symbols of .symtab, functions and global names first; none if it is stripped or damaged."""
    section = elf.get_section_by_name(".symtab")
    if section is None or section["sh_type"] != "SHT_SYMTAB" or not 0 < section["sh_link"] < elf.num_sections():
        return
    strings = elf.get_section(section["sh_link"])
    names = data[strings["sh_offset"] : strings["sh_offset"] + strings["sh_size"]]
    start = section["sh_offset"]
    table = data[start : start + min(section["sh_size"], _MAX_SYMBOLS * _SYM.size)]
    table = table[: len(table) // _SYM.size * _SYM.size]
    ranked = [
        (info & 0xF != _STT_FUNC, info >> 4 != _STB_GLOBAL, name, value, size)
        for name, info, _, section_index, value, size in _SYM.iter_unpack(table)
        if info & 0xF in _STT_CODE_OR_DATA and section_index not in (_SHN_UNDEF, _SHN_ABS)
    ]
    for _, _, name, value, size in sorted(ranked):
        text = _string(names, name)
        # `$x` and `$d` tell code from data; they are not names.
        if text and not text.startswith("$"):
            yield Symbol(value, size, text)


def _string(names: bytes, offset: int) -> str:
    end = names.find(b"\0", offset, offset + 4096)
    return names[offset:end].decode("utf-8", "backslashreplace") if end > offset else ""
