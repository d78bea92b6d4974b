"""Puts a pipeline together anew, with other parameters, where user code may run."""

from typing import Any

from zenweb.config.compiler import compile_again
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.exceptions import AuthoringError
from zenweb.execution.protocol import Compilation, Compiled, Completed, Failed, Started, to_line
from zenweb.execution.runner import Emit, describe
from zenweb.pipelines import Pipeline

MOST_BYTES = 5_000_000


def compile_pipeline_again(pipeline: Pipeline[..., Any], order: Compilation, emit: Emit) -> None:
    """Emits `started`, then `compiled` and `completed`, or `failed`."""
    emit(Started())
    try:
        compiled = _compiled(pipeline, order)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
        emit(Failed(exception=describe(error)))
        return
    emit(compiled)
    emit(Completed())


def _compiled(pipeline: Pipeline[..., Any], order: Compilation) -> Compiled:
    spec = compile_again(
        pipeline, name=order.name, parameters=order.parameters, configuration=order.configuration
    )
    compiled = Compiled(
        spec=spec.model_dump(mode="json"),
        config_schema=build_config_schema(spec),
        config_template=build_config_template(spec, (order.configuration or {}).get("run_name")),
    )
    if len(to_line(compiled)) > MOST_BYTES:
        raise AuthoringError(
            f"With these parameters the pipeline has {len(spec.steps):,} steps, more than a worker tells the server of "
            f"({MOST_BYTES // 1_000_000} MB). Have it make fewer."
        )
    return compiled
