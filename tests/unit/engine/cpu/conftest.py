"""A CPU core is dear to make: one for each file of tests, put into reset state by `Rig.load`."""

from __future__ import annotations

import pytest

from tests.support.cores import Client, Rig


@pytest.fixture(scope="module")
def module_rig() -> Rig:
    return Rig()


@pytest.fixture
def rig(module_rig: Rig) -> Rig:
    """The core with a client that knows nothing yet."""
    client = Client()
    client.core = module_rig.core
    module_rig.client.__dict__.update(client.__dict__)
    return module_rig
