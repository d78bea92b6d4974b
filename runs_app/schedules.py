"""What is done with schedules: they are made, changed, deleted, and fired when their time has come."""

import logging
import uuid
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from runs_app import cron as times
from runs_app.choices import check_choices
from runs_app.differences import with_secrets_hidden, without_empty_steps
from runs_app.given_files import check_files
from runs_app.judging import resolve_at
from runs_app.known_errors import refused_of
from runs_app.models import PipelineRun, RunEvent, Schedule, ScheduleFiring
from runs_app.own_parameters import asked_of
from runs_app.permissions import check_can_edit_schedule
from runs_app.plans import plan_of, rules_of
from runs_app.presets import use_preset
from runs_app.sealed import sealed, unsealed_by
from runs_app.services import Trigger, launch_run
from templates_app.models import RunTemplate
from templates_app.names import check_name
from templates_app.permissions import check_can_run, role_on
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_forms.wording import worded
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.models import User
from zenweb.accounts.permissions import check_may_change
from zenweb.enums import AuditVerb, Role, TriggerChannel
from zenweb.exceptions import EntityExists, FieldError, NotAllowed, ValidationFailed, ZenWebError
from zenweb.pointers import pointer_to
from zenweb.sealing import opened

logger = logging.getLogger(__name__)
NO_TEMPLATE = "Its template was deleted. Delete this schedule, and make another for another template."
NO_OWNER = "The account of its owner was deleted. Make the schedule again in the name of somebody else."
UNEXPECTED = "Something went wrong that nobody foresaw ({}). The log of the worker says more."
NO_LONGER_HIDDEN = (
    "This schedule was given a secret here, and for the template's newest version this is none: whoever sees the run"
    " could read it. Give the schedule its values anew."
)
REFUSAL_LIMIT = 2000  # characters
ANOTHER_DAY = timedelta(hours=25)
MOST_FORGOTTEN = 500  # at once
Check = Callable[[], object]


@transaction.atomic
def create_schedule(
    *,
    actor: User,
    template: RunTemplate,
    name: str,
    cron: str,
    zone: str = "UTC",
    configuration: dict[str, Any] | None = None,
    preset: str = "",
    is_paused: bool = False,
) -> Schedule:
    """Have a template run by itself from now on. Raises ValidationFailed with all that is wrong, times and values.

    `preset`: its values as they are now, with the configuration over them, become the schedule's own.
    """
    check_may_change(actor)
    template.version.used_by(check_can_run(actor, template))
    if preset:
        use = use_preset(actor=actor, template=template, name=preset, given=configuration)
        configuration = without_empty_steps(use.values)
    schedule = Schedule(
        project=template.project,
        user=actor,
        template=template,
        name=name,
        cron=_tidy(cron),
        zone=zone,
        is_paused=is_paused,
    )
    _check_name_is_free(schedule)
    values = configuration or {}
    check_values = partial(_check_values, schedule, values, given_by=actor)
    _together(partial(_look_ahead, schedule, timezone.now()), check_values)
    _keep_values(schedule, values)
    schedule.save(force_insert=True)
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=schedule, after=_facts(schedule))
    return schedule


@transaction.atomic
def update_schedule(
    *,
    actor: User,
    schedule: Schedule,
    name: str | None = None,
    cron: str | None = None,
    zone: str | None = None,
    configuration: dict[str, Any] | None = None,
    is_paused: bool | None = None,
) -> Schedule:
    """Change what is given; None leaves a thing as it is. Times that passed while it was paused are not made up for."""
    check_can_edit_schedule(actor, schedule)
    schedule = Schedule.objects.select_for_update(of=("self",)).get(pk=schedule.pk)
    before, facts = (schedule.cron, schedule.zone, schedule.is_paused), _facts(schedule)
    schedule.cron = schedule.cron if cron is None else _tidy(cron)
    schedule.zone = schedule.zone if zone is None else zone
    schedule.is_paused = schedule.is_paused if is_paused is None else is_paused
    if name is not None and name != schedule.name:
        schedule.name = name
        _check_name_is_free(schedule)
    checks = list[Check]()
    if before != (schedule.cron, schedule.zone, schedule.is_paused):
        checks.append(partial(_look_ahead, schedule, timezone.now()))
    if configuration is not None or is_paused is False:
        given_by = None if configuration is None else actor
        checks.append(partial(_check_values, schedule, configuration, given_by=given_by))
    _together(*checks)
    if configuration is not None:
        _keep_values(schedule, configuration)
    schedule.save()
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=schedule, before=facts, after=_facts(schedule))
    return schedule


@transaction.atomic
def delete_schedule(*, actor: User, schedule: Schedule) -> None:
    """Remove a schedule with the record of its firings; the runs it made stay."""
    check_can_edit_schedule(actor, schedule)
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=schedule, before=_facts(schedule))
    schedule.delete()


# -- firing -----------------------------------------------------------------------------------------------------------


def fire_due_schedules() -> None:
    """Launch what is due. One that cannot be launched holds up no other."""
    # In no order: workers then get in each other's way less, and none waits for ever behind one that fails.
    due = Schedule.objects.due(timezone.now()).order_by("?")
    for schedule_id in list(due.values_list("pk", flat=True)):
        try:
            fire_schedule(schedule_id)
        except (OperationalError, InterfaceError):
            raise  # the database is away: whoever asks again in a second finds all as it was
        except Exception:
            logger.exception("Schedule %s could not be fired.", schedule_id)


@transaction.atomic
def fire_schedule(schedule_id: uuid.UUID) -> ScheduleFiring | None:
    """Launch the run of a schedule whose time has come: the one place where a schedule fires.

    Once per time, whoever asks how often: the firing's row is unique and is written in the run's own transaction. Of
    several times that were missed only the last is run. None: there was nothing to do, or somebody else does it.
    """
    now = timezone.now()
    due = Schedule.objects.due(now).select_for_update(of=("self",), skip_locked=True)
    schedule = due.filter(pk=schedule_id).first()
    if schedule is None:
        return None
    try:
        times.check_times(schedule.cron, schedule.zone, now)
    except ValidationFailed as error:
        return _give_up(schedule, str(error))
    nominal_time = schedule.latest_due(now)
    _look_ahead(schedule, now)
    schedule.save(update_fields=["next_time", "looked_ahead_at"])
    if nominal_time is None:
        return None  # a clock was set back
    firing, is_new = ScheduleFiring.objects.get_or_create(schedule=schedule, nominal_time=nominal_time)
    if not is_new:
        return None
    try:
        firing.run = _launch(schedule, nominal_time)
    except ValidationFailed as error:
        steps = read_steps(schedule.template.version.config_schema) if schedule.template else ()
        _note_refusal(firing, " ".join(worded(one, steps) for one in error.errors))
    except ZenWebError as error:
        _note_refusal(firing, str(error))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("The run of schedule %s could not be launched.", schedule.name)
        _note_refusal(firing, UNEXPECTED.format(type(error).__name__))
    firing.save(update_fields=["run", "refusal"])
    return firing


@transaction.atomic
def _launch(schedule: Schedule, nominal_time: datetime) -> PipelineRun:
    if schedule.user is None:
        raise NotAllowed(NO_OWNER)
    if not schedule.user.is_active:
        raise NotAllowed(f"The account of its owner, {schedule.user.get_username()}, is switched off.")
    template = _template_of(schedule)
    local = nominal_time.astimezone(ZoneInfo(schedule.zone))
    launch = launch_run(
        deployment=template.deployment,
        version=template.version,
        configuration=_values_of(schedule, template),
        trigger=Trigger(actor=schedule.user, channel=TriggerChannel.SCHEDULE, moment=local),
    )
    sentence = f'Asked for by the schedule "{schedule.name}" for {local:%Y-%m-%d %H:%M}, {schedule.zone}.'
    RunEvent.objects.note(launch.run.pk, sentence)
    return launch.run


def _give_up(schedule: Schedule, sentence: str) -> ScheduleFiring | None:
    """Its times cannot be worked out here any more, so it rests until somebody changes it."""
    firing, is_new = ScheduleFiring.objects.get_or_create(
        schedule=schedule, nominal_time=schedule.next_time or timezone.now()
    )
    schedule.next_time = None
    schedule.save(update_fields=["next_time"])
    if not is_new:
        return None
    _note_refusal(firing, sentence)
    firing.save(update_fields=["refusal"])
    return firing


def _note_refusal(firing: ScheduleFiring, sentence: str) -> None:
    firing.refusal = sentence[:REFUSAL_LIMIT]
    logger.warning("Schedule %s made no run: %s", firing.schedule.name, firing.refusal)


# -- forgetting -------------------------------------------------------------------------------------------------------


def forget_old_firings() -> int:
    """Remove some of the times that made no run and are long past, oldest first; how many that were.

    A time that made a run is remembered as long as the run, so that no clock can make it come again. The newest of a
    schedule stays as well: it tells how the schedule does.
    """
    if settings.KEEP_FIRINGS is None:
        return 0
    later = ScheduleFiring.objects.filter(
        schedule=OuterRef("schedule"), nominal_time__gt=OuterRef("nominal_time")
    )
    past = ScheduleFiring.objects.filter(run=None, nominal_time__lt=timezone.now() - settings.KEEP_FIRINGS)
    forgotten = past.filter(Exists(later)).order_by("nominal_time").values_list("pk", flat=True)
    # Asked for once more with the deletion: one may have been given its run since.
    return int(past.filter(pk__in=list(forgotten[:MOST_FORGOTTEN])).delete()[0])


# -- checking ---------------------------------------------------------------------------------------------------------


def _together(*checks: Check) -> None:
    """Make all checks; raises ValidationFailed with what each of them found."""
    errors = list[FieldError]()
    for check in checks:
        try:
            check()
        except ValidationFailed as error:
            errors += error.errors
    if errors:
        raise ValidationFailed(errors)


def _look_ahead(schedule: Schedule, now: datetime) -> None:
    """Work out its next time. Raises ValidationFailed for an expression or zone that cannot be understood."""
    times.check_times(schedule.cron, schedule.zone, now)
    schedule.looked_ahead_at = now
    schedule.next_time = None
    if not schedule.is_paused:
        schedule.next_time = next(times.times_after(schedule.cron, schedule.zone, now), None)


def _keep_values(schedule: Schedule, configuration: dict[str, Any]) -> None:
    asked = asked_of(_template_of(schedule).version, configuration)
    plan = rules_of(asked.runnable).plan
    schedule.configuration = sealed(plan, configuration, schedule.pk, has_other_steps=not asked.is_known)


def _values_of(schedule: Schedule, template: RunTemplate) -> dict[str, Any]:
    """What it runs with. Raises SecretUnreadable, and ValidationFailed where a run would keep a secret in clear."""
    plan = plan_of(template.version.deployment_id)
    # Of steps that only other parameters of the pipeline make, all texts are sealed until these are known.
    known = {step.name for step in plan.spec.steps}
    places = [place for place in unsealed_by(plan.config_schema, schedule.configuration) if place[1] in known]
    if places:
        raise ValidationFailed([FieldError(pointer_to(place), NO_LONGER_HIDDEN) for place in places])
    values: dict[str, Any] = opened(schedule.configuration, schedule.pk)
    return values


def refused_of_schedule(schedule: Schedule, template: RunTemplate) -> list[FieldError]:
    """What a run that it makes now would be refused with. Raises SecretUnreadable."""
    role = role_on(schedule.user, template) if schedule.user is not None else Role.NOBODY
    try:
        values = _values_of(schedule, template)
    except ValidationFailed as error:
        return list(error.errors)
    return refused_of(copy(template.version).used_by(role), values)


def _check_values(schedule: Schedule, configuration: dict[str, Any] | None, *, given_by: User | None) -> None:
    """Its values, or those that it is to get, must do for its template's newest version, and for more than one run.

    It runs in its owner's name, so who gives it values may give those that both of them may run with.
    """
    template = _template_of(schedule)
    people = [user for user in (schedule.user, given_by) if user is not None]
    version = template.version.used_by(min((role_on(user, template) for user in people), default=Role.NOBODY))
    now = timezone.now()
    try:
        values = _values_of(schedule, template) if configuration is None else configuration
        # What a pattern makes of another day and another hour.
        asked = asked_of(version, values)
        first, later = (resolve_at(asked, moment) for moment in (now, now + ANOTHER_DAY))
        _together(
            partial(_check_names_differ, first.run_name, later.run_name),
            partial(check_choices, asked.runnable, first),
            *(partial(check_files, actor=user, runnable=asked.runnable, resolved=first) for user in people),
        )
    except ValidationFailed as error:
        raise ValidationFailed(
            [FieldError(f"/configuration{field.pointer}", field.message) for field in error.errors]
        ) from error


def _check_names_differ(first: str, later: str) -> None:
    if first == later:
        sentence = (
            f"Every run of this schedule would be called {first!r}, and a name is given once. "
            "Put {date} and {time} into run_name, or leave it out."
        )
        raise ValidationFailed([FieldError("/run_name", sentence)])


def _template_of(schedule: Schedule) -> RunTemplate:
    """The template with what a launch needs of it."""
    found = RunTemplate.objects.with_relations().filter(pk=schedule.template_id).first()
    if found is None:
        raise ValidationFailed(NO_TEMPLATE)
    template = cast(RunTemplate, found)
    template.version.template = template
    return template


def _check_name_is_free(schedule: Schedule) -> None:
    check_name(schedule.name)
    others = Schedule.objects.filter(project=schedule.project_id, name=schedule.name).exclude(pk=schedule.pk)
    if others.exists():
        raise EntityExists(f"A schedule called {schedule.name!r} already exists. Choose another name.")


def _facts(schedule: Schedule) -> dict[str, Any]:
    """For the audit: without the secrets that it runs with. What is one, nobody can tell once its template is gone."""
    template = RunTemplate.objects.with_relations().filter(pk=schedule.template_id).first()
    if template is None:
        return facts_of(schedule)
    schema = template.version.deployment.config_schema
    return facts_of(schedule) | {"configuration": with_secrets_hidden(schema, schedule.configuration)}


def _tidy(cron: str) -> str:
    return " ".join(cron.split())
