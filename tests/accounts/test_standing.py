"""What somebody is decides what they see, whether it is named or asked for, gathered or looked through."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs_app import querysets
from runs_app.models import PipelineRun, RunCount
from templates_app.models import PipelineDeployment, RunTemplate
from tests.factories import launch, make_template
from zenweb.accounts import standing
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import Role


@pytest.fixture
def seen(template: RunTemplate, deployment: PipelineDeployment, alice: User, bob: User) -> list[PipelineRun]:
    """Bob is nobody in the project: he sees a run of the template that he was shown, and one of his own."""
    shown = make_template(deployment, alice, "shown")
    runs = [launch(template, alice), launch(shown, alice), launch(template, bob)]
    PipelineRun.objects.filter(pk__in=[runs[0].pk, runs[2].pk]).update(template=None, template_version=None)
    Project.objects.update(default_role=Role.NOBODY)
    RoleGrant.objects.create(user=bob, template=shown, role=Role.VIEWER)
    return runs[1:]


@pytest.fixture(params=["named", "asked for"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "asked for":
        monkeypatch.setattr(standing, "MOST_NAMED", 0)
        for query in (standing.GRANTS, standing.OPEN_PROJECTS):
            monkeypatch.setattr(query, "_compiled", None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("many", [0, 20_000])
def test_the_same_runs_are_seen(
    seen: list[PipelineRun], bob: User, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querysets, "MANY", many)
    counts = RunCount.objects.visible_to(bob)
    listed = PipelineRun.objects.visible_in_lists_to(bob, counts).order_by("created")
    assert list(listed) == list(PipelineRun.objects.visible_to(bob).order_by("created")) == seen
    assert (counts.total, counts.beside) == (2, 1)


@pytest.mark.parametrize("many", [0, 20_000])
def test_a_list_tells_what_is_seen_and_how_much(
    seen: list[PipelineRun], bob: User, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querysets, "MANY", many)
    key = create_api_key(user=bob, name="bob's")[1]
    answer = Client(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/runs").json()
    assert [item["id"] for item in answer["items"]] == [str(run.pk) for run in seen]
    assert answer["total"] == 2


def test_who_sees_none_beside_templates_sees_the_others(
    seen: list[PipelineRun], bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querysets, "MANY", 0)
    seen[1].delete()
    counts = RunCount.objects.visible_to(bob)
    assert list(PipelineRun.objects.visible_in_lists_to(bob, counts)) == seen[:1]


def asked_for_roles(queries: Any) -> int:
    return sum("accounts_rolegrant" in query["sql"] for query in queries.captured_queries)


def test_a_request_that_reads_asks_once_what_one_is(seen: list[PipelineRun], bob: User) -> None:
    key = create_api_key(user=bob, name="bob's")[1]
    with CaptureQueriesContext(connection) as asked:
        Client(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/runs")
    assert asked_for_roles(asked) == 1


def test_without_a_request_it_is_asked_each_time(seen: list[PipelineRun], bob: User) -> None:
    """Whoever was given more a moment ago sees more."""
    assert PipelineRun.objects.visible_to(bob).count() == 2
    RoleGrant.objects.all().delete()
    assert PipelineRun.objects.visible_to(bob).count() == 1


def test_who_waits_is_asked_about_again(
    seen: list[PipelineRun], bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "REMEMBERED", -1.0)
    key = create_api_key(user=bob, name="bob's")[1]
    with CaptureQueriesContext(connection) as asked:
        Client(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/runs")
    assert asked_for_roles(asked) > 1
