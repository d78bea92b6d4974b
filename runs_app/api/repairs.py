"""REST for repairing a finished run: what would be run again, and running it."""

from typing import Any, Literal

from pydantic import ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.launches import answer_launch, trigger_of
from runs_app.api.runs import find_run
from runs_app.repair import Repair, RepairPlan, preview_repair
from runs_app.services import repair_run
from templates_app.api.views import acting_user
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.listing import flag
from zenweb.api.operations import DRY_RUN, IDEMPOTENCY_KEY, REPLAYED, operation


class RepairBody(Body):
    """A misspelt key here would run the wrong steps, so it is refused."""

    model_config = ConfigDict(extra="forbid")

    from_steps: list[str] | None = Field(default=None, max_length=10_000)
    configuration: dict[str, Any] | None = None
    version: Literal["same", "newest"] = "same"


class RunRepair(APIView):
    """Repair a run; with `dry_run=true` only tell what that would do."""

    @operation(
        "Repair a run: again from where it failed, or from the steps that are named.",
        parameters=(DRY_RUN, IDEMPOTENCY_KEY),
        body=RepairBody,
        example={"from_steps": ["trainer"]},
        answer=shapes.LaunchedRun | shapes.RepairPlan,
        headers=REPLAYED,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        body = read_body(RepairBody, request)
        repair = Repair(
            original=find_run(request, name_or_id),
            from_steps=tuple(body.from_steps or ()),
            configuration=body.configuration,
            is_newest=body.version == "newest",
        )
        if flag(request.query_params, "dry_run"):
            return Response(describe_plan(preview_repair(repair, actor=acting_user(request))))
        return answer_launch(request, repair_run(repair=repair, trigger=trigger_of(request)))


def describe_plan(plan: RepairPlan) -> Json:
    return {
        "steps": [
            {"name": step.name, "runs_again": step.runs_again, "reason": step.reason} for step in plan.steps
        ]
    }
