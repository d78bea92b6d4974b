"""An example of each answer, put together of what the fields of its shape have as theirs."""

from typing import Any

Json = dict[str, Any]
AN_ID = "0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90"
OF_TYPES: dict[str, Any] = {"integer": 1, "number": 0.5, "boolean": True, "null": None, "object": {}}
# Of texts, by the names of their fields; where the shape of something has a better one, it says so.
OF_NAMES = {
    "name": "daily-retraining",
    "full_name": "Ada Lovelace",
    "email": "ada@example.com",
    "description": "Trained every night.",
    "warnings": "/steps/trainer/experiment_tracker: accepted, no effect",
    "url": "/runs/0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90/",
    "status_reason": "no worker serves queue `gpu` since 09:12",
    "reason": "no worker serves queue `gpu` since 09:12",
    "sentence": "Step trainer started on worker w1.",
    "message": "This is more than 1.",
    "key": "ZENKEY_…",
    "access_token": "eyJhbGciOi…",
    "templates": "daily-retraining",
    "tags": "nightly",
    "upstream_steps": "loader",
    "step": "trainer",
    "step_name": "trainer",
    "pipeline_parameter_name": "trainer",
    "invocation_id": "trainer",
    "parameter": "learning_rate",
    "user": "ada",
    "uri": "s3://artifacts/trainer/model",
    "color": "grey",
    "queue": "default",
    "server_url": "https://zenweb.example",
    "dashboard_url": "https://zenweb.example",
    "verification_uri": "https://zenweb.example/device/",
    "verification_uri_complete": "https://zenweb.example/device/?code=BCDF-GHJK",
}


def example_of(schema: Json, schemas: Json, name: str = "") -> Any:
    """`schemas`: those that references name. `name`: the field's."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    for key in ("examples", "enum"):
        if key in schema:
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, name)
    if schema.get("format") == "uuid":
        return AN_ID
    if schema.get("type") == "string":
        return OF_NAMES.get(name, name)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, name)] if schema.get("items") else []
    if "properties" in schema:
        return {field: example_of(inner, schemas, field) for field, inner in schema["properties"].items()}
    return OF_TYPES.get(schema.get("type", "object"))
