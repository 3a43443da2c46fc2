"""Who runs next on a core: virtual machines in turn, and in each its vCPUs in turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from engine.hypervisor.physical_core import PhysicalCore


@dataclass(eq=False)
class FakeVcpu:
    """As much of a vCPU as a core looks at."""

    name: str
    runnable: bool = True


def core(*queues: list[FakeVcpu]) -> PhysicalCore:
    made = PhysicalCore(0)
    for queue in queues:
        made.add(cast("list[Any]", queue), False)
    return made


def picks(made: PhysicalCore, count: int) -> str:
    names = []
    for _ in range(count):
        vcpu = cast("FakeVcpu | None", made.pick())
        names.append("-" if vcpu is None else vcpu.name)
    return " ".join(names)


def test_two_levels() -> None:
    assert picks(core([FakeVcpu("a0"), FakeVcpu("a1"), FakeVcpu("a2")], [FakeVcpu("b0")]), 8) == (
        "a0 b0 a1 b0 a2 b0 a0 b0"
    )


def test_who_cannot_run_is_passed_over_and_keeps_its_place() -> None:
    first, second, other = FakeVcpu("a0"), FakeVcpu("a1"), FakeVcpu("b0")
    made = core([first, second], [other])
    first.runnable = False
    assert picks(made, 4) == "a1 b0 a1 b0"
    first.runnable = True
    assert picks(made, 4) == "a0 b0 a1 b0"


def test_nobody_can_run() -> None:
    made = core([FakeVcpu("a0", False)], [FakeVcpu("b0", False)])
    assert picks(made, 2) == "- -"


def test_contended_means_somebody_else_could_run() -> None:
    one, other = FakeVcpu("a0"), FakeVcpu("b0", False)
    made = core([one], [other])
    assert not made.contended(cast("Any", one))
    other.runnable = True
    assert made.contended(cast("Any", one))
