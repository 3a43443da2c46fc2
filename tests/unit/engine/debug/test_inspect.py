"""The facade as front ends use it: through a machine's thread, and without a trace."""

from __future__ import annotations

import pytest

from engine import config, inspect
from engine.control import Control, ControlError
from engine.machine import Machine
from engine.paths import machines_dir
from tests.unit.engine.debug.guests import SECOND, standing


def look_at_everything(control: Control) -> None:
    for partition in control.system.partitions:
        inspect.ipa_map(control, partition.name)
        inspect.who_maps(control, partition.ram_base)
        for vcpu in partition.vcpus:
            place = partition.name, vcpu.index
            state = vcpu.registers
            inspect.code(control, *place)
            inspect.stack(control, *place)
            inspect.memory(control, *place, state.x[31] & ~0xF, 64)
            for access in ("read", "write", "execute"):
                inspect.translation(control, *place, state.pc, "va", access)
                inspect.translation(control, *place, partition.ram_base, "ipa", access)


@pytest.mark.parametrize(("file", "cycles"), [("two-vms.toml", SECOND), ("ffa.toml", 0), ("tfa.toml", 0)])
def test_looking_after_every_step_changes_nothing(file: str, cycles: int) -> None:
    """Steps that switch vCPUs, trap, and share memory: the events and registers stay the same, bit for bit."""
    digests = []
    for look in (False, True):
        control = standing(file, cycles, digest=True)
        for step in range(50):
            control.run_instructions(1 if step % 2 else 3001)
            if look:
                look_at_everything(control)
        control.run_instructions(50_000)
        digests.append(control.digest())
    assert digests[0] == digests[1]


def test_through_the_machines_thread() -> None:
    machine = Machine(config.load(machines_dir() / "two-vms.toml"))
    machine.control.advance(SECOND // 2)
    machine.start(running=False)
    try:
        view = machine.ask(lambda control: inspect.code(control, "vm0", 0)).result(10)
        assert [line.is_pc for line in view.lines].index(True) == 8
        with pytest.raises(ControlError, match="there is no partition 'nobody'"):
            machine.ask(lambda control: inspect.ipa_map(control, "nobody")).result(10)
    finally:
        machine.close()
