"""`--record`: what asciinema would play is what was seen."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import paths
from engine.errors import MachineError
from hvtui import cast
from hvtui.cast import Recorder
from hvtui.cli import run_cli
from hvtui.terminal import Terminal
from tests.support.ptys import on_terminal

MACHINE = str(paths.machines_dir() / "two-vms.toml")


def played(file: Path) -> Iterator[str]:
    """What a player shows after each event; checks what every player relies on."""
    header, *events = [json.loads(line) for line in file.read_text().splitlines()]
    assert header["version"] == 2
    assert header["title"].startswith("hvtui")
    terminal = Terminal(header["width"], header["height"])
    before = 0.0
    for at, code, data in events:
        assert at >= before
        before = at
        if code == "r":
            terminal.resize(*map(int, data.split("x")))
        else:
            assert code == "o"
            terminal.feed(data.encode("utf-8", "replace"))
        yield "\n".join(terminal.text(y) for y in range(terminal.lines))


def codes(file: Path) -> list[Any]:
    return [json.loads(line)[1:] for line in file.read_text().splitlines()[1:]]


@pytest.mark.parametrize("words", [["run", MACHINE], [MACHINE]])
def test_a_session_is_recorded_to_its_end(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "session.cast"
    with on_terminal(*words, "--record", str(file)) as session:
        session.see("I tick every")
        session.resize(120, 40)
        session.type(b" ")
        session.see("paused")
        session.type(b"q")
        session.see("Quit hvtui?")
        session.type(b"y")
        assert session.leave() == 0
    header = json.loads(file.read_text().splitlines()[0])
    assert (header["width"], header["height"]) == (100, 30)
    assert ["r", "120x40"] in codes(file)
    screens = list(played(file))
    for text in ("I tick every", "running", "paused", "Quit hvtui?"):
        assert any(text in screen for screen in screens), text
    assert screens[-1].strip() == "", "the app gave the terminal back"


def test_a_session_that_was_killed_is_recorded_up_to_there(tmp_path: Path) -> None:
    file = tmp_path / "killed.cast"
    with on_terminal("run", MACHINE, "--record", str(file)) as session:
        session.see("I tick every")
        session.process.send_signal(signal.SIGKILL)
        assert session.leave() == -signal.SIGKILL
    *_, last = played(file)
    assert "I tick every" in last
    assert "partitions" in last


def test_without_a_name_it_has_the_machines(tmp_path: Path) -> None:
    with on_terminal(MACHINE, "--record", directory=tmp_path) as session:
        session.see("I tick every")
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"two-vms-\d{8}-\d{6}\.cast", file.name)
    assert any("I tick every" in screen for screen in played(file))


# --- the file ---------------------------------------------------------------------------------------


def test_times_count_from_the_first_size() -> None:
    stream, clock = io.StringIO(), iter([5.0, 7.0, 7.25, 8.0])
    recorder = Recorder(stream, "a title", lambda: next(clock))
    recorder.output("before there is a terminal")
    recorder.resize(80, 24)
    recorder.output("\x1b[1mä\udc80\n")
    recorder.resize(80, 24)
    recorder.resize(20, 5)
    header, *events = map(json.loads, stream.getvalue().splitlines())
    assert (header["version"], header["width"], header["height"], header["title"]) == (2, 80, 24, "a title")
    assert events == [[0.25, "o", "\x1b[1mä\udc80\n"], [1.0, "r", "20x5"]]


class _Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_ends_the_recording_alone() -> None:
    recorder = Recorder(_Full(), "")
    recorder.resize(80, 24)
    recorder.output("x")
    assert recorder.ended == "the recording ended: No space left on device"


def test_why_it_ended_is_told() -> None:
    told: list[str] = []
    with cast.recording(Path("/dev/full"), "", told.append) as recorder:
        assert recorder is not None
        recorder.resize(80, 24)
    assert told == ["/dev/full: the recording ended: No space left on device"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"none/x.cast: No such file or directory"),
        cast.recording(tmp_path / "none" / "x.cast", "", lambda _: None),
    ):
        raise AssertionError("nothing is recorded")


@pytest.mark.parametrize("name", ["two-vms.toml", "cast", ".cast", "a\0.cast"])
def test_only_recordings_are_overwritten(name: str) -> None:
    with pytest.raises(MachineError, match=r"whose name ends in \.cast"):
        cast.parse(name)


@pytest.mark.parametrize("more", [[], ["--headless"], ["--json"], ["--expect", "x"]])
def test_a_recording_needs_the_app(more: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "x.cast"
    assert run_cli(["run", MACHINE, "--record", str(file), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--record records the app" in line
    assert not file.exists()
