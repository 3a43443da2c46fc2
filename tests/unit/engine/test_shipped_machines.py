"""Every machine file that comes with the program is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import config, paths
from engine.errors import MachineError
from engine.images.placement import load_guest
from engine.monitor.boot import boot_parts

FILES = sorted(paths.machines_dir().glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_machine_loads(file: Path) -> None:
    try:
        machine = config.load(file)
    except MachineError as error:
        if "hvtui images " not in str(error):
            raise
        pytest.skip(str(error))
    assert machine.description
    for vm in machine.vms:
        assert load_guest(vm, machine.seed).entry >= vm.ram_base
    if machine.secure is not None:
        assert boot_parts(machine.secure).packages


def test_default_machine_is_one_of_them() -> None:
    assert paths.default_machine() in FILES
