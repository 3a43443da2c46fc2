"""Where a guest's kernel, device tree and initial RAM disk go in its RAM."""

from __future__ import annotations

import msgspec

from engine.board.memory_map import BLOCK_SIZE, GIB, align_up
from engine.images import fdt
from engine.images.image import ImageError, LoadedImage, Ram, Segment
from engine.images.loader import load_image, read, sibling_symbols
from engine.images.symbols import SymbolTable
from engine.machine_config import VmConfig
from engine.monitor.fip import FipError
from engine.monitor.fip import parse as parse_fip

_MAX_FILE = GIB
_MAX_DTB = BLOCK_SIZE
"""Linux maps its device tree as one 2 MiB block (booting.rst, section 2)."""
_DTB_MAGIC = b"\xd0\x0d\xfe\xed"
_PAGE = 4096


class GuestImage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a VM's RAM holds when its first vCPU starts."""

    segments: tuple[Segment, ...]
    """To be written in this order; all lie inside the VM's RAM."""
    entry: int
    """IPA of the first instruction."""
    dtb: int
    """IPA of the device tree, which x0 holds at entry; 8-byte aligned."""
    initrd: tuple[int, int] | None
    """First IPA of the initial RAM disk, and first IPA after it."""
    symbols: SymbolTable


def load_guest(vm: VmConfig, seed: int = 0, *, ffa: bool = False) -> GuestImage:
    """Read and place all files of a VM; ImageError if one is damaged or RAM is too small.

    `ffa` is whether its device tree says that there is FF-A firmware.

    The image comes first, then the device tree in a 2 MiB block of its own, then the initial RAM disk
    from the next block on. Where RAM ends before that block the device tree takes its last pages.
    """
    ram = Ram(vm.ram_base, vm.ram_size)
    name = f"{vm.image}: BL33" if vm.bl33 else str(vm.image)
    image = load_image(name, _image(vm), ram, vm.format, vm.load, vm.entry)
    initrd = b"" if vm.initrd is None else read(vm.initrd, _MAX_FILE)
    # The addresses in it do not change its size, so a first one tells where things go.
    draft = _device_tree(vm, seed, ffa, (0, 0) if vm.initrd else None)
    dtb_ipa = _dtb_place(name, image, ram, len(draft))
    segments = list(image.segments)
    span = None
    if vm.initrd is not None:
        start = align_up(dtb_ipa + len(draft), BLOCK_SIZE)
        span = (start, start + len(initrd))
        if not ram.holds(*_sized(span)):
            raise ImageError(vm.initrd, _too_small(ram, "the initial RAM disk", *_sized(span)))
        segments.append(Segment(start, initrd, len(initrd)))
    dtb = _device_tree(vm, seed, ffa, span)
    segments.append(Segment(dtb_ipa, dtb, len(dtb)))
    symbols = image.symbols if len(image.symbols) else sibling_symbols(vm.image)
    return GuestImage(segments=tuple(segments), entry=image.entry, dtb=dtb_ipa, initrd=span, symbols=symbols)


def _image(vm: VmConfig) -> bytes:
    """The bytes of the image, which may be a part of a FIP."""
    data = read(vm.image, _MAX_FILE)
    if not vm.bl33:
        return data
    try:
        part = parse_fip(data).get("BL33")
    except FipError as error:
        raise ImageError(vm.image, str(error)) from None
    if part is None:
        raise ImageError(vm.image, "BL33: expected this part (missing)")
    return part


def _device_tree(vm: VmConfig, seed: int, ffa: bool, initrd: tuple[int, int] | None) -> bytes:
    """The VM's own device tree file, or one made for it."""
    if vm.dtb is None:
        return fdt.build(
            fdt.Guest(
                name=vm.name,
                vcpus=vm.vcpus,
                ram_base=vm.ram_base,
                ram_size=vm.ram_size,
                bootargs=vm.bootargs,
                initrd=initrd,
                console=vm.console,
                el=vm.el,
                ffa=ffa,
                seed=seed,
                virtio=vm.virtio.slots,
            )
        )
    data = read(vm.dtb, _MAX_DTB)
    if len(data) < 40 or not data.startswith(_DTB_MAGIC) or int.from_bytes(data[4:8], "big") > len(data):
        raise ImageError(vm.dtb, "expected a flattened device tree (wrong magic number, or truncated)")
    return data


def _dtb_place(name: str, image: LoadedImage, ram: Ram, size: int) -> int:
    block = align_up(image.end, BLOCK_SIZE)
    if ram.holds(block, size):
        return block
    last = ram.end - align_up(size, _PAGE)
    if last < image.end:
        raise ImageError(name, _too_small(ram, "the device tree", image.end, size))
    return last


def _sized(span: tuple[int, int]) -> tuple[int, int]:
    return span[0], span[1] - span[0]


def _too_small(ram: Ram, what: str, ipa: int, size: int) -> str:
    return f"expected RAM for {what}: {size:#x} bytes at {ipa:#x} (got {ram.base:#x} to {ram.end:#x})"
