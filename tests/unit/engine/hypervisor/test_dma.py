"""Device access to a VM's memory: what its stage 2 maps for it, byte for byte, and a refusal for all else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arch.paging import PAGE, S2AP, S2Leaf
from engine.board.memory_map import RAM_BASE
from engine.board.virtio.guest_memory import DmaError
from engine.hypervisor.dma import Dma
from tests.support.machines import RAM_SIZE, Bench, spin, tiny

END = RAM_BASE + RAM_SIZE
HOLE, FROZEN, ELSEWHERE = RAM_BASE + 0x10_0000, RAM_BASE + 0x11_0000, RAM_BASE + 0x12_0000
"""Pages that are not mapped, not to be written, and mapped to another place."""

addresses = (
    st.sampled_from([RAM_BASE, HOLE, FROZEN, ELSEWHERE, END]).flatmap(lambda at: st.integers(at - 5000, at + 5000))
    | st.integers(0, 1 << 64)
    | st.sampled_from([0, 0x0A00_0000, 0x0E00_0000, 1 << 48, (1 << 48) - 1, (1 << 64) - 1, (1 << 64) - PAGE])
)
sizes = st.sampled_from([1, 2, 16, PAGE]) | st.integers(0, 3 * PAGE)


SHIFT = 0x8_0000
"""By how much `ELSEWHERE` lies further than one would think."""


class Machine:
    """A VM whose RAM has odd pages, beside another one; and what its devices may reach, worked out by itself."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.vm = vm = bench.vm
        self.dma = Dma(vm, bench.hypervisor.partitions)
        vm.stage2.clear()
        start = RAM_BASE
        for odd in (HOLE, FROZEN, ELSEWHERE):
            vm.stage2.map(start, S2Leaf(vm.physical(start)), odd - start)
            start = odd + PAGE
        vm.stage2.map(start, S2Leaf(vm.physical(start)), END - start)
        vm.stage2.map(FROZEN, S2Leaf(vm.physical(FROZEN), access=S2AP.READ), PAGE)
        vm.stage2.map(ELSEWHERE, S2Leaf(vm.physical(ELSEWHERE + SHIFT)), PAGE)
        vm.memory.write(vm.physical(RAM_BASE), bytes(range(251)) * (RAM_SIZE // 251))

    def places(self, address: int, size: int, *, write: bool) -> list[int] | None:
        """Physical addresses of bytes; None where one of them may not be accessed."""
        pages = {byte // PAGE * PAGE for byte in (address, *range(address, address + size, PAGE), address + size - 1)}
        allowed = all(RAM_BASE <= page < END and page != HOLE and not (write and page == FROZEN) for page in pages)
        return [self._place(byte) for byte in range(address, address + size)] if allowed or not size else None

    def _place(self, byte: int) -> int:
        return self.vm.physical(byte + (SHIFT if byte // PAGE * PAGE == ELSEWHERE else 0))

    def everything(self) -> bytes:
        """The RAM of both VMs."""
        return self.vm.memory.read(self.vm.physical(RAM_BASE), 2 * RAM_SIZE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tiny(tmp_path_factory.mktemp("dma"), spin(), spin()))


FUZZ = settings(max_examples=150)


@FUZZ
@given(address=addresses, size=sizes)
def test_what_is_read_is_what_the_guest_reads(machine: Machine, address: int, size: int) -> None:
    places = machine.places(address, size, write=False)
    if places is None:
        with pytest.raises(DmaError):
            machine.dma.read(address, size)
        with pytest.raises(DmaError):
            machine.dma.views(address, size, write=False)
        return
    expected = b"".join(machine.vm.memory.read(place, 1) for place in places)
    assert machine.dma.read(address, size) == expected
    assert b"".join(machine.dma.views(address, size, write=False)) == expected


@FUZZ
@given(address=addresses, size=sizes, way=st.sampled_from(["write", "write_ring", "views"]), fill=st.integers(0, 255))
def test_what_is_written_goes_nowhere_else(machine: Machine, address: int, size: int, way: str, fill: int) -> None:
    before, places = bytearray(machine.everything()), machine.places(address, size, write=True)
    data = bytes([fill]) * size
    try:
        if way == "views":
            for view in machine.dma.views(address, size, write=True):
                view[:] = data[: len(view)]
        else:
            getattr(machine.dma, way)(address, data)
        refused = False
    except DmaError:
        refused = True
    machine.dma.settle()
    assert refused is (places is None)
    after = machine.everything()
    if places is not None:
        for place in places:
            before[place - RAM_BASE] = fill
        assert after == before
    else:
        changed = [n for n in range(0, 2 * RAM_SIZE, PAGE) if after[n : n + PAGE] != before[n : n + PAGE]]
        pages = {address // PAGE * PAGE + n for n in range(0, size + PAGE, PAGE)}
        assert {RAM_BASE + n for n in changed} <= pages  # the part before the page that refuses


def test_a_change_of_stage_2_takes_effect_at_once(tmp_path: Path) -> None:
    machine = Machine(tiny(tmp_path, spin(), spin()))
    page = RAM_BASE + 0x20_0000
    assert len(machine.dma.read(page, 8)) == 8
    with pytest.raises(DmaError, match=f"^the guest has no memory at {HOLE:#x}$"):
        machine.dma.read(HOLE, 1)
    machine.vm.stage2.map(HOLE, S2Leaf(machine.vm.physical(HOLE)), PAGE)
    assert len(machine.dma.read(HOLE, 1)) == 1
