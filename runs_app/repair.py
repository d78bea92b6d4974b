"""What a repair of a finished run runs again, what it keeps, and which values it starts from."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from runs_app import statements
from runs_app.models import PipelineRun, StepRun
from runs_app.own_parameters import asked_of
from runs_app.permissions import check_may_see_values
from runs_app.plans import Runnable, plan_of, rules_of
from runs_app.run_configuration import (
    Configuration,
    ResolvedConfiguration,
    ResolvedStep,
    resolve,
    validate,
    without_unset,
)
from runs_app.sealed import unsealed_by
from templates_app.curated_schema import curate, parameters_of, with_parameter
from templates_app.curation import ElementsCuration, read_curation
from templates_app.curation_fit import carry_over
from templates_app.derived_curation import with_other_parameters
from templates_app.models import PipelineDeployment, RunTemplateVersion
from templates_app.schema_places import holds_secret, is_same, schemas_at, step_sections
from templates_app.suggestions import suggestion
from zenweb.accounts.models import User
from zenweb.config.spec import StepSpec
from zenweb.enums import ExecutionStatus, Role
from zenweb.exceptions import FieldError, SecretUnreadable, ValidationFailed
from zenweb.sealing import opened

Known = Mapping[str, Collection[str]]
"""The parameters that a pipeline has, by its steps."""
DONE = frozenset({ExecutionStatus.COMPLETED, ExecutionStatus.CACHED})
MOST_NAMED = 3


@dataclass(frozen=True)
class FormerStep:
    """What the original run left of one step."""

    spec: StepSpec
    status: ExecutionStatus
    parameters: dict[str, Any]
    outputs: dict[str, uuid.UUID]
    """Its artifact versions that still exist, by the outputs' names."""
    is_skipped: bool = False
    elements: int | None = None
    """Of a mapped step, how often it ran."""
    completed: Mapping[int, dict[str, uuid.UUID]] = field(default_factory=dict)
    """What those of these runs gave out that completed, and of which nothing was deleted since; by their places."""

    @property
    def is_done(self) -> bool:
        return self.status in DONE or self.is_skipped


@dataclass(frozen=True)
class PlannedStep:
    """What a repair does with one step, and why."""

    name: str
    runs_again: bool
    reason: str
    outputs: dict[str, uuid.UUID] = field(default_factory=dict)
    """What a step that is kept gives out."""
    is_skipped: bool = False
    """It was skipped, and what decides that is kept: the new run skips it as well."""
    elements: int | None = None
    """Of a mapped step that is kept, how often it ran."""
    kept_elements: Mapping[int, dict[str, uuid.UUID]] = field(default_factory=dict)
    """What the runs of a mapped step gave out that are kept, whether or not the others run again; by their places."""


@dataclass(frozen=True)
class RepairPlan:
    """The steps of a repair, in the pipeline's order."""

    steps: list[PlannedStep]

    @property
    def again(self) -> list[str]:
        return [step.name for step in self.steps if step.runs_again]

    @property
    def kept(self) -> list[str]:
        return [step.name for step in self.steps if not step.runs_again]


def plan_repair(
    *,
    former: Mapping[str, FormerStep],
    steps: Sequence[ResolvedStep],
    from_steps: Sequence[str] = (),
    is_same_store: bool = True,
) -> RepairPlan:
    """Decide for every step; `former` are the original's steps by name, `steps` what is to be done now.

    What did not complete runs again in any case: it left nothing to keep. Raises ValidationFailed for a step to
    start from that does not exist.
    """
    _check_exist(from_steps, [step.spec.name for step in steps])
    planned: dict[str, PlannedStep] = {}
    for step in steps:
        name, before = step.spec.name, former.get(step.spec.name)
        change = (
            _reason_to_begin(step, before, name in from_steps)
            or _reason_of_its_store(before, is_same_store)
            or _reason_of_those_before(step.spec, planned)
        )
        reason = _reason_of_its_end(before) or change or _reason_of_its_artifacts(before)
        if before is None or change:
            planned[name] = PlannedStep(name, True, reason)
        elif reason:
            planned[name] = _in_part(name, reason, before)
        else:
            planned[name] = _kept(name, before)
    return RepairPlan(list(planned.values()))


def _in_part(name: str, reason: str, before: FormerStep) -> PlannedStep:
    """Of a mapped step, the runs that completed are kept."""
    if before.completed:
        words = gettext("Of its %(all)s elements, %(kept)s are kept.")
        told = words % {"all": before.elements, "kept": len(before.completed)}
        reason = f"{reason} {told}"
    return PlannedStep(name, True, reason, kept_elements=before.completed)


def _kept(name: str, before: FormerStep) -> PlannedStep:
    if before.is_skipped:
        reason = gettext("It was skipped, and what decides that is kept.")
        return PlannedStep(name, False, reason, is_skipped=True)
    reason = gettext("It completed, and nothing it depends on changed.")
    return PlannedStep(
        name, False, reason, before.outputs, elements=before.elements, kept_elements=before.completed
    )


def _check_exist(from_steps: Sequence[str], known: Collection[str]) -> None:
    errors = [
        FieldError(f"/from_steps/{place}", _unknown_step(name, known))
        for place, name in enumerate(from_steps)
        if name not in known
    ]
    if errors:
        raise ValidationFailed(errors)


def _unknown_step(name: str, known: Collection[str]) -> str:
    sentence = gettext("There is no step %(name)r.") % {"name": name}
    return f"{sentence}{suggestion(name, known)}"


def _reason_of_its_end(before: FormerStep | None) -> str:
    if before is None or before.is_done:
        return ""
    if before.status is ExecutionStatus.FAILED:
        return gettext("It failed.")
    return gettext("It was not run to its end.")


def _reason_to_begin(step: ResolvedStep, before: FormerStep | None, is_chosen: bool) -> str:
    if before is None:
        return gettext("It is new in this version.")
    if is_chosen:
        return gettext("The repair starts here.")
    return _change_of_its_code(step.spec, before.spec) or _change_of_its_values(step, before)


def _change_of_its_code(spec: StepSpec, before: StepSpec) -> str:
    if (spec.code_hash, spec.source) != (before.code_hash, before.source):
        return gettext("Its code changed.")
    if (spec.inputs, spec.artifacts) != (before.inputs, before.artifacts):
        return gettext("Its inputs changed.")
    if (spec.mapped_parameters, spec.conditions) != (before.mapped_parameters, before.conditions):
        return gettext("What it is mapped over or when it runs changed.")
    return gettext("Its outputs changed.") if spec.outputs != before.outputs else ""


def _change_of_its_values(step: ResolvedStep, before: FormerStep) -> str:
    names = [*step.parameters, *(name for name in before.parameters if name not in step.parameters)]
    changed = [
        name
        for name in names
        if (name in step.parameters) != (name in before.parameters)
        or not is_same(step.parameters[name], before.parameters[name])
    ]
    return gettext("Its values changed: %(names)s.") % {"names": _listed(changed)} if changed else ""


def _reason_of_its_store(before: FormerStep | None, is_same_store: bool) -> str:
    if is_same_store or before is None or not (before.outputs or before.completed):
        return ""
    return gettext("Its artifacts are in another artifact store.")


def _reason_of_its_artifacts(before: FormerStep | None) -> str:
    if before is None or before.is_skipped:
        return ""
    deleted = [output.artifact_name for output in before.spec.outputs if output.name not in before.outputs]
    if before.elements is not None and len(before.completed) == before.elements:
        deleted = []
    return gettext("What it made was deleted: %(names)s.") % {"names": _listed(deleted)} if deleted else ""


def _reason_of_those_before(spec: StepSpec, planned: Mapping[str, PlannedStep]) -> str:
    again = [name for name in spec.upstream if planned[name].runs_again]
    if not again:
        return ""
    words = ngettext(
        "It follows %(names)s, which runs again.", "It follows %(names)s, which run again.", len(again)
    )
    return words % {"names": _listed(again)}


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MOST_NAMED])
    if len(names) <= MOST_NAMED:
        return listed
    return gettext("%(names)s and %(number)s more") % {"names": listed, "number": len(names) - MOST_NAMED}


# -- what is asked for ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repair:
    """A finished run to be run again in part: from these steps on, or else what did not complete.

    What `configuration` leaves out is as it was in the original.
    """

    original: PipelineRun
    from_steps: Sequence[str] = ()
    configuration: Any = None
    is_newest: bool = False

    @property
    def body(self) -> Configuration:
        """What was asked for, to tell one request from another."""
        return {
            "from_steps": list(self.from_steps),
            "configuration": self.configuration or {},
            "version": "newest" if self.is_newest else "same",
        }

    @cached_property
    def version(self) -> RunTemplateVersion | None:
        """Of the original's template, if it had one."""
        template, version = self.original.template, self.original.template_version
        if template and self.is_newest:
            return template.version
        if version is not None and version.deployment_id != self.original.deployment_id:
            return version.running(self.original.deployment)  # as it was put together for the original
        return version

    @property
    def deployment(self) -> PipelineDeployment:
        """What is run."""
        return self.version.deployment if self.version else self.original.deployment

    @property
    def runnable(self) -> Runnable:
        """What its values are judged by."""
        return self.version or self.deployment

    @property
    def config_schema(self) -> Configuration:
        return rules_of(self.runnable).config_schema

    @cached_property
    def known(self) -> Known:
        return known_parameters(self.config_schema, self.original)

    @cached_property
    def start(self) -> Configuration:
        """The values it starts from."""
        return starting_values(self.original, self.known)

    @property
    def values(self) -> Any:
        """The values it is to run with, not checked yet."""
        return lay_over(self.start, self.configuration, self.known)

    def asked_by(self, actor: User) -> "Repair":
        """The same, with what holds for what they are to the template. Raises NotAllowed for other people's values."""
        role = check_may_see_values(actor, self.original)
        if self.version is not None:
            self.version.used_by(role)
        return self

    def check_possible(self) -> None:
        """Raises ValidationFailed, with what to do instead, for a run that cannot be repaired (like this)."""
        run = self.original
        if not run.stack.is_remote:
            raise ValidationFailed(
                gettext(
                    "Run %(name)s was executed by the process that called its pipeline, so only that can run it "
                    "again. Runs that workers execute can be repaired."
                )
                % {"name": run.name}
            )
        if not run.is_finished:
            raise ValidationFailed(
                gettext("Run %(name)s is %(status)s. Wait for its end, or stop it: then repair it.")
                % {"name": run.name, "status": run.status}
            )
        try:
            run.opened_parameters  # noqa: B018  they are what it starts from
        except SecretUnreadable as error:
            raise ValidationFailed(str(error)) from error
        if asked_of(self.runnable, self.values).question is not None:
            sentence = gettext(
                "With these parameters the pipeline was not put together yet, so nothing can be kept. Run it again as "
                "a whole: once it was put together so, its runs can be repaired."
            )
            raise ValidationFailed([FieldError("/parameters", sentence)])
        if self.is_newest and run.template is None:
            raise ValidationFailed(
                gettext("Run %(name)s has no run template, so there is no newer version of what it ran.")
                % {"name": run.name}
            )

    def plan(self, resolved: ResolvedConfiguration) -> RepairPlan:
        """What is done with these values. Raises ValidationFailed for those that it may not change so."""
        self._check_changes(resolved)
        return plan_repair(
            former=read_former_steps(self.original),
            steps=resolved.steps,
            from_steps=self.from_steps,
            is_same_store=self.original.stack.artifact_store_uri == self.deployment.stack.artifact_store_uri,
        )

    def _check_changes(self, resolved: ResolvedConfiguration) -> None:
        """What the original ran with was accepted once; other values keep to what the owner says by now, too."""
        template, before = self.original.template, self.original.opened_parameters
        if template is None or self.version == template.version or not template.version.curation:
            return
        changed = {
            step.spec.name: _changed_values(step, before.get(step.spec.name, {})) for step in resolved.steps
        }
        given = {"steps": {name: {"parameters": values} for name, values in changed.items()}}
        role = self.version.role if self.version else Role.NOBODY
        errors = validate(_schema_by_now(self.deployment, template.version, role), given)
        # What is required is the affair of the version that runs: here, most values are left out.
        if refused := [error for error in errors if has_value(given, path_of(error)[:4])]:
            raise ValidationFailed(refused)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Of values that do not fit, tell which ones are the original's."""
        try:
            yield
        except ValidationFailed as error:
            source = gettext("run %(name)s") % {"name": self.original.name}
            told = explained(error.errors, self.start, self.configuration, source)
            raise ValidationFailed(list(told)) from error


def _changed_values(step: ResolvedStep, before: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in step.parameters.items()
        if name not in before or not is_same(value, before[name])
    }


def _schema_by_now(deployment: PipelineDeployment, newest: RunTemplateVersion, role: Role) -> Configuration:
    """What a deployment takes from this role, as far as the newest curation of its template speaks of that."""
    plan = plan_of(deployment.pk)
    said = read_curation(newest.curation).for_role(role)
    by_now = with_other_parameters(said, plan_of(newest.deployment_id).uses, plan.uses)
    schema = _without_defaults(plan.config_schema)  # a bound holds for what changes, whatever it started from
    of_lists = {
        name: entry for name, entry in by_now.parameters.items() if isinstance(entry, ElementsCuration)
    }
    others = {name: entry for name, entry in by_now.parameters.items() if name not in of_lists}
    curation, _ = carry_over(schema, by_now.model_copy(update={"parameters": others}), drops_misfits=True)
    return curate(schema, curation.model_copy(update={"parameters": {**curation.parameters, **of_lists}}))


def _without_defaults(config_schema: Configuration) -> Configuration:
    for key, schema in parameters_of(config_schema).items():
        bare = {word: said for word, said in schema.items() if word != "default"}
        config_schema = with_parameter(config_schema, key, bare)
    return config_schema


def preview_repair(repair: Repair, *, actor: User) -> RepairPlan:
    """What a repair would run again and keep; raises ValidationFailed as the repair itself would.

    It says which values differ from the original's, so it is for who may see those: NotAllowed.
    """
    repair.asked_by(actor).check_possible()
    with repair.explaining():
        asked = asked_of(repair.runnable, repair.values)
        return repair.plan(resolve(asked.runnable, asked.configuration, timezone.now()))


# -- what there was ---------------------------------------------------------------------------------------------------


def read_former_steps(run: PipelineRun) -> dict[str, FormerStep]:
    """What a run left of its steps, by their names."""
    plan = plan_of(run.deployment_id)
    steps = StepRun.objects.filter(run=run)
    rows = list(
        steps.filter(mapped_index=None).only(
            "name", "index", "status", "parameters", "is_skipped", "elements"
        )
    )
    outputs = statements.versions_of([step.pk for step in rows])
    completed = _completed_elements(run) if plan.decides_while_it_runs else {}
    return {
        step.name: FormerStep(
            plan.step(step.index),
            ExecutionStatus(step.status),
            opened(step.parameters, run.pk),
            outputs[step.pk],
            bool(step.is_skipped),
            step.elements,
            completed.get(step.index, {}),
        )
        for step in rows
    }


def _completed_elements(run: PipelineRun) -> dict[int, dict[int, dict[str, uuid.UUID]]]:
    """What the runs of mapped steps gave out, by the index of the step and their places; if nothing was deleted."""
    plan, found = plan_of(run.deployment_id), dict[int, dict[int, dict[str, uuid.UUID]]]()
    elements = StepRun.objects.filter(run=run, mapped_index__isnull=False, status__in=DONE)
    rows = list(elements.order_by("element").values_list("pk", "mapped_index", "element"))
    outputs = statements.versions_of([pk for pk, *_ in rows])
    for pk, index, element in rows:
        if outputs[pk].keys() >= {output.name for output in plan.step(index).outputs}:
            found.setdefault(index, {})[element] = outputs[pk]
    return found


def known_parameters(config_schema: Configuration, run: PipelineRun | None = None) -> Known:
    """The parameters by step; of a run's, only those that are shown no more openly here than they were there."""
    steps = step_sections(config_schema)
    known = {
        name: set(step["properties"]["parameters"].get("properties", {})) for name, step in steps.items()
    }
    former = plan_of(run.deployment_id).config_schema if run else {}
    if run is None or not holds_secret([former], former):
        return known
    ran = {"steps": {step: {"parameters": values} for step, values in run.parameters.items()}}
    # Parts of values; of a parameter as a whole the schemas tell, and forms say that it cannot be what it was.
    bare = {(step, name) for _, step, _, name, *part in unsealed_by(config_schema, ran) if part}
    return {
        step: {
            name
            for name in names
            if (_is_secret(config_schema, step, name) or not _is_secret(former, step, name))
            and (step, name) not in bare
        }
        for step, names in known.items()
    }


def _is_secret(config_schema: Configuration, step: str, name: str) -> bool:
    return holds_secret(schemas_at(config_schema, ["steps", step, "parameters", name]), config_schema)


def starting_values(run: PipelineRun, known: Known) -> Configuration:
    """What a repair starts from: what the run was asked for, and the values that it really ran with.

    Not its name, which is taken, and no defaults of parameters that there are no more: nobody asked for these.
    Raises SecretUnreadable.
    """
    asked = without_unset(opened(run.configuration, run.pk) or {})
    asked.pop("run_name", None)
    steps = dict(asked.pop("steps", {}))
    for name, parameters in run.opened_parameters.items():
        if name in known:
            ran = {key: value for key, value in parameters.items() if key in known[name]}
            given = steps.get(name, {})
            steps[name] = {**given, "parameters": given.get("parameters", {}) | ran}
    return {**asked, "steps": steps}


def left_over(start: Configuration, known: Known) -> dict[str, list[str]]:
    """The parameters by step that were asked for and have no place any more."""
    asked = {name: section.get("parameters", {}) for name, section in start["steps"].items()}
    gone = {name: [key for key in asked[name] if key not in known.get(name, ())] for name in asked}
    return {name: keys for name, keys in gone.items() if keys or name not in known}


def without_left_over(configuration: Configuration, start: Configuration, known: Known) -> Configuration:
    """The configuration, told to drop what has no place any more: where a person sees that there is no field for it."""
    steps = dict(configuration.get("steps", {}))
    for name, keys in left_over(start, known).items():
        section = steps.get(name, {})
        parameters = section.get("parameters", {}) | dict.fromkeys(keys)
        steps[name] = {**section, "parameters": parameters} if name in known else None
    return {**configuration, "steps": steps}


def lay_over(start: Configuration, given: Any, known: Known) -> Any:
    """The values of a repair: what is given now, and else what it starts from.

    null drops a step or value that there is no more; other nulls mean what they mean in every configuration. What
    is malformed comes out as it is, for the validator to refuse.
    """
    if not isinstance(given, dict):
        return start if given is None else given
    said = given.get("steps")
    merged = _over(start, {key: value for key, value in given.items() if key != "steps"})
    if not isinstance(said, dict):
        return merged if said is None else {**merged, "steps": said}
    steps = dict(start["steps"])
    for name, section in said.items():
        if section is None and name in steps and name not in known:
            del steps[name]
        else:
            steps[name] = _step_over(steps.get(name), section, known.get(name, ()))
    return {**merged, "steps": steps}


def _step_over(start: Any, given: Any, known: Collection[str]) -> Any:
    if not isinstance(start, dict) or not isinstance(given, dict):
        return start if given is None else given
    parameters, merged = given.get("parameters"), _over(start, given)
    if isinstance(parameters, dict):
        before = start.get("parameters", {})
        dropped = {
            name
            for name, value in parameters.items()
            if value is None and name in before and name not in known
        }
        values = before | parameters
        merged["parameters"] = {name: value for name, value in values.items() if name not in dropped}
    return merged


def _over(start: Configuration, given: Configuration) -> Configuration:
    """null and {} mean "not set", so they change nothing."""
    said = {key: value for key, value in given.items() if key not in start or value not in (None, {})}
    return {**start, **said}


def explained(
    errors: Sequence[FieldError], start: Configuration, given: Any, source: str
) -> Iterator[FieldError]:
    """The errors, those of values that nobody gave now with where they are from and what to do."""
    for error in errors:
        path = path_of(error)
        if path and has_value(start, path) and not has_value(given, path):
            advice = gettext(
                "It is from %(source)s: give another value, or null where there is no place for it any more."
            ) % {"source": source}
            error = FieldError(error.pointer, f"{error.message} {advice}")  # noqa: PLW2901
        yield error


def path_of(error: FieldError) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in error.pointer.split("/")[1:]]


def has_value(configuration: Any, path: Sequence[str]) -> bool:
    for part in path:
        if isinstance(configuration, list) and part.isdecimal() and int(part) < len(configuration):
            configuration = configuration[int(part)]
        elif isinstance(configuration, dict) and part in configuration:
            configuration = configuration[part]
        else:
            return False
    return True
