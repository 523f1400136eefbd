"""What the addresses under /v1 and /health answer."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response

from ageboost._versions import package_version
from ageboost.errors import PhotoError
from ageboost.retail import AlcoholPolicy
from ageboost.serve import _schemas as schemas
from ageboost.serve._service import Service
from ageboost.serve._tasks import Analyze, Check, Explain
from ageboost.serve._uploads import UPLOAD_SCHEMA
from ageboost.serve.record import CheckRecord, OutcomeError

__all__ = ["health", "router"]

# What is wrong with a photo that cannot be looked at, as a status of HTTP.
_FAULTS = {"unreadable": 422, "too large": 413}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    common = (400, 401, 403, 408, 413, 421, 422, 429, 503)
    return {status: {"model": schemas.Problem} for status in sorted({*common, *statuses})}


_OF_PHOTOS: dict[str, Any] = {
    "responses": _problems(415),
    "openapi_extra": {"requestBody": UPLOAD_SCHEMA},
}
router = APIRouter(prefix="/v1")


@router.post("/check", **_OF_PHOTOS)
async def check(
    request: Request, query: Annotated[schemas.CheckQuery, Query()]
) -> schemas.CheckAnswer:
    """Advise whether to sell, or to ask for a card."""
    service = _service_of(request)
    policy = service.policy_of(query.legal_age, query.challenge_age, query.certainty)
    with service.place_of(request):
        answer = await service.look(request, Check(policy, service.settings.age_weights))
        if answer.status in _FAULTS:
            raise HTTPException(_FAULTS[answer.status], answer.reason)
        number = await service.write_down(answer, policy, query.till, query.cashier)
    return schemas.CheckAnswer(
        id=number, model=service.model_version, policy=_ages_of(policy), **asdict(answer)
    )


@router.post("/analyze", **_OF_PHOTOS)
async def analyze(request: Request) -> schemas.Analysis:
    """Estimate the age of every face."""
    service = _service_of(request)
    with service.place_of(request):
        rows = await service.look(request, Analyze())
    if rows[0]["status"] in _FAULTS:
        raise HTTPException(_FAULTS[rows[0]["status"]], rows[0]["message"])
    found = rows[0]["status"] == "ok"
    return schemas.Analysis(
        faces=[schemas.FoundFace(**row) for row in rows] if found else [],
        message="" if found else rows[0]["message"],
        model=service.model_version,
    )


@router.post("/explain", **_OF_PHOTOS)
async def explain(request: Request) -> schemas.Explanation:
    """Explain the age of the main face: years by region, and a map."""
    service = _service_of(request)
    with service.place_of(request):
        found = await service.look(request, Explain())
    if isinstance(found, PhotoError):
        raise HTTPException(_FAULTS.get(found.status, 422), str(found))
    picture = base64.b64encode(found.picture).decode()
    return schemas.Explanation(
        **(asdict(found) | {"picture": picture}), model=service.model_version
    )


@router.put("/checks/{number}", status_code=204, responses=_problems(404, 409))
async def finish(request: Request, number: UUID, outcome: schemas.Outcome) -> None:
    """Record what was done after a check, once."""
    service = _service_of(request)
    record = _record_of(service)
    try:
        with service.place_of(request):
            await service.with_record(record.finish, number, **outcome.model_dump())
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    except OutcomeError as error:
        raise HTTPException(409, str(error)) from error


@router.get("/refusals", responses=_problems(404))
async def refusals(
    request: Request, period: Annotated[schemas.Period, Query()]
) -> schemas.RefusalsRegister:
    """Read the refusals register: when, where and why nothing was sold."""
    service = _service_of(request)
    record = _record_of(service)
    days = (period.since, period.until)
    with service.place_of(request):
        counts = await service.with_record(record.counts, *days)
        table = (await service.with_record(record.refusals, *days)).astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return schemas.RefusalsRegister(
        counts=counts, refusals=[schemas.RecordedRefusal(**row) for row in rows]
    )


@router.get("/about", responses=_problems())
async def about(request: Request) -> schemas.About:
    """Say what the service is set to, and what it keeps."""
    service = _service_of(request)
    settings, record = service.settings, service.record
    return schemas.About(
        version=package_version("ageboost"),
        model=service.model_version,
        terms=service.model.terms.summary,
        policy=_ages_of(service.policy_of()),
        policy_fixed=settings.policy is not None,
        recorded=record is not None,
        keep_days=None if record is None else record.keep_days,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        timeout=settings.timeout,
    )


async def health(request: Request, response: Response) -> schemas.Health:
    """Say whether the service answers."""
    service = _service_of(request)
    if service.record_failed:
        response.status_code = 503
        return schemas.Health(status="record cannot be written")
    return schemas.Health(status="busy" if service.places.full else "ok")


def _service_of(request: Request) -> Service:
    return request.app.state.service


def _record_of(service: Service) -> CheckRecord:
    if service.record is None:
        raise HTTPException(404, "this service keeps no record")
    return service.record


def _ages_of(policy: AlcoholPolicy) -> schemas.PolicyAges:
    return schemas.PolicyAges(
        legal_age=policy.legal_age,
        challenge_age=policy.challenge_age,
        certainty=policy.certainty,
    )
