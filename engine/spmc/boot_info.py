"""The boot information blob that a partition finds at its start (DEN0077A v1.2, 5.4)."""

from __future__ import annotations

import struct

from engine.board.memory_map import align_up
from engine.ffa.abi import PAGE_SIZE
from engine.ffa.version import V1_2
from engine.spmc.manifest import Manifest
from engine.spmc.package import Package, PackageError

_HEADER = struct.Struct("<6IQ")
"""Signature, version, blob size, descriptor size, count, offset of the descriptors, reserved."""
_DESCRIPTOR = struct.Struct("<16sBBHIQ")
"""Name, type, reserved, flags, size, contents."""
_SIGNATURE = 0xFFA
_FDT, _HOB_LIST = 0, 1
"""Standard types; names are strings and contents addresses (flags 0)."""
_KNOWN = {"ffa_manifest": _FDT, "hob_list": _HOB_LIST}
"""What a manifest may ask for; anything else is left out."""
_HANDOFF = struct.Struct("<HHIII5Q")
"""PI 1.7 III 5.3: header (type, length, reserved), version, boot mode, and where memory and the list's end are."""
_HANDOFF_TYPE, _HANDOFF_VERSION, _FULL_CONFIGURATION = 0x0001, 9, 0
_END = struct.pack("<HHI", 0xFFFF, 8, 0)


def pack_boot_info(manifest: Manifest, base: int, package: Package) -> bytes:
    """The blob for a partition loaded at `base`; PackageError where the manifest begins before its end."""
    wanted = [(name, kind) for name, kind in _KNOWN.items() if name in manifest.boot_info]
    hobs_at = _HEADER.size + _DESCRIPTOR.size * len(wanted)
    hobs = b""
    if _HOB_LIST in (kind for _, kind in wanted):
        used = align_up(package.end, PAGE_SIZE)
        hobs = _hob_list(base, base + hobs_at, used, max(used, manifest.memory_size))
    descriptors = b""
    for name, kind in wanted:
        size = package.manifest_size if kind == _FDT else len(hobs)
        where = base + (package.manifest_offset if kind == _FDT else hobs_at)
        descriptors += _DESCRIPTOR.pack(name.encode(), kind, 0, 0, size, where)
    total = hobs_at + len(hobs)
    if total > package.manifest_offset:
        raise PackageError(f"expected {total} bytes for boot information before the manifest")
    header = _HEADER.pack(_SIGNATURE, V1_2.pack(), total, _DESCRIPTOR.size, len(wanted), _HEADER.size, 0)
    return header + descriptors + hobs


def _hob_list(base: int, at: int, used: int, size: int) -> bytes:
    """The shortest hand-off block list, at `at`: one block that says where memory is, and the end."""
    handoff = _HANDOFF.pack(
        *(_HANDOFF_TYPE, _HANDOFF.size, 0, _HANDOFF_VERSION, _FULL_CONFIGURATION),
        *(base + size, base, base + size, base + used, at + _HANDOFF.size),
    )
    return handoff + _END
