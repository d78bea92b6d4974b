"""Lets runs go on whose pipeline has been put together with their own parameters, or ends them with what was wrong."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from runs_app import choices, recording, settling, statements
from runs_app.choices import ask_before, check_choices
from runs_app.compilations import failures_of
from runs_app.given_files import check_artifacts, check_files
from runs_app.judging import resolve_at
from runs_app.models import PipelineRun, Preparation, RunCompilation, RunEvent
from runs_app.own_parameters import Asked, asked_to_run
from runs_app.plans import Runnable, deployment_of, rules_of
from runs_app.preparations import ask
from runs_app.run_configuration import ResolvedConfiguration
from runs_app.sealed import sealed
from runs_app.services import step_rows
from templates_app.permissions import role_on
from zenweb.accounts.models import User
from zenweb.enums import PreparationStatus
from zenweb.exceptions import FieldError, SecretUnreadable, ValidationFailed
from zenweb.prepared import insert
from zenweb.sealing import opened

MOST_TOLD = 5  # errors in the reason of a run


def settle_all() -> None:
    """Go on with the runs whose pipeline is known by now; any number may do so at once."""
    settling.settle_all(RunCompilation.objects.all(), _settle)


@transaction.atomic
def _settle(pk: int, run_id: UUID) -> None:
    statements.lock_run(run_id)
    row = RunCompilation.objects.to_settle().filter(pk=pk).select_related("preparation").first()
    if row is None:
        return
    run = PipelineRun.objects.select_related(
        "stack", "user", "deployment__stack", "deployment__pipeline", "template_version__template"
    ).get(pk=run_id)
    if not run.is_finished:
        try:
            if not _go_on(run, row):
                return
        except (ValidationFailed, SecretUnreadable) as error:
            _refuse(run, row, error)
    row.is_open = False
    row.save(update_fields=["is_open", "errors"])


def _go_on(run: PipelineRun, row: RunCompilation) -> bool:
    """Give it its steps; False: it has to wait on. Raises ValidationFailed and SecretUnreadable."""
    if run.user is None:
        raise ValidationFailed(gettext("Who started this run has no account any more."))
    configuration = opened(run.configuration, run.pk)
    asked = asked_to_run(_runnable(run, run.user), configuration)
    if asked.question is not None:
        if _has_failed(row.preparation):
            raise ValidationFailed(failures_of(row.preparation))  # type: ignore[arg-type]  # it is there
        row.preparation = ask(asked.question, again=True, for_run=True)  # what it waited for was removed
        row.save(update_fields=["preparation"])
        return False
    moment = datetime.fromisoformat(row.moment) if row.moment else None
    resolved = _resolved(run, run.user, asked, moment)
    _make_steps(run, asked.runnable, resolved)
    return True


def _resolved(run: PipelineRun, actor: User, asked: Asked, moment: datetime | None) -> ResolvedConfiguration:
    """As when it was accepted, by the rules of its pipeline as it is now; its name it has already."""
    named = Asked(asked.runnable, {**asked.configuration, "run_name": run.name})
    resolved = resolve_at(named, timezone.now(), moment)
    check_files(actor=actor, runnable=asked.runnable, resolved=resolved)
    check_artifacts(actor=actor, resolved=resolved)
    check_choices(asked.runnable, resolved)
    return resolved


def _make_steps(run: PipelineRun, runnable: Runnable, resolved: ResolvedConfiguration) -> None:
    rules = rules_of(runnable)
    chosen = ask_before(runnable, resolved)
    run.configuration = sealed(rules.plan, opened(run.configuration, run.pk), run.pk)
    run.deployment = deployment_of(runnable)
    run.resolved_configuration = sealed(rules.plan, resolved.as_json(), run.pk)
    run.tags, run.warnings, run.timeout = resolved.tags, resolved.warnings, resolved.timeout
    run.execution_mode = resolved.execution_mode
    run.priority = max((step.settings.get("priority") or 0 for step in resolved.steps), default=0)
    is_prepared = not any(choice.is_open for choice in chosen)
    if not is_prepared and run.queued_at is None:
        run.status_reason = recording.PREPARING
    run.save(
        update_fields=[
            *("configuration", "deployment", "resolved_configuration", "tags", "warnings", "timeout"),
            *("execution_mode", "priority", "status_reason", "updated"),
        ]
    )
    insert(*step_rows(run, resolved, is_held=True))
    RunEvent.objects.note(run.pk, f"The pipeline was put together: {len(resolved.steps)} steps.")
    if chosen:
        choices.note(run, chosen)
    if is_prepared:
        recording.let_go(run)


def _refuse(run: PipelineRun, row: RunCompilation, error: ValidationFailed | SecretUnreadable) -> None:
    errors = error.errors if isinstance(error, ValidationFailed) else [FieldError("", str(error))]
    row.errors = [[each.pointer, each.message] for each in errors]
    told = [str(each) for each in errors[:MOST_TOLD]]
    if len(errors) > MOST_TOLD:
        told.append(gettext("And more."))
    reason = " ".join(told)
    RunEvent.objects.note(run.pk, reason)
    recording.refuse_whole(run, reason)


def _runnable(run: PipelineRun, actor: User) -> Runnable:
    """What it was accepted for."""
    version = run.template_version
    if version is None:
        return run.deployment
    return version.running(run.deployment).used_by(role_on(actor, version.template))


def _has_failed(asked: Preparation | None) -> bool:
    return asked is not None and asked.status == PreparationStatus.FAILED
