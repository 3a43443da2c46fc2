"""`hvtui serve`: a web server on 127.0.0.1 that starts a machine for everybody who opens its page."""

from __future__ import annotations

import asyncio
import contextlib
import html
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from string import Template

import textual_serve
from aiohttp import WSCloseCode, web

from engine.errors import MachineError
from hvtui.web import VISITORS
from hvtui.web.guard import ADDRESS, Guard, protect
from hvtui.web.visitor import GRACE_S, Visitor, cells

_STATIC = Path(textual_serve.__file__).parent / "static"
"""xterm.js and a font: all that the page needs besides its own files."""
_FILES = Path(__file__).parent / "page"
_HEARTBEAT_S = 15
"""A page that does not answer for this long is gone."""
_CLOSE_S = 1.0


class WebServer:
    """Gives every page a process of its own, as many as there are places."""

    def __init__(self, arguments: Sequence[str], title: str, guard: Guard, visitors: int = VISITORS) -> None:
        """`arguments`: the program to start for a page, and what it is given."""
        self._arguments = arguments
        self._title = title
        self._guard = guard
        self._most = visitors
        self._places = asyncio.Semaphore(visitors)
        self._websockets: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """The routes; all of them behind the guard."""
        app = web.Application(middlewares=[self._guard.admit])
        app.router.add_get("/", self._page)
        app.router.add_get("/ws", self._visit)
        app.router.add_static("/static", _STATIC)
        app.router.add_static("/page", _FILES)
        app.on_response_prepare.append(protect)
        app.on_shutdown.append(self._close_all)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        page = Template((_FILES / "page.html").read_text(encoding="utf-8"))
        text = page.substitute(title=html.escape(self._title), websocket=html.escape(f"ws://{request.host}/ws"))
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _visit(self, request: web.Request) -> web.WebSocketResponse:
        """From the page's opening to its end."""
        try:
            width, height = cells(request.query.get("width", 80)), cells(request.query.get("height", 24))
        except ValueError:
            raise web.HTTPBadRequest(text="hvtui: expected a size in cells\n") from None
        websocket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, timeout=_CLOSE_S)
        await websocket.prepare(request)
        self._websockets.add(websocket)
        try:
            if await self._has_place():
                await self._serve(websocket, width, height)
            else:
                await websocket.send_bytes(
                    f"No place for another machine (the most is {self._most}): close another page first.\r\n".encode()
                )
                await websocket.close(code=WSCloseCode.TRY_AGAIN_LATER)
        finally:
            self._websockets.discard(websocket)
        return websocket

    async def _has_place(self) -> bool:
        """Takes one. A page that is loaded again waits for the machine it had before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * GRACE_S):
                return await self._places.acquire()
        return False

    async def _serve(self, websocket: web.WebSocketResponse, width: int, height: int) -> None:
        visitor = Visitor(self._arguments, websocket)
        try:
            await visitor.start(width, height)
            await visitor.converse()
        finally:
            await visitor.stop()
            self._places.release()

    async def _close_all(self, _: web.Application) -> None:
        await asyncio.gather(*(each.close(code=WSCloseCode.GOING_AWAY) for each in self._websockets))


@contextlib.asynccontextmanager
async def serving(
    arguments: Sequence[str], title: str, port: int = 0, visitors: int = VISITORS
) -> AsyncIterator[Guard]:
    """Serve on 127.0.0.1 to the end of the block, by default at any port that is free. MachineError for a taken one.

    At the end every page is closed, and every process has ended.
    """
    listening = _listen(port)
    guard = Guard(listening.getsockname()[1])
    runner = web.AppRunner(
        WebServer(arguments, title, guard, visitors).application(), access_log=None, shutdown_timeout=2 * GRACE_S
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield guard
    finally:
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except OSError as error:
        listening.close()
        raise MachineError(f"{ADDRESS}:{port}: cannot listen there: {error.strerror}") from None
    return listening


def serve(arguments: Sequence[str], title: str, port: int, visitors: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM; `announce` is given the address to open."""
    asyncio.run(_serve(arguments, title, port, visitors, announce))


async def _serve(
    arguments: Sequence[str], title: str, port: int, visitors: int, announce: Callable[[str], None]
) -> None:
    end = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, end.set)
    async with serving(arguments, title, port, visitors) as guard:
        announce(guard.url)
        await end.wait()
