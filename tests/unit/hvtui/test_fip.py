"""`hvtui fip create` and `hvtui fip info`."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.images.dtb import cells
from engine.monitor.core_manifest import CoreManifest, pack_core_manifest
from engine.monitor.fip import KNOWN, pack, parse
from engine.monitor.fw_config import SpEntry, parse_fw_config
from engine.monitor.parts import read_parts
from hvtui.cli import run_cli
from tests.support.packages import BASES, Package


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with two packages and a payload in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.spkg").write_bytes(Package(1).data)
    (tmp_path / "second.spkg").write_bytes(Package(2, {"id": (), "load-address": (), "messaging-method": ()}).data)
    (tmp_path / "payload.bin").write_bytes(b"payload")
    return tmp_path


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


CREATE = ["fip", "create", "--out", "m.fip"]


def test_create(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--part", "bl33=payload.bin", "--sp", "first.spkg", "--sp", "second.spkg@0x0e600000"]
    assert run_cli([*CREATE, *options]) == 0
    data = (directory / "m.fip").read_bytes()
    assert lines(capsys) == [f"m.fip: 5 parts, {len(data)} bytes"]
    found = parse(data)
    config = found.get("TB_FW_CONFIG")
    assert config is not None
    assert parse_fw_config(config) == (
        SpEntry("first", Package(1).uuid, BASES[0], "Plat"),
        SpEntry("second", Package(2).uuid, 0x0E60_0000, "Plat"),
    )
    parts = read_parts(found)
    assert (parts.core, parts.bl33) == (CoreManifest(), b"payload")


def test_info(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_cli([*CREATE, "--part", "BL33=payload.bin", "--sp", "first.spkg", "--sp", "second.spkg@0x0e600000"])
    capsys.readouterr()
    assert run_cli(["fip", "info", "m.fip"]) == 0
    told = lines(capsys)
    found = parse((directory / "m.fip").read_bytes())
    assert told[0].split() == ["PART", "UUID", "OFFSET", "SIZE"]
    names = ["TB_FW_CONFIG", "TOS_FW_CONFIG", "BL33", "first", "second"]
    for line, name, part in zip(told[1:6], names, found.parts, strict=True):
        assert line.split() == [name, str(part.uuid), f"{part.offset:#x}", f"{part.size:#x}"]
    assert len({line.index(line.split()[1]) for line in told[:6]}) == 1
    assert told[6:] == [
        "",
        "PARTITION  ID      LOAD       ENTRY      UUID                                  MESSAGING",
        f"first      0x8001  0xe300000  0xe304000  {Package(1).uuid}  receive-direct send-direct",
        f"second     -       0xe600000  0xe604000  {Package(2).uuid}  -",
    ]


def test_info_of_a_fip_that_nobody_here_made(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No configurations, parts without names, a package that nobody loads."""
    parts = {KNOWN["BL2"]: b"x", Package(3).uuid: b"?", Package(2).uuid: (directory / "second.spkg").read_bytes()}
    (directory / "other.fip").write_bytes(pack(parts.items()))
    assert run_cli(["fip", "info", "other.fip"]) == 0
    told = lines(capsys)
    assert [line.split()[0] for line in told[1:4]] == ["BL2", "-", "-"]
    assert told[-1].split()[:4] == ["-", "-", "-", "+0x4000"]


def test_parts_by_uuid_and_a_core_manifest_of_ones_own(directory: Path) -> None:
    core = CoreManifest(load_address=0x0E60_0000, entry=0x0E60_0000)
    (directory / "core.dtb").write_bytes(pack_core_manifest(core))
    uuid = str(Package(3).uuid)
    assert run_cli([*CREATE, "--part", "TOS_FW_CONFIG=core.dtb", "--part", f"{uuid}=payload.bin"]) == 0
    found = parse((directory / "m.fip").read_bytes())
    assert read_parts(found).core == core
    assert [part.name for part in found.parts] == ["TB_FW_CONFIG", "TOS_FW_CONFIG", uuid]


def test_an_at_sign_without_a_number_belongs_to_the_name(directory: Path) -> None:
    (directory / "first.spkg").rename(directory / "a@b")
    (directory / "second.spkg").rename(directory / "1")
    assert run_cli([*CREATE, "--sp", "a@b"]) == 0
    assert run_cli([*CREATE, "--sp", "a@b@0x0e700000"]) == 0
    found = read_parts(parse((directory / "m.fip").read_bytes()))
    assert [(sp.name, sp.address) for sp in found.packages] == [("sp1", 0x0E70_0000)]
    assert run_cli([*CREATE, "--sp", "1@0x0e700000"]) == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["fip", "create"], "Missing option '--out'."),
        (["fip", "make"], "No such command 'make'."),
        ([*CREATE, "--part", "BL33"], "--part BL33: expected NAME=FILE"),
        ([*CREATE, "--part", "BL33="], "--part BL33=: expected NAME=FILE"),
        ([*CREATE, "--part", "BL34=payload.bin"], "--part BL34: expected a UUID, or one of BL2, SCP_BL2, BL31"),
        ([*CREATE, *["--part", "BL33=payload.bin"] * 2], "--part BL33=payload.bin: expected each part only once"),
        ([*CREATE, "--part", "BL33=gone"], "gone: expected a readable file"),
        ([*CREATE, "--sp", "gone"], "gone: expected a readable file"),
        ([*CREATE, "--sp", "first.spkg", "--part", "TB_FW_CONFIG=payload.bin"], "--part TB_FW_CONFIG: expected it w"),
        ([*CREATE, "--sp", "payload.bin"], "payload: expected an SP package (got 7 bytes)"),
        ([*CREATE, "--sp", "second.spkg"], "second: expected a load address, here or in its manifest"),
        ([*CREATE, "--sp", "first.spkg@1"], "first: expected a page address of 48 bits (got 0x1)"),
        (
            [*CREATE, "--sp", "first.spkg", "--sp", "first.spkg@0x0e700000"],
            "sp2: expected a UUID that no other part has",
        ),
        (
            [*CREATE, "--sp", "first.spkg", "--sp", "second.spkg@0x0e300000"],
            "second: expected secure RAM apart from first, 0xe300000 to 0xe305000 (got 0xe300000 to 0xe305000)",
        ),
        ([*CREATE, "--part", "TOS_FW_CONFIG=payload.bin"], "TOS_FW_CONFIG: expected a device tree"),
        ([*CREATE, "--part", f"{'0' * 32}=payload.bin"], "00000000-0000-0000-0000-000000000000: expected a UUID"),
        (["fip", "create", "--out", "gone/m.fip"], "gone/m.fip: expected a file that can be written (No such file"),
        (["fip", "info"], "Missing argument 'FILE'."),
        (["fip", "info", "gone"], "gone: expected a readable file"),
        (["fip", "info", "payload.bin"], "payload.bin: expected a FIP (got 7 bytes)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors_are_one_line(
    directory: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert run_cli(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"hvtui: {error}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (directory / "m.fip").exists()


def test_info_names_the_part_that_is_damaged(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for parts, error in (
        ({KNOWN["TB_FW_CONFIG"]: b""}, "TB_FW_CONFIG: expected a device tree"),
        ({Package(1).uuid: b"SPKG"}, f"{Package(1).uuid}: expected an SP package (got 4 bytes)"),
    ):
        (directory / "m.fip").write_bytes(pack(parts.items()))
        assert run_cli(["fip", "info", "m.fip"]) == 2
        captured = capsys.readouterr()
        assert (captured.err.startswith(f"hvtui: m.fip: {error}"), captured.out) == (True, "")


def test_a_machine_that_cannot_boot_is_one_line(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two partitions in one place, in the machine file's own sections: `check` and `run` say the same."""
    (directory / "third.spkg").write_bytes(Package(3, {"load-address": cells(BASES[0])}).data)
    sps = "".join(f'[[sp]]\nname = "{name}"\npackage = "{name}.spkg"\n' for name in ("first", "third"))
    (directory / "m.toml").write_text(
        f'[secure]\n{sps}[[vm]]\nname = "vm0"\nel = 2\nformat = "raw"\nimage = "payload.bin"\nram_size = "2M"\n'
    )
    for arguments in (["check", "m.toml"], ["run", "m.toml", "--headless"]):
        assert run_cli(arguments) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("hvtui: third: expected secure RAM apart from first, 0xe300000 to 0xe305000")
        assert captured.err.count("\n") == 1


def test_check_lists_partitions(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_cli([*CREATE, "--part", "BL33=payload.bin", "--sp", "first.spkg"])
    (directory / "m.toml").write_text(
        '[secure]\nfip = "m.fip"\n[[vm]]\nname = "vm0"\nel = 2\nformat = "raw"\nimage = "fip:bl33"\nram_size = "2M"\n'
    )
    capsys.readouterr()
    assert run_cli(["check", "m.toml", "--set", "vm0.image=fip:bl33"]) == 0
    told = lines(capsys)
    assert told[1] == "sp1: 0x8001, 1 contexts, 20K at 0xe300000, entry 0xe304000, FF-A 1.2"
    assert told[2] == "m.toml: ok"
