"""Lists are narrowed and ordered as ZenML's clients ask for it."""

import json
from typing import Any

import pytest
from django.test import Client

from runs_app.models import PipelineRun
from templates_app.models import PipelineDeployment, RunTemplate
from templates_app.services import create_run_template
from tests.wire.conftest import Get, run_to_the_end
from zenweb.accounts.models import Project, User
from zenweb.enums import Role


@pytest.fixture
def three(deployment: PipelineDeployment, alice: User) -> list[RunTemplate]:
    return [
        create_run_template(actor=alice, name=name, deployment=deployment, tags=tags, is_hidden=name == "c b")
        for name, tags in (("a", ["prod"]), ("b", ['say "prod"', "produce"]), ("c b", ["prod", "x"]))
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "equals:a"}, ["a"]),
        ({"name": "notequals:a"}, ["b", "c b"]),
        ({"name": "contains:b"}, ["b", "c b"]),
        ({"name": "startswith:c"}, ["c b"]),
        ({"name": "endswith:b"}, ["b", "c b"]),
        ({"name": 'oneof:["a", "b"]'}, ["a", "b"]),
        ({"name": "in:a,c b"}, ["a", "c b"]),
        ({"hidden": "False"}, ["a", "b"]),
        ({"name": "a", "hidden": "True", "logical_operator": "or"}, ["a", "c b"]),
        ({"name": "a", "hidden": "True"}, []),
        ({"tag": "prod"}, ["a", "c b"]),
        ({"tag": "notequals:prod"}, ["b"]),
        ({"tags": 'oneof:["x", "produce"]'}, ["b", "c b"]),
        ({"user": "alice"}, ["a", "b", "c b"]),
        ({"user": "startswith:bo"}, []),
        ({"pipeline": "training_pipeline"}, ["a", "b", "c b"]),
        ({"pipeline": "contains:ing_pipe"}, ["a", "b", "c b"]),
        ({"stack": "default"}, []),
        ({"stack": "celery", "created": "gt:2026-01-01 00:00:00"}, ["a", "b", "c b"]),
        ({"created": "lt:2020-01-01 00:00:00"}, []),
        ({"no_such_field": "1"}, ["a", "b", "c b"]),
    ],
)
def test_templates_are_filtered(get: Get, three: Any, query: dict[str, str], expected: list[str]) -> None:
    assert [item["name"] for item in get("/run_templates", sort_by="name", **query)["items"]] == expected


def test_a_filter_that_there_is_not_is_ignored_and_told(get: Get, three: Any) -> None:
    told = get(
        "/run_templates", hiden="true", page=1, size=2, sort_by="name", project="default", **{"x" * 999: 1}
    )
    assert told["total"] == 3
    first, second = told["warnings"]
    assert first == "There is no filter 'hiden', so it was ignored. Did you mean 'hidden'?"
    assert len(second) < 300
    for path, query in (("/run_templates", {"hidden": "true"}), ("/artifact_versions", {"suits": "path"})):
        assert "warnings" not in get(path, hydrate="true", logical_operator="or", **query)


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("contains", slice(10, 27)),
        ("startswith", slice(2)),
        ("startswith", slice(12)),
        ("endswith", slice(-14, None)),
    ],
)
def test_ids_are_found_by_a_part_of_them(get: Get, alice: User, operation: str, part: slice) -> None:
    pk = "0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90"
    Project.objects.create(pk=pk, name="a", default_role=Role.RUNNER)
    Project.objects.create(pk="1a2b3c4d-0000-4000-8000-000000000000", name="b", default_role=Role.RUNNER)
    for text in (pk[part], pk[part].replace("-", "").upper()):
        assert "a" in [item["name"] for item in get("/projects", id=f"{operation}:{text}")["items"]]
        assert "b" not in [item["name"] for item in get("/projects", id=f"{operation}:{text}")["items"]]
    assert get("/projects", id=f"{operation}:x")["total"] == 0


def test_what_is_no_id_is_refused_in_words(rest: Client) -> None:
    refused = rest.get("/api/v1/run_templates?id=much")
    assert refused.status_code == 422
    assert "an id is looked for" in refused.json()["detail"][1]


def test_projects_are_filtered_by_when_they_were_made(rest: Client, get: Get, template: RunTemplate) -> None:
    assert get("/projects", created="gte:2020-01-01 00:00:00")["total"] == 1
    assert get("/projects", updated="lt:2020-01-01 00:00:00")["total"] == 0
    assert rest.get("/api/v1/projects?created=gte:2026-13-45").status_code == 422


def test_they_are_ordered_and_paged(get: Get, three: Any) -> None:
    assert [item["name"] for item in get("/run_templates", sort_by="desc:name")["items"]] == ["c b", "b", "a"]
    page = get("/run_templates", sort_by="asc:name", page=2, size=2)
    assert [item["name"] for item in page["items"]] == ["c b"]
    assert (page["index"], page["max_size"], page["total_pages"], page["total"]) == (2, 2, 2, 3)


def test_who_triggers_by_pipeline_gets_the_latest_first(get: Get, three: list[RunTemplate]) -> None:
    """The older clients take the first of a list that they want ordered by `created`."""
    pipeline = three[0].pipeline.id
    listed = get("/run_templates", pipeline_id=pipeline, sort_by="created")["items"]
    assert [item["name"] for item in listed] == ["c b", "b", "a"]
    named = get("/run_templates", pipeline_id=pipeline, sort_by="asc:created")["items"]
    assert [item["name"] for item in named] == ["a", "b", "c b"]


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ({"status": "completed"}, True),
        ({"status": 'oneof:["failed", "stopped"]'}, False),
        ({"in_progress": "True"}, False),
        ({"in_progress": "False"}, True),
        ({"templatable": "True"}, True),
        ({"templatable": "False"}, False),
        ({"tags": "nightly"}, True),
        ({"tags": "night"}, False),
        ({"index": "gte:1"}, True),
        ({"pipeline_name": "training_pipeline"}, True),
        ({"project": "default"}, True),
        ({"user": "notequals:alice"}, False),
    ],
)
def test_runs_are_filtered(
    get: Get, template: RunTemplate, alice: User, query: dict[str, str], is_found: bool
) -> None:
    run_to_the_end(template, alice, {"tags": ["nightly"]})
    assert bool(get("/runs", **query)["total"]) is is_found


def test_each_id_that_a_run_is_listed_by(get: Get, ended: PipelineRun) -> None:
    for name in ("deployment_id", "snapshot_id", "build_id"):
        assert get("/runs", **{name: ended.deployment_id})["total"] == 1
    assert get("/runs", source_snapshot_id=ended.template_id)["total"] == 1
    assert get("/artifact_versions", pipeline_run=ended.name)["total"] == 2
    assert get("/artifact_versions", pipeline_run=ended.id, artifact="score")["total"] == 1
    assert get("/pipelines", latest_run_status="completed")["total"] == 1
    assert get("/pipelines", latest_run_status="failed")["total"] == 0
    assert get("/pipelines", tag="prod")["total"] == 0  # no pipeline has one


@pytest.mark.parametrize(
    "query",
    [
        {"sort_by": "colour"},
        {"sort_by": "up:created"},
        {"page": "0"},
        {"size": "10001"},
        {"id": "gte:x"},
        {"created": "yesterday"},
        {"in_progress": "perhaps"},
        {"in_progress": "contains:T"},
        {"tags": "contains:x"},
        {"index": "one"},
        {"hydrate": "perhaps"},
    ],
)
def test_what_cannot_be_asked_is_refused_and_named(
    get: Get, template: RunTemplate, query: dict[str, str]
) -> None:
    answer = get("/runs", code=422, **query)
    assert answer["detail"][0] == "ValueError"
    assert next(iter(query)) in answer["detail"][1]


def values(number: int, *more: str) -> str:
    return f"oneof:{json.dumps([*(str(place) for place in range(number)), *more])}"


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("name", "a", ["a"]),
        ("tag", "prod", ["a", "c b"]),
        ("user", "alice", ["a", "b", "c b"]),
        ("pipeline", "training_pipeline", ["a", "b", "c b"]),
    ],
)
def test_as_many_values_may_be_named_as_is_said(
    get: Get, three: Any, name: str, known: str, found: list[str]
) -> None:
    page = get("/run_templates", **{name: values(499, known)}, sort_by="asc:name")
    assert [item["name"] for item in page["items"]] == found


def test_one_of_several_is_named_by_its_id_or_its_name(get: Get, three: list[RunTemplate]) -> None:
    assert get("/run_templates", id=f"in:{three[0].pk},{three[1].pk}")["total"] == 2
    assert get("/run_templates", pipeline=f"in:{three[0].pipeline.pk},nothing")["total"] == 3
    assert get("/run_templates", id="in:x", code=422)["detail"][1].startswith("/id: 'x' cannot")


@pytest.mark.parametrize("word", ["and", "or"])
def test_of_all_conditions_together_so_many_values_and_no_more(get: Get, three: Any, word: str) -> None:
    query = dict.fromkeys(("name", "tag", "pipeline", "stack"), values(490))
    refused = get("/run_templates", code=422, **query, logical_operator=word)
    assert refused["detail"] == ["ValueError", "A list is filtered by 500 values at most, of all conditions."]


def test_a_project_that_is_not_there_is_not_found(get: Get, template: RunTemplate) -> None:
    for noun in ("runs", "steps", "run_templates", "pipeline_snapshots", "artifacts"):
        assert get(f"/{noun}", code=404, project="nowhere")["detail"][0] == "KeyError"


@pytest.mark.parametrize("path", ["runs", "steps", "artifact_versions", "artifacts", "pipelines"])
@pytest.mark.parametrize("hydrate", [False, True])
def test_a_list_costs_the_same_however_long_it_is(
    get: Get, ended: PipelineRun, alice: User, path: str, hydrate: bool, django_assert_max_num_queries: Any
) -> None:
    get(f"/{path}", hydrate=hydrate)  # what is kept in memory is there
    with django_assert_max_num_queries(20) as one:
        get(f"/{path}", hydrate=hydrate)
    template = ended.template
    assert template is not None
    for rate in (0.3, 0.4):
        run_to_the_end(template, alice, {"steps": {"trainer": {"parameters": {"learning_rate": rate}}}})
    with django_assert_max_num_queries(len(one)):
        get(f"/{path}", hydrate=hydrate)


def test_a_name_in_several_projects_means_the_default_one_or_has_to_be_an_id(
    rest: Client, template: RunTemplate, alice: User
) -> None:
    others = [Project.objects.create(name=name, default_role=Role.RUNNER) for name in ("one", "two")]
    copies = [
        RunTemplate.objects.create(
            project=other, user=alice, name=template.name, latest_version=template.version
        )
        for other in others
    ]
    address = f"/api/v1/run_templates/{template.name}"
    assert rest.get(address).json()["id"] == str(template.pk)
    template.name = "moved"
    template.save()
    refused = rest.get(address)
    assert refused.status_code == 422
    assert "in several projects: name it by its id" in refused.text
    assert rest.get(f"/api/v1/run_templates/{copies[0].pk}").status_code == 200
    for name, copy in zip(("one", "two"), copies, strict=True):
        assert rest.get(f"{address}?project={name}").json()["id"] == str(copy.pk)
        ran = rest.post(f"{address}/runs?project={name}", "{}", "application/json").json()
        assert ran["metadata"]["template_id"] == str(copy.pk)
