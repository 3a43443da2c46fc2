"""Every narrated demo runs to its end, and to the same state at any pace."""

from __future__ import annotations

import pytest

from hvtui import demos
from hvtui.cli import run_cli

NAMES = [demo.name for demo in demos.all_demos()]
LINUX = {"linux_network"}


def test_there_are_as_many_as_promised() -> None:
    assert len(NAMES) >= 5


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.linux if n in LINUX else ()) for n in NAMES])
def test_it_runs_to_its_end(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    from engine.images import linux

    if name in LINUX and linux.installed() is None:
        pytest.skip("no Linux images: hvtui images fetch")
    assert run_cli(["demo", name, "--headless"]) == 0
    said = [line for line in capfd.readouterr().out.splitlines() if line.startswith("# ")]
    assert len(said) > 5


@pytest.mark.parametrize("name", sorted(set(NAMES) - LINUX))
def test_it_is_the_same_every_time(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    digests = set()
    for _ in range(2):
        assert run_cli(["demo", name, "--digest"]) == 0
        digests.add(capfd.readouterr().out.splitlines()[-1])
    assert len(digests) == 1


def test_without_a_name_they_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["demo"]) == 0
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == NAMES


def test_another_name_is_refused_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["demo", "dance"]) == 2
    assert "expected a demo, one of call_cycle" in capfd.readouterr().err
