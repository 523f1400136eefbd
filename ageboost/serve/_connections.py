"""Connections that are too many, too slow or cut short: what an application cannot see."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BoundedProtocol"]

_MOST_CONNECTIONS = 500
_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 whose client must send a request in bounded time, and then wait for the answer.

    While a request is being answered, the application sees to time and size.
    """

    seconds_for_a_request = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            self._refuse(503, b"too many connections")
            return
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answering():
            self._clear_deadline()

    def on_response_complete(self) -> None:
        # Until the next request has come, or the rest of one that was refused.
        self._set_deadline()
        super().on_response_complete()

    def eof_received(self) -> None:
        if self._answering() and self.cycle.more_body and not self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._refuse(400, b"the upload was cut short")

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.seconds_for_a_request, self._give_up)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.states[h11.SERVER] is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, b"the request did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: int, why: bytes) -> None:
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", b"application/json"),
            (b"connection", b"close"),
            (b"retry-after", b"1"),
        ]
        events: list[Any] = [
            h11.Response(status_code=status, headers=headers, reason=_REASONS[status]),
            h11.Data(data=b'{"detail": "%s"}' % why),
            h11.EndOfMessage(),
        ]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
