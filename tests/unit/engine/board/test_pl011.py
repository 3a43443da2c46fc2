"""PL011 as DDI0183 has it and as the Linux amba-pl011 driver uses it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.board.pl011 import HOST_QUEUE, Interrupt, Pl011, Reg

FEN, TXFE, RXFF, RXFE = 1 << 4, 1 << 7, 1 << 6, 1 << 4
DR, FR, LCR_H, CR, IMSC, RIS, MIS, ICR = (
    int(register)
    for register in (
        Reg.UARTDR,
        Reg.UARTFR,
        Reg.UARTLCR_H,
        Reg.UARTCR,
        Reg.UARTIMSC,
        Reg.UARTRIS,
        Reg.UARTMIS,
        Reg.UARTICR,
    )
)


@dataclass
class Bench:
    """A UART with its output and every change of its line recorded."""

    output: bytearray = field(default_factory=bytearray)
    line: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uart = Pl011("pl011", self.output.extend, self.line.append)

    def get(self, register: int) -> int:
        return self.uart.read(register, 4)

    def set(self, register: int, value: int) -> None:
        self.uart.write(register, 4, value)

    def drain(self) -> bytes:
        text = bytearray()
        while not self.get(FR) & RXFE:
            text.append(self.get(DR))
        return bytes(text)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_reset_values(bench: Bench) -> None:
    assert bench.get(FR) == TXFE | RXFE
    assert bench.get(CR) == 0x300
    assert bench.get(Reg.UARTIFLS) == 0x12
    assert [bench.get(register) for register in (DR, Reg.UARTRSR, LCR_H, IMSC, RIS, MIS)] == [0] * 6


def test_identification(bench: Bench) -> None:
    assert [bench.get(0xFE0 + 4 * n) for n in range(8)] == [0x11, 0x10, 0x14, 0x00, 0x0D, 0xF0, 0x05, 0xB1]


def test_output_leaves_even_before_the_uart_is_enabled(bench: Bench) -> None:
    for byte in b"MMIO\n":
        bench.set(DR, byte)
    assert bench.output == b"MMIO\n"
    assert bench.get(FR) & TXFE


def test_transmit_interrupt_follows_every_byte_and_is_cleared_by_icr(bench: Bench) -> None:
    bench.set(IMSC, Interrupt.TX)
    assert bench.line == []
    bench.set(DR, ord("a"))
    assert bench.get(MIS) == Interrupt.TX
    bench.set(ICR, Interrupt.TX)
    bench.set(DR, ord("b"))
    bench.set(IMSC, 0)
    assert bench.get(RIS) == Interrupt.TX
    assert bench.line == [True, False, True, False]


def test_one_typed_character_interrupts_through_the_receive_timeout(bench: Bench) -> None:
    bench.set(LCR_H, FEN)
    bench.set(IMSC, Interrupt.RX | Interrupt.RT)
    bench.uart.receive(b"x")
    assert bench.get(MIS) == Interrupt.RT
    assert bench.get(DR) == ord("x")
    assert bench.get(RIS) == 0
    assert bench.line == [True, False]


@pytest.mark.parametrize(("select", "level"), [(0, 2), (1, 4), (2, 8), (3, 12), (4, 14)])
def test_receive_interrupt_at_the_level_of_ifls(bench: Bench, select: int, level: int) -> None:
    bench.set(LCR_H, FEN)
    bench.set(Reg.UARTIFLS, select << 3)
    bench.uart.receive(bytes(level - 1))
    assert not bench.get(RIS) & Interrupt.RX
    bench.uart.receive(b"z")
    assert bench.get(RIS) & Interrupt.RX
    bench.get(DR)
    assert not bench.get(RIS) & Interrupt.RX


def test_without_fifos_the_depth_is_one(bench: Bench) -> None:
    bench.uart.receive(b"ab")
    assert bench.get(FR) & RXFF
    assert bench.get(RIS) & Interrupt.RX
    assert bench.drain() == b"ab"


def test_pasted_text_is_not_lost(bench: Bench) -> None:
    text = bytes(range(1, 256)) * 4
    bench.uart.receive(text[:500])
    bench.set(LCR_H, FEN)
    bench.uart.receive(text[500:])
    head = bytes(bench.get(DR) for _ in range(20))
    bench.set(LCR_H, 0)
    assert head + bench.drain() == text


def test_interrupt_comes_again_while_input_waits(bench: Bench) -> None:
    """The driver clears RX and RT when it opens the port and reads at most two FIFOs."""
    bench.set(LCR_H, FEN)
    bench.uart.receive(bytes(100))
    bench.set(ICR, Interrupt.RX | Interrupt.RT)
    for _ in range(32):
        bench.get(DR)
    bench.set(IMSC, Interrupt.RX | Interrupt.RT)
    assert bench.uart.line


def test_the_host_queue_is_capped(bench: Bench) -> None:
    assert bench.uart.receive(bytes(HOST_QUEUE + 100)) == HOST_QUEUE
    assert bench.uart.receive(b"ab") == 1
    assert bench.uart.waiting == HOST_QUEUE + 1


def test_a_disabled_receiver_leaves_input_in_the_queue(bench: Bench) -> None:
    bench.set(CR, 0x100)
    bench.uart.receive(b"hi")
    assert bench.get(FR) & RXFE
    bench.set(CR, 0x300)
    assert bench.drain() == b"hi"


def test_loopback(bench: Bench) -> None:
    bench.set(CR, 0x381)
    bench.set(DR, ord("q"))
    assert bench.output == b""
    assert bench.drain() == b"q"


def test_reserved_bits_do_not_stick(bench: Bench) -> None:
    for register in (Reg.UARTILPR, Reg.UARTIBRD, Reg.UARTFBRD, LCR_H, IMSC, Reg.UARTDMACR):
        bench.set(register, 0xFFFF_FFFF)
    assert [bench.get(r) for r in (Reg.UARTILPR, Reg.UARTIBRD, Reg.UARTFBRD)] == [0xFF, 0xFFFF, 0x3F]
    assert [bench.get(r) for r in (LCR_H, IMSC, Reg.UARTDMACR)] == [0xFF, 0x7FF, 7]


def test_narrow_access(bench: Bench) -> None:
    bench.uart.write(DR, 1, 0x41)
    assert bench.output == b"A"
    bench.uart.receive(b"B")
    assert bench.uart.read(DR + 1, 1) == 0
    assert bench.uart.read(DR, 1) == ord("B")
    assert bench.uart.read(CR + 1, 1) == 3
    assert bench.uart.register(FR) == "UARTFR"


def test_state_round_trip(bench: Bench) -> None:
    bench.set(LCR_H, FEN)
    bench.set(IMSC, Interrupt.RT)
    bench.uart.receive(bytes(range(1, 40)))
    state = bench.uart.save()
    other = Bench()
    other.uart.restore(state)
    assert other.line == [True]
    assert other.uart.save() == state
    assert other.drain() == bytes(range(1, 40))


def test_reset_drops_input_and_the_line(bench: Bench) -> None:
    bench.set(IMSC, Interrupt.RX)
    bench.uart.receive(b"x")
    bench.uart.reset()
    assert bench.line == [True, False]
    assert bench.get(FR) == TXFE | RXFE


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("rwi"),
            st.integers(0, 0x1007),
            st.sampled_from([1, 2, 4, 8]),
            st.integers(0, (1 << 64) - 1),
        ),
        max_size=60,
    )
)
def test_any_access_is_safe(accesses: list[tuple[str, int, int, int]]) -> None:
    bench = Bench()
    for kind, offset, size, value in accesses:
        if kind == "r":
            assert 0 <= bench.uart.read(offset, size) < 1 << 8 * size
        elif kind == "w":
            bench.uart.write(offset, size, value)
        else:
            bench.uart.receive(value.to_bytes(8, "little")[: offset % 9])
        assert bench.uart.line == (bench.get(MIS) != 0)
        assert bench.uart.register(offset)
