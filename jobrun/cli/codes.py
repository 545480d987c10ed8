"""Exit codes that are jobrun's own, beside those of Refusal. main.py imports this before anything else."""

from __future__ import annotations

BROKEN_PIPE = 128 + 13
"""Nobody reads what is written: SIGPIPE's code, as a shell has it."""
OURS = 125
"""Everything that is jobrun's own: usage, no server, no such job, LOST, output that is missing."""
AS_THE_JOB = frozenset({"run", "attach", "wait"})
"""Commands that leave as the job did, and with OURS otherwise."""
