"""What has to be asked on a worker before a run: the choices of its parameters, for the values that it was given."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from runs_app.plans import Rules, Runnable, deployment_of, plan_of, rules_of
from runs_app.run_configuration import ResolvedConfiguration
from templates_app import choice_rules
from templates_app.choice_places import rules_at
from templates_app.models import PipelineDeployment
from templates_app.schema_places import schemas_at
from templates_app.schema_validation import accepts, standalone
from zenweb.config.choices import dependency_of
from zenweb.config.json_schema import CHOICE_RULES
from zenweb.enums import PreparationKind
from zenweb.pointers import pointer_to

Json = Any
MOST_BYTES = 20_000  # of the values that choices depend on


@dataclass(frozen=True)
class ChoicePlace:
    """A parameter that is chosen."""

    step: str
    parameter: str
    rules: choice_rules.Rules
    is_many: bool

    @property
    def path(self) -> tuple[str, ...]:
        return ("steps", self.step, "parameters", self.parameter)

    def entry_in(self, config_schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of one chosen value, whole, as a template has it whose owner may have narrowed it."""
        here = [*self.path, "0"] if self.is_many else self.path
        found = (each for each in schemas_at(config_schema, here) if CHOICE_RULES in each)
        return standalone(next(found, {}), config_schema)


@dataclass(frozen=True)
class Question:
    """What may be chosen for a parameter, given what that depends on."""

    deployment_id: UUID
    place: ChoicePlace
    queue: str
    arguments: tuple[tuple[str, Json], ...]
    """Names as `depends_on` has them, and their values."""

    kind = PreparationKind.CHOICES

    @property
    def step(self) -> str:
        return self.place.step

    @property
    def parameter(self) -> str:
        return self.place.parameter

    @cached_property
    def key(self) -> str:
        """The same for the same question."""
        facts = [str(self.deployment_id), self.place.step, self.place.parameter, self.queue, self.arguments]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class CompileQuestion:
    """What a pipeline consists of with these parameters of its own."""

    deployment_id: UUID
    queue: str
    arguments: tuple[tuple[str, Json], ...]
    """All of them, sorted."""

    kind = PreparationKind.COMPILATION
    step = parameter = ""

    @cached_property
    def parameters_key(self) -> str:
        """By which the deployment is found that is the answer."""
        return hashlib.sha256(json.dumps(_alike(self.arguments), sort_keys=True).encode()).hexdigest()

    @cached_property
    def key(self) -> str:
        facts = [str(self.deployment_id), self.kind, self.queue, self.parameters_key]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _alike(value: Json) -> Json:
    """Values that are the same in JSON look the same: 2.0 is 2."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _alike(member) for key, member in value.items()}
    return [_alike(member) for member in value] if isinstance(value, list | tuple) else value


AnyQuestion = Question | CompileQuestion


@dataclass(frozen=True)
class GivenChoice:
    """What was chosen, and the question that tells whether it may be."""

    question: Question
    value: Json

    @property
    def chosen(self) -> list[tuple[str, Json]]:
        """Each chosen value with its JSON pointer."""
        path = self.question.place.path
        if not self.question.place.is_many:
            return [(pointer_to(path), self.value)]
        return [(pointer_to([*path, index]), each) for index, each in enumerate(self.value)]


class ValueMissing(Exception):
    """What the choices depend on has no value that could be told."""

    def __init__(self, step: str, parameter: str) -> None:
        super().__init__(f"{step}.{parameter}")
        self.key = step, parameter


@lru_cache(maxsize=128)
def choice_places(deployment_id: UUID) -> dict[tuple[str, str], ChoicePlace]:
    """The parameters of a deployment that are chosen, by step and name."""
    plan = plan_of(deployment_id)
    found = {}
    for step in plan.spec.steps:
        for name in step.parameters_schema.get("properties", {}):
            if (rules := rules_at(plan.config_schema, step.name, name)) is not None:
                found[step.name, name] = ChoicePlace(step.name, name, *rules)
    return found


def given_choices(
    runnable: Runnable, resolved: ResolvedConfiguration, steps: Collection[str] | None = None
) -> list[GivenChoice]:
    """What a configuration chooses, in these steps or in all. Runs of a local stack ask by themselves."""
    deployment = deployment_of(runnable)
    if not (places := choice_places(deployment.pk)) or not deployment.stack.is_remote:
        return []
    values = {step.spec.name: step.parameters for step in resolved.steps}
    rules = rules_of(runnable)
    return [
        GivenChoice(question_of(deployment, rules, place, values), value)
        for place in places.values()
        if steps is None or place.step in steps
        if (value := values[place.step].get(place.parameter)) is not None and value != []
    ]


def question_of(
    deployment: PipelineDeployment,
    rules: Rules,
    place: ChoicePlace,
    values: Mapping[str, Mapping[str, Json]],
) -> Question:
    """The question for all that the steps would run with. Raises ValueMissing."""
    arguments = []
    for dependency in place.rules.depends_on:
        step, parameter = dependency_of(place.step, dependency)
        if parameter not in values.get(step, {}):
            raise ValueMissing(step, parameter)
        value = values[step][parameter]
        if not fits(rules, step, parameter, value) or len(json.dumps(value)) > MOST_BYTES:
            raise ValueMissing(step, parameter)
        arguments.append((dependency, value))
    steps = {step.name: step for step in rules.plan.spec.steps}
    queue = steps[place.step].settings.queue or deployment.stack.queue
    return Question(deployment.pk, place, queue, tuple(arguments))


def fits(rules: Rules, step: str, parameter: str, value: Json) -> bool:
    """Whether the schema takes a value for a parameter that there is, whatever may be chosen."""
    section = rules.config_schema["properties"]["steps"]["properties"][step]
    schema = section["properties"]["parameters"].get("properties", {}).get(parameter)
    return accepts(schema, rules.config_schema, value)
