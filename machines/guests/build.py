"""Build the guest images: `python machines/guests/build.py [--out DIR] [--raw] [NAME...]`.

Every image is a static PIE (ELF ET_DYN) linked at 0 with its symbol table; the ones in RAW also come as NAME.bin,
a raw copy with an arm64 Linux Image header. Secure partitions come as SP packages, NAME.spkg, instead.
The bytes depend on the sources and the pinned ziglang release only.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packages import PACKAGES, package

HERE = Path(__file__).resolve().parent
LIBRARY = HERE / "lib"
BARE = HERE / "bare"
PARTITIONS = HERE / "sp"
LINKER_SCRIPT = HERE / "guest.ld"

ZIG = (sys.executable, "-m", "ziglang")

COMPILE_FLAGS = (
    # No FP registers, so no lazy FP state; zig's feature list comes after -mgeneral-regs-only, and v8a implies neon.
    # Before the MMU is on every access must be aligned.
    *("-target", "aarch64-freestanding-none", "-mcpu=cortex_a72-v8a-fp_armv8-neon-crypto-sha2-aes+strict_align"),
    "-mgeneral-regs-only",
    *("-std=gnu11", "-O2", "-g0", "-Wall", "-Wextra", "-Werror"),
    *("-ffreestanding", "-fno-builtin", "-fPIE", "-fvisibility=hidden", "-fdirect-access-external-data"),
    *("-fno-sanitize=all", "-fno-stack-protector", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
    f"-ffile-prefix-map={HERE}=.",
    f"-I{LIBRARY}",
    f"-I{BARE}",
    f"-I{PARTITIONS}",
)

LINK_FLAGS = (
    *("-pie", "--no-dynamic-linker", "--build-id=none", "--gc-sections", "--fatal-warnings"),
    *("-z", "max-page-size=4096", "-z", "norelro"),
    *("-T", str(LINKER_SCRIPT)),
)


@dataclass(frozen=True)
class Image:
    """One guest program: its sources beside this file and its preprocessor definitions."""

    sources: tuple[str, ...]
    defines: tuple[str, ...] = ()
    bare: bool = False
    """It has its own start-up code, and names the parts of the library that it needs."""


BARE_LIBRARY = (
    "bare/start.S",
    "bare/vectors_el2.S",
    "bare/probe.c",
    "lib/vectors.S",
    "lib/smccc.S",
    "lib/ffa.c",
    "lib/print.c",
    "lib/string.c",
    "lib/uart.c",
)
PARTITION = (
    *BARE_LIBRARY,
    "lib/transactions.c",
    "sp/main.c",
    "sp/calls.c",
    "sp/commands.c",
    "sp/interrupts.c",
    "sp/news.c",
)

IMAGES: dict[str, Image] = {
    "demo": Image(("demo.c",)),
    "bench": Image(("bench.c",)),
    "jailhouse": Image(("jailhouse.c",)),
    "checks": Image(
        (
            "checks/main.c",
            "checks/exceptions.c",
            "checks/gic.c",
            "checks/interrupts.c",
            "checks/memory.c",
            "checks/mmio.c",
            "checks/peer.c",
            "checks/probe.S",
            "checks/psci.c",
            "checks/registers.c",
            "checks/timer.c",
            "checks/trap.c",
        )
    ),
    "ffa_client": Image(
        (
            "ffa/client.c",
            "ffa/actor.c",
            "ffa/chains.c",
            "ffa/local.c",
            "ffa/memory.c",
            "ffa/messages.c",
            "ffa/notifications.c",
            "ffa/numbered.c",
            "ffa/peer.c",
            "ffa/setup.c",
            "ffa/shares.c",
            "ffa/versions.c",
            "lib/ffa.c",
        )
    ),
    "ffa_bench": Image(("ffa/bench.c", "lib/ffa.c")),
    "chat": Image(
        (
            "chat/main.c",
            "chat/calls.c",
            "chat/news.c",
            "chat/scenes.c",
            "bare/probe.c",
            "lib/ffa.c",
            "lib/transactions.c",
        )
    ),
    "sp_hello": Image((*PARTITION, "sp/store.c", "sp/hello.c"), bare=True),
    "sp_irq": Image((*PARTITION, "sp/store.c", "sp/irq.c"), bare=True),
    "sp_relay": Image((*PARTITION, "sp/relay.c"), bare=True),
    "tfa_client": Image(
        (
            *BARE_LIBRARY,
            "lib/exception.c",
            "lib/gic.c",
            "lib/psci.c",
            "bl33/main.c",
            "bl33/abort.c",
            "bl33/calls.c",
            "bl33/hostile.c",
            "bl33/interrupts.c",
            "bl33/memory.c",
            "bl33/messages.c",
            "bl33/notifications.c",
            "bl33/numbered.c",
            "bl33/region.c",
            "bl33/report.c",
            "bl33/schedule.c",
            "bl33/setup.c",
        ),
        bare=True,
    ),
    "nowhere": Image(("faulty.c",), ("NOWHERE",)),
    "notables": Image(("faulty.c",), ("NOTABLES",)),
    "exloop": Image(("faulty.c",), ("EXLOOP",)),
    "badstore": Image(("faulty.c",), ("BADSTORE",)),
}
RAW = frozenset({"demo"})
OPTIONAL = frozenset({"ffa.c", "transactions.c"})
"""Parts of the library that only images which name them are linked with."""

PT_LOAD = 1
ELF64_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


def compile_source(source: Path, defines: Sequence[str], output: Path) -> Path:
    """Compile one C or assembly file to `output`."""
    options = [f"-D{name}" for name in defines]
    run(["cc", *COMPILE_FLAGS, *options, "-c", str(source), "-o", str(output)])
    return output


def run(arguments: Sequence[str]) -> None:
    """Run one zig subcommand; relative paths inside the sources stay the same wherever the tree is."""
    subprocess.run([*ZIG, *arguments], cwd=HERE, check=True)


def loadable(elf: bytes) -> bytes:
    """The file-backed contents of every PT_LOAD segment, placed at its address."""
    offset, size, count = (
        struct.unpack_from("<Q", elf, 32)[0],
        *struct.unpack_from("<HH", elf, 54),
    )
    image = bytearray()
    for index in range(count):
        kind, _, start, address, _, length, _, _ = ELF64_PROGRAM_HEADER.unpack_from(elf, offset + index * size)
        if kind != PT_LOAD:
            continue
        image.extend(bytes(max(0, address + length - len(image))))
        image[address : address + length] = elf[start : start + length]
    return bytes(image)


def objects_of(name: str) -> dict[Path, tuple[str, ...]]:
    """The sources of one image and the definitions each is compiled with."""
    image = IMAGES[name]
    whole = () if image.bare else sorted(LIBRARY.glob("*.[cS]"))
    library = (source for source in whole if source.name not in OPTIONAL)
    return {HERE / source: image.defines for source in image.sources} | dict.fromkeys(library, ())


def build(names: Sequence[str], out: Path, raw: bool) -> list[Path]:
    """Build the named images into `out` and return the files written; each distinct object is compiled once."""
    out.mkdir(parents=True, exist_ok=True)
    programs = {name: list(objects_of(name).items()) for name in names}
    units = dict.fromkeys(unit for program in programs.values() for unit in program)
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            (source, defines): pool.submit(compile_source, source, defines, Path(directory, f"{index}.o"))
            for index, (source, defines) in enumerate(units)
        }
        objects = {unit: job.result() for unit, job in jobs.items()}
        for name, program in programs.items():
            parts = [objects[unit] for unit in program]
            if name in PACKAGES:
                written.append(packaged(name, out, link(Path(directory, name), parts)))
                continue
            elf = link(out / name, parts)
            written.append(elf)
            if raw or name in RAW:
                written.append(elf.with_suffix(".bin"))
                written[-1].write_bytes(loadable(elf.read_bytes()))
    return written


def link(stem: Path, objects: Sequence[Path]) -> Path:
    """Link one image to STEM.elf."""
    elf = stem.with_suffix(".elf").absolute()
    run(["ld.lld", *LINK_FLAGS, *map(str, objects), "-o", str(elf)])
    elf.chmod(0o644)
    return elf


def packaged(name: str, out: Path, elf: Path) -> Path:
    """A raw copy of a linked partition in a package with its manifest: NAME.spkg."""
    path = out / f"{name}.spkg"
    path.write_bytes(package(name, loadable(elf.read_bytes())))
    return path


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Build the bare-metal guest images.")
    parser.add_argument("--out", type=Path, default=HERE, help="where to put the images; default beside the sources")
    parser.add_argument("--raw", action="store_true", help="also write NAME.bin for every image")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"images to build, of {', '.join(IMAGES)}; default all"
    )
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in IMAGES]
    if unknown:
        parser.error(f"no such image: {', '.join(unknown)}")
    try:
        for path in build(options.names or list(IMAGES), options.out.absolute(), options.raw):
            print(f"{path.name} {path.stat().st_size}")
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
