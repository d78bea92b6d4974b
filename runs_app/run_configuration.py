"""A run's configuration: cleaned, checked by the one validator, and resolved to what will really run."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from runs_app import hooks
from runs_app.dynamic_defaults import find_defaults, missing_defaults
from runs_app.handed_on import find_handed_on, with_their_source
from runs_app.plans import Rules, Runnable, rules_of
from templates_app.names import is_one_line, wrong_tags
from templates_app.schema_places import schemas_at, stand_ins_in, step_sections, undeclared_in
from templates_app.schema_validation import Validator, find_boundless, find_errors, first_of
from templates_app.suggestions import did_you_mean
from zenweb.config.config_schema import step_keys
from zenweb.config.file_references import size_words
from zenweb.config.hooks import FAILURE, SUCCESS
from zenweb.config.resources import Resources, ineffective
from zenweb.config.spec import PipelineSpec, StepSpec
from zenweb.entity import is_id
from zenweb.enums import ExecutionMode
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to
from zenweb.sealing import MARK, is_sealed

Configuration = dict[str, Any]

# Inside these, null and {} are values of the user's; everywhere else they mean "not set".
USER_VALUES = frozenset({"parameters", "extra", "settings", "substitutions", "environment"})
# Whatever one likes to say of a run or a step: each list with the details of runs carries it.
FREE = ("extra", "settings", "substitutions")
MOST_DROPPED = 20  # that a run is told of
LARGEST_FREE = 64_000  # characters
# What a run acts on. Every other known key is stored and answered with a warning.
RUN_WIDE = ("enable_cache", "retry", "queue", "priority", FAILURE, SUCCESS)
STEP_SETTINGS = (*RUN_WIDE, "timeout")
EFFECTIVE_RUN_KEYS = frozenset(
    {
        "run_name",
        "parameters",
        "steps",
        "tags",
        "extra",
        "substitutions",
        "timeout",
        "execution_mode",
        "settings",
        *RUN_WIDE,
    }
)
EFFECTIVE_STEP_KEYS = frozenset({"parameters", "extra", "settings", *STEP_SETTINGS})
# Keys of ZenML's newest clients, which send them all, set or not. No schema that was frozen knows them.
NEWER_KEYS = frozenset(
    {
        "pause_hook_source",
        "resume_hook_source",
        "skip_successful_steps",
        "steps_to_skip",
        "step_input_overrides",
        "step_default_input_overrides",
    }
)
REFUSALS = {
    "build": gettext_lazy(
        "Can't set build when running pipeline via Rest API. "
        "A template always runs the code it was made from."
    ),
    "schedule": gettext_lazy(
        "Can't set schedule when running pipeline via Rest API. "
        "A run starts at once: make a schedule for others (POST /api/v1/schedules)."
    ),
}
NO_DOCKER = gettext_lazy(
    "Can't set DockerSettings when running pipeline via Rest API. "
    "What a template needs is installed as it was when it was made."
)


@dataclass(frozen=True)
class ResolvedStep:
    """One step as it will run."""

    spec: StepSpec
    parameters: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True)
class ResolvedConfiguration:
    """All that a run needs to know, decided once at launch."""

    run_name: str
    steps: list[ResolvedStep]
    tags: list[str]
    parameters: dict[str, Any] = field(default_factory=dict)
    """The pipeline's own."""
    timeout: float | None = None
    execution_mode: ExecutionMode = ExecutionMode.CONTINUE_ON_FAILURE
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        steps = {step.spec.name: {"parameters": step.parameters, **step.settings} for step in self.steps}
        limit = {"timeout": self.timeout} if self.timeout is not None else {}
        own = {"parameters": self.parameters} if self.parameters else {}
        return {
            "run_name": self.run_name,
            **own,
            "steps": steps,
            "tags": self.tags,
            "execution_mode": self.execution_mode.value,
            **limit,
        }


def validate(
    config_schema: dict[str, Any], configuration: Any, validator: Validator | None = None
) -> list[FieldError]:
    """Everything wrong with a run configuration. What is not set counts as left out."""
    if configuration is not None and not isinstance(configuration, dict):
        return [FieldError("", gettext("A run configuration is an object with named values."))]
    if boundless := find_boundless(configuration):
        return boundless
    known = {key: value for key, value in (configuration or {}).items() if key not in NEWER_KEYS}
    return first_of(_wrong(config_schema, known, validator))


def _wrong(
    config_schema: dict[str, Any], known: Configuration, validator: Validator | None
) -> Iterator[FieldError]:
    yield from _unknown_though_empty(config_schema, known)
    cleaned = without_unset(known)
    yield from (FieldError(f"/{key}", str(sentence)) for key, sentence in REFUSALS.items() if key in cleaned)
    yield from _docker(cleaned)
    yield from wrong_tags(cleaned.get("tags"))
    yield from _too_large(cleaned)
    stands_for_one = gettext("This only stands for a secret that is not shown. Give the secret itself.")
    yield from (FieldError(pointer_to(path), stands_for_one) for path in stand_ins_in(config_schema, cleaned))
    yield from _that_look_sealed(cleaned)
    cleaned = {key: value for key, value in cleaned.items() if key not in REFUSALS}
    yield from find_errors(config_schema, _with_every_step(config_schema, cleaned), validator)


def _whole_and_steps(cleaned: Configuration) -> Iterator[tuple[tuple[str, ...], Configuration]]:
    """The configuration, and what it says of each step, with their paths."""
    yield (), cleaned
    steps = cleaned["steps"] if isinstance(cleaned.get("steps"), dict) else {}
    yield from ((("steps", name), step) for name, step in steps.items() if isinstance(step, dict))


def _docker(cleaned: Configuration) -> Iterator[FieldError]:
    for path, given in _whole_and_steps(cleaned):
        settings = given.get("settings")
        if isinstance(settings, dict) and settings.get("docker"):
            yield FieldError(pointer_to((*path, "settings", "docker")), str(NO_DOCKER))


def _too_large(cleaned: Configuration) -> Iterator[FieldError]:
    for path, given in _whole_and_steps(cleaned):
        for key in FREE:
            if key in given and len(json.dumps(given[key])) > LARGEST_FREE:
                sentence = gettext(
                    "This is larger than %(size)s. Hand large values on as parameters or files."
                )
                yield FieldError(pointer_to((*path, key)), sentence % {"size": size_words(LARGEST_FREE)})


def find_wrong(rules: Rules, configuration: Any) -> list[FieldError]:
    """Everything wrong with a configuration of a pipeline whose steps are known, and with what follows from it."""
    errors = validate(rules.config_schema, configuration, rules.validator)
    return [*with_their_source(rules, configuration, errors), *find_handed_on(rules, configuration)]


def _that_look_sealed(value: Any, path: tuple[str, ...] = ()) -> Iterator[FieldError]:
    """Nobody may have a stored secret opened by sending what is stored of it."""
    if is_sealed(value):
        sentence = gettext("A text that begins with %(mark)s cannot be given.") % {"mark": MARK}
        yield FieldError(pointer_to(path), sentence)
    elif isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _that_look_sealed(member, (*path, str(key)))


def resolve(
    runnable: Runnable, configuration: Any, now: datetime, moment: datetime | None = None
) -> ResolvedConfiguration:
    """Check a configuration and lay it over the defaults of what is run; raises ValidationFailed with every error.

    `moment`: what the run is for, if that is not now; defaults that are found, such as today, are those of then.
    """
    rules = rules_of(runnable)
    if errors := find_wrong(rules, configuration):
        raise ValidationFailed(errors)
    cleaned = without_unset(configuration or {})
    if errors := hooks.find_errors(rules.plan.code_archive_id, cleaned):
        raise ValidationFailed(errors)
    spec = rules.plan.spec
    given, defaults = cleaned.get("steps", {}), defaults_at(runnable, moment)
    steps = [
        _resolve_step(spec, step, defaults[step.name], given.get(step.name, {}), cleaned)
        for step in spec.steps
    ]
    if errors := missing_defaults(rules.dynamic, {step.spec.name: step.parameters for step in steps}):
        raise ValidationFailed(errors)
    return _resolved(rules, cleaned, steps, now)


def resolve_without_steps(runnable: Runnable, configuration: Any, now: datetime) -> ResolvedConfiguration:
    """What is known of a run whose steps are not: all but what is said of them is checked. Raises ValidationFailed."""
    rules = rules_of(runnable)
    errors = validate(rules.config_schema, configuration, rules.validator)
    if errors := [error for error in errors if not error.pointer.startswith("/steps/")]:
        raise ValidationFailed(errors)
    cleaned = without_unset(configuration or {})
    if errors := hooks.find_errors(rules.plan.code_archive_id, cleaned):
        raise ValidationFailed(errors)
    return _resolved(rules, cleaned, [], now)


def _resolved(
    rules: Rules, cleaned: Configuration, steps: list[ResolvedStep], now: datetime
) -> ResolvedConfiguration:
    spec = rules.plan.spec
    return ResolvedConfiguration(
        run_name=_run_name(spec, rules.plan.config_template, cleaned, now),
        parameters={**spec.parameters, **rules.defaults.get("", {}), **cleaned.get("parameters", {})},
        steps=steps,
        tags=list(dict.fromkeys([*spec.tags, *cleaned.get("tags", [])])),
        timeout=cleaned.get("timeout", spec.timeout),
        execution_mode=ExecutionMode(
            cleaned.get("execution_mode") or spec.execution_mode or ExecutionMode.CONTINUE_ON_FAILURE
        ),
        warnings=[
            *_warnings(cleaned),
            *islice(_dropped(rules.config_schema, cleaned), MOST_DROPPED),
            *_resource_notes(steps),
        ],
    )


def defaults_at(runnable: Runnable, moment: datetime | None = None) -> dict[str, dict[str, Any]]:
    """What each step runs with if nothing is given: the pipeline's defaults, the owner's, and those found then."""
    rules, found = rules_of(runnable), find_defaults(runnable, moment)
    return {
        step.name: {**step.parameters, **rules.defaults.get(step.name, {}), **found.get(step.name, {})}
        for step in rules.plan.spec.steps
    }


def without_unset(configuration: Configuration) -> Configuration:
    """The configuration without the keys that ZenML's clients send as null or {} when they mean nothing."""
    cleaned = {key: _without_unset(key, value) for key, value in configuration.items()}
    return {key: value for key, value in cleaned.items() if value is not None and value != {}}


def _without_unset(key: str, value: Any) -> Any:
    if key == "steps" and isinstance(value, dict):
        # Steps are names, not keys: one that does not exist is told even when nothing is set for it.
        return {name: {} if step is None else _without_unset(name, step) for name, step in value.items()}
    return without_unset(value) if isinstance(value, dict) and key not in USER_VALUES else value


def _unknown_though_empty(
    config_schema: dict[str, Any], configuration: Configuration
) -> Iterator[FieldError]:
    """Misspelt keys that would otherwise go unseen, because nothing is set for them."""
    keys = config_schema.get("properties", {})
    places = [("", configuration, keys)]
    steps = configuration.get("steps")
    if isinstance(steps, dict):
        known = step_sections(config_schema)
        places += [
            (f"/steps/{name}", steps[name], step_keys(config_schema, name))
            for name in steps
            if name in known and isinstance(steps[name], dict)
        ]
    for pointer, given, known_keys in places:
        for name, value in given.items():
            if name not in known_keys and (value is None or value == {}):
                yield FieldError(
                    f"{pointer}/{name}",
                    gettext("There is no %(name)r here.") % {"name": name} + did_you_mean(name, known_keys),
                )


def _with_every_step(config_schema: dict[str, Any], configuration: Configuration) -> Configuration:
    """Name every step, so that a required parameter is missed even where its step is not mentioned."""
    known = step_sections(config_schema)
    given = configuration.get("steps", {})
    if not isinstance(given, dict):
        return configuration
    steps = {name: _with_parameters(step) for name, step in given.items()}
    return {**configuration, "steps": {name: {"parameters": {}} for name in known} | steps}


def _with_parameters(step: Any) -> Any:
    return {"parameters": {}, **step} if isinstance(step, dict) else step


def _resolve_step(
    pipeline: PipelineSpec,
    spec: StepSpec,
    defaults: Mapping[str, Any],
    given: Configuration,
    run: Configuration,
) -> ResolvedStep:
    """What is said for this step of this run goes first, then for the run, in the step's code, in the pipeline's."""
    layers = [
        {"enable_cache": pipeline.enable_cache},
        spec.settings.model_dump(mode="json"),
        hooks.with_paths({key: run.get(key) for key in RUN_WIDE if run.get(key) is not None}),
        hooks.with_paths({key: given.get(key) for key in STEP_SETTINGS if given.get(key) is not None}),
    ]
    settings = {key: value for layer in layers for key, value in layer.items() if value is not None}
    resources = Resources.laid_over(
        [
            Resources.said_by({"resources": spec.settings.resources}, spec.settings.queue),
            Resources.said_by(run.get("settings"), run.get("queue")),
            Resources.said_by(given.get("settings"), given.get("queue")),
        ]
    )
    settings |= {"queue": resources.queue, "resources": resources.needs}
    settings = {key: value for key, value in settings.items() if value is not None and value != {}}
    return ResolvedStep(spec, {**defaults, **given.get("parameters", {})}, settings)


def substitutions(given: Configuration, now: datetime) -> dict[str, Any]:
    """What stands for the placeholders in the names of runs."""
    found = {"date": now.strftime("%Y_%m_%d"), "time": now.strftime("%H_%M_%S_%f")}
    return found | (given.get("substitutions") or {})


def _run_name(spec: PipelineSpec, template: Configuration, given: Configuration, now: datetime) -> str:
    pattern = given.get("run_name") or template.get("run_name") or f"{spec.name}-{{date}}-{{time}}"
    for name, value in substitutions(given, now).items():
        pattern = pattern.replace(f"{{{name}}}", str(value))
    if len(pattern) > 255:
        raise ValidationFailed([FieldError("/run_name", gettext("A run's name has at most 255 characters."))])
    if not is_one_line(pattern):
        sentence = gettext("A run's name is one line, without control characters (such as tabs).")
        raise ValidationFailed([FieldError("/run_name", sentence)])
    if is_id(pattern):
        raise ValidationFailed([FieldError("/run_name", gettext("A run's name must not look like an id."))])
    return str(pattern)


def _warnings(configuration: Configuration) -> list[str]:
    found = [f"/{key}" for key in configuration if key not in EFFECTIVE_RUN_KEYS]
    found += [
        f"/steps/{name}/{key}"
        for name, step in configuration.get("steps", {}).items()
        for key in step
        if key not in EFFECTIVE_STEP_KEYS
    ]
    found += [f"/settings/{key}" for key in ineffective(configuration.get("settings"))]
    found += [
        f"/steps/{name}/settings/{key}"
        for name, step in configuration.get("steps", {}).items()
        for key in ineffective(step.get("settings"))
    ]
    return [f"{pointer}: accepted, no effect" for pointer in found]


def _dropped(config_schema: dict[str, Any], configuration: Configuration) -> Iterator[str]:
    """Of models and the like, what they have no field for; a model that forbids others has refused it."""
    for path, step in _whole_and_steps(configuration):
        given = step.get("parameters") if path else None
        for parameter, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, dict | list):
                at = (*path, "parameters", parameter)
                for place in undeclared_in(config_schema, schemas_at(config_schema, at), value, at):
                    yield f"{pointer_to(place)}: its type has no such field, so that the step may not get it"


def _resource_notes(steps: Iterable[ResolvedStep]) -> Iterator[str]:
    for step in steps:
        resources = Resources(step.settings.get("queue"), step.settings.get("resources") or {})
        if note := resources.missing_queue():
            yield f"/steps/{step.spec.name}/settings/resources/{note}"
