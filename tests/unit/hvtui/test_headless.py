"""The headless runner: steps in virtual time, exit codes, digests and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import paths
from hvtui.cli import run_cli

DEFAULT = str(paths.machines_dir() / "two-vms.toml")
GUESTS = paths.machines_dir() / "guests"


def vm0(image: str) -> str:
    return f"vm0.image={GUESTS / image}"


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().out.splitlines()


def test_steps_are_done_in_order_on_their_consoles(capfd: pytest.CaptureFixture[str]) -> None:
    steps = ["--expect", "vm1:Hello", "--send", r"vm1:abc\r", "--expect", "vm1:you typed: abc"]
    assert run_cli(["run", DEFAULT, "--headless", *steps]) == 0
    out = lines(capfd)
    assert "vm1| [vm1] you typed: abc" in out
    assert not any("vm0] you typed" in line for line in out)


def test_send_goes_to_the_first_vm_and_expect_looks_everywhere() -> None:
    assert run_cli(["run", DEFAULT, "--send", r"xyz\r", "--expect", r"vm0\] you typed: xyz"]) == 0


def test_what_was_matched_is_used_up() -> None:
    steps = ["--expect", "vm0:tick 1", "--expect", "vm0:tick 1 ", "--timeout", "1.5"]
    assert run_cli(["run", DEFAULT, *steps]) == 1


def test_time_up_is_one_line_and_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", DEFAULT, "--expect", "never", "--timeout", "0.1"]) == 1
    error = capfd.readouterr().err
    assert error == "hvtui: the time is up while waiting for 'never' (0 steps done)\n"


def test_without_steps_time_up_is_success() -> None:
    assert run_cli(["run", DEFAULT, "--timeout", "0.05"]) == 0


def test_a_crashed_guest_is_exit_code_3_and_the_other_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", DEFAULT, "--set", vm0("nowhere.elf"), "--timeout", "1.1"]) == 3
    captured = capfd.readouterr()
    assert captured.err.startswith("hvtui: vm0 crashed: ")
    assert captured.err.count("\n") == 1
    assert "vm1| [vm1] tick 1 at 1.000 s, cpu0 -> cpu1 IPI 1" in captured.out


def test_a_crash_does_not_spoil_steps_that_can_be_done() -> None:
    assert run_cli(["run", DEFAULT, "--set", vm0("nowhere.elf"), "--expect", "vm1:tick 1"]) == 0


def test_everything_off_before_the_steps_are_done(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    machine = tmp_path / "one.toml"
    machine.write_text(f'[[vm]]\nname = "g"\nram_size = "32M"\nimage = "{GUESTS / "badstore.elf"}"\n')
    assert run_cli(["run", str(machine), "--expect", "never"]) == 1
    captured = capfd.readouterr()
    assert "still alive" in captured.out
    assert "every guest is off" in captured.err


def digest(capfd: pytest.CaptureFixture[str], *more: str) -> str:
    assert run_cli(["run", DEFAULT, "--timeout", "0.2", "--digest", *more]) == 0
    return lines(capfd)[-1]


def test_the_digest_is_repeatable_and_sees_differences(capfd: pytest.CaptureFixture[str]) -> None:
    first = digest(capfd)
    assert first.startswith("digest ")
    assert len(first) == len("digest ") + 64
    assert digest(capfd) == first
    assert digest(capfd, "--pace", "real") == first
    assert digest(capfd, "--set", "vm0.bootargs=name=other") != first


def test_json_is_all_there_is_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", DEFAULT, "--timeout", "0.05", "--json", "--digest"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["result"] == "ok"
    assert result["machine"]["nanoseconds"] == 50_000_000
    assert "Hello! I am vm1" in result["consoles"]["vm1"]
    assert len(result["digest"]) == 64


def test_a_status_request_of_the_guest_is_not_passed_on() -> None:
    import io

    from hvtui.headless import Output

    stream = io.BytesIO()
    output = Output(["only"], stream)
    for byte in b"/ # \x1b[6nls\x1b[1mX":
        output.write("only", bytes([byte]))
        output.flush()
    output.close()
    assert stream.getvalue().rstrip(b"\n") == b"/ # ls\x1b[1mX"
