"""Secure memory is not there for the normal world, whatever its exception level and however it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.arch.sysreg import SysReg
from engine.board.memory_map import RAM_BASE, SPMC_BASE
from engine.ffa.abi import Function
from engine.ffa.descriptors import EndpointAccess, MemoryRegion, pack
from engine.ffa.errors import Code
from engine.ffa.memory import NORMAL_WB_ISH, Data, Permissions
from engine.ffa.ranges import Composite, Range
from engine.ffa.version import V1_2
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, store_result
from tests.support.secure import SP_BASE, Sp, echo, secure

VECTORS, EL0 = 0x1000, 0x800
CURRENT, LOWER = 0x200, 0x400
EXTERNAL = 0x10
TX, RX = RAM_BASE + 0x20_0000, RAM_BASE + 0x20_1000


def probing(el: int, address: int) -> Program:
    """Load from an address at EL0, EL1 or EL2; ESR of the abort goes to DATA, FAR beside it."""
    own = 2 if el == 2 else 1
    vbar = SysReg.VBAR_EL2 if own == 2 else SysReg.VBAR_EL1
    esr, far = (SysReg.ESR_EL2, SysReg.FAR_EL2) if own == 2 else (SysReg.ESR_EL1, SysReg.FAR_EL1)
    program = Program().set_register(vbar, RAM_BASE + VECTORS).constant(8, address)
    if el == 0:
        program.set_register(SysReg.ELR_EL1, RAM_BASE + EL0).set_register(SysReg.SPSR_EL1, 0x3C0).emit(a.ERET).at(EL0)
    program.emit(a.ldr(3, 8)).loop()
    program.at(VECTORS + (LOWER if el == 0 else CURRENT)).emit(a.mrs(4, esr), a.mrs(5, far))
    return store_result(store_result(program, 4, 0), 5, 1).loop()


@pytest.mark.parametrize("address", [SPMC_BASE, SP_BASE, SP_BASE + 0x4000, 0x0E80_0000])
@pytest.mark.parametrize("el", [0, 1, 2])
def test_a_touch_is_an_external_abort(tmp_path: Path, el: int, address: int) -> None:
    """Arm ARM D17.2.37: a data abort, DFSC 0b010000, with the address in FAR."""
    bench = secure(tmp_path, [Sp(echo())], probing(el, address), el=2 if el == 2 else 1).run(3000)
    esr, far = bench.words(DATA, 2)
    assert (esr >> 26, esr & 0x3F, far) == (0x24 if el == 0 else 0x25, EXTERNAL, address)


@pytest.mark.parametrize("el", [1, 2])
@pytest.mark.parametrize("address", [SPMC_BASE, SP_BASE])
def test_nobody_shares_it_by_naming_it(tmp_path: Path, el: int, address: int) -> None:
    sender = 1 if el == 1 else 0
    access = EndpointAccess(0x8001, Permissions(Data.RW), composite=Composite((Range(address, 1),)))
    data = pack(MemoryRegion(sender, (access,), NORMAL_WB_ISH), V1_2)
    program = Program().call(Function.RXTX_MAP_64, TX, RX, 1, conduit=a.smc())
    program.call(Function.MEM_SHARE_32, len(data), len(data), 0, 0, 0, 0, 0, conduit=a.smc())
    program = store_result(store_result(program, 0, 0), 2, 1)
    bench = secure(tmp_path, [Sp(echo())], program.loop(), el=el)
    bench.system.memory.write(TX, data)
    bench.run(3000)
    assert bench.words(DATA, 2) == [Function.ERROR, Code.INVALID_PARAMETERS & 0xFFFF_FFFF]


@pytest.mark.parametrize("el", [1, 2])
def test_nobody_has_buffers_there(tmp_path: Path, el: int) -> None:
    program = Program().call(Function.RXTX_MAP_64, SP_BASE, SP_BASE + 0x1000, 1, conduit=a.smc())
    program = store_result(store_result(program, 0, 0), 2, 1)
    bench = secure(tmp_path, [Sp(echo())], program.loop(), el=el).run(2000)
    assert bench.words(DATA, 2) == [Function.ERROR, Code.INVALID_PARAMETERS & 0xFFFF_FFFF]
