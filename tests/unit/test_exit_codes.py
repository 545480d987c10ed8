"""The exit code of run, attach and wait: what scripts and pipelines decide by."""

from __future__ import annotations

import errno

import pytest

from jobrun.cli.exit_codes import exit_code
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire

LIMITS = (
    wire.END_REASON_CPU_LIMIT,
    wire.END_REASON_MEMORY_LIMIT,
    wire.END_REASON_FILE_SIZE_LIMIT,
    wire.END_REASON_PROCESS_LIMIT,
)
OWN_ENDS = (wire.END_REASON_EXITED, wire.END_REASON_SIGNALED, wire.END_REASON_STOPPED, *LIMITS)


def job(reason: wire.EndReason, *, code: int | None = None, signal: int | None = None) -> wire.Job:
    """A finished job."""
    return wire.Job(finished=wire.Finished(reason=reason, exit_code=code, signal=signal))


def failed(step: wire.StartStep, number: int) -> wire.Job:
    """A job that could not be started."""
    failure = wire.StartFailure(step=step, errno=number)
    return wire.Job(finished=wire.Finished(reason=wire.END_REASON_START_FAILED, start_failure=failure))


@pytest.mark.parametrize("reason", OWN_ENDS)
@pytest.mark.parametrize("code", [1, 2, 123, 124, 125, 255])
def test_the_programs_own_code_is_kept(reason: wire.EndReason, code: int) -> None:
    """A program that catches TERM and leaves with 123 has 123."""
    assert exit_code(job(reason, code=code)) == code


@pytest.mark.parametrize("reason", OWN_ENDS)
@pytest.mark.parametrize("signal", [1, 9, 15, 34, 64])
def test_a_signal_is_128_and_its_number(reason: wire.EndReason, signal: int) -> None:
    """Success is what left with 0, nothing else."""
    assert exit_code(job(reason, signal=signal)) == 128 + signal


def test_success_is_zero() -> None:
    """A job that went well would stop the script that started it."""
    assert exit_code(job(wire.END_REASON_EXITED, code=0)) == 0


def test_a_stopped_job_is_never_a_success() -> None:
    """Not where it left with 0, and not where it never started."""
    assert exit_code(job(wire.END_REASON_STOPPED, code=0)) == 143
    assert exit_code(job(wire.END_REASON_STOPPED)) == 143


@pytest.mark.parametrize("reason", LIMITS)
def test_a_job_that_met_a_limit_is_never_a_success(reason: wire.EndReason) -> None:
    """Its first process may leave with 0 while another one was killed."""
    assert exit_code(job(reason, code=0)) == 137
    assert exit_code(job(reason)) == 137


@pytest.mark.parametrize("own", [{"code": 0}, {"code": 7}, {"signal": 15}, {}])
def test_a_timeout_is_124_whatever_the_program_said(own: dict[str, int]) -> None:
    """A program that leaves with 0 at its SIGTERM would hide that its time was over; as timeout(1) has it."""
    assert exit_code(job(wire.END_REASON_TIMEOUT, **own)) == 124


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        (wire.START_STEP_EXEC, errno.ENOENT, 127),
        (wire.START_STEP_EXEC, errno.EACCES, 126),
        (wire.START_STEP_EXEC, errno.ENOEXEC, 126),
        (wire.START_STEP_EXEC, errno.ENOTDIR, 126),
        (wire.START_STEP_CHDIR, errno.ENOENT, 125),
        (wire.START_STEP_LIMITS, errno.EPERM, 125),
        (wire.START_STEP_ISOLATE, errno.EPERM, 125),
        (wire.START_STEP_UNSPECIFIED, 0, 125),
    ],
)
def test_a_failed_start_says_whose_fault_it_was(step: wire.StartStep, number: int, code: int) -> None:
    """127 and 126 are about the program, as in every shell; a missing folder is not a missing program."""
    assert exit_code(failed(step, number)) == code


def test_what_nobody_saw_is_never_guessed() -> None:
    """LOST is 125, with or without what is known of it."""
    assert exit_code(job(wire.END_REASON_LOST)) == 125
    assert exit_code(job(wire.END_REASON_LOST, code=0)) == 125
    assert exit_code(job(wire.END_REASON_UNSPECIFIED)) == 125
    assert exit_code(job(wire.END_REASON_EXITED)) == 125


def test_missing_output_is_no_success_and_hides_no_failure() -> None:
    """A reader that met a gap can not say that all went well."""
    assert exit_code(job(wire.END_REASON_EXITED, code=0), gap=True) == 125
    assert exit_code(job(wire.END_REASON_EXITED, code=3), gap=True) == 3
    assert exit_code(job(wire.END_REASON_TIMEOUT), gap=True) == 124


@pytest.mark.parametrize("reason", [number for number in wire.EndReason.values() if number])
def test_every_reason_has_a_code_that_is_no_success(reason: wire.EndReason) -> None:
    """A reason that the table forgot would be a job that silently counts as done."""
    assert exit_code(job(reason)) > 0
