"""The page on which a finished run is repaired: its plan, its form, and the run it starts."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from runs_app.models import PipelineRun, Worker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_caching import execute, with_factor
from tests.runs.test_repair import finish, make_newer
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel

HTMX = {"HX-Request": "true"}
FACTOR = "steps.second.parameters.factor"
VALUE = "steps.first.parameters.value"


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def worker(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)


@pytest.fixture
def broken(stacks: dict[str, Stack], alice: User, worker: Worker) -> PipelineRun:
    """A run of first -> second -> last whose second step failed."""
    chain = make_template(freeze("cached.chain", alice, stacks["celery"]), alice, "chain")
    return finish(launch(chain, alice, with_factor(7)), worker, failing="second")


def address(run: PipelineRun, query: str = "") -> str:
    return reverse("run-repair", args=[run.id]) + query


def shown(page: str) -> dict[str, str]:
    """What the page says of each step."""
    rows = re.findall(
        r'class="step-name">(\w+)<small>.*?</small></span>\s*<span class="chip[^>]*>.*?</svg>([\w ]+)<', page
    )
    return dict(rows)


def test_a_finished_run_leads_to_its_repair(pages: Client, broken: PipelineRun) -> None:
    page = pages.get(broken.get_absolute_url()).text
    assert f'href="{address(broken)}"' in page
    assert f'href="{address(broken, "?from=second")}"' in page
    PipelineRun.objects.update(status="running")
    assert "Repair" not in pages.get(broken.get_absolute_url()).text


def test_it_shows_the_plan_and_the_values_that_ran(pages: Client, broken: PipelineRun) -> None:
    page = pages.get(address(broken)).text
    assert shown(page) == {"First": "Kept", "Second": "Runs again", "Last": "Runs again"}
    assert "2 of 3 steps run again, 1 keeps what it made." in page
    assert f'name="{FACTOR}" value="7"' in page


def test_a_link_can_choose_the_step(pages: Client, broken: PipelineRun) -> None:
    page = pages.get(address(broken, "?from=first")).text
    assert re.search(r'value="first" checked', page)
    assert "3 of 3 steps run again." in page


def test_the_plan_follows_what_one_chooses_and_types(pages: Client, broken: PipelineRun) -> None:
    for values in ({"from": "first", FACTOR: "7"}, {VALUE: "2"}):
        part = pages.post(address(broken), values, headers=HTMX)
        assert (part.status_code, "<html" in part.text) == (200, False)
        assert set(shown(part.text).values()) == {"Runs again"}
    assert PipelineRun.objects.count() == 1


def test_while_a_value_is_wrong_the_plan_says_whose_it_is(pages: Client, broken: PipelineRun) -> None:
    for chosen, first in (("", "Kept"), ("first", "Runs again")):
        part = pages.post(address(broken), {"from": chosen, FACTOR: "x"}, headers=HTMX)
        assert (part.status_code, "A value is not right yet" in part.text) == (200, True)
        assert shown(part.text)["First"] == first


def test_without_scripts_a_button_shows_the_plan(pages: Client, broken: PipelineRun) -> None:
    page = pages.post(address(broken), {"from": "first", "look": "1", FACTOR: "8"})
    assert (page.status_code, "3 of 3 steps run again." in page.text) == (200, True)
    assert f'name="{FACTOR}" value="8"' in page.text
    assert PipelineRun.objects.count() == 1


def test_it_starts_the_new_run_and_leads_to_it(
    pages: Client, broken: PipelineRun, bob: User, worker: Worker
) -> None:
    answer = pages.post(address(broken), {"from": "", FACTOR: "8"})
    new = broken.repairs.get()
    assert answer.url == new.get_absolute_url()
    assert (new.user, new.channel, new.parameters["second"]) == (bob, TriggerChannel.PAGE, {"factor": 8})
    assert execute(worker) == ["second", "last"]


def test_both_runs_name_each_other(pages: Client, broken: PipelineRun) -> None:
    pages.post(address(broken), {"from": ""})
    new = broken.repairs.get()
    assert (
        f'<dt>Repairs</dt><dd><a href="{broken.get_absolute_url()}">'
        in pages.get(new.get_absolute_url()).text
    )
    assert f'<a href="{new.get_absolute_url()}">run 2</a>' in pages.get(broken.get_absolute_url()).text


def test_wrong_values_come_back_at_their_fields_and_nothing_is_run(
    pages: Client, broken: PipelineRun
) -> None:
    page = pages.post(address(broken), {"from": "first", FACTOR: "x"})
    assert page.status_code == 422
    assert f'name="{FACTOR}" value="x"' in page.text
    assert "Enter a whole number." in page.text
    assert re.search(r'value="first" checked', page.text)
    assert PipelineRun.objects.count() == 1


def test_a_step_that_does_not_exist_is_refused(pages: Client, broken: PipelineRun) -> None:
    assert pages.post(address(broken), {"from": "secnd"}).status_code == 422
    assert PipelineRun.objects.count() == 1
    assert pages.get(address(broken, "?from=secnd")).status_code == 200


def test_the_same_form_sent_twice_is_one_run_and_from_another_step_another(
    pages: Client, broken: PipelineRun
) -> None:
    token = {"submit_token": "0b5c7a1e-0000-4000-8000-000000000001"}
    first, second = (pages.post(address(broken), {"from": "", **token}) for _ in range(2))
    assert first.url == second.url
    assert "had already started this run" in pages.get(second.url).text
    assert pages.post(address(broken), {"from": "first", **token}).url != first.url
    assert broken.repairs.count() == 2


def test_with_nothing_to_do_it_says_so_and_starts_nothing(
    pages: Client, broken: PipelineRun, worker: Worker
) -> None:
    pages.post(address(broken), {"from": ""})
    execute(worker)
    whole = broken.repairs.get()
    assert "Nothing runs again yet" in pages.get(address(whole)).text
    page = pages.post(address(whole), {"from": ""})
    assert (page.status_code, "Nothing would run again" in page.text) == (422, True)


def test_the_newest_version_is_offered_with_its_own_form(
    pages: Client, broken: PipelineRun, worker: Worker
) -> None:
    assert "the newest" not in pages.get(address(broken)).text
    schema = {"scale": {"type": "integer", "default": 1}}
    make_newer(RunTemplate.objects.get(), second={"schema": schema, "parameters": {"scale": 1}})
    assert "Version 2, the newest" in pages.get(address(broken)).text
    page = pages.get(address(broken, "?version=newest")).text
    assert 'name="steps.second.parameters.scale"' in page
    assert re.search(r"Second \(Factor\)", page)
    answer = pages.post(
        address(broken, "?version=newest"), {"from": "", "steps.second.parameters.scale": "3"}
    )
    new = broken.repairs.get()
    assert answer.url == new.get_absolute_url()
    assert (new.template_version.number, new.parameters["second"]) == (2, {"scale": 3})


def test_a_template_that_changed_meanwhile_is_not_run_unseen(pages: Client, broken: PipelineRun) -> None:
    page = pages.post(address(broken, "?version=newest"), {"from": "", "version": "7"})
    assert (page.status_code, "has become version 1" in page.text) == (422, True)


def test_a_run_that_cannot_be_repaired_says_why(pages: Client, broken: PipelineRun) -> None:
    PipelineRun.objects.update(status="running")
    answer = pages.get(address(broken), follow=True)
    assert answer.redirect_chain[0][0] == broken.get_absolute_url()
    assert "is running. Wait for its end, or stop it" in answer.text


def test_of_a_template_that_is_switched_off_nothing_is_repaired(pages: Client, broken: PipelineRun) -> None:
    RunTemplate.objects.update(is_enabled=False)
    assert "This template is switched off" in pages.get(address(broken)).text
    assert pages.post(address(broken), {"from": ""}).status_code == 422
    assert PipelineRun.objects.count() == 1


def test_a_secret_that_is_left_alone_stays_and_is_not_shown(
    pages: Client, stacks: dict[str, Stack], alice: User, worker: Worker
) -> None:
    deployment = freeze("cached.chain", alice, stacks["celery"])
    second = deployment.config_schema["properties"]["steps"]["properties"]["second"]["properties"][
        "parameters"
    ]
    second["properties"]["key"] = {"type": "string", "format": "password", "writeOnly": True}
    second["required"] = ["key"]
    deployment.save()
    chain = make_template(deployment, alice, "secret chain")
    run = finish(
        launch(chain, alice, {"steps": {"second": {"parameters": {"key": "hush"}}}}), worker, "second"
    )
    assert "hush" not in pages.get(address(run)).text
    pages.post(address(run), {"from": "", "steps.second.parameters.key": ""})
    assert run.repairs.get().opened_parameters["second"]["key"] == "hush"


def test_a_stranger_sees_and_repairs_nothing(client: Client, broken: PipelineRun) -> None:
    assert client.get(address(broken)).url.startswith(reverse("login"))
    assert client.post(address(broken), {"from": ""}).url.startswith(reverse("login"))
    assert PipelineRun.objects.count() == 1


def test_the_page_takes_a_bounded_number_of_queries(
    pages: Client, broken: PipelineRun, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(13):
        pages.get(address(broken))
