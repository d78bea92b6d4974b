"""What the form of a template starts from: an earlier run, a preset, its address, each over the one before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext

from runs_app.differences import of_steps
from runs_app.links import read_link
from runs_app.models import PipelineRun, RunChoice, RunCompilation, StepRun
from runs_app.own_parameters import own_names, put_together
from runs_app.presets import LAST_GOOD, last_good_run, preset_values
from runs_app.repair import known_parameters, path_of, starting_values
from runs_app.run_configuration import Configuration, without_unset
from templates_app.models import RunTemplate
from templates_app.schema_forms.schemas import humanise, read_steps
from templates_app.schema_forms.wording import shortened
from templates_app.schema_places import schemas_at
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import DoesNotExist, FieldError
from zenweb.pointers import pointer_to
from zenweb.sealing import is_sealed


@dataclass(frozen=True)
class Start:
    """Where a form starts."""

    configuration: Configuration = field(default_factory=dict)
    preset: str = ""
    run: PipelineRun | None = None
    """The one that is run again: the form tells what differs from it."""
    notes: list[str] = field(default_factory=list)
    """What of this could not be had, in sentences."""

    @property
    def query(self) -> str:
        """The part of the address that a form keeps when it is sent: what it shows by then are values of its own."""
        named = {"from": str(self.run.pk) if self.run else "", "preset": self.preset}
        query = urlencode({name: value for name, value in named.items() if value})
        return f"?{query}" if query else ""

    @property
    def is_plain(self) -> bool:
        return not (self.preset or self.run or self.configuration)


def start_of(actor: User, template: RunTemplate, query: Mapping[str, str]) -> Start:
    """What `?from=RUN&preset=NAME&steps.trainer.parameters.rate=0.1` says."""
    run = _run_named(actor, template, query.get("from", ""))
    values = _known_values(run, template) if run else {}
    notes = list(_left_over(run, template)) if run else []
    if (named := query.get("from", "")) and run is None:
        words = gettext("This template has no run “%(name)s”, so nothing was taken from it.")
        notes.append(words % {"name": shortened(named)})
    preset = query.get("preset", "")
    if preset:
        try:
            values = preset_values(actor, template, preset, with_fixed=True)
        except DoesNotExist as error:
            preset = ""
            notes.append(str(error))
    if preset == LAST_GOOD and (good := last_good_run(actor, template)):
        notes += _left_over(good, template)
    schema = template.version.config_schema
    linked = read_link(schema, query)
    start = linked.over(values)
    return Start(start, preset, run, [*notes, *linked.notes])


def values_to_repeat(run: PipelineRun, config_schema: Configuration) -> Configuration:
    """What a run was asked for and ran with, as far as the newest version knows it: not its name, which is taken."""
    known = known_parameters(config_schema, run)
    start = starting_values(run, known)
    steps = {name: section for name, section in start["steps"].items() if name in known}
    for name, section in steps.items():
        given = section.get("parameters", {})
        kept = {key: value for key, value in given.items() if key in known[name]}
        steps[name] = {**section, "parameters": kept}
    return {**start, "steps": steps}


def blamed_parameters(run: PipelineRun, config_schema: Configuration) -> list[FieldError]:
    """The parameters that the steps of a failed run say were wrong, at their places in the form of today."""
    known = {
        (step.name, parameter.name) for step in read_steps(config_schema) for parameter in step.parameters
    }
    failed = StepRun.objects.filter(run=run, status=ExecutionStatus.FAILED, exception__isnull=False)
    found = []
    for name, exception in failed.order_by("index").values_list("name", "exception"):
        parameter, *rest = str(exception.get("parameter") or "").split(".")
        path = ["steps", name, "parameters", parameter, *rest]
        if (name, parameter) in known and schemas_at(config_schema, path):
            message = str(exception["message"]).removeprefix(f"{exception['parameter']}: ")
            pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
            found.append(
                FieldError(
                    pointer,
                    gettext("Run %(number)s failed with this value: %(reason)s")
                    % {"number": run.index, "reason": _sentence(message)},
                )
            )
    found += _refused_when_compiled(run, config_schema)
    return found + [error for error in _refused_choices(run) if tuple(path_of(error)[1::2]) in known]


def _refused_when_compiled(run: PipelineRun, config_schema: Configuration) -> Iterator[FieldError]:
    errors = RunCompilation.objects.filter(run=run).values_list("errors", flat=True).first() or []
    words = gettext("Run %(number)s could not start with this value: %(reason)s")
    for pointer, message in errors:
        if schemas_at(config_schema, path_of(FieldError(pointer, ""))):
            yield FieldError(pointer, words % {"number": run.index, "reason": _sentence(message)})


def _refused_choices(run: PipelineRun) -> Iterator[FieldError]:
    for choice in RunChoice.objects.filter(run=run).exclude(refusal=""):
        words = gettext("Run %(number)s could not have this value checked: %(reason)s")
        if choice.offered:
            words = gettext("Run %(number)s failed with this value: %(reason)s")
        message = choice.refusal.removeprefix(f"{choice.parameter}: ")
        pointer = pointer_to(["steps", choice.step, "parameters", choice.parameter])
        yield FieldError(pointer, words % {"number": run.index, "reason": message})


def _known_values(run: PipelineRun, template: RunTemplate) -> Configuration:
    """What a run ran with, as far as the newest version asks for it: the rest would be refused, and may be secret."""
    version = put_together(template.version, run.own_parameters)
    known = known_parameters(version.config_schema, run)
    steps = run.parameters or _asked_of_steps(run)
    kept = of_steps(
        {
            step: {name: value for name, value in values.items() if name in known[step]}
            for step, values in steps.items()
            if step in known
        }
    )
    names = own_names(version.config_schema)
    own = {name: value for name, value in run.own_parameters.items() if name in names}
    return {**kept, **({"parameters": own} if own else {})}


def _asked_of_steps(run: PipelineRun) -> dict[str, dict[str, Any]]:
    """Of a run that never had steps; what it asked for of steps that nobody knows may be secret, and is sealed."""
    steps = without_unset(run.configuration or {}).get("steps", {})
    return {
        name: {key: value for key, value in section.get("parameters", {}).items() if not is_sealed(value)}
        for name, section in steps.items()
    }


def _left_over(run: PipelineRun, template: RunTemplate) -> Iterator[str]:
    version = put_together(template.version, run.own_parameters)
    known = known_parameters(version.config_schema, run)
    gone = [
        f"“{humanise(name)}” ({humanise(step)})"
        for step, values in run.parameters.items()
        for name in values
        if name not in known.get(step, ())
    ]
    if gone:
        yield (
            gettext("Run %(index)s had values that version %(number)s has no field for: %(names)s.")
            % {"index": run.index, "number": template.version.number, "names": ", ".join(gone)}
        )


def _run_named(actor: User, template: RunTemplate, text: str) -> PipelineRun | None:
    try:
        run_id = UUID(text)
    except ValueError:
        return None
    found: PipelineRun | None = (
        PipelineRun.objects.visible_to(actor)
        .showing_values_to(actor)
        .filter(template=template, pk=run_id)
        .first()
    )
    return found


def _sentence(message: str) -> str:
    return message if message.endswith((".", "!", "?")) else f"{message}."
