"""What pages show of mapped steps and of steps that were skipped."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from runs_app import recording
from runs_app.models import PipelineRun, StepRun, Worker
from runs_app.recording import StepOutcome
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_conditions import complete_all as complete_with
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException

HTMX = {"HX-Request": "true"}
FAILURE = StepOutcome(exception=StepException(type="ValueError", message="no data", traceback="…"))


@pytest.fixture
def pages(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def literal(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("mapped.literal_pipeline", alice, stacks["celery"]), alice, "literal")


@pytest.fixture
def run(literal: RunTemplate, alice: User) -> PipelineRun:
    """Of 40 elements the first has failed, and the second runs."""
    regions = [f"region {number}" for number in range(40)]
    run = launch(literal, alice, {"steps": {"train": {"parameters": {"region": regions}}}})
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    for outcome in (FAILURE, None):
        attempt = recording.claim_ready_step(worker, "default")
        assert attempt is not None
        if outcome:
            recording.record_end(attempt, outcome)
    return run


def address(run: PipelineRun) -> str:
    return reverse("step-elements", args=[StepRun.objects.get(run=run, name="train").pk])


def test_a_mapped_step_is_one_row_that_counts_its_elements(pages: Client, run: PipelineRun) -> None:
    page = pages.get(run.get_absolute_url())
    assert [step.name for step in page.context["steps"]] == ["train", "collect"]
    assert "0 of 40 completed · 1 failed · 1 running · 38 waiting" in page.text
    shown = [element.name for element in page.context["steps"][0].laid_out.shown]
    assert shown[:3] == ["train-0", "train-1", "train-2"]
    assert len(shown) == 6


def test_of_its_elements_the_ledger_tells_what_went_wrong(pages: Client, run: PipelineRun) -> None:
    page = pages.get(run.get_absolute_url())
    told = [line.sentence for line in page.context["ledger"]]
    assert [sentence for sentence in told if "train" in sentence] == [
        "Step train-0: attempt 1 failed after 0.00 s: ValueError: no data",
        "Step train-0: attempt 1 claimed by worker w1",
        "train is mapped over 40 elements.",
    ]


def test_the_page_of_a_run_costs_the_same_for_many_elements(
    pages: Client, literal: RunTemplate, alice: User, run: PipelineRun
) -> None:

    few = launch(literal, alice)

    def queries(run: PipelineRun) -> int:
        with CaptureQueriesContext(connection) as asked:
            pages.get(run.get_absolute_url(), headers=HTMX)
        return len(asked)

    queries(few)
    assert queries(run) <= queries(few) + 2  # it has attempts and a worker


def test_all_elements_are_shown_page_by_page(pages: Client, run: PipelineRun) -> None:
    first, second = pages.get(address(run)), pages.get(f"{address(run)}?page=2")
    assert [step.name for step in first.context["shown"]][:2] == ["train-0", "train-1"]
    assert len(second.context["shown"]) == 15
    assert "ValueError" in first.text


def test_elements_may_be_chosen_by_their_status(pages: Client, run: PipelineRun) -> None:
    failed = pages.get(f"{address(run)}?status=failed", headers=HTMX)
    assert [step.name for step in failed.context["shown"]] == ["train-0"]
    assert len(pages.get(f"{address(run)}?status=nonsense").context["shown"]) == 25


def test_a_step_without_elements_is_shown_with_its_run(pages: Client, run: PipelineRun) -> None:
    collect = StepRun.objects.get(run=run, name="collect")
    answer = pages.get(reverse("step-elements", args=[collect.pk]))
    assert answer["Location"] == run.get_absolute_url()


def test_a_stranger_sees_no_elements(client: Client, run: PipelineRun, bob: User) -> None:
    RunTemplate.objects.update(is_restricted=True)
    client.force_login(bob)
    assert client.get(address(run)).status_code == 404


def test_a_skipped_step_says_so_and_why(pages: Client, stacks: dict[str, Stack], alice: User) -> None:
    choosing = make_template(
        freeze("conditional.choosing_pipeline", alice, stacks["celery"]), alice, "choosing"
    )
    run = launch(choosing, alice)
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    complete_with(worker, choose="rf")
    page = pages.get(run.get_absolute_url()).text
    assert "Skipped: choose returned &#x27;rf&#x27; and not &#x27;svm&#x27;." in page
    assert PipelineRun.objects.get(pk=run.pk).status == ExecutionStatus.COMPLETED
