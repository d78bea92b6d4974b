"""What a role shows of a run, whoever asks and through which door; and that one row and many are judged alike."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs_app.models import PipelineRun, Schedule, StepRun
from runs_app.permissions import may_see_values
from runs_app.presets import preset_values
from runs_app.schedules import create_schedule, fire_schedule
from templates_app.models import RunTemplate
from templates_app.permissions import role_on
from templates_app.services import delete_run_template, update_run_template
from tests.accounts.conftest import ask, give, rest_of
from tests.factories import launch
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.enums import GRANTABLE, ExecutionStatus, Role
from zenweb.exceptions import DoesNotExist

LEVELS = (Role.NOBODY, *GRANTABLE)
SOME = (Role.NOBODY, Role.VIEWER, Role.EDITOR, Role.OWNER)
VALUE = "0.4711"
VALUES = {"steps": {"trainer": {"parameters": {"learning_rate": 0.4711}}}}
RATE = "steps.trainer.parameters.learning_rate"


@pytest.fixture
def crew(bob: User) -> Group:
    group = Group.objects.create(name="crew")
    bob.groups.add(group)
    return group


def stand(template: RunTemplate, default: Role, is_restricted: bool, **grants: dict[str, Any]) -> RunTemplate:
    """The template where everybody is `default`, and these roles alone are given."""
    RoleGrant.objects.all().delete()
    given = [RoleGrant(role=role, **to) for to, role in grants.values() if role is not Role.NOBODY]
    RoleGrant.objects.bulk_create(given)
    Project.objects.update(default_role=default)
    RunTemplate.objects.update(is_restricted=is_restricted)
    return RunTemplate.objects.select_related("project").get(pk=template.pk)


def combinations(template: RunTemplate, bob: User, crew: Group) -> Any:
    """All that somebody can be given, in project and on template, by oneself and by a group."""
    project = template.project
    for default, is_restricted, own, crews, own_in, crews_in in product(
        SOME, (False, True), SOME, (Role.NOBODY, Role.RUNNER), SOME, (Role.NOBODY, Role.RUNNER)
    ):
        yield (
            stand(
                template,
                default,
                is_restricted,
                own=({"user": bob, "template": template}, own),
                crews=({"group": crew, "template": template}, crews),
                own_in=({"user": bob, "project": project}, own_in),
                crews_in=({"group": crew, "project": project}, crews_in),
            ),
            (default, is_restricted, own, crews, own_in, crews_in),
        )


def test_one_template_and_many_are_judged_alike(template: RunTemplate, bob: User, crew: Group) -> None:
    for it, said in combinations(template, bob, crew):
        role = role_on(bob, it)
        many = [least for least in GRANTABLE if RunTemplate.objects.with_role(bob, least).exists()]
        assert many == [least for least in GRANTABLE if role >= least], said
        default, is_restricted, own, crews, own_in, crews_in = said
        in_project = max(default, own_in, crews_in)
        counts = in_project if not is_restricted or in_project == Role.OWNER else Role.NOBODY
        assert role == max(counts, own, crews), said


@pytest.mark.parametrize("is_left", [False, True], ids=["of a template", "of a deleted one"])
def test_one_runs_values_and_those_of_many_are_judged_alike(
    template: RunTemplate, alice: User, bob: User, crew: Group, is_left: bool
) -> None:
    """Of a run that is left of a deleted template, it counts whether that was restricted."""
    run = launch(template, alice)
    if is_left:
        PipelineRun.objects.update(template=None, template_version=None)
    for it, said in combinations(template, bob, crew):
        PipelineRun.objects.update(is_restricted=it.is_restricted)
        one = PipelineRun.objects.select_related("template__project", "project").get(pk=run.pk)
        runs = PipelineRun.objects.with_values_shown_to(bob)
        steps = set(StepRun.objects.with_values_shown_to(bob).values_list("shows_values", flat=True))
        assert {runs.get().shows_values} == steps == {may_see_values(bob, one)}, said


def test_who_made_a_template_and_administrators_own_it(
    template: RunTemplate, alice: User, boss: User, bob: User
) -> None:
    """So nobody is locked out when the last owner goes: administrators remain."""
    for user, is_owner in ((alice, True), (boss, True), (bob, False)):
        it = stand(template, Role.NOBODY, True)
        assert (role_on(user, it) is Role.OWNER) == is_owner
        assert RunTemplate.objects.with_role(user, Role.OWNER).exists() == is_owner
    alice.delete()
    it = RunTemplate.objects.get()
    assert update_run_template(actor=boss, template=it, is_restricted=False).user is None


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    """A failed run of Alice's, and a schedule of hers, with a value of her own."""
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *", configuration=VALUES)
    Project.objects.update(default_role=Role.NOBODY)
    return failed(launch(template, alice, VALUES))


def failed(run: PipelineRun) -> PipelineRun:
    PipelineRun.objects.filter(pk=run.pk).update(status=ExecutionStatus.FAILED)
    StepRun.objects.filter(run=run).update(status=ExecutionStatus.FAILED)
    return PipelineRun.objects.get(pk=run.pk)


ROUTES: dict[str, Callable[[PipelineRun], str]] = {
    "run": lambda run: f"/runs/{run.pk}",
    "runs": lambda run: "/runs?hydrate=true",
    "steps of a run": lambda run: f"/runs/{run.pk}/steps?hydrate=true",
    "steps": lambda run: "/steps?hydrate=true",
    "step": lambda run: f"/steps/{run.steps.get(name='trainer').pk}",
    "schedules": lambda run: "/schedules?hydrate=true",
    "schedule": lambda run: f"/schedules/{Schedule.objects.get().pk}",
}
WITHOUT_VALUES: dict[str, Callable[[PipelineRun], str]] = {
    "configuration": lambda run: f"/runs/{run.pk}/pipeline-configuration",
    "dag": lambda run: f"/runs/{run.pk}/dag",
    "ledger": lambda run: f"/runs/{run.pk}/events",
    "template": lambda run: f"/run_templates/{run.template_id}",
    "usage": lambda run: f"/run_templates/{run.template_id}/usage",
    "deployment": lambda run: f"/pipeline_deployments/{run.deployment_id}",
}
PAGES: dict[str, Callable[[PipelineRun], str]] = {
    "run": lambda run: reverse("run", args=[run.pk]),
    "again": lambda run: f"{run.template.get_absolute_url()}?from={run.pk}" if run.template else "",
    "copy": lambda run: reverse("run-copy", args=[run.pk]),
    "repair": lambda run: reverse("run-repair", args=[run.pk]),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_rest_shows_values_from_runner_on(
    run: PipelineRun, template: RunTemplate, bob: User, route: Callable[[PipelineRun], str]
) -> None:
    for role in (Role.VIEWER, Role.RUNNER):
        give(bob, template, role)
        answer = ask(rest_of(bob), "GET", route(run))
        assert (answer.status_code, VALUE in answer.text) == (200, role is Role.RUNNER)


@pytest.mark.parametrize("route", WITHOUT_VALUES.values(), ids=WITHOUT_VALUES)
def test_what_a_viewer_may_read_beside_has_no_value_in_it(
    run: PipelineRun, template: RunTemplate, bob: User, route: Callable[[PipelineRun], str]
) -> None:
    give(bob, template, Role.VIEWER)
    answer = ask(rest_of(bob), "GET", route(run))
    assert (answer.status_code, VALUE in answer.text) == (200, False)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_pages_show_values_from_runner_on(
    run: PipelineRun, template: RunTemplate, bob: User, client: Client, page: Callable[[PipelineRun], str]
) -> None:
    client.force_login(bob)
    for role in (Role.VIEWER, Role.RUNNER):
        give(bob, template, role)
        assert (VALUE in client.get(page(run), follow=True).text) == (role is Role.RUNNER)


def test_who_started_a_run_sees_what_they_gave_though_a_viewer_by_now(
    template: RunTemplate, bob: User, client: Client
) -> None:
    run = failed(launch(template, bob, VALUES))
    Project.objects.update(default_role=Role.NOBODY)
    give(bob, template, Role.VIEWER)
    client.force_login(bob)
    shown = {name: VALUE in client.get(page(run), follow=True).text for name, page in PAGES.items()}
    assert shown == {
        "run": True,
        "again": False,
        "copy": True,
        "repair": True,
    }  # there is no form for viewers
    for name in ("run", "runs", "steps of a run", "steps", "step"):
        assert VALUE in ask(rest_of(bob), "GET", ROUTES[name](run)).text, name


@pytest.mark.parametrize("guess", [0.4711, 0.5])
def test_a_viewer_cannot_guess_values_by_asking_what_a_repair_would_do(
    run: PipelineRun, template: RunTemplate, bob: User, guess: float
) -> None:
    """It tells which values differ from the original's."""
    body = {"configuration": {"steps": {"trainer": {"parameters": {"learning_rate": guess}}}}}
    path = f"/runs/{run.pk}/repair?dry_run=true"
    give(bob, template, Role.VIEWER)
    assert ask(rest_of(bob), "POST", path, body).status_code == 403
    give(bob, template, Role.RUNNER)
    assert ask(rest_of(bob), "POST", path, body).status_code == 200


def test_the_last_good_values_are_those_of_runs_whose_values_one_sees(
    run: PipelineRun, template: RunTemplate, bob: User
) -> None:
    PipelineRun.objects.update(status=ExecutionStatus.COMPLETED)
    give(bob, template, Role.VIEWER)
    with pytest.raises(DoesNotExist):
        preset_values(bob, template, "last-good")
    give(bob, template, Role.RUNNER)
    assert VALUE in str(preset_values(bob, template, "last-good"))


# -- what follows a change --------------------------------------------------------------------------------------------


def test_a_restricted_template_that_is_deleted_leaves_its_runs_with_few(
    run: PipelineRun, template: RunTemplate, alice: User, bob: User
) -> None:
    """It was restricted after the run was made; alone its starter and owners of the project find that now."""
    Project.objects.update(default_role=Role.EDITOR)
    RunTemplate.objects.update(is_restricted=True)
    delete_run_template(actor=alice, template=RunTemplate.objects.get())
    seen = [PipelineRun.objects.visible_to(user).exists() for user in (alice, bob)]
    assert (seen, StepRun.objects.visible_to(bob).exists()) == ([True, False], False)
    assert ask(rest_of(bob), "GET", f"/runs/{run.pk}").status_code == 404
    Project.objects.update(default_role=Role.OWNER)
    assert PipelineRun.objects.visible_to(bob).exists()


@pytest.mark.parametrize(
    ("role", "sentence"), [(Role.VIEWER, "yours is Viewer"), (Role.NOBODY, "There is no such run template")]
)
def test_a_schedule_whose_owner_may_not_run_any_more_says_so_and_makes_no_run(
    template: RunTemplate, bob: User, role: Role, sentence: str
) -> None:
    schedule = create_schedule(actor=bob, template=template, name="his", cron="* * * * *")
    Project.objects.update(default_role=role)
    Schedule.objects.update(next_time=timezone.now() - timedelta(seconds=1))
    firing = fire_schedule(schedule.pk)
    assert firing is not None
    assert (firing.run, sentence in firing.refusal) == (None, True)
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize("holder", ["user", "group"])
def test_who_is_deleted_leaves_no_role_behind(
    template: RunTemplate, bob: User, crew: Group, holder: str
) -> None:
    gone = bob if holder == "user" else crew
    RoleGrant.objects.create(template=template, role=Role.OWNER, **{holder: gone})
    RoleGrant.objects.create(project=template.project, role=Role.OWNER, **{holder: gone})
    gone.delete()
    assert not template.role_grants.exists()
    assert not template.project.role_grants.filter(role=Role.OWNER).exists()
