"""What an owner bounded or fixed of a step holds for what the pipeline's own parameters hand on to it, too."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app.models import PipelineRun, Schedule, Worker
from runs_app.presets import create_preset
from runs_app.repair import Repair, preview_repair
from runs_app.schedules import create_schedule, fire_due_schedules
from runs_app.starting import blamed_parameters
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.accounts.conftest import ask, give, rest_of
from tests.composing import compile_next, compiled, own
from tests.factories import freeze, launch, make_template
from tests.web.test_own_parameters import inputs
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, Role
from zenweb.exceptions import ValidationFailed

BOUNDED = {"train.rate": {"maximum": 0.5, "unless": "editor"}}
FIXED = {"train.rate": {"locked": 0.2, "unless": "editor"}}
TOLD = (
    "/parameters/rate: What the pipeline makes of rate for train.rate is nothing that the owner of this template "
    "allows: This must be at most 0.5."
)
THEIRS = "/run_templates/moving"


def shaped(stacks: dict[str, Stack], alice: User, parameters: Any) -> RunTemplate:
    template = make_template(freeze("composed.moving_pipeline", alice, stacks["celery"]), alice, "moving")
    return curate_run_template(actor=alice, template=template, curation={"parameters": parameters})


@pytest.fixture
def bounded(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return shaped(stacks, alice, BOUNDED)


@pytest.fixture
def fixed(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return shaped(stacks, alice, FIXED)


def reasons(run: PipelineRun) -> list[str]:
    return [f"{pointer}: {message}" for pointer, message in run.compilation.errors]


def known(template: RunTemplate, alice: User, hand: Worker, **parameters: Any) -> None:
    """By her, who may."""
    assert compiled(template, alice, hand, own(**parameters)).status != ExecutionStatus.FAILED


# -- what holds --------------------------------------------------------------------------------------------------------


def test_a_bound_holds_for_what_is_handed_on(bounded: RunTemplate, bob: User, hand: Worker) -> None:
    run = compiled(bounded, bob, hand, own(rate=0.6))
    assert (run.status, reasons(run), run.steps.count()) == ("failed", [TOLD], 0)
    [blamed] = blamed_parameters(run, bounded.version.config_schema)
    assert blamed.pointer == "/parameters/rate"
    assert compiled(bounded, bob, hand, own(rate=0.5)).parameters["train"]["rate"] == 0.5


def test_it_does_not_hold_for_whom_it_does_not_concern(bounded: RunTemplate, bob: User, hand: Worker) -> None:
    give(bob, bounded, Role.EDITOR)
    assert compiled(bounded, bob, hand, own(rate=0.6)).parameters["train"]["rate"] == 0.6


def test_a_fixed_value_stays_whatever_is_handed_on(fixed: RunTemplate, bob: User, hand: Worker) -> None:
    assert compiled(fixed, bob, hand, own(rate=0.6)).parameters["train"]["rate"] == 0.2


@pytest.mark.parametrize("said", [BOUNDED, FIXED], ids=["bounded", "fixed"])
def test_what_another_step_would_give_is_refused(
    stacks: dict[str, Stack], alice: User, bob: User, hand: Worker, said: Any
) -> None:
    run = compiled(shaped(stacks, alice, said), bob, hand, own(way="tuned"))
    [told] = reasons(run)
    assert told.startswith(
        "/parameters/way: With way as given here, train.rate is what step tune_2 gives out."
    )


@pytest.mark.parametrize(
    ("said", "rate", "words"), [(BOUNDED, 0.6, "at most 0.5"), (FIXED, 0.3, "must be 0.2")]
)
def test_each_element_of_a_list_keeps_to_it(
    stacks: dict[str, Stack], alice: User, bob: User, hand: Worker, said: Any, rate: float, words: str
) -> None:
    template = shaped(stacks, alice, said)
    [told] = reasons(compiled(template, bob, hand, own(way="mapped", rate=rate)))
    assert told.startswith("/parameters/")
    assert words in told
    run = compiled(template, bob, hand, own(way="mapped", rate=0.2))
    assert run.parameters["train"]["rate"] == [0.2, 0.2]


def test_a_list_that_is_given_keeps_to_it_too(bounded: RunTemplate, bob: User, hand: Worker) -> None:
    given = {"steps": {"train": {"parameters": {"rate": [0.1, 0.6]}}}}
    run = compiled(bounded, bob, hand, own(way="mapped", rate=0.2) | given)
    assert reasons(run) == ["/steps/train/parameters/rate/1: This must be at most 0.5."]


def test_a_step_that_gets_it_from_another_as_one_did_before_may_come_in_addition(
    bounded: RunTemplate, bob: User, hand: Worker
) -> None:
    run = compiled(bounded, bob, hand, own(again=1))
    assert list(run.steps.order_by("index").values_list("name", flat=True))[-1] == "follower_0"


def test_a_new_step_keeps_to_what_is_said_of_its_function(
    stacks: dict[str, Stack], alice: User, bob: User, hand: Worker
) -> None:
    template = make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "moving")
    curate_run_template(actor=alice, template=template, curation={"parameters": BOUNDED})
    run = compiled(RunTemplate.objects.get(), bob, hand, own(n_models=3, rate=0.6))
    assert {told.partition(" for ")[2].partition(" ")[0] for told in reasons(run)} == {
        "train.rate",
        "train_3.rate",
    }


# -- in every channel --------------------------------------------------------------------------------------------------

BEYOND = own(rate=0.6)


def run_preset(user: User, template: RunTemplate) -> Any:
    """One that holds more than its user may by now."""
    create_preset(actor=user, template=template, name="mine")
    template.presets.update(configuration=BEYOND)
    return ask(rest_of(user), "POST", f"{THEIRS}/runs", {"preset": "mine"})


def pages_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


CHANNELS: dict[str, Callable[[User, RunTemplate], Any]] = {
    "REST": lambda user, it: ask(rest_of(user), "POST", f"{THEIRS}/runs", BEYOND),
    "dry run": lambda user, it: ask(rest_of(user), "POST", f"{THEIRS}/runs?dry_run=true", BEYOND),
    "new preset": lambda user, it: ask(
        rest_of(user), "POST", f"{THEIRS}/presets", {"name": "new", "configuration": BEYOND}
    ),
    "run from a preset": run_preset,
    "form": lambda user, it: pages_of(user).post(it.get_absolute_url(), {"parameters.rate": "0.6"}),
    "YAML": lambda user, it: pages_of(user).post(
        it.get_absolute_url(), {"view": "yaml", "yaml": json.dumps(BEYOND)}
    ),
    "new schedule": lambda user, it: ask(
        rest_of(user),
        "POST",
        "/schedules",
        {"name": "s", "cron_expression": "0 6 * * *", "template": it.name, "configuration": BEYOND},
    ),
}


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=CHANNELS)
def test_it_is_refused_at_once_where_it_is_known(
    bounded: RunTemplate, alice: User, bob: User, hand: Worker, channel: Any
) -> None:
    known(bounded, alice, hand, rate=0.6)
    refused = channel(bob, bounded)
    assert (refused.status_code, "for train.rate is nothing" in refused.text) == (422, True), refused.text
    bounded.presets.all().delete()
    give(bob, bounded, Role.EDITOR)
    done = channel(bob, RunTemplate.objects.get())
    assert done.status_code in {200, 302}, done.text


def test_validation_says_so_too(bounded: RunTemplate, alice: User, bob: User, hand: Worker) -> None:
    known(bounded, alice, hand, rate=0.6)
    [error] = ask(rest_of(bob), "POST", f"{THEIRS}/validate", BEYOND).json()["errors"]
    assert f"{error['pointer']}: {error['message']}" == TOLD


def test_the_form_says_it_at_its_field(bounded: RunTemplate, alice: User, bob: User, hand: Worker) -> None:
    known(bounded, alice, hand, rate=0.6)
    page = pages_of(bob).post(bounded.get_absolute_url(), {"parameters.rate": "0.6"}).text
    assert 'id="id_parameters.rate_error"' in page


def test_a_form_that_shows_what_is_handed_on_says_so_there(
    bounded: RunTemplate, alice: User, bob: User, hand: Worker
) -> None:
    known(bounded, alice, hand, rate=0.6)
    page, address = pages_of(bob), bounded.get_absolute_url()
    shown = inputs(page.post(address, {"parameters.rate": "0.6", "do": "show"}).text)
    assert shown["steps.train.parameters.rate"] == "0.6"
    refused = page.post(address, shown)
    assert (refused.status_code, 'id="id_steps.train.parameters.rate_error"' in refused.text) == (422, True)
    assert "This must be at most 0.5. It is what the pipeline makes of rate." in refused.text
    typed = page.post(address, {**shown, "steps.train.parameters.rate": "0.7"})
    assert "It is what the pipeline makes of" not in typed.text
    taken = page.post(address, {**shown, "steps.train.parameters.rate": "0.5"})
    assert taken.status_code == 302


def test_a_schedules_run_keeps_to_it(bounded: RunTemplate, bob: User, hand: Worker) -> None:
    schedule = create_schedule(actor=bob, template=bounded, name="s", cron="0 * * * *", configuration=BEYOND)
    Schedule.objects.filter(pk=schedule.pk).update(next_time=timezone.now() - timedelta(seconds=1))
    fire_due_schedules()
    compile_next(hand)
    assert reasons(PipelineRun.objects.get()) == [TOLD]


def test_a_repair_keeps_to_a_bound_that_came_later(
    stacks: dict[str, Stack], alice: User, bob: User, hand: Worker
) -> None:
    template = make_template(freeze("composed.moving_pipeline", alice, stacks["celery"]), alice, "moving")
    run = compiled(template, bob, hand, own(rate=0.6))
    PipelineRun.objects.update(status=ExecutionStatus.FAILED)
    curate_run_template(actor=alice, template=template, curation={"parameters": BOUNDED})
    run = PipelineRun.objects.get()
    assert preview_repair(Repair(run), actor=bob).again  # what was accepted then
    changed = Repair(run, configuration={"steps": {"train": {"parameters": {"rate": 0.7}}}})
    with pytest.raises(ValidationFailed, match="at most 0"):
        preview_repair(changed, actor=bob)


@pytest.mark.parametrize(
    "steps", [None, [], {"train": None}, {"train": []}, {"train": {"parameters": []}}, {"gone": {}}]
)
def test_what_is_malformed_is_refused_beside_it(
    bounded: RunTemplate, alice: User, bob: User, hand: Worker, steps: Any
) -> None:
    known(bounded, alice, hand, rate=0.6)
    told = ask(rest_of(bob), "POST", f"{THEIRS}/validate", BEYOND | {"steps": steps})
    assert (told.status_code, "for train.rate is nothing" in told.text) == (200, True)


def test_what_was_frozen_asks_for_nothing(bounded: RunTemplate, bob: User) -> None:
    assert launch(bounded, bob, own(rate=0.1)).parameters["train"]["rate"] == 0.1
