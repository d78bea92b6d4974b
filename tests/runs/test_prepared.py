"""What is compiled once gives what the ORM gives."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from django.db import connection
from django.db.models import CharField, Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs_app.models import PipelineRun, RunEvent, StepRun
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.prepared import Given, Prepared, insert

BY_NAME = Prepared(lambda: RunTemplate.objects.for_launch().filter(name=Given("name", CharField())))


def fields(row: Model) -> dict[str, Any]:
    deferred = row.get_deferred_fields()
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in deferred
    }


def test_a_prepared_query_gives_the_same_rows_as_its_queryset(template: RunTemplate) -> None:
    asked = RunTemplate.objects.for_launch().get(name=template.name)
    prepared = BY_NAME.first(name=template.name)
    assert prepared is not None
    for same, as_asked in [
        (prepared, asked),
        (prepared.version, asked.version),
        (prepared.version.deployment, asked.version.deployment),
        (prepared.version.deployment.stack, asked.version.deployment.stack),
    ]:
        assert fields(same) == fields(as_asked)
        assert same.get_deferred_fields() == as_asked.get_deferred_fields()


def test_a_prepared_query_asks_the_database_once_and_for_what_it_is_given(template: RunTemplate) -> None:
    BY_NAME.first(name=template.name)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        found = BY_NAME.first(name=template.name)
        assert found is not None
        assert found.version.deployment.pipeline.name == "training_pipeline"
    assert len(asked) == 1
    assert BY_NAME.first(name="another") is None


def test_a_query_is_compiled_by_one_thread_and_once() -> None:
    made, threads = list[str](), 8
    start = threading.Barrier(threads)

    def make() -> Any:
        made.append(threading.current_thread().name)
        return RunTemplate.objects.for_launch().filter(name=Given("name", CharField()))

    prepared = Prepared(make)

    def compile_it() -> Any:
        start.wait(10)
        return prepared._compile()

    with ThreadPoolExecutor(threads) as crowd:
        compiled = {id(one.result()) for one in [crowd.submit(compile_it) for _ in range(threads)]}
    assert len(made) == len(compiled) == 1


def test_an_inserted_row_is_what_the_orm_would_have_written(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": 0.25}}}})
    read = PipelineRun.objects.get(pk=run.pk)
    assert fields(read) == {**fields(run), "updated": read.updated, "status": read.status}
    copy = PipelineRun.objects.get(pk=run.pk)
    copy.pk, copy.name, copy.index = None, "by the ORM", 999
    copy._state.adding = True
    copy.save()
    ours, theirs = (fields(PipelineRun.objects.get(pk=pk)) for pk in (run.pk, copy.pk))
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"id", "name", "index", "created", "updated"}


def test_many_rows_are_inserted_in_one_statement(template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    with CaptureQueriesContext(connection) as asked:
        insert(*(RunEvent(run=run, sentence=f"line {number}") for number in range(3)))
    assert len(asked) == 1
    sentences = list(RunEvent.objects.filter(run=run).values_list("sentence", flat=True))
    assert sentences[-3:] == ["line 0", "line 1", "line 2"]


def test_a_launch_over_rest_is_so_many_statements(rest: Client, template: RunTemplate) -> None:
    url = f"/api/v1/run_templates/{template.name}/runs"
    rest.post(url, "{}", "application/json")  # notes the key's use, and reads the plan
    with CaptureQueriesContext(connection) as asked:
        assert rest.post(url, "{}", "application/json").status_code == HTTPStatus.OK
    statements = [
        query["sql"].split("times: ")[-1].split()[0] for query in asked if "SAVEPOINT" not in query["sql"]
    ]
    # The key with its user, the template with all that belongs to it, the name, the run's number, the run, its steps,
    # that it was accepted, the audit, the cache keys, that it was offered.
    assert statements == ["SELECT"] * 3 + ["UPDATE"] + ["INSERT"] * 4 + ["UPDATE", "INSERT"]
    assert StepRun.objects.count() == 4
