"""What FF-A costs a guest: calls that only trap, and whole lives of shares of more and more pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import guests
from tests.bench.table import Table

pytestmark = pytest.mark.bench
RUNS = 3
CALLS = "FF-A calls of a guest"
SHARES = "FF-A share to reclaim"


def test_version(table: Table, tmp_path: Path) -> None:
    n = 20_000
    table.speed(CALLS, "FFA_VERSION", "/s", n / guests.ffa_rounds(tmp_path, "version", n, RUNS).seconds)


def test_shares(table: Table, tmp_path: Path) -> None:
    alone = 0.0
    for pages, n in ((1, 300), (16, 300), (512, 100)):
        seconds = guests.ffa_rounds(tmp_path, f"share pages={pages}", n, RUNS).seconds / n
        each = seconds / pages * 1e6
        alone = alone or each
        table.pages(SHARES, f"{pages} page{'s' if pages > 1 else ''} of one range", 1 / seconds, each, alone)
