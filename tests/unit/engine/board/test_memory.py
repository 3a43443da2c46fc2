"""Physical memory: bounds, sharing with the CPU, and host memory only for what was touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from unicorn import UC_ARCH_ARM64, UC_MODE_ARM, Uc

from engine.board.memory import PhysicalMemory

BASE, SIZE = 0x4000_0000, 1 << 20


@pytest.fixture
def memory() -> PhysicalMemory:
    return PhysicalMemory(BASE, SIZE)


def resident() -> int:
    """Bytes of host memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_bytes_come_back(memory: PhysicalMemory) -> None:
    memory.write(BASE + 3, b"abc")
    assert memory.read(BASE + 2, 5) == b"\0abc\0"


def test_words_are_little_endian(memory: PhysicalMemory) -> None:
    memory.write_u64(BASE + 8, 0x0102_0304_0506_0708)
    assert memory.read(BASE + 8, 8) == bytes(range(8, 0, -1))
    assert memory.read_u64(BASE + 8) == 0x0102_0304_0506_0708
    assert memory.read_u32(BASE + 12) == 0x0102_0304


Access = Callable[[PhysicalMemory, int], object]


@pytest.mark.parametrize(
    ("access", "size"),
    [
        (lambda memory, address: memory.read(address, 8), 8),
        (lambda memory, address: memory.write(address, bytes(8)), 8),
        (lambda memory, address: memory.read_u32(address), 4),
        (lambda memory, address: memory.read_u64(address), 8),
        (lambda memory, address: memory.write_u64(address, 1), 8),
        (lambda memory, address: memory.fill_zero(address, 8), 8),
    ],
)
def test_the_first_and_the_last_byte_and_none_beyond(memory: PhysicalMemory, access: Access, size: int) -> None:
    access(memory, BASE)
    access(memory, BASE + SIZE - size)
    for outside in (BASE - 1, BASE + SIZE - size + 1, BASE + SIZE, 0, 1 << 63, -1):
        with pytest.raises(IndexError):
            access(memory, outside)


def test_a_negative_size_is_refused(memory: PhysicalMemory) -> None:
    with pytest.raises(IndexError):
        memory.read(BASE + 16, -8)


def test_contains(memory: PhysicalMemory) -> None:
    assert memory.contains(BASE, SIZE)
    assert not memory.contains(BASE, SIZE + 1)
    assert not memory.contains(BASE - 1)


@pytest.mark.parametrize(("offset", "size"), [(0, 4096), (10, 3), (4090, 20), (100, 9000), (0, 0)])
def test_fill_zero_clears_exactly_its_range(memory: PhysicalMemory, offset: int, size: int) -> None:
    memory.write(BASE, b"\xff" * 16384)
    memory.fill_zero(BASE + offset, size)
    expected = bytearray(b"\xff" * 16384)
    expected[offset : offset + size] = bytes(size)
    assert memory.read(BASE, 16384) == bytes(expected)


def test_memory_is_committed_as_it_is_touched() -> None:
    size = 1 << 30
    before = resident()
    memory = PhysicalMemory(BASE, size)
    memory.fill_zero(BASE, 64 << 20)
    memory.write(BASE + size - 1, b"x")
    assert resident() - before < 32 << 20


def test_engines_share_it(memory: PhysicalMemory) -> None:
    engines = [Uc(UC_ARCH_ARM64, UC_MODE_ARM) for _ in range(2)]
    for engine in engines:
        memory.map_into(engine)
    engines[0].mem_write(BASE + 100, b"from one")
    assert bytes(engines[1].mem_read(BASE + 100, 8)) == memory.read(BASE + 100, 8) == b"from one"
