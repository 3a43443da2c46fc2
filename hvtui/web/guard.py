"""Who may talk to the web server: those who were told the token, from pages of its own.

Every user and every page on this computer can reach a port of 127.0.0.1. The token keeps other users out. The
`Host` header keeps out pages whose name was pointed at 127.0.0.1 (DNS rebinding), and `Origin` those of other
servers here, because browsers send them the same cookies whatever the port.
"""

from __future__ import annotations

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler

ADDRESS = "127.0.0.1"
_HTTP_PORT = 80
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self';"
        " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Admits requests with the token in their query, or in the cookie that the first one gets."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe()
        self.url = f"http://{ADDRESS}:{port}/?token={self.token}"
        """What to open."""
        # Browsers send cookies to all ports of a host: each server has a name of its own.
        self._cookie = f"hvtui-{port}"
        suffix = "" if port == _HTTP_PORT else f":{port}"
        self._hosts = {f"{name}{suffix}" for name in (ADDRESS, "localhost")}

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on, or answer 403."""
        host = request.headers.get("Host", "")
        if host not in self._hosts or request.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise web.HTTPForbidden(text="hvtui: this server is for pages of its own\n")
        brought = self._is_token(request.query.get("token", ""))
        if not brought and not self._is_token(request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text="hvtui: open the address that `hvtui serve` printed, with its token\n")
        response = await handler(request)
        if brought and not response.prepared:
            response.set_cookie(self._cookie, self.token, path="/", httponly=True, samesite="Strict")
        return response

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode())


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Headers of every response: nothing is loaded from anywhere else, and nobody frames the page."""
    response.headers.update(_HEADERS)
