"""Who may call, from which page, and what browsers are told about every answer."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ageboost.serve.settings import is_loopback

__all__ = ["Guard"]

_GUARDED = "/v1/"
# Nothing but our own files; the camera is for the page alone.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Middleware that refuses strangers.

    With a token, calls must bring it. Without one, the service is for this machine alone: then
    the request must be addressed to it by a name of this machine, so that no web page of others can
    come in under a name of its own that leads here. In either case a browser must have loaded the
    page that calls from this service.

    Parameters
    ----------
    app : ASGI application
    token : str or None
    """

    def __init__(self, app: ASGIApp, token: str | None):
        self.app = app
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name_of(host)):
            return _refuse(421, "this service is for the machine that it runs on alone")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return _refuse(403, "pages of others may not call this service")
        if self._token is None or not path.startswith(_GUARDED):
            return None
        given = headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, self._token):
            return None
        return _refuse(401, "send the token as Authorization: Bearer TOKEN", _BEARER)


_BEARER = {"WWW-Authenticate": "Bearer"}


def _refuse(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
