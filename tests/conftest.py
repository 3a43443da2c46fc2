"""Hypothesis without a clock: how long examples take is the host's business, and no verdict."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("hvtui", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("hvtui")
