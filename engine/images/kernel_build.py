"""Linux from source: a Debian source package, a configuration fragment and a module, to an Image for arm64.

Needs a cross compiler and the tools that the kernel's own build uses. What they print goes to a log.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from engine.images.apt import FetchError

_TOOLS = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "gcc": "gcc libc6-dev",
    "make": "make",
    "tar": "tar",
    "xz": "xz-utils",
}
"""Programs, and the Debian packages that have them."""
_UNUSED = ("*/Documentation/*.rst", "*/arch/*/boot/dts/*.dts*", "*/drivers/gpu/drm/*/*.[ch]", "*/tools/testing")
"""What is not unpacked; everything that a Makefile or Kconfig file may name is."""
_ENVIRONMENT = {
    "ARCH": "arm64",
    "CROSS_COMPILE": "aarch64-linux-gnu-",
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "hvtui",
    "KBUILD_BUILD_HOST": "hvtui",
    "LC_ALL": "C",
}
"""The same source, compiler and configuration give the same bytes."""
_INHERITED = ("PATH", "HOME", "TMPDIR")
"""All else of the caller's environment stays out: KBUILD_* and CONFIG_* variables would change the kernel."""


class Kernel(NamedTuple):
    """What was built."""

    release: str
    """As `uname -r` shows it."""
    image: bytes
    symbols: bytes
    """System.map."""
    modules: Mapping[str, bytes]
    """Its own and the one built for it, by file name."""


class BuildError(FetchError):
    """A build that did not work out, in one line that names the log."""


def missing_packages() -> list[str]:
    """Debian packages to install before anything can be built; none of them means that all tools are there."""
    return [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]


def build(archive: Path, config: bytes, module: Mapping[str, bytes], name: str, work: Path, log: IO[bytes]) -> Kernel:
    """Build a kernel and one module in `work`, an empty directory, with every core there is.

    `archive` is a compressed tar file with one directory in it. `config` names what differs from `allnoconfig`.
    `module` are the module's sources by path relative to `work`, with a Kbuild file in directory `name`.
    `log` is a file for what is said; whatever runs has it open, which keeps a lock on it.
    Raises BuildError, also where an option of `config` did not come to be.
    """
    builder = _Builder(work, log)
    builder.unpack(archive)
    builder.configure(config)
    builder.make("Image", "modules")
    for path, data in module.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(data)
    builder.make(f"M={work / name}", "modules")
    made = [*builder.output.rglob("*.ko"), *(work / name).glob("*.ko")]
    return Kernel(
        release=(builder.output / "include/config/kernel.release").read_text().strip(),
        image=(builder.output / "arch/arm64/boot/Image").read_bytes(),
        symbols=(builder.output / "System.map").read_bytes(),
        modules={path.name: path.read_bytes() for path in sorted(made)},
    )


class _Builder:
    """One build tree: `source` and `output` below `work`."""

    def __init__(self, work: Path, log: IO[bytes]) -> None:
        self._source = work / "source"
        self.output = work / "output"
        self._log = log
        self._fragment = work / "config"
        self._environment = {key: os.environ[key] for key in _INHERITED if key in os.environ} | _ENVIRONMENT

    def unpack(self, archive: Path) -> None:
        """The kernel's sources, without what no configuration of ours can need."""
        self._source.mkdir()
        self.output.mkdir()
        unused = [f"--exclude={pattern}" for pattern in _UNUSED]
        self._run(["tar", "-xf", str(archive), "-C", str(self._source), "--strip-components=1", *unused])

    def configure(self, config: bytes) -> None:
        """`allnoconfig` with a fragment; an option that a kernel has not is a mistake to be told of."""
        self._fragment.write_bytes(config)
        self.make("allnoconfig", KCONFIG_ALLCONFIG=str(self._fragment))
        wanted = [line for line in config.decode().splitlines() if line.startswith("CONFIG_")]
        chosen = (self.output / ".config").read_text().splitlines()
        if lost := [line for line in wanted if line not in chosen]:
            raise BuildError(f"{', '.join(lost)}: not an option of this kernel, or one that needs others")

    def make(self, *targets: str, **variables: str) -> None:
        """Run the kernel's own build."""
        command = ["make", "-s", f"-j{os.cpu_count() or 1}", "-C", str(self._source), f"O={self.output}", *targets]
        self._run(command, variables)

    def _run(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        self._log.write(f"$ {' '.join(command)}\n".encode())
        self._log.flush()
        environment = self._environment | dict(variables or {})
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        if done.returncode:
            raise BuildError(f"{command[0]} failed; what it said is in {self._log.name}")
