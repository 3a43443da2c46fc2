"""The board's physical memory: lazily committed mappings shared by every engine that may see them."""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Protocol

from unicorn import Uc, unicorn_const

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
NORESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Mappings may be larger than the host's memory: nothing is set aside for them. Python names it since 3.13."""


class Memory(Protocol):
    """What one security state sees. Addresses are physical; IndexError where there is no memory."""

    @property
    def banks(self) -> tuple[PhysicalMemory, ...]:
        """The mappings behind it, in address order."""

    def map_into(self, engine: Uc) -> None: ...

    def contains(self, address: int, size: int = 1) -> bool: ...

    def read(self, address: int, size: int) -> bytes: ...

    def view(self, address: int, size: int) -> memoryview: ...

    def write(self, address: int, data: bytes | memoryview) -> None: ...

    def fill_zero(self, address: int, size: int) -> None: ...

    def read_u32(self, address: int) -> int: ...

    def read_u64(self, address: int) -> int: ...

    def write_u64(self, address: int, value: int) -> None: ...


class PhysicalMemory:
    """RAM at [base, base + size), both multiples of 4 KB. Host memory is committed page by page as touched.

    Reads and writes take physical addresses and raise IndexError outside the RAM.
    """

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.size = size
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
        self._view = memoryview(self._map)
        self._host = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    @property
    def banks(self) -> tuple[PhysicalMemory, ...]:
        """Itself."""
        return (self,)

    def map_into(self, engine: Uc) -> None:
        """Make this RAM visible to an engine at its physical addresses."""
        engine.mem_map_ptr(self.base, self.size, unicorn_const.UC_PROT_ALL, self._host)

    def contains(self, address: int, size: int = 1) -> bool:
        return self.base <= address and address + size <= self.base + self.size

    def _offset(self, address: int, size: int) -> int:
        if size < 0 or not self.contains(address, size):
            raise IndexError(f"no RAM at {address:#x}+{size:#x}")
        return address - self.base

    def read(self, address: int, size: int) -> bytes:
        offset = self._offset(address, size)
        return bytes(self._view[offset : offset + size])

    def view(self, address: int, size: int) -> memoryview:
        """The memory itself; what is said of `write` holds for writing to it."""
        offset = self._offset(address, size)
        return self._view[offset : offset + size]

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Write from the host; engines that may hold code translated from there must drop it."""
        offset = self._offset(address, len(data))
        self._view[offset : offset + len(data)] = data

    def fill_zero(self, address: int, size: int) -> None:
        offset = self._offset(address, size)
        zeros = bytes(mmap.PAGESIZE)
        for start in range(offset, offset + size, len(zeros)):
            end = min(start + len(zeros), offset + size)
            if self._view[start:end] != zeros[: end - start]:  # reading does not commit host memory, writing does
                self._view[start:end] = zeros[: end - start]

    def read_u32(self, address: int) -> int:
        return int(_U32.unpack_from(self._view, self._offset(address, 4))[0])

    def read_u64(self, address: int) -> int:
        return int(_U64.unpack_from(self._view, self._offset(address, 8))[0])

    def write_u64(self, address: int, value: int) -> None:
        _U64.pack_into(self._view, self._offset(address, 8), value)


class SecureView:
    """What Secure state sees: its own RAM and the Non-secure one. No access may cross from one to the other."""

    def __init__(self, secure: PhysicalMemory, normal: PhysicalMemory) -> None:
        self.secure = secure
        self.normal = normal
        self.banks = (secure, normal)

    def _bank(self, address: int) -> PhysicalMemory:
        return self.secure if address < self.normal.base else self.normal

    def map_into(self, engine: Uc) -> None:
        for bank in self.banks:
            bank.map_into(engine)

    def contains(self, address: int, size: int = 1) -> bool:
        return self._bank(address).contains(address, size)

    def read(self, address: int, size: int) -> bytes:
        return self._bank(address).read(address, size)

    def view(self, address: int, size: int) -> memoryview:
        return self._bank(address).view(address, size)

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Write from the host; engines that may hold code translated from there must drop it."""
        self._bank(address).write(address, data)

    def fill_zero(self, address: int, size: int) -> None:
        self._bank(address).fill_zero(address, size)

    def read_u32(self, address: int) -> int:
        return self._bank(address).read_u32(address)

    def read_u64(self, address: int) -> int:
        return self._bank(address).read_u64(address)

    def write_u64(self, address: int, value: int) -> None:
        self._bank(address).write_u64(address, value)
