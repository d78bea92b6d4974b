"""What an owner fixed and bounded `unless` somebody is more holds for those who are less, in every channel."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs_app.models import PipelineRun, Schedule, StepRun
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule, fire_schedule
from templates_app.models import RunTemplate
from templates_app.services import curate_run_template
from tests.accounts.conftest import ask, give, rest_of
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, Role

FIXED = "The owner of this template has fixed this at 0.3."
RATE, THRESHOLD = "steps.trainer.parameters.learning_rate", "steps.evaluator.parameters.threshold"
UNLESS_EDITOR = {
    "version": 1,
    "parameters": {
        "trainer.learning_rate": {"locked": 0.3, "unless": "editor"},
        "evaluator.threshold": {"maximum": 0.7, "unless": "editor"},
    },
}
BEYOND = {
    "steps": {
        "trainer": {"parameters": {"learning_rate": 0.5}},
        "evaluator": {"parameters": {"threshold": 0.9}},
    }
}
BODY = json.dumps(BEYOND)
NIGHTLY = {"name": "nightly", "cron_expression": "0 6 * * *"}
THEIRS = "/run_templates/daily-retraining"


@pytest.fixture
def bounded(template: RunTemplate, alice: User) -> RunTemplate:
    return curate_run_template(actor=alice, template=template, curation=UNLESS_EDITOR)


def pages_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def failed_run(template: RunTemplate, owner: User) -> PipelineRun:
    run = launch(template, owner)
    PipelineRun.objects.update(status=ExecutionStatus.FAILED)
    StepRun.objects.update(status=ExecutionStatus.FAILED)
    return run


def change_preset(user: User, template: RunTemplate) -> Any:
    preset = create_preset(actor=user, template=template, name="mine")
    return ask(rest_of(user), "PUT", f"{THEIRS}/presets/{preset.name}", {"configuration": BEYOND})


def run_preset(user: User, template: RunTemplate) -> Any:
    """One that holds more than its user may by now."""
    create_preset(actor=user, template=template, name="mine")
    template.presets.update(configuration=BEYOND)
    return ask(rest_of(user), "POST", f"{THEIRS}/runs", {"preset": "mine"})


def change_schedule(user: User, template: RunTemplate) -> Any:
    schedule = create_schedule(actor=user, template=template, name="hourly", cron="0 * * * *")
    return ask(rest_of(user), "PUT", f"/schedules/{schedule.pk}", {"configuration": BEYOND})


def repair(user: User, template: RunTemplate, query: str = "") -> Any:
    run = failed_run(template, user)
    return ask(rest_of(user), "POST", f"/runs/{run.pk}/repair{query}", {"configuration": BEYOND})


def repair_on_page(user: User, template: RunTemplate) -> Any:
    run = failed_run(template, user)
    return pages_of(user).post(reverse("run-repair", args=[run.pk]), {RATE: "0.5", THRESHOLD: "0.9"})


Ask = Callable[[User, RunTemplate], Any]
CHANNELS: dict[str, Ask] = {
    "REST": lambda user, it: ask(rest_of(user), "POST", f"{THEIRS}/runs", BEYOND),
    "dry run": lambda user, it: ask(rest_of(user), "POST", f"{THEIRS}/runs?dry_run=true", BEYOND),
    "new preset": lambda user, it: ask(
        rest_of(user), "POST", f"{THEIRS}/presets", {"name": "new", "configuration": BEYOND}
    ),
    "changed preset": change_preset,
    "run from a preset": run_preset,
    "new schedule": lambda user, it: ask(
        rest_of(user), "POST", "/schedules", NIGHTLY | {"template": it.name, "configuration": BEYOND}
    ),
    "changed schedule": change_schedule,
    "repair": repair,
    "dry repair": lambda user, it: repair(user, it, "?dry_run=true"),
    "form": lambda user, it: pages_of(user).post(it.get_absolute_url(), {RATE: "0.5", THRESHOLD: "0.9"}),
    "YAML": lambda user, it: pages_of(user).post(it.get_absolute_url(), {"view": "yaml", "yaml": BODY}),
    "page of a repair": repair_on_page,
}


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)
def test_it_holds_for_a_runner_and_not_for_an_editor(bounded: RunTemplate, bob: User, channel: Ask) -> None:
    refused = channel(bob, bounded)
    assert (refused.status_code, FIXED in refused.text) == (422, True)
    Schedule.objects.all().delete()
    bounded.presets.all().delete()
    give(bob, bounded, Role.EDITOR)
    done = channel(bob, RunTemplate.objects.get())
    assert done.status_code in {200, 302}, done.text


@pytest.mark.parametrize(("role", "accepted"), [(Role.RUNNER, 0), (Role.EDITOR, 1)])
def test_it_holds_for_each_of_many_runs(bounded: RunTemplate, bob: User, role: Role, accepted: int) -> None:
    give(bob, bounded, role)
    told = ask(rest_of(bob), "POST", f"{THEIRS}/runs/bulk", {"runs": [{"configuration": BEYOND}]}).json()
    assert told["accepted"] == accepted == PipelineRun.objects.count()


@pytest.mark.parametrize(("role", "pointers"), [(Role.RUNNER, [THRESHOLD, RATE]), (Role.EDITOR, [])])
def test_validation_tells_what_holds_for_who_asks(
    bounded: RunTemplate, bob: User, role: Role, pointers: list[str]
) -> None:
    give(bob, bounded, role)
    told = ask(rest_of(bob), "POST", f"{THEIRS}/validate", BEYOND).json()
    assert sorted(error["pointer"][1:].replace("/", ".") for error in told["errors"]) == pointers


def test_an_editor_starts_from_the_fixed_value_and_may_change_it(bounded: RunTemplate, bob: User) -> None:
    give(bob, bounded, Role.EDITOR)
    assert f'name="{RATE}" value="0.3"' in pages_of(bob).get(bounded.get_absolute_url()).text
    assert launch(bounded, bob).parameters["trainer"]["learning_rate"] == 0.3


def test_a_schedule_of_who_is_an_editor_no_more_makes_no_run(bounded: RunTemplate, bob: User) -> None:
    give(bob, bounded, Role.EDITOR)
    schedule = create_schedule(actor=bob, template=bounded, name="s", cron="* * * * *", configuration=BEYOND)
    give(bob, bounded, Role.RUNNER)
    Schedule.objects.update(next_time=timezone.now() - timedelta(seconds=1))
    firing = fire_schedule(schedule.pk)
    assert firing is not None
    assert FIXED in firing.refusal
    assert not PipelineRun.objects.exists()


def test_an_editor_gives_an_owners_schedule_nothing_that_only_owners_may(
    bounded: RunTemplate, alice: User, bob: User
) -> None:
    """It runs in the owner's name: who could fill it in freely could do what the owner may."""
    schedule = create_schedule(actor=alice, template=bounded, name="hers", cron="0 6 * * *")
    only_owners = json.loads(json.dumps(UNLESS_EDITOR).replace("editor", "owner"))
    curate_run_template(actor=alice, template=bounded, curation=only_owners)
    give(bob, bounded, Role.EDITOR)
    answer = ask(rest_of(bob), "PUT", f"/schedules/{schedule.pk}", {"configuration": BEYOND})
    assert (answer.status_code, FIXED in answer.text) == (422, True)
    assert (
        ask(rest_of(alice), "PUT", f"/schedules/{schedule.pk}", {"configuration": BEYOND}).status_code == 200
    )


def test_a_runners_schedule_keeps_to_what_a_runner_may(bounded: RunTemplate, alice: User, bob: User) -> None:
    """Whoever fills it in."""
    schedule = create_schedule(actor=bob, template=bounded, name="his", cron="0 6 * * *")
    answer = ask(rest_of(alice), "PUT", f"/schedules/{schedule.pk}", {"configuration": BEYOND})
    assert (answer.status_code, FIXED in answer.text) == (422, True)
