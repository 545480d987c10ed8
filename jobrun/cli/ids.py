"""From what a user types for a job to the job: an id, a beginning of one that fits one job alone, or `@last`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobrun.config.errors import NoSuchThing, Refusal
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

LAST = "@last"
EVERY_STATE = (
    wire.JOB_STATE_QUEUED,
    wire.JOB_STATE_STARTING,
    wire.JOB_STATE_RUNNING,
    wire.JOB_STATE_FINISHED,
)
FITTING_MOST = 100
"""Jobs asked for by a beginning: enough to say how many fit."""
EVERYBODY = "*"


def find_job(calls: Calls, word: str) -> Job:
    """The job that `word` means, without its environment. Raises NoSuchThing, and Refusal where several fit."""
    if word == LAST:
        return _newest(calls)
    if not (word.isascii() and word.isalnum() and word == word.lower()):
        raise NoSuchThing(f"no such job: {word or 'an empty id'}: ids have lower-case letters and digits")
    page = _beginning_with(calls, word)
    fitting = [job for job in page.jobs if job.id == word] or list(page.jobs)
    if len(fitting) == 1 and not (page.next_page_token and fitting[0].id != word):
        return fitting[0]
    if not fitting:
        raise NoSuchThing(f'no such job: {word}: see "jobrun list -a"')
    count = f"over {len(fitting)}" if page.next_page_token else str(len(fitting))
    raise Refusal(f"{word}: fits {count} jobs: give more of it")


def _newest(calls: Calls) -> Job:
    request = wire.ListRequest(filter=wire.ListFilter(states=EVERY_STATE), page_size=1)
    while True:
        page = calls.list(request)
        if page.jobs:
            return page.jobs[0]
        if not page.next_page_token:
            raise NoSuchThing("no such job: @last: you have none")
        request.page_token = page.next_page_token


def _beginning_with(calls: Calls, word: str) -> wire.ListResponse:
    """Among all jobs that the caller may see; where he has no role that sees others', among his own."""
    from jobrun.client.errors import PermissionRefused

    wanted = wire.ListFilter(id_prefix=word, user=EVERYBODY, states=EVERY_STATE)
    try:
        return _all_of(calls, wire.ListRequest(filter=wanted, page_size=FITTING_MOST))
    except PermissionRefused:
        wanted.user = ""
        return _all_of(calls, wire.ListRequest(filter=wanted, page_size=FITTING_MOST))


def _all_of(calls: Calls, request: wire.ListRequest) -> wire.ListResponse:
    """The pages up to FITTING_MOST jobs as one: a page may hold fewer, even none, and still have a next one."""
    found = wire.ListResponse()
    while True:
        page = calls.list(request)
        found.jobs.extend(page.jobs)
        found.next_page_token = page.next_page_token
        if not page.next_page_token or len(found.jobs) >= FITTING_MOST:
            return found
        request.page_token = page.next_page_token
