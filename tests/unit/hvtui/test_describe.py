"""Events as people read them."""

from __future__ import annotations

import pytest

from engine.events import BootStage, HostInput
from hvtui.describe import describe


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (BootStage(0, "", -1, "BL1", 0, 0, "reset"), "BL1: reset"),
        (
            BootStage(0, "", -1, "BL32", 0x0E10_0000, 0x0E10_0000, "SPMC 0x8000, FF-A 1.2"),
            "BL32: SPMC 0x8000, FF-A 1.2 at 0xe100000, entry 0xe100000",
        ),
        (
            BootStage(9, "sp1", -1, "SP 0x8001", 0x0E30_0000, 0x0E30_4000, "S-EL1 partition, FF-A 1.1"),
            "SP 0x8001: S-EL1 partition, FF-A 1.1 at 0xe300000, entry 0xe304000",
        ),
        (BootStage(9, "", -1, "BL33", 0, 0, "hypervisor at NS-EL2"), "BL33: hypervisor at NS-EL2"),
    ],
)
def test_boot_stages(event: BootStage, text: str) -> None:
    line = describe(event)
    assert (line.kind, line.text) == ("boot", text)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (HostInput(0, "lan", -1, "frame", bytes(60), 0, 0), "60 bytes from the host into lan"),
        (HostInput(0, "vm0", -1, "plug", b"", 0, 0), "plugged vm0"),
        (HostInput(0, "lan.host", -1, "unplug", b"tap0: gone", 0, 0), "unplugged lan.host: tap0: gone"),
        (HostInput(1, "vm0", -1, "type", b"ls\n", 0, 9), 'typed "ls\\n"'),
        (HostInput(1, "vm0.hvc0", -1, "resize", b"", 132 << 16 | 43, 9), "resized to 132x43"),
        (HostInput(1, "vm0", -1, "reset", b"", 0, 9), "reset"),
    ],
)
def test_inputs(event: HostInput, text: str) -> None:
    line = describe(event)
    assert (line.kind, line.text) == ("host", text)
