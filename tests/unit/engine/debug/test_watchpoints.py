"""Watchpoints stop right after the access, for every kind of access, and change nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from engine import config, paths
from engine.arch.addressing import first_address
from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE
from engine.build import build
from engine.control import Control, ControlError
from engine.debug.stops import AccessKind
from engine.events import ExceptionInjected
from engine.hypervisor.virtual_time import NO_LIMIT
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, RAM_SIZE, Bench, Guest, spin, tiny

STP_X2_X3 = 0xA9000C22
LDP_X1_X3 = 0xA9400C21
"""LDP X1, X3, [X1]: the base is overwritten."""
LDP_X2_X3_POST = 0xA8C10C22
"""LDP X2, X3, [X1], #16."""
LDXP_X2_X3 = 0xC87F0C22
STXP_W7_X2_X3 = 0xC8270C22
STR_Q0 = 0x3D800020
ST4 = 0x4C000C20
"""ST4 {V0.2D-V3.2D}, [X1]."""
STLR_X2 = 0xC89FFC22
LDR_X2_PRE = 0xF8408C22
"""LDR X2, [X1, #8]!."""
STRB_W2 = 0x39000022


def stands_at(tmp_path: Path, *words: int, x1: int = DATA, x2: int = 0x1122_3344_5566_7788) -> tuple[Bench, int]:
    """A guest that is about to execute these words and spin, and where they are."""
    program = Program().constant(1, x1).constant(2, x2).constant(3, 0x33)
    start = program.here
    bench = tiny(tmp_path, program.emit(*words).loop()).run(start // 4)
    return bench, RAM_BASE + start


ACCESSES = [
    ("str", a.str_(2, 1), "w", 0, "writes 8 bytes"),
    ("ldr", a.ldr(2, 1), "r", 7, "reads 8 bytes"),
    ("ldr of its base", a.ldr(1, 1), "r", 0, "reads 8 bytes"),
    ("strb", STRB_W2, "w", 0, "writes 1 byte"),
    ("stp first", STP_X2_X3, "w", 3, "writes 8 bytes"),
    ("stp second", STP_X2_X3, "w", 8, "writes 8 bytes"),
    ("ldp second, of its base", LDP_X1_X3, "r", 15, "reads 8 bytes"),
    ("ldp post", LDP_X2_X3_POST, "r", 8, "reads 8 bytes"),
    ("pre-index", LDR_X2_PRE, "r", 8, "reads 8 bytes"),
    ("ldxr", a.ldxr(4, 1), "r", 0, "reads 8 bytes"),
    ("ldxp", LDXP_X2_X3, "r", 12, "reads 8 bytes"),
    ("stlr", STLR_X2, "w", 0, "writes 8 bytes"),
    ("str q", STR_Q0, "w", 15, "writes 8 bytes"),
    ("st4", ST4, "w", 63, "writes 8 bytes"),
    ("dc zva", a.dc_zva(1), "w", 40, "writes 64 bytes"),
]


@pytest.mark.parametrize("space", ["va", "pa"])
@pytest.mark.parametrize(("word", "access", "offset", "words"), [each[1:] for each in ACCESSES], ids=lambda v: str(v))
def test_it_stops_right_after_the_instruction(
    tmp_path: Path, word: int, access: str, offset: int, words: str, space: str
) -> None:
    bench, start = stands_at(tmp_path, word)
    watch = bench.control.add_watchpoint("vm0", DATA + offset, 1, access, space)
    before = bench.hypervisor.progress
    held = bench.control.run_on(NO_LIMIT)
    assert held.startswith(f"watchpoint 1: vm0/0 {words} at {DATA:#x}"[:-3])
    assert held.endswith(f", at {start:#x}")
    assert (bench.vcpu.registers.pc, bench.hypervisor.progress, watch.hits) == (start + 4, before + 1, 1)


@pytest.mark.parametrize(("word", "access"), [(each[1], each[2]) for each in ACCESSES])
def test_what_does_not_touch_it_does_not_stop(tmp_path: Path, word: int, access: str) -> None:
    """Right before and right behind, of the other kind, and at the same place of another page."""
    bench, _ = stands_at(tmp_path, word)
    other = {"r": "w", "w": "r"}[access]
    for place, kind in ((DATA - 1, "rw"), (DATA + 64, "rw"), (DATA, other), (DATA + 0x1000, "rw")):
        for space in ("va", "pa"):
            bench.control.add_watchpoint("vm0", place, 1, kind, space)
    bench.control.add_watchpoint("vm0", DATA - 4096, 4096, "rw")
    assert bench.control.run_on(bench.hypervisor.now + 1000) == ""
    plain, _ = stands_at(tmp_path, word)
    plain.run(1000)
    assert bench.digest() == plain.digest()


def test_a_payload_at_el2_clears_a_block_by_itself(tmp_path: Path) -> None:
    """Nothing traps DC ZVA there: the engine clears byte by byte, and it is one access all the same."""
    program = Program().constant(1, DATA + 5)
    bench = tiny(tmp_path, Guest(program.emit(a.dc_zva(1)).loop(), el=2))
    watch = bench.control.add_watchpoint("vm0", DATA + 40, 1)
    held = bench.control.run_on(bench.hypervisor.now + 1000)
    assert held == f"watchpoint 1: vm0/0 writes 64 bytes at {DATA:#x}, at {RAM_BASE + program.here - 8:#x}"
    assert watch.hits == 1


def test_both_values_are_told(tmp_path: Path) -> None:
    bench, start = stands_at(tmp_path, a.str_(2, 1), a.add(2, 2, 1), a.str_(2, 1), a.ldr(4, 1), x2=5)
    bench.control.add_watchpoint("vm0", DATA, 8, AccessKind.ANY)
    stops = [bench.control.run_on(NO_LIMIT) for _ in range(3)]
    assert stops == [
        f"watchpoint 1: vm0/0 writes 8 bytes at {DATA:#x}, 0x0 -> 0x5, at {start:#x}",
        f"watchpoint 1: vm0/0 writes 8 bytes at {DATA:#x}, 0x5 -> 0x6, at {start + 8:#x}",
        f"watchpoint 1: vm0/0 reads 8 bytes at {DATA:#x}, 0x6, at {start + 12:#x}",
    ]


def test_a_store_exclusive_counts_only_if_it_stored_and_reads_nothing(tmp_path: Path) -> None:
    words = (a.stxr(5, 2, 1), a.ldxr(4, 1), a.str_(3, 1), a.stxr(5, 2, 1), a.ldxr(4, 1), a.stxr(5, 2, 1))
    bench, start = stands_at(tmp_path, *words)
    bench.control.add_watchpoint("vm0", DATA, 8, "w")
    stops = [bench.control.run_on(bench.hypervisor.now + 100) for _ in range(3)]
    assert [stop.rpartition(" ")[2] for stop in stops] == [f"{start + 8:#x}", f"{start + 20:#x}", ""]
    again, start = stands_at(tmp_path, *words)
    again.control.add_watchpoint("vm0", DATA, 8, "r")
    reads = [again.control.run_on(again.hypervisor.now + 100) for _ in range(3)]
    assert [stop.rpartition(" ")[2] for stop in reads] == [f"{start + 4:#x}", f"{start + 16:#x}", ""]


def test_an_exclusive_pair(tmp_path: Path) -> None:
    bench, _ = stands_at(tmp_path, LDXP_X2_X3, STXP_W7_X2_X3)
    bench.control.add_watchpoint("vm0", DATA + 8, 8, "rw")
    stops = [bench.control.run_on(NO_LIMIT) for _ in range(2)]
    assert [stop.partition("0 ")[2][:5] for stop in stops] == ["reads", "write"]
    assert bench.x(7) == 0


@pytest.mark.parametrize("space", ["va", "pa"])
@pytest.mark.parametrize("offset", [-3, 2, 4])
def test_an_access_across_pages_touches_both(tmp_path: Path, offset: int, space: str) -> None:
    edge = DATA + 0x1000
    bench, start = stands_at(tmp_path, a.str_(2, 1), x1=edge - 3)
    bench.control.add_watchpoint("vm0", edge + offset, 1, "w", space)
    assert bench.control.run_on(NO_LIMIT).endswith(
        f"writes 8 bytes at {edge - 3:#x}, -> 0x1122334455667788, at {start:#x}"
    )


def mapped(bench: Bench, second: bool) -> int:
    """Stage 1 on: VA 0x4020_0000 is DATA + 0x5000 and, if `second`, the page after it DATA + 0x2000. The VA."""
    tables, memory = DATA + 0x8000, bench.vm.memory
    base = bench.vm.physical(RAM_BASE)
    at = bench.vm.physical(tables)
    memory.write_u64(at + 8, tables + 0x1000 | 3)
    memory.write_u64(at + 0x1000, RAM_BASE | 0x701)
    memory.write_u64(at + 0x1008, tables + 0x2000 | 3)
    memory.write_u64(at + 0x2000, DATA + 0x5000 | 0x703)
    if second:
        memory.write_u64(at + 0x2008, DATA + 0x2000 | 0x703)
    assert base == RAM_BASE
    bench.vm.load(bench.vcpu)
    core = bench.vm.core
    for register, value in ((SysReg.TTBR0_EL1, tables), (SysReg.TCR_EL1, 25 | 1 << 23), (SysReg.SCTLR_EL1, 1)):
        core.write(register, value)
    core.write(SysReg.VBAR_EL1, RAM_BASE + 0x800)
    core.flush_tlb()
    return 0x4020_0000


@pytest.mark.parametrize(
    ("space", "address", "stops"),
    [
        ("va", 0x4020_1000, True),
        ("va", DATA + 0x2000, False),
        ("pa", DATA + 0x2004, True),
        ("pa", DATA + 0x5FFD, True),
        ("pa", DATA + 0x6000, False),
    ],
)
def test_virtual_and_physical_addresses_are_told_apart(tmp_path: Path, space: str, address: int, stops: bool) -> None:
    bench, start = stands_at(tmp_path, a.str_(2, 1), x1=0x4020_0FFD)
    mapped(bench, second=True)
    bench.control.add_watchpoint("vm0", address, 1, "w", space)
    held = bench.control.run_on(bench.hypervisor.now + 100)
    assert held.endswith(f"writes 8 bytes at 0x40200ffd, -> 0x1122334455667788, at {start:#x}") is stops
    assert bool(held) is stops


def test_an_access_that_faults_half_way_is_none(tmp_path: Path) -> None:
    bench, _ = stands_at(tmp_path, a.str_(2, 1), x1=0x4020_0FFD)
    mapped(bench, second=False)
    watch = bench.control.add_watchpoint("vm0", 0x4020_0FFD, 3, "rw")
    bench.control.run_on(bench.hypervisor.now + 3)
    assert any(isinstance(event, ExceptionInjected) for event in bench.events())
    assert watch.hits == 0


def test_physical_memory_is_watched_in_every_partition(tmp_path: Path) -> None:
    writer = Program().constant(1, DATA).emit(a.str_(2, 1)).loop()
    bench = tiny(tmp_path, Guest(spin()), Guest(writer))
    bench.control.add_watchpoint("vm0", DATA, 8, "w")
    bench.control.add_watchpoint("vm0", DATA + RAM_SIZE, 8, "w", "pa")
    assert bench.control.run_on(NO_LIMIT).startswith("watchpoint 2: vm1/0 writes 8 bytes at ")


def test_conditions_ignored_hits_and_temporary_ones(tmp_path: Path) -> None:
    program = Program().constant(1, DATA).label("again").emit(a.add(2, 2, 1), a.str_(2, 1)).b("again")
    bench = tiny(tmp_path, program)
    watch = bench.control.add_watchpoint("vm0", DATA, 8, condition="[x1] > 9 && x2 & 1", ignore=2, temporary=True)
    assert bench.control.run_on(NO_LIMIT).startswith("watchpoint 1")
    assert (bench.x(2), watch.hits) == (15, 3)
    assert bench.control.run_on(bench.hypervisor.now + 1000) == ""
    assert list(bench.system.breakpoints) == []


def test_one_number_space_with_breakpoints(tmp_path: Path) -> None:
    bench, start = stands_at(tmp_path, a.str_(2, 1))
    bench.control.add_breakpoint("vm0", start)
    bench.control.add_watchpoint("vm0", DATA)
    kinds = [(view.number, view.kind, view.access, view.size) for view in bench.system.breakpoints.view()]
    assert kinds == [(1, "breakpoint", "", 0), (2, "watchpoint", "w", 8)]
    bench.control.remove_breakpoint(2)
    assert bench.control.run_on(bench.hypervisor.now + 100).startswith("breakpoint 1")
    assert bench.control.run_on(bench.hypervisor.now + 100) == ""


def test_a_disabled_one_costs_and_stops_nothing(tmp_path: Path) -> None:
    bench, _ = stands_at(tmp_path, a.str_(2, 1))
    bench.control.add_watchpoint("vm0", DATA)
    bench.control.change_breakpoint(1, enabled=False)
    assert bench.vm.core._accesses._hooks == []
    assert bench.control.run_on(bench.hypervisor.now + 100) == ""


@pytest.mark.parametrize(
    ("size", "access", "space", "address"),
    [(0, "w", "va", 0), (4097, "w", "va", 0), (8, "x", "va", 0), (8, "w", "ipa", 0), (8, "w", "va", (1 << 64) - 7)],
)
def test_what_cannot_be_watched(tmp_path: Path, size: int, access: str, space: str, address: int) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(ControlError, match=r"^expected "):
        bench.control.add_watchpoint("vm0", address, size, access, space)
    assert list(bench.system.breakpoints) == []


@pytest.mark.parametrize(
    ("word", "address"),
    [
        (0xF8626823, 0x1000 + 0xFFFF_FFF8),  # ldr x3, [x1, x2]
        (0xF862D823, 0x1000 - 8 * 8),  # ldr x3, [x1, w2, sxtw #3]
        (0xF8625823, 0x1000 + 8 * 0xFFFF_FFF8),  # ldr x3, [x1, w2, uxtw #3]
        (0xF85F8023, 0x1000 - 8),  # ldur x3, [x1, #-8]
        (0x58000083, 0x4000 + 16),  # ldr x3, pc + 16
        (0x58FFFFE3, 0x4000 - 4),  # ldr x3, pc - 4
        (0xA97F0C22, 0x1000 - 16),  # ldp x2, x3, [x1, #-16]
        (0x2D7F0C22, 0x1000 - 8),  # ldp s2, s3, [x1, #-8]
        (0xAD7F0C22, 0x1000 - 32),  # ldp q2, q3, [x1, #-32]
        (0x3DC00422, 0x1000 + 16),  # ldr q2, [x1, #16]
        (0x79400422, 0x1000 + 2),  # ldrh w2, [x1, #2]
        (0xF94003E2, 0x7000),  # ldr x2, [sp]
        (a.dc_zva(1), 0x1000),
        (a.NOP, None),
        (a.add(1, 1, 1), None),
        (a.svc(), None),
    ],
)
def test_where_instructions_access_memory(word: int, address: int | None) -> None:
    registers = [0] * 31 + [0x7000]
    registers[1], registers[2] = 0x1000, 0xFFFF_FFF8
    assert first_address(word, 0x4000, registers) == address


# --- real guests ----------------------------------------------------------------------------------------


def _machine(name: str) -> Control:
    return Control(build(config.load(paths.machines_dir() / name), digest=True))


@pytest.mark.parametrize("space", ["va", "pa"])
@pytest.mark.parametrize(("name", "ms"), [("two-vms.toml", 1100), ("ffa.toml", 400)])
def test_one_that_is_never_hit_changes_nothing(name: str, ms: int, space: str) -> None:
    plain, watched = _machine(name), _machine(name)
    end = plain.system.hypervisor.cycles_of_ns(ms * 1_000_000)
    top = watched.system.vms[0].ram_base + watched.system.vms[0].ram_size
    watched.add_watchpoint("vm0", top - 0x8000, 16, "rw", space)
    plain.advance(end)
    assert watched.run_on(end) == ""
    assert watched.system.hypervisor.progress == plain.system.hypervisor.progress
    assert watched.digest() == plain.digest()


@pytest.mark.parametrize("space", ["va", "pa"])
def test_a_hundred_hits_change_nothing(space: str) -> None:
    """The stack of a vCPU, which is busy; with VMs and secure partitions in conversation."""
    plain, watched = _machine("ffa.toml"), _machine("ffa.toml")
    end = plain.system.hypervisor.cycles_of_ns(400_000_000)
    plain.advance(end)
    watched.run_on(plain.system.hypervisor.cycles_of_ns(100_000_000))
    for partition in watched.system.partitions:
        sp = partition.vcpus[0].registers.x[31]
        watched.vm(partition.name).load(partition.vcpus[0])
        physical = partition.core.translate(sp - 256)
        if physical is not None:
            watched.add_watchpoint(partition.name, sp - 256 if space == "va" else physical, 256, "rw", space)
    held = 0
    while watched.run_on(end):
        held += 1
    assert held > 100
    assert watched.system.hypervisor.progress == plain.system.hypervisor.progress
    assert watched.digest() == plain.digest()


def test_a_secure_partition_is_watched() -> None:
    control = _machine("ffa.toml")
    control.run_on(control.system.hypervisor.cycles_of_ns(10_000_000))
    base = control.vm("sp_hello").ram_base
    code = struct.unpack("<4I", control.memory("sp_hello", 0, base, 16, "pa"))
    assert any(code)
    control.add_watchpoint("sp_hello", control.evaluate("sp_hello", 0, "sp") - 256, 256, "w")
    assert control.run_on(NO_LIMIT).startswith("watchpoint 1: sp_hello/0 writes ")
