"""What the service is made of, from a request's photo to an answer and a row of the record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from copy import copy, deepcopy
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from fastapi import HTTPException, Request

from ageboost.models import AgeEstimator
from ageboost.models.calibration import calibration_of
from ageboost.retail import AlcoholPolicy, Answer
from ageboost.serve._places import RETRY, Places
from ageboost.serve._schemas import ModelVersion
from ageboost.serve._uploads import read_upload
from ageboost.serve._workers import Task, Workers
from ageboost.serve.record import CheckRecord, RecordError
from ageboost.serve.settings import ServiceSettings

__all__ = ["Service"]

_LOG = logging.getLogger("ageboost.serve")
_SECONDS_BETWEEN_DELETIONS = 3600

T = TypeVar("T")


class Service:
    """A model, the threads that it runs in, places for requests, and a record.

    Parameters
    ----------
    model : AgeEstimator
    name : str
    settings : ServiceSettings
    record : CheckRecord or None
    """

    def __init__(
        self, model: AgeEstimator, name: str, settings: ServiceSettings, record: CheckRecord | None
    ):
        self.model_version = ModelVersion(name=name, version=calibration_of(model).fingerprint_)
        self.model = copy(model).set_params(n_jobs=1)
        self.model.features_ = deepcopy(model.features_).set_params(
            finder__max_pixels=settings.max_pixels
        )
        self.settings = settings
        self.record = record
        self.record_failed = False
        self.workers = Workers(self.model, settings.workers)
        self.places = Places(self.workers.n_workers + settings.waiting, settings.per_client)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep threads warm, and the record from growing old."""
        # One thread writes, so that no writer waits for another.
        with ThreadPoolExecutor(1, "record") as self._writer:
            deleting = asyncio.create_task(self._delete_old())
            try:
                await asyncio.to_thread(self.workers.start)
                yield
            finally:
                deleting.cancel()
                await asyncio.to_thread(self.workers.stop)

    def policy_of(
        self,
        legal_age: float | None = None,
        challenge_age: float | None = None,
        certainty: float | None = None,
    ) -> AlcoholPolicy:
        """Return the policy of a call that may name its own ages."""
        given = {"legal_age": legal_age, "challenge_age": challenge_age, "certainty": certainty}
        named = {name: value for name, value in given.items() if value is not None}
        if self.settings.policy is not None:
            if named:
                raise HTTPException(422, f"the policy is fixed: leave out {', '.join(named)}")
            return self.settings.policy
        try:
            return AlcoholPolicy(**named)  # type: ignore[arg-type]
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    def place_of(self, request: Request) -> AbstractContextManager[None]:
        """Hold a place for a request, until it is answered."""
        return self.places.taken_by(request.client.host if request.client else "")

    async def look(self, request: Request, task: Task) -> Any:
        """Read the photo of a request, and wait for what a worker makes of it, not for ever."""
        settings = self.settings
        content = await read_upload(request, settings.max_bytes)
        future = asyncio.wrap_future(self.workers.submit(task, content))
        try:
            return await asyncio.wait_for(future, settings.timeout)
        except TimeoutError as error:
            raise HTTPException(
                503, f"there was no answer within {settings.timeout:g} seconds", RETRY
            ) from error

    async def write_down(
        self, answer: Answer, policy: AlcoholPolicy, till: str | None, cashier: str | None
    ) -> UUID | None:
        """Record a check. Where that fails, the cashier gets advice all the same."""
        if self.record is None:
            return None
        model = self.model_version
        add = partial(self.record.add, till=till, cashier=cashier)
        try:
            number = await self.with_record(add, answer, policy, model.name, model.version)
        except RecordError as error:
            _LOG.error("a check is not recorded: %s", error)
            self.record_failed = True
            return None
        self.record_failed = False
        return number

    async def with_record(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Do something with the record, in its thread and in bounded time."""
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._writer, partial(call, *args, **kwargs))
        try:
            return await asyncio.wait_for(done, self.settings.timeout)
        except TimeoutError as error:
            raise RecordError("the record takes too long") from error

    async def _delete_old(self) -> None:
        while self.record is not None:
            with suppress(RecordError):
                await self.with_record(self.record.delete_old)
            await asyncio.sleep(_SECONDS_BETWEEN_DELETIONS)
