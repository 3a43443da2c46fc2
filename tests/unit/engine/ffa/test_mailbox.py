"""RX/TX buffers: mapping rules and ownership (DEN0077A v1.2, 7.2.2, 13.4-13.7)."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from engine.ffa.errors import Code, FfaError
from engine.ffa.mailbox import Filled, Mailbox, RxContent, RxOwner

TX, RX = 0x5000_0000, 0x5000_1000
INV, DEN, BUSY = Code.INVALID_PARAMETERS, Code.DENIED, Code.BUSY
MESSAGE = Filled(RxContent.MESSAGE, 1, 24)


def refusal(box: Mailbox, check: Callable[[], object]) -> Code:
    before = copy.deepcopy(box)
    with pytest.raises(FfaError) as refused:
        check()
    assert box == before
    return refused.value.code


def mapped() -> Mailbox:
    box = Mailbox()
    box.map(box.check_map(TX, RX, 1))
    return box


@pytest.mark.parametrize(
    ("tx", "rx", "pages"),
    [
        (TX + 1, RX, 1),
        (TX, RX + 0x800, 1),
        (TX, RX, 0),
        (TX, RX, 2),
        (TX, TX, 1),
        ((1 << 64) - 4096 + 4096, RX, 1),
    ],
    ids=["tx unaligned", "rx unaligned", "no pages", "too many pages", "same page", "wrap"],
)
def test_map_refusals(tx: int, rx: int, pages: int) -> None:
    box = Mailbox()
    assert refusal(box, lambda: box.check_map(tx, rx, pages)) is INV


def test_larger_buffers_may_not_overlap() -> None:
    box = Mailbox(max_pages=4)
    assert refusal(box, lambda: box.check_map(TX, RX, 2)) is INV
    assert box.check_map(TX, RX, 1).size == 4096
    assert box.check_map(TX, TX + 0x4000, 4).size == 0x4000


def test_mapping_twice_is_denied() -> None:
    """13.6: DENIED while a pair is registered."""
    box = mapped()
    assert refusal(box, lambda: box.check_map(TX, RX, 1)) is DEN


def test_calls_without_buffers() -> None:
    """13.7 and 13.4: INVALID_PARAMETERS without a pair; 13.5: DENIED to release what one does not own."""
    box = Mailbox()
    assert refusal(box, box.check_unmap) is INV
    assert refusal(box, box.check_send) is INV
    assert refusal(box, box.check_acquire) is INV
    assert refusal(box, box.check_release) is DEN
    assert refusal(box, lambda: box.check_fill(8)) is DEN


def test_ownership_goes_round() -> None:
    box = mapped()
    assert refusal(box, box.check_release) is DEN
    box.check_fill(24)
    box.fill(MESSAGE)
    assert box.full
    assert refusal(box, lambda: box.check_fill(24)) is BUSY
    assert refusal(box, box.check_acquire) is DEN
    box.check_release()
    box.release()
    assert (box.full, box.filled) == (False, None)
    box.check_fill(4096)


def test_too_much_for_rx() -> None:
    box = mapped()
    assert refusal(box, lambda: box.check_fill(4097)) is Code.NO_MEMORY


def test_acquire_lets_the_hypervisor_fill() -> None:
    box = mapped()
    box.check_acquire()
    box.acquire()
    assert refusal(box, box.check_acquire) is DEN
    assert refusal(box, lambda: box.check_fill(8)) is BUSY
    box.check_fill(8, RxOwner.FORWARDER)
    box.fill(MESSAGE)
    assert box.full


@pytest.mark.parametrize(("retain", "full"), [(False, False), (True, True)])
def test_msg_wait_releases_unless_retained(retain: bool, full: bool) -> None:
    box = mapped()
    box.fill(MESSAGE)
    box.wait(retain)
    assert box.full is full


def test_unmap_drops_everything() -> None:
    box = mapped()
    box.fill(MESSAGE)
    box.check_unmap()
    box.unmap()
    assert box == Mailbox()
