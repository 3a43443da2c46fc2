"""A kernel's own tables, code and stacks, looked at while it boots."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine import inspect
from engine.arch.regime import Access
from engine.debug.translating import Translator
from tests.support.linux import linux_config, needs_linux
from tests.support.machines import Bench

pytestmark = needs_linux

ACCESSES = {Access.READ: {}, Access.WRITE: {"write": True}, Access.EXECUTE: {"execute": True}}
BOOTED = 100_000_000
"""Instructions in which the kernel runs from its upper half, by tables of pages."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    directory: Path = tmp_path_factory.mktemp("linux")
    return Bench(linux_config(directory, {}), digest=False).run(BOOTED)


def test_a_kernels_addresses_translate_as_its_engine_does(bench: Bench) -> None:
    chosen = random.Random(1)
    state = bench.vcpu.registers
    near = [*state.x, state.pc, *(state.pc + chosen.randrange(-1 << 24, 1 << 24) for _ in range(300))]
    near += [state.x[31] + chosen.randrange(-1 << 20, 1 << 20) for _ in range(200)]
    anywhere = [chosen.getrandbits(chosen.randrange(1, 65)) for _ in range(300)]
    translator = Translator(bench.vcpu)
    found = set()
    for address in (each & (1 << 64) - 1 for each in (*near, *anywhere)):
        for access, how in ACCESSES.items():
            translation = translator.translate(address, access)
            assert translation.physical == bench.vm.core.translate(address, **how), (hex(address), access)
            found.add(str(translation.fault))
    assert len(found) > 5


def test_its_code_and_calls(bench: Bench) -> None:
    pc = bench.vcpu.registers.pc
    view = inspect.translation(bench.control, "vm0", 0, pc, access="execute")
    assert view.stage1 is not None
    assert (view.stage1.register, view.fault, view.permissions) == ("TTBR1_EL1", None, "r-x")
    frames = inspect.stack(bench.control, "vm0", 0)
    assert len(frames.frames) > 3
    assert frames.end == "the return address is 0: the first function"
    (line,) = inspect.code(bench.control, "vm0", 0, None, 0, 0).lines
    assert (line.address, line.is_pc) == (pc, True)
    assert line.mnemonic != "unmapped"
