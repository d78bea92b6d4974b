"""Whether this version of ZenWeb, on this server, runs a template: asked before an upgrade and after it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from pydantic import ValidationError

from runs_app import waiting
from runs_app.models import Environment, Schedule
from runs_app.presets import problems_of_each
from runs_app.schedules import refused_of_schedule
from templates_app.curation import read_curation
from templates_app.curation_fit import misfits
from templates_app.models import CodeArchive, PipelineDeployment, Preset, RunTemplate, RunTemplateVersion
from templates_app.schema_forms.configuration_form import ConfigurationForm
from templates_app.schema_validation import check_schema
from zenweb.accounts.models import User
from zenweb.config.code_archive import check_archive
from zenweb.config.spec import PipelineSpec
from zenweb.enums import EnvironmentStatus
from zenweb.exceptions import FieldError, SecretUnreadable, ZenWebError

MOST_KEPT = 1000  # presets, and schedules, of one template
MOST_TOLD = 20  # that do not fit
MOST_ENVIRONMENTS = 200  # that are looked through, the newest first


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It runs, or may run, and somebody should know."""
    FAILED = "failed"


class Part(StrEnum):
    """What is looked at, in this order."""

    SPEC = "spec"
    SCHEMA = "schema"
    FORM = "form"
    CODE = "code"
    PYTHON = "python"
    REQUIREMENTS = "requirements"
    STACK = "stack"
    QUEUE = "queue"
    PRESETS = "presets"
    SCHEDULES = "schedules"


ASK_FOR_ALL = {Part.FORM, Part.QUEUE, Part.PRESETS, Part.SCHEDULES}
"""These need the spec, the schema and the form."""


@dataclass(frozen=True)
class Finding:
    part: Part
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Report:
    """How it stands with a template's newest version."""

    template: RunTemplate
    findings: Sequence[Finding]

    @property
    def runs(self) -> bool:
        return all(finding.verdict is not Verdict.FAILED for finding in self.findings)


Found = Iterator[tuple[Verdict, str]]


def check_template(template: RunTemplate, actor: User | None = None) -> Report:
    """Look at all that a run of it needs. `actor`: who is told, and may not know all of others; None: the server."""
    version = template.version
    version.template = template
    checks: dict[Part, Callable[[], Found]] = {
        Part.SPEC: lambda: _spec(version.deployment),
        Part.SCHEMA: lambda: _schema(version),
        Part.FORM: lambda: _form(version),
        Part.CODE: lambda: _code(version.deployment),
        Part.PYTHON: lambda: _python(version.deployment),
        Part.REQUIREMENTS: lambda: _requirements(version.deployment),
        Part.STACK: lambda: _stack(version.deployment),
        Part.QUEUE: lambda: _queue(version.deployment),
        Part.PRESETS: lambda: _presets(template, actor),
        Part.SCHEDULES: lambda: _schedules(template, actor),
    }
    findings: list[Finding] = []
    is_readable = True
    for part, check in checks.items():
        if not is_readable and part in ASK_FOR_ALL:
            continue  # they would only say the same in other words
        found = list(check()) or [(Verdict.OK, "")]
        findings += [Finding(part, verdict, sentence) for verdict, sentence in found]
        if part in {Part.SPEC, Part.SCHEMA, Part.FORM}:
            is_readable = is_readable and all(verdict is not Verdict.FAILED for verdict, _ in found)
    return Report(template, findings)


def _spec(deployment: PipelineDeployment) -> Found:
    """Its steps, in words of a version that is known here."""
    try:
        PipelineSpec.model_validate(deployment.spec)
    except ValidationError as error:
        for entry in error.errors()[:MOST_TOLD]:
            place = "/".join(map(str, entry["loc"]))
            yield Verdict.FAILED, f"{place}: {entry['msg'].removeprefix('Value error, ')}"


def _schema(version: RunTemplateVersion) -> Found:
    """What it may be given, in words that the validator knows."""
    try:
        check_schema(version.deployment.config_schema)
    except ZenWebError as error:
        yield Verdict.FAILED, str(error)


def _form(version: RunTemplateVersion) -> Found:
    """What its owner said of the form, and the form itself."""
    try:
        curation = read_curation(version.curation)
        for misfit in list(misfits(version.deployment.config_schema, curation))[:MOST_TOLD]:
            verdict = Verdict.FAILED if misfit.is_restriction else Verdict.WARNING
            yield verdict, misfit.sentence
        check_schema(version.config_schema)
        ConfigurationForm(version.config_schema, validate=lambda *_: [])
    except (ZenWebError, ValueError, TypeError, LookupError) as error:
        yield Verdict.FAILED, gettext("The form cannot be made: %(problem)s") % {"problem": error}


def _code(deployment: PipelineDeployment) -> Found:
    """There, whole, and what its hash says."""
    archive = CodeArchive.objects.filter(pk=deployment.code_archive_id).first()
    if archive is None:
        yield Verdict.FAILED, gettext("Its code is gone.")
        return
    try:
        check_archive(bytes(archive.content), sha256=archive.sha256, limit=settings.CODE_ARCHIVE_LIMIT)
    except ZenWebError as error:
        yield Verdict.FAILED, str(error)


def _python(deployment: PipelineDeployment) -> Found:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if deployment.python_version != here:
        sentence = gettext(
            "It was frozen under Python %(frozen)s, and this server has %(here)s: its code and its packages have to "
            "work there."
        )
        yield Verdict.WARNING, sentence % {"frozen": deployment.python_version, "here": here}


def _requirements(deployment: PipelineDeployment) -> Found:
    """What is known of the environment that its packages make."""
    needed = set(deployment.requirements)
    if not needed:
        return
    newest = Environment.objects.order_by("-used_at").defer("log_tail")[:MOST_ENVIRONMENTS]
    known = [each for each in newest if set(each.requirements) == needed]
    if not known:
        sentence = gettext("Its packages were never installed here: its first run does that.")
        yield Verdict.WARNING, sentence
    elif all(each.status == EnvironmentStatus.FAILED for each in known):
        sentence = gettext("Its packages could not be installed. The page of its last run says why.")
        yield Verdict.FAILED, sentence


def _stack(deployment: PipelineDeployment) -> Found:
    if not deployment.stack.is_remote:
        sentence = gettext("The stack %(name)r runs nothing on workers any more.")
        yield Verdict.FAILED, sentence % {"name": deployment.stack.name}


def _queue(deployment: PipelineDeployment) -> Found:
    """Whether somebody works where its steps would wait."""
    spec = PipelineSpec.model_validate(deployment.spec)
    default = deployment.stack.queue
    for sentence in waiting.unserved_sentences(
        {step.settings.queue or default for step in spec.steps}
    ).values():
        yield Verdict.FAILED, sentence


def _presets(template: RunTemplate, actor: User | None) -> Found:
    presets = Preset.objects.filter(template=template) if actor is None else _visible(Preset, template, actor)
    found = list(presets.to_judge()[:MOST_KEPT])
    for preset in found:
        preset.template = template
    problems_by_preset = problems_of_each(found)
    for preset in found:
        if problems := problems_by_preset[preset.pk]:
            yield Verdict.FAILED, _misfit(gettext("the preset %(name)r"), preset.name, problems)


def _schedules(template: RunTemplate, actor: User | None) -> Found:
    schedules = Schedule.objects.filter(template=template)
    if actor is not None:
        schedules = _visible(Schedule, template, actor).with_values_shown_to(actor)
    for schedule in schedules.select_related("user")[:MOST_KEPT]:
        verdict = Verdict.WARNING if schedule.is_paused else Verdict.FAILED
        words = gettext("the schedule %(name)r")
        try:
            problems = refused_of_schedule(schedule, template)
        except SecretUnreadable as error:
            yield verdict, f"{words % {'name': schedule.name}}: {error}"
            continue
        if problems:
            is_shown = actor is None or schedule.shows_values
            yield verdict, _misfit(words, schedule.name, problems if is_shown else [])


def _visible(model: Any, template: RunTemplate, actor: User) -> Any:
    return model.objects.visible_to(actor).filter(template=template)


def _misfit(words: str, name: str, problems: Sequence[FieldError]) -> str:
    thing = words % {"name": name}
    if not problems:
        return gettext("%(thing)s does not fit any more.") % {"thing": thing}
    told = "; ".join(map(str, problems[:3]))
    return gettext("%(thing)s does not fit: %(problems)s") % {"thing": thing, "problems": told}
