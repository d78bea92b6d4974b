"""Keys that may not do everything: read, run, and certain templates only. Every route is tried with them."""

from typing import Any

import pytest
from django.test import Client

from runs_app.models import Artifact, ArtifactVersion, PipelineRun, Schedule, StepOutput, StepRun
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from runs_app.uploads import store_upload
from templates_app.models import PipelineDeployment, Preset, RunTemplate, Stack
from tests.accounts.conftest import API, ask, bearer, rest_of
from tests.factories import freeze, launch, make_template
from tests.routes import Route, filled, routes
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import create_api_key, default_project
from zenweb.enums import ExecutionStatus, KeyAccess

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
# These sign in and change nothing.
WITHOUT_KEYS = {"login", "device_authorization"}
ONLY_READING = {"runs/{}/refresh"}  # though clients send POST there
WRITING = [
    route for route in routes() if route.method in UNSAFE and route.pattern not in WITHOUT_KEYS | ONLY_READING
]


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    create_preset(actor=alice, template=template, name="mine")
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    return launch(template, alice)


@pytest.fixture
def other(stacks: dict[str, Stack], alice: User) -> PipelineRun:
    """Of another template, with all that a template may have."""
    template = make_template(freeze("cached.diamond", alice, stacks["celery"]), alice, "other")
    create_preset(actor=alice, template=template, name="others")
    create_schedule(actor=alice, template=template, name="others", cron="0 0 * * *")
    return launch(template, alice)


def key_of(user: User, *templates: RunTemplate, access: KeyAccess | None = None) -> Client:
    return bearer(create_api_key(user=user, name="scoped", templates=templates or None, access=access)[1])


def rows() -> dict[str, int]:
    models = (ApiKey, ArtifactVersion, PipelineDeployment, PipelineRun, Preset, RunTemplate, Schedule, User)
    return {model.__name__: model.objects.count() for model in models}


@pytest.mark.parametrize("route", WRITING, ids=str)
def test_a_key_that_may_only_read_writes_nowhere(run: PipelineRun, alice: User, route: Route) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    key, before = key_of(alice, access=KeyAccess.READ), rows()
    path, body = filled(route, run)
    answer = ask(key, route.method, f"/{path}", body)
    assert answer.status_code != 200
    assert rows() == before


@pytest.mark.parametrize(
    "route",
    [
        "POST run_templates/{}/runs",
        "POST run_templates/{}/validate",
        "POST run_templates/{}/choices",
        "POST run_templates/{}/presets",
        "PUT run_templates/{}/presets/{}",
        "DELETE run_templates/{}/presets/{}",
        "POST pipeline_deployments/{}/runs",
        "POST pipelines",
        "POST run_templates",
        "PUT run_templates/{}",
        "PUT run_templates/{}/curation",
        "DELETE run_templates/{}",
        "POST schedules",
        "PUT schedules/{}",
        "DELETE schedules/{}",
        "POST runs/{}/stop",
        "POST run-metadata",
        "PUT code_archives/{}",
        "POST service_accounts",
        "POST current-user/api_keys",
        "DELETE current-user/api_keys/{}",
        "PUT current-user/api_keys/{}/rotate",
    ],
)
def test_it_is_told_why(run: PipelineRun, alice: User, alices_key: str, route: str) -> None:
    path, body = filled(next(each for each in WRITING if str(each) == route), run)
    answer = ask(key_of(alice, access=KeyAccess.READ), route.split()[0], f"/{path}", body)
    assert answer.status_code == 403, answer.json()
    assert "may only read" in answer.json()["detail"][1]


def test_of_many_runs_at_once_it_starts_none(run: PipelineRun, alice: User) -> None:
    body, path = {"runs": [{}, {}]}, "/run_templates/daily-retraining/runs/bulk"
    assert ask(key_of(alice, access=KeyAccess.READ), "POST", path, body).status_code == 403
    assert PipelineRun.objects.count() == 1


@pytest.mark.parametrize("path", ["runs", "run_templates", "pipelines", "schedules", "artifact_versions"])
def test_a_key_that_may_only_read_sees_what_its_account_sees(
    run: PipelineRun, alice: User, path: str
) -> None:
    everything = ask(bearer(create_api_key(user=alice, name="full")[1]), "GET", f"/{path}").json()
    assert ask(key_of(alice, access=KeyAccess.READ), "GET", f"/{path}").json() == everything


def test_a_key_that_may_run_runs_templates_and_changes_nothing(run: PipelineRun, alice: User) -> None:
    key = key_of(alice, access=KeyAccess.RUN)
    made = ask(key, "POST", "/run_templates/daily-retraining/runs")
    assert made.status_code == 200
    assert ask(key, "POST", f"/runs/{made.json()['id']}/stop").status_code == 200
    for method, path, body in (
        ("PUT", "/run_templates/daily-retraining", {"description": "mine"}),
        ("DELETE", "/run_templates/daily-retraining", None),
        ("POST", f"/pipeline_deployments/{run.deployment_id}/runs", None),
        ("POST", "/current-user/api_keys", {"name": "more"}),
    ):
        answer = ask(key, method, path, body)
        assert (answer.status_code, "change nothing" in answer.text) == (403, True)


def test_a_bound_key_runs_its_templates_and_no_others(
    run: PipelineRun, other: PipelineRun, template: RunTemplate, alice: User
) -> None:
    key = key_of(alice, template)
    assert ask(key, "POST", "/run_templates/daily-retraining/runs").status_code == 200
    for name in ("other", str(other.template_id), str(other.template_id)[:8]):
        answer = ask(key, "POST", f"/run_templates/{name}/runs")
        assert answer.status_code == 404
        assert "Did you mean 'other'" not in answer.text


@pytest.mark.parametrize(
    "path", ["runs", "steps", "run_templates", "pipelines", "pipeline_deployments", "schedules"]
)
def test_a_bound_key_lists_what_belongs_to_its_templates(
    run: PipelineRun, other: PipelineRun, template: RunTemplate, alice: User, path: str
) -> None:
    everything = {item["id"] for item in ask(key_of(alice), "GET", f"/{path}?size=100").json()["items"]}
    ApiKey.objects.all().delete()
    seen = ask(key_of(alice, template), "GET", f"/{path}?size=100").json()
    assert {item["id"] for item in seen["items"]} < everything
    assert 0 < seen["total"] < len(everything)


def test_a_bound_key_reaches_nothing_of_other_templates(
    run: PipelineRun, other: PipelineRun, template: RunTemplate, alice: User
) -> None:
    """Every route that names something of theirs."""
    key, step = key_of(alice, template), other.steps.first()
    assert step is not None
    addresses = [
        f"/runs/{other.pk}",
        f"/runs/{other.pk}/logs",
        f"/runs/{other.pk}/events",
        f"/runs/{other.pk}/steps",
        f"/runs/{other.pk}/status",
        f"/steps/{step.pk}",
        f"/steps/{step.pk}/logs",
        f"/run_templates/{other.template_id}",
        f"/run_templates/{other.template_id}/presets",
        f"/run_templates/{other.template_id}/curation",
        f"/run_templates/{other.template_id}/versions",
        f"/run_templates/{other.template_id}/versions/1",
        f"/pipelines/{other.pipeline_id}",
        f"/pipeline_deployments/{other.deployment_id}",
        "/schedules/others",
    ]
    assert [ask(key, "GET", address).status_code for address in addresses] == [404] * len(addresses)
    assert ask(key, "POST", f"/runs/{other.pk}/stop").status_code == 404
    assert ask(key, "POST", f"/runs/{other.pk}/repair").status_code == 404


def test_code_is_read_with_a_bound_key_where_its_templates_run_it(
    run: PipelineRun, template: RunTemplate, alice: User, stacks: dict[str, Stack], tmp_path: Any
) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "from zenweb import pipeline, step\n\n\n@step\ndef one() -> int:\n    return 1\n\n\n"
        "@pipeline\ndef elsewhere_pipeline():\n    one()\n"
    )
    elsewhere = freeze("elsewhere.elsewhere_pipeline", alice, stacks["celery"], tmp_path)
    key = key_of(alice, template)
    own, others = template.deployment.code_archive, elsewhere.code_archive
    assert ask(key, "GET", f"/code_archives/{own.sha256}").status_code == 200
    assert ask(key, "GET", f"/code_archives/{others.sha256}").status_code == 404


def test_a_bound_key_sees_what_its_runs_gave_out_and_its_own_files(
    run: PipelineRun, other: PipelineRun, template: RunTemplate, alice: User, bob: User
) -> None:
    """Also what a run of its own took from the cache of another's."""
    own, cached, others = (
        give_out(each, name) for each, name in ((run, "own"), (other, "cached"), (other, "x"))
    )
    StepOutput.objects.create(step=run.steps.get(index=1), name="cached", artifact_version=cached)
    mine, bobs = (
        store_upload(actor=each, project=default_project(), name="a.csv", content=[b"a"])
        for each in (alice, bob)
    )
    key = key_of(alice, template)
    seen = {item["id"] for item in ask(key, "GET", "/artifact_versions?size=100").json()["items"]}
    assert seen == {str(version.pk) for version in (own, cached, mine)}
    for hidden in (others, bobs):
        assert ask(key, "GET", f"/artifact_versions/{hidden.pk}").status_code == 404


def test_whose_result_one_was_given_from_the_cache_is_told_only_to_who_sees_that_run(
    run: PipelineRun, other: PipelineRun, template: RunTemplate, alice: User
) -> None:
    made = give_out(other, "made")
    cached = run.steps.get(index=1)
    StepOutput.objects.create(step=cached, name="made", artifact_version=made)
    StepRun.objects.filter(pk=cached.pk).update(status=ExecutionStatus.CACHED)

    def told(client: Client) -> list[Any]:
        of_step = ask(client, "GET", f"/steps/{cached.pk}").json()["metadata"]
        of_version = ask(client, "GET", f"/artifact_versions/{made.pk}").json()["resources"]
        found = ask(client, "GET", f"/artifact_versions?pipeline_run={other.pk}").json()["total"]
        return [of_step["original_step_run_id"], of_version["producer_pipeline_run_id"], found]

    assert told(rest_of(alice)) == [str(other.steps.get(index=0).pk), str(other.pk), 1]
    assert told(key_of(alice, template)) == [None, None, 0]


def give_out(run: PipelineRun, name: str) -> ArtifactVersion:
    """As if a step of the run had given that out."""
    step = run.steps.get(index=0)
    about = {"type": "DataArtifact", "materializer": "m", "data_type": "builtins.int"}
    artifact = Artifact.objects.create(project=run.project, user=run.user, name=name)
    version = ArtifactVersion.objects.create(
        project=run.project,
        user=run.user,
        artifact=artifact,
        version=1,
        uri=name,
        producer_step=step,
        **about,
    )
    StepOutput.objects.create(step=step, name=name, artifact_version=version)
    return version


def test_whose_templates_are_deleted_the_key_sees_none(template: RunTemplate, alice: User) -> None:
    other = make_template(template.deployment, alice, "another")
    key = key_of(alice, other)
    other.delete()
    assert ask(key, "GET", "/run_templates").json()["total"] == 0
    assert ask(key, "POST", "/run_templates/daily-retraining/runs").status_code == 404


def test_a_pipelines_latest_run_is_one_that_the_key_may_see(
    run: PipelineRun, template: RunTemplate, alice: User
) -> None:
    launch(make_template(template.deployment, alice, "sibling"), alice)
    seen = ask(key_of(alice, template), "GET", "/pipelines/training_pipeline").json()
    assert str(run.pk) in str(seen)


def test_a_bound_key_may_not_do_everything(rest: Client, template: RunTemplate) -> None:
    body = {"name": "k", "templates": ["daily-retraining"]}
    answer = ask(rest, "POST", "/current-user/api_keys", {**body, "access": "full"})
    assert answer.json()["errors"][0]["pointer"] == "/access"
    made = ask(rest, "POST", "/current-user/api_keys", body).json()
    assert (made["body"]["access"], made["metadata"]["templates"]) == ("run", ["daily-retraining"])


def test_a_token_may_do_what_its_key_may(template: RunTemplate, alice: User) -> None:
    text = create_api_key(user=alice, name="k", access=KeyAccess.READ)[1]
    token = Client().post(f"{API}/login", {"password": text}).json()["access_token"]
    assert ask(bearer(token), "POST", "/run_templates/daily-retraining/runs").status_code == 403
    temporary = ask(bearer(token), "GET", "/api_token").json()
    assert ask(bearer(temporary), "POST", "/run_templates/daily-retraining/runs").status_code == 403


def test_a_bound_key_costs_no_query_more(
    template: RunTemplate, alice: User, django_assert_num_queries: Any
) -> None:
    key = key_of(alice, template)
    ask(key, "GET", "/run_templates")
    with django_assert_num_queries(
        6
    ):  # the key, the project, what she is (two), the keys of the page, the rows
        ask(key, "GET", "/run_templates")
