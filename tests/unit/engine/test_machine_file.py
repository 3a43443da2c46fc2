"""TOML text, overrides and the schema, before anything is compared with anything."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import machine_file
from engine.machine_file import ConfigError, apply_overrides, convert, parse

RAW: dict[str, Any] = {
    "machine": {"name": "m"},
    "vm": [{"name": "vm0", "image": "a", "ram_size": "2M"}, {"name": "guest", "image": "b", "ram_size": "2M"}],
}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = ", "m.toml: line 1: expected TOML"),
        (b"a = 1\nb = ]", "m.toml: line 2: expected TOML: Invalid value, column 5"),
        (b"a = 1\n\n\xff", "m.toml: line 3: expected UTF-8"),
        (b"a = " + b"[" * 5000, "m.toml: expected TOML"),
        (b"a = " + b"9" * 5000, "m.toml: expected TOML"),
    ],
)
def test_what_is_not_toml(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(data, "m.toml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("vm0.vcpus=2", "vm0", "vcpus", 2),
        ("vm0.ram_size=1G", "vm0", "ram_size", "1G"),
        ('guest.bootargs="quiet x=1"', "guest", "bootargs", "quiet x=1"),
        ("guest.bootargs=quiet x=1", "guest", "bootargs", "quiet x=1"),
        ("guest.bootargs=", "guest", "bootargs", ""),
        ("guest.affinity=[0, 1]", "guest", "affinity", [0, 1]),
        ("guest.console=false", "guest", "console", False),
        ("guest.image=x.elf", "guest", "image", "/here/x.elf"),
        ("guest.image=/abs/x.elf", "guest", "image", "/abs/x.elf"),
        ("guest.image=cache:linux/Image", "guest", "image", "cache:linux/Image"),
        ("vm0.ram_base=0x48000000", "vm0", "ram_base", 0x4800_0000),
        ("vm0.name=1\nvcpus = 3", "vm0", "name", "1\nvcpus = 3"),
    ],
)
def test_override(override: str, section: str, key: str, value: object) -> None:
    result = apply_overrides(RAW, [override], Path("/here"))
    vm = next(vm for vm in result["vm"] if "name" in vm and (vm["name"] == section or key == "name"))
    assert vm[key] == value


def test_override_of_sections_makes_them() -> None:
    result = apply_overrides(RAW, ["board.cores=4", "machine.seed=1"])
    assert result["board"] == {"cores": 4}
    assert result["machine"] == {"name": "m", "seed": 1}
    assert "board" not in RAW


def test_override_of_a_date() -> None:
    result = apply_overrides(RAW, ["board.wall_time=2024-02-29T12:00:00Z"])
    assert result["board"]["wall_time"] == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("vcpus=2", "expected SECTION.KEY=VALUE"),
        ("vm0.vcpus", "expected SECTION.KEY=VALUE"),
        ("vm0..x=1", "expected SECTION.KEY=VALUE"),
        ("vm9.vcpus=2", r"expected one of machine, board, ffa, secure, vm0, guest \(got vm9\)"),
        ("machine.name.x=2", "expected name to be a table"),
    ],
)
def test_override_that_makes_no_sense(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        apply_overrides(RAW, [override])
    assert str(caught.value).startswith("--set: ")


def test_defaults() -> None:
    parsed = convert(RAW, "m.toml")
    assert (parsed.machine.cycles_per_tick, parsed.machine.seed) == (8, 0)
    assert (parsed.board.cores, parsed.board.time_slice_ms) == (1, 10)
    assert (parsed.vm[0].vcpus, parsed.vm[0].format, parsed.vm[0].console) == (1, "auto", True)


def test_schema_knows_every_section_and_refuses_others() -> None:
    schema = machine_file.json_schema()
    vm = schema["$defs"]["VmSection"]
    assert set(vm["required"]) == {"name", "image", "ram_size"}
    assert vm["additionalProperties"] is False
    assert vm["properties"]["vcpus"]["maximum"] == 8


@given(st.binary(max_size=200))
def test_random_bytes_are_tables_or_an_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data, "m.toml"), dict)
    except ConfigError as error:
        assert str(error).isprintable()


@given(st.text(max_size=60))
def test_random_override_is_applied_or_an_error(text: str) -> None:
    try:
        apply_overrides(RAW, [text, f"vm0.vcpus={text}", f"board.{text}=1"])
    except ConfigError as error:
        assert str(error).isprintable()
