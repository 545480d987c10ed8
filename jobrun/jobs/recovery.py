"""What an earlier server left: its queue, its running jobs, and what nobody knows any more."""

from __future__ import annotations

import logging

from jobrun.jobs.dispatcher import Dispatcher, Tools
from jobrun.jobs.ids import is_id
from jobrun.jobs.live import LiveJob, Phase
from jobrun.jobs.local_engine import LocalEngine
from jobrun.jobs.orders import Verdict
from jobrun.model.errors import JobDamaged
from jobrun.model.lifecycle import State
from jobrun.store.rows import StoredJob

log = logging.getLogger(__name__)


def recover(dispatcher: Dispatcher, tools: Tools) -> None:
    """Take every unfinished job over. Look at them afterwards, once the engine tells of changes: Dispatcher.sweep."""
    files = tools.engine.job_ids()
    for stored in tools.store.unfinished():
        live = _taken_over(stored, tools)
        live.has_file = live.recorded is State.STARTING and live.id in files
        dispatcher.live[live.id] = live
    _remove_strays(dispatcher, tools, files)


def _taken_over(stored: StoredJob, tools: Tools) -> LiveJob:
    job = stored.job
    waits = job.state is State.QUEUED
    live = LiveJob(job, job.state, Phase.WAITING if waits else Phase.DISPATCHED)
    if waits:
        tools.queue.restore_waiting(live.place)
        return live
    tools.queue.restore_running(live.place)
    if "cpus" in job.limits:
        _restore_cpus(live, tools)
    return live


def _restore_cpus(live: LiveJob, tools: Tools) -> None:
    try:
        tools.cpus.restore(live.id, tools.engine.cpuset(live.id))
    except (JobDamaged, FileNotFoundError) as error:
        log.info("job %s: %s", live.id, error)  # the sweep finds it LOST


def _remove_strays(dispatcher: Dispatcher, tools: Tools, files: set[str]) -> None:
    """Files of jobs that were never put on record; folders of jobs that are over; secrets of jobs that do not wait.

    Other files that are not on record stay: whoever moved a damaged record away has nothing but them."""
    strays = {job_id: _judged(tools.engine, job_id) for job_id in filter(is_id, files - tools.store.ids())}
    for job_id in (job_id for job_id, verdict in strays.items() if verdict is Verdict.READY):
        log.info("job %s never was on record: its file is removed", job_id)
        tools.engine.remove(job_id)
    kept = {job_id for job_id, verdict in strays.items() if verdict is not Verdict.READY}
    if kept:
        folder = tools.engine.log_path(min(kept)).parent
        log.warning("%d files in %s are of jobs that are not on record: they stay", len(kept), folder)
    waiting = {live.id for live in dispatcher.live.values() if live.recorded is State.QUEUED}
    for job_id in filter(is_id, tools.engine.kept_ids() - waiting):
        tools.engine.drop_secrets(job_id)
    alive = {job_id for job_id in kept if strays[job_id] is Verdict.ALIVE}
    for job_id in filter(is_id, tools.folders.job_ids() - dispatcher.live.keys() - alive):
        dispatcher.remove_folder(job_id)


def _judged(engine: LocalEngine, job_id: str) -> Verdict | None:
    """None: nobody can tell."""
    try:
        return engine.judge(job_id)
    except (JobDamaged, OSError, ValueError, LookupError) as error:
        log.error("job %s: %s", job_id, error)
        return None
