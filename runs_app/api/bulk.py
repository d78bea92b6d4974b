"""REST for many runs of a template at once: one configuration each, and one answer each."""

import hashlib
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_run
from runs_app.api.launches import find_template_to_run, trigger_of
from runs_app.api.preflight import describe_preflight
from runs_app.preflight import preflight
from runs_app.services import Trigger, launch_run
from templates_app.models import RunTemplate
from templates_app.permissions import check_can_run
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.errors import answer_error
from zenweb.api.listing import flag
from zenweb.api.operations import DRY_RUN, IDEMPOTENCY_KEY, operation

MOST_RUNS = 100


class RunBody(Body):
    model_config = ConfigDict(extra="forbid")

    configuration: Any = None
    preset: str = ""
    idempotency_key: str = Field(default="", max_length=255)


class BulkBody(Body):
    model_config = ConfigDict(extra="forbid")

    runs: list[RunBody] = Field(min_length=1, max_length=MOST_RUNS)


class BulkRuns(APIView):
    """Each run is accepted or refused by itself, in the order given: what one is refused for stops no other."""

    @operation(
        "Start many runs of a template, each with a configuration of its own.",
        parameters=(DRY_RUN, IDEMPOTENCY_KEY),
        body=BulkBody,
        example={
            "runs": [
                {
                    "configuration": {"steps": {"trainer": {"parameters": {"learning_rate": 0.1}}}},
                    "idempotency_key": "0.1",
                }
            ]
        },
        answer=shapes.BulkAnswer,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        body = read_body(BulkBody, request)
        template = find_template_to_run(request, name_or_id)
        trigger = trigger_of(request)
        check_can_run(trigger.actor, template)  # else every one of them would be told the same
        if flag(request.query_params, "dry_run"):
            return _answer([self._look_ahead(template, asked, trigger) for asked in body.runs])
        # The same key for the same run, whether it is asked for alone or among others.
        trigger = replace(trigger, route=trigger.route.removesuffix("/bulk"))
        items = [
            self._launch(template, asked, replace(trigger, idempotency_key=_key(asked, trigger, index)))
            for index, asked in enumerate(body.runs)
        ]
        return _answer(items)

    def _look_ahead(self, template: RunTemplate, asked: RunBody, trigger: Trigger) -> Json:
        """What starting it would do; nobody waits for workers a hundred times."""
        try:
            ahead = preflight(
                actor=trigger.actor,
                version=template.version,
                configuration=asked.configuration,
                preset=asked.preset,
                wait=0.0,
            )
        except Exception as error:  # noqa: BLE001  # of those before it the caller has to be told
            return self._refusal(error)
        described = describe_preflight(ahead)
        return {"status": 200, "run": None, "is_replay": False, "preflight": described}

    def _launch(self, template: RunTemplate, asked: RunBody, trigger: Trigger) -> Json:
        try:
            launch = launch_run(
                deployment=template.deployment,
                version=template.version,
                configuration=asked.configuration,
                preset=asked.preset,
                trigger=trigger,
            )
        except Exception as error:  # noqa: BLE001  # of those before it the caller has to be told
            return self._refusal(error)
        run = describe_run(launch.run, False) | {"warnings": launch.run.warnings}
        return {"status": 200, "run": run, "is_replay": launch.is_replay}

    def _refusal(self, error: Exception) -> Json:
        refusal = answer_error(error, {"request": self.request})
        return {"status": refusal.status_code, "run": None, "is_replay": False, **refusal.data}


def _answer(items: list[Json]) -> Response:
    accepted = sum(item["status"] == 200 for item in items)
    return Response({"accepted": accepted, "refused": len(items) - accepted, "items": items})


def _key(asked: RunBody, trigger: Trigger, index: int) -> str:
    """The run's own, or one made of the whole request's: sent again, that starts none of its runs again."""
    if asked.idempotency_key or not trigger.idempotency_key:
        return asked.idempotency_key
    return "bulk:" + hashlib.sha256(f"{trigger.idempotency_key}\0{index}".encode()).hexdigest()
