"""The JSON Schema (2020-12) of a pipeline's run configuration, made from the signatures of its steps."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from zenweb.config.json_schema import DYNAMIC_DEFAULT, MADE_DEFAULT, ParameterSchema
from zenweb.config.parameters import Parameter, parameter_adapters
from zenweb.config.run_configuration import PipelineRunConfiguration, StepRunConfiguration
from zenweb.config.signatures import EMPTY
from zenweb.config.spec import PipelineSpec, StepSpec

__all__ = ["build_config_schema", "build_config_template", "parameter_adapters", "parameter_schemas"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
# What every step may be given beside its parameters stands here once. No type of a pipeline has such a name.
STEP_KEYS = "zenweb-step"


def build_config_schema(spec: PipelineSpec) -> Schema:
    """What a run of this pipeline may be given."""
    steps = {step.name: _step_section(step) for step in spec.steps}
    return {
        "$schema": DIALECT,
        "type": "object",
        "$defs": {**spec.definitions, STEP_KEYS: {"properties": _keys_of(StepRunConfiguration)}},
        "additionalProperties": False,
        "properties": {
            **_keys_of(PipelineRunConfiguration),
            "parameters": _own_parameters(spec),
            "steps": {"type": "object", "title": "Steps", "additionalProperties": False, "properties": steps},
        },
    }


def build_config_template(spec: PipelineSpec, run_name: str | None = None) -> dict[str, Any]:
    """The configuration a run starts from: every default, ready to be edited."""
    return {
        "run_name": run_name or f"{spec.name}-{{date}}-{{time}}",
        **({"parameters": own} if (own := asked_parameters(spec)) else {}),
        "steps": {step.name: {"parameters": dict(step.parameters)} for step in spec.steps},
    }


def asked_parameters(spec: PipelineSpec) -> dict[str, Any]:
    """The pipeline's own parameters that a run may give, with the values that they were put together with."""
    known = (
        spec.parameters if spec.parameters_schema is None else spec.parameters_schema.get("properties", {})
    )
    return {name: value for name, value in spec.parameters.items() if name in known}


def step_keys(config_schema: Schema, step: str) -> Schema:
    """Everything that one step may be given, each with its schema."""
    section: Schema = config_schema["properties"]["steps"]["properties"][step]
    shared: Schema = config_schema.get("$defs", {}).get(STEP_KEYS, {})
    return {**shared.get("properties", {}), **section["properties"]}


def parameter_schemas(steps: Mapping[str, Sequence[Parameter]]) -> tuple[dict[str, Schema], Schema]:
    """Per step the schema of its parameters, and the `$defs` that all of them share without a clash of names."""
    keyed = {
        (step, parameter.name): parameter for step, parameters in steps.items() for parameter in parameters
    }
    properties, shared = TypeAdapter.json_schemas(
        [(key, "validation", parameter.adapter) for key, parameter in keyed.items()],
        schema_generator=ParameterSchema,
    )
    described = {key: _property(parameter, properties[key, "validation"]) for key, parameter in keyed.items()}
    schemas = {
        step: _object_schema(
            parameters, {parameter.name: described[step, parameter.name] for parameter in parameters}
        )
        for step, parameters in steps.items()
    }
    return schemas, shared.get("$defs", {})


def humanised(name: str) -> str:
    """`learning_rate` as `Learning rate`."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _own_parameters(spec: PipelineSpec) -> Schema:
    """Of the pipeline itself. What an older spec does not describe is judged in a worker, by the pipeline's types."""
    untyped = {
        "type": "object",
        "properties": {name: {"default": value} for name, value in spec.parameters.items()},
    }
    own = untyped if spec.parameters_schema is None else spec.parameters_schema
    return {
        "type": ["object", "null"],
        "title": "Parameters",
        "additionalProperties": False,
        "properties": own.get("properties", {}),
    }


def _step_section(step: StepSpec) -> Schema:
    return {
        "type": "object",
        "title": humanised(step.name),
        "description": step.description,
        "$ref": f"#/$defs/{STEP_KEYS}",
        "properties": {"parameters": step.parameters_schema},
        "unevaluatedProperties": False,
    }


@cache
def _keys_of(section: type[BaseModel]) -> Schema:
    """The keys of a configuration, loosely typed, without the steps and their parameters."""
    properties: dict[str, Schema] = section.model_json_schema()["properties"]
    for described_elsewhere in ("steps", "parameters"):
        properties.pop(described_elsewhere, None)
    for schema in properties.values():
        schema.pop("default", None)
    return properties


def _object_schema(parameters: Sequence[Parameter], properties: Schema) -> Schema:
    return {
        "type": "object",
        "title": "Parameters",
        "additionalProperties": False,
        "required": [parameter.name for parameter in parameters if parameter.is_required],
        "properties": properties,
    }


def _property(parameter: Parameter, schema: Schema) -> Schema:
    told = {"title": humanised(parameter.name), "description": parameter.description}
    # What `Field` says of itself goes before what we make of the name and the docstring.
    described = {**{key: text for key, text in told.items() if text}, **schema}
    if not parameter.is_dynamic:
        described.pop(DYNAMIC_DEFAULT, None)  # the pipeline gives it a value of its own
    if parameter.value is EMPTY:
        return described
    described.pop(MADE_DEFAULT, None)
    return {**described, "default": parameter.value}
