"""The address map of devices."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.board.bus import Bus


@dataclass(frozen=True)
class Block:
    """A device without registers."""

    name: str
    size: int

    def read(self, offset: int, size: int) -> int:
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        pass

    def register(self, offset: int) -> str:
        return f"+0x{offset:x}"


UART = Block("uart", 0x1000)
RTC = Block("rtc", 0x1000)


def test_find_gives_device_and_offset() -> None:
    bus = Bus()
    bus.attach(0x0901_0000, RTC)
    bus.attach(0x0900_0000, UART)
    assert bus.find(0x0900_0018, 4) == (UART, 0x18)
    assert bus.find(0x0901_0FFC, 4) == (RTC, 0xFFC)
    assert [attachment.device for attachment in bus.attachments] == [UART, RTC]


@pytest.mark.parametrize("address", [0, 0x08FF_FFFC, 0x0900_1000, 0x1234_0000, (1 << 64) - 1])
def test_nothing_outside_the_windows(address: int) -> None:
    bus = Bus()
    bus.attach(0x0900_0000, UART)
    assert bus.find(address, 4) is None


def test_an_access_that_straddles_the_end_is_not_found() -> None:
    bus = Bus()
    bus.attach(0x0900_0000, UART)
    assert bus.find(0x0900_0FFC, 8) is None
    assert bus.find(0x08FF_FFFF, 2) is None


@pytest.mark.parametrize("base", [0x0900_0000, 0x0900_0FFF, 0x08FF_F001])
def test_overlaps_are_refused_and_change_nothing(base: int) -> None:
    bus = Bus()
    bus.attach(0x0900_0000, UART)
    with pytest.raises(ValueError, match=r"rtc at 0x\w+ overlaps uart"):
        bus.attach(base, RTC)
    assert len(bus.attachments) == 1


@pytest.mark.parametrize(("base", "size"), [(0, 0), (-4, 8), ((1 << 64) - 8, 16)])
def test_impossible_windows_are_refused(base: int, size: int) -> None:
    with pytest.raises(ValueError, match="not an address range"):
        Bus().attach(base, Block("odd", size))


def test_neighbours_touch() -> None:
    bus = Bus()
    bus.attach(0x1000, UART)
    bus.attach(0x2000, RTC)
    assert bus.find(0x1FFF, 1) == (UART, 0xFFF)
    assert bus.find(0x2000, 1) == (RTC, 0)
