"""Calibration finds Unicorn's state, or refuses with one line."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import unicorn
from unicorn import Uc

from engine.cpu import calibration
from engine.cpu import unicorn_api as api
from engine.cpu.calibration import CalibrationError, layout
from engine.cpu.unicorn_api import UnsupportedUnicornError


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Calibrates anew in every test; afterwards as if nothing had happened."""
    layout.cache_clear()
    yield
    layout.cache_clear()


def refusal() -> str:
    with pytest.raises(UnsupportedUnicornError) as caught:
        layout()
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def test_the_layout_is_the_same_every_time() -> None:
    first = layout()
    layout.cache_clear()
    assert layout() == first


def test_fields_do_not_overlap() -> None:
    found = layout()
    spans = [
        (found.x, 32 * 8),
        (found.pc, 8),
        (found.pstate, 4),
        (found.daif, 8),
        (found.sp_el, 32),
        (found.elr_el, 32),
        (found.spsr_el1, 8),
        (found.hpfar, 8),
        (found.exception, 20),
    ]
    spans.sort()
    for (start, size), (following, _) in itertools.pairwise(spans):
        assert start + size <= following


def test_another_version_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unicorn, "__version__", "2.2.0")
    assert refusal() == "unicorn 2.2.0 is installed, this program needs 2.1.4"


def test_another_version_is_refused_before_anything_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Uc:
        raise AssertionError("an engine was made")

    monkeypatch.setattr(unicorn, "__version__", "9")
    monkeypatch.setattr(api, "new_engine", never)
    refusal()


def nothing(*_: object) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("name", "replacement", "problem"),
    [
        ("_read_memory", nothing, "cannot find the CPU state"),
        ("_is_live", lambda *_: False, "cannot find the CPU state"),
        ("_words_changed", lambda *_: {0, 4}, "cannot find PSTATE"),
        ("_SVC_SYNDROME", 0x1357_9BDF, "cannot find the exception syndrome"),
        ("_ENGINE_STRUCT_BYTES", 0x100, "cannot find the"),
    ],
)
def test_a_probe_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, replacement: Callable[..., object] | int, problem: str
) -> None:
    monkeypatch.setattr(calibration, name, replacement)
    message = refusal()
    assert message.startswith(problem)
    assert message.endswith("of this Unicorn build")


def test_a_counter_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_NOP", 0xD4000001)  # SVC: a slice of these never gets to its end
    engine = api.new_engine()
    engine.mem_map(calibration._SCRATCH, 0x2000)

    def stop(uc: Uc, *_: object) -> None:
        uc.emu_stop()

    engine.hook_add(unicorn.UC_HOOK_INTR, stop)
    with pytest.raises(CalibrationError, match="instruction counter"):
        calibration._probe_counter(engine)
