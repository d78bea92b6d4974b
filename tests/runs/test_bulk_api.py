"""Many runs of a template in one request."""

from typing import Any

import pytest
from django.test import Client

from runs_app.models import PipelineRun
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


@pytest.mark.parametrize("runs", [[], [{}] * 101, "all", [{"config": {}}], None])
def test_what_is_no_list_of_runs_starts_none(rest: Client, template: RunTemplate, runs: Any) -> None:
    assert bulk(rest, template, runs).status_code == 422
    assert not PipelineRun.objects.exists()
