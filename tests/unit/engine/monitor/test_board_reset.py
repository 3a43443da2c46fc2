"""Whoever owns EL2 resets the board: the secure world forgets what it was in the middle of, and starts over."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config, paths
from engine.arch.psci import Function as Psci
from engine.board.memory_map import RAM_BASE
from engine.control import ControlError
from engine.events import BootStage
from engine.ffa.abi import Function, id_pair
from engine.ffa.transactions import Kind
from engine.spmc.states import ContextState
from engine.views import VmRunState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, Bench, Guest
from tests.support.secure import Sp, echo, secure
from tests.unit.engine.spmc.standing import HYPERVISOR, OPEN_NX, SP1, SP2, Standing


def ram_of(machine: Standing) -> list[list[tuple[int, int]]]:
    """What each partition's stage 2 maps."""
    return [
        [(ipa, size) for ipa, size, _ in partition.stage2.leaves()] for partition in machine.spmc.partitions.values()
    ]


def reset(machine: Standing) -> None:
    machine.bench.control.reset(machine.bench.vm.name)
    machine.bench.run(20_000)


def test_shares_buffers_and_donated_pages_are_forgotten(tmp_path: Path) -> None:
    machine = Standing(tmp_path)
    maps, mailboxes = ram_of(machine), [each.mailbox for each in machine.manager.endpoints.values()]
    used = machine.sp(SP1).stage2.tables.used
    machine.map_buffers(HYPERVISOR, SP1, SP2)
    donated = machine.sent(Kind.DONATE, SP1, (SP2,))
    assert machine.retrieve(SP2, donated, OPEN_NX, owner=SP1) == 0
    machine.sent()
    assert machine.manager.table.records
    assert ram_of(machine) != maps
    reset(machine)
    assert ram_of(machine) == maps
    assert machine.sp(SP1).stage2.tables.used == used
    assert not machine.manager.table.records
    assert all(each.buffers is None for each in mailboxes)
    assert [each.contexts[0].state for each in machine.spmc.partitions.values()] == [ContextState.IDLE] * 3
    machine.map_buffers(HYPERVISOR, SP1, SP2)
    assert machine.retrieve(SP1, machine.sent()) == 0


def test_a_chain_of_calls_is_over(tmp_path: Path) -> None:
    machine = Standing(tmp_path)
    machine.enter(SP1)
    machine.raw(SP1, Function.MSG_SEND_DIRECT_REQ_32, id_pair(SP1, SP2))
    reset(machine)
    assert [each.contexts[0].state for each in machine.spmc.partitions.values()] == [ContextState.IDLE] * 3
    machine.enter(SP2)
    machine.respond(SP2)
    assert machine.state(SP2) is ContextState.IDLE


@pytest.mark.parametrize("core", [0, 1])
def test_system_reset_starts_the_secure_world_over(tmp_path: Path, core: int) -> None:
    """DEN0022 5.1.9, by either core; counted in memory that no image is loaded to."""
    program = Program().b("start").label("reset").call(Psci.SYSTEM_RESET, conduit=a.smc()).label("start")
    program.constant(19, DATA).emit(a.ldr(20, 19), a.add(20, 20, 1), a.str_(20, 19), a.movz(21, 3), a.cmp(20, 21))
    program.b_cond(a.EQ, "done")
    if core:
        program.call(Psci.CPU_ON, core, RAM_BASE + program.offset("reset"), 0, conduit=a.smc()).loop()
    else:
        program.b("reset")
    program.label("done").call(Function.MSG_SEND_DIRECT_REQ_32, SP1, 0, 0, 5, conduit=a.smc())
    program.emit(a.str_(4, 19, 8)).loop()
    bench = secure(tmp_path, [Sp(echo())], Guest(program, vcpus=2, el=2), cores=2).run(100_000)
    assert bench.words(DATA, 2) == [3, 0x1005]
    boots = [event for event in bench.events() if isinstance(event, BootStage) and event.stage == "BL33"]
    assert len(boots) == 3
    assert sorted({event.cycle for event in boots}) == [event.cycle for event in boots]


def test_the_test_client_passes_again(tmp_path: Path) -> None:
    """After all its tests, which leave two partitions failed."""
    bench = Bench(config.load(paths.machines_dir() / "tfa.toml")).run_ms(100)
    bench.control.reset("bl33")
    bench.run_ms(200)
    assert bench.console().count("73 PASS of 73") == 2
    assert bench.vm.state is VmRunState.OFF


def test_a_partition_is_not_reset_alone(tmp_path: Path) -> None:
    bench = secure(tmp_path, [Sp(echo())], Guest(Program().loop(), el=2))
    with pytest.raises(ControlError, match="sp1 is secure"):
        bench.control.reset("sp1")
