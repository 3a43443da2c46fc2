"""Programs of one's own: any EL1 ELF file or raw image, and the Jailhouse debug console."""

from __future__ import annotations

import pytest

from engine import config, paths
from tests.support.machines import GUESTS, Bench

MACHINE = paths.machines_dir() / "elf.toml"


def test_the_debug_console_prints_and_reads() -> None:
    bench = Bench(config.load(MACHINE)).run_ms(1)
    assert bench.console() == "Hello from the Jailhouse debug console.\n> "
    bench.control.type("guest", b"zephyr\r")
    assert bench.run_ms(2).console().endswith("> ZEPHYR\n> ")


@pytest.mark.parametrize("image", ["demo.elf", "demo.bin"])
def test_any_program_runs(image: str) -> None:
    bench = Bench(config.load(MACHINE, [f"guest.image={GUESTS / image}"])).run_ms(100)
    assert "a small program on a virtual Arm machine" in bench.console()
