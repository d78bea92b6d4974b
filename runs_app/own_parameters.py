"""The pipeline's own parameters: with other values than it was frozen with, a run runs what it is with these."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext

from runs_app.derived_deployments import hold
from runs_app.plans import Plan, Runnable, deployment_of, plan_of, read_rules_of, rules_of
from runs_app.questions import CompileQuestion
from runs_app.run_configuration import Configuration, without_unset
from templates_app.models import PipelineDeployment, RunTemplateVersion
from templates_app.querysets import PipelineDeploymentQuerySet
from templates_app.schema_places import is_same
from templates_app.schema_validation import accepts
from zenweb.exceptions import FieldError, ValidationFailed

Json = Any
POINTER = "/parameters"


@dataclass(frozen=True)
class Asked:
    """What is to be run, with the configuration for it."""

    runnable: Runnable
    configuration: Any
    question: CompileQuestion | None = None
    """What has to be answered first: nobody has put the pipeline together with these parameters yet."""

    @property
    def is_known(self) -> bool:
        return self.question is None


Answers = Mapping[str, PipelineDeployment]
"""Answers by the keys of their questions."""


def asked_of(runnable: Runnable, configuration: Any, among: Answers | None = None) -> Asked:
    """What a configuration asks of something that can be run.

    What is wrong with the parameters themselves is left to the validator. Raises ValidationFailed for a local stack.
    `among`: what is known, where many configurations are looked at.
    """
    if (question := _question_of(runnable, configuration)) is None:
        return Asked(runnable, configuration)
    found = (_known_answer(question) if among is None else among).get(question.key)
    cleaned = _without_frozen_values(runnable, configuration or {}, found)
    if found is None:
        return Asked(runnable, cleaned, question)
    return Asked(runnable.running(found) if isinstance(runnable, RunTemplateVersion) else found, cleaned)


def known_among(asked: Iterable[tuple[Runnable, Any]]) -> Answers:
    """What is known of all that these configurations ask, and what they are judged by, in as many queries as of one."""
    asked, questions = list(asked), []
    read_rules_of(runnable for runnable, _ in asked)
    for runnable, configuration in asked:
        with suppress(ValidationFailed):
            if (question := _question_of(runnable, configuration)) is not None:
                questions.append(question)
    answers = known_answers(questions, PipelineDeployment.objects.light())
    read_rules_of(answers.values())
    return answers


def known_answers(
    questions: Sequence[CompileQuestion], deployments: PipelineDeploymentQuerySet
) -> dict[str, PipelineDeployment]:
    """What somebody has asked for before, or what was frozen with just these, by the keys of the questions."""
    if not questions:
        return {}
    bases = {question.deployment_id for question in questions}
    derived = Q(
        derived_from__in=bases, parameters_key__in={question.parameters_key for question in questions}
    )
    answers = deployments.select_related("pipeline", "stack").filter(Q(pk__in=bases) | derived)
    found = {(each.derived_from_id or each.pk, each.parameters_key): each for each in answers}
    return {
        question.key: answer
        for question in questions
        if (answer := found.get((question.deployment_id, _key_of_answer(question)))) is not None
    }


def _known_answer(question: CompileQuestion) -> Answers:
    return known_answers([question], PipelineDeployment.objects.all())


def _key_of_answer(question: CompileQuestion) -> str:
    is_frozen = is_same(plan_of(question.deployment_id).spec.parameters, dict(question.arguments))
    return "" if is_frozen else question.parameters_key


def _question_of(runnable: Runnable, configuration: Any) -> CompileQuestion | None:
    """None: it asks for no other parameters than it was frozen with, or for some that there cannot be."""
    deployment, rules = deployment_of(runnable), rules_of(runnable)
    given = own_parameters(configuration)
    frozen = rules.plan.spec.parameters
    values = {**frozen, **rules.defaults.get("", {}), **given}
    if is_same(values, frozen):
        return None
    section = rules.config_schema.get("properties", {}).get("parameters")
    if section is None or not accepts(section, rules.config_schema, given):
        return None
    if not deployment.stack.is_remote:
        raise ValidationFailed([FieldError(POINTER, _of_a_local_stack(deployment))])
    return CompileQuestion(
        deployment_id=deployment.derived_from_id or deployment.pk,
        queue=deployment.stack.queue,
        arguments=tuple(sorted(values.items())),
    )


def asked_to_run(runnable: Runnable, configuration: Any) -> Asked:
    """The same where a run or a preset is made of it, in a transaction: until this ends, what it runs stays there."""
    asked = asked_of(runnable, configuration)
    if hold(deployment_of(asked.runnable)):
        return asked
    return asked_of(runnable, configuration)  # it was removed a moment ago


def put_together(version: RunTemplateVersion, own: Mapping[str, Json]) -> RunTemplateVersion:
    """A version as it is with these parameters of its pipeline, if that is known; else as it is."""
    try:
        asked = asked_of(version, {"parameters": dict(own)})
    except ValidationFailed:
        return version
    return asked.runnable if isinstance(asked.runnable, RunTemplateVersion) else version


def own_parameters(configuration: Any) -> dict[str, Json]:
    """The pipeline's own parameters that a configuration gives, however unfinished it is."""
    given = configuration.get("parameters") if isinstance(configuration, Mapping) else None
    return dict(given) if isinstance(given, Mapping) else {}


def version_shown(version: RunTemplateVersion, parameters_key: str) -> RunTemplateVersion | None:
    """A version as a form showed it that was put together with the parameters of this key; None: that is gone."""
    derived = PipelineDeployment.objects.select_related("pipeline", "stack").filter(
        derived_from=version.deployment_id, parameters_key=parameters_key
    )
    if not parameters_key:
        return version
    found = derived.first()
    return version.running(found) if found else None


def without_other_steps(
    configuration: Configuration, before: RunTemplateVersion, now: RunTemplateVersion
) -> Configuration:
    """Without the steps that the pipeline had before and has no more."""
    known = {step.name for step in plan_of(now.deployment_id).spec.steps}
    gone = {step.name for step in plan_of(before.deployment_id).spec.steps} - known
    steps = configuration.get("steps") or {}
    return {**configuration, "steps": {name: step for name, step in steps.items() if name not in gone}}


def own_names(config_schema: Mapping[str, Any]) -> frozenset[str]:
    """Of the parameters of its own that the pipeline may be given."""
    section = config_schema.get("properties", {}).get("parameters") or {}
    return frozenset(section.get("properties", {}))


def _without_frozen_values(
    runnable: Runnable, configuration: Configuration, derived: PipelineDeployment | None
) -> Configuration:
    """Clients send all values of a template, changed or not: those that are as they were say nothing of their own.

    Otherwise what the pipeline hands on to its steps would not follow its parameters, and what is said of steps that
    are not there with these would be an error.
    """
    known = None if derived is None else {step.name for step in plan_of(derived.pk).spec.steps}
    steps = configuration.get("steps")
    if not isinstance(steps, dict):
        return configuration
    rules = rules_of(runnable)
    kept = {}
    for name, section in steps.items():
        cleaned = _changed(rules.plan, rules.defaults.get(name, {}), name, section)
        is_of_no_step = known is not None and name not in known and not cleaned
        if not (is_of_no_step and _has_step(rules.plan, name)):
            kept[name] = cleaned
    return {**configuration, "steps": kept}


def _changed(plan: Plan, own: Mapping[str, Json], name: str, section: Any) -> Any:
    """A step's section without parameters that are as they were, and what is not set."""
    if section is None:
        return {}
    if not isinstance(section, dict):
        return section
    cleaned = without_unset(section)
    parameters = cleaned.get("parameters")
    if not isinstance(parameters, dict) or not _has_step(plan, name):
        return cleaned
    frozen = {**next(step.parameters for step in plan.spec.steps if step.name == name), **own}
    changed = {
        key: value
        for key, value in parameters.items()
        if key not in frozen or not is_same(value, frozen[key])
    }
    rest = {key: value for key, value in cleaned.items() if key != "parameters"}
    return {**rest, "parameters": changed} if changed else rest


def _has_step(plan: Plan, name: str) -> bool:
    return any(step.name == name for step in plan.spec.steps)


def _of_a_local_stack(deployment: PipelineDeployment) -> str:
    words = gettext(
        "On the local stack %(stack)r the process that calls the pipeline puts it together: give it these parameters "
        "there, %(name)s(...)."
    )
    return words % {"stack": deployment.stack.name, "name": deployment.spec["name"]}
