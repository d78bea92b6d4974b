"""The database knows how many runs there are of each kind, whoever changes them."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import Sum

from runs_app import run_counts
from runs_app.history import delete_run
from runs_app.models import PipelineRun, RunCount
from runs_app.services import stop_run
from templates_app.models import RunTemplate
from templates_app.services import delete_run_template
from tests.factories import launch
from tests.wire.conftest import run_to_the_end
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus


def by_status() -> dict[str, int]:
    counted = RunCount.objects.values_list("status").annotate(total=Sum("count")).order_by()
    return {status: total for status, total in counted if total}


def test_what_becomes_of_a_run_is_counted(template: RunTemplate, alice: User) -> None:
    run_to_the_end(template, alice)
    stop_run(actor=alice, run=launch(template, alice, {"enable_cache": False}))
    launch(template, alice, {"enable_cache": False})
    assert by_status() == {"completed": 1, "stopped": 1, "initializing": 1}
    assert run_counts.wrong_counts() == []


def test_a_run_that_is_deleted_counts_no_more(template: RunTemplate, alice: User) -> None:
    kept, gone = run_to_the_end(template, alice), run_to_the_end(template, alice)
    delete_run(actor=alice, run=gone)
    assert by_status() == {"completed": 1}
    assert kept.status == "completed"


def test_runs_outlive_their_template_and_count_for_who_started_them(
    template: RunTemplate, alice: User
) -> None:
    run_to_the_end(template, alice)
    assert set(RunCount.objects.values_list("template", "user")) == {(template.pk, None)}
    delete_run_template(actor=alice, template=template)
    assert RunCount.objects.filter(template=None, user=alice).aggregate(total=Sum("count")) == {"total": 1}
    assert run_counts.wrong_counts() == []


def test_what_is_not_committed_is_not_counted(template: RunTemplate, alice: User) -> None:
    with transaction.atomic():
        launch(template, alice)
        transaction.set_rollback(True)
    assert by_status() == {}


def test_a_change_that_changes_no_kind_writes_no_count(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    before = RunCount.objects.count()
    PipelineRun.objects.filter(pk=run.pk).update(status=run.status, seconds_spent=1, tags=["x"])
    assert RunCount.objects.count() == before


def test_what_is_alike_is_added_up_and_stays_as_much(template: RunTemplate, alice: User) -> None:
    for _ in range(3):
        run_to_the_end(template, alice)
    before = by_status()
    run_counts.fold()
    assert by_status() == before == {"completed": 3}
    assert list(RunCount.objects.values_list("status", "count")) == [("completed", 3)]
    run_counts.fold()
    assert RunCount.objects.count() == 1


def test_nothing_is_written_where_nothing_is_alike(
    template: RunTemplate, alice: User, django_assert_num_queries: Any
) -> None:
    launch(template, alice)
    with django_assert_num_queries(1):
        run_counts.fold()


def test_the_command_finds_what_is_wrong_and_corrects_it(
    template: RunTemplate, alice: User, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(template, alice)
    call_command("recount_runs", "--check")
    RunCount.objects.update(count=5)
    with pytest.raises(CommandError, match="without --check"):
        call_command("recount_runs", "--check")
    assert "1 runs, counted as 5" in capsys.readouterr().out
    call_command("recount_runs")
    assert by_status() == {"initializing": 1}


def test_a_table_that_was_made_anew_is_counted_again(template: RunTemplate, alice: User) -> None:
    """SQLite changes a table by making another one, and what belonged to the old one is gone."""
    with connection.cursor() as cursor:
        for name in run_counts.trigger_names():
            cursor.execute(run_counts.REMOVE_TRIGGER[connection.vendor].format(name=name))
    run = launch(template, alice)
    assert by_status() == {}
    call_command("migrate", verbosity=0)
    assert by_status() == {"initializing": 1}
    PipelineRun.objects.filter(pk=run.pk).update(status=ExecutionStatus.RUNNING)
    assert by_status() == {"running": 1}


@pytest.mark.django_db
@pytest.mark.parametrize("lost", run_counts.DOES[connection.vendor])
def test_what_counts_is_made_anew_when_one_part_of_it_is_gone(lost: str) -> None:
    whole = run_counts.trigger_names()
    gone = next(name for name in whole if name.startswith(f"{lost}_"))
    with connection.cursor() as cursor:
        cursor.execute(run_counts.REMOVE_TRIGGER[connection.vendor].format(name=gone))
    run_counts.keep_counting()
    assert sorted(run_counts.trigger_names()) == sorted(whole)


@pytest.mark.parametrize("vendor", run_counts.DOES)
def test_what_counts_has_another_name_when_it_does_anything_else(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, does = set(run_counts.triggers(vendor)), run_counts.DOES[vendor]
    for changed in does:
        other = {**does, changed: does[changed].replace(" ON ", "  ON ")}
        monkeypatch.setitem(run_counts.DOES, vendor, other)
        assert names.isdisjoint(run_counts.triggers(vendor))
    monkeypatch.setitem(run_counts.DOES, vendor, does)
    monkeypatch.setitem(run_counts.FUNCTION, vendor, "another")
    assert names.isdisjoint(run_counts.triggers(vendor))


@pytest.mark.django_db
def test_what_others_put_there_stays() -> None:
    theirs = run_counts.DOES[connection.vendor]["run_count"]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER theirs {theirs}")
        cursor.execute(
            run_counts.REMOVE_TRIGGER[connection.vendor].format(name=run_counts.trigger_names()[0])
        )
    run_counts.keep_counting()
    with connection.cursor() as cursor:
        cursor.execute(run_counts.INSTALLED[connection.vendor])
        assert ("theirs",) in cursor.fetchall()


@pytest.mark.django_db(transaction=True)
def test_emptying_all_tables_leaves_no_count(template: RunTemplate, alice: User) -> None:
    launch(template, alice)
    call_command("flush", interactive=False, verbosity=0)
    assert not RunCount.objects.exists()
