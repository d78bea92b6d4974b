"""Pipelines that start others, as the tests run them."""

import multiprocessing
import os
import subprocess
import time
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


@step(enable_cache=False, timeout=60)  # waiting in vain ends
def descends(levels: int = 0, folder: str = "", template: str = "descending") -> int:
    """Starts the same with a level less, waits for it, and tells when it began and when that was over."""
    if folder:
        Path(folder, f"begun-{levels}-{get_step_context().attempt}").touch()
    if levels == 0:
        while folder and not Path(folder, "go").exists():
            time.sleep(0.02)
        return 0
    parameters = {"levels": levels - 1, "folder": folder}
    run = Client().trigger_pipeline(
        template_id=template,
        run_configuration={"steps": {"descends": {"parameters": parameters}}},
        synchronous=True,
    )
    return levels if run.status == "completed" else -1


@pipeline
def descending_pipeline() -> None:
    descends()


@step(enable_cache=False)
def leaves(folder: str) -> None:
    """Starts two runs that go on until they are let go, and waits for the second."""
    body = {"steps": {"descends": {"parameters": {"folder": folder}}}}
    Client().trigger_pipeline(template_id="descending", run_configuration=body)
    Client().trigger_pipeline(template_id="descending", run_configuration=body, synchronous=True)


@pipeline
def leaving_pipeline() -> None:
    leaves()


@step(enable_cache=False, timeout=90)
def starts_programs(programs: list[list[str]], folder: str = "") -> None:
    """Runs programs at once, which have to end well; with a folder it kills them when there is a file `kill`."""
    started = [subprocess.Popen(program) for program in programs]
    while folder and not Path(folder, "kill").exists():
        time.sleep(0.02)
    for program in started if folder else []:
        program.kill()
    codes = [program.wait() for program in started]
    if not folder and any(codes):
        raise RuntimeError(f"They ended with {codes}.")
    while folder and not Path(folder, "go").exists():
        time.sleep(0.02)


@pipeline
def programs_pipeline() -> None:
    starts_programs()


@step(enable_cache=False, timeout=90)
def forks() -> None:
    """A copy of its process starts a run and waits for it."""
    asked = {"template_id": "descending", "synchronous": True}
    copy = multiprocessing.get_context("fork").Process(target=Client().trigger_pipeline, kwargs=asked)
    copy.start()
    copy.join()
    if copy.exitcode:
        raise RuntimeError(f"It ended with {copy.exitcode}.")


@pipeline
def forking_pipeline() -> None:
    forks()
