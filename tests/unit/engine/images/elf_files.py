"""Builds small ELF files for tests, so that none has to be stored."""

from __future__ import annotations

import struct
from typing import NamedTuple

EXEC, DYN = 2, 3
AARCH64 = 183

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_PT_LOAD = 1
_SHSTRTAB = b"\0.symtab\0.strtab\0.shstrtab\0"


class Load(NamedTuple):
    """One PT_LOAD segment."""

    vaddr: int
    data: bytes
    memsz: int = 0
    paddr: int | None = None


def elf(
    loads: list[Load],
    kind: int = EXEC,
    entry: int = 0,
    symbols: list[tuple[str, int, int, int]] | None = None,
    machine: int = AARCH64,
) -> bytes:
    """An ELF64 file; symbols are (name, value, size, st_info)."""
    names, table = b"\0", bytes(_SYM.size)
    for name, value, size, info in symbols or []:
        table += _SYM.pack(len(names), info, 0, 1, value, size)
        names += name.encode() + b"\0"
    offset = _EHDR.size + _PHDR.size * len(loads)
    headers, body = b"", b""
    for load in loads:
        memsz = load.memsz or len(load.data)
        paddr = load.vaddr if load.paddr is None else load.paddr
        headers += _PHDR.pack(_PT_LOAD, 5, offset + len(body), load.vaddr, paddr, len(load.data), memsz, 4096)
        body += load.data
    sections = [bytes(_SHDR.size)]
    for kind_name, section_type, data, link, size in (
        (1, 2, table, 2, _SYM.size),
        (9, 3, names, 0, 0),
        (17, 3, _SHSTRTAB, 0, 0),
    ):
        sections.append(_SHDR.pack(kind_name, section_type, 0, 0, offset + len(body), len(data), link, 1, 8, size))
        body += data
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    sizes = (_EHDR.size, _PHDR.size, len(loads), _SHDR.size, len(sections), 3)
    header = _EHDR.pack(ident, kind, machine, 1, entry, _EHDR.size, offset + len(body), 0, *sizes)
    return header + headers + body + b"".join(sections)


def kernel_module(**fields: str) -> bytes:
    """An ELF64 object with the fields of its .modinfo and nothing else."""
    information = b"".join(f"{key}={value}\0".encode() for key, value in fields.items())
    names = b"\0.modinfo\0.shstrtab\0"
    sections = bytes(_SHDR.size)
    offset = _EHDR.size
    for name, kind, data in ((1, 1, information), (10, 3, names)):
        sections += _SHDR.pack(name, kind, 0, 0, offset, len(data), 0, 0, 1, 0)
        offset += len(data)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = _EHDR.pack(ident, 1, AARCH64, 1, 0, 0, offset, 0, _EHDR.size, 0, 0, _SHDR.size, 3, 2)
    return header + information + names + sections
