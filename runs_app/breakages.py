"""Whom a newer version of a template breaks: presets, schedules and recent callers whose values it refuses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runs_app.known_errors import refused_of
from runs_app.models import PipelineRun, Schedule
from runs_app.own_parameters import Answers, known_among
from runs_app.plans import rules_of
from templates_app.contract import Contract, ContractChange, contract_changes
from templates_app.models import Preset, RunTemplate, RunTemplateVersion
from zenweb.accounts.models import User
from zenweb.exceptions import FieldError, SecretUnreadable
from zenweb.sealing import opened

MOST_RUNS = 200  # the newest ones that are looked at
MOST_KEPT = 1000  # presets, and schedules
MOST_ERRORS = 20  # that are told of one


@dataclass(frozen=True)
class Breakage:
    """Values that the version before takes and the one now refuses. Of runs, all that one caller started one way."""

    kind: Literal["preset", "schedule", "runs"]
    name: str
    """Of the preset or schedule; of runs, the newest one's."""
    user: str
    channel: str
    count: int
    errors: tuple[FieldError, ...]


@dataclass(frozen=True)
class Comparison:
    """What a version takes back of what another one promised, and whom that breaks."""

    before: int
    now: int
    changes: list[ContractChange]
    broken: list[Breakage]


def compare_versions(actor: User, before: RunTemplateVersion, now: RunTemplateVersion) -> Comparison:
    """Of two versions of a template that the actor may see. Values that they may not see are judged, and not told."""
    changes = contract_changes(_contract(before), _contract(now))
    is_broken = any(change.breaks for change in changes)
    return Comparison(
        before.number,
        now.number,
        changes,
        list(_broken(actor, now.template, before, now)) if is_broken else [],
    )


def _contract(version: RunTemplateVersion) -> Contract:
    rules = rules_of(version)
    return Contract(rules.config_schema, rules.plan.spec.model_dump(mode="json"))


def _broken(
    actor: User, template: RunTemplate, before: RunTemplateVersion, now: RunTemplateVersion
) -> Iterator[Breakage]:
    presets = Preset.objects.visible_to(actor).filter(template=template).select_related("user")
    kept = [(preset, preset.configuration) for preset in presets[:MOST_KEPT]]
    among = _known(kept, before, now)
    for preset, configuration in kept:
        if errors := _newly_refused(configuration, before, now, among):
            yield Breakage("preset", preset.name, _name(preset.user), "", 1, errors)
    schedules = Schedule.objects.visible_to(actor).with_values_shown_to(actor).filter(template=template)
    scheduled = [(schedule, _opened(schedule)) for schedule in schedules.select_related("user")[:MOST_KEPT]]
    among = _known(scheduled, before, now)
    for schedule, configuration in scheduled:
        if errors := _newly_refused(configuration, before, now, among):
            yield Breakage(
                "schedule",
                schedule.name,
                _name(schedule.user),
                "",
                1,
                errors if schedule.shows_values else (),
            )
    yield from _broken_callers(actor, template, before, now)


def _broken_callers(
    actor: User, template: RunTemplate, before: RunTemplateVersion, now: RunTemplateVersion
) -> Iterator[Breakage]:
    runs = PipelineRun.objects.visible_to(actor).with_values_shown_to(actor).filter(template=template)
    callers: dict[tuple[str, str], Breakage] = {}
    newest = runs.select_related("user").defer("resolved_configuration").order_by("-created")
    asked = [(run, _opened(run)) for run in newest[:MOST_RUNS]]
    among = _known(asked, before, now)
    for run, configuration in asked:
        if errors := _newly_refused(configuration, before, now, among):
            key = (_name(run.user), run.channel)
            former = callers.get(key)
            told = errors if run.shows_values else ()
            callers[key] = Breakage(
                "runs",
                former.name if former else run.name,
                *key,
                former.count + 1 if former else 1,
                tuple(dict.fromkeys([*(former.errors if former else ()), *told]))[:MOST_ERRORS],
            )
    yield from callers.values()


def _known(kept: Iterable[tuple[Any, Any]], before: RunTemplateVersion, now: RunTemplateVersion) -> Answers:
    configurations = [configuration for _, configuration in kept]
    return known_among((version, values) for version in (before, now) for values in configurations)


def _newly_refused(
    configuration: Any, before: RunTemplateVersion, now: RunTemplateVersion, among: Answers
) -> tuple[FieldError, ...]:
    """What is wrong with it now and was not. What is missing was given another way before."""
    if not isinstance(configuration, Mapping):
        return ()
    errors = refused_of(now, dict(configuration), among)
    if not errors:
        return ()
    known = {error.pointer for error in refused_of(before, dict(configuration), among)}
    return tuple(error for error in errors if error.pointer not in known)[:MOST_ERRORS]


def _opened(kept: PipelineRun | Schedule) -> Any:
    try:
        return opened(kept.configuration, kept.pk)
    except SecretUnreadable:
        return None  # nobody can run it again as it is


def _name(user: User | None) -> str:
    return user.get_username() if user is not None else ""
