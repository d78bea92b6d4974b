"""Looking ahead at what a run would come to: told as it then happens, and nothing is made."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from runs_app import preparations
from runs_app.choices import ask_for_choices
from runs_app.models import IdempotencyRecord, PipelineRun, RunEvent, StepRun, Worker
from runs_app.preflight import Preflight, preflight
from runs_app.waiting import unserved_sentence
from templates_app.models import RunTemplate, Stack
from templates_app.services import ConcurrencyLimit, update_run_template
from tests.factories import freeze, launch, make_template
from tests.runs.test_caching import execute, statuses, with_factor
from tests.web.test_secrets import describe, run_with_key
from zenweb.accounts.models import User
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus
from zenweb.exceptions import ValidationFailed


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


def look(template: RunTemplate, actor: User, configuration: Any = None) -> Preflight:
    template = RunTemplate.objects.for_page().get(pk=template.pk)
    return preflight(actor=actor, version=template.version, configuration=configuration)


def test_a_first_run_is_known_to_be_one(chain: RunTemplate, alice: User, worker: Worker) -> None:
    ahead = look(chain, alice)
    assert (ahead.expected, ahead.good_run, ahead.cached) == (None, None, frozenset())
    assert ahead.running == ["first", "second", "last"]
    assert ahead.is_calm
    assert not PipelineRun.objects.exists()
    assert not RunEvent.objects.exists()


@pytest.mark.parametrize("configuration", [None, with_factor(7), {"enable_cache": False}])
def test_what_comes_from_the_cache_is_foreseen(
    chain: RunTemplate, alice: User, worker: Worker, configuration: Any
) -> None:
    launch(chain, alice)
    execute(worker)
    foreseen = look(chain, alice, configuration).cached
    run = launch(chain, alice, configuration)
    execute(worker)
    assert foreseen == {name for name, status in statuses(run).items() if status == ExecutionStatus.CACHED}


def test_an_artifact_that_was_deleted_is_made_again(chain: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(chain, alice)
    execute(worker)
    run.steps.get(name="second").outputs.get().artifact_version.delete()
    assert look(chain, alice).cached == {"first"}


def test_the_time_is_that_of_the_longest_way_through_the_steps(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    for seconds in (1, 2, 3):
        run = launch(chain, alice, {"enable_cache": False})
        execute(worker)
        run.steps.update(end_time=F("start_time") + timedelta(seconds=seconds))
    expected = look(chain, alice, {"enable_cache": False}).expected
    assert expected is not None
    assert (expected.seconds, expected.runs) == (6.0, 3)
    assert 3 <= expected.low < 6 < expected.high <= 9


def test_what_is_cached_takes_no_time(chain: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(chain, alice)
    execute(worker)
    run.steps.update(end_time=F("start_time") + timedelta(seconds=4))
    expected = look(chain, alice, with_factor(9)).expected
    assert expected is not None
    assert expected.seconds == 8.0  # second and last


def test_what_it_waits_for_is_said(chain: RunTemplate, alice: User) -> None:
    assert look(chain, alice).obstacles == ["No worker has served queue default yet."]


def test_workers_that_are_busy_are_told_with_the_runs_that_wait(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    first, _ = launch(chain, alice), launch(chain, alice, with_factor(3))
    first.steps.filter(name="first").update(status=ExecutionStatus.RUNNING, worker=worker, ready_at=None)
    ahead = look(chain, alice, with_factor(5))
    assert ahead.obstacles == ["All workers of queue default are busy: 1 step runs."]
    assert ahead.runs_ahead == 1


def test_a_full_template_names_the_runs_that_go_on(chain: RunTemplate, alice: User, worker: Worker) -> None:
    update_run_template(actor=alice, template=chain, limit=ConcurrencyLimit(1, ConcurrencyPolicy.QUEUE))
    limited = RunTemplate.objects.with_relations().get(pk=chain.pk)
    first, _ = launch(limited, alice), launch(limited, alice)
    ahead = look(chain, alice)
    assert ahead.turn == (
        f'Further runs wait for their turn: the template "chain" runs at most 1 at once, already {first.name}.'
    )
    assert ahead.runs_ahead == 1


def test_what_differs_from_the_last_good_run_is_shown(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice, with_factor(3))
    execute(worker)
    [difference] = look(chain, alice, with_factor(4)).differences
    assert (difference.field_name, difference.before, difference.now) == (
        "steps.second.parameters.factor",
        3,
        4,
    )
    assert look(chain, alice, with_factor(3)).differences == []


def test_whether_a_secret_is_the_same_as_before_is_not_told(template: RunTemplate, alice: User) -> None:
    describe(template.deployment, {})
    run_with_key(template, alice)
    PipelineRun.objects.update(status=ExecutionStatus.COMPLETED)
    for guess in ("hush", "other"):
        given = {"steps": {"trainer": {"parameters": {"key": guess}}}}
        assert look(template, alice, given).differences == []


def test_it_costs_the_same_few_queries_however_long_the_history_is(
    chain: RunTemplate, alice: User, worker: Worker, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(30):
        launch(chain, alice, {"enable_cache": False})
    execute(worker)
    template = RunTemplate.objects.for_page().get(pk=chain.pk)
    look(chain, alice)
    # The name; workers and what they run; the last good run and its values; earlier runs and their steps; and twice
    # what one is (two), to see runs and values.
    with django_assert_num_queries(11):
        preflight(actor=alice, version=template.version, configuration={"enable_cache": False})


def test_wrong_values_are_refused_as_when_it_is_run(template: RunTemplate, alice: User) -> None:
    with pytest.raises(ValidationFailed, match="at most 1"):
        look(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 2}}}})


# -- over REST --------------------------------------------------------------------------------------------------------


def dry_run(rest: Client, template: RunTemplate, body: Any) -> Any:
    address = f"/api/v1/run_templates/{template.name}/runs?dry_run=true"
    return rest.post(
        address, json.dumps(body), content_type="application/json", headers={"Idempotency-Key": "k"}
    )


def test_a_dry_run_tells_and_makes_nothing(
    rest: Client, chain: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(chain, alice)
    execute(worker)
    before = (PipelineRun.objects.count(), StepRun.objects.count(), RunEvent.objects.count())
    answer = dry_run(rest, chain, with_factor(5) | {"enable_heartbeat": True})
    assert answer.status_code == 200
    told = answer.json()
    assert told["steps"] == [
        {"name": "first", "from_cache": True, "elements": None, "note": ""},
        {"name": "second", "from_cache": False, "elements": None, "note": ""},
        {"name": "last", "from_cache": False, "elements": None, "note": ""},
    ]
    assert told["configuration"]["steps"]["second"]["parameters"]["factor"] == 5
    assert told["warnings"] == ["/enable_heartbeat: accepted, no effect"]
    assert told["expected_seconds"]["runs"] == 1
    assert told["queues"] == [{"name": "default", "free_slots": 1}]
    assert [each["parameter"] for each in told["differences"]] == ["steps.second.parameters.factor"]
    assert before == (PipelineRun.objects.count(), StepRun.objects.count(), RunEvent.objects.count())
    assert not IdempotencyRecord.objects.exists()


def test_a_dry_run_refuses_what_a_run_refuses(rest: Client, template: RunTemplate) -> None:
    body = {"steps": {"trainer": {"parameters": {"learning_rate": 2}}}}
    refused = dry_run(rest, template, body)
    assert refused.status_code == 422
    address = f"/api/v1/run_templates/{template.name}/runs"
    assert refused.json() == rest.post(address, json.dumps(body), content_type="application/json").json()


def test_a_stranger_looks_at_nothing(client: Client, template: RunTemplate) -> None:
    assert dry_run(client, template, {}).status_code == 401


# -- choices -----------------------------------------------------------------------------------------------------------

CHOSEN = {"steps": {"load": {"parameters": {"table": "order"}}}}


@pytest.fixture
def tables(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")


def test_a_look_ahead_over_rest_waits_for_what_a_worker_answers(
    tables: RunTemplate, rest: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer_meanwhile(_: float) -> None:
        claimed = preparations.claim(worker, ["default"])
        assert claimed is not None
        preparations.record_answer(claimed, [("orders", "Orders")], "")

    monkeypatch.setattr("runs_app.choices.time.sleep", answer_meanwhile)
    address = f"/api/v1/run_templates/{tables.name}/runs?dry_run=true"
    answered = rest.post(address, CHOSEN, content_type="application/json")
    assert answered.status_code == 422
    assert "Did you mean 'orders'?" in answered.json()["errors"][0]["message"]


def test_a_look_ahead_says_what_nobody_could_be_asked(tables: RunTemplate, rest: Client) -> None:
    address = f"/api/v1/run_templates/{tables.name}/runs?dry_run=true"
    told = rest.post(address, CHOSEN, content_type="application/json").json()
    sentence = unserved_sentence("default")
    assert told["warnings"] == [f"/steps/load/parameters/table: not checked yet: {sentence}"]


def test_what_has_to_be_asked_first_does_not_start_at_once(
    tables: RunTemplate, alice: User, worker: Worker
) -> None:
    ahead = look(tables, alice, CHOSEN)
    assert not ahead.is_calm
    assert [each.pointer for each in ahead.unchecked] == ["/steps/load/parameters/table"]


def test_that_a_provider_failed_is_told_before_a_run_waits_for_it(
    tables: RunTemplate, alice: User, worker: Worker
) -> None:
    version = tables.version
    ask_for_choices(
        actor=alice, version=version, step="load", parameter="table", configuration=CHOSEN, wait=0
    )
    claimed = preparations.claim(worker, ["default"])
    assert claimed is not None
    preparations.record_failure(claimed, "The warehouse is down.", "a traceback")
    [told] = look(tables, alice, CHOSEN).unchecked
    assert told.message.endswith("that failed: The warehouse is down.")


# -- what is decided while it runs -------------------------------------------------------------------------------------


def notes(template: RunTemplate, actor: User, configuration: Any = None) -> dict[str, tuple[int | None, str]]:
    ahead = look(template, actor, configuration)
    return {each.name: (each.elements, each.sentence) for each in ahead.foretold if each.sentence}


@pytest.mark.parametrize(
    ("regions", "told"),
    [
        (["a", "b", "c"], (3, "It runs 3 times, once for each element of region.")),
        (["a"], (1, "It runs 1 time, for the one element of region.")),
        ([], (0, "It does not run: region is empty.")),
    ],
)
def test_how_often_a_step_runs_over_a_list_that_is_given_is_known(
    stacks: dict[str, Stack], alice: User, regions: list[str], told: Any
) -> None:
    template = make_template(freeze("mapped.literal_pipeline", alice, stacks["celery"]), alice, "literal")
    given = {"steps": {"train": {"parameters": {"region": regions}}}}
    assert notes(template, alice, given) == {"train": told}


def test_what_other_steps_give_out_decides_how_often_one_runs(stacks: dict[str, Stack], alice: User) -> None:
    template = make_template(freeze("mapped.chained_pipeline", alice, stacks["celery"]), alice, "chained")
    words = "How often it runs is decided while it runs: once for each element of what {} gives out."
    told = {"train": (None, words.format("regions")), "check": (None, words.format("train"))}
    assert notes(template, alice) == told


def test_what_decides_whether_a_step_runs_is_told(
    stacks: dict[str, Stack], alice: User, rest: Client, client: Client
) -> None:
    template = make_template(
        freeze("conditional.deploying_pipeline", alice, stacks["celery"]), alice, "deploying"
    )
    assert {name: sentence for name, (_, sentence) in notes(template, alice).items()} == {
        "deploy": "It runs only if is_better returns True.",
        "keep": "It runs only if is_better returns anything but True.",
        "announce": "It runs only if deploy runs.",
    }
    told = {step["name"]: step["note"] for step in dry_run(rest, template, {}).json()["steps"]}
    assert (told["deploy"], told["score"]) == ("It runs only if is_better returns True.", "")
    client.force_login(alice)
    page = client.post(template.get_absolute_url(), {"do": "look-ahead"}).text
    assert "“Deploy”: It runs only if is_better returns True." in page


def test_lists_side_by_side_are_held_against_each_other(
    stacks: dict[str, Stack], alice: User, settings: Any
) -> None:
    template = make_template(freeze("mapped.paired_pipeline", alice, stacks["celery"]), alice, "paired")
    assert notes(template, alice)["check"] == (2, "It runs 2 times, once for each element of model.")
    short = {"steps": {"train": {"parameters": {"weight": [1]}}}}
    [told] = [sentence for name, (_, sentence) in notes(template, alice, short).items() if name == "train"]
    assert told.endswith("are not equally long (region: 2, weight: 1).")
    settings.MAX_ELEMENTS = 1
    assert "a step may 1 times at most" in notes(template, alice)["train"][1]
