"""What may be chosen is judged and asked for with the values that a template's owner starts from, fixes and hides."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app import preparations
from runs_app.models import PipelineRun, Preparation, Schedule, Worker
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule, fire_schedule
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.factories import freeze, launch, make_template
from zenweb.accounts.models import User
from zenweb.exceptions import ValidationFailed

TABLE = "steps.load.parameters.table"
REGION = "steps.load.parameters.region"
HIDDEN = {"default": "us", "hidden": True}


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def tables(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")


@pytest.fixture
def pages(client: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Nobody answers but the tests, so nobody waits."""
    monkeypatch.setattr("runs_app.launching.CHOICES_WAIT", 0.0)
    monkeypatch.setattr("runs_app.launching.FIRST_WAIT", 0.0)
    monkeypatch.setattr("runs_app.api.choices.WAIT", 0.0)
    client.force_login(alice)
    return client


def with_region(template: RunTemplate, owner: User, **asked: Any) -> RunTemplate:
    curation = {"version": 1, "parameters": {"load.region": asked}}
    return curate_run_template(actor=owner, template=template, curation=curation)


def know(rest: Client, template: RunTemplate, worker: Worker, *regions: str) -> None:
    for region in regions:
        ask(rest, template, region=region)
        claimed = preparations.claim(worker, ["default"])
        assert claimed is not None
        preparations.record_answer(claimed, [(f"{region}_x", "X"), (f"{region}_y", "Y")], "")


def ask(rest: Client, template: RunTemplate, **values: str) -> Any:
    body = {"step": "load", "parameter": "table"} | {"configuration": choosing(**values)}
    path = f"/api/v1/run_templates/{template.name}/choices"
    return rest.post(path, body, content_type="application/json").json()


def choosing(**values: str) -> dict[str, Any]:
    return {"steps": {"load": {"parameters": values}}}


def asked_regions() -> list[str]:
    return [asked.arguments[0][1] for asked in Preparation.objects.filter(parameter="table")]


# -- judged ------------------------------------------------------------------------------------------------------------


def by_form(pages: Client, rest: Client, template: RunTemplate, table: str) -> int:
    return int(pages.post(template.get_absolute_url(), {TABLE: table}).status_code)


def by_yaml(pages: Client, rest: Client, template: RunTemplate, table: str) -> int:
    text = f"steps: {{load: {{parameters: {{table: {table}}}}}}}"
    return int(pages.post(template.get_absolute_url(), {"view": "yaml", "yaml": text}).status_code)


def by_rest(pages: Client, rest: Client, template: RunTemplate, table: str) -> int:
    path = f"/api/v1/run_templates/{template.name}/runs"
    return int(rest.post(path, choosing(table=table), content_type="application/json").status_code)


def by_preset(pages: Client, rest: Client, template: RunTemplate, table: str) -> int:
    assert template.user is not None
    Preparation.objects.all().delete()  # a preset is kept before anybody knows
    create_preset(actor=template.user, template=template, name="p", configuration=choosing(table=table))
    worker = Worker.objects.get()
    know(rest, template, worker, "eu", "us")
    path = f"/api/v1/run_templates/{template.name}/runs"
    return int(rest.post(path, {"preset": "p"}, content_type="application/json").status_code)


def by_schedule(pages: Client, rest: Client, template: RunTemplate, table: str) -> int:
    assert template.user is not None
    try:
        schedule = create_schedule(
            actor=template.user,
            template=template,
            name="s",
            cron="0 6 * * *",
            zone="UTC",
            configuration=choosing(table=table),
        )
    except ValidationFailed:
        return 422
    Schedule.objects.update(next_time=timezone.now() - timedelta(seconds=1))
    firing = fire_schedule(schedule.pk)
    return 200 if firing and firing.run else 422


CHANNELS: dict[str, Callable[[Client, Client, RunTemplate, str], int]] = {
    "form": by_form,
    "yaml": by_yaml,
    "rest": by_rest,
    "preset": by_preset,
    "schedule": by_schedule,
}


@pytest.mark.parametrize("send", CHANNELS.values(), ids=CHANNELS)
def test_every_channel_judges_by_the_owners_values(
    pages: Client, rest: Client, tables: RunTemplate, alice: User, worker: Worker, send: Any
) -> None:
    template = with_region(tables, alice, **HIDDEN)
    know(rest, template, worker, "eu", "us")
    assert send(pages, rest, template, "us_x") in {200, 302}
    ran = PipelineRun.objects.get().parameters["load"]
    assert (ran["region"], ran["table"]) == ("us", "us_x")


@pytest.mark.parametrize("send", CHANNELS.values(), ids=CHANNELS)
def test_no_channel_takes_what_only_the_pipelines_own_values_offer(
    pages: Client, rest: Client, tables: RunTemplate, alice: User, worker: Worker, send: Any
) -> None:
    template = with_region(tables, alice, **HIDDEN)
    know(rest, template, worker, "eu", "us")
    assert send(pages, rest, template, "eu_x") == 422
    assert not PipelineRun.objects.exists()


def test_a_form_can_be_sent_whose_required_values_the_owner_gives(
    pages: Client, stacks: dict[str, Stack], alice: User
) -> None:
    template = make_template(freeze("chosen.asking_pipeline", alice, stacks["celery"]), alice, "columns")
    curation = {"version": 1, "parameters": {"pick.rows": {"default": 5, "hidden": True}}}
    template = curate_run_template(actor=alice, template=template, curation=curation)
    assert pages.post(template.get_absolute_url(), {TABLE: "eu_orders"}).status_code == 302
    assert PipelineRun.objects.get().parameters["pick"]["rows"] == 5


# -- asked for ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{"locked": "us"}, HIDDEN, {"default": "us"}], ids=str)
def test_choices_are_asked_for_with_the_owners_values(
    pages: Client, rest: Client, tables: RunTemplate, alice: User, asked: dict[str, Any]
) -> None:
    template = with_region(tables, alice, **asked)
    ask(rest, template)
    pages.get(template.get_absolute_url())
    launch(template, alice, choosing(table="us_x"))
    assert asked_regions() == ["us"]


def test_a_value_that_the_owner_does_not_take_is_asked_for_nothing(
    pages: Client, rest: Client, tables: RunTemplate, alice: User
) -> None:
    template = with_region(tables, alice, locked="us")
    answered = ask(rest, template, region="eu")
    assert answered["status"] == "missing"
    assert "depends on Region: give" in answered["sentence"]
    assert asked_regions() == []


def test_a_form_asks_with_what_is_kept_beside_it(pages: Client, tables: RunTemplate, alice: User) -> None:
    template = with_region(tables, alice, **HIDDEN)
    create_preset(actor=alice, template=template, name="p", configuration=choosing(region="asia"))
    page = pages.get(f"{template.get_absolute_url()}?preset=p")
    assert asked_regions() == ["asia"]
    rest_of_it = page.context["form"].rest_as_json
    pages.post(template.get_absolute_url(), {TABLE: "asia_x", "rest": rest_of_it, "do": "show"})
    assert asked_regions() == ["asia"]


def test_a_repair_asks_with_the_originals_hidden_values(
    pages: Client, tables: RunTemplate, alice: User, worker: Worker
) -> None:
    template = with_region(tables, alice, **HIDDEN)
    run = launch(template, alice, choosing(region="asia", table="asia_x"))
    PipelineRun.objects.update(status="failed")
    pages.get(f"/runs/{run.pk}/repair")
    assert asked_regions() == ["asia"]
