"""The service: what each address answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI, HTTPException, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer

from ageboost._versions import package_version
from ageboost.models import AgeEstimator
from ageboost.serve import _schemas as schemas
from ageboost.serve._bodies import BoundedBodies
from ageboost.serve._endpoints import health, router
from ageboost.serve._guard import Guard
from ageboost.serve._places import RETRY
from ageboost.serve._service import Service
from ageboost.serve.record import CheckRecord, RecordError
from ageboost.serve.settings import ServiceSettings

__all__ = ["make_app"]

_KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_PAGES = {"/": "check.html", "/register": "register.html", "/docs": "docs.html"}


def make_app(
    model: AgeEstimator,
    name: str,
    settings: ServiceSettings | None = None,
    record: CheckRecord | None = None,
) -> FastAPI:
    """Make a service of a model.

    Any server of ASGI can run it; :func:`run_service` does so with uvicorn, and with limits on
    connections that no application can have. The model's threads start with it.

    Parameters
    ----------
    model : AgeEstimator
        Fitted and calibrated.
    name : str
        What answers call the model.
    settings : ServiceSettings, optional
    record : CheckRecord, optional
        Where checks are written to; by default nothing is kept.

    Returns
    -------
    fastapi.FastAPI

    Raises
    ------
    ValueError
        If the model does not know how far its ages are off.

    Examples
    --------
    >>> import ageboost
    >>> from fastapi.testclient import TestClient
    >>> from ageboost.serve import make_app
    >>> app = make_app(ageboost.load_pretrained("fast"), "fast")
    >>> with TestClient(app, "http://127.0.0.1") as client:
    ...     print(client.get("/health").json())
    {'status': 'ok'}
    """
    service = Service(model, name, settings or ServiceSettings(), record)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="ageboost",
        summary="Advice at the till from a photo: sell, ask for a card, or cannot tell.",
        version=package_version("ageboost"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # Recent releases report requests to whatever collects such reports on a machine.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    # For the document alone: the guard sees to the token.
    needs = [] if service.settings.token is None else [Security(HTTPBearer(auto_error=False))]
    app.include_router(router, dependencies=needs)
    app.add_api_route("/health", health, responses={503: {"model": schemas.Health}})
    _add_pages(app)
    app.add_exception_handler(RequestValidationError, _refuse_values)
    app.add_exception_handler(RecordError, _refuse_without_record)
    limits = service.settings
    app.add_middleware(BoundedBodies, max_bytes=limits.max_bytes, timeout=limits.timeout)
    app.add_middleware(Guard, token=limits.token)
    return app


def _add_pages(app: FastAPI) -> None:
    """Add the pages and what they load: files of ours, read once."""
    folder = files("ageboost._pages") / "service"
    known = {file.name: file.read_bytes() for file in folder.iterdir()}

    def send(name: str) -> Response:
        if name not in known:
            raise HTTPException(404, "there is no such file")
        return Response(known[name], media_type=_KINDS[name.rpartition(".")[2]])

    for path, page in _PAGES.items():
        app.add_api_route(path, lambda page=page: send(page), include_in_schema=False)
    app.add_api_route("/static/{name}", send, include_in_schema=False)


def _refuse_values(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with values, and do not repeat them."""
    assert isinstance(error, RequestValidationError)
    parts = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"][1:])
        parts.append(f"{where}: {problem['msg']}" if where else problem["msg"])
    return JSONResponse({"detail": "; ".join(parts)}, 422)


def _refuse_without_record(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, RETRY)
