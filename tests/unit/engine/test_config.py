"""Machine files resolve to what they mean, and every mistake is one line with its key."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import config, paths
from engine.board.memory_map import FIRMWARE_SIZE, MIB, RAM_LIMIT
from engine.config import ConfigError
from engine.machine_config import MachineConfig


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with an image in it."""
    (tmp_path / "a.bin").write_bytes(b"code")
    return tmp_path


def tables(**keys: Any) -> dict[str, Any]:
    """A machine of one VM with these keys."""
    return {"vm": [{"name": "vm0", "image": "a.bin", "ram_size": "4M", **keys}]}


def build(directory: Path, raw: dict[str, Any]) -> MachineConfig:
    return config.from_tables(raw, directory / "m.toml")


def refusal(directory: Path, raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        build(directory, raw)
    return str(caught.value).removeprefix(f"{directory / 'm.toml'}: ")


def test_defaults(directory: Path) -> None:
    machine = build(directory, tables())
    vm = machine.vms[0]
    assert (machine.name, machine.board.cores, machine.board.time_slice_ms) == ("m", 1, 10)
    assert machine.board.wall_time == int(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC).timestamp())
    assert (vm.ram_base, vm.base_pa, vm.ram_end, vm.end_pa) == (0x4000_0000, 0x4000_0000, 0x4040_0000, 0x4040_0000)
    assert (vm.image, vm.affinity) == (directory / "a.bin", (0,))
    assert machine.board.firmware_base == 0x4040_0000
    assert machine.board.ram_end == 0x4040_0000 + FIRMWARE_SIZE


@pytest.mark.parametrize(("size", "expected"), [("2048K", 2), ("6M", 6), ("1G", 1024), (4 * MIB, 4), ("4194304", 4)])
def test_sizes(directory: Path, size: object, expected: int) -> None:
    assert build(directory, tables(ram_size=size)).vms[0].ram_size == expected * MIB


def test_load_reads_a_file_with_overrides(directory: Path) -> None:
    file = directory / "one.toml"
    file.write_text(
        '[[vm]]\nname = "vm0"\nimage = "a.bin"\nram_size = "4M"\n[board]\nwall_time = 1970-01-01T00:01:00Z\n'
    )
    machine = config.load(file, ["vm0.vcpus=2", "board.cores=2", f"vm0.image={directory / 'a.bin'}"])
    assert (machine.name, machine.vms[0].vcpus, machine.board.cores) == ("one", 2, 2)
    assert machine.board.wall_time == 60


def test_vcpus_spread_over_cores_across_vms(directory: Path) -> None:
    raw = tables(vcpus=2)
    raw["vm"].append({**raw["vm"][0], "name": "vm1", "vcpus": 3, "base_pa": 0x5000_0000})
    machine = build(directory, {**raw, "board": {"cores": 4}})
    assert [vm.affinity for vm in machine.vms] == [(0, 1), (2, 3, 0)]


def test_same_ipa_at_different_physical_addresses(directory: Path) -> None:
    raw = tables()
    raw["vm"].append({**raw["vm"][0], "name": "vm1", "base_pa": 0x4040_0000})
    machine = build(directory, raw)
    assert machine.vms[1].ram_base == machine.vms[0].ram_base
    assert machine.board.firmware_base == 0x4080_0000


def test_board_may_have_more_ram_than_needed(directory: Path) -> None:
    board = build(directory, {**tables(), "board": {"ram": "64M"}}).board
    assert board.ram_end == 0x4400_0000
    assert board.firmware_base == 0x4300_0000


def test_whole_ram_window_can_be_used(directory: Path) -> None:
    board = build(directory, tables(ram_size="4G")).board
    assert board.firmware_base == RAM_LIMIT


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"vcpus": 9}, "vm[0].vcpus: expected int <= 8 (got 9)"),
        ({"vcpus": True}, "vm[0].vcpus: expected int (got True)"),
        ({"colour": 1}, "vm[0].colour: expected no such key (unknown)"),
        ({"name": "9x"}, "vm[0].name: expected letters, digits, _ and -, a letter first (got '9x')"),
        ({"name": "x\n"}, "vm[0].name: expected letters, digits, _ and -, a letter first (got 'x\\n')"),
        ({"name": "board"}, "vm[0].name: expected a name that is not a section's (got 'board')"),
        ({"format": "exe"}, "vm[0].format: expected one of auto, elf, linux, raw (got 'exe')"),
        ({"ram_size": "3M"}, "vm[0].ram_size: expected a multiple of 2M, at most 4096M (got '3M')"),
        ({"ram_size": 0}, "vm[0].ram_size: expected a multiple of 2M, at most 4096M (got 0)"),
        ({"ram_size": "5G"}, "vm[0].ram_size: expected a multiple of 2M, at most 4096M (got '5G')"),
        (
            {"ram_size": "much"},
            'vm[0].ram_size: expected a size: bytes, or text like "64K", "512M", "1G" (got \'much\')',
        ),
        ({"ram_size": "9" * 5000}, "vm[0].ram_size: expected a smaller size (got "),
        ({"ram_base": 0x4000_1000}, "vm[0].ram_base: expected an address aligned to 2M (got 0x40001000)"),
        (
            {"ram_base": 0x800_0000},
            "vm[0].ram_base: expected RAM between 0x40000000 and 0x140000000 (got 0x8000000 to ",
        ),
        ({"base_pa": 0x1_3FE0_0000}, "vm[0].base_pa: expected RAM between 0x40000000 and 0x140000000 (got 0x13fe00000"),
        ({"affinity": [0, 0]}, "vm[0].affinity: expected one core for each of 1 vCPUs (got [0, 0])"),
        ({"affinity": [1]}, "vm[0].affinity: expected cores below board.cores = 1 (got [1])"),
        ({"affinity": [-1]}, "vm[0].affinity[0]: expected int >= 0 (got -1)"),
        ({"entry": 2}, "vm[0].entry: expected an offset into RAM, a multiple of 4 (got 2)"),
        ({"load": "4M"}, "vm[0].load: expected an offset into RAM, a multiple of 4 (got '4M')"),
        ({"bootargs": "a\nb"}, "vm[0].bootargs: expected printable ASCII on one line (got 'a\\nb')"),
        ({"image": ""}, "vm[0].image: expected str of length >= 1 (got '')"),
        ({"image": "."}, "vm[0].image: expected a readable file: not a regular file"),
        ({"image": "x" * 5000}, "vm[0].image: expected a readable file: File name too long"),
        ({"image": "a\0b"}, "vm[0].image: expected a readable file: embedded null byte"),
        ({"initrd": "none"}, "vm[0].initrd: expected a readable file: No such file or directory (got "),
        ({"dtb": "a.bin", "bootargs": "x"}, "vm[0].dtb: expected no bootargs and no initrd beside a device tree"),
    ],
)
def test_refuses_key(directory: Path, keys: dict[str, Any], problem: str) -> None:
    assert refusal(directory, tables(**keys)).startswith(problem)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({}, "vm: expected 1 to 64 [[vm]] tables (got none)"),
        ({"vm": 3}, "vm: expected array (got 3)"),
        ({"vm": [{"name": "a", "image": "a.bin"}]}, "vm[0].ram_size: expected a value (missing)"),
        (tables() | {"bord": {}}, "bord: expected no such key (unknown)"),
        (tables() | {"vm": tables()["vm"] * 65}, "vm: expected array of length <= 64 (got "),
        (tables() | {"vm": tables()["vm"] * 2}, "vm[1].name: expected a name no other VM has (got 'vm0')"),
        (tables() | {"board": {"cores": 0}}, "board.cores: expected int >= 1 (got 0)"),
        (tables() | {"board": {"time_slice_ms": float("nan")}}, "board.time_slice_ms: expected float >= 0.1 (got nan)"),
        (tables() | {"board": {"time_slice_ms": "10"}}, "board.time_slice_ms: expected float (got '10')"),
        (tables() | {"board": {"ram": "8M"}}, "board.ram: expected at least 20M, for every VM and 16M of firmware"),
        (tables() | {"board": {"wall_time": "1969-12-31T23:59:59Z"}}, "board.wall_time: expected a date from 1970"),
        (tables() | {"board": {"wall_time": "noon"}}, "board.wall_time: expected a date and time such as"),
        (tables() | {"machine": {"cycles_per_tick": 1025}}, "machine.cycles_per_tick: expected int <= 1024 (got 1025)"),
        (tables() | {"machine": {"seed": 1 << 70}}, "machine.seed: expected int <= 9223372036854775807"),
    ],
)
def test_refuses_machine(directory: Path, raw: dict[str, Any], problem: str) -> None:
    assert refusal(directory, raw).startswith(problem)


def test_refuses_overlap(directory: Path) -> None:
    raw = tables()
    raw["vm"].append({**raw["vm"][0], "name": "vm1", "base_pa": 0x4020_0000})
    expected = "vm[1].base_pa: expected physical RAM apart from vm0's, 0x40000000 to 0x40400000 (got 0x40200000 to "
    assert refusal(directory, raw).startswith(expected)


def test_missing_cache_image_says_how_to_get_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    text = refusal(directory, tables(image="cache:linux/Image"))
    assert "fetch it with: hvtui images fetch" in text
    assert str(directory / "hvtui/images/linux/Image") in text
    text = refusal(directory, tables(image="cache:linux-ffa/Image"))
    assert "build it with: hvtui images build linux-ffa" in text


def test_cache_directory_ignores_a_relative_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert paths.image_cache() == Path.home() / ".cache/hvtui/images"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_image(directory: Path) -> None:
    (directory / "a.bin").chmod(0)
    assert "no permission" in refusal(directory, tables())


def test_missing_machine_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: expected a readable machine file \(No such file"):
        config.load(tmp_path / "gone.toml")


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["2M", "a.bin", "elf", "vm0", 0x4000_0000, 1 << 21]),
    st.datetimes(),
    st.dates(),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
KEYS = ["name", "image", "format", "load", "entry", "vcpus", "ram_base", "ram_size", "base_pa", "initrd", "affinity"]
vm_tables = st.dictionaries(st.sampled_from(KEYS), values).map(lambda keys: tables(**keys)["vm"][0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    vms=st.lists(vm_tables, max_size=3),
    board=st.dictionaries(st.sampled_from(["cores", "time_slice_ms", "wall_time", "ram"]), values),
    extra=st.dictionaries(st.sampled_from(["machine", "vm", "board", "x"]), values, max_size=1),
)
def test_any_tables_are_a_machine_or_one_line(
    directory: Path, vms: list[dict[str, Any]], board: dict[str, Any], extra: dict[str, Any]
) -> None:
    try:
        machine = build(directory, {"vm": vms, "board": board, **extra})
    except ConfigError as error:
        assert str(error).isprintable()
        return
    assert all(len(vm.affinity) == vm.vcpus and vm.end_pa <= machine.board.firmware_base for vm in machine.vms)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_a_machine_or_one_line(directory: Path, data: bytes) -> None:
    (directory / "m.toml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        config.load(directory / "m.toml")
    assert str(caught.value).isprintable()
