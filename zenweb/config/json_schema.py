"""JSON Schema as the server can check it, where pydantic's own says too little or too much."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

# pydantic's own pattern looks ahead, which takes a machine without a time bound.
DECIMAL_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
DECIMAL_OR_NOT_FINITE = DECIMAL_PATTERN.replace("^", "^([+-]?(Infinity|NaN)|").replace("$", ")$")
# JSON Schema has bounds for numbers only, and a Decimal that keeps its digits is a text.
DECIMAL_RULES = "zenweb-decimal"
BOUNDS = ("gt", "ge", "lt", "le", "multiple_of")
DIGITS = ("max_digits", "decimal_places")
# What a parameter that takes a file takes: {"as": "path", "bytes" or "table", "types": [".csv"], "max_size": bytes}.
FILE_RULES = "zenweb-file"
# A default that is found when a run is asked for.
DYNAMIC_DEFAULT = "zenweb-default"
# How a parameter stands in the form: {"hidden", "locked", "markdown": true, "placeholder", "widget": a text}.
FORM_HINTS = "zenweb-form"
# At the root, the sections of the form: [{"title", "help", "parameters": ["trainer.learning_rate"]}].
SECTIONS = "zenweb-sections"
# What is chosen among what a worker is told: {"depends_on": ["region", "step.parameter"], "cache": s, "timeout": s}.
CHOICE_RULES = "zenweb-choices"


class ParameterSchema(GenerateJsonSchema):
    """pydantic's schemas, with decimal numbers that are numbers in a text too."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        described = super().decimal_schema(schema)
        for branch in described.get("anyOf", [described]):
            # A bound of 0 is read by people: not as 0.0.
            branch.update(
                {
                    key: int(limit)
                    for key, limit in branch.items()
                    if isinstance(limit, float) and limit.is_integer()
                }
            )
            if branch.get("type") == "string":
                branch["pattern"] = DECIMAL_OR_NOT_FINITE if schema.get("allow_inf_nan") else DECIMAL_PATTERN
                branch[DECIMAL_RULES] = {
                    **{name: str(schema[name]) for name in BOUNDS if schema.get(name) is not None},  # type: ignore[literal-required]
                    **{name: schema[name] for name in DIGITS if schema.get(name) is not None},  # type: ignore[literal-required]
                }
        return described
