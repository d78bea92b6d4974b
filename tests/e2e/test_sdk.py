"""The SDK and the command line against a real server, as a user's own files use them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Site

MY_PIPELINE = """
from typing import Annotated

from pydantic import Field

from zenweb import pipeline, step


@step
def my_step(my_param: Annotated[int, Field(ge=0)] = 1) -> Annotated[int, "doubled"]:
    print("working")
    return my_param * 2


@step
def summary(doubled: int) -> str:
    if doubled == 26:
        raise ValueError("thirteen brings bad luck")
    return f"it is {doubled}"


@pipeline
def my_pipeline():
    summary(my_step())
"""
Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def python(site: Site, tmp_path: Path) -> Python:
    """Runs a script of the user's, in a folder of the user's, beside `run.py`."""
    (tmp_path / "run.py").write_text(MY_PIPELINE)

    def run(code: str, *, stack: str = "celery", url: str = site.url) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script.py").write_text(code)
        return execute([sys.executable, "script.py"], tmp_path, site, stack, url)

    return run


@pytest.fixture
def zenweb(site: Site, tmp_path: Path) -> Python:
    (tmp_path / "run.py").write_text(MY_PIPELINE)

    def run(*arguments: str, stack: str = "celery", url: str = site.url) -> subprocess.CompletedProcess[str]:
        return execute([sys.executable, "-m", "zenweb.cli", *arguments], tmp_path, site, stack, url)

    return run


def execute(
    command: list[str], folder: Path, site: Site, stack: str, url: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ZENWEB_SERVER_URL": url,
        "ZENWEB_API_KEY": site.api_key,
        "ZENWEB_ACTIVE_STACK": stack,
        "ZENWEB_CONFIG_DIR": str(folder / "config"),
        "PYTHONPATH": "",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def printed(process: subprocess.CompletedProcess[str]) -> list[str]:
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def run_script(code: str, folder: Path, site: Site) -> None:
    """As somebody who writes pipelines runs it, on the stack whose steps a worker executes."""
    (folder / "script.py").write_text(code)
    printed(execute([sys.executable, "script.py"], folder, site, "celery", site.url))


def test_a_template_is_made_and_run_with_another_value(python: Python) -> None:
    code = """
from run import my_pipeline
from zenweb.client import Client

my_pipeline.create_run_template(name="doubling")

template = Client().get_run_template("doubling")
config = template.config_template
config.steps["my_step"].parameters["my_param"] = 21
run = Client().trigger_pipeline(template_id=template.id, run_configuration=config, synchronous=True)
print(run.status.value, run.steps["my_step"].outputs["doubled"].load(), run.steps["summary"].outputs["output"].load())
"""
    assert printed(python(code))[-1] == "completed 42 it is 42"


def test_a_template_is_made_from_a_run(python: Python) -> None:
    code = """
from run import my_pipeline
from zenweb.client import Client

started = my_pipeline()
run = Client().get_pipeline_run(started.name)
template = Client().create_run_template(name="from a run", deployment_id=run.deployment_id)
print(template.name)
config = {"steps": {"my_step": {"parameters": {"my_param": 3}}}}
print(Client().trigger_pipeline("my_pipeline", run_configuration=config).status.value)
"""
    assert printed(python(code))[-2:] == ["from a run", "initializing"]


def test_what_stands_at_module_level_acts_once(python: Python) -> None:
    """The worker imports this very module; the template and run in it must not be made again there."""
    code = (
        MY_PIPELINE
        + """
from zenweb.client import Client

template = my_pipeline.create_run_template(name="at module level")
config = Client().get_run_template("at module level").config_template
config.steps["my_step"].parameters["my_param"] = 4
run = Client().trigger_pipeline(template_id=template.id, run_configuration=config, synchronous=True)
print(run.status.value, run.steps["summary"].outputs["output"].load())
print(len(Client().list_run_templates(name="at module level")))
"""
    )
    assert printed(python(code))[-2:] == ["completed it is 8", "1"]


def test_on_the_local_stack_it_runs_here_and_is_recorded(python: Python) -> None:
    code = """
import os
from run import my_pipeline
run = my_pipeline()
print(run.status.value, run.steps["summary"].outputs["output"].load())
"""
    assert printed(python(code, stack="default"))[-1] == "completed it is 2"


def test_a_failure_on_the_local_stack_is_raised_here_and_recorded(python: Python, site: Site) -> None:
    code = """
from run import my_step, summary
from zenweb import pipeline

@pipeline
def unlucky():
    summary(my_step(13))

unlucky()
"""
    process = python(code, stack="default")
    assert "ValueError: thirteen brings bad luck" in process.stderr
    headers = {"Authorization": f"Bearer {site.api_key}"}
    runs = httpx.get(f"{site.url}/api/v1/runs?pipeline=unlucky", headers=headers).json()
    assert [run["body"]["status"] for run in runs["items"]] == ["failed"]


def test_a_template_of_the_local_stack_is_refused(zenweb: Python) -> None:
    process = zenweb("pipeline", "create-run-template", "run.my_pipeline", "--name=t", stack="default")
    assert process.returncode == 2
    assert "zenweb stack set" in process.stderr
    assert "celery" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_name_that_is_taken_needs_update(zenweb: Python) -> None:
    command = ("pipeline", "create-run-template", "run.my_pipeline", "--name=taken")
    assert zenweb(*command).returncode == 0
    assert "--update" in zenweb(*command).stderr
    assert "version 1" in zenweb(*command, "--update").stdout


def test_an_unreachable_server_is_one_sentence(zenweb: Python) -> None:
    process = zenweb("stack", "list", url="http://127.0.0.1:9")
    assert process.returncode == 4
    assert "http://127.0.0.1:9" in process.stderr
    assert "Traceback" not in process.stderr


def test_the_manuals_three_calls_trigger_a_run(zenweb: Python, site: Site) -> None:
    zenweb("pipeline", "create-run-template", "run.my_pipeline", "--name=by curl")
    with httpx.Client(
        base_url=f"{site.url}/api/v1", headers={"Authorization": f"Bearer {site.api_key}"}
    ) as client:
        pipeline = client.get("/pipelines?hydrate=false&name=my_pipeline").json()["items"][0]
        query = f"hydrate=false&logical_operator=and&page=1&size=20&pipeline_id={pipeline['id']}"
        found = client.get(f"/run_templates?{query}").json()["items"]
        [template] = [each for each in found if each["name"] == "by curl"]  # others run theirs here, too
        body = {"steps": {"my_step": {"parameters": {"my_param": 5}}}}
        run = client.post(f"/run_templates/{template['id']}/runs", json=body)
    assert run.status_code == 200
    assert run.json()["body"]["status"] == "initializing"
