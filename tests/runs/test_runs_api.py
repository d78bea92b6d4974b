"""Launching and following runs over REST."""

import json
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from runs_app import recording
from runs_app.models import IdempotencyRecord, LogChunk, PipelineRun, StepAttempt, StepRun
from runs_app.recording import LogPiece
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.factories import freeze
from zenweb import patience
from zenweb.accounts.models import User
from zenweb.execution.live_report import LEASE_INTERVAL

API = "/api/v1"


def trigger(rest: Client, template: RunTemplate, body: Any = None, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    text = json.dumps(body) if body is not None else ""
    return rest.post(
        f"{API}/run_templates/{template.id}/runs", text, content_type="application/json", headers=headers
    )


def with_rate(rate: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": {"learning_rate": rate}}}}


def test_a_run_is_accepted_with_a_partial_configuration(rest: Client, template: RunTemplate) -> None:
    answer = trigger(rest, template, with_rate(0.5))
    assert answer.status_code == 200
    entity = answer.json()
    assert entity["body"]["status"] == "initializing"
    assert entity["metadata"]["template_id"] == str(template.id)
    trainer = StepRun.objects.get(run_id=entity["id"], name="trainer")
    assert trainer.parameters == {"learning_rate": 0.5, "model_type": "svm"}


def test_the_manuals_shortest_call_works(rest: Client, template: RunTemplate) -> None:
    """A name in the path, and curl's own content type."""
    answer = rest.post(
        f"{API}/run_templates/{template.name}/runs",
        json.dumps(with_rate(0.5)),
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200


def test_every_body_is_json_whatever_its_header_says(rest: Client, template: RunTemplate) -> None:
    answer = rest.put(
        f"{API}/run_templates/{template.name}",
        json.dumps({"max_concurrent_runs": 1, "concurrency_policy": "skip"}),
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200
    template.refresh_from_db()
    assert template.max_concurrent_runs == 1


@pytest.mark.parametrize("body", [None, {}, {"steps": {}}, {"steps": None, "settings": {}, "tags": None}])
def test_nothing_set_runs_with_the_defaults(rest: Client, template: RunTemplate, body: Any) -> None:
    assert trigger(rest, template, body).status_code == 200


def test_wrong_values_are_refused_with_their_pointers_and_nothing_is_made(
    rest: Client, template: RunTemplate
) -> None:
    body = {"steps": {"trainer": {"parameters": {"learning_rate": 2, "modeltype": "rf"}}, "evaluater": {}}}
    answer = trigger(rest, template, body)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/steps/trainer/parameters/learning_rate",
        "/steps/trainer/parameters/modeltype",
        "/steps/evaluater",
    }
    assert "Did you mean 'model_type'?" in answer.json()["detail"][1]
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize("body", ["{", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 20_000])
def test_broken_json_is_refused(rest: Client, template: RunTemplate, body: str) -> None:
    answer = rest.post(f"{API}/run_templates/{template.id}/runs", body, content_type="application/json")
    assert answer.status_code == 400
    assert not PipelineRun.objects.exists()


def test_a_number_that_is_too_long_is_told_in_words_for_who_sent_it(
    rest: Client, template: RunTemplate
) -> None:
    answered = rest.post(
        f"/api/v1/run_templates/{template.name}/runs",
        f'{{"tags": {"9" * 6000}}}',
        content_type="application/json",
    )
    assert answered.status_code == 400
    assert "a number of 6,000 digits is longer than 4,300" in answered.text
    assert "sys." not in answered.text


def test_one_key_makes_one_run(rest: Client, template: RunTemplate) -> None:
    first = trigger(rest, template, with_rate(0.5), key="k1")
    second = trigger(rest, template, with_rate(0.5), key="k1")
    assert first.json()["id"] == second.json()["id"]
    assert second["Idempotent-Replayed"] == "true"
    assert (PipelineRun.objects.count(), IdempotencyRecord.objects.count()) == (1, 1)


def test_one_key_with_another_body_is_refused(rest: Client, template: RunTemplate) -> None:
    trigger(rest, template, with_rate(0.5), key="k1")
    assert trigger(rest, template, with_rate(0.6), key="k1").status_code == 422
    assert PipelineRun.objects.count() == 1


def test_a_disabled_template_does_not_run(rest: Client, template: RunTemplate) -> None:
    RunTemplate.objects.update(is_enabled=False)
    assert trigger(rest, template).status_code == 422


def test_a_run_name_that_is_taken_is_refused(rest: Client, template: RunTemplate) -> None:
    assert trigger(rest, template, {"run_name": "mine"}).json()["name"] == "mine"
    assert trigger(rest, template, {"run_name": "mine"}).status_code == 409


def test_what_has_no_effect_yet_is_said(rest: Client, template: RunTemplate) -> None:
    warnings = trigger(rest, template, {"enable_heartbeat": True, "enable_cache": True}).json()["warnings"]
    assert warnings == ["/enable_heartbeat: accepted, no effect"]


def test_a_run_is_listed_found_and_stopped(rest: Client, template: RunTemplate) -> None:
    run = trigger(rest, template).json()
    assert rest.get(f"{API}/runs?status=initializing&template_id={template.id}").json()["total"] == 1
    assert [step["name"] for step in rest.get(f"{API}/runs/{run['id']}/steps").json()["items"]] == [
        "trainer",
        "evaluator",
    ]
    assert rest.post(f"{API}/runs/{run['name']}/stop").json() is None
    assert rest.get(f"{API}/runs/{run['id']}/status").json() == "stopped"


def report(assignment: dict[str, Any], output: str, uri: str | None = None) -> dict[str, Any]:
    saved = {
        "name": output,
        "uri": uri or f"/home/alice/{assignment['artifact_uri']}/{output}",
        "materializer": "m.M",
        "data_type": "builtins.float",
        "type": "DataArtifact",
    }
    return {"attempt": assignment["attempt"], "status": "completed", "outputs": [saved], "log": "done"}


@pytest.mark.parametrize(
    ("output", "uri"), [("score", "/etc/passwd"), ("other", None), ("score", "/x/../score")]
)
def test_a_caller_cannot_pass_other_files_off_as_outputs(
    rest: Client, alice: User, stacks: dict[str, Stack], output: str, uri: str | None
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = rest.post(f"{API}/pipeline_deployments/{local.id}/runs", content_type="application/json").json()
    steps = f"{API}/runs/{run['id']}/steps"
    end = report(rest.post(f"{steps}/trainer/start").json(), output, uri)
    assert rest.post(f"{steps}/trainer/end", end, content_type="application/json").status_code == 422


def test_a_local_run_is_reported_by_its_caller(rest: Client, alice: User, stacks: dict[str, Stack]) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = rest.post(f"{API}/pipeline_deployments/{local.id}/runs", content_type="application/json").json()
    steps = f"{API}/runs/{run['id']}/steps"
    assert rest.post(f"{steps}/evaluator/start").status_code == 422  # not before the trainer
    for step, output in (("trainer", "score"), ("evaluator", "metrics")):
        end = report(rest.post(f"{steps}/{step}/start").json(), output)
        assert rest.post(f"{steps}/{step}/end", end, content_type="application/json").json() == {
            "recorded": True,
            "retry_after": None,
        }
    assert rest.get(f"{API}/runs/{run['id']}/status").json() == "completed"


def test_what_a_caller_tells_of_a_running_step_is_shown_once_and_stays(
    rest: Client, alice: User, stacks: dict[str, Stack]
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = trigger_deployment(rest, local)
    step = f"{API}/runs/{run['id']}/steps/trainer"
    for _ in range(2):  # an answer is lost, and it is asked again
        assignment = rest.post(f"{step}/start").json()
    assert assignment["attempt"] == 1
    first = {"attempt": 1, "piece": 0, "log": "epoch 1\x00\n", "step_metadata": {"epoch": 1}}
    for _ in range(2):
        answer = rest.post(f"{step}/progress", first, content_type="application/json")
        assert answer.json() == {"goes_on": True}
    shown = rest.get(f"{API}/steps/{assignment['step_run_id']}").json()
    assert shown["metadata"]["run_metadata"] == {"epoch": 1}
    assert rest.get(f"{API}/runs/{run['id']}/logs").json() == "--- trainer\nepoch 1\ufffd\n--- evaluator\n"
    end = report(assignment, "score") | {"piece": 1, "log": "epoch 2\n"}
    for recorded in (True, False):
        answer = rest.post(f"{step}/end", end, content_type="application/json")
        assert answer.json()["recorded"] is recorded
    assert rest.get(f"{API}/steps/{assignment['step_run_id']}/logs").json() == "epoch 1\ufffd\nepoch 2\n"
    late = rest.post(f"{step}/progress", first | {"piece": 2}, content_type="application/json")
    assert late.json() == {"goes_on": True}  # the run does; the piece is not kept
    assert LogChunk.objects.count() == 2


def test_a_run_is_not_given_up_while_its_own_process_bears_a_server_that_is_away(settings: Any) -> None:
    unheard_of = patience.SECONDS + 2 * LEASE_INTERVAL
    assert settings.LOCAL_RUN_LEASE.total_seconds() > unheard_of


def test_the_next_piece_of_a_log_costs_the_same_however_many_there_are(
    rest: Client, alice: User, stacks: dict[str, Stack], django_assert_num_queries: Any
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = trigger_deployment(rest, local)
    assignment = rest.post(f"{API}/runs/{run['id']}/steps/trainer/start").json()
    attempt = StepAttempt.objects.get(step=assignment["step_run_id"])
    for number in range(3):
        with django_assert_num_queries(3) as statements:
            recording.append_piece(attempt, LogPiece(number, "epoch\n"))
        assert [each["sql"][:6] for each in statements if "logchunk" in each["sql"]] == ["INSERT"]


def test_a_log_that_was_told_in_part_to_a_version_that_counted_goes_on(
    rest: Client, alice: User, stacks: dict[str, Stack]
) -> None:
    run = trigger_deployment(rest, freeze("training.training_pipeline", alice, stacks["default"]))
    rest.post(f"{API}/runs/{run['id']}/steps/trainer/start")
    attempt = StepAttempt.objects.get()
    for number in range(2):
        recording.append_piece(attempt, LogPiece(number, f"epoch {number}\n"))
    StepAttempt.objects.update(log_pieces=None, log_length=None)
    import_module("runs_app.migrations.0014_log_pieces").count_pieces(apps, None)
    recording.append_piece(attempt, LogPiece(2, "epoch 2\n"))
    attempt.refresh_from_db()
    assert (attempt.log_pieces, attempt.log_length, LogChunk.objects.count()) == (3, 24, 3)


def test_a_caller_is_told_while_its_step_runs_that_the_run_is_to_stop(
    rest: Client, alice: User, stacks: dict[str, Stack], settings: Any
) -> None:
    settings.LOG_LIMIT = 10
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = trigger_deployment(rest, local)
    step = f"{API}/runs/{run['id']}/steps/trainer"
    rest.post(f"{step}/start")
    rest.post(f"{API}/runs/{run['id']}/stop")
    told = {"attempt": 1, "log": "0123456789 and more"}
    assert rest.post(f"{step}/progress", told, content_type="application/json").json() == {"goes_on": False}
    assert LogChunk.objects.get().text == "0123456789"
    assert rest.post(f"{step}/start").status_code == 422
    ended = {"attempt": 1, "status": "stopped"}
    rest.post(f"{step}/end", ended, content_type="application/json")
    assert rest.get(f"{API}/runs/{run['id']}/status").json() == "stopped"


def test_a_caller_is_told_when_to_try_a_step_again(
    rest: Client, alice: User, stacks: dict[str, Stack]
) -> None:
    local = freeze("training.training_pipeline", alice, stacks["default"])
    run = trigger_deployment(rest, local, {"retry": {"max_retries": 1, "delay": 30}})
    steps = f"{API}/runs/{run['id']}/steps"
    for number, expected in ((1, 25), (2, None)):
        assert rest.post(f"{steps}/trainer/start").json()["attempt"] == number
        failed = {"attempt": number, "status": "failed"}
        answer = rest.post(f"{steps}/trainer/end", failed, content_type="application/json").json()
        wait = answer["retry_after"]
        assert wait is None if expected is None else expected < wait <= 30
    assert rest.get(f"{API}/runs/{run['id']}/status").json() == "failed"


def trigger_deployment(rest: Client, deployment: PipelineDeployment, body: Any = None) -> Any:
    address = f"{API}/pipeline_deployments/{deployment.id}/runs"
    return rest.post(address, body or {}, content_type="application/json").json()


def test_workers_runs_take_no_reports_from_callers(rest: Client, template: RunTemplate) -> None:
    run = trigger(rest, template).json()
    assert rest.post(f"{API}/runs/{run['id']}/steps/trainer/start").status_code == 422


def test_accepting_a_run_costs_a_fixed_number_of_queries(
    rest: Client, deployment: PipelineDeployment, template: RunTemplate, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(20):
        trigger(rest, template)
