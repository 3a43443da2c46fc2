"""Hypothesis without a clock: how long examples take is the host's business, and no verdict. State of its own."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("hvtui", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("hvtui")


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program keeps of a session goes nowhere near the user's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(_state(tmp_path_factory)))


def _state(factory: pytest.TempPathFactory) -> Path:
    return factory.getbasetemp() / "state"
