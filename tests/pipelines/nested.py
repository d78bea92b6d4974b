"""Pipelines that start others, as the tests run them."""

import os
from pathlib import Path
from typing import Any

from zenweb import get_step_context, pipeline, step
from zenweb.client import Client


@step(enable_cache=False)
def greet(name: str = "you", fails: bool = False) -> str:
    if fails:
        raise ValueError("nobody is there")
    return f"Hello {name}!"


@pipeline
def greeting_pipeline() -> None:
    greet()


@step(enable_cache=False, retry={"max_retries": 1})
def asks(
    template: str = "greeting",
    names: list[str] = ["Ada"],
    greeted: dict[str, Any] = {},
    waits: bool = False,
    is_retried: bool = False,
) -> list[str]:
    """Starts one run for each name; the first attempt may fail after that."""
    runs = [
        Client().trigger_pipeline(
            template_id=template,
            run_configuration={"steps": {"greet": {"parameters": {"name": name, **greeted}}}},
            synchronous=waits,
        )
        for name in names
    ]
    if is_retried and get_step_context().attempt == 1:
        raise ValueError("once more")
    return [str(run.id) for run in runs]


@pipeline
def asking_pipeline() -> None:
    asks()


@step(enable_cache=False)
def shows(folder: str) -> None:
    """Tells what a step should keep to itself."""
    token = os.environ["ZENWEB_API_KEY"]
    Path(folder, "token").write_text(token)
    print(f"my token is {token}", flush=True)
    raise ValueError(token)


@pipeline
def showing_pipeline() -> None:
    shows()
