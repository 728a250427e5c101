"""The smoke test: a Job from the user's template, made once, whose exit decides.

Its name follows from the object, the rollout and the number of the test, all of them persisted
before it is made, so that no crash and no second replica ever makes another. A Job that failed, or
did not end in time, takes the candidate back; nobody has met it by then.
"""

from dataclasses import replace
from hashlib import sha256

from modelrollout.api import scalars
from modelrollout.api.status import Check
from modelrollout.domain import previewing
from modelrollout.domain.observed import CheckSeen, JobState
from modelrollout.domain.passing import Pass
from modelrollout.domain.planned import Job
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import CheckStep

_LONGEST_NAME = 40


def begin(turn: Pass, step: CheckStep) -> None:
    """Enters the step: the Job gets the name by which it is made once."""
    number = turn.rollout.checks + 1
    key = f"{turn.observed.uid}/{turn.rollout.id}/{number}"
    unique = sha256(key.encode()).hexdigest()[:10]
    turn.put_rollout(checks=number, check=Check(job=f"{_stem(step)}-{unique}"))
    # What was seen is of another Job, if of any.
    turn.observed = replace(turn.observed, check=CheckSeen(_seen(turn).problem))


def _stem(step: CheckStep) -> str:
    return step.cron_job[:_LONGEST_NAME].rstrip("-.")


def _is_of(check: Check, step: CheckStep) -> bool:
    return check.job.rpartition("-")[0] == _stem(step)


def note(turn: Pass) -> None:
    """Remembers that the Job was there: from then on it is never made again.

    A step that an edit has made a smoke test, or that of another template, begins here.
    """
    step, check = turn.step(), turn.rollout.check
    if isinstance(step, CheckStep) and (check is None or not _is_of(check, step)):
        turn.put_rollout(step_clock_s=0.0)
        begin(turn, step)
        return
    if check is not None and not check.seen and _seen(turn).state is not JobState.ABSENT:
        turn.put_rollout(check=check.model_copy(update={"seen": True}))


def _seen(turn: Pass) -> CheckSeen:
    return turn.observed.check or CheckSeen()


def unusable(turn: Pass) -> Reason | None:
    """Why a template of the plan cannot be used, None when each can or the plan has none."""
    seen = turn.observed.check
    if seen is None or not seen.problem:
        return None
    return Reason(Code.SMOKE_TEST_UNUSABLE, seen.problem)


def failed(turn: Pass) -> Reason | None:
    """Why the smoke test speaks against the candidate, None when it does not."""
    step, check = turn.step(), turn.rollout.check
    if not isinstance(step, CheckStep) or check is None:
        return None
    seen = _seen(turn)
    if seen.state is JobState.FAILED:
        why = f" ({seen.why})" if seen.why else ""
        return _against(turn, f"the smoke test failed: Job {check.job}{why}")
    if seen.state is JobState.ABSENT and check.seen:
        return _against(turn, f"the Job {check.job} was deleted before its end was seen")
    if seen.state is not JobState.SUCCEEDED and turn.rollout.step_clock_s >= step.timeout_s:
        allowed = scalars.duration(step.timeout_s)
        return _against(
            turn, f"the smoke test did not succeed within {allowed}: {_where(turn, check)}"
        )
    return None


def _against(turn: Pass, what: str) -> Reason:
    met = "no user met it" if turn.rollout.share == 0 else "users lose it now"
    return Reason(Code.SMOKE_TEST_FAILED, f"{turn.status.candidate}: {what}; {met}")


def _where(turn: Pass, check: Check) -> str:
    problem = unusable(turn)
    if problem is not None:
        return problem.sentence
    state = _seen(turn).state
    return f"Job {check.job} {'runs' if state is JobState.RUNNING else 'was not made'}"


def held(turn: Pass, step: CheckStep) -> Reason | None:
    """Why the step is not served yet, None once the Job has succeeded."""
    seen, check = _seen(turn), turn.rollout.check
    if check is None:
        return Reason(Code.SMOKE_TEST_RUNNING, f"the smoke test {step.cron_job} is about to start")
    if seen.state is JobState.SUCCEEDED:
        return None
    if seen.state is JobState.ABSENT:
        return unusable(turn) or Reason(
            Code.SMOKE_TEST_RUNNING, f"the Job {check.job} is being made from {step.cron_job}"
        )
    allowed = scalars.duration(step.timeout_s)
    sentence = f"the smoke test runs as Job {check.job}; it must succeed within {allowed}"
    return Reason(Code.SMOKE_TEST_RUNNING, sentence)


def jobs(turn: Pass) -> tuple[Job, ...]:
    """The Job that must exist now and does not."""
    rollout, candidate = turn.status.rollout, turn.status.candidate
    step = turn.step() if rollout is not None and turn.refused is None else None
    if not isinstance(step, CheckStep) or rollout is None or candidate is None:
        return ()
    if rollout.check is None or rollout.check.seen or unusable(turn) is not None:
        return ()
    version = turn.written(candidate.name)
    if version is None:
        return ()
    return (
        Job(
            name=rollout.check.job,
            template=step.cron_job,
            timeout_s=step.timeout_s,
            environment={
                "MODELROLLOUT_ROLLOUT": turn.observed.name,
                "MODELROLLOUT_VERSION": candidate.name,
                "MODELROLLOUT_REVISION": candidate.revision,
                "MODELROLLOUT_PREVIEW_HOST": turn.spec.strategy.preview_host,
                "MODELROLLOUT_PREVIEW_URL": previewing.address(turn),
            },
            version=candidate.name,
        ),
    )
