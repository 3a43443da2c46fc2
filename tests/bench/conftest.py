"""Rows are collected while the benchmarks run, and printed as one table at the end."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import pytest

from engine.images import linux
from tests.bench import qemu
from tests.bench.table import Table

_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = Table()


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """Where a benchmark puts its rows."""
    return request.config.stash[_TABLE]


@pytest.fixture
def with_qemu(table: Table) -> bool:
    """Whether there is a QEMU to compare with; if not, the table says so."""
    reason = qemu.missing()
    if reason:
        table.note(f"no comparison: {reason}")
    return not reason


@pytest.fixture
def linux_images(table: Table) -> None:
    """Skips without the Linux images, and the table says so."""
    if linux.installed() is None:
        reason = "no Linux images; fetch them with: hvtui images fetch"
        table.note(f"{reason}")
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash[_TABLE]
    if table.rows:
        terminalreporter.write_line("\n" + "\n".join([*table.lines(), "", *_host()]))


def _host() -> list[str]:
    """What the figures were taken on."""
    return [
        f"Python {platform.python_version()}, Unicorn {version('unicorn')}, {qemu.version() or 'no QEMU'}",
        f"{os.cpu_count()} host cores, load average {os.getloadavg()[0]:.2f} at the end",
    ]
