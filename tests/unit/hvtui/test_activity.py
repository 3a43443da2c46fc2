"""How busy vCPUs were, in bars."""

from __future__ import annotations

import msgspec

from engine import config, paths
from engine.machine import Machine
from engine.views import MachineView
from hvtui.activity import MOMENTS, Activity


def busy(view: MachineView, cycles: int, *instructions: int) -> MachineView:
    """The same machine later, its vCPUs having executed so many."""
    counts = iter(instructions)
    vms = tuple(
        msgspec.structs.replace(
            vm, vcpus=tuple(msgspec.structs.replace(vcpu, instructions=next(counts)) for vcpu in vm.vcpus)
        )
        for vm in view.vms
    )
    return msgspec.structs.replace(view, cycles=cycles, vms=vms)


def two_vms() -> MachineView:
    machine = Machine(config.load(paths.machines_dir() / "two-vms.toml"))
    machine.start(running=False)
    try:
        return machine.view().result(10)
    finally:
        machine.close()


def test_bars_are_against_the_busiest() -> None:
    view, activity = two_vms(), Activity()
    activity.look(busy(view, 0, 0, 0, 0, 0))
    assert activity.bars("vm0", 0) == " " * MOMENTS
    activity.look(busy(view, 10, 800, 400, 1, 0))
    assert [activity.bars(vm, n)[-1] for vm in ("vm0", "vm1") for n in (0, 1)] == ["█", "▄", "▁", " "]
    activity.look(busy(view, 10, 900, 900, 900, 900))
    assert activity.bars("vm0", 0) == f"{'█':>{MOMENTS}}", "the same instant"
    activity.look(busy(view, 20, 800, 2000, 1, 0))
    assert activity.bars("vm0", 0)[-2:] == "▄ "
    assert activity.bars("vm0", 1)[-2:] == "▂█"


def test_a_reset_counts_as_nothing_and_old_moments_go() -> None:
    view, activity = two_vms(), Activity()
    for moment in range(3 * MOMENTS):
        activity.look(busy(view, moment, moment * 10, 0, 0, 0))
    assert activity.bars("vm0", 0) == "█" * MOMENTS
    activity.look(busy(view, 100, 0, 0, 0, 0))
    assert activity.bars("vm0", 0) == "█" * (MOMENTS - 1) + " "
    assert activity.bars("nobody", 0) == " " * MOMENTS
