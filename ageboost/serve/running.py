"""The service as a process: on which address it listens, and when it refuses to."""

from __future__ import annotations

from fastapi import FastAPI

from ageboost.serve.settings import TOKEN_VARIABLE, is_loopback

__all__ = ["run_service"]


def run_service(app: FastAPI, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Run a service until it is interrupted or terminated; requests under way are answered.

    Parameters
    ----------
    app : FastAPI
        Of :func:`make_app`.
    host : str, default="127.0.0.1"
        Address to listen at. Another one than this machine's own is reached by others.
    port : int, default=8000

    Raises
    ------
    ValueError
        If others could reach it, but it has no token.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.serve import make_app, run_service
    >>> app = make_app(ageboost.load_pretrained("fast"), "fast")
    >>> run_service(app, host="0.0.0.0")
    Traceback (most recent call last):
    ...
    ValueError: host='0.0.0.0' can be reached by others: set a token in AGEBOOST_TOKEN
    """
    import uvicorn

    from ageboost.serve._connections import BoundedProtocol

    settings = app.state.service.settings
    if not is_loopback(host) and settings.token is None:
        raise ValueError(f"host={host!r} can be reached by others: set a token in {TOKEN_VARIABLE}")

    class Protocol(BoundedProtocol):
        seconds_for_a_request = settings.timeout

    uvicorn.run(
        app,
        host=host,
        port=port,
        http=Protocol,
        loop="asyncio",
        ws="none",
        # Addresses have names of tills and cashiers in them.
        access_log=False,
        log_level="info",
        server_header=False,
        # An address that a client claims to have is none to count requests by.
        proxy_headers=False,
        timeout_graceful_shutdown=int(2 * settings.timeout) + 1,
    )
