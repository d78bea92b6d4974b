"""What is done with what was run. Page, REST, admin, command line and other pipelines all end in these functions."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from runs_app import recording
from runs_app.models import IdempotencyRecord, PipelineRun, RunEvent, StepAttempt, StepRun
from runs_app.plans import plan_of
from runs_app.recording import StepOutcome
from runs_app.run_configuration import ResolvedConfiguration, resolve
from runs_app.statements import ReadyStep
from templates_app.models import Pipeline, PipelineDeployment, RunTemplateVersion
from templates_app.permissions import check_can_run
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.exceptions import DoesNotExist, EntityExists, FieldError, NotAllowed, ValidationFailed


@dataclass(frozen=True)
class Trigger:
    """Who asked for a run, through which door, and with which key that makes asking twice harmless."""

    actor: User
    channel: TriggerChannel
    route: str = ""
    idempotency_key: str = ""


@dataclass(frozen=True)
class Launch:
    """A run that was accepted; `is_replay` when the same request had made it before."""

    run: PipelineRun
    is_replay: bool = False


def launch_run(
    *,
    deployment: PipelineDeployment,
    configuration: Any,
    trigger: Trigger,
    version: RunTemplateVersion | None = None,
) -> Launch:
    """Accept a run: all its rows in one transaction, then a ring for the workers that nobody waits for.

    Raises ValidationFailed with every error of the configuration, EntityExists for a run name that is taken.
    """
    body_hash = _hash_of(configuration)
    if earlier := _find_replay(trigger, body_hash):
        return earlier
    if version is not None:
        check_can_run(trigger.actor, version.template)
    try:
        return Launch(_start_run(deployment, version, configuration, trigger, body_hash))
    except IntegrityError:
        # The same key, or the same name, was committed by somebody else a moment ago: now it can be seen.
        if earlier := _find_replay(trigger, body_hash):
            return earlier
        return Launch(_start_run(deployment, version, configuration, trigger, body_hash))


def stop_run(*, actor: User, run: PipelineRun) -> None:
    """Ask a run to stop; one that has ended stays as it is."""
    if not actor.is_active:
        raise NotAllowed("This account is switched off.")
    recording.request_stop(run, by=actor.get_username())


# -- runs of the local stack, executed by the process that called the pipeline -----------------------------------------


def start_local_step(*, actor: User, run: PipelineRun, step_name: str) -> StepAttempt:
    """Note that the caller starts this step now."""
    _check_is_callers(actor, run)
    step = StepRun.objects.with_what_an_attempt_needs().filter(run=run, name=step_name).first()
    if step is None:
        raise DoesNotExist(f"The run has no step {step_name!r}.")
    if step.is_finished or step.waits_for:
        raise ValidationFailed(f"Step {step_name!r} cannot start now: it is {step.status}.")
    with transaction.atomic():
        attempt = recording.start_local_attempt(step)
        renew_lease(actor=actor, run=run)
    if attempt is None:
        raise ValidationFailed(f"Step {step_name!r} was started by somebody else.")
    return attempt


def end_local_step(
    *, actor: User, run: PipelineRun, step_name: str, number: int, outcome: StepOutcome
) -> bool:
    """Record how the caller's attempt ended; False when the run had been given up."""
    _check_is_callers(actor, run)
    attempt = (
        StepAttempt.objects.select_related("step__run__stack")
        .filter(step__run=run, step__name=step_name, number=number)
        .first()
    )
    if attempt is None:
        raise DoesNotExist(f"Step {step_name!r} of this run has no attempt {number}.")
    _check_outputs_are_its_own(attempt, outcome)
    return recording.record_end(attempt, outcome)


def seconds_until_retry(run: PipelineRun, step_name: str) -> float | None:
    """How long the caller waits before it tries a step again; None when it shall not."""
    step = StepRun.objects.filter(run=run, name=step_name, status=ExecutionStatus.RETRYING).first()
    if step is None or step.ready_at is None:
        return None
    wait: timedelta = (step.delayed_until or step.ready_at) - timezone.now()
    return max(0.0, wait.total_seconds())


def renew_lease(*, actor: User, run: PipelineRun) -> bool:
    """Note that the caller still lives; False when the run is over or shall stop."""
    _check_is_callers(actor, run)
    renewed = PipelineRun.objects.unfinished().called_locally().filter(pk=run.pk)
    return bool(renewed.update(caller_beat=F("caller_beat") + 1)) and not run.stop_requested_at


def _check_outputs_are_its_own(attempt: StepAttempt, outcome: StepOutcome) -> None:
    """An attempt writes below its own folder, so nobody can have the server show other files as an output."""
    known = {
        output.name for output in plan_of(attempt.step.run.deployment_id).step(attempt.step.index).outputs
    }
    for name, stored in outcome.outputs.items():
        if name not in known:
            raise ValidationFailed(
                [FieldError("/outputs", f"Step {attempt.step.name} has no output {name!r}.")]
            )
        if not f"/{stored.uri}".endswith(f"/{attempt.artifact_uri}/{name}"):
            sentence = f"Output {name!r} is not in its attempt's folder {attempt.artifact_uri}."
            raise ValidationFailed([FieldError("/outputs", sentence)])


def _check_is_callers(actor: User, run: PipelineRun) -> None:
    if run.stack.is_remote:
        raise ValidationFailed(
            "Workers execute this run; only runs of a local stack are reported by their caller."
        )
    if run.user_id != actor.pk:
        raise NotAllowed("Only who started this run may report on it.")


# -- accepting --------------------------------------------------------------------------------------------------------


def _find_replay(trigger: Trigger, body_hash: str) -> Launch | None:
    if not trigger.idempotency_key:
        return None
    record = (
        IdempotencyRecord.objects.filter(user=trigger.actor, route=trigger.route, key=trigger.idempotency_key)
        .select_related("run")
        .first()
    )
    if record is None:
        return None
    if record.body_hash != body_hash:
        raise ValidationFailed("This Idempotency-Key was used before with another body. Use a new key.")
    return Launch(record.run, is_replay=True)


@transaction.atomic
def _start_run(
    deployment: PipelineDeployment,
    version: RunTemplateVersion | None,
    configuration: Any,
    trigger: Trigger,
    body_hash: str,
) -> PipelineRun:
    resolved = _resolve_with_free_name(deployment, configuration)
    Pipeline.objects.filter(pk=deployment.pipeline_id).update(run_count=F("run_count") + 1)
    is_local = not deployment.stack.is_remote
    run = PipelineRun.objects.create(
        project_id=deployment.project_id,
        user=trigger.actor,
        pipeline_id=deployment.pipeline_id,
        deployment=deployment,
        stack=deployment.stack,
        template=version.template if version else None,
        template_version=version,
        name=resolved.run_name,
        index=Pipeline.objects.values_list("run_count", flat=True).get(pk=deployment.pipeline_id),
        channel=trigger.channel,
        tags=resolved.tags,
        timeout=resolved.timeout,
        execution_mode=resolved.execution_mode,
        configuration=configuration or {},
        resolved_configuration=resolved.as_json(),
        warnings=resolved.warnings,
        caller_beat=0 if is_local else None,
    )
    steps = list(_step_rows(run, resolved, is_local))
    StepRun.objects.bulk_create(steps)
    RunEvent.objects.create(
        run=run, sentence=f"Accepted from {trigger.actor.get_username()} through {trigger.channel.words}."
    )
    if trigger.idempotency_key:
        IdempotencyRecord.objects.create(
            user=trigger.actor, route=trigger.route, key=trigger.idempotency_key, body_hash=body_hash, run=run
        )
    if not steps:
        recording.end_empty_run(run)
    ready = [_ready_step(step) for step in steps if step.ready_at is not None]
    recording.offer(run, ready, {}, timezone.now())
    return run


def _resolve_with_free_name(deployment: PipelineDeployment, configuration: Any) -> ResolvedConfiguration:
    """Resolve; a name made from the time moves on by microseconds until it is free."""
    now = timezone.now()
    resolved = resolve(deployment, configuration, now)
    while PipelineRun.objects.filter(project_id=deployment.project_id, name=resolved.run_name).exists():
        now += timedelta(microseconds=1)
        moved = resolve(deployment, configuration, now)
        if moved.run_name == resolved.run_name:
            raise EntityExists(
                f"A run called {resolved.run_name!r} already exists. "
                "Choose another run_name, or put {date} and {time} into it."
            )
        resolved = moved
    return resolved


def _step_rows(run: PipelineRun, resolved: ResolvedConfiguration, is_local: bool) -> Iterator[StepRun]:
    index_of = {step.spec.name: index for index, step in enumerate(resolved.steps)}
    downstream: dict[str, list[int]] = {name: [] for name in index_of}
    for index, step in enumerate(resolved.steps):
        for name in step.spec.upstream:
            downstream[name].append(index)
    now = timezone.now()
    for index, step in enumerate(resolved.steps):
        # Steps of the local stack belong to no queue, so that no worker ever takes one.
        queue = "" if is_local else step.settings.get("queue") or run.stack.queue
        yield StepRun(
            run=run,
            index=index,
            name=step.spec.name,
            parameters=step.parameters,
            settings=step.settings,
            queue=queue,
            priority=step.settings.get("priority") or 0,
            waits_for=len(step.spec.upstream),
            downstream=downstream[step.spec.name],
            ready_at=_ready_at(step.spec.upstream, is_local, now),
            status=ExecutionStatus.INITIALIZING,
        )


def _ready_step(step: StepRun) -> ReadyStep:
    return ReadyStep(
        *(step.id, step.index, step.name, step.queue),
        *(step.parameters, step.settings, step.downstream),
    )


def _ready_at(upstream: list[str], is_local: bool, now: datetime) -> datetime | None:
    return None if upstream or is_local else now


def _hash_of(configuration: Any) -> str:
    return hashlib.sha256(json.dumps(configuration or {}, sort_keys=True).encode()).hexdigest()
