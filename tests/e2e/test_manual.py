"""Every code block of the page that users of run templates read, run as they copy it, against a running server.

The page is ZenML's. Its blocks run twice: with `zenweb` for `zenml`, and as they are, under `zenweb.compat`.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Site
from tests.e2e.test_sdk import execute, printed
from tests.factories import PIPELINES
from tests.markdown import blocks_of
from zenweb.client import Client
from zenweb.config.source import import_source
from zenweb.pipelines import Pipeline
from zenweb.responses import PipelineRunResponse

PAGE = blocks_of((Path(__file__).parents[1] / "manual" / "blocks.md").read_text())
INTRODUCTION = "Real-world Use Case"
CREATING = "Creating Pipeline Templates"
RUNNING = "Running Pipeline Templates"
FROM_OTHERS = "Advanced Usage: Running Templates from Other Pipelines"

# What the page leaves to its readers. `{...}` names a fact of the test; nothing else of a block is changed.
FILLED_IN = {
    "https://your-zenml-server": "{server}",
    "<YOUR_ZENML_SERVER_URL>": "{server}",
    "Bearer TOKEN": "Bearer {api_key}",
    "<YOUR_TOKEN>": "{api_key}",
    '"steps": {...}': '"steps": {"data_loader": {"parameters": {"data_path": "s3://from-ci/"}}}',
    "<RUN_NAME_OR_ID>": "{run_name}",
    "<TEMPLATE_NAME>": "{template_name}",
    "<PIPELINE_SOURCE_PATH>": "run.my_pipeline",
    "= new_value": "= 21",
    "<PIPELINE_NAME>": "retraining_pipeline",
    "<PIPELINE_ID>": "{pipeline_id}",
    "<TEMPLATE_ID>": "{template_id}",
    "<YOUR-TEMPLATE-ID>": '"{template_id}"',
}
MISSING_IMPORTS = {FROM_OTHERS: "from uuid import UUID\n"}
WAIT = 60  # seconds, for a run that takes one


@dataclass(frozen=True)
class Reader:
    """Copies blocks into a folder, fills in what they leave open, and runs them."""

    spelling: str
    folder: Path
    site: Site

    def blocks(self, section: str, language: str, **facts: Any) -> list[str]:
        given = {"server": self.site.url, "api_key": self.site.api_key, **facts}
        found = [block.code for block in PAGE if (block.section, block.language) == (section, language)]
        return [filled_in(code, given).replace("zenml", self.spelling) for code in found]

    def write(self, section: str, *blocks: str) -> None:
        """As `run.py`: the blocks of a section are one module, as they share their names on the page."""
        code = "\n".join([MISSING_IMPORTS.get(section, ""), *blocks])
        (self.folder / "run.py").write_text(code)

    def python(self, file: str = "run.py") -> list[str]:
        return self._execute(*self.compat, file)

    def python_code(self, code: str) -> list[str]:
        """What their reader writes beside them."""
        (self.folder / "own.py").write_text(code)
        return self.python("own.py")

    def bash(self, block: str) -> str:
        command = ["bash", "-c", block]
        return "\n".join(self._execute(*([*self.compat, "--", *command] if self.compat else command)))

    @property
    def compat(self) -> list[str]:
        return ["-m", "zenweb.compat"] if self.spelling == "zenml" else []

    def _execute(self, *command: str) -> list[str]:
        line = [*command] if command[0] == "bash" else [sys.executable, *command]
        return printed(execute(line, self.folder, self.site, "celery", self.site.url))


def filled_in(code: str, facts: dict[str, Any]) -> str:
    """A fact that is a list has a value for each place."""

    def value(place: re.Match[str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda fact: _next(facts[fact[1]]), FILLED_IN[place[0]])

    return re.sub("|".join(map(re.escape, FILLED_IN)), value, code)


def _next(fact: Any) -> str:
    return str(fact.pop(0) if isinstance(fact, list) else fact)


@pytest.fixture(params=["zenweb", "zenml"])
def reader(request: pytest.FixtureRequest, tmp_path: Path, site: Site) -> Reader:
    return Reader(request.param, tmp_path, site)


@pytest.fixture(scope="module")
def sdk(site: Site) -> Iterator[Client]:
    """Sees what came of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENWEB_SERVER_URL", site.url)
        patch.setenv("ZENWEB_API_KEY", site.api_key)
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield Client()


@pytest.fixture(scope="module")
def templates(sdk: Client) -> None:
    """What the page takes for granted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PIPELINES)
        for name, source in (
            ("daily-retraining", "manual.retraining_pipeline"),
            ("tunable", "manual.pipeline_with_my_step"),
        ):
            import_source(source, Pipeline).create_run_template(name, stack="celery")


def newest_run(sdk: Client, template: str) -> PipelineRunResponse:
    return sdk.list_pipeline_runs(template_id=sdk.get_run_template(template).id, size=1)[0]


def model_of(run: PipelineRunResponse) -> dict[str, Any]:
    """What the training was given."""
    assert run.wait(WAIT).status == "completed", run.status_reason
    return run.steps["model_trainer"].outputs["model"].load()


@pytest.mark.skipif("ZENWEB_MANUAL" not in os.environ, reason="ZENWEB_MANUAL does not name the page")
def test_the_blocks_are_those_of_the_page() -> None:
    assert blocks_of(Path(os.environ["ZENWEB_MANUAL"]).read_text()) == PAGE


def test_every_block_is_run_by_a_test_below() -> None:
    assert Counter((block.section, block.language) for block in PAGE) == {
        (INTRODUCTION, "python"): 1,
        (INTRODUCTION, "bash"): 1,
        (CREATING, "python"): 1,
        (CREATING, "bash"): 1,
        (RUNNING, "python"): 1,
        (RUNNING, "bash"): 3,
        (FROM_OTHERS, "python"): 2,
    }


def test_introduction(reader: Reader, sdk: Client, templates: None) -> None:
    reader.write(INTRODUCTION, *reader.blocks(INTRODUCTION, "python"))
    reader.python()
    model = model_of(newest_run(sdk, "daily-retraining"))
    assert model == {"data": "s3://new-data/", "learning_rate": 0.01, "model_type": "svm"}

    [curl] = reader.blocks(INTRODUCTION, "bash")
    started = sdk.get_pipeline_run(json.loads(reader.bash(curl))["id"])
    assert model_of(started)["data"] == "s3://from-ci/"


def test_creating_templates(reader: Reader, sdk: Client, templates: None) -> None:
    ran = sdk.trigger_pipeline(template_id="daily-retraining")
    from_run, from_code, by_command = (f"{way}-{reader.spelling[3:]}" for way in ("run", "code", "command"))
    names = {"run_name": ran.name, "template_name": [from_run, from_code]}
    reader.write(CREATING, *reader.blocks(CREATING, "python", **names))
    reader.python()
    assert sdk.get_run_template(from_run).deployment_id == ran.deployment_id
    assert sdk.trigger_pipeline(template_id=from_code, synchronous=True).status == "completed"

    # The command imports that very file: the templates that are made in it are not made again.
    [command] = reader.blocks(CREATING, "bash", template_name=by_command)
    reader.bash(command)
    made = sdk.get_run_template(by_command)
    assert made.deployment_id == sdk.get_run_template(from_code).deployment_id
    assert sdk.trigger_pipeline(template_id=made.id, synchronous=True).status == "completed"


def test_running_templates_from_python(reader: Reader, sdk: Client, templates: None) -> None:
    reader.write(RUNNING, *reader.blocks(RUNNING, "python", template_name="tunable"))
    reader.python()
    run = newest_run(sdk, "tunable").wait(WAIT)
    assert run.steps["my_step"].outputs["doubled"].load() == 42


def test_running_templates_over_rest(reader: Reader, sdk: Client, templates: None) -> None:
    facts: dict[str, Any] = {"pipeline_id": None, "template_id": None}

    def ask(number: int) -> dict[str, Any]:
        return json.loads(reader.bash(reader.blocks(RUNNING, "bash", **facts)[number]))

    facts["pipeline_id"] = ask(0)["items"][0]["id"]
    facts["template_id"] = ask(1)["items"][0]["id"]
    assert model_of(sdk.get_pipeline_run(ask(2)["id"]))["model_type"] == "rf"


PREPARE = """
from run import training_pipeline

training_pipeline.create_run_template("my-specific-template-name", update=True)
print(training_pipeline.create_run_template("{newest}", update=True).id)
"""
RUN_BOTH = """
from zenweb import pipeline
from run import load_data, loads_data_and_triggers_training, trigger_specific_template

@pipeline
def loads_data_and_triggers_specific_templates():
    trigger_specific_template(load_data())

for parent in (loads_data_and_triggers_training, loads_data_and_triggers_specific_templates):
    print(parent.with_options(enable_cache=False)().id)
"""


def test_running_templates_from_other_pipelines(reader: Reader, sdk: Client) -> None:
    # The second block has to be told the id of a template that the first one makes.
    first, _ = reader.blocks(FROM_OTHERS, "python", template_id=None)
    reader.write(FROM_OTHERS, first)
    newest = f"newest-{reader.spelling[3:]}"
    *_, template_id = reader.python_code(PREPARE.format(newest=newest))
    reader.write(FROM_OTHERS, *reader.blocks(FROM_OTHERS, "python", template_id=template_id))

    by_name, by_template = [
        sdk.get_pipeline_run(printed) for printed in reader.python_code(RUN_BOTH) if is_id(printed)
    ]
    assert templates_that_trained_with_data_of(by_name, sdk) == [newest]
    assert templates_that_trained_with_data_of(by_template, sdk) == ["my-specific-template-name", newest]


def templates_that_trained_with_data_of(parent: PipelineRunResponse, sdk: Client) -> list[str]:
    """Of the runs that the parent's steps have started: each was given the id of its data, and could load them."""
    assert parent.wait(WAIT).status == "completed", parent.status_reason
    given = {"data_artifact_id": str(parent.steps["load_data"].output.id)}
    everyone = sdk.list_pipeline_runs(pipeline="training_pipeline")
    children = [run for run in everyone if run.steps["trainer"].config["parameters"] == given]
    assert [run.wait(WAIT).status for run in children] == ["completed"] * len(children)
    return sorted(sdk.get_run_template(run.template_id).name for run in children)


def is_id(line: str) -> bool:
    return re.fullmatch(r"[0-9a-f-]{36}", line) is not None
