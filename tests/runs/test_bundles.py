"""Templates that past versions froze are applied here and run to their end, with the same results."""

import json
from pathlib import Path
from typing import Any

import pytest

from runs_app.applying import Outcome, apply_template
from runs_app.checking import check_template
from runs_app.models import PipelineRun, StepOutput
from runs_app.services import Trigger, launch_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate
from templates_app.services import store_code_archive
from tests.bundles import freezing
from tests.runs.test_worker import wait_for
from zenweb.accounts.models import User
from zenweb.accounts.services import default_project
from zenweb.artifacts import materializers
from zenweb.config.template_bundle import read_bundle
from zenweb.enums import TriggerChannel

FOLDERS = sorted(path.parent for path in freezing.HERE.glob(f"*/{freezing.SUMS}"))
BUNDLES = [path for folder in FOLDERS for path in sorted(folder.glob("*.zip"))]
ONGOING = 60.0  # seconds that a run may take on a busy machine


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_bundle_that_is_committed_is_never_changed(folder: Path) -> None:
    assert freezing.sums(folder) == (folder / freezing.SUMS).read_text()


def test_there_are_bundles_of_this_version() -> None:
    assert {"0.1/values.zip", "0.1/flow.zip", "0.1/composed.zip"} <= {
        f"{path.parent.name}/{path.name}" for path in BUNDLES
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_is_applied_and_runs_as_ever(path: Path, stacks: Any, alice: User, worker: StepWorker) -> None:
    template = applied(path, alice)
    assert check_template(template).runs
    for expected in json.loads(path.with_suffix(".json").read_text())["runs"]:
        run = launch_run(
            deployment=template.deployment,
            version=template.version,
            configuration=expected["configuration"],
            preset=expected.get("preset", ""),
            trigger=Trigger(actor=alice, channel=TriggerChannel.REST),
        ).run
        wait_for(lambda run=run: PipelineRun.objects.get(pk=run.pk).is_finished, ONGOING)
        run.refresh_from_db()
        assert (run.status, run.status_reason) == ("completed", "")
        assert outputs_of(run) == expected["outputs"]


def applied(path: Path, actor: User) -> RunTemplate:
    found = read_bundle(path)
    store_code_archive(actor=actor, sha256=found.pipeline.sha256, content=found.code)
    for outcome in (Outcome.CREATED, Outcome.UNCHANGED):
        done = apply_template(actor=actor, project=default_project(), document=found.document)
        assert done.outcome is outcome
    template: RunTemplate = RunTemplate.objects.with_relations().get(name=found.document.name)
    return template


def outputs_of(run: PipelineRun) -> dict[str, Any]:
    """By step and name, as JSON would have them."""
    outputs = StepOutput.objects.filter(step__run=run).select_related("step", "artifact_version")
    loaded = {
        f"{output.step.name}.{output.name}": materializers.load(
            output.artifact_version.uri, output.artifact_version.materializer
        )
        for output in outputs
    }
    plain: dict[str, Any] = json.loads(json.dumps(dict(sorted(loaded.items()))))
    return plain
