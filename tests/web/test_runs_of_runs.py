"""The page of a run says which step has started it, and which runs its own steps have started."""

import pytest
from django.test import Client

from runs_app import recording, trees
from runs_app.lineage import place_of
from runs_app.models import PipelineRun
from runs_app.services import Trigger, launch_run, stop_run
from runs_app.views import STOP_POLLING
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.web.test_following_a_run import HTMX, page_of
from zenweb.accounts.models import User
from zenweb.enums import TriggerChannel


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def other(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "other")


@pytest.fixture
def run(template: RunTemplate, bob: User) -> PipelineRun:
    return launch(template, bob)


def started(run: PipelineRun, template: RunTemplate, user: User) -> PipelineRun:
    parent = place_of(run.steps.select_related("run").first())
    trigger = Trigger(user, TriggerChannel.PIPELINE, parent=parent)
    return launch_run(
        deployment=template.deployment, version=template.version, configuration=None, trigger=trigger
    ).run


def test_each_leads_to_the_other(pages: Client, run: PipelineRun, other: RunTemplate, bob: User) -> None:
    child = started(run, other, bob)
    grandchild = started(child, other, bob)
    page = page_of(pages, run)
    assert page.index(f'id="tree-{child.pk}"') < page.index(f'id="tree-{grandchild.pk}"')
    assert f'<a href="{child.get_absolute_url()}">other, run 1</a><small>from step Trainer' in page
    page = page_of(pages, child)
    assert f'<a href="{run.get_absolute_url()}">daily-retraining, run 1</a>, step Trainer' in page
    assert "bob through another pipeline" in page


def test_what_one_may_not_see_is_in_no_tree(
    pages: Client, run: PipelineRun, template: RunTemplate, other: RunTemplate, bob: User, alice: User
) -> None:
    hidden = started(run, other, alice)
    seen = started(run, template, bob)
    RunTemplate.objects.filter(pk=other.pk).update(is_restricted=True)
    page = page_of(pages, run)
    assert str(seen.pk) in page
    assert str(hidden.pk) not in page
    of_hidden = started(hidden, template, bob)
    assert "Started from" not in page_of(pages, of_hidden)


def test_it_goes_on_looking_until_the_last_of_them_has_ended(
    pages: Client, run: PipelineRun, other: RunTemplate, bob: User
) -> None:
    child = started(run, other, bob)
    stop_run(actor=bob, run=run)
    assert pages.get(run.get_absolute_url(), headers=HTMX).status_code == 200
    assert 'hx-trigger="every 2s"' in page_of(pages, run)
    recording.request_stop(child, by="bob")
    assert pages.get(run.get_absolute_url(), headers=HTMX).status_code == STOP_POLLING


def test_of_very_many_the_first_are_shown(
    pages: Client, run: PipelineRun, other: RunTemplate, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "MOST_SHOWN", 2)
    first, *_ = [started(run, other, bob) for _ in range(3)]
    started(first, other, bob)
    assert page_of(pages, run).count('id="tree-') == 2
    assert trees.tree_below(bob, run).is_cut
    monkeypatch.setattr(trees, "MOST_SHOWN", 4)
    assert not trees.tree_below(bob, run).is_cut
