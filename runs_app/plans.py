"""What every step asks for again and again and what never changes: read and parsed once."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any

from django.db.models import UUIDField

from runs_app.kept import Kept
from runs_app.models import PipelineRun, StepRun
from runs_app.querysets import HEAVY
from templates_app.curated_schema import curate, defaults_of, key_of, parameters_of, path_of_key, restricts
from templates_app.curation import Curation, read_curation
from templates_app.derived_curation import Uses, uses_of, with_other_parameters
from templates_app.models import PipelineDeployment, RunTemplateVersion
from templates_app.schema_places import holds_secret, schemas_at
from templates_app.schema_validation import Validator, compile_schema
from zenweb.config.defaults import Source
from zenweb.config.json_schema import DYNAMIC_DEFAULT
from zenweb.config.spec import YEAR, PipelineSpec, StepSpec
from zenweb.enums import Role, StepProcess
from zenweb.prepared import Given, Prepared

MOST_DELAY = timedelta(days=1)  # of a retry, however its backoff multiplies it
RUN: Prepared[PipelineRun] = Prepared(
    lambda: PipelineRun.objects.select_related("stack").defer(*HEAVY).filter(pk=Given("id", UUIDField()))
)


@dataclass(frozen=True)
class Plan:
    """A deployment's documents, the hash of its code, and the packages that it needs."""

    spec: PipelineSpec
    config_schema: dict[str, Any]
    config_template: dict[str, Any]
    code_sha256: str
    code_archive_id: uuid.UUID
    requirements: tuple[str, ...]
    is_derived: bool = False
    """Put together with parameters of a run, which not everybody may see who sees the pipeline."""

    @cached_property
    def holds_secrets(self) -> bool:
        """Whether any parameter is one, or has one in it."""
        return holds_secret([self.config_schema], self.config_schema)

    @cached_property
    def open_parameters(self) -> frozenset[tuple[str, str]]:
        """Those, by step and name, that surely hold no secret: looked up once, for it takes longer than a launch."""
        root = self.config_schema
        return frozenset(
            (step, name)
            for step, name in parameters_of(root)
            if not holds_secret(schemas_at(root, path_of_key((step, name))), root)
        )

    @cached_property
    def index_of(self) -> dict[str, int]:
        """The places of its steps, by their names."""
        return {step.name: index for index, step in enumerate(self.spec.steps)}

    @cached_property
    def uses(self) -> Uses:
        """How it uses the functions of its steps."""
        return uses_of(self.spec.steps)

    @cached_property
    def decides_while_it_runs(self) -> bool:
        """Whether what runs depends on what its steps give out."""
        return any(step.is_mapped or step.conditions for step in self.spec.steps)

    @cached_property
    def looked_at(self) -> frozenset[str]:
        """The steps that have to tell how long what they give out is, or what it says."""
        conditions = {condition.step for step in self.spec.steps for condition in step.conditions}
        mapped_over = {
            source.step for step in self.spec.steps for source in step.inputs.values() if source.is_mapped
        }
        return frozenset(conditions | mapped_over)

    def step(self, index: int) -> StepSpec:
        return self.spec.steps[index]

    @property
    def process(self) -> StepProcess | None:
        """What all of its steps ask for; None when they do not agree."""
        asked = {step.settings.process for step in self.spec.steps}
        return asked.pop() if len(asked) == 1 else None


Runnable = PipelineDeployment | RunTemplateVersion
"""What can be run: a deployment as it is, or a version of a template, whose owner may have narrowed it."""


def deployment_of(runnable: Runnable) -> PipelineDeployment:
    return runnable.deployment if isinstance(runnable, RunTemplateVersion) else runnable


@dataclass(frozen=True)
class DynamicDefault:
    """A parameter whose default is found when a run is asked for."""

    step: str
    name: str
    schema: dict[str, Any]
    source: Source


@dataclass(frozen=True)
class Rules:
    """What a run's configuration has to keep to, and what it is laid over."""

    plan: Plan
    config_schema: dict[str, Any]
    defaults: Mapping[str, Mapping[str, Any]]
    """Of parameters that do not start from the pipeline's own, by step and name."""
    frozen: Plan | None = None
    """Where the pipeline is put together with other parameters of its own: what the template's version runs else."""
    restricted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By step, the parameters for which the template's owner allows less than the pipeline."""

    @cached_property
    def validator(self) -> Validator:
        return compile_schema(self.config_schema)

    @cached_property
    def dynamic(self) -> list[DynamicDefault]:
        return [
            DynamicDefault(step, name, schema, source)
            for (step, name), schema in parameters_of(self.config_schema).items()
            if (source := Source.read(schema.get(DYNAMIC_DEFAULT))) is not None
        ]


def rules_of(runnable: Runnable) -> Rules:
    """Every channel judges by these."""
    if isinstance(runnable, RunTemplateVersion):
        return rules_by_id(runnable.deployment_id, runnable.pk, runnable.role)
    return rules_by_id(runnable.pk, None)


def rules_of_run(run: PipelineRun) -> Rules:
    """Those that it was accepted by."""
    return rules_by_id(run.deployment_id, run.template_version_id)


@lru_cache(maxsize=256)
def rules_by_id(deployment_id: uuid.UUID, version_id: uuid.UUID | None, role: Role = Role.NOBODY) -> Rules:
    plan = plan_of(deployment_id)
    if version_id is None:
        return Rules(plan, plan.config_schema, {})
    document, frozen_id = curated_by_id(version_id)
    if not document:
        return rules_by_id(deployment_id, None)  # one validator for both
    whole = read_curation(document)
    if (curation := whole.for_role(role)) == whole and role is not Role.NOBODY:
        return rules_by_id(deployment_id, version_id)
    if frozen_id != deployment_id:
        frozen = plan_of(frozen_id)
        curation = with_other_parameters(curation, frozen.uses, plan.uses)
        schema = curate(plan.config_schema, curation)
        return Rules(plan, schema, defaults_of(curation), frozen, _restricted(curation))
    return Rules(plan, curate(plan.config_schema, curation), defaults_of(curation))


def _restricted(curation: Curation) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, entry in curation.parameters.items():
        if restricts(entry):
            step, name = key_of(key)
            found.setdefault(step, []).append(name)
    return found


def read_rules_of(runnables: Iterable[Runnable]) -> None:
    """Have at hand what `rules_of` each of these looks up, in as many queries as for one."""
    deployments, versions = list[uuid.UUID](), list[uuid.UUID]()
    for runnable in runnables:
        deployments.append(deployment_of(runnable).pk)
        if isinstance(runnable, RunTemplateVersion):
            versions.append(runnable.pk)
            deployments.append((runnable.frozen or runnable.deployment).pk)
    curated_by_id.read(versions)
    plan_of.read(deployments)


Curated = tuple[dict[str, Any], uuid.UUID]
"""The curation of a template's version, and the deployment that it was made for."""


def _curated(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Curated]:
    versions = RunTemplateVersion.objects.filter(pk__in=ids).values_list("pk", "curation", "deployment_id")
    return {pk: (curation, deployment_id) for pk, curation, deployment_id in versions}


def _plans(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Plan]:
    deployments = PipelineDeployment.objects.filter(pk__in=ids).values(
        *("id", "spec", "config_schema", "config_template", "requirements"),
        *("code_archive_id", "code_archive__sha256", "derived_from"),
    )
    return {found["id"]: _plan(found) for found in deployments}


def _plan(found: Mapping[str, Any]) -> Plan:
    return Plan(
        spec=PipelineSpec.model_validate(found["spec"]),
        config_schema=found["config_schema"],
        config_template=found["config_template"],
        code_sha256=found["code_archive__sha256"],
        code_archive_id=found["code_archive_id"],
        requirements=tuple(found["requirements"]),
        is_derived=found["derived_from"] is not None,
    )


curated_by_id: Kept[Curated] = Kept(_curated, RunTemplateVersion.DoesNotExist, most=256)
plan_of: Kept[Plan] = Kept(_plans, PipelineDeployment.DoesNotExist, most=128)


def may_retry(step: StepRun) -> bool:
    """Whether the step is tried again when its attempt fails."""
    retry = step.settings.get("retry") or {}
    return step.failures < int(retry.get("max_retries", 0))


def retry_delay(settings: Mapping[str, Any], failures: int) -> timedelta:
    """How long a step that has failed so often before waits after its next failure."""
    retry = settings["retry"]
    seconds = int(retry.get("delay") or 0) * int(retry.get("backoff") or 1) ** failures
    return min(MOST_DELAY, timedelta(seconds=min(seconds, YEAR)))


@lru_cache(maxsize=1024)
def run_of(run_id: uuid.UUID) -> PipelineRun:
    """A run with its stack, for what does not change while it lasts: name, owner, deployment, store. Not its status."""
    run = RUN.first(id=run_id)
    if run is None:
        raise PipelineRun.DoesNotExist
    return run
