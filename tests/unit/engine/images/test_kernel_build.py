"""Building a kernel, with the tools replaced by scripts that write down how they were called."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

import pytest

from engine.images import kernel_build
from engine.images.kernel_build import BuildError, Kernel

MAKE = """#!/bin/sh
echo "make $*"
echo "$ARCH $CROSS_COMPILE ${KBUILD_EXTRA:-clean}"
while [ $# -gt 0 ]; do
    case $1 in
    O=*) out=${1#O=} ;;
    M=*) module=${1#M=} ;;
    *) target=$1 ;;
    esac
    shift
done
if [ $target = allnoconfig ]; then
    mkdir -p $out/include/config $out/arch/arm64/boot
    grep -v LOST $KCONFIG_ALLCONFIG > $out/.config
    exit
fi
[ -n "$module" ] && { cat $module/Kbuild > $module/made.ko; exit; }
echo 6.12.1-test > $out/include/config/kernel.release
echo IMAGE > $out/arch/arm64/boot/Image
echo SYMBOLS > $out/System.map
mkdir -p $out/drivers/x && echo OWN > $out/drivers/x/own.ko
"""
CONFIG = b"# about\nCONFIG_SMP=y\n"
MODULE = {"m/x/Kbuild": b"KBUILD", "m/y.h": b""}


def tool(directory: Path, name: str, script: str = "#!/bin/sh\n") -> None:
    path = directory / name
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IO[bytes]:
    """The log of a build where `make` and `tar` are scripts."""
    (tmp_path / "bin").mkdir()
    tool(tmp_path / "bin", "make", MAKE)
    tool(tmp_path / "bin", "tar", '#!/bin/sh\necho "tar $*"\n')
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return (tmp_path / "log").open("ab")


def built(log: IO[bytes], config: bytes = CONFIG) -> Kernel:
    work = Path(log.name).with_name("work")
    return kernel_build.build(Path("a.tar.xz"), config, MODULE, "m/x", work, log)


def test_what_is_built_is_read_back(log: IO[bytes]) -> None:
    kernel = built(log)
    assert kernel == Kernel("6.12.1-test", b"IMAGE\n", b"SYMBOLS\n", {"made.ko": b"KBUILD", "own.ko": b"OWN\n"})


def test_the_log_has_commands_and_what_they_said(log: IO[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILD_EXTRA", "dirty")
    monkeypatch.setenv("ARCH", "mips")
    built(log)
    said = Path(log.name).read_text()
    assert said.index("$ tar -xf a.tar.xz") < said.index("allnoconfig") < said.index("Image modules")
    assert said.count("arm64 aarch64-linux-gnu- clean") == 3


def test_an_option_that_the_kernel_has_not_is_told(log: IO[bytes]) -> None:
    with pytest.raises(BuildError, match="CONFIG_LOST=y: not an option of this kernel"):
        built(log, b"CONFIG_SMP=y\nCONFIG_LOST=y\n")


def test_a_failure_names_the_log(log: IO[bytes], tmp_path: Path) -> None:
    tool(tmp_path / "bin", "make", "#!/bin/sh\necho oh no\nexit 2\n")
    with pytest.raises(BuildError, match=f"make failed; what it said is in {log.name}"):
        built(log)
    assert "oh no" in Path(log.name).read_text()


def test_missing_tools_are_named_by_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gcc-aarch64-linux-gnu" in kernel_build.missing_packages()
    for name in kernel_build._TOOLS:
        tool(tmp_path, name)
    assert kernel_build.missing_packages() == []
    (tmp_path / "flex").unlink()
    assert kernel_build.missing_packages() == ["flex"]
