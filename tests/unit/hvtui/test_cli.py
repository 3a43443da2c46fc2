"""The command line up to the point where a machine starts: options, order of steps, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine import paths
from engine.images import cached, linux_ffa, modules
from engine.machine_config import MachineConfig
from hvtui import cli, steps
from hvtui.captures import CaptureFile
from hvtui.cli import run_cli
from hvtui.settings import Settings


class Runs:
    """Stands in for the headless runner and the app, and remembers how it was called."""

    def __init__(self) -> None:
        self.config: MachineConfig | None = None
        self.steps: list[steps.Step] = []
        self.options: dict[str, Any] = {}
        self.app = 0
        self.code = 0

    def run(self, config: MachineConfig, steps: list[steps.Step], **options: Any) -> int:
        self.config, self.steps, self.options = config, steps, options
        return self.code

    def run_app(self, config: MachineConfig, _settings: Settings, **options: Any) -> int:
        self.config, self.options = config, options
        self.app += 1
        return self.code


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    fake = Runs()
    for name, attribute in (("headless", "run"), ("app", "run_app")):
        module = ModuleType(f"hvtui.{name}")
        setattr(module, attribute, getattr(fake, attribute))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(f"hvtui.{name}", module, raising=False)
    monkeypatch.setattr(cli, "_on_terminal", lambda: False)
    return fake


@pytest.fixture
def machine(tmp_path: Path) -> str:
    """A machine file with two VMs."""
    (tmp_path / "a.bin").write_bytes(b"code")
    vms = [f'[[vm]]\nname = "{n}"\nimage = "a.bin"\nram_size = "2M"\nbase_pa = {a}\n' for n, a in VMS.items()]
    file = tmp_path / "m.toml"
    file.write_text("\n".join(vms))
    return str(file)


VMS = {"vm0": 0x4000_0000, "vm1": 0x4020_0000}


def test_steps_keep_the_order_of_the_command_line(runs: Runs, machine: str) -> None:
    words = ["--expect", "a", "--send", "b", "--send=c", "--expect=vm1:d", "--expect", "e"]
    assert run_cli(["run", machine, "--headless", *words]) == 0
    kinds = [type(step).__name__ for step in runs.steps]
    assert kinds == ["Expect", "Send", "Send", "Expect", "Expect"]
    sent = [(s.console, s.data) for s in runs.steps if isinstance(s, steps.Send)]
    expected = [(s.console, s.pattern.pattern) for s in runs.steps if isinstance(s, steps.Expect)]
    assert sent == [("vm0", b"b"), ("vm0", b"c")]
    assert expected == [(None, "a"), ("vm1", "d"), (None, "e")]


def test_a_value_that_looks_like_an_option_is_a_value(runs: Runs, machine: str) -> None:
    assert run_cli(["run", machine, "--send", "--expect", "--expect", "x"]) == 0
    assert [type(step).__name__ for step in runs.steps] == ["Send", "Expect"]


def test_options_reach_the_runner(runs: Runs, machine: str) -> None:
    words = ["--timeout", "1.5", "--digest", "--json", "--pace", "real", "--set", "vm1.vcpus=3"]
    words += ["--pcap", "all.pcapng", "--pcap", "vm1:one.pcapng"]
    assert run_cli(["run", *words, machine]) == 0
    pcap = [CaptureFile(None, Path("all.pcapng")), CaptureFile("vm1", Path("one.pcapng"))]
    assert runs.options == {"timeout": 1.5, "digest": True, "as_json": True, "pace": "real", "pcap": pcap}
    assert runs.config
    assert runs.config.vms[1].vcpus == 3


@pytest.mark.parametrize("code", [0, 1, 3])
def test_exit_code_of_the_run(runs: Runs, machine: str, code: int) -> None:
    runs.code = code
    assert run_cli(["run", machine, "--headless"]) == code
    assert runs.options["timeout"] == cli.DEFAULT_SECONDS


def test_a_file_alone_is_opened_and_glanced_at_without_a_terminal(runs: Runs, machine: str) -> None:
    assert run_cli([machine]) == 0
    assert (runs.app, runs.options["timeout"]) == (0, 2.0)


def test_a_terminal_gets_the_app(runs: Runs, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_on_terminal", lambda: True)
    assert run_cli([machine, "--set", "board.cores=2"]) == 0
    assert run_cli(["run", machine]) == 0
    assert runs.app == 2
    assert run_cli(["run", machine, "--expect", "x"]) == 0
    assert runs.app == 2
    assert len(runs.steps) == 1


def test_check_describes_the_machine(machine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["check", machine]) == 0
    out = capsys.readouterr().out
    assert "vm1: 1 vCPUs, 2M at 0x40000000 (PA 0x40200000), entry 0x40000000" in out
    assert out.endswith(f"{machine}: ok\n")


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["schema"]) == 0
    assert "VmSection" in json.loads(capsys.readouterr().out)["$defs"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["gone.toml"], "hvtui: gone.toml: expected a readable machine file (No such file or directory)"),
        (["run"], "hvtui: Missing argument 'FILE'."),
        (["run", "M", "--speed"], "hvtui: No such option '--speed'."),
        (["run", "M", "--timeout", "0"], "hvtui: Invalid value for '--timeout': 0.0 is not in the range 0<x"),
        (["run", "M", "--expect", "("], "hvtui: --expect: expected a regular expression: missing )"),
        (["run", "M", "--send", r"\q"], "hvtui: --send: expected \\n, \\r"),
        (
            ["run", "M", "--set", "vm7.vcpus=1"],
            "hvtui: --set: vm7.vcpus=1: expected one of machine, board, ffa, secure, vm0, vm1",
        ),
        (["check", "M", "--set", "vm0.colour=1"], "hvtui: M: vm[0].colour: expected no such key (unknown)"),
        (["check", "M", "--set", "vm0.format=elf"], "hvtui: "),
        (["images", "burn"], "hvtui: No such command 'burn'."),
        (["images", "build", "hurd"], "hvtui: Invalid value for '{linux-ffa}': 'hurd' is not 'linux-ffa'."),
    ],
)
def test_errors_are_one_line(
    runs: Runs, machine: str, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert run_cli([machine if word == "M" else word for word in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.replace(machine, "M").startswith(error)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_images_list_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run_cli(["images", "list"]) == 0
    listed = capsys.readouterr().out
    assert "get them with: hvtui images fetch" in listed
    assert "build them with: hvtui images build linux-ffa" in listed


def test_build_without_tools_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_cli(["images", "build", "linux-ffa"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("hvtui: tools are missing; install these packages: gcc-aarch64-linux-gnu ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "recipe", "note"),
    [
        ("linux", "", "hvtui images fetch"),
        ("linux", modules.recipe(), ""),
        ("linux-ffa", "", "hvtui images build linux-ffa"),
        ("linux-ffa", linux_ffa.recipe().digest, ""),
    ],
)
def test_images_list_tells_an_old_cache(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    recipe: str,
    note: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached.install(paths.image_cache() / name, "6.1.0-9", {"Image": cached.Content(b"kernel", "package 1.0")}, recipe)
    assert run_cli(["images", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(listed) if f"/{name}: Linux 6.1.0-9" in line)
    assert listed[at].endswith(note or "Linux 6.1.0-9")
    assert listed[at + 1].split() == ["Image", "6", "bytes", "package", "1.0"]
    assert len(listed) == 3


def test_fetch_without_apt_fails_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_cli(["images", "fetch"]) == 1
    assert capsys.readouterr().err.startswith("hvtui: apt-get: not found")


def test_command_line_starts_without_textual() -> None:
    program = "import sys, hvtui.cli; sys.exit(not sys.modules.keys().isdisjoint({'textual', 'rich', 'unicorn'}))"
    subprocess.run([sys.executable, "-c", program], check=True)
