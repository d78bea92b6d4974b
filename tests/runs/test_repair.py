"""A finished run is repaired: which steps run again, which keep their artifacts, and what is refused."""

import json
import math
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from runs_app import recording
from runs_app.ledger import ledger_of
from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, StepRun, Worker
from runs_app.recording import StepOutcome
from runs_app.repair import FormerStep, Repair, RepairPlan, plan_repair, preview_repair
from runs_app.run_configuration import ResolvedStep
from runs_app.services import Trigger, repair_run
from templates_app.models import RunTemplate, Stack
from templates_app.services import ConcurrencyLimit, update_run_template
from tests.factories import freeze, launch, make_template
from tests.runs.test_caching import completed, execute, outputs, statuses, with_factor
from zenweb.accounts.models import User
from zenweb.config.spec import InputSpec, OutputSpec, StepSpec
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.exceptions import ValidationFailed
from zenweb.execution.metadata import encode_metadata
from zenweb.execution.protocol import StepException

API = "/api/v1"
FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))
OUTPUT = uuid.UUID(int=1)


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def whole(chain: RunTemplate, alice: User, worker: Worker) -> PipelineRun:
    """A run of the chain that completed."""
    return finish(launch(chain, alice), worker)


@pytest.fixture
def broken(chain: RunTemplate, alice: User, worker: Worker) -> PipelineRun:
    """A run of the chain whose second step failed."""
    return finish(launch(chain, alice), worker, failing="second")


def finish(run: PipelineRun, worker: Worker, failing: str = "") -> PipelineRun:
    while attempt := recording.claim_ready_step(worker, "default"):
        recording.note_that_it_runs(attempt.step)
        name = attempt.step.name
        recording.record_end(attempt, FAILURE if name == failing else completed(name))
    run.refresh_from_db()
    assert run.is_finished
    return run


def repaired(run: PipelineRun, actor: User, *from_steps: str, **options: Any) -> PipelineRun:
    repair = Repair(original=run, from_steps=from_steps, **options)
    new = repair_run(repair=repair, trigger=Trigger(actor=actor, channel=TriggerChannel.REST)).run
    new.refresh_from_db()
    return new


def sentences(run: PipelineRun) -> list[str]:
    return [line.sentence for line in ledger_of(run, 100)]


# -- the plan ---------------------------------------------------------------------------------------------------------


def step(name: str, *upstream: str, **changes: Any) -> StepSpec:
    spec = StepSpec(
        name=name,
        source=f"m.{name}",
        code_hash="h",
        upstream=sorted(upstream),
        inputs={before: InputSpec(step=before, output="out") for before in upstream},
        outputs=[OutputSpec(name="out", artifact_name=name, type="DataArtifact")],
    )
    return spec.model_copy(update=changes)


#     load -> clean -> train -> report
#                  \-> plot             check (depends on nothing)
SPECS = [
    step("load"),
    step("clean", "load"),
    step("train", "clean"),
    step("plot", "clean"),
    step("report", "train"),
    step("check"),
]


def former(**statuses: str) -> dict[str, FormerStep]:
    found = {}
    for spec in SPECS:
        status = ExecutionStatus(statuses.get(spec.name, "completed"))
        given = {"out": OUTPUT} if status in {"completed", "cached"} else {}
        found[spec.name] = FormerStep(spec, status, {"size": 5, "is_on": True}, given)
    return found


def planned(
    before: dict[str, FormerStep], *from_steps: str, specs: list[StepSpec] | None = None, **values: Any
) -> RepairPlan:
    """The plan with the values of `values` by step."""
    steps = [
        ResolvedStep(spec, {"size": 5, "is_on": True} | values.get(spec.name, {}), {})
        for spec in specs or SPECS
    ]
    return plan_repair(former=before, steps=steps, from_steps=from_steps)


def reasons(plan: RepairPlan) -> dict[str, str]:
    return {step.name: step.reason for step in plan.steps if step.runs_again}


def changed(name: str, **changes: Any) -> list[StepSpec]:
    return [spec.model_copy(update=changes) if spec.name == name else spec for spec in SPECS]


def test_a_completed_run_keeps_everything_unless_something_is_chosen() -> None:
    plan = planned(former(check="cached"))
    assert plan.again == []
    assert [step.outputs for step in plan.steps] == [{"out": OUTPUT}] * len(SPECS)


def test_from_a_chosen_step_on_it_runs_again_with_all_that_follows() -> None:
    assert reasons(planned(former(), "clean")) == {
        "clean": "The repair starts here.",
        "train": "It follows clean, which runs again.",
        "plot": "It follows clean, which runs again.",
        "report": "It follows train, which runs again.",
    }


def test_what_did_not_complete_runs_again_whatever_is_chosen() -> None:
    before = former(plot="failed", check="stopped")
    again = {"plot": "It failed.", "check": "It was not run to its end."}
    assert reasons(planned(before)) == again
    assert reasons(planned(before, "report")) == again | {"report": "The repair starts here."}


@pytest.mark.parametrize(
    ("values", "names"), [({"size": 6}, "size"), ({"is_on": 1}, "is_on"), ({"new": None}, "new")]
)
def test_a_changed_value_runs_its_step_and_what_follows(values: dict[str, Any], names: str) -> None:
    plan = planned(former(), train=values)
    assert plan.again == ["train", "report"]
    assert plan.steps[2].reason == f"Its values changed: {names}."


def test_five_written_as_five_point_zero_is_no_change() -> None:
    assert planned(former(), train={"size": 5.0}).again == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code_hash": "other"}, "Its code changed."),
        ({"source": "elsewhere.plot"}, "Its code changed."),
        ({"inputs": {"data": InputSpec(step="clean", output="out")}}, "Its inputs changed."),
        (
            {"outputs": [OutputSpec(name="out", artifact_name="chart", type="DataArtifact")]},
            "Its outputs changed.",
        ),
    ],
)
def test_a_step_that_is_another_in_the_version_to_be_run_runs_again(
    changes: dict[str, Any], reason: str
) -> None:
    assert reasons(planned(former(), specs=changed("plot", **changes))) == {"plot": reason}


def test_a_new_step_runs_and_one_that_is_gone_does_not() -> None:
    specs = [spec for spec in SPECS if spec.name != "plot"] + [step("publish", "report")]
    assert reasons(planned(former(), specs=specs)) == {"publish": "It is new in this version."}


def test_a_step_whose_artifact_was_deleted_runs_again() -> None:
    before = former()
    before["clean"] = replace(before["clean"], outputs={})
    assert planned(before).again == ["clean", "train", "plot", "report"]
    assert planned(before).steps[1].reason == "What it made was deleted: clean."


def test_what_lies_in_another_store_is_made_again() -> None:
    steps = [ResolvedStep(spec, {"size": 5, "is_on": True}, {}) for spec in SPECS]
    plan = plan_repair(former=former(), steps=steps, is_same_store=False)
    assert plan.again == [spec.name for spec in SPECS]


def test_a_step_that_does_not_exist_is_refused_with_the_one_probably_meant() -> None:
    with pytest.raises(
        ValidationFailed, match=r"/from_steps/1: There is no step 'trian'. Did you mean 'train'?"
    ):
        planned(former(), "load", "trian")


# -- the run ----------------------------------------------------------------------------------------------------------


def test_what_failed_runs_again_and_what_completed_is_kept(
    broken: PipelineRun, alice: User, worker: Worker
) -> None:
    new = repaired(broken, alice)
    assert (new.original, new.pipeline, new.template_version) == (
        broken,
        broken.pipeline,
        broken.template_version,
    )
    assert (new.index, new.status) == (broken.index + 1, ExecutionStatus.RUNNING)
    assert execute(worker) == ["second", "last"]
    assert statuses(new) == {"first": "cached", "second": "completed", "last": "completed"}
    assert outputs(new)[0] == outputs(broken)[0]
    new.refresh_from_db()
    assert new.status == ExecutionStatus.COMPLETED


def test_a_kept_step_says_where_its_artifacts_are_from_and_has_no_attempt(
    broken: PipelineRun, alice: User
) -> None:
    kept = StepRun.objects.get(run=repaired(broken, alice), name="first")
    assert kept.status_reason.startswith(
        f"It was not run again: these are its outputs from run {broken.name}"
    )
    assert (kept.end_time is not None, kept.attempt, kept.ready_at) == (True, 0, None)
    assert not StepAttempt.objects.filter(step=kept).exists()


def test_a_kept_step_keeps_what_it_noted_also_in_the_repair_of_a_repair(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    noted = encode_metadata({"loss": math.nan, "big": 1e30, "text": "a\x00b", "b": 1, "a": [None, True]})
    run = launch(chain, alice, {"enable_cache": False})
    first = recording.claim_ready_step(worker, "default")
    assert first is not None
    recording.record_end(first, replace(completed("first"), metadata=noted))
    run = finish(run, worker, failing="last")
    again = finish(repaired(run, alice), worker, failing="last")
    for repair in (again, repaired(again, alice)):
        kept = {step.name: step.metadata for step in repair.steps.filter(status=ExecutionStatus.CACHED)}
        assert kept == {"first": noted, "second": {}}
        assert list(kept["first"]) == list(noted)
    assert StepRun.objects.get(run=again, name="last").metadata == {}


def test_a_chosen_step_really_runs_though_the_cache_has_its_outputs(
    whole: PipelineRun, alice: User, worker: Worker
) -> None:
    new = repaired(whole, alice, "second")
    assert execute(worker) == ["second", "last"]
    assert new.steps.get(name="first").status == ExecutionStatus.CACHED


def test_what_a_repair_made_is_what_the_cache_gives_from_then_on(
    chain: RunTemplate, whole: PipelineRun, alice: User, worker: Worker
) -> None:
    new = repaired(whole, alice, "second")
    execute(worker)
    later = launch(chain, alice)
    assert execute(worker) == []
    assert outputs(later) == outputs(new) != outputs(whole)


def test_artifacts_are_kept_though_the_cache_is_switched_off(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    run = finish(launch(chain, alice, {"enable_cache": False}), worker, failing="last")
    new = repaired(run, alice)
    assert execute(worker) == ["last"]
    assert new.configuration["enable_cache"] is False


def test_a_repair_can_be_repaired(broken: PipelineRun, alice: User, worker: Worker) -> None:
    second = finish(repaired(broken, alice), worker, failing="last")
    third = repaired(second, alice)
    assert execute(worker) == ["last"]
    assert third.original == second
    assert outputs(third)[0] == outputs(broken)[0]


def test_a_stopped_run_goes_on_where_it_was(chain: RunTemplate, alice: User, worker: Worker) -> None:
    run = launch(chain, alice)
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    recording.record_end(attempt, completed("first"))
    recording.request_stop(run, by="alice")
    run.refresh_from_db()
    repaired(run, alice)
    assert execute(worker) == ["second", "last"]


def test_values_are_those_of_the_original_where_none_are_given(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    run = finish(launch(chain, alice, with_factor(7) | {"tags": ["weekly"]}), worker, failing="last")
    new = repaired(run, alice, configuration={"steps": {"first": {"parameters": {"value": 3}}}, "tags": None})
    assert new.parameters == {"first": {"value": 3}, "second": {"factor": 7}, "last": {}}
    assert new.tags == ["weekly"]
    assert execute(worker) == ["first", "second", "last"]


def test_a_changed_value_reruns_its_step_whatever_was_chosen(
    whole: PipelineRun, alice: User, worker: Worker
) -> None:
    repaired(whole, alice, "last", configuration=with_factor(3))
    assert execute(worker) == ["second", "last"]


def test_a_deleted_artifact_is_made_again(whole: PipelineRun, alice: User, worker: Worker) -> None:
    ArtifactVersion.objects.filter(artifact__name="product").delete()
    repaired(whole, alice)
    assert execute(worker) == ["second", "last"]


def test_the_runs_own_name_is_not_taken_over(chain: RunTemplate, alice: User, worker: Worker) -> None:
    run = finish(launch(chain, alice, {"run_name": "mine"}), worker, failing="first")
    assert repaired(run, alice).name != "mine"
    assert repaired(run, alice, configuration={"run_name": "again"}).name == "again"


def test_the_ledger_says_what_is_repaired(broken: PipelineRun, alice: User) -> None:
    told = sentences(repaired(broken, alice, "second"))
    assert told[:3] == [
        "Accepted from alice through REST.",
        f"Repairs run {broken.name} from step second.",
        "Kept: first.",
    ]


def test_a_diamond_waits_for_what_runs_again_only(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    diamond = make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "diamond")
    run = finish(launch(diamond, alice), worker)
    repaired(run, alice, "twin")
    assert execute(worker) == ["twin", "last"]
    new = repaired(run, alice, "last")
    assert execute(worker) == ["last"]
    new.refresh_from_db()
    assert new.status == ExecutionStatus.COMPLETED


def test_steps_behind_kept_ones_are_offered_with_those_that_wait_for_nothing(
    stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    """What is offered is looked for by its key later on."""
    template = make_template(freeze("cached.gate_beside_chain", alice, stacks["celery"]), alice, "beside")
    run = finish(launch(template, alice), worker, failing="second")
    new = repaired(run, alice, "gate")
    assert new.steps.get(name="second").cache_key
    assert sorted(execute(worker)) == ["gate", "second"]


def test_many_kept_steps_cost_no_statement_of_their_own(
    whole: PipelineRun, alice: User, django_assert_max_num_queries: Any
) -> None:
    """Template, version, deployment and stack; what was left; the rows; keys of the cache and what follows."""
    with django_assert_max_num_queries(40):
        repaired(PipelineRun.objects.get(pk=whole.pk), alice, "last")


# -- the newest version -----------------------------------------------------------------------------------------------


def make_newer(template: RunTemplate, **changes: dict[str, Any]) -> None:
    """A version of the template whose steps differ like this, with parameters as given under `schema`."""
    version = template.version
    deployment = version.deployment
    deployment.pk = uuid.uuid4()
    deployment.fingerprint = uuid.uuid4().hex
    for spec in deployment.spec["steps"]:
        spec |= {key: value for key, value in changes.get(spec["name"], {}).items() if key != "schema"}
    for name, change in changes.items():
        section = deployment.config_schema["properties"]["steps"]["properties"][name]
        if "schema" in change:
            section["properties"]["parameters"]["properties"] = change["schema"]
    deployment.save(force_insert=True)
    version.pk, version.number, version.deployment = uuid.uuid4(), version.number + 1, deployment
    version.save(force_insert=True)
    template.latest_version = version
    template.save()


def test_on_the_newest_version_changed_code_runs_again(
    chain: RunTemplate, whole: PipelineRun, alice: User, worker: Worker
) -> None:
    make_newer(RunTemplate.objects.get(), second={"code_hash": "other"})
    whole = PipelineRun.objects.get(pk=whole.pk)
    assert preview_repair(Repair(whole), actor=alice).again == []
    new = repaired(whole, alice, is_newest=True)
    assert (new.template_version.number, new.deployment) == (2, RunTemplate.objects.get().deployment)
    assert execute(worker) == ["second", "last"]


def test_values_that_no_longer_fit_are_refused_with_their_place_and_origin(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    run = finish(launch(chain, alice, with_factor(7)), worker)
    make_newer(RunTemplate.objects.get(), second={"schema": {"factor": {"type": "integer", "maximum": 3}}})
    run = PipelineRun.objects.get(pk=run.pk)
    with pytest.raises(ValidationFailed) as refused:
        repaired(run, alice, is_newest=True)
    [error] = refused.value.errors
    assert error.pointer == "/steps/second/parameters/factor"
    assert error.message.startswith(f"This must be at most 3. It is from run {run.name}")
    repaired(run, alice, is_newest=True, configuration=with_factor(2))
    assert execute(worker) == ["second", "last"]


def test_a_value_that_has_no_place_any_more_is_refused_until_it_is_dropped(
    chain: RunTemplate, alice: User, worker: Worker
) -> None:
    run = finish(launch(chain, alice, with_factor(7)), worker)
    make_newer(RunTemplate.objects.get(), second={"schema": {}, "parameters": {}})
    run = PipelineRun.objects.get(pk=run.pk)
    with pytest.raises(ValidationFailed, match="null where there is no place for it"):
        repaired(run, alice, is_newest=True)
    assert PipelineRun.objects.count() == 1
    new = repaired(
        run, alice, is_newest=True, configuration={"steps": {"second": {"parameters": {"factor": None}}}}
    )
    assert new.parameters["second"] == {}


def test_a_default_that_nobody_asked_for_may_disappear(
    chain: RunTemplate, whole: PipelineRun, alice: User
) -> None:
    make_newer(RunTemplate.objects.get(), second={"schema": {}, "parameters": {}})
    plan = preview_repair(Repair(PipelineRun.objects.get(pk=whole.pk), is_newest=True), actor=alice)
    assert plan.again == ["second", "last"]
    assert plan.steps[1].reason == "Its values changed: factor."


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_cannot_be_repaired(chain: RunTemplate, alice: User) -> None:
    with pytest.raises(ValidationFailed, match=r"is initializing\. Wait for its end, or stop it"):
        repaired(launch(chain, alice), alice)


def test_a_repair_with_nothing_to_do_is_refused(whole: PipelineRun, alice: User) -> None:
    with pytest.raises(ValidationFailed, match="Choose a step to start from, or change a value"):
        repaired(whole, alice)
    assert PipelineRun.objects.count() == 1


def test_a_switched_off_template_cannot_be_repaired(broken: PipelineRun, alice: User) -> None:
    RunTemplate.objects.update(is_enabled=False)
    with pytest.raises(ValidationFailed, match="switched off"):
        repaired(PipelineRun.objects.get(pk=broken.pk), alice)


def test_without_its_template_only_the_same_version_can_be_run(
    broken: PipelineRun, alice: User, worker: Worker
) -> None:
    RunTemplate.objects.update(latest_version=None)
    RunTemplate.objects.all().delete()
    run = PipelineRun.objects.get(pk=broken.pk)
    with pytest.raises(ValidationFailed, match="no run template"):
        repaired(run, alice, is_newest=True)
    repaired(run, alice)
    assert execute(worker) == ["second", "last"]


# -- over REST --------------------------------------------------------------------------------------------------------


def send(rest: Client, run: PipelineRun, body: Any, query: str = "", key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    address = f"{API}/runs/{run.name}/repair{query}"
    return rest.post(address, json.dumps(body), content_type="application/json", headers=headers)


def test_a_dry_run_tells_the_plan_and_makes_nothing(rest: Client, broken: PipelineRun) -> None:
    answer = send(rest, broken, {"from_steps": ["second"]}, "?dry_run=true")
    assert answer.json() == {
        "steps": [
            {
                "name": "first",
                "runs_again": False,
                "reason": "It completed, and nothing it depends on changed.",
            },
            {"name": "second", "runs_again": True, "reason": "It failed."},
            {"name": "last", "runs_again": True, "reason": "It was not run to its end."},
        ]
    }
    assert PipelineRun.objects.count() == 1


def test_a_repair_is_shown_with_its_original_and_the_other_way_round(
    rest: Client, broken: PipelineRun
) -> None:
    made = send(rest, broken, None).json()
    assert made["metadata"]["original_run_id"] == str(broken.id)
    original = rest.get(f"{API}/runs/{broken.id}").json()
    assert original["metadata"]["repair_run_ids"] == [made["id"]]
    listed = rest.get(f"{API}/runs?original={broken.name}").json()
    assert [run["id"] for run in listed["items"]] == [made["id"]]


def test_one_key_makes_one_repair(rest: Client, broken: PipelineRun) -> None:
    first, second = (send(rest, broken, {"from_steps": ["second"]}, key="k1") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second["Idempotent-Replayed"] == "true"
    assert send(rest, broken, {"from_steps": ["first"]}, key="k1").status_code == 422
    assert PipelineRun.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"from_steps": ["secnd"]}, "/from_steps/0"),
        ({"from_steps": "second"}, "/from_steps"),
        ({"from": ["second"]}, "/from"),
        ({"version": "latest"}, "/version"),
        ({"configuration": with_factor("two")}, "/steps/second/parameters/factor"),  # type: ignore[arg-type]
        ({"configuration": {"steps": ["second"]}}, "/steps"),
        ({"configuration": {"steps": {"second": {"parameters": [1]}}}}, "/steps/second/parameters"),
        ({"configuration": {"steps": {"secnd": None}}}, "/steps/secnd"),
        ({"configuration": {"tagz": None}}, "/tagz"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_nothing_is_made(
    rest: Client, broken: PipelineRun, body: Any, pointer: str
) -> None:
    for query in ("", "?dry_run=true"):
        answer = send(rest, broken, body, query)
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (
            422,
            [pointer],
        )
    assert PipelineRun.objects.count() == 1


def test_a_run_of_the_local_stack_is_refused(rest: Client, stacks: dict[str, Stack], alice: User) -> None:
    local = freeze("cached.chain", alice, stacks["default"])
    made = rest.post(f"{API}/pipeline_deployments/{local.id}/runs", content_type="application/json").json()
    answer = send(rest, PipelineRun.objects.get(pk=made["id"]), None)
    assert answer.status_code == 422
    assert "executed by the process that called its pipeline" in answer.json()["detail"][1]


def test_a_stranger_repairs_nothing(client: Client, broken: PipelineRun) -> None:
    assert send(client, broken, None).status_code == 401
    assert PipelineRun.objects.count() == 1


def test_a_repair_waits_for_its_turn_like_any_run(
    chain: RunTemplate, broken: PipelineRun, alice: User, worker: Worker
) -> None:
    update_run_template(actor=alice, template=chain, limit=ConcurrencyLimit(1, "queue"))
    broken.refresh_from_db()
    chain = RunTemplate.objects.with_relations().get(pk=chain.pk)
    before_it = launch(chain, alice, {"enable_cache": False})
    new = repaired(broken, alice)
    assert (new.status, new.queued_at is None) == (ExecutionStatus.INITIALIZING, False)
    assert statuses(new) == {"first": "cached", "second": "initializing", "last": "initializing"}
    while (attempt := recording.claim_ready_step(worker, "default")) and attempt.step.run_id == before_it.pk:
        recording.record_end(attempt, completed(attempt.step.name))
    assert attempt is not None
    assert (attempt.step.run_id, attempt.step.name) == (new.pk, "second")
    new.refresh_from_db()
    assert new.status == ExecutionStatus.RUNNING
