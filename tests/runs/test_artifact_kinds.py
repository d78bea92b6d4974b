"""Values of every kind go from a step's process through the store into another's, and to the page."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt
from runs_app.worker import StepWorker
from templates_app.models import Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import finished
from zenweb.accounts.models import User
from zenweb.artifacts import materializers

pytest.importorskip("plotly")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(stacks: dict[str, Stack], alice: User) -> PipelineRun:
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    template = make_template(freeze("kinds.kinds_pipeline", alice, stacks["celery"]), alice, "kinds")
    started = launch(template, alice)
    worker.run_ready_steps("default")
    worker.shut_down()
    return finished(started)


def version(name: str) -> ArtifactVersion:
    return ArtifactVersion.objects.get(artifact__name=name)


def preview(name: str) -> Any:
    found = version(name)
    return found.preview["kind"], (Path(found.uri) / found.preview["file"]).read_bytes()


def test_everything_comes_through_is_described_and_is_shown(
    run: PipelineRun, client: Client, alice: User
) -> None:
    assert run.status == "completed", run.status_reason
    same = materializers.load(version("same").uri, version("same").materializer)
    assert same == dict.fromkeys(same, True)
    _the_metadata_describe_it()
    _each_has_a_bounded_preview_of_its_kind()
    _a_pickle_is_warned_about_in_the_log(run)
    _the_page_shows_all(client, alice, run)


def _the_metadata_describe_it() -> None:
    cities = version("cities").metadata
    assert (cities["shape"], cities["columns"]) == ([4, 4], ["city", "people", "share", "founded"])
    assert cities["null_counts"] == {"city": 1, "share": 1, "founded": 1}
    assert (version("people").metadata["shape"], version("people").metadata["null_counts"]) == ([4], 0)
    assert version("matrix").metadata["shape"] == [4, 3]
    assert version("image").metadata["shape"] == [256, 256]
    assert version("curve").metadata["string_representation"] == "Loss"
    assert all(found.metadata["storage_size"] > 0 for found in ArtifactVersion.objects.all())


def _each_has_a_bounded_preview_of_its_kind() -> None:
    kinds = {
        "values": "json",
        "score": "json",
        "cities": "table",
        "people": "table",
        "matrix": "table",
        "cube": "text",
        "csv": "table",
        "curve": "image",
        "plotly": "figure",
        "image": "image",
        "markdown": "markdown",
        "page": "html",
        "json": "json",
        "long text": "text",
        "file": "text",
    }
    assert {name: preview(name)[0] for name in kinds} == kinds
    assert all(len(preview(name)[1]) < 100_000 for name in kinds)
    assert preview("curve")[1].startswith(b"\x89PNG")
    assert json.loads(preview("cities")[1])["rows"][1] == ["Basel", 173863, 0.24, None]


def _a_pickle_is_warned_about_in_the_log(run: PipelineRun) -> None:
    log = StepAttempt.objects.get(step__run=run, step__name="unknown").log_tail
    assert "No materializer knows the type 'kinds.Unknown': it is stored with cloudpickle" in log


def _the_page_shows_all(client: Client, alice: User, run: PipelineRun) -> None:
    client.force_login(alice)
    page = client.get(run.get_absolute_url()).text
    assert "<h4>Quality report</h4>" in page
    assert "&lt;b&gt;no HTML&lt;/b&gt;" in page
    assert 'href="javascript' not in page
    assert '<td class="number">0.12</td>' in page
    assert 'style="' not in page  # a text that is shown may well hold `style=&#x27;`
    assert '<th scope="row">Accuracy</th><td>0.9321</td>' in page
    assert '<th scope="row">fp</th><td>3</td>' in page
    assert '<a href="https://example.com/report" rel="nofollow noopener noreferrer">' in page
    assert '<th scope="row">Champion</th><td>svm</td>' in page
    assert '<th scope="row">Folds</th><td>0.91, 0.94, 0.95</td>' in page
