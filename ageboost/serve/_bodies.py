"""Bodies of requests: no larger than they may be, and no slower."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BoundedBodies"]

# Boundaries and headers of a form around a photo; and all of a body without one.
_AROUND_A_PHOTO = 8_192
_WITHOUT_A_PHOTO = 8_192


class BoundedBodies:
    """Middleware that stops reading a body which is too large, or takes too long.

    Parameters
    ----------
    app : ASGI application
    max_bytes : int
        Of a photo.
    timeout : float
        Seconds.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float):
        self.app = app
        self._max_bytes = max_bytes
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        photo = scope["method"] == "POST"
        limit = self._max_bytes + _AROUND_A_PHOTO if photo else _WITHOUT_A_PHOTO
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            refusal = JSONResponse({"detail": _too_large(limit)}, 413)
            await refusal(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._timeout
        left, complete = limit, False

        async def receive_in_bounds() -> Message:
            nonlocal left, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(
                    408,
                    f"the request did not arrive within {self._timeout:g} seconds",
                    {"Connection": "close"},
                ) from error
            left -= len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if left < 0:
                raise HTTPException(413, _too_large(limit))
            return message

        await self.app(scope, receive_in_bounds, send)


def _too_large(limit: int) -> str:
    return f"the request has more than {limit:,} bytes: reduce the photo first"
