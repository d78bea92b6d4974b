"""What has to be known before a run is asked on workers: once, by one of them, within its time, however many fail."""

import json
import threading
import uuid
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models.signals import pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs_app import choices, preparations
from runs_app.choices import Knowledge, Offer, ask_for_choices
from runs_app.judging import judge
from runs_app.models import Preparation, RunChoice, Worker
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import in_background, wait_for
from zenweb.accounts.models import User
from zenweb.enums import PreparationStatus
from zenweb.exceptions import DoesNotExist

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = 20.0  # seconds


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("chosen.table_pipeline", alice, stacks["celery"]), alice, "tables")


class Warehouse:
    """What the provider is told, and how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def says(self, *tables: str, **orders: Any) -> "Warehouse":
        (self.folder / "tables").write_text(json.dumps({"tables": tables, **orders}))
        return self

    @property
    def region(self) -> str:
        return f"{self.folder}:eu"

    @property
    def times_asked(self) -> int:
        asked = self.folder / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def go(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path).says("orders", "returns")


def ask(
    template: RunTemplate, region: str, wait: float = LIMIT, again: bool = False, parameter: str = "table"
) -> Offer:
    assert template.user is not None
    return ask_for_choices(
        actor=template.user,
        version=template.version,
        step="load",
        parameter=parameter,
        configuration={"steps": {"load": {"parameters": {"region": region}}}},
        wait=wait,
        again=again,
    )


def hire(name: str) -> Worker:
    return Worker.objects.create(name=name, hostname="h", pid=1, queues=["default"], slots=1)


def test_a_worker_tells_what_may_be_chosen(template: RunTemplate, worker: StepWorker) -> None:
    offer = ask(template, "us")
    assert (offer.knowledge, offer.options) == (
        Knowledge.KNOWN,
        [("us_orders", "us_orders"), ("us_customers", "us_customers")],
    )


def test_a_question_asked_twice_at_once_is_asked_once(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says("orders", hangs=True)
    found: list[Offer] = []
    asking = [in_background(lambda: found.append(ask(template, warehouse.region))) for _ in range(3)]
    wait_for(lambda: warehouse.times_asked)
    warehouse.go()
    for thread in asking:
        thread.join(LIMIT)
    assert [offer.options for offer in found] == [[("orders", "orders")]] * 3
    assert (warehouse.times_asked, Preparation.objects.count()) == (1, 1)


def test_an_answer_holds_for_its_time_and_is_asked_for_again_after_it(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    ask(template, warehouse.region)
    warehouse.says("invoices")
    assert ask(template, warehouse.region).options == [("orders", "orders"), ("returns", "returns")]
    Preparation.objects.update(fresh_until=timezone.now() - timedelta(seconds=1))
    assert ask(template, warehouse.region).options == [("invoices", "invoices")]
    assert (warehouse.times_asked, Preparation.objects.count()) == (2, 1)


def test_a_long_step_keeps_no_question_waiting(
    template: RunTemplate, alice: User, worker: StepWorker, warehouse: Warehouse
) -> None:
    assert worker._places.take()  # its one slot
    try:
        assert ask(template, warehouse.region).knowledge is Knowledge.KNOWN
    finally:
        worker._places.give_back()


def test_a_provider_that_raises_says_so_and_its_output_is_kept(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says(raises=True)
    offer = ask(template, warehouse.region)
    assert offer.knowledge is Knowledge.FAILED
    assert offer.sentence == (
        "What may be chosen could not be found out: ConnectionError: the warehouse is down."
    )
    assert "with the key sesame" in offer.log
    assert "chosen.py" in offer.log
    assert "sesame" not in offer.sentence


def test_a_failure_is_told_for_a_moment_unless_one_asks_again(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says(raises=True)
    ask(template, warehouse.region)
    warehouse.says("orders")
    assert ask(template, warehouse.region).knowledge is Knowledge.FAILED
    assert ask(template, warehouse.region, again=True).options == [("orders", "orders")]


def test_a_provider_that_takes_too_long_is_ended(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says(hangs=True)
    offer = ask(template, warehouse.region, parameter="view")
    assert offer.sentence == (
        "What may be chosen could not be found out: the function that knows took longer than its limit of 0.5 s."
    )


def test_a_provider_whose_process_dies_says_so(
    template: RunTemplate, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says(exits=True)
    assert "the process that was asked died" in ask(template, warehouse.region).sentence


def test_a_question_whose_warm_parent_is_killed_is_asked_again_a_few_times(
    template: RunTemplate, alice: User, worker: StepWorker, warehouse: Warehouse, settings: Any
) -> None:
    settings.MAX_WORKER_DEATHS = 2
    warehouse.says("orders", hangs=True)
    run = launch(template, alice, {"steps": {"load": {"parameters": {"region": warehouse.region}}}})
    for times in (1, 2):
        wait_for(lambda: warehouse.times_asked == times)  # noqa: B023  # waited for here
        run.refresh_from_db()
        assert not run.is_finished
        worker.parents.all()[0].process.kill()
    question = wait_for(Preparation.objects.filter(parameter="table", status=PreparationStatus.FAILED).first)
    assert question.failure == "The process of its code was killed 2 times while it asked."


def test_what_nobody_foresaw_fails_its_question_and_the_others_are_answered(
    template: RunTemplate, worker: StepWorker
) -> None:
    strange = [
        Preparation.objects.create(
            deployment=template.deployment, step="load", parameter=name, key=name, queue="default"
        )
        for name in ("nowhere", "nothing", "never")
    ]
    assert ask(template, "us").knowledge is Knowledge.KNOWN
    wait_for(lambda: not Preparation.objects.exclude(status__in=["answered", "failed"]).exists())
    strange[0].refresh_from_db()
    assert strange[0].failure == (
        "What may be chosen could not be found out: the worker could not ask, and its log says why."
    )


def test_looking_for_questions_bears_that_others_are_put_aside_meanwhile(worker: StepWorker) -> None:
    put_aside = worker.preparers._coming

    class Made(Future[None]):
        def done(self) -> bool:
            put_aside[uuid.uuid4()] = Future()  # as the other thread might
            return False

    first = uuid.uuid4()
    put_aside[first] = Made()
    assert first in worker.preparers._passed_over()


def test_a_process_that_is_not_forked_answers_too_and_its_import_takes_none_of_the_time(
    template: RunTemplate, warehouse: Warehouse, settings: Any
) -> None:
    settings.STEP_PROCESS = "spawn"
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    try:
        # Starting an interpreter and importing alone takes longer than the half second that there is.
        assert ask(template, warehouse.region, parameter="view").knowledge is Knowledge.KNOWN
    finally:
        worker.shut_down()


def test_without_a_worker_one_is_told_so_at_once(template: RunTemplate) -> None:
    offer = ask(template, "eu", wait=60)
    assert (offer.knowledge, offer.sentence) == (
        Knowledge.UNSERVED,
        "No worker has served queue default yet.",
    )


def test_repeating_a_question_writes_nothing_and_rings_nobody(
    template: RunTemplate,
) -> None:
    hire("busy")
    ask(template, "eu", wait=0)
    before = Preparation.objects.get().updated
    with CaptureQueriesContext(connection) as repeated:
        assert ask(template, "eu", wait=0).knowledge is Knowledge.ASKING
    assert {query["sql"].split()[0] for query in repeated} == {"SELECT"}
    Preparation.objects.update(updated=timezone.now() - preparations.PATIENCE / 2)
    ask(template, "eu", wait=0)
    assert Preparation.objects.get().updated >= before


def test_what_is_checked_is_asked_for_together(
    template: RunTemplate, alice: User, worker: StepWorker, warehouse: Warehouse
) -> None:
    warehouse.says(hangs=True)
    chosen = {"steps": {"load": {"parameters": {"region": warehouse.region, "table": "a", "limit": 10}}}}
    found = judge(actor=alice, runnable=template.version, configuration=chosen, wait=3)
    assert [warning.split(":")[0] for warning in found.warnings] == ["/steps/load/parameters/table"]


def test_whoever_does_not_wait_is_told_that_it_is_asked(template: RunTemplate) -> None:
    hire("busy")
    assert ask(template, "eu", wait=0).knowledge is Knowledge.ASKING


def test_what_choices_depend_on_has_to_have_a_value(template: RunTemplate) -> None:
    offer = ask(template, 5)  # type: ignore[arg-type]
    assert (offer.knowledge, offer.sentence) == (
        Knowledge.MISSING,
        "What may be chosen depends on Region: give that a valid value first.",
    )
    assert not Preparation.objects.exists()


def test_a_parameter_without_choices_is_not_asked_for(template: RunTemplate, alice: User) -> None:
    with pytest.raises(DoesNotExist, match="'kind' of step 'look' is not chosen"):
        ask_for_choices(
            actor=alice, version=template.version, step="look", parameter="kind", configuration=None, wait=0
        )


def test_only_one_worker_claims_a_question(template: RunTemplate) -> None:
    hired = [hire(f"w{number}") for number in range(4)]
    ask(template, "eu", wait=0)
    barrier, claimed = threading.Barrier(4), list[Preparation]()

    def claim(worker: Worker) -> None:
        try:
            barrier.wait(LIMIT)
            if (found := preparations.claim(worker, ["default"])) is not None:
                claimed.append(found)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim, args=[worker]) for worker in hired]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert [found.attempt for found in claimed] == [1]


def test_the_question_of_a_dead_worker_is_asked_again_and_its_late_answer_refused(
    template: RunTemplate,
) -> None:
    first, second = hire("w1"), hire("w2")
    ask(template, "eu", wait=0)
    late = preparations.claim(first, ["default"])
    assert late is not None
    Worker.objects.filter(pk=first.pk).update(is_alive=False)
    preparations.take_back_from_the_dead()
    again = preparations.claim(second, ["default"])
    assert again is not None
    assert not preparations.record_answer(late, [("old", "old")], "")
    assert preparations.record_answer(again, [("new", "new")], "")
    assert Preparation.objects.get().answer == [["new", "new"]]


def test_what_a_run_waits_for_is_asked_before_what_forms_ask(template: RunTemplate, alice: User) -> None:
    for region in range(30):
        ask(template, f"invented{region}", wait=0)
    launch(template, alice, {"steps": {"load": {"parameters": {"region": "needed"}}}})
    claimed = preparations.claim(hire("w1"), ["default"])
    assert claimed is not None
    assert claimed.arguments == [["region", "needed"]]


def test_what_nobody_waits_for_any_more_is_not_asked_unless_somebody_comes_back(
    template: RunTemplate, alice: User
) -> None:
    worker, long_ago = hire("w1"), timezone.now() - 2 * preparations.PATIENCE
    launch(template, alice, {"steps": {"load": {"parameters": {"region": "needed"}}}})
    ask(template, "eu", wait=0)
    Preparation.objects.update(updated=long_ago)
    claimed = [preparations.claim(worker, ["default"]), preparations.claim(worker, ["default"])]
    assert [found and found.arguments for found in claimed] == [[["region", "needed"]], None]
    ask(template, "eu", wait=0)
    assert preparations.claim(worker, ["default"])


def test_many_questions_of_one_pipeline_keep_no_run_from_being_accepted(
    template: RunTemplate, alice: User
) -> None:
    hire("w1")
    for region in range(preparations.MOST_WAITING):
        assert ask(template, f"invented{region}", wait=0).knowledge is Knowledge.ASKING
    offer = ask(template, "eu", wait=0)
    assert (offer.knowledge, offer.sentence) == (
        Knowledge.FAILED,
        "Workers are asked for too much of this pipeline. Try again in a moment.",
    )
    assert ask(template, "invented7", wait=0).knowledge is Knowledge.ASKING
    launch(template, alice, {"steps": {"load": {"parameters": {"region": "needed"}}}})
    assert [choice.preparation.arguments for choice in RunChoice.objects.all()] == [[["region", "needed"]]]


def test_a_dead_worker_claims_nothing(template: RunTemplate) -> None:
    dead = hire("w1")
    ask(template, "eu", wait=0)
    Worker.objects.update(is_alive=False)
    assert preparations.claim(dead, ["default"]) is None


def test_a_question_that_kills_every_worker_is_given_up(template: RunTemplate, settings: Any) -> None:
    settings.MAX_WORKER_DEATHS = 2
    hire("w0")
    ask(template, "eu", wait=0)
    for name in ("w1", "w2"):
        assert preparations.claim(hire(name), ["default"])
        Worker.objects.filter(name=name).update(is_alive=False)
        preparations.take_back_from_the_dead()
    found = Preparation.objects.get()
    assert (found.status, found.failure) == (
        PreparationStatus.FAILED,
        "The worker died 2 times while it asked.",
    )


def test_old_answers_are_forgotten_unless_a_run_waits_for_them(template: RunTemplate, alice: User) -> None:
    hire("w1")
    launch(template, alice, {"steps": {"load": {"parameters": {"region": "waits"}}}})
    ask(template, "eu", wait=0)
    preparations.forget_old()
    assert Preparation.objects.count() == 2
    Preparation.objects.update(updated=timezone.now() - 2 * preparations.KEPT)
    preparations.forget_old()
    assert [found.arguments for found in Preparation.objects.all()] == [[["region", "waits"]]]


def test_a_run_that_is_accepted_while_old_answers_are_forgotten_keeps_what_it_waits_for(
    template: RunTemplate, alice: User
) -> None:
    ask(template, "waits", wait=0)
    Preparation.objects.update(updated=timezone.now() - 2 * preparations.KEPT)
    launching = list[threading.Thread]()

    def launch_meanwhile(**_: Any) -> None:
        chosen = {"steps": {"load": {"parameters": {"region": "waits"}}}}
        launching.append(in_background(lambda: launch(template, alice, chosen)))
        launching[0].join(0.5)  # it has to wait until the old one is gone, if all is well

    pre_delete.connect(launch_meanwhile, sender=Preparation)
    try:
        preparations.forget_old()
    finally:
        pre_delete.disconnect(launch_meanwhile, sender=Preparation)
    launching[0].join(LIMIT)
    assert RunChoice.objects.get().preparation == Preparation.objects.get()


def test_a_search_finds_all_its_words_in_values_and_labels(template: RunTemplate) -> None:
    offer = Offer(choices.Knowledge.KNOWN, options=[("a1", "Orders of 2025"), ("a2", "Returns of 2025")])
    assert offer.search("2025 ORD") == [("a1", "Orders of 2025")]
    assert offer.search("a2") == [("a2", "Returns of 2025")]
