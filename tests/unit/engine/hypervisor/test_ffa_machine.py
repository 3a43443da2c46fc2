"""Random calls of three VMs, valid, malformed and hostile, against small models of what FF-A says.

Every call is made through registers, as a trap makes it, on a board whose tables are in emulated RAM. `ffa_driver`
predicts its answer, and compares tables and records with the models afterwards. FFA_EXAMPLES sets how many examples.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.engine.hypervisor.ffa_board import board
from tests.unit.engine.hypervisor.ffa_driver import Driver
from tests.unit.engine.hypervisor.ffa_rules_exchange import AllRules

EXAMPLES = int(os.environ.get("FFA_EXAMPLES", "30"))
"""`make long` runs 2000."""
STEPS = 40
BOTH = {
    "MEM_SHARE_32",
    "MEM_LEND_32",
    "MEM_DONATE_32",
    "MEM_RETRIEVE_REQ_32",
    "MEM_RELINQUISH",
    "MEM_RECLAIM",
    "MEM_FRAG_TX",
    "RXTX_MAP_64",
}
"""Calls that any 60 examples make dozens of times, well and badly."""


def test_vms_share_memory_and_quarrel() -> None:
    """No example breaks a rule, and the examples say something: calls were granted as well as refused."""
    Driver.seen.clear()
    chosen = settings(max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
    try:
        run_state_machine_as_test(AllRules, settings=chosen)
    finally:
        board.cache_clear()
    assert {call for call, answer in Driver.seen if answer == "granted"} >= BOTH
    assert {call for call, answer in Driver.seen if answer != "granted"} >= BOTH
