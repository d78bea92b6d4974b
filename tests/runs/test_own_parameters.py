"""The pipeline's own parameters: with other values it is put together anew, and its runs go on with that.

Nobody's process does a worker's work here, but in the tests at the end.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app import compiled_runs, recording, settling
from runs_app.breakages import compare_versions
from runs_app.checking import check_template
from runs_app.models import PipelineRun, Preparation, RunCompilation, RunEvent, Schedule, StepRun, Worker
from runs_app.own_parameters import asked_of, put_together
from runs_app.plans import rules_of
from runs_app.presets import LAST_GOOD, create_preset, preset_values
from runs_app.recording import StepOutcome
from runs_app.repair import Repair
from runs_app.schedules import create_schedule, fire_due_schedules
from runs_app.services import Trigger, launch_run, repair_run, stop_run
from runs_app.starting import blamed_parameters
from runs_app.worker import StepWorker
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from templates_app.services import (
    ConcurrencyLimit,
    create_run_template,
    curate_run_template,
    delete_run_template,
    update_run_template,
)
from tests.composing import compile_next, compiled, own, steps
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import wait_for
from zenweb.accounts.models import User
from zenweb.enums import Role, TriggerChannel
from zenweb.exceptions import ValidationFailed
from zenweb.execution.protocol import StoredArtifact


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "composed")


@pytest.fixture
def picky(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("composed.picky_pipeline", alice, stacks["celery"]), alice, "picky")


def refusal(template: RunTemplate, alice: User, configuration: Any) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        launch(template, alice, configuration)
    return [str(error) for error in caught.value.errors]


# -- what is accepted --------------------------------------------------------------------------------------------------


def test_a_run_is_accepted_and_has_no_steps_until_its_pipeline_is_put_together(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = launch(template, alice, own(n_models=3, with_report=False))
    assert (run.status, run.status_reason, steps(run)) == ("initializing", recording.COMPILING, [])
    compile_next(hand)
    run.refresh_from_db()
    assert (run.status_reason, steps(run)) == ("", ["train", "train_2", "train_3"])
    assert StepRun.objects.filter(run=run, ready_at__isnull=False).count() == 3


def test_what_flows_into_steps_follows(template: RunTemplate, alice: User, hand: Worker) -> None:
    run = compiled(template, alice, hand, own(rate=2, since="2026-05-17"))
    assert run.parameters["train_2"] == {"seed": 1, "rate": 2.0, "kind": "svm"}
    assert run.parameters["report"] == {"since": "2026-05-17", "title": "All"}
    assert run.resolved_configuration["parameters"]["rate"] == 2.0


def test_the_second_run_with_the_same_parameters_needs_no_worker(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    first = compiled(template, alice, hand, own(n_models=1))
    second = launch(template, alice, own(n_models=1, with_report=True))
    assert second.deployment == first.deployment != template.deployment
    assert steps(second) == ["train", "report"]
    assert Preparation.objects.count() == 1


def test_the_same_parameters_as_frozen_ask_for_nothing(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice, {**template.version.config_template, "run_name": None})
    assert run.deployment == template.deployment
    assert not Preparation.objects.exists()


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"n_models": "many"}, '/parameters/n_models: "many" is not of type "integer"'),
        ({"n_models": 51}, "/parameters/n_models: 51 is greater than the maximum of 50"),
        ({"n_modles": 3}, "/parameters/n_modles: There is no 'n_modles' here. Did you mean 'n_models'?"),
    ],
)
def test_a_wrong_value_is_refused_at_once(
    template: RunTemplate, alice: User, parameters: Any, refused: str
) -> None:
    [error] = refusal(template, alice, own(**parameters))
    assert error.startswith(refused.partition(":")[0]), error


def test_a_schema_that_knows_no_parameters_of_the_pipeline_refuses_them(
    template: RunTemplate, alice: User
) -> None:
    sections = dict(template.deployment.config_schema["properties"])
    del sections["parameters"]
    schema = {**template.deployment.config_schema, "properties": sections}
    PipelineDeployment.objects.filter(pk=template.deployment.pk).update(config_schema=schema)
    [error] = refusal(RunTemplate.objects.get(pk=template.pk), alice, own(n_models=3))
    assert error.startswith("/parameters:")


def test_what_is_given_to_steps_is_checked_by_what_the_pipeline_is_then(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    asked = own(n_models=3) | {"steps": {"train_3": {"parameters": {"kind": "rf"}}}}
    run = compiled(template, alice, hand, asked)
    assert run.parameters["train_3"]["kind"] == "rf"
    wrong = own(n_models=3) | {"steps": {"train_4": {}, "train_3": {"parameters": {"kind": "fr"}}}}
    refused = refusal(template, alice, wrong)
    assert [error.partition(":")[0] for error in refused] == [
        "/steps/train_3/parameters/kind",
        "/steps/train_4",
    ]


def test_values_that_are_as_they_were_frozen_say_nothing(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    asked = dict(template.version.config_template)
    asked["parameters"] = {**asked["parameters"], "n_models": 1, "rate": 0.5, "with_report": False}
    run = compiled(template, alice, hand, asked)
    assert run.parameters == {"train": {"seed": 0, "rate": 0.5, "kind": "svm"}}


def test_a_template_frozen_before_there_were_types_for_them_takes_them_too(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    deployment = template.deployment
    for key in ("parameters_schema", "configuration"):
        del deployment.spec[key]
    known = deployment.config_schema["properties"]["parameters"]["properties"]
    known.update({name: {"default": schema["default"]} for name, schema in known.items()})
    deployment.save()
    assert steps(compiled(template, alice, hand, own(n_models=1))) == ["train", "report"]
    wrong = compiled(template, alice, hand, own(n_models="many"))
    [[pointer, sentence]] = wrong.compilation.errors
    assert (pointer, "valid integer" in sentence) == ("/parameters/n_models", True)


# -- what ends a run ---------------------------------------------------------------------------------------------------


def test_a_step_value_that_does_not_fit_ends_the_run_and_is_shown_at_its_field(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = launch(template, alice, own(n_models=1) | {"steps": {"train": {"parameters": {"kind": "fr"}}}})
    compile_next(hand)
    run.refresh_from_db()
    assert (run.status, steps(run)) == ("failed", [])
    assert run.status_reason.startswith("/steps/train/parameters/kind:")
    [blamed] = blamed_parameters(run, template.version.config_schema)
    assert blamed.pointer == "/steps/train/parameters/kind"


@pytest.mark.parametrize(
    ("parameters", "pointer", "sentence"),
    [
        ({"number": 2}, "/parameters/number", "an odd number is wanted."),
        ({"say": "wrong"}, "/parameters/say", "not that"),
        ({"say": "raise"}, "/parameters", "the moon is full"),
    ],
)
def test_a_pipeline_that_refuses_its_parameters_ends_the_run(
    picky: RunTemplate, alice: User, hand: Worker, parameters: Any, pointer: str, sentence: str
) -> None:
    run = compiled(picky, alice, hand, own(**parameters))
    assert run.status == "failed"
    [[blamed, told]] = run.compilation.errors
    assert (blamed, sentence in told) == (pointer, True)


def test_a_run_that_is_stopped_meanwhile_ends_at_once_and_stays_so(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = launch(template, alice, own(n_models=1))
    stop_run(actor=alice, run=run)
    compile_next(hand)
    run.refresh_from_db()
    assert (run.status, steps(run)) == ("stopped", [])
    assert not RunCompilation.objects.filter(is_open=True).exists()


def test_a_run_asks_anew_where_what_it_waited_for_is_gone(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = launch(template, alice, own(n_models=1))
    Preparation.objects.all().delete()
    compiled_runs.settle_all()
    compile_next(hand)
    assert steps(run) == ["train", "report"]


def test_a_run_that_the_server_fails_at_ends_in_the_end(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = launch(template, alice, own(n_models=1))
    RunCompilation.objects.update(moment="no moment")
    compile_next(hand)
    for _ in range(settling.MOST_TRIES - 1):
        assert RunCompilation.objects.get(run=run).is_open
        compiled_runs.settle_all()  # nothing is tried before the pause is over
        RunEvent.objects.filter(run=run).update(created=timezone.now() - settling.PAUSE)
        compiled_runs.settle_all()
    run.refresh_from_db()
    assert (run.status, steps(run)) == ("failed", [])
    assert "the server failed at it 5 times (ValueError)" in run.status_reason
    assert not RunCompilation.objects.get(run=run).is_open


def test_a_run_that_the_server_fails_at_keeps_no_other_waiting(
    template: RunTemplate, alice: User, hand: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MOST_SETTLED", 1)
    launch(template, alice, own(n_models=1))
    RunCompilation.objects.update(moment="no moment")
    good = launch(template, alice, own(n_models=1))
    compile_next(hand)
    compiled_runs.settle_all()
    assert steps(good) == ["train", "report"]


def test_a_run_whose_turn_comes_first_still_waits(template: RunTemplate, alice: User, hand: Worker) -> None:
    update_run_template(actor=alice, template=template, limit=ConcurrencyLimit(1))
    template.refresh_from_db()
    first, second = launch(template, alice), launch(template, alice, own(n_models=1))
    assert "waits for its turn" in second.status_reason
    stop_run(actor=alice, run=first)
    second.refresh_from_db()
    assert second.status_reason == recording.COMPILING
    compile_next(hand)
    second.refresh_from_db()
    assert StepRun.objects.filter(run=second, ready_at__isnull=False).count() == 2


def test_a_secret_of_a_step_that_is_not_known_yet_is_stored_sealed(
    stacks: dict[str, Stack], alice: User, hand: Worker
) -> None:
    template = make_template(freeze("composed.locked_pipeline", alice, stacks["celery"]), alice, "locked")
    run = launch(template, alice, own(doors=1) | {"steps": {"unlock": {"parameters": {"key": "sesame"}}}})
    kept = PipelineRun.objects.get(pk=run.pk)
    assert "sesame" not in json.dumps([kept.configuration, kept.resolved_configuration])
    compile_next(hand)
    kept.refresh_from_db()
    assert "sesame" not in json.dumps([kept.configuration, kept.resolved_configuration])
    assert kept.opened_parameters["unlock"] == {"key": "sesame"}


# -- who sees it -------------------------------------------------------------------------------------------------------


def test_what_was_put_together_is_in_no_list_and_found_by_its_id(
    template: RunTemplate, alice: User, hand: Worker, rest: Client
) -> None:
    run = compiled(template, alice, hand, own(n_models=1))
    listed = rest.get("/api/v1/pipeline_deployments").json()
    assert [each["id"] for each in listed["items"]] == [str(template.deployment.pk)]
    assert rest.get(f"/api/v1/pipeline_deployments/{run.deployment_id}").status_code == 200


def test_who_may_not_see_the_values_of_a_run_does_not_see_what_it_was_put_together_with(
    template: RunTemplate, alice: User, bob: User, hand: Worker, client: Client
) -> None:
    run = compiled(template, alice, hand, own(n_models=1))
    project = template.project
    project.default_role = Role.VIEWER
    project.save()
    client.force_login(bob)
    assert not PipelineDeployment.objects.visible_to(bob).filter(pk=run.deployment_id).exists()
    assert PipelineDeployment.objects.visible_to(bob).filter(pk=template.deployment.pk).exists()
    told = client.get(f"/api/v1/runs/{run.pk}").json()["metadata"]
    assert told["config"]["parameters"] is None
    assert "n_models" not in client.get(run.get_absolute_url()).content.decode()


def test_what_a_restricted_template_ran_stays_unseen(
    template: RunTemplate, alice: User, bob: User, hand: Worker
) -> None:
    run = compiled(template, alice, hand, own(n_models=1))
    seen = PipelineDeployment.objects.visible_to(bob)
    assert seen.filter(pk=run.deployment_id).exists()
    update_run_template(actor=alice, template=template, is_restricted=True)
    assert not seen.filter(pk=run.deployment_id).exists()
    delete_run_template(actor=alice, template=template)
    assert not seen.filter(pk=run.deployment_id).exists()


def test_a_template_made_of_such_a_run_has_its_parameters(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = compiled(template, alice, hand, own(n_models=1, with_report=False))
    made = create_run_template(actor=alice, name="small", deployment=run.deployment)
    assert made.deployment.derived_from is None
    assert steps(launch(made, alice)) == ["train"]
    assert asked_of(made.version, own(n_models=2, with_report=True)).question is not None


# -- again -------------------------------------------------------------------------------------------------------------


def finish(run: PipelineRun, worker: Worker) -> None:
    """All steps but the last one, the report, complete."""
    stored = StoredArtifact(uri="/x", materializer="m.M", data_type="builtins.int", type="DataArtifact")
    while (attempt := recording.claim_ready_step(worker, "default")) is not None:
        is_last = attempt.step.name == "report"
        recording.record_end(
            attempt, StepOutcome(was_stopped=is_last, outputs={} if is_last else {"output": stored})
        )
    run.refresh_from_db()


def test_a_repair_keeps_what_the_run_was_put_together_with(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    run = compiled(template, alice, hand, own(n_models=3))
    finish(run, hand)
    trigger = Trigger(actor=alice, channel=TriggerChannel.REST)
    repaired = repair_run(repair=Repair(run), trigger=trigger).run
    assert (repaired.deployment, steps(repaired)) == (run.deployment, steps(run))
    assert list(repaired.steps.filter(status="cached").values_list("name", flat=True)) == steps(run)[:3]


def test_a_repair_does_not_put_together_anew(template: RunTemplate, alice: User, hand: Worker) -> None:
    run = compiled(template, alice, hand, own(n_models=1))
    finish(run, hand)
    with pytest.raises(ValidationFailed, match="Run it again as a whole"):
        repair_run(
            repair=Repair(run, configuration=own(n_models=9)),
            trigger=Trigger(actor=alice, channel=TriggerChannel.REST),
        )


def test_what_ran_before_is_taken_from_the_cache(template: RunTemplate, alice: User, hand: Worker) -> None:
    finish(launch(template, alice), hand)
    run = compiled(template, alice, hand, own(n_models=3))
    assert list(run.steps.filter(status="cached").values_list("name", flat=True)) == ["train", "train_2"]


# -- presets, schedules, the form's owner ------------------------------------------------------------------------------


def test_a_preset_keeps_them_with_values_of_the_steps_that_they_make(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    values: Any = own(n_models=3, rate=0.1) | {"steps": {"train_3": {"parameters": {"kind": "rf"}}}}
    with pytest.raises(ValidationFailed, match="is not known yet"):
        create_preset(actor=alice, template=template, name="three", configuration=values)
    compiled(template, alice, hand, own(n_models=3))
    preset = create_preset(actor=alice, template=template, name="three", configuration=values)
    assert preset.configuration == {"parameters": {"n_models": 3}, "steps": values["steps"]}
    trigger = Trigger(actor=alice, channel=TriggerChannel.REST)
    run = launch_run(
        deployment=template.deployment,
        version=template.version,
        configuration={},
        trigger=trigger,
        preset="three",
    ).run
    assert run.parameters["train_3"]["kind"] == "rf"


def test_the_last_good_values_have_them(template: RunTemplate, alice: User, hand: Worker) -> None:
    run = compiled(template, alice, hand, own(n_models=1, with_report=False))
    finish(run, hand)
    assert preset_values(alice, template, LAST_GOOD) == own(n_models=1, with_report=False)


def test_a_schedule_has_them_and_its_run_waits_to_be_put_together(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    every_hour: Any = {"actor": alice, "template": template, "name": "nightly", "cron": "0 * * * *"}
    with pytest.raises(ValidationFailed, match="/configuration/parameters/n_models"):
        create_schedule(**every_hour, configuration=own(n_models=99))
    schedule = create_schedule(**every_hour, configuration=own(n_models=1))
    Schedule.objects.filter(pk=schedule.pk).update(next_time=timezone.now() - timedelta(seconds=1))
    fire_due_schedules()
    compile_next(hand)
    assert steps(PipelineRun.objects.get()) == ["train", "report"]


def test_checks_and_comparisons_judge_by_what_the_pipeline_is_with_them(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    template = compiled(template, alice, hand, own(n_models=3)).template or template
    values = own(n_models=3) | {"steps": {"train_3": {"parameters": {"kind": "rf"}}}}
    create_schedule(actor=alice, template=template, name="n", cron="0 3 * * *", configuration=values)
    assert [each.verdict for each in check_template(template).findings if each.part == "schedules"] == ["ok"]
    before = template.version
    curate_run_template(
        actor=alice, template=template, curation={"parameters": {"train.rate": {"maximum": 1}}}
    )
    now = RunTemplate.objects.get(pk=template.pk).version
    assert compare_versions(alice, before, now).broken == []


def test_what_a_stack_that_became_local_refuses_is_told(
    template: RunTemplate, alice: User, hand: Worker, rest: Client
) -> None:
    create_preset(actor=alice, template=template, name="four", configuration=own(n_models=4))
    curate_run_template(
        actor=alice, template=template, curation={"parameters": {"train.rate": {"maximum": 1}}}
    )
    Stack.objects.filter(pk=template.deployment.stack_id).update(orchestrator="local")
    told = rest.get("/api/v1/run_templates/composed/check").json()["findings"]
    assert [each["part"] for each in told if each["verdict"] == "failed"] == ["stack"]
    assert rest.get("/api/v1/run_templates/composed/presets").status_code == 200


def test_the_owner_shapes_them_like_those_of_steps(template: RunTemplate, alice: User, hand: Worker) -> None:
    asked = {"default": 1, "maximum": 4, "label": "Models"}
    curate_run_template(actor=alice, template=template, curation={"parameters": {"n_models": asked}})
    template = RunTemplate.objects.get(pk=template.pk)
    [refused] = refusal(template, alice, own(n_models=5))
    assert refused.startswith("/parameters/n_models")
    run = compiled(template, alice, hand, {})
    assert steps(run) == ["train", "report"]


def test_steps_that_the_owner_never_saw_keep_to_what_is_said_of_their_function(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    said = {"train.rate": {"locked": 0.3}, "train.kind": {"choices": ["svm"]}}
    curate_run_template(actor=alice, template=template, curation={"parameters": said})
    template = RunTemplate.objects.get(pk=template.pk)
    given = {"steps": {"train_3": {"parameters": {"rate": 99.0, "kind": "rf"}}}}
    refused = compiled(template, alice, hand, own(n_models=3) | given)
    assert refused.status == "failed"
    told = {error.partition(":")[0] for error in refusal(template, alice, own(n_models=3) | given)}
    assert told == {"/steps/train_3/parameters/rate", "/steps/train_3/parameters/kind"}
    accepted = launch(template, alice, own(n_models=3))
    assert accepted.parameters["train_3"]["rate"] == 0.3
    shown = put_together(template.version, {"n_models": 3})
    assert shown.config_schema == rules_of(shown).config_schema
    assert shown.config_template["steps"]["train_3"]["parameters"]["rate"] == 0.3


# -- looking ahead -----------------------------------------------------------------------------------------------------


def test_without_a_worker_one_is_told_so_and_the_run_is_accepted(template: RunTemplate, rest: Client) -> None:
    told = rest.post(
        "/api/v1/run_templates/composed/validate", own(n_models=1), content_type="application/json"
    ).json()
    assert told["valid"]
    [warning] = told["warnings"]
    assert warning.startswith("/parameters: not checked yet: No worker has served queue default")


def test_what_is_known_is_checked_with_all_its_steps(
    template: RunTemplate, alice: User, hand: Worker, rest: Client
) -> None:
    compiled(template, alice, hand, own(n_models=1))
    asked = own(n_models=1) | {"steps": {"train_2": {"parameters": {"kind": "rf"}}}}
    told = rest.post("/api/v1/run_templates/composed/validate", asked, content_type="application/json").json()
    assert [error["pointer"] for error in told["errors"]] == ["/steps/train_2"]


def test_what_may_be_given_with_them_is_told_on_request(
    template: RunTemplate, alice: User, hand: Worker, rest: Client
) -> None:
    compiled(template, alice, hand, own(n_models=3))
    address = "/api/v1/run_templates/composed/validate"
    asked = own(n_models=3) | {"steps": {"train_3": {"parameters": {"kind": "fr"}}}}
    told = rest.post(f"{address}?schema=true", asked, content_type="application/json").json()
    assert [error["pointer"] for error in told["errors"]] == ["/steps/train_3/parameters/kind"]
    assert "train_3" in told["config_schema"]["properties"]["steps"]["properties"]
    assert "config_schema" not in rest.post(address, asked, content_type="application/json").json()


@pytest.mark.parametrize("verb", ["validate", "runs?dry_run=true"])
def test_the_secret_of_a_step_that_they_make_is_shown_by_no_look_ahead(
    stacks: dict[str, Stack], alice: User, hand: Worker, rest: Client, verb: str
) -> None:
    template = make_template(freeze("composed.locked_pipeline", alice, stacks["celery"]), alice, "locked")
    compiled(template, alice, hand, own(doors=1))
    asked = own(doors=1) | {"steps": {"unlock": {"parameters": {"key": "sesame"}}}}
    told = rest.post(f"/api/v1/run_templates/locked/{verb}", asked, content_type="application/json")
    assert (told.status_code, "unlock" in told.text, "sesame" in told.text) == (200, True, False)


# -- on a worker -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_worker_puts_it_together_and_runs_it(
    template: RunTemplate, alice: User, worker: StepWorker, rest: Client
) -> None:
    run = launch(template, alice, own(n_models=1, rate=3))
    told = rest.post(
        "/api/v1/run_templates/composed/validate", own(n_models=0), content_type="application/json"
    ).json()
    assert (told["warnings"], list(told["configuration"]["steps"])) == ([], ["report"])
    wait_for(lambda: PipelineRun.objects.get(pk=run.pk).is_finished)
    run.refresh_from_db()
    assert (run.status, run.status_reason) == ("completed", "")
    assert steps(run) == ["train", "report"]
