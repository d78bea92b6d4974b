"""Each noun has the keys and types that ZenML's clients of both lines read."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from tests.factories import launch
from tests.wire.conftest import Get
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.enums import Role

RUN_BODY = {"created", "updated", "user_id", "project_id", "status", "stack", "pipeline", "build", "schedule"}
RUN_BODY |= {
    "code_reference",
    "deployment_id",
    "trigger_execution",
    "model_version_id",
    "in_progress",
    "index",
}
SPEC = {
    "version": "0.4",
    "source": {"module": "training", "attribute": "training_pipeline", "type": "unknown"},
}


def is_time(text: str) -> bool:
    """UTC, naive, with microseconds."""
    return datetime.fromisoformat(text).tzinfo is None and len(text) == len("2026-11-23T06:48:38.931036")


def check_envelope(entity: Any, *, hydrated: bool) -> None:
    assert {"id", "body", "metadata", "resources", "permission_denied"} <= entity.keys()
    assert UUID(entity["id"])
    assert entity["permission_denied"] is False
    assert is_time(entity["body"]["created"])
    assert is_time(entity["body"]["updated"])
    assert (entity["metadata"] is not None) is hydrated


@pytest.mark.parametrize(
    "path", ["pipelines", "stacks", "run_templates", "pipeline_snapshots", "pipeline_deployments"]
)
def test_lists_are_lazy_and_what_is_named_by_its_id_is_whole(
    get: Get, template: RunTemplate, path: str
) -> None:
    page = get(f"/{path}")
    assert list(page) == ["index", "max_size", "total_pages", "total", "items"]
    check_envelope(page["items"][0], hydrated=False)
    check_envelope(get(f"/{path}", hydrate="True")["items"][0], hydrated=True)
    check_envelope(get(f"/{path}/{page['items'][0]['id']}"), hydrated=True)
    check_envelope(get(f"/{path}/{page['items'][0]['id']}", hydrate="False"), hydrated=False)


@pytest.mark.parametrize("path", ["runs", "steps", "artifacts", "artifact_versions"])
def test_what_was_run_is_lazy_too(get: Get, ended: PipelineRun, path: str) -> None:
    entity = get(f"/{path}")["items"][0]
    check_envelope(entity, hydrated=False)
    check_envelope(get(f"/{path}/{entity['id']}"), hydrated=True)
    check_envelope(get(f"/{path}/{entity['id']}", hydrate="False"), hydrated=False)


def test_an_empty_list_has_one_page(get: Get, template: RunTemplate) -> None:
    page = get("/runs")
    assert (page["total"], page["total_pages"], page["items"]) == (0, 1, [])


def test_a_spec_is_in_zenmls_words(get: Get, template: RunTemplate) -> None:
    spec = get(f"/run_templates/{template.id}")["metadata"]["pipeline_spec"]
    assert spec | SPEC == spec
    evaluator = spec["steps"][1]
    assert evaluator["inputs"] == {"score": {"step_name": "trainer", "output_name": "score"}}
    assert evaluator["upstream_steps"] == ["trainer"]
    assert evaluator["pipeline_parameter_name"] == evaluator["invocation_id"] == "evaluator"


def test_a_template_has_its_build_which_names_a_stack(get: Get, template: RunTemplate) -> None:
    build = get(f"/run_templates/{template.id}")["resources"]["build"]
    metadata = get(f"/pipeline_builds/{build['id']}")["metadata"]
    assert (metadata["is_local"], metadata["contains_code"], metadata["images"]) == (False, True, {})
    assert get(f"/stacks/{metadata['stack']['id']}")["metadata"]["components"] == {}


def test_a_run_serves_both_lines_of_clients(get: Get, ended: PipelineRun) -> None:
    run = get(f"/runs/{ended.id}")
    assert run["body"].keys() >= RUN_BODY
    assert (run["body"]["in_progress"], run["body"]["index"]) == (False, 1)
    assert run["metadata"]["config"]["name"] == "training_pipeline"
    assert run["metadata"]["enable_heartbeat"] is False
    for kind in ("stack", "pipeline", "build"):  # in the body for the one, a resource for the other
        assert run["body"][kind] == run["resources"][kind]
    snapshot = run["resources"]["snapshot"]
    assert snapshot["id"] == run["body"]["deployment_id"]
    assert snapshot["body"] | {"runnable": True, "deployable": False, "is_dynamic": False} == snapshot["body"]


def test_a_step_says_where_its_inputs_come_from(get: Get, ended: PipelineRun) -> None:
    trainer, evaluator = get("/steps", pipeline_run_id=ended.id, hydrate=True)["items"]
    given = evaluator["resources"]["inputs"]["score"][0]
    assert given["id"] == trainer["resources"]["outputs"]["score"][0]["id"]
    assert given["input_type"] == "step_output"
    metadata = evaluator["metadata"]
    assert metadata["parent_step_ids"] == [trainer["id"]]
    assert metadata["deployment_id"] == metadata["snapshot_id"] == str(ended.deployment_id)
    assert metadata["spec"]["upstream_steps"] == ["trainer"]
    assert metadata["config"] | {"name": "evaluator", "settings": {}, "extra": {}} == metadata["config"]
    assert get(f"/steps/{trainer['id']}/status") == "completed"


def test_an_artifact_version_leads_to_its_step_and_run(get: Get, ended: PipelineRun) -> None:
    version = get("/artifact_versions", artifact="metrics", hydrate=True)["items"][0]
    assert version["body"]["version"] == "1"
    assert version["body"]["data_type"] == {"module": "builtins", "attribute": "dict", "type": "builtin"}
    assert version["resources"]["producer_pipeline_run_id"] == str(ended.id)
    artifact = get("/artifacts/metrics")
    assert artifact["resources"]["latest_version_id"] == version["id"]
    assert artifact["resources"]["latest_version_name"] == "1"


def test_a_preview_is_a_visualization(get: Get, ended: PipelineRun) -> None:
    version = get("/artifact_versions", artifact="metrics", hydrate=True)["items"][0]
    [listed] = version["metadata"]["visualizations"]
    assert listed["body"]["type"] == "json"
    shown = get(f"/artifact_versions/{version['id']}/visualize")
    assert shown == {"type": "json", "value": '{"accuracy": 0.2}'}
    get(f"/artifact_versions/{version['id']}/visualize", code=404, index=1)


def test_the_graph_leads_from_step_to_artifact_to_step(get: Get, ended: PipelineRun) -> None:
    graph = get(f"/runs/{ended.id}/dag")
    assert [node["node_id"] for node in graph["nodes"]] == [
        "step/trainer",
        "step/evaluator",
        "trainer/outputs/step_output/score",
        "evaluator/outputs/step_output/metrics",
    ]
    assert all(node["id"] for node in graph["nodes"])
    assert [(edge["source"], edge["target"]) for edge in graph["edges"]] == [
        ("step/trainer", "trainer/outputs/step_output/score"),
        ("trainer/outputs/step_output/score", "step/evaluator"),
        ("step/evaluator", "evaluator/outputs/step_output/metrics"),
    ]
    assert graph["edges"][1]["metadata"] == {"input_name": "score", "type": "step_output"}


def test_what_was_not_made_has_no_id_in_the_graph(get: Get, template: RunTemplate, rest: Any) -> None:
    run = rest.post(f"/api/v1/run_templates/{template.id}/runs", content_type="application/json").json()
    graph = get(f"/runs/{run['id']}/dag")
    assert [node["id"] is None for node in graph["nodes"]] == [False, False, True, True]


def test_a_run_is_refreshed_and_tells_its_configuration(get: Get, rest: Any, ended: PipelineRun) -> None:
    refreshed = rest.post(f"/api/v1/runs/{ended.id}/refresh")
    assert (refreshed.status_code, refreshed.json()["body"]["status"]) == (200, "completed")
    assert get(f"/runs/{ended.id}/pipeline-configuration")["name"] == "training_pipeline"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_whether_the_server_lives_is_told_to_anybody(client: Any, db: None, path: str) -> None:
    assert client.get(path).status_code == 200


def test_of_several_projects_a_client_opens_the_default_one(rest: Client, get: Get, alice: User) -> None:
    RoleGrant.objects.create(
        user=alice, project=Project.objects.create(name="another", display_name="Another"), role=Role.EDITOR
    )
    [default] = [item["id"] for item in get("/projects")["items"] if item["name"] == "default"]
    assert get("/current-user")["body"]["default_project_id"] == default


def test_a_pipeline_tells_who_ran_it_last(template: RunTemplate, get: Get, alice: User, bob: User) -> None:
    assert get("/pipelines")["items"][0]["resources"]["latest_run_user"] is None
    for user in (alice, bob):
        launch(template, user)
    for pipeline in (get("/pipelines")["items"][0], get("/pipelines/training_pipeline")):
        assert pipeline["resources"]["latest_run_user"]["name"] == "bob"


def test_a_template_tells_its_source_in_both_words(template: RunTemplate, get: Get) -> None:
    resources = get(f"/run_templates/{template.id}")["resources"]
    assert resources["source_snapshot"]["id"] == resources["source_deployment"]["id"]
    assert resources["source_snapshot"]["body"]["runnable"] is True


def test_a_run_tells_what_stood_for_the_placeholders_of_its_name(
    template: RunTemplate, get: Get, alice: User
) -> None:
    run = launch(template, alice, {"run_name": "of {who} at {date}", "substitutions": {"who": "ada"}})
    told = get(f"/runs/{run.pk}")["metadata"]["config"]["substitutions"]
    assert set(told) == {"date", "time", "who"}
    assert run.name == f"of ada at {told['date']}"
