"""Schedules fire once for every time that comes, whatever clocks, workers and templates do."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection, connections

from runs_app import housekeeping
from runs_app.cron import last_time, times_after
from runs_app.models import PipelineRun, RunEvent, Schedule, ScheduleFiring, StepRun
from runs_app.plans import plan_of, rules_by_id
from runs_app.schedules import (
    create_schedule,
    delete_schedule,
    fire_due_schedules,
    forget_old_firings,
    update_schedule,
)
from runs_app.worker import StepWorker
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from templates_app.services import create_run_template, delete_run_template
from tests.factories import freeze, launch
from tests.postgresql import url_of
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus, TriggerChannel
from zenweb.exceptions import EntityExists, NotAllowed, ValidationFailed

NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)  # half a minute past
VALUES = {"steps": {"trainer": {"parameters": {"learning_rate": 0.5}}}}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LIMIT = 30  # seconds


class Clock:
    """The wall clock, to be set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go(self, **steps: float) -> None:
        """Let time pass, or set the clock back."""
        self.now += timedelta(**steps)

    def walk(self, until: datetime) -> None:
        """Let time pass as it does: a housekeeper looks every minute."""
        while self.now <= until:
            fire_due_schedules()
            self.go(minutes=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(NOON)
    monkeypatch.setattr("django.utils.timezone.now", clock)
    return clock


@pytest.fixture
def hourly(clock: Clock, template: RunTemplate, alice: User) -> Schedule:
    """On the hour."""
    return make(template, alice)


def make(template: RunTemplate, owner: User, name: str = "hourly", **fields: Any) -> Schedule:
    return create_schedule(
        **{"actor": owner, "template": template, "name": name, "cron": "0 * * * *", **fields}
    )


def fired(schedule: Schedule) -> list[str]:
    """The times that came, as the schedule's own clocks showed them, the oldest first."""
    times = schedule.firings.order_by("nominal_time").values_list("nominal_time", flat=True)
    return [f"{at.astimezone(ZoneInfo(schedule.zone)):%H:%M}" for at in times]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# -- a time comes -----------------------------------------------------------------------------------------------------


def test_nothing_is_run_before_its_time(hourly: Schedule, clock: Clock) -> None:
    clock.go(minutes=59)
    fire_due_schedules()
    assert not ScheduleFiring.objects.exists()


def test_a_time_that_has_come_makes_one_run_in_the_owners_name(
    clock: Clock, template: RunTemplate, alice: User
) -> None:
    schedule = make(template, alice, configuration=VALUES, zone="Europe/Berlin")
    clock.go(hours=1)
    for _ in range(3):
        fire_due_schedules()
    run = PipelineRun.objects.get()
    assert (run.user, run.channel, run.template) == (alice, TriggerChannel.SCHEDULE, template)
    assert StepRun.objects.get(run=run, name="trainer").parameters["learning_rate"] == 0.5
    assert ScheduleFiring.objects.get(schedule=schedule, run=run).nominal_time == datetime(
        2026, 6, 1, 13, tzinfo=UTC
    )
    assert list(RunEvent.objects.values_list("sentence", flat=True)) == [
        "Accepted from alice through a schedule.",
        "Offered to the workers of queue default.",
        'Asked for by the schedule "hourly" for 2026-06-01 15:00, Europe/Berlin.',
    ]


def test_it_runs_the_newest_version(
    hourly: Schedule, clock: Clock, template: RunTemplate, stacks: dict[str, Stack], alice: User
) -> None:
    other_stack = Stack.objects.create(name="other", orchestrator="celery", queue="other")
    newer = freeze("training.training_pipeline", alice, other_stack)
    create_run_template(actor=alice, name=template.name, deployment=newer, update=True)
    clock.go(hours=1)
    fire_due_schedules()
    run = PipelineRun.objects.get()
    assert (run.template_version.number, run.deployment) == (2, newer)


def test_of_the_times_that_were_missed_only_the_last_is_run(hourly: Schedule, clock: Clock) -> None:
    clock.go(days=40, minutes=-10)
    fire_due_schedules()
    assert PipelineRun.objects.count() == 1
    assert ScheduleFiring.objects.get().nominal_time == datetime(2026, 7, 11, 11, tzinfo=UTC)
    hourly.refresh_from_db()
    assert hourly.next_time == datetime(2026, 7, 11, 12, tzinfo=UTC)


def test_times_that_passed_while_it_was_paused_are_not_made_up_for(
    hourly: Schedule, clock: Clock, alice: User
) -> None:
    update_schedule(actor=alice, schedule=hourly, is_paused=True)
    clock.go(hours=5)
    fire_due_schedules()
    resumed = update_schedule(actor=alice, schedule=hourly, is_paused=False)
    fire_due_schedules()
    assert not PipelineRun.objects.exists()
    assert resumed.next_time == datetime(2026, 6, 1, 18, tzinfo=UTC)
    clock.go(hours=1)
    fire_due_schedules()
    assert fired(hourly) == ["18:00"]


def test_asking_an_active_one_to_go_on_does_not_make_it_forget_a_missed_time(
    hourly: Schedule, clock: Clock, alice: User
) -> None:
    clock.go(hours=1)
    update_schedule(actor=alice, schedule=hourly, is_paused=False)
    fire_due_schedules()
    assert fired(hourly) == ["13:00"]


def test_a_new_expression_counts_from_now(hourly: Schedule, clock: Clock, alice: User) -> None:
    clock.go(hours=1)
    changed = update_schedule(actor=alice, schedule=hourly, cron="15  13 * * *", zone="Europe/Berlin")
    assert (changed.cron, changed.next_time) == ("15 13 * * *", datetime(2026, 6, 2, 11, 15, tzinfo=UTC))
    fire_due_schedules()
    assert not PipelineRun.objects.exists()


# -- clocks -----------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_by_an_hour_fires_nothing_again(hourly: Schedule, clock: Clock) -> None:
    clock.walk(datetime(2026, 6, 1, 13, 20, tzinfo=UTC))
    clock.go(hours=-1)
    clock.walk(datetime(2026, 6, 1, 13, 50, tzinfo=UTC))
    assert fired(hourly) == ["13:00"]
    assert PipelineRun.objects.count() == 1


def test_a_clock_that_was_an_hour_ahead_for_a_while_takes_no_time_away(
    clock: Clock, template: RunTemplate, alice: User
) -> None:
    schedule = make(template, alice, cron="*/20 * * * *")
    clock.go(hours=1)
    fire_due_schedules()
    assert fired(schedule) == ["13:00"]
    clock.go(hours=-1)
    clock.walk(datetime(2026, 6, 1, 13, 30, tzinfo=UTC))
    assert fired(schedule) == ["12:20", "12:40", "13:00", "13:20"]
    assert PipelineRun.objects.count() == 4


def test_a_step_of_the_clock_leaves_running_steps_alone(
    hourly: Schedule, clock: Clock, template: RunTemplate, alice: User
) -> None:
    run = launch(template, alice)
    hour, stopwatch = timedelta(hours=1), housekeeping.Stopwatch()
    for step in (hour, -2 * hour):
        clock.now += step
        fire_due_schedules()
        assert not list(stopwatch.overdue())
    run.refresh_from_db()
    assert run.status == ExecutionStatus.INITIALIZING


@pytest.mark.parametrize(
    ("cron", "night", "expected"),
    [
        # 02:00 to 03:00 comes twice on 25 October,
        ("30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), ["02:30"]),
        ("30 * * * *", datetime(2026, 10, 25, tzinfo=UTC), ["02:30", "02:30", "03:30", "04:30"]),
        # and not at all on 29 March.
        ("30 2 * * *", datetime(2026, 3, 29, tzinfo=UTC), ["03:00"]),
        ("30 * * * *", datetime(2026, 3, 29, tzinfo=UTC), ["01:30", "03:30", "04:30", "05:30"]),
    ],
)
def test_nights_on_which_the_clocks_change_are_as_debians_cron_has_them(
    clock: Clock, template: RunTemplate, alice: User, cron: str, night: datetime, expected: list[str]
) -> None:
    clock.now = night
    schedule = make(template, alice, cron=cron, zone="Europe/Berlin")
    clock.walk(night + timedelta(hours=3, minutes=45))
    assert fired(schedule) == expected
    assert PipelineRun.objects.count() == len(expected)


@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "*/20 * * * *", "10,50 2,3 * * *", "45 1-3 * * *", "0 3 * * *"]
)
@pytest.mark.parametrize(
    "evening", [datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)]
)
def test_the_next_time_is_the_same_from_wherever_one_looks(cron: str, evening: datetime) -> None:
    """In an hour that is repeated, too: what was the next time a minute ago still is, until it has come."""
    times = times_after(cron, "Europe/Berlin", evening)
    expected = next(times)
    for minute in range(12 * 60):
        now = evening + timedelta(minutes=minute)
        while expected <= now:
            previous, expected = expected, next(times)
            assert previous < expected
        assert next(times_after(cron, "Europe/Berlin", now)) == expected


def test_the_last_of_many_times_is_found_without_counting_them_all() -> None:
    until = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
    since = until - timedelta(days=50 * 365)
    started = time.process_time()
    assert last_time("* * * * *", "Europe/Berlin", since, until) == until.replace(second=0)
    assert last_time("0 0 29 2 *", "UTC", since, until) == datetime(2024, 2, 29, tzinfo=UTC)
    assert last_time("0 0 29 2 *", "UTC", until - timedelta(days=90), until) is None
    assert time.process_time() - started < 2  # counting takes minutes


# -- what is long past ----------------------------------------------------------------------------------------------


def fire(schedule: Schedule, at: datetime, **fields: Any) -> ScheduleFiring:
    return ScheduleFiring.objects.create(schedule=schedule, nominal_time=at, **fields)


def test_times_without_a_run_are_forgotten_when_they_are_long_past(
    hourly: Schedule, clock: Clock, template: RunTemplate, alice: User, settings: Any
) -> None:
    long_past = clock.now - settings.KEEP_FIRINGS - timedelta(hours=3)
    with_run = fire(hourly, long_past, run=launch(template, alice))
    fire(hourly, long_past + timedelta(hours=1), refusal="no")
    fire(hourly, long_past + timedelta(hours=2))  # its run was deleted
    recent = fire(hourly, clock.now - timedelta(days=2), refusal="no")
    assert forget_old_firings() == 2
    assert set(ScheduleFiring.objects.all()) == {with_run, recent}
    assert forget_old_firings() == 0


def test_how_a_schedule_fired_last_is_never_forgotten(hourly: Schedule) -> None:
    last = fire(hourly, LONG_AGO, refusal="no")
    fire(hourly, LONG_AGO - timedelta(hours=1), refusal="no")
    assert forget_old_firings() == 1
    assert ScheduleFiring.objects.get() == last
    assert Schedule.objects.with_relations().get().is_refused


def test_a_time_that_made_a_run_never_comes_again_however_far_a_clock_is_set_back(
    hourly: Schedule, clock: Clock
) -> None:
    clock.go(hours=1)
    fire_due_schedules()
    clock.go(days=400)
    fire_due_schedules()
    forget_old_firings()
    clock.go(days=-400, hours=-1)
    clock.walk(datetime(2026, 6, 1, 13, 20, tzinfo=UTC))
    assert fired(hourly)[0] == "13:00"
    assert PipelineRun.objects.count() == 2


def test_only_so_many_times_are_forgotten_at_once(hourly: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs_app.schedules.MOST_FORGOTTEN", 3)
    for minute in range(6):
        fire(hourly, LONG_AGO + timedelta(minutes=minute), refusal="no")
    assert [forget_old_firings() for _ in range(3)] == [3, 2, 0]


def test_nothing_is_forgotten_where_all_is_to_be_kept(hourly: Schedule, settings: Any) -> None:
    settings.KEEP_FIRINGS = None
    for minute in range(2):
        fire(hourly, LONG_AGO + timedelta(minutes=minute), refusal="no")
    assert forget_old_firings() == 0


def test_how_schedules_fired_last_is_found_without_looking_through_all_that_they_fired(
    hourly: Schedule,
) -> None:
    for minute in range(500):
        fire(hourly, LONG_AGO + timedelta(minutes=minute), refusal="no" if minute else "")
    execute("ANALYZE")
    plan = Schedule.objects.with_relations().explain()
    assert "SCAN U0" not in plan
    assert "Seq Scan on runs_app_schedulefiring" not in plan
    if not settings.ON_POSTGRESQL:  # which weighs its indexes by what else its tables have held
        assert plan.count("firing_refused") == 2
        assert "firing_made" in plan


# -- many workers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_any_number_of_housekeepers_make_one_run_per_time(
    template: RunTemplate,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", 0.001)
    for number in range(12):
        make(template, alice, f"schedule {number}")
    over = threading.Event()
    keepers = [threading.Thread(target=housekeeping.keep_schedules, args=[over]) for _ in range(4)]
    for keeper in keepers:
        keeper.start()
    try:
        for minute in (1, 2, 3):
            # A time of last New Year's night is missed, which nothing else of this test can meet.
            Schedule.objects.update(next_time=LONG_AGO, cron=f"{minute} 0 1 1 *")
            wait_for(lambda: not Schedule.objects.filter(next_time__lt=datetime.now(UTC)).exists())
    finally:
        over.set()
        for keeper in keepers:
            keeper.join(LIMIT)
    per_time = Counter(ScheduleFiring.objects.values_list("schedule__name", "nominal_time"))
    assert set(per_time.values()) == {1}
    assert len(per_time) == PipelineRun.objects.count() == 36
    complaints = {"runs_app.schedules", "runs_app.housekeeping"}
    assert not [entry.message for entry in caplog.records if entry.name in complaints]


@pytest.mark.django_db(transaction=True)
def test_an_outage_of_the_database_holds_schedules_up_and_ends_nothing(
    template: RunTemplate, alice: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "INTERVAL", 0.01)
    make(template, alice)
    Schedule.objects.update(next_time=LONG_AGO, cron="0 0 1 1 *")
    over = threading.Event()
    keeper = threading.Thread(target=housekeeping.keep_schedules, args=[over])
    execute("ALTER TABLE runs_app_schedule RENAME TO away")
    try:
        keeper.start()
        wait_for(lambda: "schedules wait" in caplog.text)
    finally:
        execute("ALTER TABLE away RENAME TO runs_app_schedule")
    try:
        wait_for(PipelineRun.objects.exists)
    finally:
        over.set()
        keeper.join(LIMIT)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


KILLED_BEFORE_ITS_COMMIT = """
import os, signal, django
django.setup()
from runs_app import schedules
launch = schedules.launch_run
def launch_and_die(**what):
    launch(**what)
    os.kill(os.getpid(), signal.SIGKILL)
schedules.launch_run = launch_and_die
schedules.fire_due_schedules()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_midst_of_firing_leaves_nothing_and_another_does_it(
    template: RunTemplate, alice: User
) -> None:
    schedule = make(template, alice, cron="0 0 1 1 *")
    Schedule.objects.update(next_time=LONG_AGO)
    name = str(connection.settings_dict["NAME"])
    environment = os.environ | {
        "DATABASE_URL": url_of(name) if settings.ON_POSTGRESQL else f"sqlite:///{name}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    command = [sys.executable, "-c", KILLED_BEFORE_ITS_COMMIT]
    killed = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not ScheduleFiring.objects.exists()
    assert not PipelineRun.objects.exists()
    wait_for(
        lambda: fire_due_schedules() or ScheduleFiring.objects.exists()
    )  # its lock goes with its connection
    assert ScheduleFiring.objects.get(schedule=schedule).run == PipelineRun.objects.get()


@pytest.mark.django_db(transaction=True)
def test_a_worker_fires_what_is_due_and_forgets_what_is_long_past(template: RunTemplate, alice: User) -> None:
    schedule = make(template, alice)
    for minute in range(2):
        fire(schedule, LONG_AGO + timedelta(minutes=minute), refusal="no")
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    try:
        Schedule.objects.update(next_time=datetime.now(UTC) - timedelta(seconds=1))
        wait_for(PipelineRun.objects.exists)
        wait_for(lambda: ScheduleFiring.objects.filter(run=None).count() < 2)
    finally:
        worker.shut_down()
        connections.close_all()


# -- a run is refused -------------------------------------------------------------------------------------------------


def disable(template: RunTemplate, owner: User) -> None:
    RunTemplate.objects.update(is_enabled=False)


def delete_template(template: RunTemplate, owner: User) -> None:
    delete_run_template(actor=owner, template=template)


def want_other_values(template: RunTemplate, owner: User) -> None:
    schema = template.deployment.config_schema
    rate = schema["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]["properties"]
    rate["learning_rate"] = {"type": "number", "maximum": 0.1}
    PipelineDeployment.objects.update(config_schema=schema)
    plan_of.cache_clear()
    rules_by_id.cache_clear()  # in the product a deployment never changes


def switch_owner_off(template: RunTemplate, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)


def delete_owner(template: RunTemplate, owner: User) -> None:
    owner.delete()


def break_deployment(template: RunTemplate, owner: User) -> None:
    PipelineDeployment.objects.update(spec={"steps": "gone"})
    plan_of.cache_clear()
    rules_by_id.cache_clear()


def take_the_name(template: RunTemplate, owner: User) -> None:
    launch(template, owner, {"run_name": "nightly 2026_06_01"})


@pytest.mark.parametrize(
    ("happening", "sentence"),
    [
        (disable, 'The template "daily-retraining" is switched off. Ask its owner to enable it.'),
        (delete_template, "Its template was deleted."),
        (want_other_values, "“Learning rate” (Trainer): "),
        (switch_owner_off, "The account of its owner, bob, is switched off."),
        (delete_owner, "The account of its owner was deleted."),
        (take_the_name, "A run called 'nightly 2026_06_01' already exists."),
        (break_deployment, "Something went wrong that nobody foresaw (ValidationError)."),
    ],
)
def test_a_refused_run_is_told_in_a_sentence_and_the_schedule_goes_on(
    clock: Clock, template: RunTemplate, alice: User, bob: User, happening: Any, sentence: str
) -> None:
    RunTemplate.objects.update(user=bob)
    template.refresh_from_db()
    values = {**VALUES, "run_name": "nightly {date}"}
    schedule = make(template, bob, "nightly", configuration=values)
    happening(template, bob)
    runs = PipelineRun.objects.count()
    clock.go(hours=1)
    fire_due_schedules()
    firing = ScheduleFiring.objects.get(schedule=schedule)
    assert firing.run is None
    assert firing.refusal.startswith(sentence)
    assert PipelineRun.objects.count() == runs
    schedule.refresh_from_db()
    assert schedule.next_time == datetime(2026, 6, 1, 14, tzinfo=UTC)


def test_a_schedule_that_is_refused_holds_up_no_other(
    hourly: Schedule, clock: Clock, template: RunTemplate, alice: User, bob: User
) -> None:
    others = [make(template, bob, f"refused {number}") for number in range(3)]
    unknown = make(template, alice, "of another world")
    Schedule.objects.filter(pk=unknown.pk).update(zone="Mars/Olympus")
    switch_owner_off(template, bob)
    clock.go(hours=1)
    fire_due_schedules()
    assert PipelineRun.objects.get().firing.schedule == hourly
    assert all(other.firings.get().refusal for other in others)
    unknown.refresh_from_db()
    assert unknown.next_time is None
    assert unknown.firings.get().refusal.startswith("/zone: There is no time zone 'Mars/Olympus'.")
    assert update_schedule(actor=alice, schedule=unknown, zone="UTC").next_time is not None


# -- what may be asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"cron": "61 * * * *"},
            "/cron_expression: '61 * * * *' is no cron expression: bad minute. Write minute,",
        ),
        ({"cron": "@daily"}, "/cron_expression: '@daily' is no cron expression: it has 1 field, not 5."),
        ({"cron": "0 0 0 * * *"}, "it has 6 fields, not 5."),
        ({"cron": "0 " * 80}, "it has more than 100 characters."),
        ({"cron": "0 0 * * FUNDAY"}, "bad day-of-week"),
        ({"cron": "0 0 30 2 *"}, "is no cron expression: bad day-of-month."),
        (
            {"zone": "Europe/berlin"},
            "/zone: There is no time zone 'Europe/berlin'. Did you mean 'Europe/Berlin'?",
        ),
        ({"zone": "../etc/passwd"}, "/zone: There is no time zone"),
        ({"zone": ""}, "/zone: There is no time zone ''."),
        ({"name": "a/b"}, "/name: A name has between 1 and 255 characters, and no slash"),
        (
            {"configuration": {"steps": {"trainer": {"parameters": {"learning_rate": 2}}}}},
            "/configuration/steps/trainer/parameters/learning_rate: ",
        ),
        (
            {"configuration": {"run_name": "mine"}},
            "/configuration/run_name: Every run of this schedule would be called 'mine'",
        ),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(
    template: RunTemplate, alice: User, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(template, alice, **fields)
    assert sentence in str(refused.value)
    assert not Schedule.objects.exists()


def test_all_that_is_wrong_is_told_at_once(template: RunTemplate, alice: User) -> None:
    values = {"steps": {"trainer": {"parameters": {"learning_rate": 2}}}}
    with pytest.raises(ValidationFailed) as refused:
        make(template, alice, cron="x", zone="y", configuration=values)
    assert [error.pointer for error in refused.value.errors] == [
        "/zone",
        "/cron_expression",
        "/configuration/steps/trainer/parameters/learning_rate",
    ]


def test_a_refused_change_changes_nothing(hourly: Schedule, alice: User) -> None:
    before = Schedule.objects.values().get()
    with pytest.raises(ValidationFailed):
        update_schedule(actor=alice, schedule=hourly, name="other", cron="0 5 * * *", zone="nowhere")
    assert Schedule.objects.values().get() == before


def test_a_schedule_without_its_template_cannot_go_on(hourly: Schedule, alice: User) -> None:
    update_schedule(actor=alice, schedule=hourly, is_paused=True)
    delete_template(RunTemplate.objects.get(), alice)
    with pytest.raises(ValidationFailed, match="Its template was deleted"):
        update_schedule(actor=alice, schedule=hourly, is_paused=False)
    assert Schedule.objects.get().is_paused


def test_a_name_is_given_once(hourly: Schedule, template: RunTemplate, alice: User) -> None:
    with pytest.raises(EntityExists):
        make(template, alice)
    other = make(template, alice, "other")
    with pytest.raises(EntityExists):
        update_schedule(actor=alice, schedule=other, name="hourly")


def test_a_runner_makes_one_and_only_its_owner_and_editors_of_the_template_change_it(
    template: RunTemplate, alice: User, bob: User
) -> None:
    schedule = make(template, alice)
    for verb in (delete_schedule, lambda **who: update_schedule(**who, is_paused=True)):
        with pytest.raises(NotAllowed, match="Only the owner of the schedule"):
            verb(actor=bob, schedule=schedule)
    other = make(template, bob, name="bob's")
    assert update_schedule(actor=alice, schedule=other, is_paused=True).user == bob


def test_a_template_that_is_switched_off_gets_no_schedule(template: RunTemplate, alice: User) -> None:
    RunTemplate.objects.update(is_enabled=False)
    template.refresh_from_db()
    with pytest.raises(ValidationFailed, match="is switched off"):
        make(template, alice)


def test_the_runs_of_a_deleted_schedule_stay(hourly: Schedule, clock: Clock, alice: User) -> None:
    clock.go(hours=1)
    fire_due_schedules()
    delete_schedule(actor=alice, schedule=hourly)
    assert PipelineRun.objects.exists()
    assert not ScheduleFiring.objects.exists()


def test_looking_at_the_next_times_changes_nothing(hourly: Schedule) -> None:
    assert [f"{at:%d %H:%M}" for at in hourly.next_times(3)] == ["01 13:00", "01 14:00", "01 15:00"]
