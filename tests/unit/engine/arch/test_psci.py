"""Function ids and result codes against the numbers in the specifications (DEN0022, DEN0028)."""

from __future__ import annotations

import pytest

from engine.arch.psci import HAS_64, SMC64, Function, Result, Smccc, function_name


@pytest.mark.parametrize(
    ("function", "fid"),
    [
        (Function.VERSION, 0x8400_0000),
        (Function.CPU_SUSPEND, 0x8400_0001),
        (Function.CPU_OFF, 0x8400_0002),
        (Function.CPU_ON, 0x8400_0003),
        (Function.AFFINITY_INFO, 0x8400_0004),
        (Function.MIGRATE_INFO_TYPE, 0x8400_0006),
        (Function.SYSTEM_OFF, 0x8400_0008),
        (Function.SYSTEM_RESET, 0x8400_0009),
        (Function.FEATURES, 0x8400_000A),
        (Function.SYSTEM_RESET2, 0x8400_0012),
        (Smccc.VERSION, 0x8000_0000),
        (Smccc.ARCH_FEATURES, 0x8000_0001),
        (Smccc.ARCH_WORKAROUND_1, 0x8000_8000),
        (Smccc.ARCH_WORKAROUND_2, 0x8000_7FFF),
    ],
)
def test_ids(function: int, fid: int) -> None:
    assert function == fid


def test_results() -> None:
    codes = [result.name for result in sorted(Result, reverse=True)]
    assert codes == [
        "SUCCESS",
        "NOT_SUPPORTED",
        "INVALID_PARAMETERS",
        "DENIED",
        "ALREADY_ON",
        "ON_PENDING",
        "INTERNAL_FAILURE",
        "NOT_PRESENT",
        "DISABLED",
        "INVALID_ADDRESS",
    ]
    assert sorted(Result, reverse=True) == list(range(0, -10, -1))


def test_names_are_the_same_for_both_widths() -> None:
    assert function_name(Function.CPU_ON) == function_name(Function.CPU_ON | SMC64) == "CPU_ON"
    assert function_name(0x8600_0000) is None


def test_functions_without_addresses_have_no_64_bit_id() -> None:
    assert {Function.VERSION, Function.CPU_OFF, Function.SYSTEM_OFF, Function.FEATURES}.isdisjoint(HAS_64)
