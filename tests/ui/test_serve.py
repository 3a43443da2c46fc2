"""`hvtui serve`: who gets in, and what a browser shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from engine import paths
from engine.errors import MachineError
from hvtui.cli import run_cli
from hvtui.terminal import Terminal
from hvtui.web.guard import Guard
from hvtui.web.server import serving
from hvtui.web.visitor import cells
from tests.support.chromium import Tab, browsing, needs_chromium

MACHINE = paths.machines_dir() / "two-vms.toml"
APP = [sys.executable, "-m", "hvtui", "served", str(MACHINE)]
ECHO = """
import sys
out = sys.stdout.buffer
def send(data):
    out.write(b"D" + len(data).to_bytes(4, "big") + data)
    out.flush()
out.write(b"__GANGLION__\\n")
send(b"here")
while head := sys.stdin.buffer.read(5):
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if b"quit" in data and head[:1] == b"M":
        break
    send(head[:1] + data)
"""
"""Speaks textual-serve's packets, and sends back what it gets."""
STUBBORN = ECHO.replace("        break\n", "        continue\n")
"""Does not want to end."""
SILENT = ECHO.replace('send(b"here")', 'send(b"x" * 2_000_000)')
"""Says more than a pipe holds, so that it has to be read."""


def browser() -> aiohttp.ClientSession:
    """A client that keeps cookies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


@contextlib.asynccontextmanager
async def visiting(program: str = ECHO, visitors: int = 2) -> AsyncIterator[tuple[Guard, aiohttp.ClientSession]]:
    """A server whose pages run a small program, and a client."""
    command = [sys.executable, "-c", program]
    async with serving(command, "a <title>", visitors=visitors) as guard, browser() as client:
        yield guard, client


def at(guard: Guard, path: str) -> str:
    """An address without token."""
    return f"http://{urlsplit(guard.url).netloc}{path}"


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/page/page.js", "/static/js/textual.js", "/nowhere", "/?token=", "/?token=%ff"]
)
async def test_without_the_token_everything_is_refused(path: str) -> None:
    async with visiting() as (guard, client):
        assert (await client.get(at(guard, path))).status == 403


async def test_another_token_is_refused() -> None:
    async with visiting() as (guard, client):
        assert (await client.get(guard.url[:-1])).status == 403
        assert (await client.get(guard.url + "x")).status == 403
        assert not client.cookie_jar.filter_cookies(client._build_url(guard.url))


async def test_the_token_opens_the_page_and_its_cookie_the_rest() -> None:
    async with visiting() as (guard, client):
        page = await client.get(guard.url)
        assert page.status == 200
        assert "<title>a &lt;title&gt;</title>" in await page.text()
        cookie = page.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        for path in ("/", "/static/js/textual.js", "/static/css/xterm.css", "/page/page.js", "/page/page.css"):
            assert (await client.get(at(guard, path))).status == 200
        assert (await client.get(at(guard, "/static/"))).status == 403, "no lists of files"
        assert (await client.get(at(guard, "/nowhere"))).status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
async def test_another_host_is_refused_even_with_the_token(host: str) -> None:
    async with visiting() as (guard, client):
        named = host.format(port=urlsplit(guard.url).port)
        assert (await client.get(guard.url, headers={"Host": named})).status == 403


async def test_localhost_is_this_host() -> None:
    async with visiting() as (guard, client):
        netloc = f"localhost:{urlsplit(guard.url).port}"
        page = await client.get(guard.url, headers={"Host": netloc})
        assert page.status == 200
        assert f"ws://{netloc}/ws" in await page.text()


async def test_a_websocket_wants_the_cookie() -> None:
    async with visiting() as (guard, client):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(at(guard, "/ws"))
        assert refused.value.status == 403
        await client.get(guard.url)
        async with client.ws_connect(at(guard, "/ws")) as websocket:
            assert await websocket.receive_bytes() == b"here"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
async def test_a_websocket_of_another_page_is_refused_with_the_cookie(origin: str) -> None:
    async with visiting() as (guard, client):
        await client.get(guard.url)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(at(guard, "/ws"), origin=origin)
        assert refused.value.status == 403


async def test_only_what_a_page_can_have_sent_reaches_the_app() -> None:
    async with visiting() as (guard, client):
        await client.get(guard.url)
        async with client.ws_connect(at(guard, "/ws?width=33&height=7")) as websocket:
            assert await websocket.receive_bytes() == b"here"
            for nonsense in ("", "{", "7", "[]", "{}", '["stdin"]', '["stdin", 1]', '["resize", {}]', '["resize", []]',
                             '["resize", {"width": null, "height": 1}]', '["quit"]', "[[], {}]", '"quit"'):  # fmt: skip
                await websocket.send_str(nonsense)
            await websocket.send_json(["stdin", "\ud800ä"])
            assert await websocket.receive_bytes() == b"D?" + "ä".encode()
            await websocket.send_json(["resize", {"width": 10**9, "height": -1}])
            said = await websocket.receive_bytes()
            assert json.loads(said[1:]) == {"type": "resize", "width": 1000, "height": 1}
            await websocket.send_json(["ping", "1"])
            assert await websocket.receive_json() == ["pong", "1"]


@pytest.mark.parametrize("query", ["width=x", "height=1e3", f"width={'9' * 5000}"])
async def test_a_size_is_a_number(query: str) -> None:
    async with visiting() as (guard, client):
        await client.get(guard.url)
        assert (await client.get(at(guard, f"/ws?{query}"))).status == 400


@pytest.mark.parametrize(("value", "size"), [(80, 80), ("24", 24), (0, 1), (-5, 1), (10**12, 1000)])
def test_sizes_are_bounded(value: object, size: int) -> None:
    assert cells(value) == size


@pytest.mark.parametrize("program", [ECHO, STUBBORN, SILENT])
async def test_a_process_ends_with_its_page(program: str) -> None:
    async with visiting(program, visitors=1) as (guard, client):
        await client.get(guard.url)
        for _ in range(2):
            # The second one waits for the place of the first, whose process has ended by then.
            async with client.ws_connect(at(guard, "/ws")) as websocket:
                assert (await websocket.receive_bytes()).startswith((b"here", b"xxxx"))


async def test_one_page_more_than_there_are_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvtui.web.server.GRACE_S", 0.05)
    async with visiting(visitors=1) as (guard, client):
        await client.get(guard.url)
        async with client.ws_connect(at(guard, "/ws")) as first, client.ws_connect(at(guard, "/ws")) as second:
            assert await first.receive_bytes() == b"here"
            assert b"the most is 1" in await second.receive_bytes()
            assert (await second.receive()).type is aiohttp.WSMsgType.CLOSE
            await first.send_json(["stdin", "x"])
            assert await first.receive_bytes() == b"Dx"


async def test_a_page_learns_that_its_process_has_ended() -> None:
    async with visiting("print('no packets')") as (guard, client):
        await client.get(guard.url)
        async with client.ws_connect(at(guard, "/ws")) as websocket:
            assert (await websocket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_the_end_of_the_server_ends_pages() -> None:
    async with visiting(STUBBORN) as (guard, client):
        await client.get(guard.url)
        websocket = await client.ws_connect(at(guard, "/ws"))
        assert await websocket.receive_bytes() == b"here"
        ending = asyncio.create_task(websocket.receive())
    assert (await ending).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


async def test_a_port_that_is_taken() -> None:
    async with visiting() as (guard, _):
        with pytest.raises(MachineError, match="Address already in use"):
            async with serving([], "", port=urlsplit(guard.url).port or 0):
                raise AssertionError("it is")


def test_a_bad_machine_file_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["serve", str(tmp_path / "none.toml")]) == 2
    assert "expected a readable machine file" in capsys.readouterr().err


# --- the command --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """`hvtui serve` as people start it; its process and the address it prints."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "hvtui", "serve", *arguments, stdout=PIPE)
    try:
        assert process.stdout is not None
        yield process, (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def children(pid: int, word: str) -> list[str]:
    """Those of a process that have a word in their command line."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for each in found if word.encode() in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_serve_prints_an_address_and_ends_all_on_a_signal(end: signal.Signals) -> None:
    async with command(str(MACHINE), "--set", "machine.name=renamed") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", url)
        async with browser() as client:
            assert "<title>hvtui renamed</title>" in await (await client.get(url)).text()
            parts = urlsplit(url)
            async with client.ws_connect(f"http://{parts.netloc}/ws?width=80&height=24") as websocket:
                shown = b""
                while b"renamed" not in shown:
                    shown += await websocket.receive_bytes(timeout=60)
                (child,) = children(process.pid, "served")
                process.send_signal(end)
                async with asyncio.timeout(60):
                    while (await websocket.receive()).type is aiohttp.WSMsgType.BINARY:
                        pass
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert not Path(f"/proc/{child}").exists()


async def test_an_app_ends_with_its_input() -> None:
    """A server that was killed could not say that it is gone."""
    driver = {"TEXTUAL_DRIVER": "hvtui.web.driver:PipeDriver"}
    process = await asyncio.create_subprocess_exec(*APP, stdin=PIPE, stdout=PIPE, env=os.environ | driver)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"__GANGLION__\n"
    process.stdin.close()
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0


# --- a browser ----------------------------------------------------------------------------------------


def seen(tab: Tab) -> str:
    """What the terminal in the page shows: what it got, in one of the same size."""
    address = next(urlsplit(each) for each in tab.requests if each.startswith("ws:"))
    query = parse_qs(address.query)
    terminal = Terminal(int(query["width"][0]), int(query["height"][0]))
    terminal.feed(bytes(tab.received))
    return "\n".join(terminal.text(y) for y in range(terminal.lines))


@needs_chromium
async def test_a_browser_shows_a_machine_and_holds_it(tmp_path: Path) -> None:
    async with serving(APP, "hvtui two-vms") as guard, browsing(tmp_path / "profile") as tab:
        await tab.open(guard.url)
        await tab.until(lambda: b"running" in tab.received and "I tick every" in seen(tab), "the machine")
        await tab.type(" ")
        await tab.until(lambda: "paused" in seen(tab), "the machine is held")
        await tab.picture(tmp_path / "page.png")
        assert await tab.evaluate("document.fonts.check('16px \"Roboto Mono\"')")
        own = f"127.0.0.1:{urlsplit(guard.url).port}"
        assert {urlsplit(each).netloc for each in tab.requests} <= {own, ""}, "nothing comes from anywhere else"
        assert children(os.getpid(), "served")
        assert await tab.colours(tmp_path / "page.png") > 20
        await tab.until(lambda: not children(os.getpid(), "served"), "the machine ends with its page")


@needs_chromium
async def test_a_machine_that_was_left_can_be_started_again(tmp_path: Path) -> None:
    async with serving(APP, "hvtui two-vms") as guard, browsing(tmp_path / "profile") as tab:
        await tab.open(guard.url)
        await tab.until(lambda: b"running" in tab.received and "I tick every" in seen(tab), "the machine")
        (first,) = children(os.getpid(), "served")
        await tab.type("q")
        await tab.until(lambda: "Quit hvtui?" in seen(tab), "the question")
        await tab.type("y")
        async with asyncio.timeout(60):
            while not await tab.evaluate("document.querySelector('#ended').offsetHeight"):
                await asyncio.sleep(0.05)
        await tab.until(lambda: not children(os.getpid(), "served"), "the app has ended")
        tab.received.clear()
        await tab.evaluate("document.querySelector('#ended a').click()")
        await tab.until(lambda: "I tick every" in seen(tab), "another machine")
        assert children(os.getpid(), "served") != [first]
