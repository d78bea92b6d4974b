"""What a configuration comes to: resolved and checked in one way, whether a run is made of it or it is only judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from runs_app import statements
from runs_app.choices import check_choices, find_refused
from runs_app.compilations import compile_now, not_asked
from runs_app.given_files import check_artifacts, check_files
from runs_app.hooks import without_hooks
from runs_app.own_parameters import Asked, asked_of
from runs_app.plans import Runnable, deployment_of
from runs_app.presets import use_preset
from runs_app.run_configuration import ResolvedConfiguration, resolve, resolve_without_steps
from templates_app.models import RunTemplateVersion, Stack
from templates_app.permissions import check_can_run, check_may_run_deployment, check_may_see
from templates_app.services import DeploymentRequest, create_deployment, make_stand_in, usable_archive
from zenweb.accounts.models import Project, User
from zenweb.exceptions import DoesNotExist, EntityExists, FieldError, ValidationFailed

WAIT = 3.0  # seconds, for what workers are asked where somebody waits for the answer


@dataclass(frozen=True)
class Judgement:
    """Everything that is wrong with a configuration, or what it comes to."""

    errors: list[FieldError]
    resolved: ResolvedConfiguration | None = None
    runnable: Runnable | None = None
    """What it is a configuration of: another than was asked about where the pipeline's own parameters changed."""
    unchecked: Sequence[FieldError] = ()
    """What workers would have to be asked about first, each with the sentence why it is not known."""

    @property
    def warnings(self) -> list[str]:
        return warnings_of(self.resolved, self.unchecked) if self.resolved else []


def warnings_of(resolved: ResolvedConfiguration, unchecked: Iterable[FieldError]) -> list[str]:
    """All that is told with a configuration that may be run."""
    words = gettext("%(place)s: not checked yet: %(sentence)s")
    return [
        *resolved.warnings,
        *(words % {"place": each.pointer, "sentence": each.message} for each in unchecked),
    ]


def judge(
    *,
    actor: User,
    runnable: Runnable,
    configuration: Any,
    preset: str = "",
    wait: float | None = None,
) -> Judgement:
    """What running this would answer; nothing is made. `wait`: seconds that workers have for what they are asked.

    `preset`: the name of one of a template's; a deployment has none.
    """
    if isinstance(runnable, RunTemplateVersion):
        check_may_see(actor, runnable.template)
    values = configuration
    try:
        if not isinstance(runnable, RunTemplateVersion):
            check_may_run_deployment(actor, runnable)
            return _resolve_and_ask(actor, runnable, configuration, wait)
        runnable.used_by(check_can_run(actor, runnable.template))
        if not preset:
            return _resolve_and_ask(actor, runnable, configuration, wait)
        use = use_preset(actor=actor, template=runnable.template, name=preset, given=configuration)
        values = use.values
        with use.explaining():
            return _resolve_and_ask(actor, runnable, values, wait)
    except ValidationFailed as error:
        return Judgement(error.errors, runnable=_as_known(runnable, values))
    except EntityExists as error:
        return Judgement([FieldError("/run_name", str(error))])
    except DoesNotExist as error:
        return Judgement([FieldError("/preset", str(error))])


def judge_unfrozen(
    *,
    actor: User,
    project: Project,
    stack: Stack,
    code_sha256: str,
    request: DeploymentRequest,
    configuration: Any,
) -> Judgement:
    """What freezing a pipeline and running it with these values would answer: both are done, and taken back.

    Nobody is asked what may be chosen, for nobody has its code; and hooks are looked for in it when it is there and the
    actor may use it. Raises ValidationFailed for what cannot be frozen.
    """
    with transaction.atomic():
        archive = usable_archive(actor, code_sha256)
        if archive is None:
            archive, configuration = make_stand_in(), without_hooks(configuration)
        deployment = create_deployment(
            actor=actor, project=project, stack=stack, code_archive=archive, request=request
        )
        judgement = judge(actor=actor, runnable=deployment, configuration=configuration)
        transaction.set_rollback(True)
    return judgement


def resolve_to_run(actor: User, asked: Asked, moment: datetime | None = None) -> ResolvedConfiguration:
    """What would run, for somebody; without steps where these are not known yet.

    Raises ValidationFailed, and EntityExists for a run name that is taken. `moment`: what the run is for, if that is
    not now.
    """
    resolved = _resolve_with_free_name(asked, moment)
    check_files(actor=actor, runnable=asked.runnable, resolved=resolved)
    check_artifacts(actor=actor, resolved=resolved)
    return resolved


def resolve_at(asked: Asked, now: datetime, moment: datetime | None = None) -> ResolvedConfiguration:
    """What a configuration comes to. Raises ValidationFailed."""
    if not asked.is_known:
        return resolve_without_steps(asked.runnable, asked.configuration, now)
    try:
        return resolve(asked.runnable, asked.configuration, now, moment)
    except ValidationFailed as error:  # all that is wrong is told at once, so far as it is known
        refused = find_refused(asked.runnable, asked.configuration)
        raise ValidationFailed([*error.errors, *refused]) from error


def _resolve_and_ask(actor: User, runnable: Runnable, configuration: Any, wait: float | None) -> Judgement:
    asked = asked_of(runnable, configuration)
    resolved = resolve_to_run(actor, asked)
    if asked.question is not None:
        unknown = not_asked(asked.question) if wait is None else compile_now(asked.question, wait)
        if unknown is not None:
            return Judgement([], resolved, asked.runnable, [unknown])
        asked = asked_of(runnable, configuration)
        resolved = resolve_to_run(actor, asked)
    return Judgement([], resolved, asked.runnable, check_choices(asked.runnable, resolved, wait=wait))


def _as_known(runnable: Runnable, configuration: Any) -> Runnable:
    """What it is with the pipeline's own parameters in a configuration, which is wrong otherwise."""
    try:
        return asked_of(runnable, configuration).runnable
    except ValidationFailed:
        return runnable


def _resolve_with_free_name(asked: Asked, moment: datetime | None) -> ResolvedConfiguration:
    """Resolve; a name made from the time moves on by microseconds until it is free."""
    now = timezone.now()
    resolved = resolve_at(asked, now, moment)
    while statements.is_run_name_taken(deployment_of(asked.runnable).project_id, resolved.run_name):
        now += timedelta(microseconds=1)
        moved = resolve_at(asked, now, moment)
        if moved.run_name == resolved.run_name:
            raise EntityExists(
                gettext(
                    "A run called %(run_name)r already exists. Choose another run_name, or put {date} "
                    "and {time} into it."
                )
                % {"run_name": resolved.run_name}
            )
        resolved = moved
    return resolved
