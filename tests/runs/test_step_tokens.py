"""The token with which a step's process asks the server: what it is worth, for how long, and what it never opens."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connections, transaction
from django.test import Client

from runs_app import recording
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepAttempt, StepOutput, StepRun, Worker
from runs_app.presets import create_preset
from runs_app.recording import StepOutcome
from runs_app.schedules import create_schedule
from runs_app.step_tokens import server_access
from runs_app.uploads import store_upload
from templates_app.models import RunTemplate, Stack
from templates_app.services import curate_run_template
from tests.accounts.conftest import ask, bearer, give, rest_of
from tests.factories import freeze, launch, make_template
from tests.routes import Route, filled, routes
from zenweb.accounts.models import AuditEvent, RoleGrant, User
from zenweb.accounts.services import create_api_key, default_project
from zenweb.enums import Role

CHANGES_NOTHING = {"POST runs/{}/refresh"}
# What a step may do: run templates, repair runs, ask what that would do, and stop and annotate its own runs.
OPEN = {
    "POST run_templates/{}/runs",
    "POST run_templates/{}/runs/bulk",
    "POST run_templates/{}/validate",
    "POST runs/{}/repair",
    "POST runs/{}/stop",
    "POST run-metadata",
    "POST uploads",
}


class Undone(Exception):
    """What a request has done is not kept."""


WITHOUT_KEYS = {"POST login", "POST device_authorization"}


@pytest.fixture(autouse=True)
def address(settings: Any) -> str:
    settings.STEP_SERVER_URL = "http://testserver"
    return settings.STEP_SERVER_URL


@pytest.fixture
def w1(db: None) -> Worker:
    return Worker.objects.create(name="w1", hostname="here", pid=1, queues=["default"])


@pytest.fixture
def other(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "other")


@pytest.fixture
def attempt(template: RunTemplate, bob: User, w1: Worker) -> StepAttempt:
    """Of Alice's template, in the name of Bob."""
    return begun(template, bob, w1)


def begun(template: RunTemplate, starter: User, worker: Worker) -> StepAttempt:
    return claimed_of(launch(template, starter), worker)


def step_of(attempt: StepAttempt) -> Client:
    access = server_access(attempt)
    assert access is not None
    return bearer(access.token)


def refusal(client: Client) -> str:
    answer = ask(client, "GET", "/runs")
    assert answer.status_code == 401
    return str(answer.json()["detail"][1])


def test_a_step_sees_what_its_runs_starter_sees(attempt: StepAttempt, other: RunTemplate, bob: User) -> None:
    step = step_of(attempt)
    assert ask(step, "GET", "/current-user").json()["name"] == "bob"
    assert ask(step, "GET", "/run_templates/other").status_code == 200
    other.is_restricted = True
    other.save()
    assert ask(step, "GET", "/run_templates/other").status_code == 404


def test_a_step_starts_a_run_that_says_where_it_comes_from(attempt: StepAttempt, other: RunTemplate) -> None:
    answer = ask(step_of(attempt), "POST", "/run_templates/other/runs")
    assert answer.status_code == 200, answer.json()
    child = PipelineRun.objects.get(pk=answer.json()["id"])
    parent = attempt.step.run
    assert (child.user, child.channel, child.parent_step_id) == (parent.user, "pipeline", attempt.step_id)
    assert (child.root_id, child.depth) == (parent.pk, 1)
    told = f"step trainer of run {parent.name}"
    assert child.events.first().sentence == f"Accepted from {told}, in the name of bob."
    assert f"Step trainer started run {child.name}." in parent.events.values_list("sentence", flat=True)
    event = AuditEvent.objects.get(thing_id=str(child.pk))
    assert (event.channel, event.user_name, event.after["started_from"]) == ("pipeline", "bob", told)


def test_parent_and_child_are_found_from_each_other(
    attempt: StepAttempt, other: RunTemplate, rest: Client
) -> None:
    parent = attempt.step.run
    child = ask(step_of(attempt), "POST", "/run_templates/other/runs").json()["id"]
    told = ask(rest, "GET", f"/runs/{child}").json()["metadata"]
    assert (told["parent_run_id"], told["parent_step_name"]) == (str(parent.pk), "trainer")
    assert (told["parent_step_id"], told["root_run_id"]) == (str(attempt.step_id), str(parent.pk))
    for name, value in (("parent_run_id", parent.pk), ("parent_step_id", attempt.step_id)):
        listed = ask(rest, "GET", f"/runs?{name}={value}&hydrate=true").json()["items"]
        assert [(run["id"], run["metadata"]["parent_run_id"]) for run in listed] == [(child, str(parent.pk))]
    assert ask(rest, "GET", f"/runs/{parent.pk}").json()["metadata"]["parent_run_id"] is None


def test_neither_calls_the_other_by_its_name_where_it_is_restricted(
    attempt: StepAttempt, template: RunTemplate, other: RunTemplate, bob: User
) -> None:
    RunTemplate.objects.filter(pk=other.pk).update(is_restricted=True)
    give(bob, other, Role.RUNNER)
    child = PipelineRun.objects.get(
        pk=ask(step_of(attempt), "POST", "/run_templates/other/runs").json()["id"]
    )
    assert child.events.first().sentence == "Accepted from a step of another run, in the name of bob."
    told = attempt.step.run.events.values_list("sentence", flat=True)
    assert "Step trainer started another run." in told
    assert not [sentence for sentence in told if child.name in sentence]


def test_who_may_not_see_where_a_run_comes_from_is_not_told_of_it(
    attempt: StepAttempt, template: RunTemplate, other: RunTemplate, client: Client
) -> None:
    child = ask(step_of(attempt), "POST", "/run_templates/other/runs").json()["id"]
    parent = attempt.step.run
    PipelineRun.objects.filter(pk=child).update(original=parent)
    carol = User.objects.create_superuser(username="carol", password="carol has a long password")
    rest = rest_of(carol)

    def told() -> tuple[set[Any], int, list[bool]]:
        one = ask(rest, "GET", f"/runs/{child}").json()["metadata"]
        [many] = ask(rest, "GET", "/runs?name=contains:diamond&hydrate=true").json()["items"]
        names = ("original_run_id", "parent_run_id", "parent_step_id", "root_run_id")
        filters = (f"parent_run_id=startswith:{str(parent.pk)[:4]}", "original=contains:training")
        found = sum(ask(rest, "GET", f"/runs?{each}").json()["total"] for each in filters)
        client.force_login(carol)
        pages = (client.get(f"/runs/{child}/"), client.get(f"/admin/runs_app/pipelinerun/{child}/change/"))
        assert [page.status_code for page in pages] == [200, 200]
        shown = [str(parent.pk) in page.text for page in pages]
        return {each[name] for each in (one, many["metadata"]) for name in names}, found, shown

    assert told() == ({str(parent.pk), str(attempt.step_id)}, 2, [True, True])
    RunTemplate.objects.filter(pk=template.pk).update(is_restricted=True)
    User.objects.filter(pk=carol.pk).update(is_superuser=False)
    carol.user_permissions.set(Permission.objects.filter(codename="view_pipelinerun"))
    carol.refresh_from_db()
    assert told() == ({None}, 0, [False, False])


def test_it_is_worth_nothing_when_its_attempt_has_ended(attempt: StepAttempt) -> None:
    step = step_of(attempt)
    assert recording.record_end(attempt, StepOutcome(was_stopped=True))
    assert f"step trainer of run {attempt.step.run.name}, which has ended" in refusal(step)


def test_it_is_worth_nothing_when_others_have_the_step(attempt: StepAttempt, w1: Worker) -> None:
    step = step_of(attempt)
    recording.give_back(attempt, "worker w1 stood still", None)
    assert "which has ended" in refusal(step)
    again = recording.claim_ready_step(w1, "default")
    assert again is not None
    assert ask(step_of(again), "GET", "/runs").status_code == 200
    StepAttempt.objects.filter(pk=attempt.pk).update(status="running")  # as before somebody closes it
    assert "was given to another attempt since" in refusal(step)


def test_it_is_worth_nothing_when_its_worker_counts_as_dead(attempt: StepAttempt) -> None:
    Worker.objects.update(is_alive=False)
    assert "whose worker counts as dead" in refusal(step_of(attempt))


def test_it_is_worth_nothing_when_the_starters_account_is_switched_off(
    attempt: StepAttempt, bob: User
) -> None:
    bob.is_active = False
    bob.save()
    assert "account that started the run is switched off" in refusal(step_of(attempt))


def test_a_forged_one_is_worth_nothing(
    attempt: StepAttempt, w1: Worker, other: RunTemplate, bob: User
) -> None:
    token = server_access(attempt).token
    another = server_access(begun(other, bob, w1)).token
    body, _, signature = token.rpartition(":")
    for forged in (
        "ZENSTEP_",
        f"{body}:{another.rpartition(':')[2]}",
        f"{body[:-1]}2:{signature}",
        f"{token}x",
    ):
        assert "no token that a worker of this server has given" in refusal(bearer(forged)), forged


def test_it_runs_what_the_starter_and_the_owner_may_both_run(
    template: RunTemplate, other: RunTemplate, bob: User, w1: Worker
) -> None:
    """Bob has Alice run his code: what only she may run, it may not, and neither what only he may."""
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RunTemplate.objects.filter(pk=template.pk).update(user=carol)
    RunTemplate.objects.filter(pk=other.pk).update(is_restricted=True)
    template.refresh_from_db()
    step = step_of(begun(template, bob, w1))
    give(carol, other, Role.RUNNER)
    assert ask(step, "POST", "/run_templates/other/runs").status_code == 404  # Bob may not see it
    give(bob, other, Role.RUNNER)
    assert ask(step, "POST", "/run_templates/other/runs").status_code == 200
    give(carol, other, Role.VIEWER)
    answer = ask(step, "POST", "/run_templates/other/runs")
    assert answer.status_code == 403
    assert 'carol owns that, and may not run "other"' in answer.json()["detail"][1]
    carol.delete()
    assert "switched off or gone" in ask(step, "POST", "/run_templates/other/runs").json()["detail"][1]


def test_bounds_for_a_role_are_those_of_the_lesser_of_both(
    template: RunTemplate, other: RunTemplate, alice: User, bob: User, w1: Worker
) -> None:
    """Alice may do all with what Bob's step runs; its template is Carol's, and she may only run it."""
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RunTemplate.objects.filter(pk=other.pk).update(user=carol)
    other.refresh_from_db()
    document = {"version": 1, "parameters": {"trainer.learning_rate": {"locked": 0.3, "unless": "editor"}}}
    curate_run_template(actor=alice, template=template, curation=document)
    step = step_of(begun(other, alice, w1))
    body = {"steps": {"trainer": {"parameters": {"learning_rate": 0.5}}}}
    assert ask(step, "POST", "/run_templates/daily-retraining/runs", body).status_code == 422
    give(carol, template, Role.EDITOR)
    assert ask(step, "POST", "/run_templates/daily-retraining/runs", body).status_code == 200


def test_who_deletes_the_template_meanwhile_does_not_free_its_steps(
    attempt: StepAttempt, template: RunTemplate, other: RunTemplate, alice: User
) -> None:
    step = step_of(attempt)
    template.delete()
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert ask(step, "POST", "/run_templates/other/runs").status_code == 403


def test_it_changes_nothing_however_much_its_starter_may(
    template: RunTemplate, alice: User, alices_key: str, w1: Worker
) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    step, run = step_of(begun(template, alice, w1)), launch(template, alice)
    create_preset(actor=alice, template=template, name="mine")
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    refused = {
        str(route)
        for route in routes()
        if route.method != "GET" and str(route) not in WITHOUT_KEYS and not is_let_in(step, route, run)
    }
    changing = {str(route) for route in routes() if route.method != "GET"}
    assert changing - refused == OPEN | CHANGES_NOTHING | WITHOUT_KEYS


def is_let_in(step: Client, route: Route, run: PipelineRun) -> bool:
    path, body = filled(route, run)
    with suppress(Undone), transaction.atomic():
        status = ask(step, route.method, f"/{path}", body).status_code
        raise Undone
    return status not in {401, 403, 404}


def test_a_key_that_sees_less_lends_no_more_to_the_steps_of_its_runs(
    template: RunTemplate, other: RunTemplate, bob: User, w1: Worker
) -> None:
    key, text = create_api_key(user=bob, name="ci", templates=[template])
    started = ask(bearer(text), "POST", f"/run_templates/{template.name}/runs")
    step = step_of(claimed_of(PipelineRun.objects.get(pk=started.json()["id"]), w1))
    assert ask(step, "GET", f"/run_templates/{template.name}").status_code == 200
    assert ask(step, "GET", f"/run_templates/{other.name}").status_code == 404
    assert ask(step, "POST", f"/run_templates/{other.name}/runs").status_code == 404
    child = ask(step, "POST", f"/run_templates/{template.name}/runs").json()["id"]
    assert PipelineRun.objects.get(pk=child).bound_key == key
    key.delete()
    assert "was revoked or deleted" in refusal(step)


def test_it_gets_no_other_token(attempt: StepAttempt) -> None:
    token = server_access(attempt).token
    assert ask(bearer(token), "GET", "/api_token").status_code == 403
    assert ask(Client(), "POST", "/login", {"password": token}).status_code == 401


def test_it_stops_and_annotates_its_own_tree_and_else_what_the_owner_may_too(
    attempt: StepAttempt, template: RunTemplate, other: RunTemplate, bob: User
) -> None:
    carol = User.objects.create_user(username="carol", password="carol has a long password")
    RunTemplate.objects.filter(pk=template.pk).update(user=carol)
    step = step_of(attempt)
    child = ask(step, "POST", "/run_templates/other/runs").json()["id"]
    assert ask(step, "POST", f"/runs/{child}/stop").status_code == 200
    stranger = launch(other, bob)  # Bob's as well, but of no business of Carol's
    answer = ask(step, "POST", f"/runs/{stranger.pk}/stop")
    assert (answer.status_code, "is none of these" in answer.text) == (403, True)
    note = {"values": {"a": 1}, "resources": [{"id": str(stranger.pk), "type": "pipeline_run"}]}
    assert ask(step, "POST", "/run-metadata", note).status_code == 403
    give(carol, other, Role.EDITOR)
    assert ask(step, "POST", "/run-metadata", note).status_code == 200


def test_it_annotates_files_that_its_run_made_and_else_what_the_owner_may_too(
    attempt: StepAttempt, other: RunTemplate, bob: User, alice: User
) -> None:
    """Its run was started by Bob, of Alice's template."""

    def note(version: ArtifactVersion) -> int:
        resources = [{"id": str(version.pk), "type": "artifact_version"}]
        body = {"values": {"a": 1}, "resources": resources}
        answer = ask(step_of(attempt), "POST", "/run-metadata", body)
        assert answer.status_code == 200 or "A step may" in answer.text
        return answer.status_code

    bobs, given = (upload(bob, name) for name in ("bobs.csv", "given.csv"))
    stranger = launch(other, bob).steps.get(index=0)  # of no business of Alice's
    made, handed, cached = (give_out(stranger, name) for name in ("made", "handed", "cached"))
    own = give_out(attempt.step, "own")
    RunTemplate.objects.filter(pk=other.pk).update(user=bob)
    RoleGrant.objects.filter(user=alice).delete()
    StepOutput.objects.create(step=attempt.step, name="cached", artifact_version=cached)
    named = {"files": [{"artifact_version": str(given.pk)}], "id": str(handed.pk)}
    StepRun.objects.filter(pk=attempt.step_id).update(parameters=named)
    assert note(own) == 200
    others = (bobs, given, made, handed, cached)
    assert [note(version) for version in others] == [403] * 5
    RoleGrant.objects.create(project=other.project, user=alice, role=Role.OWNER)
    assert [note(version) for version in others] == [200] * 5


def upload(owner: User, name: str) -> ArtifactVersion:
    return store_upload(actor=owner, project=default_project(), name=name, content=[name.encode()])


def give_out(step: StepRun, name: str) -> ArtifactVersion:
    """As if a step had given that out."""
    about = {"type": "DataArtifact", "materializer": "m", "data_type": "builtins.int", "uri": name}
    artifact = Artifact.objects.create(project=step.run.project, user=step.run.user, name=name)
    version = ArtifactVersion.objects.create(
        project=step.run.project,
        user=step.run.user,
        artifact=artifact,
        version=1,
        producer_step=step,
        **about,
    )
    StepOutput.objects.create(step=step, name=name, artifact_version=version)
    return version


def test_runs_start_one_another_only_so_deep(
    template: RunTemplate, bob: User, w1: Worker, settings: Any
) -> None:
    settings.MOST_RUN_DEPTH = 2
    run = launch(template, bob)
    for _ in range(2):
        step = step_of(claimed_of(run, w1))
        run = PipelineRun.objects.get(
            pk=ask(step, "POST", "/run_templates/daily-retraining/runs").json()["id"]
        )
    answer = ask(step_of(claimed_of(run, w1)), "POST", "/run_templates/daily-retraining/runs")
    assert answer.status_code == 422
    assert "2 stand above it already" in answer.json()["detail"][1]
    assert "ZENWEB_RUN_DEPTH" in answer.json()["detail"][1]


@pytest.mark.parametrize("name", ["MOST_CHILD_RUNS", "MOST_RUNS_IN_TREE"])
def test_a_run_starts_only_so_many(attempt: StepAttempt, settings: Any, name: str) -> None:
    setattr(settings, name, 1)
    step = step_of(attempt)
    key = {"HTTP_IDEMPOTENCY_KEY": "one"}
    path = "/api/v1/run_templates/daily-retraining/runs"
    assert step.post(path, "{}", content_type="application/json", **key).status_code == 200
    answer = ask(step, "POST", "/run_templates/daily-retraining/runs")
    assert (answer.status_code, name.replace("MOST_", "ZENWEB_") in answer.text) == (422, True)
    assert step.post(path, "{}", content_type="application/json", **key).status_code == 200  # the same run


@pytest.mark.django_db(transaction=True)
def test_of_two_that_ask_at_once_for_the_last_place_one_gets_it(attempt: StepAttempt, settings: Any) -> None:
    settings.MOST_CHILD_RUNS = 1
    step = step_of(attempt)

    def start(_: int) -> int:
        try:
            return int(ask(step, "POST", "/run_templates/daily-retraining/runs").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(start, range(4))) == [200, 422, 422, 422]


def claimed_of(run: PipelineRun, worker: Worker) -> StepAttempt:
    claimed = recording.claim_ready_step(worker, "default")
    assert claimed is not None
    assert claimed.step.run_id == run.pk
    return claimed
