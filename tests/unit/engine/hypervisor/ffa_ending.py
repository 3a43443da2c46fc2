"""How an example ends: everything is given back, by calls that must all be granted, and everything balances."""

from __future__ import annotations

from engine.arch.paging import PAGE, PageState
from engine.ffa.abi import Function
from engine.ffa.memory import Data, Instruction
from engine.hypervisor.ffa_stub_spmc import StubCommand
from tests.support.ffa_exchange_model import Doing
from tests.support.ffa_requests import DONATE, Retrieve, Send
from tests.unit.engine.hypervisor.ffa_driver import VMS
from tests.unit.engine.hypervisor.ffa_driver_exchange import FullDriver

_SPARE = 0x18_0000
"""Buffers of the end, in pages that nobody ever sends."""
_AWAY = 0x20_0000_0000
"""Where pages that are not at home meet on their way."""


def finish(driver: FullDriver) -> None:
    """Bring everything back and compare with the start."""
    driver.scarce = False
    driver.board.free_tables()
    _wake_all(driver)
    for vm in VMS:
        _fresh_buffers(driver, vm)
    for handle in sorted(driver.model.deals):
        _undo(driver, handle)
    _bring_home(driver)
    for vm in VMS:
        driver.unmap_buffers(vm)
        driver.check()
    _balance(driver)


def _wake_all(driver: FullDriver) -> None:
    talk = driver.talk
    while set(talk.doing.values()) != {Doing.RUNS}:
        for vm in VMS:
            if talk.doing[vm] is Doing.OFF:
                driver.start(vm)
            elif talk.doing[vm] is Doing.WAITS:
                driver.interrupt(vm)
            elif talk.doing[vm] is Doing.RUNS and vm in talk.asked:
                asker, wide = talk.asked[vm]
                driver.answer(vm, 2 if wide else 0, vm, asker)
            driver.check()


def _fresh_buffers(driver: FullDriver, vm: int) -> None:
    if vm in driver.buffers.pairs:
        driver.unmap_buffers(vm)
    driver.map_buffers(vm, driver.at(vm, _SPARE), driver.at(vm, _SPARE + PAGE))
    driver.check()


def _undo(driver: FullDriver, handle: int) -> None:
    """Relinquish by all who have it, and reclaim."""
    deal = driver.model.deals[handle]
    for holder in sorted(deal.holders):
        if holder in VMS:
            driver.relinquish(holder, handle)
        else:
            driver.stub(deal.sent.sender, holder, StubCommand.RELINQUISH, handle)
        driver.check()
    if handle in driver.model.deals:
        driver.reclaim(deal.sent.sender, handle)
        driver.check()


def _bring_home(driver: FullDriver) -> None:
    """Donated pages go back by further donations: first to a VM that is neither, to make room, then home."""
    strays = [
        (vm, ipa, *_home(driver, page.address))
        for vm, view in driver.model.views.items()
        for ipa, page in view.items()
        if page is not None and page.state is PageState.OWNED and (vm, ipa) != _home(driver, page.address)
    ]
    away = [next(each for each in VMS if each not in (vm, home)) for vm, _, home, _ in strays]
    for number, (vm, ipa, _, _) in enumerate(strays):
        _donate(driver, vm, ipa, away[number], _AWAY + number * PAGE)
    for number, (_, _, home, ipa) in enumerate(strays):
        _donate(driver, away[number], _AWAY + number * PAGE, home, ipa)


def _home(driver: FullDriver, address: int) -> tuple[int, int]:
    """Whose page it was at power-on, and where."""
    for vm, ram in driver.board.rams.items():
        if ram.address <= address < ram.address + ram.size:
            return vm, ram.ipa + address - ram.address
    raise AssertionError(f"{address:#x}")


def _donate(driver: FullDriver, vm: int, ipa: int, to: int, where: int) -> None:
    page = driver.model.page(vm, ipa)
    kind = Instruction.X if page is not None and page.execute else Instruction.NX
    driver.begin(vm, Function.MEM_DONATE_32, Send(DONATE, vm, (to,), ((ipa, 1),), Data.UNSPECIFIED, attributes=0))
    driver.check()
    wanted = Retrieve(driver.handles[-1], vm, (to,), instruction=kind, ranges=((where, 1),))
    driver.begin(to, Function.MEM_RETRIEVE_REQ_32, wanted)
    driver.check()
    driver.release(to)


def _balance(driver: FullDriver) -> None:
    """No record is left, and every page is where it was, with no more access than before, unless an SP has it."""
    relay, calls = driver.board.relay, driver.board.proxy._memory
    assert not relay.table.records
    assert not relay.table.reserved
    assert not calls._incoming.transfers
    assert not calls._outgoing.transfers
    for vm, view in driver.board.changed_pages().items():
        for ipa, page in view.items():
            before = driver.model.default(vm, ipa)
            assert before is not None, f"{ipa:#x} was not there"
            if before.address in driver.gone:
                assert page is None or page.state is PageState.DONATED
            else:
                assert page is not None
                assert (page.address, page.state) == (before.address, PageState.OWNED)
                assert before.address in driver.given
