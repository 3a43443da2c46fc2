"""The process behind one open page: the app, spoken to in textual-serve's packets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

GRACE_S = 3.0
"""A process that was told to end is killed after this."""
_MOST_CELLS = 1000
"""Columns or rows of a page's terminal."""
_DRIVER = "hvtui.web.driver:PipeDriver"


class Visitor(AppService):
    """Runs a command for one websocket; `stop` returns when its process is gone."""

    def __init__(self, arguments: Sequence[str], websocket: web.WebSocketResponse) -> None:
        self._arguments = arguments
        self._websocket = websocket
        super().__init__(
            "",
            write_bytes=self._show,
            write_str=self._tell,
            close=self._close,
            download_manager=DownloadManager(),
        )

    async def converse(self) -> None:
        """Pass on what the page sends until it is closed."""
        async for message in self._websocket:
            if message.type is WSMsgType.TEXT:
                with contextlib.suppress(ValueError, LookupError, TypeError):
                    await self._obey(*json.loads(message.data)[:2])

    async def _obey(self, kind: str, value: object = None) -> None:
        """One message of the page; what it cannot have sent is nothing."""
        if kind == "stdin" and isinstance(value, str):
            await self.send_bytes(value.encode("utf-8", "replace"))
        elif kind == "resize" and isinstance(value, dict):
            await self.set_terminal_size(cells(value["width"]), cells(value["height"]))
        elif kind == "ping":
            await self._tell(json.dumps(["pong", value]))
        elif kind == "blur":
            await self.blur()
        elif kind == "focus":
            await self.focus()

    async def run(self) -> None:
        """Pass on what the process says until it ends; the page learns that it did."""
        try:
            await super().run()
        finally:
            await self._close()

    async def stop(self) -> None:
        """End the process: politely, then not."""
        process = self._process
        if process is None:
            return
        ending = asyncio.create_task(self._quit(process))
        try:
            await asyncio.wait([ending], timeout=GRACE_S)
        finally:
            if process.returncode is None:
                process.kill()
        await ending

    async def _quit(self, process: Process) -> None:
        await super().stop()
        await process.wait()

    # --- what textual-serve's class is made of -----------------------------------------------------

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        return super()._build_environment(width, height) | {"TEXTUAL_DRIVER": _DRIVER}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Without a shell, and where Ctrl-C at the server's terminal does not reach."""
        environment = self._build_environment(width, height)
        process = await asyncio.create_subprocess_exec(
            *self._arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
        )
        self._process, self._stdin = process, process.stdin
        return process

    # What the process says once the page is gone has to be read all the same: it could not end else.

    async def _show(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._websocket.send_bytes(data)

    async def _tell(self, message: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._websocket.send_str(message)

    async def _close(self) -> None:
        await self._websocket.close()


def cells(value: object) -> int:
    """Columns or rows that a page asks for, as many as can be had. ValueError or TypeError where it is no number."""
    if not isinstance(value, int | str):
        raise TypeError(value)
    return max(1, min(int(value), _MOST_CELLS))
