"""The same guests under QEMU's own translator: one host thread, no acceleration."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from elftools.elf.elffile import ELFFile

PROGRAM: Final = "qemu-system-aarch64"
COUNTER_HZ: Final = 62_500_000
"""Of QEMU's generic timer, which follows the wall clock: guests can measure themselves there."""
_BOARD: Final = ("-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-accel", "tcg,thread=single", "-nographic")
_PATIENCE_S: Final = 60


def missing() -> str:
    """Why there is nothing to compare with; "" if there is."""
    return "" if shutil.which(PROGRAM) else f"{PROGRAM} is not installed"


@cache
def version() -> str:
    """What it calls itself; "" if it is not there."""
    if missing():
        return ""
    said = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"version (\S+)", said)
    return f"QEMU {found[1] if found else '?'}"


def command(kernel: Path, bootargs: str, *options: str, ram_mb: int = 512, vcpus: int = 1) -> list[str]:
    """The command line that boots a kernel."""
    size = ("-m", str(ram_mb), "-smp", str(vcpus))
    return [PROGRAM, *_BOARD, *size, "-kernel", str(kernel), "-append", bootargs, *options]


def ticks(image: Path, mode: str, n: int) -> int:
    """Counter ticks that the benchmark guest took for `n` rounds of a mode, as it says itself."""
    argv = command(image, f"mode={mode} n={n}", ram_mb=64, vcpus=2)
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True)
    found = re.search(rb"BENCH \w+ \d+ (\d+)", run.stdout)
    assert found, run.stdout
    return int(found[1])


def seconds_each(image: Path, mode: str, n: int, runs: int) -> float:
    """Wall time of one round: the best of several runs."""
    return min(ticks(image, mode, n) for _ in range(runs)) / COUNTER_HZ / n


def flat_copy(elf: Path, output: Path) -> Path:
    """The loadable bytes of an ELF linked at 0: behind its arm64 Image header QEMU may put it anywhere."""
    with elf.open("rb") as stream:
        segments = [(int(s["p_paddr"]), s.data()) for s in ELFFile(stream).iter_segments("PT_LOAD")]
    flat = bytearray(max(start + len(data) for start, data in segments))
    for start, data in segments:
        flat[start : start + len(data)] = data
    output.write_bytes(flat)
    return output
