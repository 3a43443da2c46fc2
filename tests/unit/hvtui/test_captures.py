"""Captures of the command line, headless and in the app, read back by a reader of their format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import config
from engine.errors import MachineError
from engine.machine import Machine
from hvtui.app import HvtuiApp, run_app
from hvtui.captures import CaptureFile, parse
from hvtui.cli import run_cli
from hvtui.settings import Settings
from tests.support.net_guest import TYPE, answering, sending
from tests.unit.engine.board.network.pcapng_reader import Packet, read

A, B = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
IN, OUT = 1, 2
PATIENCE = 20


@pytest.fixture
def machine(tmp_path: Path) -> str:
    """vm0 sends to vm1, which answers; vm1 has a second NIC that nobody uses."""
    images = {"vm0": sending(B, A), "vm1": answering(A, B)}
    text = "[board]\ntime_slice_ms = 0.1\n"
    for n, (name, image) in enumerate(images.items()):
        (tmp_path / f"{name}.bin").write_bytes(image)
        text += (
            f'[[vm]]\nname = "{name}"\nimage = "{name}.bin"\nram_size = "2M"\nbase_pa = {0x4000_0000 + n * 0x20_0000}\n'
        )
        text += "[[vm.nic]]\n"
    text += '[[vm.nic]]\nnetwork = "other"\n[[network]]\nname = "lan"\ndelay_us = 5\n'
    (tmp_path / "m.toml").write_text(text)
    return str(tmp_path / "m.toml")


def at(packets: list[Packet], port: str, direction: int) -> list[Packet]:
    return [each for each in packets if (each.interface.name, each.direction) == (port, direction)]


@pytest.mark.parametrize(
    ("text", "port", "path"),
    [
        ("a.pcapng", None, "a.pcapng"),
        ("vm0:a.pcapng", "vm0", "a.pcapng"),
        ("vm0.1:dir/a:b", "vm0.1", "dir/a:b"),
        ("./vm0:a", None, "./vm0:a"),
        ("/tmp/x:y", None, "/tmp/x:y"),
        ("0:1", None, "0:1"),
    ],
)
def test_a_port_stands_before_the_colon(text: str, port: str | None, path: str) -> None:
    assert parse(text) == CaptureFile(port, Path(path))


@pytest.mark.parametrize("text", ["", "vm0:", "a\0b"])
def test_a_capture_needs_a_file(text: str) -> None:
    with pytest.raises(MachineError, match=r"^expected \[PORT:\]FILE to capture into \(got "):
        parse(text)


def test_all_ports_go_into_one_file(machine: str, tmp_path: Path) -> None:
    path = tmp_path / "all.pcapng"
    assert run_cli(["run", machine, "--timeout", "0.01", "--pcap", str(path)]) == 0
    contents = read(path.read_bytes())
    assert [each.name for each in contents.interfaces] == ["vm0", "vm1", "vm1.1"]
    asked, got = at(contents.packets, "vm0", IN), at(contents.packets, "vm1", OUT)
    assert len(asked) > 10
    assert [each.data for each in asked] == [B + A + TYPE + n.to_bytes(8, "little") for n in range(1, len(asked) + 1)]
    sent_at = {each.data: each.ticks for each in asked}
    assert len(got) > 10
    assert all(each.ticks >= sent_at[each.data] + 5000 for each in got)
    assert all(each.interface.ticks_per_second == 10**9 and each.ticks <= 10_000_000 for each in contents.packets)
    answers = at(contents.packets, "vm0", OUT)
    assert {each.data for each in answers} <= {A + B + TYPE + each.data[14:] for each in got}
    assert len(answers) > 10
    assert at(contents.packets, "vm1.1", IN) == at(contents.packets, "vm1.1", OUT) == []


def test_one_port_and_all_at_once(machine: str, tmp_path: Path) -> None:
    one, everything = tmp_path / "one.pcapng", tmp_path / "all.pcapng"
    words = ["--pcap", f"vm1:{one}", "--pcap", str(everything)]
    assert run_cli(["run", machine, "--timeout", "0.01", *words]) == 0
    of_one, of_all = read(one.read_bytes()), read(everything.read_bytes())
    assert [each.name for each in of_one.interfaces] == ["vm1"]
    wanted = [(p.ticks, p.direction, p.data) for p in of_all.packets if p.interface.name == "vm1"]
    assert [(p.ticks, p.direction, p.data) for p in of_one.packets] == wanted


def test_the_same_run_gives_the_same_file_and_a_capture_changes_nothing(
    machine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files, digests = [], []
    for n in range(3):
        words = ["--pcap", str(tmp_path / f"{n}")] if n < 2 else []
        assert run_cli(["run", machine, "--timeout", "0.01", "--digest", *words]) == 0
        digests.append(capfd.readouterr().out)
        files += [(tmp_path / f"{n}").read_bytes()] if n < 2 else []
    assert files[0] == files[1]
    assert len(set(digests)) == 1


def test_the_app_captures_too(machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machines: list[Machine] = []
    make = HvtuiApp.__init__

    def keep(app: HvtuiApp, machine: Machine, *given: Any) -> None:
        machines.append(machine)
        make(app, machine, *given)

    def watch(app: HvtuiApp) -> None:
        """Stay until ten frames were sent."""
        while machines[0].ask(lambda control: control.cable("vm0").port.frames_in).result(PATIENCE) < 10:
            pass

    monkeypatch.setattr(HvtuiApp, "__init__", keep)
    monkeypatch.setattr(HvtuiApp, "run", watch)
    path = tmp_path / "app.pcapng"
    assert run_app(config.load(Path(machine)), Settings(), pcap=[CaptureFile(None, path)]) == 0
    assert len(at(read(path.read_bytes()).packets, "vm0", IN)) >= 10


# --- what cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["vm2:{}/x"], "there is no port 'vm2' to capture (this machine has vm0, vm1, vm1.1)"),
        (["{}/x", "vm9:{}/y"], "there is no port 'vm9' to capture (this machine has vm0, vm1, vm1.1)"),
        (["{}/none/x"], "{}/none/x: No such file or directory"),
        (["{}"], "{}: Is a directory"),
        (["{}/x", "vm0:{}/x"], "{}/x: expected a file of its own for each capture"),
        (["vm0:"], "expected [PORT:]FILE to capture into (got 'vm0:')"),
    ],
)
def test_errors_are_one_line(
    machine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    options = [word for text in words for word in ("--pcap", text.format(tmp_path))]
    assert run_cli(["run", machine, "--timeout", "0.01", *options]) == 2
    captured = capfd.readouterr()
    assert captured.err == f"hvtui: {problem.format(tmp_path)}\n"
    assert captured.out == ""
    assert not (tmp_path / "x").exists()


def test_a_machine_without_a_network_has_nothing_to_capture(
    machine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "alone.toml"
    file.write_text('[[vm]]\nname = "a"\nimage = "vm0.bin"\nram_size = "2M"\n')
    assert run_cli(["run", str(file), "--pcap", str(tmp_path / "x")]) == 2
    assert capfd.readouterr().err == f"hvtui: {tmp_path}/x: this machine has no network to capture\n"


def test_a_full_disk_ends_the_capture_and_not_the_run(machine: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", machine, "--timeout", "0.05", "--pcap", "/dev/full"]) == 0
    assert capfd.readouterr().err == "hvtui: /dev/full: [Errno 28] No space left on device\n"
