"""Direct messages between the worlds and between partitions."""

from __future__ import annotations

from pathlib import Path

from engine.ffa.abi import Function, id_pair
from engine.spmc.states import ContextState
from tests.support import assembler as a
from tests.support.assembler import Program
from tests.support.machines import DATA, store_result
from tests.support.secure import Sp, echo, secure

REQ, RESP = Function.MSG_SEND_DIRECT_REQ_32, Function.MSG_SEND_DIRECT_RESP_32


def test_a_request_is_answered(tmp_path: Path) -> None:
    client = Program().call(REQ, id_pair(1, 0x8001), 0, 0xAAAA, 0xBBBB, 0xCCCC, conduit=a.smc())
    for register in (0, 1, 3, 4, 5):
        store_result(client, register, register)
    bench = secure(tmp_path, [Sp(echo())], client.loop()).run(1000)
    assert bench.words(DATA, 2) == [RESP, id_pair(0x8001, 1)]
    assert bench.words(DATA + 24, 3) == [0xAAAA, 0xCBBB, 0xCCCC]
    assert bench.context().state is ContextState.IDLE


def test_a_vm_under_the_hypervisor_is_answered(tmp_path: Path) -> None:
    client = Program().call(REQ, id_pair(1, 0x8001), 0, 0xAAAA, 0xBBBB, 0xCCCC, conduit=a.smc())
    for register in (0, 1, 3, 4, 5):
        store_result(client, register, register)
    bench = secure(tmp_path, [Sp(echo())], client.loop(), el=1).run(1000)
    assert bench.words(DATA, 2) == [RESP, id_pair(0x8001, 1)]
    assert bench.words(DATA + 24, 3) == [0xAAAA, 0xCBBB, 0xCCCC]
