"""What a newer version takes back, whom that breaks, and that it is told before it is done."""

import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.contract import Contract, contract_changes
from templates_app.models import PipelineDeployment, RunTemplate, RunTemplateVersion, Stack
from templates_app.services import curate_run_template, deploy_run_template
from tests.accounts.conftest import bearer
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import Role

PATH = "/api/v1/run_templates/daily-retraining"
NARROWER = """
from typing import Annotated, Literal
from pydantic import Field
from zenweb import pipeline, step

@step
def trainer(
    epochs: int, learning_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.2, seed: int = 1
) -> Annotated[int, "score"]:
    return epochs

@pipeline
def training_pipeline():
    trainer()
"""
Json = dict[str, Any]


def given(**parameters: Any) -> Json:
    return {"steps": {"trainer": {"parameters": parameters}}}


@pytest.fixture
def narrower(
    template: RunTemplate, alice: User, stacks: dict[str, Stack], tmp_path: Path
) -> PipelineDeployment:
    folder = tmp_path / "narrower"
    folder.mkdir()
    (folder / "narrower.py").write_text(NARROWER)
    deployment = freeze("narrower.training_pipeline", alice, stacks["celery"], folder)
    del sys.modules["narrower"]
    return deployment


@pytest.fixture
def compared(
    rest: Client, template: RunTemplate, narrower: PipelineDeployment, alice: User, bob: User
) -> Json:
    create_preset(
        actor=alice, template=template, name="bold", configuration=given(learning_rate=0.9), is_shared=True
    )
    create_preset(
        actor=alice, template=template, name="careful", configuration={"tags": ["a"]}, is_shared=True
    )
    create_schedule(
        actor=bob, template=template, name="nightly", cron="0 0 * * *", configuration=given(model_type="rf")
    )
    for rate in (0.8, 0.7, 0.3):
        launch(template, bob, given(learning_rate=rate))
    deploy_run_template(actor=alice, template=template, deployment=narrower)
    found: Json = rest.get(f"{PATH}/comparison").json()
    return found


def test_everything_that_is_narrower_or_gone_is_told_before_what_is_only_new(compared: Json) -> None:
    assert (compared["before"], compared["now"]) == (1, 2)
    told = [(change["breaks"], change["place"], change["sentence"]) for change in compared["changes"]]
    assert told == [
        (True, "trainer.epochs", "It has to be given now, and was not there before."),
        (True, "trainer.learning_rate", "It takes no numbers above 0.5 any more (before: 1)."),
        (True, "trainer.model_type", "It is gone."),
        (True, "evaluator", "This step is gone."),
        (True, "evaluator.metrics", "This output is gone."),
        (False, "trainer.score", "This output is of the type int now (before: float)."),
        (False, "trainer.learning_rate", "It starts from 0.2 now (before: 0.1)."),
        (False, "trainer.seed", "This parameter is new, and may be left out."),
    ]


def test_presets_schedules_and_callers_that_it_breaks_are_named(compared: Json) -> None:
    broken = {(each["kind"], each["user"], each["channel"]): each for each in compared["broken"]}
    assert {key: each["count"] for key, each in broken.items()} == {
        ("preset", "alice", ""): 1,
        ("schedule", "bob", ""): 1,
        ("runs", "bob", "rest"): 3,
    }
    names = [each["name"] for each in compared["broken"] if each["kind"] == "preset"]
    assert names == ["bold", "careful"]  # of that one, what has to be given now is missing
    assert "/steps/trainer/parameters/model_type" in [
        e["pointer"] for e in broken["schedule", "bob", ""]["errors"]
    ]


def test_nothing_is_broken_by_what_is_wider(rest: Client, compared: Json) -> None:
    back = rest.get(f"{PATH}/comparison?from=2&to=1").json()
    assert [change["place"] for change in back["changes"] if change["breaks"]] == [
        "trainer.epochs",
        "trainer.seed",
    ]
    same = rest.get(f"{PATH}/comparison?from=1&to=1").json()
    assert (same["changes"], same["broken"]) == ([], [])


def test_who_may_not_see_values_is_told_that_they_break_and_not_how(
    compared: Json, template: RunTemplate
) -> None:
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    Project.objects.update(default_role=Role.NOBODY)
    RoleGrant.objects.create(template=template, user=carol, role=Role.VIEWER)
    found = bearer(create_api_key(user=carol, name="c")[1]).get(f"{PATH}/comparison").json()
    kinds = {each["kind"]: each["errors"] for each in found["broken"]}
    assert (kinds["runs"], kinds["schedule"]) == ([], [])
    assert sum(each["count"] for each in found["broken"] if each["kind"] == "runs") == 3


def test_a_dry_run_of_apply_tells_it_before_it_is_done(
    rest: Client, template: RunTemplate, narrower: PipelineDeployment, bob: User
) -> None:
    launch(template, bob, given(learning_rate=0.9))
    document = rest.get(f"{PATH}/document").json()
    document["curation"] = {"parameters": {"trainer.learning_rate": {"maximum": 0.5}}}
    answer = rest.put(
        f"{PATH}/document?dry_run=true", json.dumps(document), content_type="application/json"
    ).json()
    [change], [broken] = answer["comparison"]["changes"], answer["comparison"]["broken"]
    assert (change["place"], change["breaks"]) == ("trainer.learning_rate", True)
    assert (broken["kind"], broken["user"], broken["count"]) == ("runs", "bob", 1)
    assert RunTemplateVersion.objects.count() == 1


def test_a_secret_that_a_schedule_keeps_is_judged_and_not_told(
    rest: Client, alice: User, stacks: dict[str, Stack]
) -> None:
    secretive = make_template(
        freeze("secretive.secretive_pipeline", alice, stacks["celery"]), alice, "secretive"
    )
    values = {"steps": {"tells": {"parameters": {"token": "hush-hush"}}}}
    create_schedule(actor=alice, template=secretive, name="nightly", cron="0 0 * * *", configuration=values)
    longer = {"parameters": {"tells.token": {"min_length": 20}}}
    curate_run_template(actor=alice, template=secretive, curation=longer)
    answer = rest.get("/api/v1/run_templates/secretive/comparison")
    [broken] = answer.json()["broken"]
    assert [error["pointer"] for error in broken["errors"]] == ["/steps/tells/parameters/token"]
    assert "hush" not in answer.content.decode()


def test_parameters_of_the_pipeline_itself_have_places_of_their_own(
    alice: User, stacks: dict[str, Stack]
) -> None:
    frozen = freeze("composed.composed_pipeline", alice, stacks["celery"])
    schema = deepcopy(frozen.config_schema)
    own = schema["properties"]["parameters"]["properties"]
    own["n_models"] |= {"default": 9, "maximum": 20}
    own["extra"] = {"type": "integer", "default": 1}
    found = contract_changes(Contract(frozen.config_schema, frozen.spec), Contract(schema, frozen.spec))
    assert [(change.pointer, change.place) for change in found] == [
        ("/parameters/n_models", "n_models"),
        ("/parameters/n_models", "n_models"),
        ("/parameters/extra", "extra"),
    ]


def test_nobody_waits_for_the_template_while_versions_are_compared(
    rest: Client, template: RunTemplate, bob: User
) -> None:
    launch(template, bob, given(learning_rate=0.9))
    document = rest.get(f"{PATH}/document").json()
    document["curation"] = {"parameters": {"trainer.learning_rate": {"maximum": 0.5}}}
    with CaptureQueriesContext(connection) as asked:
        answer = rest.put(f"{PATH}/document", json.dumps(document), content_type="application/json").json()
    assert [each["count"] for each in answer["comparison"]["broken"]] == [1]
    words = [query["sql"] for query in asked]
    made = next(
        at for at, sql in enumerate(words) if sql.startswith('INSERT INTO "templates_app_runtemplatevers')
    )
    looked = next(at for at, sql in enumerate(words) if 'FROM "runs_app_pipelinerun"' in sql and at > made)
    opened = sum(sql.startswith("SAVEPOINT") - sql.startswith("RELEASE") for sql in words[:looked])
    assert opened == 0
