"""The graph of a run as ZenML draws it: steps and artifacts as nodes, and what leads from one to another."""

from collections.abc import Sequence

from runs_app.models import PipelineRun, StepOutput, StepRun
from runs_app.plans import plan_of
from zenweb.api.envelope import Json, wire_time
from zenweb.config.spec import OutputSpec, StepSpec

MADE = {"type": "step_output"}


def describe_dag(run: PipelineRun, steps: Sequence[StepRun]) -> Json:
    """`steps` with their outputs: all of the run's."""
    specs, rows = plan_of(run.deployment_id).spec.steps, {step.name: step for step in steps}
    return {
        "id": str(run.pk),
        "status": run.status,
        "nodes": [
            *(_step_node(spec, rows.get(spec.name)) for spec in specs),
            *(_artifact_node(spec, output, rows.get(spec.name)) for spec in specs for output in spec.outputs),
        ],
        "edges": [edge for spec in specs for edge in _edges(spec)],
    }


def _step_node(spec: StepSpec, step: StepRun | None) -> Json:
    metadata: Json = {}
    if step is not None:
        metadata = {
            "status": step.status,
            "duration": step.duration.total_seconds() if step.duration else None,
        }
        metadata |= {"start_time": wire_time(step.start_time), "end_time": wire_time(step.end_time)}
    return _node(_step(spec.name), "step", str(step.pk) if step else None, spec.name, metadata)


def _artifact_node(spec: StepSpec, output: OutputSpec, step: StepRun | None) -> Json:
    """Without an id as long as the step has not made it."""
    outputs: Sequence[StepOutput] = step.outputs.all() if step else ()
    made = next((row.artifact_version for row in outputs if row.name == output.name), None)
    metadata = (
        {"uri": made.uri, "artifact_type": made.type, "artifact_data_type": made.data_type} if made else {}
    )
    node = _artifact(spec.name, output.name)
    return _node(node, "artifact", str(made.pk) if made else None, output.artifact_name, metadata)


def _edges(spec: StepSpec) -> list[Json]:
    into = [
        _edge(_artifact(source.step, source.output), _step(spec.name), {"input_name": name, **MADE})
        for name, source in spec.inputs.items()
    ]
    # What is only waited for gives nothing.
    feeding = {source.step for source in spec.inputs.values()}
    waited_for = [_edge(_step(name), _step(spec.name), {}) for name in spec.upstream if name not in feeding]
    out = [
        _edge(_step(spec.name), _artifact(spec.name, output.name), {"output_name": output.name, **MADE})
        for output in spec.outputs
    ]
    return [*into, *waited_for, *out]


def _node(node: str, kind: str, row: str | None, name: str, metadata: Json) -> Json:
    return {"node_id": node, "type": kind, "id": row, "name": name, "metadata": metadata}


def _edge(source: str, target: str, metadata: Json) -> Json:
    return {"source": source, "target": target, "metadata": metadata}


def _step(name: str) -> str:
    return f"step/{name}"


def _artifact(step: str, output: str) -> str:
    return f"{step}/outputs/step_output/{output}"
