"""ELF guests load where they should, and damaged ones are refused in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.images.image import ImageError, Ram, Segment
from engine.images.loader import load_image
from tests.unit.engine.images.elf_files import DYN, Load, elf

RAM = Ram(0x4000_0000, 0x20_0000)
CODE = bytes(range(64))
FUNCTION, OBJECT, LABEL = 0x12, 0x11, 0x00

FIXED = elf([Load(0x4008_0000, CODE, 0x100)], entry=0x4008_0004, symbols=[("main", 0x4008_0000, 0x20, FUNCTION)])
MOVABLE = elf(
    [Load(0, CODE), Load(0x2000, b"data", 0x1000)],
    kind=DYN,
    entry=8,
    symbols=[
        ("start", 0, 0, LABEL),
        ("$x", 0, 0, LABEL),
        ("work", 0x10, 0x10, FUNCTION),
        ("local_alias", 0x10, 0, LABEL),
        ("table", 0x2000, 4, OBJECT),
    ],
)


def test_fixed_program_goes_to_its_physical_addresses() -> None:
    image = load_image("a.elf", FIXED, RAM)
    assert image.segments == (Segment(0x4008_0000, CODE, 0x100),)
    assert (image.entry, image.end) == (0x4008_0004, 0x4008_0100)
    assert image.symbols.lookup(0x4008_0010) == "main+0x10"


def test_entry_is_translated_from_virtual_to_physical() -> None:
    high = 0xFFFF_8000_0000_0000
    image = load_image("a.elf", elf([Load(high, CODE, paddr=0x4000_1000)], entry=high + 4), RAM)
    assert image.entry == 0x4000_1004


def test_position_independent_program_goes_to_load_offset() -> None:
    image = load_image("a.elf", MOVABLE, RAM, load=0x8_0000)
    assert [segment.ipa for segment in image.segments] == [0x4008_0000, 0x4008_2000]
    assert (image.entry, image.end) == (0x4008_0008, 0x4008_3000)


def test_symbols_follow_the_program_and_prefer_functions() -> None:
    symbols = load_image("a.elf", MOVABLE, RAM).symbols
    assert symbols.lookup(0x4000_0004) == "start+0x4"
    assert symbols.lookup(0x4000_0010) == "work"
    assert symbols.lookup(0x4000_0030) == ""
    assert symbols.address("table") == 0x4000_2000
    assert symbols.address("$x") is None


def test_entry_offset_replaces_the_files_own() -> None:
    assert load_image("a.elf", FIXED, RAM, entry=0x10).entry == 0x4000_0010


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (FIXED[:32], "intact ELF"),
        (FIXED[:120], "intact ELF|beyond the end"),
        (elf([Load(0x4000_0000, CODE)], machine=62), "AArch64"),
        (elf([Load(0x4000_0000, CODE)], kind=1), "executable"),
        (elf([]), "no PT_LOAD"),
        (elf([Load(0x3FFF_F000, CODE)]), "inside RAM"),
        (elf([Load(0x4000_0000, CODE, 0x20_0001)]), "inside RAM"),
        (elf([Load(0xFFFF_FFFF_FFFF_FFF0, CODE)]), "inside RAM"),
        (elf([Load(0x4000_0000, CODE)], entry=0x4000_0100), "entry point"),
        (elf([Load(0x4000_0000, CODE)], entry=0x4000_0002), "entry point"),
    ],
)
def test_refuses(data: bytes, problem: str) -> None:
    with pytest.raises(ImageError, match=problem) as caught:
        load_image("a.elf", data, RAM)
    assert str(caught.value).startswith("a.elf: ")
    assert "\n" not in str(caught.value)


def test_refuses_load_offset_that_cannot_be_honoured() -> None:
    with pytest.raises(ImageError, match="fixed addresses"):
        load_image("a.elf", FIXED, RAM, load=0x1000)
    with pytest.raises(ImageError, match="multiple of 4K"):
        load_image("a.elf", MOVABLE, RAM, load=0x10)


def test_damaged_symbol_table_is_no_reason_to_refuse() -> None:
    start = MOVABLE.index(b"start\0")
    image = load_image("a.elf", MOVABLE[:start] + b"\xff" * 5 + MOVABLE[start + 5 :], RAM)
    assert image.symbols.lookup(0x4000_0010) == "work"


@given(
    base=st.sampled_from([FIXED, MOVABLE]),
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=12),
    length=st.integers(0, 1000),
)
def test_any_damage_is_refused_or_harmless(base: bytes, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(base)
    for offset, value in changes:
        data[offset % len(data)] = value
    try:
        image = load_image("a.elf", bytes(data[: max(length, 4)]), RAM)
    except ImageError:
        return
    assert all(RAM.holds(s.ipa, s.memsz) and len(s.data) <= s.memsz for s in image.segments)
    assert RAM.holds(image.entry, 4)
    image.symbols.lookup(image.entry)


@given(st.binary(max_size=300))
def test_random_bytes_after_the_magic_are_refused(tail: bytes) -> None:
    with pytest.raises(ImageError):
        load_image("a.elf", b"\x7fELF" + tail, RAM)
