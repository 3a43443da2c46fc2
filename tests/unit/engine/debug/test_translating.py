"""Addresses of real guests against the CPU that runs them: VMs, secure partitions, and firmware that owns EL2."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.arch.regime import Access
from engine.control import Control
from engine.debug.translating import Translator, onlooker
from engine.errors import MachineError
from engine.images.dtb import Value
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import spin, tiny
from tests.support.secure import SP_BASE, Sp, secure
from tests.unit.engine.debug.guests import standing

ACCESSES = {Access.READ: {}, Access.WRITE: {"write": True}, Access.EXECUTE: {"execute": True}}
FILES = ["two-vms.toml", "ffa-vms.toml", "ffa.toml", "tfa.toml"]
addresses = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 40) - 1),
    st.integers(0x0800_0000, 0x0F00_0000),
    st.integers(0x4000_0000, 0x8000_0000),
)


@cache
def machine(file: str) -> Control:
    return standing(file)


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=60, deadline=None)
@given(address=addresses)
@example(address=0)
@example(address=0x4800_0000)
@example(address=0x0900_0000)
@example(address=0xFFFF_FFFF_FFFF_FFFF)
def test_every_vcpu_translates_as_its_engine_does(file: str, address: int) -> None:
    for partition in machine(file).system.partitions:
        for vcpu in partition.vcpus:
            translator = Translator(vcpu)
            for access, how in ACCESSES.items():
                found = translator.translate(address, access)
                assert found.physical == partition.core.translate(address, **how), (vcpu.vm.name, access, found.fault)


def test_partitions_at_s_el0_and_their_stage_2(tmp_path: Path) -> None:
    level: dict[str, Value] = {"exception-level": (1,)}
    bench = secure(tmp_path, [Sp(Program().loop(), level)], spin()).run(1000)
    vcpu = bench.sp().vcpus[0]
    translator = Translator(vcpu)
    assert (translator.regime.el, translator.regime.first.enabled, translator.regime.has_second) == (0, False, True)
    for address in (SP_BASE, SP_BASE + 0xF_FFFF, SP_BASE + 0x10_0000, 0x4000_0000):
        found = translator.translate(address, Access.WRITE)
        assert found.physical == vcpu.vm.core.translate(address, write=True)


def test_a_vcpu_that_is_not_on_the_engine_has_its_own_translations() -> None:
    control = machine("ffa.toml")
    first, second = (control.vcpu(name, 0) for name in ("vm0", "vm1"))
    tables = {Translator(vcpu).regime.first.ttbr[0] for vcpu in (first, second, first)}
    assert len(tables) == 2


def test_an_onlooker_at_el0_reads_what_the_kernel_may(tmp_path: Path) -> None:
    bench = tiny(tmp_path, Program().emit(a.NOP).loop())
    assert (Translator(bench.vcpu, 0).regime.el, onlooker(bench.vcpu).regime.el) == (0, 1)


def test_an_unknown_space_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="expected the address space va, ipa or pa"):
        Translator(tiny(tmp_path, spin()).vcpu).translate(0, Access.READ, "bus")
