"""What is done with what was run. Page, REST, admin, command line and other pipelines all end in these functions."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from runs_app import metadata, recording, statements
from runs_app.choices import ask_before, check_choices, note
from runs_app.compilations import wait_for
from runs_app.judging import resolve_to_run
from runs_app.limits import Limit, hold_limit
from runs_app.lineage import (
    check_ends_no_ancestor,
    hold_place_below,
    keep_out_of_cache,
    may_be_named_to,
)
from runs_app.masking import mask_of
from runs_app.models import ArtifactVersion, IdempotencyRecord, PipelineRun, RunEvent, StepAttempt, StepRun
from runs_app.own_parameters import asked_to_run
from runs_app.permissions import Noteworthy, check_may_note, check_may_stop
from runs_app.plans import deployment_of, plan_of, rules_of
from runs_app.presets import use_preset
from runs_app.recording import LogPiece, StepOutcome
from runs_app.repair import Repair, RepairPlan
from runs_app.run_configuration import ResolvedConfiguration
from runs_app.sealed import sealed, sealed_hash
from runs_app.statements import ReadyStep
from templates_app.models import PipelineDeployment, RunTemplateVersion
from templates_app.permissions import check_can_run, check_may_run_deployment
from zenweb.accounts.audit import record_audit
from zenweb.accounts.models import StepPlace, User
from zenweb.accounts.permissions import check_may_run
from zenweb.enums import AuditVerb, ConcurrencyPolicy, ExecutionStatus, TriggerChannel
from zenweb.exceptions import DoesNotExist, FieldError, NotAllowed, SecretUnreadable, ValidationFailed
from zenweb.execution.metadata import Noted, check_metadata, check_names_about_artifact
from zenweb.execution.protocol import SAVED
from zenweb.prepared import insert
from zenweb.sealing import keyed_hashes, opened


@dataclass(frozen=True)
class Trigger:
    """Who asked for a run, through which door, and with which key that makes asking twice harmless."""

    actor: User
    channel: TriggerChannel
    route: str = ""
    idempotency_key: str = ""
    api_key_name: str = ""
    moment: datetime | None = None
    """What the run is for, if that is not now: the nominal time of a schedule, in its zone."""
    parent: StepPlace | None = None
    """The step that asks."""

    @property
    def words(self) -> str:
        """ "alice through REST with the key ci" """
        key = f" with the key {self.api_key_name}" if self.api_key_name else ""
        return f"{self.actor.get_username()} through {self.channel.words}{key}"


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
    preset: str = "",
) -> Launch:
    """Accept a run: all its rows in one transaction, then a ring for the workers that nobody waits for.

    `preset`: the name of one of the template's; the configuration goes over its values. Raises ValidationFailed with
    every error of the configuration, EntityExists for a run name that is taken.
    """

    def start(body_hash: str) -> PipelineRun:
        if version is not None:
            version.used_by(check_can_run(trigger.actor, version.template))
            if preset:
                return _start_from_preset(version, preset, configuration, trigger, body_hash)
        else:
            check_may_run_deployment(trigger.actor, deployment)
        return _start_run(deployment, version, configuration, trigger, body_hash)

    # The preset by its name: asked for again, the same run is found though its values have changed meanwhile.
    body = {"preset": preset, "configuration": configuration} if preset else configuration
    return _accept(trigger, body, start)


def repair_run(*, repair: Repair, trigger: Trigger) -> Launch:
    """Accept a run that keeps what it can of a finished one and runs the rest again, as `preview_repair` tells.

    Raises ValidationFailed for a run that cannot be repaired, for values that do not fit, and if nothing is to be done.
    """

    def start(body_hash: str) -> PipelineRun:
        repair.asked_by(trigger.actor).check_possible()
        if repair.version is not None:
            check_can_run(trigger.actor, repair.version.template)
        else:
            check_may_run_deployment(trigger.actor, repair.deployment)
        with repair.explaining():
            return _start_run(repair.deployment, repair.version, repair.values, trigger, body_hash, repair)

    return _accept(trigger, repair.body, start)


@transaction.atomic
def stop_run(*, actor: User, run: PipelineRun) -> None:
    """Ask a run to stop; one that has ended stays as it is."""
    check_may_stop(actor, run)
    if recording.request_stop(run, by=actor.get_username()):
        record_audit(actor=actor, verb=AuditVerb.STOP, thing=run)


@transaction.atomic
def note_metadata(*, actor: User, things: Sequence[Noteworthy], values: Noted) -> None:
    """Note values about runs, steps that have ended, and artifacts; of all of them or of none.

    A step that still runs notes for itself, and its end records that.
    """
    check_may_run(actor)
    for thing in things:
        check_may_note(actor, thing)
    check_metadata(values)
    if any(isinstance(thing, ArtifactVersion) for thing in things):
        check_names_about_artifact(values)
    # In one order, so that two callers never wait for each other in a circle.
    for thing in sorted(set(things), key=lambda thing: (type(thing).__name__, thing.pk)):
        if isinstance(thing, StepRun) and not thing.is_finished:
            raise ValidationFailed(
                f"Step {thing.name!r} has not ended: until then only its own code notes something about it."
            )
        metadata.add(thing, values)
        record_audit(actor=actor, verb=AuditVerb.NOTE_METADATA, thing=thing, after={"names": list(values)})


# -- runs of the local stack, executed by the process that called the pipeline -----------------------------------------


def start_local_step(*, actor: User, run: PipelineRun, step_name: str) -> StepAttempt | None:
    """Note that the caller starts this step now; of a mapped step, its next run.

    None: a condition does not hold, or all runs of the mapped step are over.
    """
    _check_is_callers(actor, run)
    step = StepRun.objects.with_what_an_attempt_needs().filter(run=run, name=step_name).first()
    if step is None:
        raise DoesNotExist(f"The run has no step {step_name!r}.")
    if step.is_skipped:
        return None
    if step.elements is not None and step.status != ExecutionStatus.STOPPED:
        elements = StepRun.objects.with_what_an_attempt_needs().filter(run=run, mapped_index=step.index)
        if (step := elements.unfinished().order_by("element").first()) is None:
            return None
    if step.is_finished or step.waits_for or step.status == ExecutionStatus.STOPPING:
        reason = f" {step.status_reason}" if step.status_reason else ""
        raise ValidationFailed(f"Step {step.name!r} cannot start now: it is {step.status}.{reason}")
    given_before = StepAttempt.objects.filter(step=step, number=step.attempt, end_time=None).first()
    if given_before is not None:  # the answer was lost, and is asked for again
        given_before.step = step
        return given_before
    with transaction.atomic():
        attempt = recording.start_local_attempt(step)
        renew_lease(actor=actor, run=run)
    if attempt is None:
        raise ValidationFailed(f"Step {step_name!r} was started by somebody else.")
    return attempt


def started_local_attempt(*, actor: User, run: PipelineRun, step_id: UUID, number: int) -> StepAttempt:
    """An attempt that the caller has started, to be told of again."""
    _check_is_callers(actor, run)
    step = StepRun.objects.with_what_an_attempt_needs().filter(run=run, pk=step_id).first()
    attempt = StepAttempt.objects.filter(step=step, number=number).first() if step else None
    if step is None or attempt is None:
        raise DoesNotExist("The run has no such attempt any more.")
    attempt.step = step
    return attempt


def report_local_progress(
    *, actor: User, run: PipelineRun, step_name: str, number: int, printed: LogPiece, noted: Noted | None
) -> bool:
    """Show what the caller's attempt has printed and noted so far; False when the run is over or shall stop."""
    attempt = _callers_attempt(actor, run, step_name, number)
    check_metadata(noted or {})
    mask = mask_of(attempt.step.parameters, run.pk)
    with transaction.atomic():
        # First: whoever ends the step holds the run before its rows.
        goes_on = renew_lease(actor=actor, run=run)
        if recording.holds_its_step(attempt):
            recording.append_piece(attempt, printed.masked(mask))
            if noted is not None:
                recording.show_metadata(attempt, mask.value(noted))
        return goes_on


@transaction.atomic
def end_local_step(
    *, actor: User, run: PipelineRun, step_name: str, number: int, outcome: StepOutcome, printed: LogPiece
) -> bool:
    """Record how the caller's attempt ended; False when the run had been given up.

    `printed`: what of its log was not told before. Nobody else has it, so it stays in the database.
    """
    attempt = _callers_attempt(actor, run, step_name, number)
    _check_outputs_are_its_own(attempt, outcome)
    mask = mask_of(attempt.step.parameters, run.pk)
    if is_recorded := recording.record_end(attempt, outcome.masked(mask)):
        recording.append_piece(attempt, printed.masked(mask))
    return is_recorded


def _callers_attempt(actor: User, run: PipelineRun, step_name: str, number: int) -> StepAttempt:
    _check_is_callers(actor, run)
    attempt = (
        StepAttempt.objects.select_related("step__run__stack")
        .filter(step__run=run, step__name=step_name, number=number)
        .first()
    )
    if attempt is None:
        raise DoesNotExist(f"Step {step_name!r} of this run has no attempt {number}.")
    return attempt


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
    return recording.renew_lease(run) and not run.stop_requested_at


def goes_on(*, actor: User, run: PipelineRun) -> bool:
    """What `renew_lease` would tell, without a sign of life from the caller."""
    _check_is_callers(actor, run)
    return not run.is_finished and not run.stop_requested_at


def _check_outputs_are_its_own(attempt: StepAttempt, outcome: StepOutcome) -> None:
    """An attempt writes below its own folder, so nobody can have the server show other files as an output.

    Of a step that completed all that it declares is there: others need it.
    """
    known = {
        output.name
        for output in plan_of(attempt.step.run.deployment_id).step(attempt.step.spec_index).outputs
    }
    for name, stored in outcome.outputs.items():
        if name not in known and not (name.startswith(SAVED) and stored.artifact_name):
            raise ValidationFailed(
                [FieldError("/outputs", f"Step {attempt.step.name} has no output {name!r}.")]
            )
        if not f"/{stored.uri}".endswith(f"/{attempt.artifact_uri}/{name}"):
            sentence = f"Output {name!r} is not in its attempt's folder {attempt.artifact_uri}."
            raise ValidationFailed([FieldError("/outputs", sentence)])
    missing = sorted(known - outcome.outputs.keys())
    if missing and outcome.status is ExecutionStatus.COMPLETED:
        sentence = f"Step {attempt.step.name} completed without its output {missing[0]!r}: store it first."
        raise ValidationFailed([FieldError("/outputs", sentence)])


def _check_is_callers(actor: User, run: PipelineRun) -> None:
    check_may_run(actor)
    if run.user_id != actor.pk or actor.step_in_use is not None:
        raise NotAllowed("Only who started this run may report on it.")
    if run.stack.is_remote:
        raise ValidationFailed(
            "Workers execute this run; only runs of a local stack are reported by their caller."
        )


# -- accepting --------------------------------------------------------------------------------------------------------


def _accept(trigger: Trigger, body: Any, start: Callable[[str], PipelineRun]) -> Launch:
    """Start a run, given the hash of what was asked for, unless the same request has started one."""
    body_hash = _hash_of(body)
    if earlier := _find_replay(trigger, body_hash):
        return earlier
    try:
        return Launch(start(body_hash))
    except IntegrityError:
        # The same key, or the same name, was committed by somebody else a moment ago: now it can be seen.
        if earlier := _find_replay(trigger, body_hash):
            return earlier
        return Launch(start(body_hash))


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
    if not _is_of(record, body_hash):
        raise ValidationFailed("This Idempotency-Key was used before with another body. Use a new key.")
    return Launch(record.run, is_replay=True)


def _is_of(record: IdempotencyRecord, body_hash: str) -> bool:
    try:
        kept = opened(record.body_hash, record.run_id)
    except SecretUnreadable as error:
        sentence = (
            f"This Idempotency-Key was used before, for run {record.run.name}. Whether with this body cannot be told "
            "any more: its secrets were sealed with a key that this server does not have. Look at that run, or use a "
            "new key."
        )
        raise ValidationFailed(sentence) from error
    # Those with a key are from a time when nothing else was kept.
    return kept in {body_hash, *keyed_hashes(body_hash)}


@transaction.atomic
def _start_run(
    deployment: PipelineDeployment,
    version: RunTemplateVersion | None,
    configuration: Any,
    trigger: Trigger,
    body_hash: str,
    repair: Repair | None = None,
) -> PipelineRun:
    hold_place_below(trigger.parent)
    keep_out_of_cache(trigger.parent)  # the step after its run, as whoever records the step's end holds them
    asked = asked_to_run(version or deployment, configuration)
    runnable, deployment = asked.runnable, deployment_of(asked.runnable)
    resolved = resolve_to_run(trigger.actor, asked, trigger.moment)
    plan = _plan_to_do(repair, resolved) if repair else None
    chosen_in = plan.again if plan else None
    check_choices(runnable, resolved, chosen_in)
    rules = rules_of(runnable)
    limit = _exhausted_limit(version, trigger.parent)
    waits = limit is not None and limit.policy is not ConcurrencyPolicy.SKIP
    is_local = not deployment.stack.is_remote
    is_skipped = limit is not None and not waits
    chosen = [] if is_skipped else ask_before(runnable, resolved, chosen_in)
    is_prepared = asked.is_known and not any(choice.is_open for choice in chosen)
    run = PipelineRun(
        project_id=deployment.project_id,
        user=trigger.actor,
        bound_key=trigger.actor.api_key_in_use if trigger.actor.is_bound else None,
        pipeline=deployment.pipeline,
        deployment=deployment,
        stack=deployment.stack,
        template=version.template if version else None,
        template_version=version,
        original=repair.original if repair else None,
        **_place_of(trigger.parent),
        is_restricted=version is not None and version.template.is_restricted,
        name=resolved.run_name,
        index=statements.next_run_index(deployment.pipeline_id),
        channel=trigger.channel,
        tags=resolved.tags,
        timeout=resolved.timeout,
        execution_mode=resolved.execution_mode,
        warnings=resolved.warnings,
        caller_beat=0 if is_local else None,
        queued_at=timezone.now() if waits else None,
        priority=max((step.settings.get("priority") or 0 for step in resolved.steps), default=0),
        is_prepared=is_prepared,
        status_reason="" if is_prepared else recording.PREPARING if asked.is_known else recording.COMPILING,
    )
    run.configuration = sealed(rules.plan, configuration or {}, run.pk, has_other_steps=not asked.is_known)
    run.resolved_configuration = sealed(rules.plan, resolved.as_json(), run.pk)
    if limit and waits:
        run.status_reason = f"It waits for its turn: {limit.stored_words}."
    insert(run)
    # Nobody takes the steps of a local run, or of one that waits.
    steps = list(step_rows(run, resolved, is_held=is_local or waits or not is_prepared))
    insert(*steps)
    _tell_ledgers(run, trigger)
    _tell_audit(run, trigger)
    if trigger.idempotency_key:
        IdempotencyRecord.objects.create(
            user=trigger.actor,
            route=trigger.route,
            key=trigger.idempotency_key,
            body_hash=sealed_hash(rules.plan, body_hash, run.pk, has_other_steps=not asked.is_known),
            run=run,
        )
    if limit is not None and is_skipped:
        recording.skip(run, f"It was not run: {limit.reason_for(run)}")
        return run
    if chosen:
        note(run, chosen)
    if asked.question is not None:
        wait_for(run, asked.question, trigger.moment.isoformat() if trigger.moment else "")
    now = timezone.now()
    if repair and plan:
        ready = _keep(run, steps, repair, plan, now)
    else:
        ready = [recording.ready_step(step) for step in _to_offer(run, steps)]
    if limit is not None:
        _wait(run, ready, limit)
    elif not is_prepared:
        recording.hold_back(ready)
    elif steps:
        recording.offer(run, ready, {}, now)
    else:
        recording.end_empty_run(run)
    return run


def _to_offer(run: PipelineRun, steps: Sequence[StepRun]) -> list[StepRun]:
    """Its first steps. Of a local run no worker takes any; but what they are mapped over may be known."""
    if run.stack.is_remote:
        return [step for step in steps if step.ready_at is not None]
    plan = plan_of(run.deployment_id)
    return [step for step in steps if not step.waits_for and plan.step(step.index).is_mapped]


def _place_of(parent: StepPlace | None) -> dict[str, Any]:
    if parent is None:
        return {}
    return {"parent_step_id": parent.step_id, "root_id": parent.root_id, "depth": parent.depth + 1}


@transaction.atomic
def _start_from_preset(
    version: RunTemplateVersion, preset: str, configuration: Any, trigger: Trigger, body_hash: str
) -> PipelineRun:
    use = use_preset(actor=trigger.actor, template=version.template, name=preset, given=configuration)
    with use.explaining():
        run = _start_run(version.deployment, version, use.values, trigger, body_hash)
    RunEvent.objects.note(run.pk, f'Its values start from the preset "{preset}".')
    return run


def _tell_ledgers(run: PipelineRun, trigger: Trigger) -> None:
    parent = trigger.parent
    if parent is None:
        RunEvent.objects.note(run.pk, f"Accepted from {trigger.words}.")
        return
    name = trigger.actor.get_username()
    RunEvent.objects.note(run.pk, f"Accepted from {_asker(run, parent)}, in the name of {name}.")
    made = f"run {run.name}" if may_be_named_to(run, parent) else "another run"
    RunEvent.objects.note(parent.run_id, f"Step {parent.step_name} started {made}.", parent.step_id)


def _asker(run: PipelineRun, parent: StepPlace) -> str:
    return str(parent) if may_be_named_to(run, parent) else "a step of another run"


def _tell_audit(run: PipelineRun, trigger: Trigger) -> None:
    """That it was started, and from what. Its values stay with the run, which hides the secrets among them."""
    of: dict[str, Any] = {"pipeline": run.pipeline.name, "template": None, "version": None}
    if run.template is not None and run.template_version is not None:
        of |= {"template": run.template.name, "version": run.template_version.number}
    others = {"repairs": run.original.name} if run.original else {}
    if trigger.parent is not None:
        others |= {"started_from": _asker(run, trigger.parent), "parent_run": str(trigger.parent.run_id)}
    verb = AuditVerb.REPAIR if run.original else AuditVerb.START
    record_audit(actor=trigger.actor, verb=verb, thing=run, after=of | others, channel=trigger.channel)


def _plan_to_do(repair: Repair, resolved: ResolvedConfiguration) -> RepairPlan:
    plan = repair.plan(resolved)
    if not plan.again:
        raise ValidationFailed(
            gettext(
                "Nothing would run again: every step of run %(name)s completed, and no value "
                "changed. Choose a step to start from, or change a value."
            )
            % {"name": repair.original.name}
        )
    return plan


def _keep(
    run: PipelineRun, steps: Sequence[StepRun], repair: Repair, plan: RepairPlan, now: datetime
) -> list[ReadyStep]:
    """Say in the ledger what is repaired, end what is kept; the steps that are ready now."""
    name, steps_chosen = repair.original.name, ", ".join(repair.from_steps)
    start = (
        f" from step {steps_chosen}" if steps_chosen else ": what did not complete or has changed runs again"
    )
    RunEvent.objects.note(run.pk, f"Repairs run {name}{start}.")
    outputs = {
        step.id: planned.outputs
        for step, planned in zip(steps, plan.steps, strict=True)
        if not planned.runs_again and not planned.is_skipped
    }
    kept = [recording.ready_step(step) for step in steps if step.id in outputs]
    first = [
        recording.ready_step(step) for step in steps if step.ready_at is not None and step.id not in outputs
    ]
    for step, planned in zip(steps, plan.steps, strict=True):
        if planned.elements is not None or planned.kept_elements:
            recording.keep_elements(run, step, planned.kept_elements, planned.elements, name, now)
    return first + recording.keep_from_original(run, kept, outputs, name, now)


def _exhausted_limit(version: RunTemplateVersion | None, parent: StepPlace | None) -> Limit | None:
    """The limit of a template that has as many runs as it may; its row is held. None: the run may go on."""
    if version is None or version.template.max_concurrent_runs is None:
        return None
    limit = hold_limit(version.template_id)
    if limit is None or limit.free_places() > 0:
        return None
    if limit.policy is ConcurrencyPolicy.CANCEL:
        check_ends_no_ancestor(parent, version.template)
    return limit


def _wait(run: PipelineRun, ready: Sequence[ReadyStep], limit: Limit) -> None:
    """One run too many: it waits for a place, perhaps for the one of an older run."""
    recording.hold_back(ready)
    RunEvent.objects.note(run.pk, f"It waits for its turn: {limit.reason_for(run)}")
    if limit.policy is ConcurrencyPolicy.CANCEL:
        # After this transaction, see there; housekeeping does it where this process dies before.
        transaction.on_commit(partial(recording.make_room, limit.template_id), robust=True)


def step_rows(run: PipelineRun, resolved: ResolvedConfiguration, *, is_held: bool) -> Iterator[StepRun]:
    """The steps of a run, to be written with it; `is_held`: none of them is ready yet."""
    is_local = run.caller_beat is not None
    index_of = {step.spec.name: index for index, step in enumerate(resolved.steps)}
    downstream: dict[str, list[int]] = {name: [] for name in index_of}
    for index, step in enumerate(resolved.steps):
        for name in step.spec.upstream:
            downstream[name].append(index)
    now, parameters = timezone.now(), run.parameters
    for index, step in enumerate(resolved.steps):
        # Steps of the local stack belong to no queue, so that no worker ever takes one.
        queue = "" if is_local else step.settings.get("queue") or run.stack.queue
        yield StepRun(
            run=run,
            index=index,
            name=step.spec.name,
            parameters=parameters[step.spec.name],
            settings=step.settings,
            queue=queue,
            priority=step.settings.get("priority") or 0,
            waits_for=len(step.spec.upstream),
            downstream=downstream[step.spec.name],
            ready_at=None if step.spec.upstream or is_held else now,
            status=ExecutionStatus.INITIALIZING,
        )


def _hash_of(configuration: Any) -> str:
    return hashlib.sha256(json.dumps(configuration or {}, sort_keys=True).encode()).hexdigest()
