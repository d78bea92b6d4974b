"""Many runs of a template in one request."""

from typing import Any

import pytest
from django.db import InterfaceError
from django.test import Client

from runs_app.models import PipelineRun
from runs_app.services import launch_run
from templates_app.models import RunTemplate

pytestmark = pytest.mark.django_db

GOOD: Any = {"configuration": {"steps": {"trainer": {"parameters": {"model_type": "rf"}}}}}
WRONG: Any = {"configuration": {"steps": {"trainer": {"parameters": {"learning_rate": 7}}}}}


def bulk(rest: Client, template: RunTemplate, runs: Any, **headers: str) -> Any:
    address = f"/api/v1/run_templates/{template.name}/runs/bulk"
    return rest.post(address, {"runs": runs}, content_type="application/json", headers=headers)


def test_each_run_is_accepted_or_refused_by_itself(rest: Client, template: RunTemplate) -> None:
    told = bulk(rest, template, [GOOD, WRONG, {}]).json()
    assert (told["accepted"], told["refused"]) == (2, 1)
    assert [item["status"] for item in told["items"]] == [200, 422, 200]
    assert told["items"][1]["errors"][0]["pointer"] == "/steps/trainer/parameters/learning_rate"
    ids = [item["run"]["id"] for item in told["items"] if item["run"]]
    assert {str(pk) for pk in PipelineRun.objects.values_list("pk", flat=True)} == set(ids)
    first = PipelineRun.objects.get(pk=ids[0])
    assert first.parameters["trainer"]["model_type"] == "rf"


def test_what_is_no_run_is_refused_in_plain_words(rest: Client, template: RunTemplate) -> None:
    refused = bulk(rest, template, [5])
    assert refused.status_code == 422
    assert [(error["pointer"], error["message"]) for error in refused.json()["errors"]] == [
        ("/runs/0", "This must be an object with named values.")
    ]


def test_a_key_makes_one_run_alone_or_among_others(rest: Client, template: RunTemplate) -> None:
    keyed = GOOD | {"idempotency_key": "sweep-1"}
    first = bulk(rest, template, [keyed, keyed]).json()["items"]
    assert [item["is_replay"] for item in first] == [False, True]
    alone = rest.post(
        f"/api/v1/run_templates/{template.name}/runs",
        GOOD["configuration"],
        content_type="application/json",
        headers={"Idempotency-Key": "sweep-1"},
    )
    assert alone.json()["id"] == first[0]["run"]["id"]
    assert PipelineRun.objects.count() == 1


def test_a_request_that_is_sent_again_starts_nothing_again(rest: Client, template: RunTemplate) -> None:
    runs = [GOOD, WRONG, GOOD]
    first, second = (bulk(rest, template, runs, **{"Idempotency-Key": "nightly"}).json() for _ in range(2))
    assert [item["is_replay"] for item in second["items"]] == [True, False, True]
    assert [item["run"] and item["run"]["id"] for item in first["items"]] == [
        item["run"] and item["run"]["id"] for item in second["items"]
    ]
    assert PipelineRun.objects.count() == 2


def test_keys_that_begin_alike_are_not_taken_for_each_other(rest: Client, template: RunTemplate) -> None:
    for end in "ab":
        told = bulk(rest, template, [GOOD], **{"Idempotency-Key": "k" * 250 + end}).json()
        assert told["items"][0]["is_replay"] is False
    alone = rest.post(
        f"/api/v1/run_templates/{template.name}/runs",
        GOOD["configuration"],
        content_type="application/json",
        headers={"Idempotency-Key": "k#0"},
    )
    assert "Idempotent-Replayed" not in alone.headers
    assert PipelineRun.objects.count() == 3


def test_what_nobody_foresaw_is_told_of_its_run_alone(
    rest: Client, template: RunTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = iter([InterfaceError("gone")])

    def launch(**given: Any) -> Any:
        for error in results:
            raise error
        return launch_run(**given)

    monkeypatch.setattr("runs_app.api.bulk.launch_run", launch)
    told = bulk(rest, template, [GOOD, GOOD]).json()
    assert [item["status"] for item in told["items"]] == [500, 200]


@pytest.mark.parametrize("runs", [[], [{}] * 101, "all", [{"config": {}}], None])
def test_what_is_no_list_of_runs_starts_none(rest: Client, template: RunTemplate, runs: Any) -> None:
    assert bulk(rest, template, runs).status_code == 422
    assert not PipelineRun.objects.exists()


def test_a_dry_run_tells_what_each_would_do_and_starts_none(rest: Client, template: RunTemplate) -> None:
    address = f"/api/v1/run_templates/{template.name}/runs/bulk?dry_run=true"
    told = rest.post(address, {"runs": [GOOD, WRONG]}, content_type="application/json").json()
    assert [item["status"] for item in told["items"]] == [200, 422]
    ahead = told["items"][0]["preflight"]
    assert ahead["configuration"]["steps"]["trainer"]["parameters"]["model_type"] == "rf"
    assert not PipelineRun.objects.exists()
