"""What a pipeline was put together as with other parameters is kept as long as something refers to it, and longer."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.db.models.signals import pre_delete
from django.test import Client
from django.utils import timezone

from runs_app import derived_deployments
from runs_app.derived_deployments import forget_unused
from runs_app.history import delete_run
from runs_app.models import PipelineRun, Preparation, Worker
from runs_app.own_parameters import asked_of, asked_to_run
from runs_app.presets import create_preset, delete_preset
from runs_app.services import stop_run
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from tests.composing import compile_next, compiled, own, steps
from tests.factories import freeze, launch, make_template
from tests.web.test_own_parameters import inputs
from zenweb.accounts.models import User

LIMIT = 20  # seconds
ONE = own(n_models=1)


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("composed.composed_pipeline", alice, stacks["celery"]), alice, "composed")


def derived() -> Any:
    return PipelineDeployment.objects.exclude(derived_from=None)


def grow_old() -> None:
    PipelineDeployment.objects.update(updated=timezone.now() - settings.KEEP_DERIVED - timedelta(days=1))


def remove(run: PipelineRun, alice: User) -> None:
    stop_run(actor=alice, run=run)
    delete_run(actor=alice, run=PipelineRun.objects.get(pk=run.pk))
    Preparation.objects.all().delete()  # as after five seconds: until then the answer holds


def test_what_nothing_refers_to_is_removed_after_its_time(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    remove(compiled(template, alice, hand, ONE), alice)
    assert (forget_unused(), derived().count()) == (0, 1)
    grow_old()
    assert (forget_unused(), derived().count()) == (1, 0)
    assert PipelineDeployment.objects.get() == template.deployment
    launch(template, alice, ONE)
    compile_next(hand)
    assert derived().count() == 1


def test_what_a_run_ran_stays(template: RunTemplate, alice: User, hand: Worker) -> None:
    run = compiled(template, alice, hand, ONE)
    grow_old()
    assert forget_unused() == 0
    remove(run, alice)
    assert forget_unused() == 0, "that it was in use is a time of its use"
    grow_old()
    assert forget_unused() == 1


def test_what_a_preset_holds_stays(template: RunTemplate, alice: User, hand: Worker) -> None:
    run = compiled(template, alice, hand, ONE)
    preset = create_preset(actor=alice, template=template, name="one", configuration=ONE)
    remove(run, alice)
    grow_old()
    assert (preset.deployment, forget_unused()) == (derived().get(), 0)
    delete_preset(actor=alice, preset=preset)
    grow_old()
    assert forget_unused() == 1


def test_a_preset_that_holds_other_parameters_by_now_keeps_nothing(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    compiled(template, alice, hand, ONE)
    assert (
        create_preset(actor=alice, template=template, name="two", configuration=own(n_models=4)).deployment
        is None
    )
    assert create_preset(actor=alice, template=template, name="three").deployment is None


def test_a_sweep_looks_at_so_many_and_the_next_one_at_others(
    template: RunTemplate, alice: User, hand: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived_deployments, "MOST_LOOKED_AT", 1)
    runs = [compiled(template, alice, hand, own(n_models=number)) for number in (0, 1, 3)]
    remove(runs[2], alice)
    grow_old()
    assert sum(forget_unused() for _ in range(3)) == 1
    assert derived().count() == 2


def test_it_can_be_kept_for_ever(template: RunTemplate, alice: User, hand: Worker, settings: Any) -> None:
    remove(compiled(template, alice, hand, ONE), alice)
    grow_old()
    settings.KEEP_DERIVED = None
    assert (forget_unused(), derived().count()) == (0, 1)


# -- forms that stand open ---------------------------------------------------------------------------------------------


def test_what_a_form_shows_is_in_use(
    template: RunTemplate, alice: User, hand: Worker, client: Client
) -> None:
    remove(compiled(template, alice, hand, ONE), alice)
    grow_old()
    client.force_login(alice)
    client.get(f"{template.get_absolute_url()}?parameters.n_models=1")
    assert forget_unused() == 0


def test_a_form_whose_steps_were_forgotten_runs_nothing_without_its_values(
    template: RunTemplate, alice: User, hand: Worker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs_app.launching.CHOICES_WAIT", 0)
    compiled(template, alice, hand, own(n_models=3))
    client.force_login(alice)
    address = template.get_absolute_url()
    sent = inputs(client.get(f"{address}?parameters.n_models=3").text)
    sent["steps.train_3.parameters.kind"] = "rf"
    PipelineRun.objects.all().delete()
    grow_old()
    assert forget_unused() == 1
    Preparation.objects.all().delete()
    refused = client.post(address, sent)
    assert (refused.status_code, "are not known any more, so nothing was started" in refused.text) == (
        422,
        True,
    )
    compile_next(hand)
    assert client.post(address, sent).status_code == 302
    assert PipelineRun.objects.get().parameters["train_3"]["kind"] == "rf"


# -- at the same time --------------------------------------------------------------------------------------------------


def in_background(work: Any) -> threading.Thread:
    def whole() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=whole)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_accepted_while_it_is_removed_has_it_put_together_again(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    remove(compiled(template, alice, hand, ONE), alice)
    grow_old()
    launching = list[threading.Thread]()

    def launch_meanwhile(**_: Any) -> None:
        launching.append(in_background(lambda: launch(template, alice, ONE)))
        launching[0].join(0.5)  # it has to wait until it is gone, if all is well

    pre_delete.connect(launch_meanwhile, sender=PipelineDeployment)
    try:
        assert forget_unused() == 1
    finally:
        pre_delete.disconnect(launch_meanwhile, sender=PipelineDeployment)
    launching[0].join(LIMIT)
    compile_next(hand)
    assert steps(PipelineRun.objects.get()) == ["train", "report"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="SQLite has one writer at a time")
def test_what_a_run_that_is_being_accepted_is_about_to_refer_to_stays(
    template: RunTemplate, alice: User, hand: Worker
) -> None:
    remove(compiled(template, alice, hand, ONE), alice)
    grow_old()
    removed = list[int]()
    with transaction.atomic():
        assert asked_to_run(template.version, ONE).is_known
        in_background(lambda: removed.append(forget_unused())).join(LIMIT)
    assert removed == [0]
    assert asked_of(template.version, ONE).is_known


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not settings.ON_POSTGRESQL, reason="SQLite has one writer at a time")
def test_any_number_may_remove_and_start_at_once(template: RunTemplate, alice: User, hand: Worker) -> None:
    for number in (0, 1, 3, 4):
        remove(compiled(template, alice, hand, own(n_models=number)), alice)
    grow_old()
    runs, errors, removed = list[PipelineRun](), list[Exception](), list[int]()

    def start(number: int) -> None:
        try:
            runs.append(launch(template, alice, own(n_models=number)))
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            errors.append(error)

    threads = [in_background(lambda: removed.append(forget_unused())) for _ in range(3)]
    threads += [in_background(lambda number=number: start(number)) for number in (0, 1, 3, 4)]
    for thread in threads:
        thread.join(LIMIT)
    assert errors == []
    waiting = [run for run in runs if not run.is_prepared]
    assert (len(runs), sum(removed), derived().count()) == (4, len(waiting), 4 - len(waiting))
