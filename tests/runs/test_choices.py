"""The one rule about chosen values: checked at once where choices are known, else before the first step; everywhere."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app import choices, preparations, recording, settling, waiting
from runs_app.choices import FormChoices, ask_for_choices
from runs_app.models import PipelineRun, Preparation, RunChoice, RunEvent, StepRun, Worker
from runs_app.preparations import Option
from runs_app.presets import create_preset
from runs_app.repair import Repair
from runs_app.run_configuration import resolve
from runs_app.schedules import create_schedule, fire_due_schedules, update_schedule
from runs_app.services import Trigger, repair_run, stop_run
from runs_app.starting import blamed_parameters
from templates_app.models import RunTemplate, Stack
from templates_app.schema_validation import check_schema
from templates_app.services import ConcurrencyLimit, curate_run_template, update_run_template
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel
from zenweb.exceptions import ValidationFailed
from zenweb.execution.protocol import StoredArtifact

TABLES: list[Option] = [("orders", "Orders"), ("returns", "Returns")]
POINTER = "/steps/load/parameters/table"
WRONG = "“order” is not among the choices. Did you mean 'orders'? There is: “orders”, “returns”."


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")


@pytest.fixture
def worker(db: None) -> Worker:
    """Nobody's process: the tests do its work."""
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


def choosing(table: str, region: str = "eu") -> dict[str, Any]:
    return {"steps": {"load": {"parameters": {"table": table, "region": region}}}}


def answer(worker: Worker, options: list[Option] | None = None, failure: str = "") -> None:
    """Answer the oldest question and go on with the runs that wait for it, as a worker does."""
    claimed = preparations.claim(worker, ["default"])
    assert claimed is not None
    if failure:
        preparations.record_failure(claimed, failure, "a secret traceback")
    else:
        preparations.record_answer(claimed, options or TABLES, "")
    choices.settle_all()


def known(template: RunTemplate, worker: Worker, region: str = "eu") -> None:
    assert template.user is not None
    ask_for_choices(
        actor=template.user,
        version=template.version,
        step="load",
        parameter="table",
        configuration=choosing("orders", region),
        wait=0,
    )
    answer(worker)


def ready(run: PipelineRun) -> list[str]:
    return list(StepRun.objects.filter(run=run, ready_at__isnull=False).values_list("name", flat=True))


def ledger(run: PipelineRun) -> list[str]:
    return list(run.events.values_list("sentence", flat=True))


# -- where the choices are known ---------------------------------------------------------------------------------------


def test_a_wrong_value_is_refused_at_once_at_its_place(
    template: RunTemplate, rest: Client, worker: Worker
) -> None:
    known(template, worker)
    answered = rest.post(
        f"/api/v1/run_templates/{template.name}/runs", choosing("order"), content_type="application/json"
    )
    assert answered.status_code == 422
    assert answered.json()["errors"] == [{"pointer": POINTER, "message": WRONG}]
    assert not PipelineRun.objects.exists()


def test_a_wrong_value_may_hold_what_no_text_of_a_database_does(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("or\x00der"))
    answer(worker)
    run.refresh_from_db()
    assert run.is_finished
    assert "“or\ufffdder” is not among the choices." in RunChoice.objects.get(run=run).refusal


def test_a_right_value_runs_at_once_and_what_was_offered_is_kept(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    known(template, worker)
    run = launch(template, alice, choosing("returns"))
    assert ready(run) == ["load", "look"]
    assert "Step load, table: “Returns” is among the 2 choices there were." in ledger(run)
    offered = RunChoice.objects.get(run=run).offered
    assert offered["chosen"] == [["returns", "Returns"]]
    assert (offered["size"], offered["options"]) == (2, [["orders", "Orders"], ["returns", "Returns"]])


def test_what_was_offered_is_read_over_rest(
    template: RunTemplate, rest: Client, alice: User, worker: Worker
) -> None:
    known(template, worker)
    run = launch(template, alice, choosing("returns"))
    [choice] = rest.get(f"/api/v1/runs/{run.id}").json()["metadata"]["choices"]
    orders, returns = ({"value": value, "label": label} for value, label in TABLES)
    assert (choice["step"], choice["parameter"], choice["refusal"]) == ("load", "table", None)
    assert (choice["size"], choice["chosen"], choice["options"]) == (2, [returns], [orders, returns])
    waiting = launch(template, alice, choosing("returns", "us"))
    [choice] = rest.get(f"/api/v1/runs/{waiting.id}").json()["metadata"]["choices"]
    assert (choice["size"], choice["chosen"], choice["options"]) == (None, None, None)


def test_of_a_large_set_its_size_and_hash_are_kept(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    launch(template, alice, choosing("t7"))
    answer(worker, [(f"t{number}", f"Table {number}") for number in range(5000)])
    offered = RunChoice.objects.get().offered
    assert offered.keys() == {"size", "sha256", "chosen"}
    assert (offered["size"], offered["chosen"]) == (5000, [["t7", "Table 7"]])


def test_choices_known_for_other_values_say_nothing(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    known(template, worker, region="us")
    assert ready(launch(template, alice, choosing("order", region="eu"))) == []


def test_a_value_that_may_be_left_out_is_not_asked_for(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    known(template, worker)
    launch(template, alice, choosing("orders"))
    assert [choice.parameter for choice in RunChoice.objects.all()] == ["table"]


def test_each_of_several_values_is_told_at_its_own_place(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    template = make_template(freeze("chosen.chosen_pipeline", alice, stacks["celery"]), alice, "columns")
    asked = {"steps": {"pick": {"parameters": {"columns": ["a", "x", "b", "y"]}}}}
    ask_for_choices(
        actor=alice, version=template.version, step="pick", parameter="columns", configuration=asked, wait=0
    )
    answer(worker, [("a", "A"), ("b", "B")])
    with pytest.raises(ValidationFailed) as refused:
        launch(template, alice, asked)
    place = "/steps/pick/parameters/columns"
    assert [error.pointer for error in refused.value.errors] == [f"{place}/1", f"{place}/3"]


def test_of_many_wrong_values_the_first_are_explained_and_the_rest_counted(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    template = make_template(freeze("chosen.chosen_pipeline", alice, stacks["celery"]), alice, "columns")
    wrong = [f"colum_{number:04d}" for number in range(1000)]
    run = launch(template, alice, {"steps": {"pick": {"parameters": {"columns": wrong}}}})
    while Preparation.objects.filter(status="waiting").exists():
        answer(worker, [(f"column_{number:04d}", "a column") for number in range(10_000)])
    refusal = run.choices.get(parameter="columns").refusal
    assert refusal.count("Did you mean") == 3
    assert "Did you mean 'column_0002'?" in refusal
    assert refusal.endswith("997 more are not among the choices.")


# -- where they have to be asked for -----------------------------------------------------------------------------------


def test_a_run_is_accepted_and_no_step_starts_before_its_choices_are_known(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    assert (run.status, run.status_reason) == ("initializing", "Its choices are checked first.")
    assert ready(run) == []
    assert recording.claim_ready_step(worker, "default") is None
    answer(worker)
    run.refresh_from_db()
    assert (run.status_reason, ready(run)) == ("", ["load", "look"])


def test_a_wrong_value_ends_the_run_before_its_first_step(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("order"))
    answer(worker)
    run.refresh_from_db()
    assert (run.status, run.status_reason) == ("failed", f"Step load was not started: table: {WRONG}")
    assert {step.name: step.status for step in run.steps.all()} == {"load": "failed", "look": "stopped"}
    assert not StepRun.objects.exclude(attempt=0).exists()
    blamed = blamed_parameters(run, template.version.config_schema)
    assert [(error.pointer, error.message) for error in blamed] == [
        (POINTER, f"Run 1 failed with this value: {WRONG}")
    ]


def test_a_provider_that_fails_ends_the_run_with_its_sentence(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    answer(worker, failure="The warehouse is down.")
    run.refresh_from_db()
    assert (run.status, run.status_reason) == (
        "failed",
        "Step load was not started: table: The warehouse is down.",
    )
    assert not [line for line in ledger(run) if "traceback" in line]
    blamed = blamed_parameters(run, template.version.config_schema)
    assert [error.message for error in blamed] == [
        "Run 1 could not have this value checked: The warehouse is down."
    ]


def test_a_value_of_a_wrong_type_hides_no_wrong_choice(
    template: RunTemplate, worker: Worker, rest: Client
) -> None:
    known(template, worker)
    body = choosing("order")
    body["steps"]["load"]["parameters"]["limit"] = "many"
    body["steps"]["look"] = {"parameters": {"kind": "c"}}
    pointers = ["/steps/load/parameters/limit", "/steps/look/parameters/kind", POINTER]
    for route in ("validate", "runs"):
        address = f"/api/v1/run_templates/{template.id}/{route}"
        told = rest.post(address, body, content_type="application/json").json()["errors"]
        assert sorted(error["pointer"] for error in told) == sorted(pointers)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "\ud800", "table": 5},
        {"limit": "\ud800", "table": {"a": 1}},
        {"table": ["\ud800"], "region": "\ud800"},
        {"limit": json.loads("[" * 200 + "]" * 200), "table": [[]]},
    ],
)
def test_what_no_schema_takes_is_refused_and_no_fault(
    parameters: dict[str, Any], template: RunTemplate, worker: Worker, rest: Client
) -> None:
    known(template, worker)
    body = json.dumps({"steps": {"load": {"parameters": parameters}}})
    address = f"/api/v1/run_templates/{template.id}/runs"
    assert rest.post(address, body, content_type="application/json").status_code in {400, 422}


def test_everything_that_is_wrong_is_told_together(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    asked = choosing("order")
    asked["steps"]["load"]["parameters"]["limit"] = 11
    run = launch(template, alice, asked)
    answer(worker)
    run.refresh_from_db()
    assert run.status == "initializing"
    answer(worker, [(10, "ten")])
    run.refresh_from_db()
    assert run.status == "failed"
    assert len(blamed_parameters(run, template.version.config_schema)) == 2


def test_runs_that_ask_the_same_wait_for_one_answer(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    runs = [launch(template, alice, choosing("orders")) for _ in range(3)]
    assert Preparation.objects.count() == 1
    answer(worker)
    assert [ready(run) for run in runs] == [["load", "look"]] * 3


def test_a_failure_of_before_is_asked_for_again(template: RunTemplate, alice: User, worker: Worker) -> None:
    launch(template, alice, choosing("orders"))
    answer(worker, failure="The warehouse is down.")
    run = launch(template, alice, choosing("orders"))
    answer(worker)
    assert ready(run) == ["load", "look"]


def test_a_run_that_is_stopped_meanwhile_ends_at_once_and_stays_so(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    stop_run(actor=alice, run=run)
    run.refresh_from_db()
    assert run.status == "stopped"
    answer(worker)
    run.refresh_from_db()
    assert (run.status, ready(run)) == ("stopped", [])
    assert not RunChoice.objects.filter(is_open=True).exists()


def test_whoever_died_before_telling_the_run_is_made_up_for(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    claimed = preparations.claim(worker, ["default"])
    assert claimed is not None
    preparations.record_answer(claimed, TABLES, "")
    assert ready(run) == []
    choices.settle_all()  # as every housekeeper does
    choices.settle_all()
    assert ready(run) == ["load", "look"]
    assert len([line for line in ledger(run) if "Offered" in line]) == 1


def test_a_run_that_the_server_fails_at_ends_in_the_end(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    RunChoice.objects.update(parameter="gone")
    answer(worker)
    for _ in range(settling.MOST_TRIES):
        RunEvent.objects.filter(run=run).update(created=timezone.now() - settling.PAUSE)
        choices.settle_all()
    run.refresh_from_db()
    assert (run.status, ready(run)) == ("failed", [])
    assert "the server failed at it 5 times (KeyError)" in run.status_reason
    assert not RunChoice.objects.filter(is_open=True).exists()


def test_a_run_asks_anew_where_what_it_waited_for_is_gone(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, choosing("orders"))
    Preparation.objects.all().delete()
    choices.settle_all()
    answer(worker)
    assert ready(run) == ["load", "look"]


def test_a_run_whose_choices_nobody_can_be_asked_for_says_so(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice, choosing("orders"))
    waiting.explain_runs([run])
    assert run.status_reason == "Its choices are checked first. No worker has served queue default yet."


# -- with limits, repairs, schedules -----------------------------------------------------------------------------------


@pytest.fixture
def limited(template: RunTemplate, alice: User) -> RunTemplate:
    update_run_template(actor=alice, template=template, limit=ConcurrencyLimit(1, "queue"))
    return RunTemplate.objects.with_relations().get(pk=template.pk)


def test_a_limit_holds_while_choices_are_asked_for(limited: RunTemplate, alice: User, worker: Worker) -> None:
    first, second = (launch(limited, alice, choosing("orders")) for _ in range(2))
    answer(worker)
    assert (ready(first), ready(second)) == (["load", "look"], [])
    stop_run(actor=alice, run=first)
    assert ready(second) == ["load", "look"]


def test_a_run_whose_turn_comes_first_still_waits_for_its_choices(
    limited: RunTemplate, alice: User, worker: Worker
) -> None:
    first, second = (launch(limited, alice, choosing("orders")) for _ in range(2))
    stop_run(actor=alice, run=first)
    second.refresh_from_db()
    assert (second.queued_at, second.status_reason) == (None, "Its choices are checked first.")
    assert ready(second) == []
    answer(worker)
    assert ready(second) == ["load", "look"]


def test_a_refused_run_gives_its_place_to_the_next(limited: RunTemplate, alice: User, worker: Worker) -> None:
    known(limited, worker, region="us")
    launch(limited, alice, choosing("order"))
    second = launch(limited, alice, choosing("orders", region="us"))
    assert ready(second) == []
    answer(worker)
    assert ready(second) == ["load", "look"]


def finish(run: PipelineRun, worker: Worker, stopped: str = "look") -> None:
    """Both of its steps; one does not complete."""
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.int", type="DataArtifact")
    while (attempt := recording.claim_ready_step(worker, "default")) is not None:
        is_stopped = attempt.step.name == stopped
        outcome = recording.StepOutcome(
            was_stopped=is_stopped, outputs={} if is_stopped else {"output": stored}
        )
        recording.record_end(attempt, outcome)
    run.refresh_from_db()


def test_a_repair_asks_only_for_what_runs_again(template: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(template, alice, choosing("orders"))
    answer(worker)
    finish(run, worker)
    assert run.is_finished
    Preparation.objects.update(answer=[["invoices", "Invoices"]])
    trigger = Trigger(alice, TriggerChannel.REST)
    repaired = repair_run(repair=Repair(run, ("look",)), trigger=trigger).run
    assert not repaired.choices.exists()
    with pytest.raises(ValidationFailed, match="“orders” is not among the choices"):
        repair_run(repair=Repair(run, ("load",)), trigger=trigger)


def test_a_repair_waits_for_choices_too(template: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(template, alice, choosing("orders"))
    answer(worker)
    finish(run, worker, stopped="load")
    Preparation.objects.update(fresh_until=timezone.now() - timedelta(seconds=1))
    repair = Repair(run, ("load",))
    repaired = repair_run(repair=repair, trigger=Trigger(alice, TriggerChannel.REST)).run
    repaired.refresh_from_db()
    assert (repaired.status, ready(repaired)) == ("initializing", [])
    answer(worker)
    repaired.refresh_from_db()
    assert (repaired.status, ready(repaired)) == ("running", ["load"])


def test_a_schedule_is_refused_what_may_not_be_chosen(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    schedule = create_schedule(
        actor=alice, template=template, name="nightly", cron="0 2 * * *", configuration=choosing("order")
    )
    known(template, worker)
    schedule.next_time = schedule.looked_ahead_at = timezone.now() - timedelta(seconds=1)
    schedule.save()
    fire_due_schedules()
    assert WRONG in schedule.firings.get().refusal


# -- over REST ---------------------------------------------------------------------------------------------------------


def post(rest: Client, template: RunTemplate, verb: str, body: Any) -> Any:
    answered = rest.post(
        f"/api/v1/run_templates/{template.name}/{verb}", body, content_type="application/json"
    )
    assert answered.status_code == 200, answered.content
    return answered.json()


def test_validation_tells_a_wrong_value_or_that_it_was_not_checked(
    template: RunTemplate, rest: Client, worker: Worker
) -> None:
    known(template, worker)
    assert post(rest, template, "validate", choosing("order"))["errors"] == [
        {"pointer": POINTER, "message": WRONG}
    ]
    Worker.objects.update(is_alive=False)
    unchecked = post(rest, template, "validate", choosing("order", region="us"))
    assert unchecked["valid"]
    assert unchecked["warnings"] == [f"{POINTER}: not checked yet: {waiting.unserved_sentence('default')}"]


def test_choices_are_listed_a_page_at_a_time_and_searched(
    template: RunTemplate, rest: Client, worker: Worker
) -> None:
    body = {"step": "load", "parameter": "limit", "configuration": None}
    ask_for_choices(
        actor=template.user,
        version=template.version,
        step="load",
        parameter="limit",
        configuration=None,
        wait=0,
    )
    answer(worker, [(number, f"Number {number}") for number in range(100)])
    page = post(rest, template, "choices", {**body, "search": "number 7", "page": 2, "size": 4})
    assert (page["status"], page["total"]) == ("known", 19)
    assert page["options"][0] == {"value": 47, "label": "Number 47"}


def test_only_the_owner_is_told_what_a_failing_provider_printed(
    template: RunTemplate, rest: Client, worker: Worker, bob: User
) -> None:
    ask_for_choices(
        actor=bob, version=template.version, step="load", parameter="limit", configuration=None, wait=0
    )
    answer(worker, failure="The warehouse is down.")
    body = {"step": "load", "parameter": "limit"}
    told = post(rest, template, "choices", body)
    assert (told["status"], told["sentence"], told["log"]) == (
        "failed",
        "The warehouse is down.",
        "a secret traceback",
    )
    theirs = Client()
    theirs.force_login(bob)
    assert "secret" not in str(post(theirs, template, "choices", body))


COLUMNS = {"step": "pick", "parameter": "columns"}


def picking(table: str) -> dict[str, Any]:
    parameters = {"rows": 1, "columns": ["a"]}
    return {"steps": {"load": {"parameters": {"table": table}}, "pick": {"parameters": parameters}}}


@pytest.mark.parametrize("verb", ["choices", "validate"])
def test_nothing_is_asked_with_a_value_that_is_known_not_to_be_offered(
    verb: str,
    stacks: dict[str, Stack],
    alice: User,
    rest: Client,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("choices", "validation"):
        monkeypatch.setattr(f"runs_app.api.{module}.WAIT", 0.0)
    template = make_template(freeze("chosen.asking_pipeline", alice, stacks["celery"]), alice, "columns")
    known(template, worker)

    def ask(table: str) -> Any:
        given = picking(table)
        return post(rest, template, verb, {**COLUMNS, "configuration": given} if verb == "choices" else given)

    told = ask("order")
    if verb == "choices":
        assert told["status"] == "missing"
        assert told["sentence"] == (
            "What may be chosen depends on Table (Load): give that a valid value first."
        )
    else:
        assert [error["message"] for error in told["errors"]] == [WRONG]
    assert not Preparation.objects.filter(parameter="columns").exists()
    ask("orders")
    assert Preparation.objects.filter(parameter="columns").exists()


@pytest.mark.parametrize(
    ("rules", "is_good"),
    [
        ({"depends_on": [], "cache": 0, "timeout": 1}, True),
        ({"depends_on": [], "cache": -1, "timeout": 1}, False),
        ({"depends_on": [], "cache": 1, "timeout": 1e9}, False),
        ({"depends_on": [], "cache": 1, "timeout": True}, False),
        ({"depends_on": [5], "cache": 1, "timeout": 1}, False),
        ({"cache": 1, "timeout": 1}, False),
    ],
)
def test_rules_that_no_sdk_writes_are_refused(rules: Any, is_good: bool) -> None:
    schema = {"type": "string", "zenweb-choices": rules}
    if is_good:
        check_schema(schema)
    else:
        with pytest.raises(ValidationFailed):
            check_schema(schema)


def test_choices_that_depend_on_nothing_there_is_are_never_known(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    deployment = template.deployment
    for document in (deployment.config_schema, deployment.spec):
        _depend_on(document, "nowhere.region")
    deployment.save(update_fields=["config_schema", "spec"])
    with pytest.raises(ValidationFailed, match=r"depends on region \(nowhere\), whose value cannot be told"):
        launch(template, alice, choosing("orders"))


def _depend_on(schema: Any, name: str) -> None:
    if isinstance(schema, dict):
        if isinstance(rules := schema.get("zenweb-choices"), dict):
            rules["depends_on"] = [name]
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        _depend_on(part, name)


def test_a_template_without_choices_asks_nothing(
    deployment: Any, alice: User, django_assert_num_queries: Any
) -> None:
    resolved = resolve(deployment, {}, timezone.now())
    choices.check_choices(deployment, resolved)
    with django_assert_num_queries(0):
        assert choices.check_choices(deployment, resolved) == []
        assert choices.ask_before(deployment, resolved) == []


def test_only_what_the_owner_leaves_is_offered(
    template: RunTemplate, alice: User, rest: Client, worker: Worker
) -> None:
    entry = {"choices": ["returns", "invoices"], "default": "returns"}
    document = {"parameters": {"load.table": entry}}
    narrowed = curate_run_template(actor=alice, template=template, curation=document)
    asked = {"step": "load", "parameter": "table", "configuration": choosing("returns")}
    known(template, worker)
    url = f"/api/v1/run_templates/{narrowed.name}/choices"
    offered = rest.post(url, asked, content_type="application/json").json()
    assert (offered["options"], offered["total"]) == ([{"value": "returns", "label": "Returns"}], 1)
    form = FormChoices(alice, narrowed.version, narrowed, deadline=0)
    assert form.ask("load", "table", choosing("returns"), again=False).options == [("returns", "Returns")]


@pytest.mark.parametrize("path", ["schedules", "run_templates/tables/presets"])
def test_what_is_known_to_be_wrong_is_kept_nowhere(
    path: str, template: RunTemplate, rest: Client, worker: Worker
) -> None:
    def keep(table: str) -> Any:
        body = {"name": table, "template": template.name, "cron_expression": "0 6 * * *"}
        return rest.post(
            f"/api/v1/{path}", body | {"configuration": choosing(table)}, content_type="application/json"
        )

    assert keep("order").status_code == 200  # nobody knows yet
    known(template, worker)
    refusal = keep("orderz")
    assert refusal.status_code == 422
    [error] = refusal.json()["errors"]
    assert (error["pointer"].endswith(POINTER), "not among the choices" in error["message"]) == (True, True)
    assert keep("orders").status_code == 200


def test_a_schedule_is_told_of_its_name_and_its_choices_at_once(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    known(template, worker)
    wrong = {"run_name": "same", **choosing("order")}
    with pytest.raises(ValidationFailed) as refusal:
        create_schedule(actor=alice, template=template, name="s", cron="0 6 * * *", configuration=wrong)
    assert [error.pointer for error in refusal.value.errors] == [
        "/configuration/run_name",
        f"/configuration{POINTER}",
    ]


def test_a_schedule_that_goes_on_is_looked_at_again(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    schedule = create_schedule(
        actor=alice,
        template=template,
        name="s",
        cron="0 6 * * *",
        configuration=choosing("order"),
        is_paused=True,
    )
    known(template, worker)
    with pytest.raises(ValidationFailed, match="“order” is not among the choices"):
        update_schedule(actor=alice, schedule=schedule, is_paused=False)


def test_an_unfinished_preset_is_told_of_each_wrong_entry(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    template = make_template(freeze("chosen.chosen_pipeline", alice, stacks["celery"]), alice, "columns")
    asked = {"steps": {"pick": {"parameters": {"columns": ["a", "x"]}}}}  # without `rows`, which it needs
    create_preset(actor=alice, template=template, name="not known", configuration=asked)
    ask_for_choices(
        actor=alice, version=template.version, step="pick", parameter="columns", configuration=asked, wait=0
    )
    answer(worker, [("a", "A"), ("b", "B")])
    with pytest.raises(ValidationFailed, match="/steps/pick/parameters/columns/1: “x” is not among"):
        create_preset(actor=alice, template=template, name="known", configuration=asked)
    wrong = {"steps": {"pick": {"parameters": {"columns": ["a", 1]}}}}
    with pytest.raises(ValidationFailed, match="/steps/pick/parameters/columns/1: This must be a text"):
        create_preset(actor=alice, template=template, name="wrong", configuration=wrong)
