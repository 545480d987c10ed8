"""--json: what scripts read."""

from __future__ import annotations

import json

from jobrun.cli.jsontext import to_json
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire


def test_the_mapping_of_the_contract() -> None:
    """Proto field names, zero values, 64-bit integers as numbers, times and durations as protobuf prints them."""
    job = wire.Job(
        id="x1",
        spec=wire.JobSpec(argv=["a", "\u202e"], env={"K": b""}),
        finished=wire.Finished(reason=wire.END_REASON_EXITED, exit_code=0),
        usage=wire.Usage(output_bytes=1 << 52),
    )
    job.spec.limits.memory_bytes = 1 << 40
    job.spec.limits.timeout.FromMilliseconds(1500)
    job.created_at.FromSeconds(0)
    line = to_json(job)
    assert line.endswith("}\n")
    assert line.isascii()
    read = json.loads(line)
    assert read["finished"]["reason"] == "END_REASON_EXITED"
    assert read["finished"]["exit_code"] == 0
    assert read["finished"]["stopped_by"] == ""
    assert read["usage"]["output_bytes"] == 1 << 52
    assert read["usage"]["output_dropped_bytes"] == 0
    assert read["spec"]["limits"] == {"memory_bytes": 1 << 40, "timeout": "1.500s"}
    assert read["spec"]["env"] == {"K": ""}
    assert read["spec"]["argv"] == ["a", "\u202e"]
    assert read["created_at"] == "1970-01-01T00:00:00Z"
    assert read["enforcements"] == []
