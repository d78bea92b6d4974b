"""A pipeline's spec in ZenML's words: its clients read each answer into models of theirs, and refuse ours."""

from typing import Any

from zenweb.api.envelope import Json, source

# The newest version that both lines of clients know.
ZENML_SPEC_VERSION = "0.4"


def zenml_pipeline_spec(spec: Json) -> Json:
    """`spec` as it is stored, see `zenweb.config.spec.PipelineSpec`."""
    return {
        "version": ZENML_SPEC_VERSION,
        "source": source(spec["source"]),
        "parameters": spec.get("parameters") or {},
        "steps": [zenml_step_spec(step) for step in spec.get("steps") or []],
    }


def zenml_step_spec(step: Json) -> Json:
    inputs: dict[str, Any] = step.get("inputs") or {}
    return {
        "source": source(step["source"]),
        "upstream_steps": step.get("upstream") or [],
        "inputs": {
            name: {"step_name": given["step"], "output_name": given["output"]}
            for name, given in inputs.items()
        },
        "pipeline_parameter_name": step["name"],
        "invocation_id": step["name"],  # what newer clients call it
    }
