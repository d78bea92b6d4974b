"""Runs that a step asks for: another attempt at the step gets the runs that an earlier one has started."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

from zenweb.enums import ExecutionStatus
from zenweb.execution.current_step import current_step
from zenweb.execution.told_waits import telling_worker

if TYPE_CHECKING:
    from zenweb.execution.context import StepContext

STEP_HEADER = "X-ZenWeb-Step"
TO_REPEAT = (ExecutionStatus.FAILED, ExecutionStatus.STOPPED)


def headers_for_run(
    path: str, configuration: Mapping[str, Any], idempotency_key: str | None = None
) -> Iterator[dict[str, str]]:
    """What to ask for a run with; with the next ones for as long as the answer is about one that `is_to_repeat`.

    Inside a step, asking for the same as often as an earlier attempt did finds what that has started. What has failed
    or was stopped since is started anew, once per attempt: that is what the step is tried again for. Whoever has an
    `idempotency_key` of their own gets what that stands for.
    """
    step = current_step()
    # Whoever executes the run has a connection of their own: it does not tell which step asks.
    named = {STEP_HEADER: str(step.step_run.id)} if step and step.assignment.server is None else {}
    if step is None or idempotency_key is not None:
        yield {"Idempotency-Key": idempotency_key or str(uuid4()), **named}
        return
    for key in _keys(step, path, configuration):
        yield {"Idempotency-Key": key, **named}


def is_to_repeat(answer: Mapping[str, Any]) -> bool:
    return answer["body"]["status"] in TO_REPEAT


@contextmanager
def waiting_for(run_id: UUID) -> Iterator[None]:
    """Inside a step that a worker runs, its slot is free for others meanwhile: for the run that is waited for, say.

    So it is in all programs that such a step has started.
    """
    step = current_step()
    if step is None or step.assignment.server is None or step.process != os.getpid():
        with telling_worker(run_id):
            yield
        return
    # Only a step needs it: every client imports this module, and pydantic takes long to load.
    from zenweb.execution.protocol import GoesOn, WaitsForRun  # noqa: PLC0415

    step.emit(WaitsForRun(run_id=run_id))
    try:
        yield
    finally:
        step.emit(GoesOn(run_id=run_id))


def _keys(step: "StepContext", path: str, configuration: Mapping[str, Any]) -> Iterator[str]:
    wanted = json.dumps([path, configuration], sort_keys=True, default=str)
    key = uuid5(UUID(step.idempotency_key), f"{wanted} {step.count_call(wanted)}")
    for attempt in range(step.attempt):
        yield str(uuid5(key, str(attempt)) if attempt else key)
