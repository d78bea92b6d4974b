"""What user code notes about steps, runs and outputs: recorded with the attempt's end, on both databases, and shown."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs_app import recording
from runs_app.models import ArtifactVersion, PipelineRun, RunEvent, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.services import note_metadata, stop_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import finished, in_background, wait_for
from zenweb.accounts.models import User
from zenweb.artifacts import materializers
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ValidationFailed
from zenweb.execution.metadata import MOST_BYTES, decode_metadata, encode_metadata

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def noting(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("noting.noting_pipeline", alice, stacks["celery"]), alice, "noting")


@pytest.fixture
def waiting(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("noting.waiting_pipeline", alice, stacks["celery"]), alice, "waiting")


def run(template: RunTemplate, user: User, worker: StepWorker, step: str, **parameters: Any) -> PipelineRun:
    started = launch(template, user, {"steps": {step: {"parameters": parameters}}})
    worker.run_ready_steps("default")
    return finished(started)


def noted(run: PipelineRun, step: str) -> dict[str, Any]:
    return decode_metadata(StepRun.objects.get(run=run, name=step).metadata)


def test_a_step_notes_about_itself_its_output_and_its_run(
    noting: RunTemplate, alice: User, worker: StepWorker
) -> None:
    ended = run(noting, alice, worker, "notes")
    assert ended.status == ExecutionStatus.COMPLETED
    assert noted(ended, "notes") == {
        "epochs": 4,
        "rate": 0.5,
        "tags": ["a", None, True],
        "nested": {"x": 1},
    }
    assert ended.metadata == {"champion": "svm"}
    score = ArtifactVersion.objects.get(artifact__name="score").metadata
    assert (score["accuracy"], score["seen"], score["string_representation"]) == (0.93, True, "0.93")


def test_what_json_lacks_comes_back_equal(noting: RunTemplate, alice: User, worker: StepWorker) -> None:
    ended = run(noting, alice, worker, "notes", awkward=True)
    score = ArtifactVersion.objects.get(artifact__name="score").metadata
    for found in (noted(ended, "notes"), decode_metadata(ended.metadata), decode_metadata(score)):
        assert math.isnan(found["loss"])
        assert found["best"] == -math.inf
        assert (found["text"], found["big"], found["day"]) == ("a\x00b", 1e300, date(2024, 2, 29))


def test_the_context_knows_the_run_the_step_and_its_settings(
    noting: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    ended = run(noting, alice, worker, "tells", folder=str(tmp_path))
    step = StepRun.objects.get(run=ended, name="tells")
    version = ArtifactVersion.objects.get(artifact__name="told")
    told = materializers.load(version.uri, version.materializer)
    assert told | {"key": ""} == {
        "run": f"{ended.id} {ended.name}",
        "step": f"{step.id} tells",
        "pipeline": "noting_pipeline",
        "parameters": str(tmp_path),
        "retry": "2",
        "input": "score 1 0.93",
        "uri": version.uri,
        "attempt": "1",
        "key": "",
    }
    assert version.metadata["by"] == "context"


def test_a_step_taken_from_the_cache_bears_what_was_noted_then(
    noting: RunTemplate, alice: User, worker: StepWorker
) -> None:
    run(noting, alice, worker, "notes")
    again = run(noting, alice, worker, "notes")
    assert StepRun.objects.get(run=again, name="notes").status == ExecutionStatus.CACHED
    assert noted(again, "notes")["epochs"] == 4


def test_what_a_running_step_notes_is_seen_before_it_ends(
    waiting: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    started = launch(
        waiting, alice, {"steps": {"waits": {"parameters": {"folder": str(tmp_path), "how": "wait"}}}}
    )
    working = in_background(lambda: worker.run_ready_steps("default"))
    wait_for(lambda: noted(started, "waits").get("attempt") == 1)
    assert StepRun.objects.get(run=started).status == ExecutionStatus.RUNNING
    (tmp_path / "go").touch()
    working.join(15)
    assert finished(started).metadata == {"run 1": 1}


def test_only_the_attempt_that_ended_the_step_leaves_its_notes(
    waiting: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    ended = run(waiting, alice, worker, "waits", folder=str(tmp_path), how="fail once")
    assert noted(ended, "waits") == {"attempt": 2, "only in 2": 1}
    assert ended.metadata == {"run 2": 1}


def test_a_failed_step_keeps_what_it_noted(
    waiting: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    ended = run(waiting, alice, worker, "waits", folder=str(tmp_path), how="fail")
    assert ended.status == ExecutionStatus.FAILED
    assert noted(ended, "waits") == {"attempt": 2, "only in 2": 1}


def test_a_lost_attempt_leaves_no_notes(waiting: RunTemplate, alice: User) -> None:
    started = launch(waiting, alice, {"steps": {"waits": {"parameters": {"folder": "/"}}}})
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    lost = recording.claim_ready_step(worker, "default")
    assert lost is not None
    recording.show_metadata(lost, {"lost": 1})
    assert StepRun.objects.get(run=started).metadata == {"lost": 1}
    recording.bury_worker(worker, "died", most_deaths=3)
    assert StepRun.objects.get(run=started).metadata == {}
    other = Worker.objects.create(name="w2", hostname="h", pid=2, queues=["default"], slots=1)
    assert recording.claim_ready_step(other, "default") is not None
    recording.show_metadata(lost, {"late": 1})
    late = StepOutcome(metadata={"late": 1}, run_metadata={"late": 1})
    assert recording.record_end(lost, late) is False
    assert StepRun.objects.get(run=started).metadata == {}
    assert PipelineRun.objects.get().metadata == {}


def test_too_much_about_a_run_is_left_out_and_said(waiting: RunTemplate, alice: User) -> None:
    launch(waiting, alice, {"steps": {"waits": {"parameters": {"folder": "/"}}}})
    PipelineRun.objects.update(metadata={"full": "x" * (MOST_BYTES - 100)})
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    assert recording.record_end(attempt, StepOutcome(run_metadata={"more": "x" * 200}))
    assert PipelineRun.objects.get().metadata.keys() == {"full"}
    sentence = "What step waits noted about the run was left out"
    assert RunEvent.objects.filter(sentence__startswith=sentence).exists()


# -- from outside ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ended(noting: RunTemplate, alice: User, worker: StepWorker) -> PipelineRun:
    return run(noting, alice, worker, "notes")


def post(rest: Client, kind: str, thing: Any, values: Any, status: int = 200) -> Any:
    body = {"resources": [{"id": str(thing.id), "type": kind}], "values": values, "types": {}}
    answer = rest.post("/api/v1/run-metadata", body, content_type="application/json")
    assert answer.status_code == status, answer.text
    return answer.json()


def test_metadata_come_over_rest_and_are_told_by_it(rest: Client, ended: PipelineRun) -> None:
    step = StepRun.objects.get(run=ended, name="notes")
    version = ArtifactVersion.objects.get(artifact__name="score")
    for kind, thing, path in [
        ("pipeline_run", ended, "runs"),
        ("step_run", step, "steps"),
        ("artifact_version", version, "artifact_versions"),
    ]:
        assert post(rest, kind, thing, encode_metadata({"later": math.inf})) is None
        told = rest.get(f"/api/v1/{path}/{thing.id}").json()["metadata"]["run_metadata"]
        assert len(told) > 1
        assert decode_metadata(told)["later"] == math.inf


@pytest.mark.parametrize(
    ("kind", "values", "pointer", "sentence"),
    [
        (
            "model_version",
            {"a": 1},
            "/resources/0/type",
            "about a pipeline_run, a step_run or an artifact_version",
        ),
        ("pipeline_run", {"a": {"$zenweb": "no such"}}, "/a", "unknown kind"),
        ("pipeline_run", {"a": "x" * MOST_BYTES}, "", "bytes of metadata"),
        ("pipeline_run", {"": 1}, "/", "1 to 255 printable characters"),
        ("pipeline_run", {}, "/values", "at least 1 item"),
    ],
)
def test_what_is_no_metadata_is_refused_with_its_place(
    rest: Client, ended: PipelineRun, kind: str, values: Any, pointer: str, sentence: str
) -> None:
    [error] = post(rest, kind, ended, values, 422)["errors"]
    assert error["pointer"] == pointer
    assert sentence in error["message"]
    assert PipelineRun.objects.get().metadata == {"champion": "svm"}


def test_a_step_that_has_not_ended_is_not_noted_about_from_outside(
    rest: Client, waiting: RunTemplate, alice: User
) -> None:
    started = launch(waiting, alice, {"steps": {"waits": {"parameters": {"folder": "/"}}}})
    answer = post(rest, "step_run", StepRun.objects.get(run=started), {"a": 1}, 422)
    assert "has not ended" in answer["detail"][1]
    stop_run(actor=alice, run=started)
    assert post(rest, "step_run", StepRun.objects.get(run=started), {"a": 1}) is None


@pytest.mark.parametrize(
    "name", ["file_name", "sha256", "storage_size", "file_count", "string_representation"]
)
def test_what_was_stored_is_not_spoken_over_from_outside(rest: Client, ended: PipelineRun, name: str) -> None:
    version = ArtifactVersion.objects.get(artifact__name="score")
    before = version.metadata
    [error] = post(rest, "artifact_version", version, {"later": 1, name: "x"}, 422)["errors"]
    assert (error["pointer"], "choose another name" in error["message"]) == (f"/{name}", True)
    version.refresh_from_db()
    assert version.metadata == before
    post(rest, "pipeline_run", ended, {name: "x"})


def test_of_several_things_all_are_noted_about_or_none(ended: PipelineRun, alice: User) -> None:
    full = StepRun.objects.get(run=ended, name="notes")
    StepRun.objects.filter(pk=full.pk).update(metadata={"full": "x" * (MOST_BYTES - 50)})
    with pytest.raises(ValidationFailed, match="bytes of metadata"):
        note_metadata(actor=alice, things=[ended, full], values={"more": "x" * 100})
    ended.refresh_from_db()
    assert "more" not in ended.metadata
