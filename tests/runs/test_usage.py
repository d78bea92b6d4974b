"""What is told about how a template is used."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs_app.models import PipelineRun
from runs_app.usage import MOST_TIMED, Times
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User

pytestmark = pytest.mark.django_db


def ended(template: RunTemplate, user: User, status: str, seconds: float, **changes: Any) -> PipelineRun:
    """A run that waited for two seconds and ended after so many more."""
    run = launch(template, user)
    created = changes.pop("created", timezone.now())
    start = created + timedelta(seconds=2)
    times = {"created": created, "start_time": start, "end_time": start + timedelta(seconds=seconds)}
    PipelineRun.objects.filter(pk=run.pk).update(status=status, **times, **changes)
    return run


def usage(rest: Client, template: RunTemplate, query: str = "") -> Any:
    return rest.get(f"/api/v1/run_templates/{template.name}/usage{query}").json()


@pytest.fixture
def used(template: RunTemplate, alice: User, bob: User) -> RunTemplate:
    now = timezone.now()
    ended(template, alice, "completed", 10, created=now - timedelta(days=40))
    for seconds in range(1, 10):
        ended(template, alice, "completed", seconds, created=now - timedelta(hours=1))
    ended(template, bob, "failed", 500, created=now - timedelta(minutes=2))
    ended(template, bob, "stopped", 500, created=now - timedelta(minutes=1), channel="page")
    return template


def test_runs_are_counted_and_timed(rest: Client, used: RunTemplate) -> None:
    found = usage(rest, used)
    assert (found["days"], found["runs"], found["success_rate"]) == (30, 11, 0.9)
    assert found["by_status"] == {"completed": 9, "failed": 1, "stopped": 1}
    assert found["by_channel"] == {"rest": 10, "page": 1}
    assert found["by_user"] == [{"user": "alice", "runs": 9}, {"user": "bob", "runs": 2}]
    assert found["duration"] == {"p50": 5.0, "p95": pytest.approx(8.6)}
    assert found["queue_wait"] == {"p50": 2.0, "p95": 2.0}
    assert found["last_run"]["status"] == "stopped"


def test_the_days_that_count_can_be_chosen(rest: Client, used: RunTemplate) -> None:
    assert usage(rest, used, "?days=60")["runs"] == 12
    refused = rest.get(f"/api/v1/run_templates/{used.id}/usage?days=400")
    assert refused.status_code == 422
    assert "days is a whole number between 1 and 366, not '400'." in refused.json()["detail"][1]


def test_a_template_that_nobody_ran_has_nothing_to_tell(rest: Client, template: RunTemplate) -> None:
    found = usage(rest, template)
    assert (found["runs"], found["success_rate"], found["duration"], found["last_run"]) == (
        0,
        None,
        None,
        None,
    )


def test_two_queries_are_enough(rest: Client, used: RunTemplate, django_assert_num_queries: Any) -> None:
    usage(rest, used)  # the first use of a key is noted
    with django_assert_num_queries(6):  # whose key it is, what she is (two), which template, and these two
        usage(rest, used)


@pytest.mark.parametrize(
    ("seconds", "times"),
    [([], None), ([3], Times(3, 3)), (range(101), Times(50, 95)), (range(MOST_TIMED), Times(499.5, 949.05))],
)
def test_times_are_told_by_the_middle_and_by_what_is_rarely_exceeded(
    seconds: Any, times: Times | None
) -> None:
    found = Times.of(list(seconds))
    assert (found and (found.p50, found.p95)) == (times and pytest.approx((times.p50, times.p95)))


def test_the_page_tells_it_in_words(client: Client, used: RunTemplate, alice: User) -> None:
    client.force_login(alice)
    page = client.get(f"/templates/{used.id}/usage").text
    assert "<dt>Successful</dt><dd>90 %</dd>" in page
    assert "5.0 s, rarely more than 8.6 s" in page
    assert "<h1>Usage of daily-retraining</h1>" in page
    part = client.get(f"/templates/{used.id}/usage", headers={"HX-Request": "true"}).text
    assert "<h1>" not in part
    assert "bob" in part
    assert f'hx-get="/templates/{used.id}/usage"' in client.get(f"/templates/{used.id}/").text
