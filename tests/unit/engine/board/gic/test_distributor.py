"""Distributor and redistributor registers, one security state."""

from __future__ import annotations

import pytest

from engine.board.gic.distributor import Distributor
from engine.board.gic.interrupts import G0, G1NS

DS = 1 << 6
FRAME = 0x20000
SGI = 0x10000


@pytest.fixture
def gic() -> Distributor:
    return Distributor(4)


def test_affinity_routing_is_always_on(gic: Distributor) -> None:
    assert gic.read(0, 4) & 1 << 4
    gic.write(0, 4, 1)
    assert gic.read(0, 4) & ~DS == 0x11
    gic.write(0, 4, 0xFFFF_FFFF)
    assert gic.read(0, 4) == DS | 0x13


def test_identification(gic: Distributor) -> None:
    typer = gic.read(4, 4)
    assert typer & 0x1F == 8
    assert typer >> 5 & 7 == 3
    assert typer >> 19 & 0x1F == 9
    assert typer >> 24 & 1 == 1
    assert gic.read(8, 4) == 0x43B
    assert gic.read(0xFFE8, 4) == 0x30


@pytest.mark.parametrize(("spis", "lines"), [(32, 1), (64, 2), (256, 8), (988, 31)])
def test_it_lines_number(spis: int, lines: int) -> None:
    assert Distributor(1, spis).read(4, 4) & 0x1F == lines


def test_enables_are_set_and_cleared(gic: Distributor) -> None:
    gic.write(0x104, 4, 0x0001_0002)
    assert gic.read(0x104, 4) == 0x0001_0002
    gic.write(0x184, 4, 2)
    assert gic.read(0x104, 4) == gic.read(0x184, 4) == 0x0001_0000


def test_private_interrupts_are_not_in_the_distributor(gic: Distributor) -> None:
    for offset in (0x080, 0x100, 0x200, 0x300, 0x400, 0xC00, 0xC04):
        gic.write(offset, 4, 0xFFFF_FFFF)
        assert gic.read(offset, 4) == 0


def test_interrupts_that_do_not_exist_are_zero() -> None:
    gic = Distributor(1, 64)
    gic.write(0x100 + 4 * 3, 4, 0xFFFF_FFFF)
    assert gic.read(0x100 + 4 * 3, 4) == 0
    gic.write(0x400 + 96, 4, 0xFFFF_FFFF)
    assert gic.read(0x400 + 96, 4) == 0


def test_routing_registers(gic: Distributor) -> None:
    gic.write(0x6180, 8, 2)
    assert gic.read(0x6180, 8) == 2
    assert gic.route(48) == 2
    assert gic.route(15) == gic.route(31) == 0
    gic.write(0x6184, 4, 0xFFFF_FFFF)
    assert gic.read(0x6180, 8) == 0xFF_0000_0002
    assert gic.route(48) is None
    assert 48 in gic.routing.routed_nowhere()


def test_priorities_by_byte_and_word(gic: Distributor) -> None:
    gic.write(0x400 + 33, 1, 0xA7)
    assert gic.read(0x400 + 33, 1) == 0xA0
    gic.write(0x400 + 32, 4, 0xFF80_4008)
    assert gic.read(0x400 + 32, 4) == 0xF880_4008


def test_configuration(gic: Distributor) -> None:
    gic.write(0xC08, 4, 0xFFFF_FFFF)
    assert gic.read(0xC08, 4) == 0xAAAA_AAAA
    gic.write(0xC08, 2, 0)
    assert gic.read(0xC08, 4) == 0xAAAA_0000


def test_a_level_interrupt_is_pending_by_line_or_latch(gic: Distributor) -> None:
    gic.set_line(33, True)
    gic.write(0x284, 4, 2)
    assert gic.read(0x204, 4) == 2
    gic.write(0x204, 4, 2)
    gic.set_line(33, False)
    assert gic.read(0x204, 4) == 2
    gic.write(0x284, 4, 2)
    assert gic.read(0x204, 4) == 0


def test_acknowledging_clears_the_latch_not_the_line(gic: Distributor) -> None:
    gic.set_line(33, True)
    gic.set_pending(33)
    gic.acknowledge(0, 33)
    assert gic.read(0x204, 4) == gic.read(0x304, 4) == 2
    gic.set_line(33, False)
    assert gic.read(0x204, 4) == 0
    gic.deactivate(0, 33)
    assert gic.read(0x304, 4) == 0


def test_an_edge_interrupt_latches_each_rise_once(gic: Distributor) -> None:
    gic.write(0xC08, 4, 2 << 2)
    gic.set_line(33, True)
    assert gic.read(0x204, 4) == 2
    gic.acknowledge(0, 33)
    gic.set_line(33, True)
    assert gic.read(0x204, 4) == 0
    gic.set_line(33, False)
    gic.set_line(33, True)
    assert gic.read(0x204, 4) == 2


def test_message_based_spis(gic: Distributor) -> None:
    gic.write(0x40, 4, 48)
    assert gic.pending(0) == (48,)
    gic.write(0x48, 4, 48)
    assert gic.pending(0) == ()
    gic.write(0x40, 4, 15)
    gic.write(0x40, 4, 1019)
    assert gic.pending(0) == ()


def test_one_of_n_goes_to_the_lowest_pe_that_takes_the_group(gic: Distributor) -> None:
    gic.write(0, 4, 3)
    gic.write(0x6000 + 8 * 40, 8, 1 << 31)
    gic.write(0x104, 4, 1 << 8)
    gic.set_line(40, True)
    assert [gic.ready(pe) for pe in range(4)] == [0] * 4
    gic.set_cpu_groups(2, G0)
    gic.set_cpu_groups(3, G0)
    assert [gic.ready(pe) for pe in range(4)] == [0, 0, 1 << 40, 0]
    gic.set_cpu_groups(1, G1NS)
    gic.set_cpu_groups(2, 0)
    assert [gic.ready(pe) for pe in range(4)] == [0, 0, 0, 1 << 40]
    assert gic.route(40) is None


@pytest.mark.parametrize("intid", [-1, 32 + 256, 1019, 1020, 1023, 8192])
def test_hosts_cannot_drive_lines_that_do_not_exist(gic: Distributor, intid: int) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        gic.set_line(intid, True)


def test_registers_have_names(gic: Distributor) -> None:
    names = {0: "CTLR", 4: "TYPER", 0x104: "ISENABLER1", 0x421: "IPRIORITYR8", 0xC08: "ICFGR2", 0x6180: "IROUTER48"}
    for offset, name in names.items():
        assert gic.register(offset) == f"GICD_{name}"
    assert gic.register(0x9000) == "GICD+0x9000"
    assert gic.region.register(FRAME + SGI + 0x100) == "GICR1_ISENABLER0"
    assert gic.region.register(0xFFE8) == "GICR0_PIDR2"


def test_redistributor_identification(gic: Distributor) -> None:
    gicr = gic.region
    assert gicr.size == 4 * FRAME
    assert gicr.read(8, 8) == 0
    assert gicr.read(3 * FRAME + 8, 8) == 3 << 32 | 3 << 8 | 1 << 4
    assert gicr.read(3 * FRAME + 0xC, 4) == 3
    assert gicr.read(FRAME + 0xFFE8, 4) == 0x30
    assert gicr.read(FRAME + 4, 4) == 0x43B


def test_waker(gic: Distributor) -> None:
    assert gic.region.read(0x14, 4) == 0x06
    gic.region.write(0x14, 4, 0)
    assert gic.region.read(0x14, 4) == 0
    gic.region.write(0x14, 4, 2)
    assert gic.region.read(0x14, 4) == 0x06
    assert gic.region.read(FRAME + 0x14, 4) == 0x06


def test_private_enables_belong_to_one_pe(gic: Distributor) -> None:
    gicr = gic.region
    gicr.write(0x30100, 4, 0xFF00)
    gicr.write(0x30180, 4, 0x0F00)
    assert gicr.read(0x30100, 4) == 0xF000
    assert gicr.read(0x10100, 4) == 0


def test_sgis_are_edge_triggered_for_good(gic: Distributor) -> None:
    assert gic.region.read(SGI + 0xC00, 4) == 0xAAAA_AAAA
    gic.region.write(SGI + 0xC00, 4, 0)
    assert gic.region.read(SGI + 0xC00, 4) == 0xAAAA_AAAA
    gic.region.write(SGI + 0xC04, 4, 0xFFFF_FFFF)
    assert gic.region.read(SGI + 0xC04, 4) == 0xAAAA_AAAA


def test_reset_keeps_lines_and_drops_the_rest(gic: Distributor) -> None:
    gic.set_line(33, True)
    gic.set_pending(34)
    gic.write(0x104, 4, 0xFFFF_FFFF)
    gic.write(0x6108, 8, 3)
    gic.reset()
    assert gic.read(0x204, 4) == 2
    assert gic.read(0x104, 4) == 0
    assert gic.route(33) == 0
    assert gic.region.read(0x14, 4) == 0x06
