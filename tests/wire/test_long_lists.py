"""Lists of any length: every row is on one page, and the totals are right or the newest that are known."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from runs_app.models import PipelineRun
from templates_app.models import PipelineDeployment, RunTemplate
from tests.factories import launch, make_template
from tests.wire.conftest import Get
from zenweb import paging
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

RUNS = 7


@pytest.fixture
def runs(template: RunTemplate, alice: User) -> list[str]:
    """Their names, the oldest first."""
    return [launch(template, alice, {"run_name": f"run {number}"}).name for number in range(RUNS)]


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two are many."""
    monkeypatch.setattr(paging, "EXACT", 2)


def names(page: Any) -> list[str]:
    return [item["name"] for item in page["items"]]


@pytest.mark.parametrize("sort_by", ["created", "desc:created", "name", "status", "end_time"])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_every_run_is_on_one_page(get: Get, runs: list[str], sort_by: str, size: int) -> None:
    """Pages of the second half are read from the end."""
    pages = [get("/runs", size=size, page=page, sort_by=sort_by) for page in range(1, -(-RUNS // size) + 1)]
    assert sorted(name for page in pages for name in names(page)) == runs
    assert {page["total"] for page in pages} == {RUNS}


def test_the_last_pages_are_in_order(get: Get, runs: list[str]) -> None:
    assert names(get("/runs", size=2, page=3)) == runs[4:6]
    assert names(get("/runs", size=2, page=4)) == runs[6:]
    assert names(get("/runs", size=2, page=4, sort_by="desc:created")) == runs[:1]


def test_a_page_behind_the_last_is_empty(get: Get, runs: list[str]) -> None:
    for query in ({}, {"name": "contains:run"}):
        page = get("/runs", size=5, page=9, **query)
        assert (page["items"], page["total"], page["total_pages"]) == ([], RUNS, 2)


def test_what_is_counted_by_kind_is_always_exact(get: Get, runs: list[str], short_memory: None) -> None:
    run = PipelineRun.objects.earliest("created")
    PipelineRun.objects.filter(pk=run.pk).update(status="failed")
    for query, total in [
        ({}, RUNS),
        ({"status": "failed"}, 1),
        ({"status": "notequals:failed"}, RUNS - 1),
        ({"in_progress": "True"}, RUNS - 1),
        ({"template_id": run.template_id}, RUNS),
        ({"pipeline_id": run.pipeline_id, "status": 'oneof:["failed"]'}, 1),
        ({"pipeline": "training_pipeline"}, RUNS),
        ({"status": "failed", "template_id": run.template_id, "logical_operator": "or"}, RUNS),
    ]:
        assert get("/runs", size=1, **query)["total"] == total, query


def test_a_large_total_is_remembered_for_a_while_and_never_too_small(
    get: Get, runs: list[str], template: RunTemplate, alice: User, short_memory: None
) -> None:
    query = {"name": "contains:run", "size": 3}
    assert get("/runs", **query)["total"] == RUNS
    for number in range(3):
        launch(template, alice, {"run_name": f"run {RUNS + number}"})
    assert get("/runs", **query)["total"] == RUNS
    # Who pages through them finds one page more behind each that is full, until all are seen.
    assert [get("/runs", page=page, **query)["total"] for page in (2, 3, 4)] == [RUNS, 10, 10]
    cache.clear()  # what time does
    assert get("/runs", **query)["total"] == RUNS + 3


def test_a_short_list_takes_no_count(get: Get, runs: list[str], django_assert_num_queries: Any) -> None:
    get("/run_templates")  # the key is noted as used
    with django_assert_num_queries(6) as asked:  # key, project, what she is (two), keys of the page, rows
        assert get("/run_templates")["total"] == 1
    assert not any("COUNT(" in query["sql"] for query in asked.captured_queries)


def test_who_sees_some_templates_is_told_how_many_runs_those_have(
    runs: list[str], deployment: PipelineDeployment, alice: User, short_memory: None
) -> None:
    seen = make_template(deployment, alice, "seen")
    for _ in range(4):
        launch(seen, alice)
    key = create_api_key(user=alice, name="bound", templates=[seen])[1]
    bound = Client(headers={"Authorization": f"Bearer {key}"})
    page = bound.get("/api/v1/runs", {"size": 3, "page": 2}).json()
    assert (page["total"], page["total_pages"], len(page["items"])) == (4, 2, 1)
