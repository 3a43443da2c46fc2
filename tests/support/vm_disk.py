"""Somebody who works the first disk of a VM that stands still, by the registers of its slot and in its own RAM."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from engine.board.virtio.block import Answer, Request, VirtioBlock
from engine.board.virtio.disk_image import SECTOR
from engine.board.virtio.guest_memory import Segment
from engine.hypervisor.vm import Vm
from tests.support.virtio import BASE, SIZE, Driver, FlatMemory


class VmMemory(FlatMemory):
    """The start of a VM's RAM, which must be at BASE; rings and buffers are there."""

    def __init__(self, vm: Vm) -> None:
        super().__init__()
        self.data = vm.memory.view(vm.physical(BASE), SIZE)


class VmDisk(Driver):
    """The driver of a VM's first disk."""

    def __init__(self, vm: Vm) -> None:
        device = vm.virtio[0].device
        assert isinstance(device, VirtioBlock)
        self.device = device
        self.memory = VmMemory(vm)
        self.lines = []
        self.slot = vm.virtio[0]
        self.rewind_buffers()
        self.start()

    def read_into(self, sector: int, *places: Segment) -> int:
        """The device reads sectors into memory; its status."""
        return self._request(Request.IN, sector, [], places)

    def write_from(self, sector: int, *places: Segment) -> int:
        """The device writes memory to sectors; its status."""
        return self._request(Request.OUT, sector, places, [])

    def put(self, sector: int, data: bytes) -> None:
        """Change what is on the disk."""
        self.device.image.write(sector, [memoryview(bytearray(data))])

    def get(self, sector: int, count: int) -> bytes:
        """What is on the disk."""
        data = bytearray(count * SECTOR)
        self.device.image.read(sector, [memoryview(data)])
        return bytes(data)

    def _request(self, kind: int, sector: int, out: Sequence[Segment], into: Sequence[Segment]) -> int:
        self.rewind_buffers()
        header, status = self.buffer(struct.pack("<IIQ", kind, 0, sector)), self.buffer(b"\xff")
        self.queues[0].add([header, *out], [*into, status])
        self.notify()
        [(_, length)] = self.queues[0].done()
        answer = self.bytes(status)[0]
        assert (length > 0) is (answer == Answer.OK or not into)
        return answer
