"""Runs that a step asks for: another attempt at the step gets the runs that an earlier one has started."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4, uuid5

from zenweb.enums import ExecutionStatus
from zenweb.execution.context import StepContext, current_step

STEP_HEADER = "X-ZenWeb-Step"
TO_REPEAT = (ExecutionStatus.FAILED, ExecutionStatus.STOPPED)
Ask = Callable[[Mapping[str, str]], dict[str, Any]]


def ask_for_run(
    ask: Ask, path: str, configuration: Mapping[str, Any], idempotency_key: str | None = None
) -> dict[str, Any]:
    """The answer about the run. `ask` sends the request with these headers, as often as it has to.

    Inside a step, asking for the same as often as an earlier attempt did finds what that has started. What has failed
    or was stopped since is started anew, once per attempt: that is what the step is tried again for. Whoever has an
    `idempotency_key` of their own gets what that stands for.
    """
    step = current_step()
    # Whoever executes the run has a connection of their own: it does not tell which step asks.
    named = {STEP_HEADER: str(step.step_run.id)} if step and step.assignment.server is None else {}
    if step is None or idempotency_key is not None:
        return ask({"Idempotency-Key": idempotency_key or str(uuid4()), **named})
    answer: dict[str, Any] = {}
    for key in _keys(step, path, configuration):
        answer = ask({"Idempotency-Key": key, **named})
        if answer["body"]["status"] not in TO_REPEAT:
            break
    return answer


def _keys(step: StepContext, path: str, configuration: Mapping[str, Any]) -> Iterator[str]:
    wanted = json.dumps([path, configuration], sort_keys=True, default=str)
    key = uuid5(UUID(step.idempotency_key), f"{wanted} {step.count_call(wanted)}")
    for attempt in range(step.attempt):
        yield str(uuid5(key, str(attempt)) if attempt else key)
