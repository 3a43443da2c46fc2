"""The words of --expect and --send."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvtui.steps import StepError, decode_escapes, parse_expect, parse_send

NAMES = ["vm0", "guest"]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("plain", b"plain"),
        (r"nproc; uname -m\n", b"nproc; uname -m\n"),
        (r"\t\r\e\0\\n", b"\t\r\x1b\0\\n"),
        (r"\x1b[A\x7F", b"\x1b[A\x7f"),
        ("ü\n", "ü\n".encode()),
        ("", b""),
    ],
)
def test_escapes(text: str, data: bytes) -> None:
    assert decode_escapes(text) == data


@pytest.mark.parametrize("text", ["\\", r"\q", r"\x1", r"\xzz", "a\\"])
def test_unknown_escape(text: str) -> None:
    with pytest.raises(StepError, match=r"^expected \\n, \\r"):
        decode_escapes(text)


def test_send_goes_to_the_first_vm_unless_one_is_named() -> None:
    assert (parse_send("ls\\n", NAMES).console, parse_send("guest:ls", NAMES).console) == ("vm0", "guest")
    assert parse_send("guest:ls", NAMES).data == b"ls"
    assert parse_send("echo:ls", NAMES).data == b"echo:ls"


def test_expect_looks_at_any_console_unless_one_is_named() -> None:
    step = parse_expect("guest:^a.c$", NAMES)
    assert step.console == "guest"
    assert step.pattern.search("x\nabc\ny")
    assert parse_expect("/ # ", NAMES).console is None
    assert parse_expect("time: [0-9]+", NAMES).pattern.search("time: 17")


def test_bad_expression() -> None:
    with pytest.raises(StepError, match="expected a regular expression: missing"):
        parse_expect("(", NAMES)


@given(st.text(max_size=50))
def test_any_text_is_a_step_or_one_error(text: str) -> None:
    for parse in (parse_send, parse_expect):
        with contextlib.suppress(StepError):
            parse(text, NAMES)


@given(st.binary(max_size=30))
def test_every_byte_can_be_sent(data: bytes) -> None:
    assert decode_escapes("".join(f"\\x{byte:02x}" for byte in data)) == data
