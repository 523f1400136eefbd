"""One model and some threads that stay warm, which take whatever photos are waiting together.

A thread builds dlib's detector when it looks for the first time, which takes longer than to look at
ten photos; so threads are started once. Trees and calibration take a third of the time of one photo
alone and hardly any more for eight: who waits for the same kind of answer is served at once.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from ageboost.models import AgeEstimator
from ageboost.photos import PhotoFile, photo_name

__all__ = ["Workers"]


class Task(Protocol):
    """What is asked of the model; equal ones may be done together, ``most`` at once."""

    @property
    def most(self) -> int: ...

    def __call__(self, model: AgeEstimator, photos: Sequence[PhotoFile]) -> list[Any]: ...


@dataclass(eq=False)
class _Job:
    task: Task
    photo: PhotoFile
    future: Future[Any] = field(default_factory=Future)


class Workers:
    """Threads that look at photos.

    Parameters
    ----------
    model : AgeEstimator
        Fitted.
    n_workers : int or None
        By default one for each core that this process may use.
    """

    def __init__(self, model: AgeEstimator, n_workers: int | None):
        self.model = model
        self.n_workers = n_workers or joblib.cpu_count()
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads, and wait until they are warm."""
        # Each worker has one core; OpenCV would start threads for all of them.
        cv2.setNumThreads(1)
        self._stopped = False
        warm: list[Future[None]] = [Future() for _ in range(self.n_workers)]
        self._threads = [
            threading.Thread(target=self._run, args=(one,), daemon=True) for one in warm
        ]
        for thread in self._threads:
            thread.start()
        for one in warm:
            one.result()

    def stop(self) -> None:
        """Let the threads end after what they are at; whoever waits gets a cancelled future."""
        with self._changed:
            self._stopped = True
            left, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        for job in left:
            job.future.cancel()
        for thread in self._threads:
            thread.join()

    def submit(self, task: Task, content: bytes) -> Future[Any]:
        """Put a photo at the end of the queue.

        Parameters
        ----------
        task : Task
        content : bytes
            Of the photo's file.

        Returns
        -------
        concurrent.futures.Future
            Once it is cancelled, the photo is forgotten.
        """
        # Alone or among others, a photo is called the same.
        job = _Job(task, PhotoFile(content, photo_name(content)))
        job.future.add_done_callback(lambda _: self._forget(job))
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def _forget(self, job: _Job) -> None:
        """Let go of a photo that nobody waits for any more."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _run(self, warm: Future[None]) -> None:
        # Of OpenMP, each thread has its own limit.
        threadpool_limits(1)
        try:
            self._warm_up()
        except BaseException as error:
            warm.set_exception(error)
            return
        warm.set_result(None)
        while (jobs := self._take()) is not None:
            # Some may have been cancelled in between.
            if running := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._work(running)

    def _warm_up(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
        for batch in self.model.extract([noise]):
            # It shows no face; the regressor is tried on a row of zeros.
            row = np.zeros((1, batch.matrix.shape[1]), dtype=np.float32)
            self.model.age_regressor_.predict(row)

    def _take(self) -> list[_Job] | None:
        """Wait for photos, and take a fair share of those that wait for the same as the first."""
        with self._changed:
            while not self._waiting and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            task = self._waiting[0].task
            share = min(task.most, math.ceil(len(self._waiting) / self.n_workers))
            jobs = [job for job in self._waiting if job.task == task][:share]
            for job in jobs:
                self._waiting.remove(job)
        return jobs

    def _work(self, jobs: list[_Job]) -> None:
        task = jobs[0].task
        try:
            results = task(self.model, [job.photo for job in jobs])
        except BaseException as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            # Whatever one photo has done, the others get their answers.
            for job in jobs:
                self._work([job])
            return
        for job, result in zip(jobs, results, strict=True):
            job.future.set_result(result)
