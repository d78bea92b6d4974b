"""Whatever is sent, the answer is the documented error, at bounded cost, and nothing has changed."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import jwt
import pytest
from django.conf import settings as configured
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.utils import timezone

from runs_app.models import ArtifactVersion, PipelineRun, Schedule
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import PipelineDeployment, Preset, RunTemplate, Stack
from tests.accounts.conftest import API, ask, bearer
from tests.accounts.test_key_scopes import Route, filled, routes
from tests.factories import freeze, launch, make_editor, make_template
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import create_api_key

RUNS = f"{API}/run_templates/daily-retraining/runs"
MARKUP = "<script>alert(1)</script>"
SQL = "'; DROP TABLE runs_app_pipelinerun; --"


def rows() -> dict[str, Any]:
    """What there is; keys without the time of their last use."""
    models = (ApiKey, ArtifactVersion, PipelineDeployment, PipelineRun, Preset, RunTemplate, Schedule, User)
    return {model.__name__: list(model.objects.order_by("pk").values_list("pk")) for model in models}


def deep(levels: int, within: str = "") -> str:
    return within + "[" * levels + "]" * levels + "}" * within.count("{")


STEP = '{"steps": {"trainer": {"parameters": {"learning_rate": '
BROKEN = {
    "cut off": b'{"steps": {',
    "no JSON": b"steps: {}",
    "more behind it": b"{} {}",
    "a comma too many": b'{"steps": {},}',
    "deep": deep(10_000).encode(),
    "deep in an object": (b'{"a":' * 10_000) + b"1" + b"}" * 10_000,
    "not quite as deep": deep(500, STEP).encode(),
    "NaN": (STEP + "NaN}}}}").encode(),
    "Infinity": (STEP + "-Infinity}}}}").encode(),
    "a number without end": (STEP + "1e999}}}}").encode(),
    "a huge number": (STEP + "9" * 5_000 + "}}}}").encode(),
    "no UTF-8": b'{"run_name": "\xff\xfe"}',
    "a key twice": b'{"steps": {}, "steps": {}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/html"])
def test_a_body_that_cannot_be_read(rest: Client, template: RunTemplate, body: bytes, kind: str) -> None:
    answer = rest.generic("POST", RUNS, body, content_type=kind)
    assert (answer.status_code, answer.json()["detail"][0]) == (400, "ValueError")
    assert not PipelineRun.objects.exists()


REFUSED = {
    "a text with NUL": '{"run_name": "a\\u0000b"}',
    "a long whole number": STEP + "9" * 4_000 + "}}}}",
    "no object": "[]",
    "a text": '"steps"',
    "steps that are none": '{"steps": []}',
    "a parameter of another kind": STEP + '"' + MARKUP + '"}}}}',
    "half a character": '{"run_name": "\\ud800"}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_a_body_that_is_read_and_refused(rest: Client, template: RunTemplate, body: str) -> None:
    answer = rest.generic("POST", RUNS, body, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"][0]) == (422, "ValueError")
    assert answer.json()["errors"]
    assert not PipelineRun.objects.exists()


class Endless(BytesIO):
    """A body of 100 MB, and how much of it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read = 0

    def read(self, size: int | None = -1) -> bytes:
        asked = 100_000_000 if size is None or size < 0 else size
        piece = min(asked, 100_000_000 - self.was_read)
        self.was_read += piece
        return b" " * piece

    def readline(self, size: int | None = -1) -> bytes:
        return self.read(size)


FORM = "application/x-www-form-urlencoded"
LARGE = [
    ("POST", "/run_templates/daily-retraining/runs", "application/json"),
    ("POST", "/run_templates/daily-retraining/runs/bulk", "application/json"),
    ("POST", "/run_templates/daily-retraining/validate", "application/yaml"),
    ("POST", "/pipeline_snapshots/daily-retraining/runs", "application/json"),
    ("POST", "/pipeline_deployments", "application/json"),
    ("PUT", f"/code_archives/{'0' * 64}", "application/gzip"),
    ("POST", "/login", "application/json"),
    ("POST", "/login", FORM),
    ("POST", "/device_authorization", FORM),
]


@pytest.mark.usefixtures("connection_stays_open")
@pytest.mark.parametrize(("method", "path", "kind"), LARGE)
def test_a_body_of_100_mb_is_refused_without_being_read(
    alices_key: str, template: RunTemplate, method: str, path: str, kind: str
) -> None:
    body, before, told = Endless(), rows(), []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": f"{API}{path}",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": "100000000",
        "wsgi.input": body,
        "HTTP_AUTHORIZATION": f"Bearer {alices_key}",
        "wsgi.url_scheme": "http",
        "QUERY_STRING": "",
    }
    answer = get_wsgi_application()(environ, lambda status, headers: told.append(status))
    assert json.loads(b"".join(answer))["detail"][0] == "ValueError"
    assert told == ["413 Request Entity Too Large"]
    assert body.was_read <= configured.DEPLOYMENT_LIMIT + 1
    assert rows() == before


@pytest.mark.parametrize(
    "query",
    [
        *(
            "page=0",
            "page=-1",
            "page=1.5",
            "page=a",
            "page=9999999999999",
            "page=%C2%B2",
            "size=0",
            "size=1000000000",
        ),
        *("sort_by=nothing", "sort_by=up:name", "hydrate=perhaps", "logical_operator=xor"),
        *("created=gte:2026-02-30", "created=soon", "created=contains:2026", "created=in:2026-01-01,x"),
        *("created=gte:9999-12-31T23:59:59-23:59", "created=lte:0001-01-01T00:00:00%2B23:59"),
        *(
            "id=gte:x",
            "id=%00",
            "index=gt:x",
            "in_progress=maybe",
            f"id=in:{'a,' * 1000}",
            "name=x&" * 101,
            "a=b&" * 10_001,
            "name=%00",
            "name=contains:%00",
            "name=oneof:[",
            "name=oneof:[" + "[" * 1000,
        ),
    ],
)
def test_a_question_that_cannot_be_answered(rest: Client, template: RunTemplate, query: str) -> None:
    answer = rest.get(f"{API}/runs?{query}")
    assert (answer.status_code, answer.json()["detail"][0]) == (422, "ValueError"), answer.content


@pytest.mark.parametrize(
    "query",
    [
        *(f"name={quote(SQL)}", "name=%ff", "name=contains:%25", "tag=%22"),
        *(
            f"index={'9' * 30}",
            f"index=gt:{'9' * 4000}",
            "pipeline=%F0%9F%98%80",
            f"name=like:{quote(MARKUP)}",
        ),
        *("nothing=1", f"name={'x' * 5000}", "name=oneof:[]"),
    ],
)
def test_a_question_that_nothing_is_the_answer_to(rest: Client, run: PipelineRun, query: str) -> None:
    answer = rest.get(f"{API}/runs?{query}")
    assert answer.status_code in {200, 422}, answer.content
    assert answer.status_code == 422 or query == "nothing=1" or answer.json()["items"] == []


UNSEEN = [" a", "a\u00a0", "a\u202eb", "a\u2066", "a\u200b"]
NAMES = ["a/b", "", " ", "a\nb", "a\0b", "x" * 300, "0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90"]
MAKING = {
    "pipelines": {},
    "run_templates": {"source_deployment_id": "DEPLOYMENT"},
    "run_templates/daily-retraining/presets": {},
    "schedules": {"template": "daily-retraining", "cron_expression": "0 0 * * *"},
    "current-user/api_keys": {},
    "service_accounts": {},
}


@pytest.mark.parametrize("path", MAKING)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_nothing_can_have(
    rest: Client, alice: User, template: RunTemplate, path: str, name: str
) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    before = rows()
    body = json.dumps({"name": name, **MAKING[path]}).replace("DEPLOYMENT", str(template.deployment.pk))
    answer = rest.generic("POST", f"{API}/{path}", body, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"][0]) == (422, "ValueError"), answer.content
    assert rows() == before


@pytest.mark.parametrize("name", UNSEEN)
def test_a_name_that_one_cannot_see_all_of(rest: Client, deployment: PipelineDeployment, name: str) -> None:
    body = {"name": name, "source_deployment_id": str(deployment.pk)}
    refused = ask(rest, "POST", "/run_templates", body)
    assert (refused.status_code, "one has to see what it is" in refused.text) == (422, True)


@pytest.mark.parametrize("name", ["😀 nightly", MARKUP.replace("/", "|"), SQL, "%2e%2e", "ﷺ", "İ"])
def test_a_name_that_is_only_unusual(rest: Client, deployment: PipelineDeployment, name: str) -> None:
    made = ask(rest, "POST", "/run_templates", {"name": name, "source_deployment_id": str(deployment.pk)})
    assert (made.status_code, made.json()["name"]) == (200, name)
    found = rest.get(f"{API}/run_templates/{quote(name, safe='')}").json()
    assert found["id"] == made.json()["id"]
    assert made["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "name", ["%00", "%ff", "..", "..%2f..%2fetc%2fpasswd", "%0a", "😀", "x" * 5000, quote(SQL)]
)
def test_a_thing_that_is_not_there(rest: Client, template: RunTemplate, name: str) -> None:
    for noun in ("run_templates", "runs", "steps", "artifact_versions", "code_archives", "schedules"):
        assert rest.get(f"{API}/{noun}/{name}").status_code == 404, noun
    started = rest.post(f"{API}/run_templates/{name}/runs", content_type="application/json")
    assert started.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "max_concurrent_runs": 10**30},
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "max_concurrent_runs": -1},
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "max_concurrent_runs": True},
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "tags": ["x" * 100_000]},
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "tags": ["\0"]},
        {"name": "n", "source_deployment_id": "DEPLOYMENT", "description": "\0"},
        {"name": ["n"], "source_deployment_id": "DEPLOYMENT"},
        {"name": "n", "source_deployment_id": {"$ne": None}},
    ],
)
def test_a_template_that_cannot_be_made(rest: Client, deployment: PipelineDeployment, body: Any) -> None:
    text = json.dumps(body).replace("DEPLOYMENT", str(deployment.pk))
    answer = rest.generic("POST", f"{API}/run_templates", text, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"][0]) == (422, "ValueError"), answer.content
    assert not RunTemplate.objects.exists()


def test_numbers_that_no_database_has(rest: Client, template: RunTemplate, alice: User) -> None:
    run = launch(template, alice)
    path = f"{API}/runs/{run.pk}/steps/trainer/end"
    for number in (10**30, -(10**30), 10**4000):
        body = f'{{"attempt": {number}, "status": "completed"}}'
        answer = rest.generic("POST", path, body, content_type="application/json")
        assert answer.status_code == 422, answer.content


def tokens(alice: User, bob: User) -> Iterator[tuple[str, str]]:
    key, text = create_api_key(user=alice, name="revoked")
    key.revoked_at = timezone.now()
    key.save()
    yield "revoked", text
    key, text = create_api_key(user=alice, name="expired")
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    yield "expired", text
    key, text = create_api_key(user=alice, name="deleted")
    key.delete()
    yield "deleted", text
    claims = {"sub": str(alice.pk), "exp": timezone.now() + timedelta(hours=1), "of": "0" * 16, "key": None}
    yield "foreign", jwt.encode(claims, "the secret of another server, as long", algorithm="HS256")
    yield "unsigned", jwt.encode(claims, None, algorithm="none")
    yield "of another password", jwt.encode(claims, configured.SECRET_KEY, algorithm="HS256")
    yield "late", jwt.encode(claims | {"exp": 1}, configured.SECRET_KEY, algorithm="HS256")
    yield "of nobody", jwt.encode(claims | {"sub": str(uuid4())}, configured.SECRET_KEY, algorithm="HS256")
    yield from (
        ("malformed", text)
        for text in ("x", "ZENKEY_", "ZENKEY_e30=", "ZENKEY_W10=", "a.b.c", "ü", "x" * 8000)
    )


def test_tokens_that_stand_for_nobody(client: Client, template: RunTemplate, alice: User, bob: User) -> None:
    for kind, text in tokens(alice, bob):
        answer = bearer(text).post(RUNS, content_type="application/json")
        assert (answer.status_code, answer.json()["detail"][0]) == (401, "CredentialsNotValid"), kind
        assert answer["WWW-Authenticate"] == "Bearer"
    for header in ("Bearer", "Bearer ", "Basic YTpi", "bearer\tx", "Token x"):
        answer = Client(headers={"Authorization": header}).post(RUNS, content_type="application/json")
        assert answer.status_code == 401, header
    assert not PipelineRun.objects.exists()


def test_a_session_needs_its_token_to_change_anything(run: PipelineRun, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    before = rows()
    for route in routes():
        if route.method != "GET" and route.pattern not in {"login", "device_authorization"}:
            path, body = filled(route, run)
            answer = ask(browser, route.method, f"/{path}", body)
            assert (answer.status_code, answer.json()["detail"][0]) == (403, "IllegalOperationError"), route
    assert rows() == before


@pytest.fixture
def strangers(template: RunTemplate, stacks: dict[str, Stack], bob: User) -> Client:
    """Bob's key for a template of his own; of Alice's he may see nothing with it."""
    bobs = make_template(freeze("cached.chain", make_editor(bob), stacks["celery"]), bob, "bobs")
    return bearer(create_api_key(user=bob, name="bound", templates=[bobs])[1])


NAMED = [
    route
    for route in routes()
    if "{}" in route.pattern and not route.pattern.startswith(("projects", "stacks"))
]


@pytest.mark.parametrize("route", NAMED, ids=str)
def test_what_somebody_elses_key_finds_of_what_is_there(
    run: PipelineRun, alice: User, strangers: Client, route: Route
) -> None:
    create_preset(actor=alice, template=run.template, name="mine")
    create_schedule(actor=alice, template=run.template, name="nightly", cron="0 0 * * *")
    path, body = filled(route, run)
    before = rows()
    answer = ask(strangers, route.method, f"/{path}", body)
    assert answer.status_code in {403, 404, 422}, answer.content
    assert answer.status_code == 404 or "daily-retraining" not in answer.json()["detail"][1]
    assert rows() == before


@pytest.fixture
def run(template: RunTemplate, alice: User) -> PipelineRun:
    return launch(template, alice)
