"""What can be done to a machine that stands still, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.psci import Function
from engine.arch.sysreg import SysReg
from engine.board import memory_map
from engine.board.memory_map import RAM_BASE
from engine.board.pl011 import HOST_QUEUE
from engine.board.virtio.console import VirtioConsole
from engine.control import LARGEST_SCREEN, ControlError
from engine.debug.goals import Goal
from engine.errors import MachineError
from engine.events import ExceptionInjected, HostInput, Interrupt, Trap
from engine.views import RunState, VcpuState, VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import RAM_SIZE, Bench, Guest, enable_interrupts, machine_config, spin, start_vcpu, tiny


def echo() -> Program:
    """Writes every character it receives back to the console, by polling."""
    program = Program().constant(1, memory_map.UART_BASE).constant(3, 0x301).emit(a.str32(3, 1, 0x30))
    program.constant(4, 0x70).emit(a.str32(4, 1, 0x2C)).label("again").emit(a.ldr32(2, 1, 0x18))
    return program.emit(_and_rx_empty(5, 2)).cbnz(5, "again").emit(a.ldr32(6, 1), a.str32(6, 1)).b("again")


def _and_rx_empty(rd: int, rn: int) -> int:
    """AND Xd, Xn, #0x10: UARTFR.RXFE."""
    return 0x927C0000 | rn << 5 | rd


# --- running ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 1000, 1_500_000])
def test_run_instructions_is_exact(tmp_path: Path, count: int) -> None:
    bench = tiny(tmp_path, spin())
    bench.control.run_instructions(count)
    assert bench.hypervisor.progress == count


def test_a_step_is_one_instruction(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program(*[a.NOP] * 9))
    for n in range(1, 9):
        bench.control.step("vm0", 0)
        assert (bench.vcpu.registers.pc, bench.vcpu.instructions) == (RAM_BASE + 4 * n, n)


@pytest.mark.parametrize(
    ("word", "pc"), [(a.hvc(), 4), (a.smc(), 4), (a.svc(1), 0x800 + 0x200), (a.UDF, 0x800 + 0x200), (a.WFE, 4)]
)
def test_a_step_goes_over_an_exception(tmp_path: Path, word: int, pc: int) -> None:
    program = Program(word, a.NOP).at(0x800).loop()
    bench = tiny(tmp_path, program)
    bench.vm.load(bench.vcpu)
    bench.vm.core.write(SysReg.VBAR_EL1, RAM_BASE + 0x800)
    bench.control.step("vm0", 0)
    assert bench.vcpu.registers.pc == RAM_BASE + pc


def test_any_vcpu_can_be_stepped(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin())
    bench.run(10)
    for _ in range(3):
        bench.control.step("vm1", 0)
    assert [vm.vcpus[0].instructions for vm in bench.system.vms] == [10, 3]


@pytest.mark.parametrize(("program", "state"), [(Program(a.WFI), "blocked"), (Program().call(Function.CPU_OFF), "off")])
def test_a_vcpu_that_does_not_run_cannot_step(tmp_path: Path, program: Program, state: str) -> None:
    bench = tiny(tmp_path, program, spin()).run(1000)
    with pytest.raises(ControlError, match=f"^vm0/0 cannot step: it is {state}$"):
        bench.control.step("vm0", 0)
    assert bench.control.inputs == []


def test_running_to_a_trap(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.VBAR_EL1, RAM_BASE).emit(a.NOP, a.svc()).at(0x200)
    bench = tiny(tmp_path, program.emit(a.NOP, a.hvc(), a.NOP, a.WFI))
    assert bench.control.run_on(1_000_000, Goal.TRAP).startswith("trap: vm0/0 HVC")
    assert bench.vcpu.registers.pc == RAM_BASE + 0x208
    assert bench.control.run_on(1_000_000, Goal.TRAP) == "trap: vm0/0 WFI"
    assert bench.control.run_on(1_000_000, Goal.TRAP) == ""


# --- input --------------------------------------------------------------------------------------------


def test_what_is_typed_reaches_the_guest(tmp_path: Path) -> None:
    bench = tiny(tmp_path, echo())
    bench.run(100)
    assert bench.control.type("vm0", b"hello") == 5
    assert bench.run(2000).console() == "hello"
    (typed,) = bench.control.inputs
    assert (typed.kind, typed.vm, typed.data, typed.cycle, typed.progress) == ("type", "vm0", b"hello", 100, 100)


def test_a_full_port_takes_what_it_can(tmp_path: Path) -> None:
    bench = tiny(tmp_path, echo()).run(100)
    taken = bench.control.type("vm0", b"x" * 2 * HOST_QUEUE)
    assert HOST_QUEUE <= taken < 2 * HOST_QUEUE
    assert set(bench.run(10_000).console()) == {"x"}


def taker() -> Program:
    """Sleeps until an interrupt and keeps its number in x0."""
    return enable_interrupts(Program(), 3, 20).emit(a.WFI, a.mrs(0, SysReg.ICC_IAR1_EL1)).loop()


@pytest.mark.parametrize("intid", [3, 20])
def test_an_injected_interrupt_wakes_and_is_acknowledged(tmp_path: Path, intid: int) -> None:
    bench = tiny(tmp_path, taker()).run_ms(1)
    assert bench.vcpu.state is VcpuState.BLOCKED
    bench.control.inject("vm0", intid)
    assert bench.run(100).x(0) == intid
    (raised,) = [event for event in bench.events() if isinstance(event, Interrupt)]
    assert (raised.intid, raised.source) == (intid, "injected")


def test_an_input_while_every_guest_waits_is_replayed_at_its_time(tmp_path: Path) -> None:
    bench = tiny(tmp_path, taker()).run_ms(3)
    bench.control.inject("vm0", 20)
    bench.run_ms(4)
    again = tiny(tmp_path, taker())
    again.control.replay(bench.control.inputs)
    assert again.run_ms(4).digest() == bench.digest()
    assert again.control.inputs == bench.control.inputs


def test_running_an_idle_machine_does_not_use_up_all_time(tmp_path: Path) -> None:
    bench = tiny(tmp_path, taker()).run(1000)
    bench.control.inject("vm0", 3)
    assert bench.run(100).x(0) == 3


def test_the_size_of_a_screen_is_an_input(tmp_path: Path) -> None:
    machine = machine_config(tmp_path, spin(), vm={"virtio_console": True})
    bench = Bench(machine).run(100)
    bench.control.resize("vm0.hvc0", 132, 43)
    bench.control.resize("vm0", 1, LARGEST_SCREEN)
    bench.run(50)
    device = bench.vm.virtio[0].device
    assert isinstance(device, VirtioConsole)
    assert (device.columns, device.rows) == (132, 43)
    again = Bench(machine)
    again.control.replay(bench.control.inputs)
    assert again.run(50).digest() == bench.digest()
    assert again.control.inputs == bench.control.inputs
    assert [event.number for event in again.control.inputs] == [132 << 16 | 43, 1 << 16 | 0xFFFF]


@pytest.mark.parametrize(("columns", "rows"), [(0, 1), (1, 0), (-1, 1), (0x10000, 1), (1, 0x10000)])
def test_a_screen_of_no_size_is_refused(tmp_path: Path, columns: int, rows: int) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(ControlError, match=f"^expected a size from 1x1 to 65535x65535 .got {columns}x{rows}.$"):
        bench.control.resize("vm0", columns, rows)
    assert bench.control.inputs == []


@pytest.mark.parametrize("intid", [-1, 288, 1 << 40])
def test_an_interrupt_that_does_not_exist_is_refused(tmp_path: Path, intid: int) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(ControlError, match="expected an INTID from 0 to 287"):
        bench.control.inject("vm0", intid)
    assert bench.control.inputs == []


@pytest.mark.parametrize("intid", [0, 15, 16, 31, 32, 287])
def test_every_interrupt_that_exists_can_be_injected(tmp_path: Path, intid: int) -> None:
    bench = tiny(tmp_path, spin())
    bench.control.inject("vm0", intid)
    assert intid in bench.vm.vgic.pending(0)


def test_nothing_is_injected_into_a_vm_that_is_off(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.SYSTEM_OFF)).run(100)
    with pytest.raises(ControlError, match=r"^vm0 is off: nothing can be injected$"):
        bench.control.inject("vm0", 1)


def test_typing_to_a_vm_that_is_off_does_no_harm(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.SYSTEM_OFF)).run(100)
    bench.control.type("vm0", b"hello")
    assert bench.run(100).vm.state is VmRunState.OFF


def test_names_and_numbers_that_are_not_there(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Guest(spin(), vcpus=2), spin())
    with pytest.raises(ControlError, match=r"^there is no partition 'nobody' \(this machine has vm0, vm1\)$"):
        bench.control.inject("nobody", 1)
    with pytest.raises(ControlError, match=r"^there is no console 'nobody' \(this machine has vm0, vm1\)$"):
        bench.control.type("nobody", b"x")
    for index in (-1, 2):
        with pytest.raises(ControlError, match=f"^vm0 has vCPUs 0 to 1, not {index}$"):
            bench.control.step("vm0", index)


def test_reset_powers_a_vm_up_again(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().call(Function.SYSTEM_OFF)).run(100)
    bench.control.reset("vm0")
    assert (bench.vm.state, bench.vcpu.registers.pc) == (VmRunState.RUNNING, RAM_BASE)
    assert bench.run(100).vm.state is VmRunState.OFF


def test_inputs_are_events_too(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(50)
    bench.control.type("vm0", b"a")
    bench.control.inject("vm1", 40)
    bench.control.step("vm1", 0)
    bench.control.reset("vm0")
    assert [event for event in bench.events() if isinstance(event, HostInput)] == bench.control.inputs
    assert [event.kind for event in bench.control.inputs] == ["type", "inject", "step", "reset"]


# --- looking ------------------------------------------------------------------------------------------


def test_registers_of_a_vcpu(tmp_path: Path) -> None:
    program = Program().constant(3, 0x1234_5678_9ABC_DEF0).emit(a.add(a.SP, 3, 0)).loop()
    bench = tiny(tmp_path, program).run(20)
    view = bench.control.registers("vm0", 0)
    assert (view.value("X3"), view.value("SP"), view.value("SP_EL1")) == (0x1234_5678_9ABC_DEF0,) * 3
    assert (view.value("PC"), view.value("CNTVCT_EL0")) == (bench.vcpu.registers.pc, 20)
    with pytest.raises(KeyError):
        view.value("R0")


def test_memory_in_three_address_spaces(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(10)
    code = spin().code
    assert bench.control.memory("vm1", 0, RAM_BASE, 8) == code
    assert bench.control.memory("vm1", 0, RAM_BASE, 8, "ipa") == code
    assert bench.control.memory("vm1", 0, RAM_BASE + RAM_SIZE, 8, "pa") == code
    assert len(bench.control.memory("vm1", 0, RAM_BASE + 5, 9000, "ipa")) == 9000


@pytest.mark.parametrize(
    ("address", "size", "space", "problem"),
    [
        (0x1000, 4, "ipa", "nothing is mapped at ipa 0x1000"),
        (RAM_BASE + RAM_SIZE - 4, 8, "ipa", f"nothing is mapped at ipa {RAM_BASE + RAM_SIZE:#x}"),
        (0x1000, 4, "va", "nothing is mapped at va 0x1000"),
        (0, 4, "pa", "nothing is mapped at pa 0x0"),
        (RAM_BASE, -1, "pa", "expected a size up to 65536 bytes (got -1)"),
        (RAM_BASE, 65537, "pa", "expected a size up to 65536 bytes (got 65537)"),
        (RAM_BASE, 4, "xa", "expected the address space va, ipa or pa (got 'xa')"),
        ((1 << 64) - 2, 4, "va", "nothing is mapped at va 0xfffffffffffffffe"),
        (-4, 4, "ipa", "nothing is mapped at ipa -0x4"),
    ],
)
def test_memory_that_cannot_be_read(tmp_path: Path, address: int, size: int, space: str, problem: str) -> None:
    bench = tiny(tmp_path, spin())
    with pytest.raises(MachineError) as caught:
        bench.control.memory("vm0", 0, address, size, space)
    assert str(caught.value) == problem


def test_views_tell_what_there_is(tmp_path: Path) -> None:
    program = start_vcpu(Program(), 1, 0x800).loop().at(0x800).emit(a.WFI)
    bench = tiny(tmp_path, Guest(program, vcpus=3), spin(), cores=2).run(100_000)
    view = bench.control.view(RunState.PAUSED, "looking")
    assert (view.name, view.state, view.detail, view.events) == (
        "machine",
        RunState.PAUSED,
        "looking",
        bench.system.events.total,
    )
    assert [vcpu.state for vcpu in view.vms[0].vcpus][1:] == [VcpuState.BLOCKED, VcpuState.OFF]
    assert [vm.vmid for vm in view.vms] == [1, 2]
    assert view.instructions == sum(vcpu.instructions for vm in view.vms for vcpu in vm.vcpus) == 100_000


def test_looking_is_not_an_event(tmp_path: Path) -> None:
    bench = tiny(tmp_path, spin(), spin()).run(100)
    before = bench.digest()
    bench.control.view(RunState.PAUSED, "")
    bench.control.registers("vm1", 0)
    bench.control.memory("vm1", 0, RAM_BASE, 64)
    assert bench.digest() == before


def test_exceptions_and_traps_are_events(tmp_path: Path) -> None:
    program = Program().set_register(SysReg.VBAR_EL1, RAM_BASE)
    place = program.here
    bench: Bench = tiny(tmp_path, program.emit(a.hvc(), a.svc(9)).at(0x200).emit(a.NOP).loop()).run(20)
    (trap,) = [event for event in bench.events() if isinstance(event, Trap)]
    assert (trap.cycle, trap.pc, trap.what[:3]) == (place // 4 + 1, RAM_BASE + place + 4, "HVC")
    taken = [event for event in bench.events() if isinstance(event, ExceptionInjected)]
    assert (taken[0].cycle, taken[0].esr, taken[0].target_el) == (place // 4 + 2, 0x5600_0009, 1)
