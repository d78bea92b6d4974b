"""Steps that note metadata and have hooks, as the tests run them."""

import math
import time
from datetime import date
from pathlib import Path
from typing import Annotated

from zenweb import get_step_context, log_metadata, pipeline, step

AWKWARD = {"loss": math.nan, "best": -math.inf, "text": "a\x00b", "big": 1e300, "day": date(2024, 2, 29)}


@step
def notes(awkward: bool = False) -> Annotated[float, "score"]:
    log_metadata({"epochs": 3, "rate": 0.5})
    log_metadata({"epochs": 4, "tags": ["a", None, True], "nested": {"x": 1}})
    log_metadata({"accuracy": 0.93}, infer_artifact=True)
    log_metadata({"seen": True}, artifact_name="score")
    log_metadata({"champion": "svm"}, run_id_name_or_prefix=get_step_context().pipeline_run.id)
    if awkward:
        for target in (
            {},
            {"infer_artifact": True},
            {"run_id_name_or_prefix": get_step_context().pipeline_run.name},
        ):
            log_metadata(AWKWARD, **target)
    return 0.93


@step(enable_cache=False)
def tells(score: float, folder: str = "") -> Annotated[dict[str, str], "told"]:
    context = get_step_context()
    context.add_output_metadata({"by": "context"}, output_name="told")
    return {
        "run": f"{context.pipeline_run.id} {context.pipeline_run.name}",
        "step": f"{context.step_run.id} {context.step_run.name}",
        "pipeline": context.pipeline.name,
        "parameters": str(context.step_run.config.parameters["folder"]),
        "retry": str(context.step_run.config.settings["retry"]["max_retries"]),
        "input": f"{context.inputs['score'].name} {context.inputs['score'].version} {context.inputs['score'].load()}",
        "uri": context.get_output_artifact_uri(),
        "attempt": str(context.attempt),
        "key": context.idempotency_key,
    }


@pipeline
def noting_pipeline() -> None:
    tells.with_options(retry={"max_retries": 2})(notes())


@step(enable_cache=False)
def waits(folder: str, how: str = "well") -> Annotated[int, "n"]:
    """Notes something, then waits to be let go; ends as it is told."""
    attempt = get_step_context().attempt
    log_metadata({"attempt": attempt, f"only in {attempt}": 1})
    log_metadata({f"run {attempt}": 1}, run_id_name_or_prefix=get_step_context().pipeline_run.id)
    (Path(folder) / f"noted-{attempt}").touch()
    while how == "wait" and not (Path(folder) / "go").exists():
        time.sleep(0.01)
    if how == "fail" or (how == "fail once" and attempt == 1):
        raise ValueError("no luck")
    return 1


@pipeline
def waiting_pipeline() -> None:
    waits.with_options(retry={"max_retries": 1})()


def write(line: str) -> None:
    context = get_step_context()
    path = Path(context.step_run.config.parameters["folder"]) / "hooks"
    with path.open("a") as file:
        file.write(f"{line} of {context.step_name} attempt {context.attempt}\n")


def on_failure(error: BaseException) -> None:
    log_metadata({"failure": str(error)})
    write(f"failure {type(error).__name__}: {error}")


def on_failure_of_pipeline() -> None:
    write("pipeline's failure")


def on_success() -> None:
    get_step_context().add_output_metadata({"from": "hook"})
    write("success")


def raises() -> None:
    raise RuntimeError("the hook is broken")


def leaves() -> None:
    raise SystemExit(3)


def hangs() -> None:
    write("hanging")
    time.sleep(3600)


@step(on_failure=on_failure, on_success=on_success, retry={"max_retries": 1}, enable_cache=False)
def hooked(folder: str, how: str = "well") -> Annotated[int, "n"]:
    if how == "fail" or (how == "fail once" and get_step_context().attempt == 1):
        raise ValueError("no luck")
    return 1


@step(enable_cache=False)
def plain(folder: str, how: str = "well") -> int:
    if how == "fail":
        raise ValueError("no luck")
    return 1


@pipeline(on_failure=on_failure_of_pipeline)
def hooked_pipeline() -> None:
    hooked()
    plain()
    plain.with_options(on_success="noting.on_success")(id="named")
