"""Runs with parameters of their pipeline's own: the worker's part, done by a test."""

from typing import Any

from runs_app import compiled_runs, preparations
from runs_app.assignments import compilation_for
from runs_app.models import PipelineRun, Worker
from runs_app.preparers import Found, record
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.config.source import import_source
from zenweb.execution.compiling import compile_pipeline_again
from zenweb.execution.protocol import Compiled, Event, Failed
from zenweb.pipelines import Pipeline


def own(**parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters}


def compile_next(worker: Worker) -> None:
    """Answer the oldest question and let runs go on, as a worker does."""
    claimed = preparations.claim(worker, ["default"])
    assert claimed is not None
    order, events = compilation_for(claimed), list[Event]()
    compile_pipeline_again(import_source(order.source, Pipeline), order, events.append)
    match events[-1]:
        case Failed(exception=raised):
            message = raised.message.removeprefix(f"{raised.parameter}: ")
            found = Found(failure=message, blamed=raised.parameter)
        case _:
            found = Found(compiled=next(event for event in events if isinstance(event, Compiled)))
    record(claimed, found)
    compiled_runs.settle_all()


def compiled(template: RunTemplate, alice: User, worker: Worker, configuration: Any) -> PipelineRun:
    run = launch(template, alice, configuration)
    compile_next(worker)
    run.refresh_from_db()
    return run


def steps(run: PipelineRun) -> list[str]:
    return list(run.steps.order_by("index").values_list("name", flat=True))
