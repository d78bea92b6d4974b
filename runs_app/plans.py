"""What every step asks for again and again and what never changes: read and parsed once."""

import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from django.db.models import UUIDField

from runs_app.models import PipelineRun, StepRun
from runs_app.querysets import HEAVY
from templates_app.models import PipelineDeployment
from templates_app.schema_validation import Validator, compile_schema
from zenweb.config.spec import PipelineSpec, StepSpec
from zenweb.enums import StepProcess
from zenweb.prepared import Given, Prepared

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

    @cached_property
    def validator(self) -> Validator:
        return compile_schema(self.config_schema)

    def step(self, index: int) -> StepSpec:
        return self.spec.steps[index]

    @property
    def process(self) -> StepProcess | None:
        """What all of its steps ask for; None when they do not agree."""
        asked = {step.settings.process for step in self.spec.steps}
        return asked.pop() if len(asked) == 1 else None

    def artifact_name(self, index: int, output: str) -> str:
        return next(spec.artifact_name for spec in self.step(index).outputs if spec.name == output)


@lru_cache(maxsize=128)
def plan_of(deployment_id: uuid.UUID) -> Plan:
    deployments = PipelineDeployment.objects.values(
        *("spec", "config_schema", "config_template", "requirements"),
        *("code_archive_id", "code_archive__sha256"),
    )
    found = deployments.get(pk=deployment_id)
    return Plan(
        spec=PipelineSpec.model_validate(found["spec"]),
        config_schema=found["config_schema"],
        config_template=found["config_template"],
        code_sha256=found["code_archive__sha256"],
        code_archive_id=found["code_archive_id"],
        requirements=tuple(found["requirements"]),
    )


def may_retry(step: StepRun) -> bool:
    """Whether the step is tried again when its attempt fails."""
    retry = step.settings.get("retry") or {}
    return step.failures < int(retry.get("max_retries", 0))


@lru_cache(maxsize=1024)
def run_of(run_id: uuid.UUID) -> PipelineRun:
    """A run with its stack, for what does not change while it lasts: name, owner, deployment, store. Not its status."""
    run = RUN.first(id=run_id)
    if run is None:
        raise PipelineRun.DoesNotExist
    return run
