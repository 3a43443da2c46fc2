"""A headless Chromium, spoken to in the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

_PROGRAM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(_PROGRAM is None, reason="chromium is not installed")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1280,800",
)
_PATIENCE_S = 60
_SAID = "DevTools listening on "
_COLOURS = """
(async data => {
  const picture = new Image();
  picture.src = "data:image/png;base64," + data;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, picture.width, picture.height).data.buffer);
  return new Set(pixels).size;
})
"""
"""How many colours a picture has."""


class Tab:
    """One page, with what it asked for and what its websocket got."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.requests: list[str] = []
        """Addresses that were asked for, websockets included."""
        self.received = bytearray()
        """Bytes that it got over it."""
        self._socket = socket
        self._session = ""
        self._count = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Take answers and events until the browser ends."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, about: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(about["url"])
            case "Network.webSocketFrameReceived" if about["response"]["opcode"] == aiohttp.WSMsgType.BINARY:
                self.received += base64.b64decode(about["response"]["payloadData"])

    async def do(self, method: str, **parameters: object) -> dict[str, Any]:
        """A command of the protocol; its result."""
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters, **session})
        said = await asyncio.wait_for(answer, _PATIENCE_S)
        assert "result" in said, said
        return dict(said["result"])

    async def attach(self) -> None:
        """Make the page."""
        target = await self.do("Target.createTarget", url="about:blank")
        self._session = (await self.do("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            await self.do(f"{domain}.enable")

    async def open(self, url: str) -> None:
        await self.do("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        done = await self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def type(self, key: str) -> None:
        """Press a key that stands for a character, wherever the focus is."""
        await self.do("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def picture(self, file: Path) -> None:
        """Save what is seen as PNG."""
        file.write_bytes(base64.b64decode((await self.do("Page.captureScreenshot"))["data"]))

    async def colours(self, file: Path) -> int:
        """How many colours a picture has; leaves the page."""
        await self.open("about:blank")
        return int(await self.evaluate(f"{_COLOURS}('{base64.b64encode(file.read_bytes()).decode()}')"))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to become true."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.05)
        assert condition(), what


@contextlib.asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[Tab]:
    """A tab of a browser whose profile is in an empty directory."""
    assert _PROGRAM is not None
    process = await asyncio.create_subprocess_exec(
        _PROGRAM, *_FLAGS, f"--user-data-dir={directory}", "about:blank", stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(await _address(process), max_msg_size=0) as socket:
            tab = Tab(socket)
            listening = asyncio.create_task(tab.listen())
            await tab.attach()
            yield tab
            with contextlib.suppress(AssertionError, ConnectionError):
                await tab.do("Browser.close")
            listening.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _address(process: Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(_PATIENCE_S):
        async for line in process.stderr:
            if _SAID in line.decode():
                # Nobody reads the rest of it: there is little, and a pipe holds that.
                return line.decode().partition(_SAID)[2].strip()
    raise AssertionError("chromium did not start")
