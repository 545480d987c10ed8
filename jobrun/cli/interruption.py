"""SIGINT and SIGTERM at `run`: the first stops the job, a second one leaves."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from jobrun.cli.output import say
from jobrun.cli.signals import INTERRUPTING, leave, watch_signals
from jobrun.config.errors import Refusal

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

SAME_KEY_PRESS_S = 0.3
"""Seconds within which the same signal from another sender is the same key press, which a wrapper passed on as well."""


class Interruption:
    """What is known of the job when a signal comes. The signals' thread and the main thread meet here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = False
        self._calls: Calls | None = None
        self._job_id = ""
        self._first: int | None = None
        self._first_sender = 0
        self._first_at = 0.0
        watch_signals(INTERRUPTING, self._on_signal)

    def sending(self) -> None:
        """From now on there may be a job: a signal stops it, and does not just leave."""
        with self._lock:
            self._sent = True

    def started(self, calls: Calls, job_id: str) -> None:
        """There is a job. A signal that came meanwhile stops it now."""
        with self._lock:
            self._calls, self._job_id = calls, job_id
            waiting = self._first
        if waiting is not None:
            self._stop(calls, waiting)

    def _on_signal(self, number: int, sender: int) -> None:
        with self._lock:
            if not self._sent:
                leave(128 + number)
            now = time.monotonic()
            first = self._first
            passed_on = number == first and sender != self._first_sender and now - self._first_at < SAME_KEY_PRESS_S
            if first is None:
                self._first, self._first_sender, self._first_at = number, sender, now
            calls = self._calls
        if first is None:
            if calls is not None:
                self._stop(calls, number)
        elif not passed_on:
            self._leave(number)

    def _leave(self, number: int) -> None:
        if self._job_id:
            say(f"job {self._job_id} is stopping")
        else:
            say('the server has not answered: the job may run: see "jobrun list"')
        leave(128 + number)

    def _stop(self, calls: Calls, number: int) -> None:
        threading.Thread(target=self._call_stop, args=(calls, number), name="stop", daemon=True).start()

    def _call_stop(self, calls: Calls, number: int) -> None:
        from jobrun.wire.gen.jobrun.v1.job_service_pb2 import StopRequest

        try:
            calls.again().stop(StopRequest(job_id=self._job_id, signal=number))
        except Refusal as refusal:
            say(f"cannot stop job {self._job_id}: {refusal}")
