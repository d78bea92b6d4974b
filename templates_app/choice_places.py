"""Where a schema has parameters that are chosen, and whether what their choices depend on may be told to a provider."""

from collections.abc import Iterator

from templates_app.choice_rules import Rules
from templates_app.curated_schema import Key, Schema, parameters_of
from templates_app.schema_places import holds_secret, schemas_at
from zenweb.config.choices import dependency_of
from zenweb.config.json_schema import CHOICE_RULES
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to


def rules_at(config_schema: Schema, step: str, parameter: str) -> tuple[Rules, bool] | None:
    """The rules of a parameter that is chosen, and whether several values of it are."""
    for is_many, path in ((False, [parameter]), (True, [parameter, "0"])):
        for schema in schemas_at(config_schema, ["steps", step, "parameters", *path]):
            if CHOICE_RULES in schema:
                return Rules.read(schema[CHOICE_RULES]), is_many
    return None


def check_dependencies(config_schema: Schema) -> None:
    """Raises ValidationFailed for choices that no run could ask for, and those that would tell a secret."""
    if errors := [error for key in parameters_of(config_schema) for error in _errors(config_schema, key)]:
        raise ValidationFailed(errors)


def _errors(config_schema: Schema, key: Key) -> Iterator[FieldError]:
    step, name = key
    if (found := rules_at(config_schema, step, name)) is None:
        return
    place = ("properties", "steps", "properties", step, "properties", "parameters", "properties", name)
    pointer = pointer_to(["config_schema", *place])
    if _is_secret(config_schema, key):
        yield FieldError(pointer, "A secret is not chosen from a list that everybody sees.")
    known = parameters_of(config_schema)
    names = [parameter if other == step else f"{other}.{parameter}" for other, parameter in known]
    for dependency in found[0].depends_on:
        if (asked := dependency_of(step, dependency)) not in known:
            there_is = f"There is no parameter {dependency!r} to depend on.{suggestion(dependency, names)}"
            yield FieldError(pointer, f"Its choices cannot be asked for. {there_is}")
        elif _is_secret(config_schema, asked):
            yield FieldError(
                pointer, f"Its choices depend on {dependency!r}, a secret, which no provider is told."
            )


def _is_secret(config_schema: Schema, key: Key) -> bool:
    step, name = key
    return holds_secret(schemas_at(config_schema, ["steps", step, "parameters", name]), config_schema)
