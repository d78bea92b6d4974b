"""Schemathesis makes up requests from REST's description: whatever is sent, the answer is one that is described."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runs_app.models import PipelineRun
from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import RunTemplate
from tests.factories import launch
from tests.routes import NAMES
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key
from zenweb.api.openapi import description

schema = schemathesis.openapi.from_dict(description())
application = get_wsgi_application()


def read_to_the_end(environ: Any, start_response: Any) -> list[bytes]:
    """As a server does; Schemathesis closes no answer."""
    answer = application(environ, start_response)
    try:
        return [b"".join(answer)]
    finally:
        answer.close()


schema.app = read_to_the_end
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connection_stays_open")]
PATHS = description()["paths"]
BOUNDED = settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


# What is wrong is what they tell, and not an error; and in a form there is nothing but texts.
LENIENT = {path for path in PATHS if path.endswith("/validate")} | {"/api/v1/device_authorization"}


@dataclass(frozen=True)
class World:
    """What there is to ask about, and the key to ask with."""

    key: str
    run: PipelineRun

    def names(self, path: str) -> dict[str, str]:
        """Of the things that a path's parameters stand for."""
        template, step = self.run.template, self.run.steps.get(index=0)
        assert template is not None
        known = NAMES | {
            "pipeline_deployments": str(self.run.deployment_id),
            "pipeline_builds": str(self.run.deployment_id),
            "pipeline_snapshots": template.name,
            "code_archives": self.run.deployment.code_archive.sha256,
            "runs": str(self.run.pk),
            "steps": step.name if "/runs/" in path else str(step.pk),
            "versions": "1",
        }
        parts = path.split("/")
        return {
            part.strip("{}"): known.get(before, "nothing")
            for before, part in pairwise(parts)
            if part.startswith("{")
        }


@pytest.fixture
def world(template: RunTemplate, alice: User) -> World:
    """One of each thing, and the key of who may do everything with them."""
    create_preset(actor=alice, template=template, name=NAMES["presets"])
    create_schedule(actor=alice, template=template, name=NAMES["schedules"], cron="0 0 * * *")
    run = launch(template, alice)
    User.objects.update(is_superuser=True)
    return World(create_api_key(user=alice, name=NAMES["current-user"])[1], run)


@schemathesis.serializer("application/gzip")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def attempt(case: Case, world: World) -> Any:
    """The answer. What the request did is undone."""
    with transaction.atomic():
        response = case.call(headers={"Authorization": f"Bearer {world.key}"})
        transaction.set_rollback(True)
    return response


@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_sent_the_answer_is_described(path: str, world: World) -> None:
    for method, described in PATHS[path].items():
        try_made_up(path, method, GenerationMode.POSITIVE, world)
        if "{" in path or described.keys() & {"parameters", "requestBody"}:
            try_made_up(path, method, GenerationMode.NEGATIVE, world)


def try_made_up(path: str, method: str, mode: GenerationMode, world: World) -> None:
    @BOUNDED
    @given(case=schema[path][method].as_strategy(generation_mode=mode), names_what_is_there=booleans())
    def check(case: Case, names_what_is_there: bool) -> None:
        if names_what_is_there:
            case.path_parameters = world.names(path)
        for waiting in ("wait", "follow"):  # for a run that nobody executes
            case.query.pop(waiting, None)
        response = attempt(case, world)
        case.validate_response(response, checks=CHECKS)
        body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
        # What is blank is no body at all.
        is_blank = isinstance(case.body, bytes) and not case.body.strip()
        if body is not None and body.mode.is_negative and not is_blank and path not in LENIENT:
            assert response.status_code >= 400, f"{case.body!r} was taken"

    check()
