"""Build the programs for Linux guests: `python machines/linux/programs/build.py [--out DIR] [NAME...]`.

Every C file here is one static program, NAME.elf, which the initial RAM disks carry as /bin/NAME.
The bytes depend on the source and the pinned ziglang release, whose musl it is linked with, only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = sorted(source.stem for source in HERE.glob("*.c"))

FLAGS = (
    *("-target", "aarch64-linux-musl", "-mcpu=cortex_a72", "-static", "-s"),
    *("-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-fno-sanitize=all"),
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-Wl,--build-id=none"),
    f"-ffile-prefix-map={HERE}=.",
)


def build(name: str, out: Path) -> Path:
    """Compile and link one program into `out`; CalledProcessError if the compiler does not like it."""
    out.mkdir(parents=True, exist_ok=True)
    program = out / f"{name}.elf"
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, f"{name}.c", "-o", str(program)]
    subprocess.run(command, cwd=HERE, check=True)
    program.chmod(0o644)
    return program


def main() -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Build the programs for Linux guests.")
    parser.add_argument("--out", type=Path, default=HERE, help="where to put them; default beside the sources")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no such program: {', '.join(unknown)}")
    try:
        for name in options.names or NAMES:
            program = build(name, options.out.absolute())
            print(f"{program.name} {program.stat().st_size}")
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
