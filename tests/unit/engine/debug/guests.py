"""Shipped machines, without a thread, brought to states where there is something to look at."""

from __future__ import annotations

from engine import config
from engine.build import build
from engine.control import Control
from engine.observe_ffa import ffa_view
from engine.paths import machines_dir
from engine.views import FfaTransactionView

SECOND = 500_000_000
"""Cycles of virtual time."""
_STEP, _MOST_STEPS = 1000, 2000


def standing(file: str, cycles: int = SECOND // 2, digest: bool = False) -> Control:
    """A machine at a virtual time."""
    control = Control(build(config.load(machines_dir() / file), digest=digest))
    control.advance(cycles)
    return control


def shared(file: str, kind: str, *borrowers: tuple[int, str]) -> tuple[Control, FfaTransactionView]:
    """A machine run until a transaction of a kind has exactly these borrowers, in these states."""
    control = Control(build(config.load(machines_dir() / file)))
    for _ in range(_MOST_STEPS):
        control.run_instructions(_STEP)
        view = ffa_view(control.system)
        for record in view.transactions if view is not None else ():
            if record.kind == kind and [(each.endpoint, each.state) for each in record.borrowers] == list(borrowers):
                return control, record
    raise AssertionError("never came to that state")
