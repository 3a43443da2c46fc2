"""Names of the interrupts of this board (GICv3 INTIDs)."""

from __future__ import annotations

from engine.board.gic.interrupts import FIRST_SPI, SPIS
from engine.board.memory_map import (
    RTC_SPI,
    TIMER_HYPERVISOR_PPI,
    TIMER_PHYSICAL_PPI,
    TIMER_SECURE_PPI,
    TIMER_VIRTUAL_PPI,
    UART_SPI,
)

FIRST_PPI = 16
LIMIT = FIRST_SPI + SPIS
"""INTIDs are below this."""

KNOWN: dict[int, str] = {
    FIRST_PPI + TIMER_VIRTUAL_PPI: "virtual timer",
    FIRST_PPI + TIMER_PHYSICAL_PPI: "physical timer",
    FIRST_PPI + TIMER_HYPERVISOR_PPI: "hypervisor timer",
    FIRST_PPI + TIMER_SECURE_PPI: "secure physical timer",
    FIRST_SPI + UART_SPI: "pl011 serial port",
    FIRST_SPI + RTC_SPI: "pl031 clock",
}


def kind(intid: int) -> str:
    """`SGI 3`, `PPI 11` or `SPI 1`: class and number inside it."""
    if intid < FIRST_PPI:
        return f"SGI {intid}"
    if intid < FIRST_SPI:
        return f"PPI {intid - FIRST_PPI}"
    return f"SPI {intid - FIRST_SPI}"


def name(intid: int) -> str:
    """`virtual timer` where the board gives one, else the class and number."""
    return KNOWN.get(intid, kind(intid))


def choices() -> list[int]:
    """What is worth offering: the board's own interrupts, then the SGIs."""
    return [*sorted(KNOWN), *range(FIRST_PPI)]


def parse(text: str) -> int:
    """An INTID, decimal or 0x hexadecimal. ValueError, in words, when it is none."""
    expected = f"expected an INTID from 0 to {LIMIT - 1}"
    try:
        intid = int(text.strip(), 0)
    except ValueError:
        raise ValueError(expected) from None
    if not 0 <= intid < LIMIT:
        raise ValueError(expected)
    return intid
