"""Streams between two Linux VMs by AF_VSOCK: there and back, nobody there, and a VM that is reset meanwhile."""

from __future__ import annotations

import pytest

from tests.support.linux import PROMPT, Terminal, boot, linux_config, needs_linux

pytestmark = needs_linux
MEBIBYTE_OF_ZEROES = "b6d81b360a5672d80c27430f39153e2c"
"""MD5."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Terminal]:
    return boot(linux_config(tmp_path_factory.mktemp("sockets"), {"vsock": {}}, {"vsock": {"cid": 77}}))


def test_a_conversation(pair: list[Terminal]) -> None:
    server, client = pair
    server.type("vsock listen 1234; echo ended $?\n")
    server.wait("listening on port 1234\n")
    assert client.command("echo hello there | vsock connect 3 1234; echo ended $?") == ["ended 0"]
    assert server.wait(PROMPT).splitlines()[:-1] == ["vsock: CID 77 connected", "hello there", "ended 0"]


def test_much_data_there_and_back(pair: list[Terminal]) -> None:
    server, client = pair
    before = client.bench.system.vms[1].virtio[0].device.facts()
    server.type("vsock listen -e 5; echo ended $?\n")
    server.wait("listening on port 5\n")
    received = client.command("dd if=/dev/zero bs=1024 count=1024 2>/dev/null | vsock connect 3 5 | md5sum")
    assert received == [f"{MEBIBYTE_OF_ZEROES}  -"]
    server.wait("ended 0\n")
    facts = client.bench.system.vms[1].virtio[0].device.facts()
    assert [int(facts[key]) - int(before[key]) for key in ("bytes sent", "bytes received")] == [1 << 20] * 2
    assert facts["bytes waiting"] == 0


def test_nobody_there(pair: list[Terminal]) -> None:
    _, client = pair
    for cid in ("3", "99"):
        assert client.command(f"vsock connect {cid} 6; echo ended $?") == [
            "vsock: connect: Connection reset by peer",
            "ended 1",
        ]


def test_a_vm_that_is_reset_meanwhile(pair: list[Terminal]) -> None:
    server, client = pair
    server.type("vsock listen 7 > /dev/null\n")
    server.wait("listening on port 7\n")
    client.type("vsock connect 3 7 < /dev/zero; echo ended $?\n")
    server.wait("CID 77 connected\n")
    server.bench.control.reset("vm0")
    client.wait("ended 1\n")
    server.wait(PROMPT)
    server.type("vsock listen 8\n")
    server.wait("listening on port 8\n")
    client.wait(PROMPT)
    assert client.command("echo again | vsock connect 3 8; echo ended $?") == ["ended 0"]
    server.wait("again\n")
