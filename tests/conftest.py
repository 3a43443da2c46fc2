"""Hypothesis without deadlines: how long an example takes is the host's business, and no verdict."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("hvtui", deadline=None)
hypothesis.settings.load_profile("hvtui")
