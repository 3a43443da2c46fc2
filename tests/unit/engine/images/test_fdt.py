"""The generated device tree, parsed back, says what the board is."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import Any

import pytest
from pyfdt.pyfdt import FdtBlobParse

from engine.images.fdt import Guest, build

INITRD = (0x4A00_0000, 0x4A12_3456)
GUEST = Guest("vm0", 4, 0x4800_0000, 0x1_0000_0000, "console=ttyAMA0 quiet", INITRD, ffa=True, seed=7)


def parsed(guest: Guest) -> Any:
    return FdtBlobParse(io.BytesIO(build(guest))).to_fdt()


def value(guest: Guest, path: str) -> Any:
    prop = parsed(guest).resolve_path(path)
    assert prop is not None, path
    return list(prop.words if hasattr(prop, "words") else prop.strings)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/memory@48000000/reg", [0, 0x4800_0000, 1, 0]),
        ("/cpus/cpu@3/reg", [3]),
        ("/cpus/cpu@0/compatible", ["arm,cortex-a72"]),
        ("/cpus/cpu@0/enable-method", ["psci"]),
        ("/psci/method", ["hvc"]),
        ("/psci/compatible", ["arm,psci-1.0", "arm,psci-0.2"]),
        ("/ffa/compatible", ["arm,ffa"]),
        ("/ffa/method", ["smc"]),
        ("/timer/interrupts", [1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]),
        ("/interrupt-controller@8000000/reg", [0, 0x0800_0000, 0, 0x1_0000, 0, 0x080A_0000, 0, 0x8_0000]),
        ("/pl011@9000000/compatible", ["arm,pl011", "arm,primecell"]),
        ("/pl011@9000000/interrupts", [0, 1, 4]),
        ("/pl031@9010000/interrupts", [0, 2, 4]),
        ("/apb-pclk/clock-frequency", [24_000_000]),
        ("/chosen/bootargs", ["console=ttyAMA0 quiet"]),
        ("/chosen/stdout-path", ["/pl011@9000000"]),
        ("/chosen/linux,initrd-start", [0, 0x4A00_0000]),
        ("/chosen/linux,initrd-end", [0, 0x4A12_3456]),
    ],
)
def test_property(path: str, expected: list[object]) -> None:
    assert value(GUEST, path) == expected


def test_flags_and_absence() -> None:
    tree = parsed(Guest("vm0", 1, 0x4000_0000, 0x20_0000, console=False))
    assert tree.resolve_path("/timer/always-on") is not None
    for path in ("/ffa", "/chosen/bootargs", "/chosen/linux,initrd-start", "/pl011@9000000", "/aliases", "/cpus/cpu@1"):
        assert tree.resolve_path(path) is None


def test_who_owns_el2_has_smcs_and_a_maintenance_interrupt() -> None:
    assert value(GUEST._replace(el=2), "/psci/method") == ["smc"]
    assert value(GUEST._replace(el=2), "/interrupt-controller@8000000/interrupts") == [1, 9, 4]
    assert parsed(GUEST).resolve_path("/interrupt-controller@8000000/interrupts") is None


def test_references_lead_to_their_nodes() -> None:
    assert value(GUEST, "/interrupt-parent") == value(GUEST, "/interrupt-controller@8000000/phandle")
    assert set(value(GUEST, "/pl011@9000000/clocks")) == set(value(GUEST, "/apb-pclk/phandle"))


def test_same_guest_same_bytes_and_seeds_differ() -> None:
    assert build(GUEST) == build(GUEST)
    assert build(GUEST) != build(GUEST._replace(seed=8))
    assert build(GUEST) != build(GUEST._replace(name="vm1"))


def test_initrd_addresses_do_not_change_the_size() -> None:
    assert len(build(GUEST)) == len(build(GUEST._replace(initrd=(0, 0))))


def test_header_is_a_consistent_version_17() -> None:
    blob = build(GUEST)
    magic, total, structure, strings, reserve, version, compatible = struct.unpack_from(">7I", blob)
    assert (magic, total, version, compatible) == (0xD00D_FEED, len(blob), 17, 16)
    assert structure % 4 == 0
    assert reserve % 8 == 0
    assert structure < strings < total


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed (package device-tree-compiler)")
def test_dtc_finds_nothing_wrong() -> None:
    command = ["dtc", "-I", "dtb", "-O", "dts", "-W", "no-unit_address_vs_reg"]
    done = subprocess.run(command, input=build(GUEST), capture_output=True, check=True)
    assert b"ERROR" not in done.stderr
