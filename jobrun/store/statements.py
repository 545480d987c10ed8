"""Every statement that jobs.db is asked, by name. None is ever put together from data."""

from __future__ import annotations

from typing import Final

JOB_COLUMNS: Final = (
    "seq, id, user, machine_token, token_name, unix_user, created_ns, state, spec, limits,"
    " reason, exit_code, signal, started_ns, finished_ns, detail, stopped_by,"
    " failed_step, failed_errno, failed_path, survivors,"
    " user_cpu_ns, system_cpu_ns, peak_memory_bytes, output_bytes, output_dropped_bytes, elapsed_ns"
)
"""What `store.rows` takes apart, in this order."""

REQUEST_KEY: Final = "SELECT value FROM meta WHERE key = 'request_key'"

INSERT_JOB: Final = """
    INSERT INTO jobs
        (id, user, machine_token, token_name, name, unix_user, created_ns, state, spec, limits,
         request_id, request_hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# Compare and set: only a job that is still in the state that its caller saw.
SET_STATE: Final = "UPDATE jobs SET state = ? WHERE id = ? AND state = ?"
SET_FINISHED: Final = """
    UPDATE jobs SET state = ?,
        reason = ?, exit_code = ?, signal = ?, started_ns = ?, finished_ns = ?, detail = ?, stopped_by = ?,
        failed_step = ?, failed_errno = ?, failed_path = ?, survivors = ?,
        user_cpu_ns = ?, system_cpu_ns = ?, peak_memory_bytes = ?, output_bytes = ?, output_dropped_bytes = ?,
        elapsed_ns = ?
    WHERE id = ? AND state = ?
"""

JOB: Final = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"
UNFINISHED: Final = f"SELECT {JOB_COLUMNS} FROM jobs WHERE state <> 4 ORDER BY seq"
IDS: Final = "SELECT id FROM jobs"

JOB_OF_REQUEST: Final = "SELECT id, request_hash FROM jobs WHERE user = ? AND machine_token = ? AND request_id = ?"
REMOVED_REQUEST: Final = """
    SELECT 1 FROM removed_requests WHERE user = ? AND machine_token = ? AND request_id = ? AND removed_ns >= ?
"""
REMEMBER_REQUEST: Final = """
    INSERT OR REPLACE INTO removed_requests (user, machine_token, request_id, removed_ns)
    SELECT user, machine_token, request_id, ? FROM jobs WHERE id = ? AND state = 4 AND request_id IS NOT NULL
"""
FORGET_REQUESTS: Final = "DELETE FROM removed_requests WHERE removed_ns < ?"
DELETE_FINISHED: Final = "DELETE FROM jobs WHERE id = ? AND state = 4"

# Lists go over a bounded part of the jobs, newest first, by the index that suits, and then look closer.
SCANS: Final = {
    "own_unfinished": "FROM jobs WHERE user = :user AND state <> 4 AND seq < :before",
    "all_unfinished": "FROM jobs INDEXED BY jobs_unfinished WHERE state <> 4 AND seq < :before",
    "own": "FROM jobs WHERE user = :user AND seq < :before",
    "all": "FROM jobs WHERE seq < :before",
    "own_prefix": "FROM jobs WHERE id >= :prefix AND id < :prefix_end AND user = :user AND seq < :before",
    "all_prefix": "FROM jobs WHERE id >= :prefix AND id < :prefix_end AND seq < :before",
}
_FITS = """
    (:name = '' OR name = :name)
    AND (:machine_token IS NULL OR machine_token = :machine_token)
    AND (:states >> state) & 1
    AND (:reasons = 0 OR (reason IS NOT NULL AND (:reasons >> reason) & 1))
    AND created_ns >= :created_from
    AND (:created_before = 0 OR created_ns < :created_before)
"""
# By IN, so that no row is sorted: each comes when it is asked for.
LISTS: Final = {
    name: f"SELECT {JOB_COLUMNS} FROM jobs WHERE seq IN (SELECT seq {scan} ORDER BY seq DESC LIMIT :scan) AND {_FITS}"
    " ORDER BY seq DESC LIMIT :page"
    for name, scan in SCANS.items()
}
SCAN_ENDS: Final = {
    name: f"SELECT count(*), min(seq) FROM (SELECT seq {scan} ORDER BY seq DESC LIMIT :scan)"
    for name, scan in SCANS.items()
}

FINISHED_USERS: Final = "SELECT DISTINCT user FROM jobs WHERE state = 4"
# What of one user's finished jobs is too old, too many or too big, oldest first. A job's file takes 16 KiB without
# any output.
EXPIRED: Final = """
    SELECT id FROM (
        SELECT id, finished_ns, row_number() OVER newest AS place,
               sum(16384 + coalesce(output_bytes - output_dropped_bytes, 0)) OVER newest AS bytes
        FROM jobs WHERE user = :user AND state = 4
        WINDOW newest AS (ORDER BY finished_ns DESC, seq DESC)
    )
    WHERE finished_ns < :oldest_ns OR place > :most OR bytes > :most_bytes
    ORDER BY finished_ns LIMIT :most_ids
"""
