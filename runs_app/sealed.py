"""Configurations as rows keep them: with their secrets sealed."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from runs_app.plans import Plan
from templates_app.schema_places import Path, is_secret, replace_secrets_below, schemas_at, value_at
from zenweb.sealing import Json, is_sealed, seal


def sealed(plan: Plan, configuration: Json, of: uuid.UUID, *, has_other_steps: bool = False) -> Json:
    """A run configuration, or what it was resolved to, for the row with this id: `zenweb.sealing.opened` undoes it.

    `has_other_steps`: it may be of steps that the plan does not know. Any text that they are given may be a secret.
    """
    if has_other_steps:
        configuration = _with_other_steps_sealed(plan, configuration, of)
    if not plan.holds_secrets or not isinstance(configuration, dict):
        return configuration
    steps = {
        step: _sealed_section(plan, configuration, step, section, of)
        for step, section in (configuration.get("steps") or {}).items()
    }
    return {**configuration, "steps": steps} if steps else configuration


def sealed_hash(plan: Plan, body_hash: str, of: uuid.UUID, *, has_other_steps: bool = False) -> str:
    """The hash of what was asked for, for the row of the run with this id: a secret in it cannot be guessed and tried.

    Not a hash with a key, which could be checked with that very key alone, and never brought to another.
    """
    return seal(body_hash, of) if plan.holds_secrets or has_other_steps else body_hash


def unsealed_by(root: dict[str, Any], kept: Json) -> list[Path]:
    """Places where a configuration is sealed, and would not be if it were kept anew: the schema has no secret there."""
    return [
        path
        for path in _sealed_places(kept, ())
        if not any(is_secret(schemas_at(root, path[:length])) for length in range(1, len(path) + 1))
    ]


def _sealed_places(value: Json, path: Path) -> Iterator[Path]:
    if is_sealed(value):
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in pairs:
        yield from _sealed_places(member, (*path, str(key)))


def _with_other_steps_sealed(plan: Plan, configuration: Json, of: uuid.UUID) -> Json:
    known = {step.name for step in plan.spec.steps}
    steps = configuration.get("steps") if isinstance(configuration, dict) else None
    if not isinstance(steps, dict):
        return configuration
    kept = {name: section if name in known else _all_sealed(section, of) for name, section in steps.items()}
    return {**configuration, "steps": kept}


def _all_sealed(value: Json, of: uuid.UUID) -> Json:
    if isinstance(value, dict):
        return {key: _all_sealed(member, of) for key, member in value.items()}
    if isinstance(value, list):
        return [_all_sealed(member, of) for member in value]
    return seal(value, of) if isinstance(value, str) else value


def _sealed_section(plan: Plan, configuration: Json, step: str, section: Json, of: uuid.UUID) -> Json:
    given = section.get("parameters") if isinstance(section, Mapping) else None
    if not isinstance(given, Mapping):
        return section

    def seal_at(place: tuple[str, ...]) -> str:
        return seal(value_at(configuration, place), of)

    parameters = {
        name: value
        if (step, name) in plan.open_parameters
        else replace_secrets_below(plan.config_schema, ("steps", step, "parameters", name), value, seal_at)
        for name, value in given.items()
    }
    return {**section, "parameters": parameters}
