"""Notifications: DEN0077A v1.2 chapters 10 and 16, with the binding rules of Xen."""

from __future__ import annotations

import pytest

from engine.ffa.errors import Code
from engine.ffa.flags import FrameworkNotification
from engine.ffa.notifications import Taken, bitmap_of
from tests.unit.engine.ffa.signalling import (
    DEN,
    EVERYTHING,
    INV,
    KNOWN,
    NSUP,
    SP1,
    SP2,
    VM1,
    VM2,
    VM3,
    bound,
    fresh,
    refusal,
)


def test_create_and_destroy() -> None:
    """16.1, 16.2: DENIED where it exists, or does not, or has pending notifications; NO_MEMORY when full."""
    state = bound()
    assert refusal(state, lambda: state.create(VM1, 1)) is DEN
    assert refusal(state, lambda: state.create(VM2, 0)) is INV
    assert refusal(state, lambda: state.create(VM2, 65)) is INV
    assert refusal(state, lambda: state.destroy(VM2)) is DEN
    state.set(SP1, SP1, VM1, 0, 1)
    assert refusal(state, lambda: state.destroy(VM1)) is DEN
    state.get(VM1, VM1, 0, EVERYTHING)
    state.destroy(VM1)
    for endpoint in range(10, 17):
        state.create(endpoint, 1)
    assert refusal(state, lambda: state.create(99, 1)) is Code.NO_MEMORY


@pytest.mark.parametrize(
    ("caller", "sender", "receiver", "flags", "bitmap", "code"),
    [
        (VM2, SP1, VM1, 0, 1, INV),
        (VM1, VM1, VM1, 0, 1, INV),
        (VM1, 0x9999, VM1, 0, 1, INV),
        (VM1, SP1, VM1, 2, 1, INV),
        (VM1, SP1, VM1, 0x10000, 1, INV),
        (VM1, SP1, VM1, 0, 0, INV),
        (VM2, SP1, VM2, 0, 1, NSUP),
    ],
    ids=["not the receiver", "itself", "unknown sender", "flags", "high flags", "bitmap 0", "no bitmaps"],
)
def test_bind_refusals(caller: int, sender: int, receiver: int, flags: int, bitmap: int, code: Code) -> None:
    """16.3."""
    state = fresh()
    assert refusal(state, lambda: state.bind(caller, sender, receiver, flags, bitmap, KNOWN)) is code


def test_bind_checks_the_whole_bitmap_before_any_change() -> None:
    """Another sender's bit refuses all; the same sender may bind again."""
    state = bound()
    assert refusal(state, lambda: state.bind(VM1, SP2, VM1, 0, 0b110, KNOWN)) is DEN
    state.bind(VM1, SP2, VM1, 0, 0b100, KNOWN)
    state.bind(VM1, SP1, VM1, 0, 0b11, KNOWN)
    assert state.endpoints[VM1].from_sp.senders == {0: SP1, 1: SP1, 2: SP2}


def test_worlds_have_bitmaps_of_their_own() -> None:
    """10.2: 64 notifications from SPs and 64 from VMs."""
    state = bound()
    state.bind(VM1, VM2, VM1, 0, 0b11, KNOWN)
    state.set(VM2, VM2, VM1, 0, 0b01)
    state.set(SP1, SP1, VM1, 0, 0b10)
    assert state.get(VM1, VM1, 0, EVERYTHING) == Taken(0b10, 0b01, 0)


def test_pending_blocks_bind_and_unbind() -> None:
    """Pending is checked first, also for the same sender."""
    state = bound()
    state.set(SP1, SP1, VM1, 0, 1)
    assert refusal(state, lambda: state.bind(VM1, SP1, VM1, 0, 1, KNOWN)) is DEN
    assert refusal(state, lambda: state.unbind(VM1, SP1, VM1, 0, 0b11)) is DEN
    state.unbind(VM1, SP1, VM1, 0, 0b10)
    state.get(VM1, VM1, 0, 1)
    state.unbind(VM1, SP1, VM1, 0, 1)


def test_per_vcpu_pending_blocks_unbind_too() -> None:
    state = bound(flags=1)
    state.set(SP1, SP1, VM1, 3 << 16 | 1, 1)
    assert refusal(state, lambda: state.unbind(VM1, SP1, VM1, 0, 1)) is DEN


def test_unbind_refusals() -> None:
    """16.4: w2 must be zero, and every bit the sender's."""
    state = bound()
    assert refusal(state, lambda: state.unbind(VM1, SP1, VM1, 1, 1)) is INV
    assert refusal(state, lambda: state.unbind(VM1, SP1, VM1, 0, 0b101)) is DEN
    assert refusal(state, lambda: state.unbind(VM1, SP2, VM1, 0, 1)) is DEN
    assert refusal(state, lambda: state.unbind(VM2, SP1, VM1, 0, 1)) is INV
    assert refusal(state, lambda: state.unbind(VM1, SP1, VM1, 0, 0)) is INV
    assert refusal(state, lambda: state.unbind(VM2, SP1, VM2, 0, 1)) is NSUP


@pytest.mark.parametrize(
    ("caller", "sender", "receiver", "flags", "bitmap", "code"),
    [
        (SP2, SP1, VM1, 0, 1, INV),
        (SP1, SP1, SP1, 0, 1, INV),
        (SP1, SP1, VM1, 4, 1, INV),
        (SP1, SP1, VM1, 1 << 16, 1, INV),
        (SP1, SP1, VM1, 1, 1, INV),
        (SP1, SP1, VM1, 0, 0, INV),
        (SP1, SP1, VM2, 0, 1, DEN),
        (SP2, SP2, VM1, 0, 1, DEN),
        (SP1, SP1, VM1, 0, 0b101, DEN),
        (VM2, VM2, VM1, 2, 1, INV),
    ],
    ids=[
        "not the sender",
        "itself",
        "reserved flag",
        "vCPU of a global one",
        "per-vCPU of a global one",
        "bitmap 0",
        "receiver without bitmaps",
        "not bound to this sender",
        "partly bound",
        "a VM delays the SRI",
    ],
)
def test_set_refusals(caller: int, sender: int, receiver: int, flags: int, bitmap: int, code: Code) -> None:
    """16.5."""
    state = bound()
    assert refusal(state, lambda: state.set(caller, sender, receiver, flags, bitmap)) is code


def test_set_tells_what_is_new() -> None:
    state = bound()
    first = state.set(SP1, SP1, VM1, 2, 0b01)
    assert (first.receiver, first.vcpu, first.fresh, first.delay_sri) == (VM1, None, 0b01, True)
    assert state.set(SP1, SP1, VM1, 0, 0b11).fresh == 0b10
    assert state.has_pending(VM1)
    assert not state.has_pending(SP1)
    assert not state.has_pending(VM3)


def test_per_vcpu_notifications() -> None:
    """10.3: kept for one vCPU; GET returns global ones and those of the vCPU it names."""
    state = bound(flags=1, bitmap=0b01)
    state.bind(VM1, SP1, VM1, 0, 0b10, KNOWN)
    assert refusal(state, lambda: state.set(SP1, SP1, VM1, 4 << 16 | 1, 1)) is INV
    assert refusal(state, lambda: state.set(SP1, SP1, VM1, 0, 0b01)) is INV
    assert refusal(state, lambda: state.set(SP1, SP1, VM1, 1, 0b11)) is INV
    assert state.set(SP1, SP1, VM1, 2 << 16 | 1, 0b01).vcpu == 2
    assert state.has_pending(VM1, 2)
    assert not state.has_pending(VM1, 1)
    assert state.get(VM1, VM1, 1, EVERYTHING) == Taken(0, 0, 0)
    state.set(SP1, SP1, VM1, 0, 0b10)
    assert state.get(VM1, VM1, 2, EVERYTHING) == Taken(0b11, 0, 0)
    assert state.get(VM1, VM1, 2, EVERYTHING) == Taken(0, 0, 0)


def test_get_returns_and_clears_what_flags_ask_for() -> None:
    """16.6: w2/w3 SPs, w4/w5 VMs, w6 SPM, w7 hypervisor; reserved flags are SBZ."""
    state = fresh()
    high = 1 << 63
    state.bind(VM1, SP1, VM1, 0, high | 1, KNOWN)
    state.bind(VM1, VM2, VM1, 0, 2, KNOWN)
    state.set(SP1, SP1, VM1, 0, high | 1)
    state.set(VM2, VM2, VM1, 0, 2)
    assert state.raise_framework(VM1, FrameworkNotification.HYPERVISOR_RX_FULL)
    assert not state.raise_framework(VM1, FrameworkNotification.HYPERVISOR_RX_FULL)
    assert state.raise_framework(VM1, FrameworkNotification.SPM_RX_FULL)
    assert not state.raise_framework(VM2, FrameworkNotification.SPM_RX_FULL)
    assert state.get(VM1, VM1, 0, 0xF0) == Taken(0, 0, 0)
    assert state.get(VM1, VM1, 0, 0b0010).words() == (0, 0, 2, 0, 0, 0)
    assert state.get(VM1, VM1, 0, 0b0101).words() == (1, 1 << 31, 0, 0, 1, 0)
    assert state.get(VM1, VM1, 0, EVERYTHING).words() == (0, 0, 0, 0, 0, 1)
    assert not state.has_pending(VM1)


def test_get_refusals() -> None:
    state = bound()
    assert refusal(state, lambda: state.get(VM2, VM1, 0, 1)) is INV
    assert refusal(state, lambda: state.get(VM1, VM1, 4, 1)) is INV
    assert refusal(state, lambda: state.get(VM2, VM2, 0, 1)) is INV


def test_teardown_forgets_the_endpoint_everywhere() -> None:
    state = bound()
    state.bind(VM1, SP2, VM1, 0, 0b100, KNOWN)
    state.bind(SP1, VM1, SP1, 0, 1, KNOWN)
    state.set(SP1, SP1, VM1, 0, 0b11)
    state.set(SP2, SP2, VM1, 0, 0b100)
    state.set(VM1, VM1, SP1, 0, 1)
    state.teardown(SP1)
    assert SP1 not in state.endpoints
    assert state.endpoints[VM1].from_sp.senders == {2: SP2}
    assert state.get(VM1, VM1, 0, EVERYTHING).sp == 0b100
    state.teardown(VM1)
    state.create(VM1, 1)
    assert not state.has_pending(VM1)


def test_bitmap_words() -> None:
    assert bitmap_of(0x8000_0001, 2) == 0x2_8000_0001
