"""What a template's owner has fixed, narrowed or hidden holds whichever way a run is asked for."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs_app.models import PipelineRun, Schedule, StepRun, Worker
from runs_app.presets import create_preset, problems_of
from runs_app.repair import Repair, preview_repair
from runs_app.schedules import create_schedule, fire_schedule, update_schedule
from runs_app.services import Trigger, repair_run
from templates_app.models import Preset, RunTemplate, RunTemplateVersion, Stack
from templates_app.services import create_run_template, curate_run_template
from tests.factories import freeze, launch
from tests.web.test_running_a_template import MODEL, RATE
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel
from zenweb.exceptions import NotAllowed, ValidationFailed

FIXED = "The owner of this template has fixed this at 0.3."
POINTER = "/steps/trainer/parameters/learning_rate"
LOCK = {
    "version": 1,
    "parameters": {
        "trainer.learning_rate": {"locked": 0.3},
        "trainer.model_type": {"choices": ["rf"], "default": "rf"},
        "evaluator.threshold": {"hidden": True, "default": 0.7},
    },
}


def with_rate(rate: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": {"learning_rate": rate}}}}


OTHER, OWN = with_rate(0.5), with_rate(0.3)


@pytest.fixture
def before(template: RunTemplate, alice: User) -> Preset:
    """A preset from the time before anything was fixed."""
    return create_preset(actor=alice, template=template, name="fast", configuration=OTHER)


@pytest.fixture
def locked(template: RunTemplate, before: Preset, alice: User) -> RunTemplate:
    return curate_run_template(actor=alice, template=template, curation=LOCK)


def parameters_of(run: PipelineRun) -> dict[str, Any]:
    steps = StepRun.objects.filter(run=run).values_list("name", "parameters")
    return {name: value for _, parameters in steps for name, value in parameters.items()}


def post(rest: Client, path: str, body: Any, content_type: str = "application/json") -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return rest.post(f"/api/v1/{path}", text, content_type=content_type)


def test_a_run_starts_from_the_owners_values(locked: RunTemplate, alice: User) -> None:
    run = launch(locked, alice)
    assert parameters_of(run) == {"learning_rate": 0.3, "model_type": "rf", "threshold": 0.7}
    assert run.resolved_configuration["steps"]["trainer"]["parameters"]["learning_rate"] == 0.3
    assert run.template_version == locked.version


def test_the_fixed_value_itself_may_be_sent(locked: RunTemplate, alice: User) -> None:
    assert parameters_of(launch(locked, alice, OWN))["learning_rate"] == 0.3


def test_what_is_only_hidden_may_be_given(locked: RunTemplate, alice: User) -> None:
    given = {"steps": {"evaluator": {"parameters": {"threshold": 0.1}}}}
    assert parameters_of(launch(locked, alice, given))["threshold"] == 0.1


def test_the_version_before_still_takes_what_it_took(locked: RunTemplate, alice: User) -> None:
    first = locked.versions.get(number=1)
    assert "const" not in str(first.config_schema)
    assert first.config_template["steps"]["trainer"]["parameters"]["learning_rate"] == 0.1
    assert locked.version.config_template["steps"]["trainer"]["parameters"]["learning_rate"] == 0.3


Ask = Callable[[Client, RunTemplate], Any]
REST: dict[str, Ask] = {
    "run": lambda rest, it: post(rest, f"run_templates/{it.name}/runs", OTHER),
    "run by id": lambda rest, it: post(rest, f"run_templates/{it.id}/runs", OTHER),
    "preset": lambda rest, it: post(rest, f"run_templates/{it.name}/runs", {"preset": "fast"}),
    "new preset": lambda rest, it: post(
        rest, f"run_templates/{it.name}/presets", {"name": "new", "configuration": OTHER}
    ),
    "schedule": lambda rest, it: post(
        rest,
        "schedules",
        {"name": "s", "template": it.name, "cron_expression": "0 6 * * *", "configuration": OTHER},
    ),
}


@pytest.mark.parametrize("ask", REST.values(), ids=REST)
def test_rest_refuses_another_value_at_its_place(rest: Client, locked: RunTemplate, ask: Ask) -> None:
    answer = ask(rest, locked)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"].endswith(POINTER)
    assert error["message"].startswith(FIXED)
    assert not PipelineRun.objects.exists()


def test_validation_says_the_same_of_json_and_yaml(rest: Client, locked: RunTemplate) -> None:
    path, text = f"run_templates/{locked.name}/validate", json.dumps(OTHER)
    for content_type in ("application/json", "application/yaml"):
        (error,) = post(rest, path, text, content_type).json()["errors"]
        assert (error["pointer"], error["message"]) == (POINTER, FIXED)


@pytest.mark.parametrize("view", ["form", "yaml"])
def test_the_page_refuses_it_too(client: Client, bob: User, locked: RunTemplate, view: str) -> None:
    client.force_login(bob)
    values = {RATE: "0.5", MODEL: "rf"} if view == "form" else {"view": "yaml", "yaml": json.dumps(OTHER)}
    page = client.post(locked.get_absolute_url(), values)
    assert (page.status_code, PipelineRun.objects.count()) == (422, 0)
    assert FIXED in page.text


def test_the_page_runs_with_the_fixed_value(client: Client, bob: User, locked: RunTemplate) -> None:
    client.force_login(bob)
    client.post(locked.get_absolute_url(), {MODEL: "rf"})
    assert parameters_of(PipelineRun.objects.get())["learning_rate"] == 0.3


@pytest.mark.parametrize("query", ["preset=fast", f"{RATE}=0.5"])
def test_values_to_start_from_give_way_and_the_page_says_so(
    client: Client, bob: User, alice: User, locked: RunTemplate, query: str
) -> None:
    client.force_login(alice)
    page = client.get(f"{locked.get_absolute_url()}?{query}").text
    assert "“Learning rate” (Trainer) is fixed by now" in page
    assert "0.5" not in page.partition('id="form-values"')[2].partition("</form>")[0].partition("Copy")[0]


def test_a_preset_that_does_not_fit_any_more_is_told(locked: RunTemplate) -> None:
    (error,) = problems_of(locked.presets.get())
    assert (error.pointer, error.message) == (POINTER, FIXED)


def test_a_schedule_that_does_not_fit_any_more_makes_no_run(template: RunTemplate, alice: User) -> None:
    schedule = create_schedule(
        actor=alice, template=template, name="s", cron="* * * * *", configuration=OTHER
    )
    curate_run_template(actor=alice, template=template, curation=LOCK)
    Schedule.objects.update(next_time=timezone.now() - timedelta(seconds=1))
    firing = fire_schedule(schedule.pk)
    assert firing is not None
    assert FIXED in firing.refusal
    with pytest.raises(ValidationFailed, match="has fixed this"):
        update_schedule(actor=alice, schedule=schedule, configuration=OTHER)
    assert not PipelineRun.objects.exists()


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def former(template: RunTemplate, alice: User) -> PipelineRun:
    """A run from the time before its owner fixed the rate, and gave only one type of model to choose."""
    run = launch(template, alice, OTHER)
    PipelineRun.objects.filter(pk=run.pk).update(status="failed")
    curate_run_template(actor=alice, template=template, curation=LOCK)
    return PipelineRun.objects.get(pk=run.pk)


def repair(run: PipelineRun, actor: User, **parameters: Any) -> PipelineRun:
    asked = Repair(run, configuration={"steps": {"trainer": {"parameters": parameters}}})
    return repair_run(repair=asked, trigger=Trigger(actor=actor, channel=TriggerChannel.REST)).run


@pytest.mark.parametrize("value", [0.9, 0.1])
def test_a_repair_of_an_older_run_changes_nothing_to_what_is_not_allowed_by_now(
    former: PipelineRun, alice: User, value: float
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        repair(former, alice, learning_rate=value)
    assert [(error.pointer, error.message) for error in refused.value.errors] == [(POINTER, FIXED)]
    assert PipelineRun.objects.count() == 1


def test_a_repair_may_keep_what_was_accepted_once(former: PipelineRun, alice: User) -> None:
    new = repair(former, alice, learning_rate=0.5)
    assert parameters_of(new) == {"learning_rate": 0.5, "model_type": "svm", "threshold": 0.5}


def test_a_repair_may_change_a_value_to_what_the_owner_fixed(former: PipelineRun, alice: User) -> None:
    new = repair(former, alice, learning_rate=0.3, model_type="rf")
    assert (parameters_of(new)["learning_rate"], parameters_of(new)["model_type"]) == (0.3, "rf")


def test_the_page_of_a_repair_tells_it_at_the_field(client: Client, former: PipelineRun, alice: User) -> None:
    client.force_login(alice)
    page = client.post(f"/runs/{former.pk}/repair", {RATE: "0.9"})
    assert page.status_code == 422
    assert page.context["form"].errors[RATE] == [FIXED]


def test_a_curation_that_the_older_pipeline_does_not_take_says_nothing_about_it(
    former: PipelineRun, alice: User
) -> None:
    RunTemplateVersion.objects.filter(number=2).update(
        curation={
            "version": 1,
            "parameters": {"trainer.gone": {"locked": 1}, "trainer.model_type": {"minimum": 1}},
        }
    )
    assert parameters_of(repair(former, alice, learning_rate=0.9))["learning_rate"] == 0.9


def test_a_repair_is_judged_by_the_version_that_it_runs(
    template: RunTemplate, alice: User, worker: Worker
) -> None:
    run = launch(template, alice, OTHER)
    PipelineRun.objects.filter(pk=run.pk).update(status="failed")
    StepRun.objects.filter(run=run).update(status="failed")
    run.refresh_from_db()
    curate_run_template(actor=alice, template=template, curation=LOCK)
    run.template.refresh_from_db()
    preview_repair(Repair(run), actor=alice)  # of the version that it ran, which has nothing fixed
    trigger = Trigger(actor=alice, channel=TriggerChannel.REST)
    with pytest.raises(ValidationFailed) as caught:
        repair_run(repair=Repair(run, is_newest=True), trigger=trigger)
    assert [error.pointer for error in caught.value.errors] == [
        POINTER,
        "/steps/trainer/parameters/model_type",
    ]
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 0.3, "model_type": "rf"}}}}
    new = repair_run(repair=Repair(run, is_newest=True, configuration=values), trigger=trigger).run
    assert parameters_of(new)["learning_rate"] == 0.3


def test_launching_a_curated_template_asks_no_more_of_the_database(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    def queries_of_a_run() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert post(rest, f"run_templates/{template.name}/runs", OWN).status_code == 200
        return len(queries)

    queries_of_a_run()  # what is read once is read
    plain = queries_of_a_run()
    curate_run_template(actor=alice, template=template, curation=LOCK)
    queries_of_a_run()
    assert queries_of_a_run() == plain


# -- versions ---------------------------------------------------------------------------------------------------------


def test_shaping_makes_a_version_of_the_same_deployment(locked: RunTemplate, alice: User) -> None:
    first, second = locked.versions.order_by("number")
    assert (second.number, second.deployment, second.curation) == (2, first.deployment, LOCK)
    assert curate_run_template(actor=alice, template=locked, curation=LOCK).version == second
    assert curate_run_template(actor=alice, template=locked, curation={}).version.number == 3


def test_only_who_may_edit_shapes_a_form(template: RunTemplate, bob: User) -> None:
    with pytest.raises(NotAllowed):
        curate_run_template(actor=bob, template=template, curation=LOCK)


def test_two_owners_do_not_overwrite_each_other(locked: RunTemplate, alice: User) -> None:
    with pytest.raises(ValidationFailed, match="version 2 meanwhile"):
        curate_run_template(actor=alice, template=locked, curation={}, seen_version=1)


def test_a_new_deployment_keeps_the_shape(locked: RunTemplate, alice: User, stacks: dict[str, Stack]) -> None:
    deployment = freeze("training.training_pipeline", alice, stacks["celery"])
    deployment.pk, deployment.fingerprint = uuid.uuid4(), "another"
    deployment.save(force_insert=True)
    template = create_run_template(actor=alice, name=locked.name, deployment=deployment, update=True)
    assert (template.version.number, template.version.curation) == (3, LOCK)
    assert template.version.curation_notes == []


def test_what_has_been_fixed_meanwhile_is_told_to_who_filled_in_the_form(
    client: Client, bob: User, locked: RunTemplate
) -> None:
    client.force_login(bob)
    page = client.post(locked.get_absolute_url(), {RATE: "0.5", MODEL: "rf", "version": "1"}).text
    assert "“Learning rate” (Trainer) is fixed at 0.3 now." in page
    assert "“Threshold” (Evaluator) is no longer asked for." in page


def test_what_is_hidden_and_given_is_kept_beside_the_form(
    client: Client, bob: User, locked: RunTemplate
) -> None:
    client.force_login(bob)
    page = client.get(f"{locked.get_absolute_url()}?steps.evaluator.parameters.threshold=0.9")
    assert "<strong>“Threshold” (Evaluator)</strong>" in page.text
    assert (
        'id="rest"'
        not in client.get(f"{locked.get_absolute_url()}?steps.evaluator.parameters.threshold=0.7").text
    )
    rest = {"rest": json.dumps({"steps": {"evaluator": {"parameters": {"threshold": 0.9}}}})}
    client.post(locked.get_absolute_url(), {MODEL: "rf"} | rest)
    assert parameters_of(PipelineRun.objects.get())["threshold"] == 0.9


def test_what_is_hidden_is_told_by_its_title_wherever_it_is_wrong_or_differs(
    client: Client, alice: User, locked: RunTemplate
) -> None:
    client.force_login(alice)
    launch(locked, alice)
    PipelineRun.objects.update(status="completed")

    def look(threshold: Any, **more: str) -> str:
        rest = json.dumps({"steps": {"evaluator": {"parameters": {"threshold": threshold}}}})
        return client.post(
            locked.get_absolute_url(), {MODEL: "rf", "rest": rest, "do": "look-ahead"} | more
        ).text

    differing = look(0.9)
    assert "<dt>Threshold <small>Evaluator</small></dt>" in differing
    assert "#id_steps.evaluator.parameters.threshold" not in differing
    wrong = look("high", do="run")
    assert "“Threshold” (Evaluator): " in wrong
    assert "/steps/evaluator" not in wrong.split("<form")[1]


def test_the_last_good_values_leave_out_what_is_fixed(
    template: RunTemplate, alice: User, rest: Client
) -> None:
    run = launch(template, alice, OTHER)
    PipelineRun.objects.filter(pk=run.pk).update(status="completed", end_time=timezone.now())
    curate_run_template(
        actor=alice, template=template, curation={"parameters": {"trainer.learning_rate": {"locked": 0.3}}}
    )
    assert post(rest, f"run_templates/{template.name}/runs", {"preset": "last-good"}).status_code == 200
    assert parameters_of(PipelineRun.objects.latest("created"))["learning_rate"] == 0.3


def test_the_page_of_a_run_speaks_in_the_owners_words(
    client: Client, template: RunTemplate, alice: User
) -> None:
    curation = {"parameters": {"trainer.learning_rate": {"label": "Speed"}}}
    run = launch(curate_run_template(actor=alice, template=template, curation=curation), alice)
    curate_run_template(actor=alice, template=template, curation={})
    client.force_login(alice)
    assert "<dt>Speed</dt>" in client.get(run.get_absolute_url()).text
