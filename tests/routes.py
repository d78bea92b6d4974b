"""Every route of the REST interface, its address with things that exist, and a body that it takes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from runs_app.models import PipelineRun

A_DEPLOYMENT = {
    **{key: {} for key in ("spec", "config_schema", "config_template")},
    "pipeline": "new",
    "stack": "celery",
    "code_archive": "ARCHIVE",
    "python_version": "3.11",
    "client_version": "0.1.0",
}
# What a route needs in order to do something, where an empty body would be refused for itself.
BODIES: dict[str, Any] = {
    "POST pipelines": {"name": "new"},
    "POST run_templates": {"name": "new", "source_deployment_id": "DEPLOYMENT"},
    "POST run_templates/{}/versions": {"source_deployment_id": "DEPLOYMENT"},
    "PUT run_templates/{}/document": {"format": 1, "name": "daily-retraining", "tags": ["new"]},
    "POST schedules": {"name": "new", "template": "daily-retraining", "cron_expression": "0 0 * * *"},
    "POST run_templates/{}/presets": {"name": "new"},
    "POST run_templates/{}/choices": {"step": "trainer", "parameter": "rate"},
    "POST run-metadata": {"resources": [{"id": "RUN", "type": "pipeline_run"}], "values": {"a": 1}},
    "POST current-user/api_keys": {"name": "new"},
    "POST service_accounts": {"name": "new"},
    "POST service_accounts/{}/api_keys": {"name": "new"},
    "POST projects": {"name": "new"},
    "POST pipeline_deployments": A_DEPLOYMENT,
    "POST pipeline_deployments/new/validate": A_DEPLOYMENT,
    "POST run_templates/{}/runs/bulk": {"runs": [{}]},
    "POST runs/{}/steps/{}/progress": {"attempt": 1},
    "POST runs/{}/steps/{}/end": {"attempt": 1, "status": "completed"},
    "POST projects/{}/role_grants": {"user": "alice", "role": "viewer"},
    "POST run_templates/{}/role_grants": {"user": "alice", "role": "viewer"},
}
NAMES = {
    "run_templates": "daily-retraining",
    "pipelines": "training_pipeline",
    "stacks": "celery",
    "projects": "default",
    "current-user": "tests",
    "presets": "mine",
    "versions": "1",
    "schedules": "nightly",
}


@dataclass(frozen=True)
class Route:
    method: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def routes() -> Iterator[Route]:
    """Every method of every route of the REST interface."""

    def walk(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
        for each in patterns:
            if isinstance(each, URLResolver):
                yield from walk(each.url_patterns, before + str(each.pattern))
            elif isinstance(each, URLPattern):
                yield before + str(each.pattern), each.callback

    for pattern, callback in walk(get_resolver("zenweb.api_urls").url_patterns, ""):
        view = getattr(callback, "cls", None)
        methods = (
            {name.upper() for name in view.http_method_names if hasattr(view, name)} if view else {"GET"}
        )
        for method in sorted(methods - {"OPTIONS", "HEAD"}):
            if not pattern.startswith("^"):
                yield Route(method, re.sub(r"<[^>]+>", "{}", pattern))


def filled(route: Route, run: PipelineRun, **more: str) -> tuple[str, Any]:
    """The route's address with things that exist, and a body that it takes; `more`: names, by the part before them."""
    step = run.steps.first()
    assert step is not None
    ids = (
        NAMES
        | {"runs": str(run.pk), "steps": str(step.pk), "pipeline_deployments": str(run.deployment_id)}
        | more
    )
    parts: list[str] = []
    for part in route.pattern.split("/"):
        before = next((each for each in reversed(parts) if each in ids), "")
        name = step.name if parts[:1] == ["runs"] and parts[-1] == "steps" else ids.get(before, "x")
        parts.append(name if part == "{}" else part)
    body = BODIES.get(str(route), {})
    text = json.dumps(body).replace("DEPLOYMENT", str(run.deployment_id)).replace("RUN", str(run.pk))
    text = text.replace("ARCHIVE", run.deployment.code_archive.sha256)
    return "/".join(parts), json.loads(text)
