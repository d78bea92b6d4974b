"""An example of each answer, put together of what the fields of its shape give as theirs."""

from typing import Any

Json = dict[str, Any]
AN_ID = "0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90"
OF_TYPES: dict[str, Any] = {
    "string": "",
    "integer": 1,
    "number": 0.5,
    "boolean": True,
    "null": None,
    "object": {},
}


def example_of(schema: Json, schemas: Json) -> Any:
    """`schemas`: those that references name."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for key in ("examples", "enum"):
        if key in schema:
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("format") == "uuid":
        return AN_ID
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)] if schema.get("items") else []
    if "properties" in schema:
        return {name: example_of(field, schemas) for name, field in schema["properties"].items()}
    return OF_TYPES.get(schema.get("type", "object"))
