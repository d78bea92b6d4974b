"""REST for looking at the steps of runs."""

import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.db.models import Prefetch, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_step
from runs_app.api.neighbours import find_neighbours, outputs_shown_to
from runs_app.models import StepRun
from runs_app.querysets import heavy_of
from runs_app.waiting import explain_steps
from templates_app.api.views import SORT_TIMES, TIMES, acting_user
from zenweb.accounts.services import find_project
from zenweb.api.listing import Column, Listing, Related, find, parse_time, wants_hydration
from zenweb.api.operations import HYDRATE, PROJECT, listed, operation
from zenweb.api.shapes import Page
from zenweb.enums import ExecutionStatus


def tell_of_steps(steps: Sequence[StepRun]) -> None:
    """Have steps know what an answer says of them."""
    explain_steps(steps)
    find_neighbours(steps)


STEPS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        "status": Column("status"),
        **TIMES,
        "pipeline_run_id": Column("run_id", uuid.UUID),
        "deployment_id": Column("run__deployment_id", uuid.UUID),
        "snapshot_id": Column("run__deployment_id", uuid.UUID),
        "user": Related("run__user", name="username"),
        "cache_key": Column("cache_key"),
        "start_time": Column("start_time", parse_time),
        "end_time": Column("end_time", parse_time),
    },
    sortable={
        **SORT_TIMES,
        "name": "name",
        "index": "index",
        "start_time": "start_time",
        "end_time": "end_time",
    },
    describe=describe_step,
    default_sort="index",
    prepare=tell_of_steps,
)


class StepList(APIView):
    @operation("List steps of all runs.", parameters=listed(STEPS, PROJECT), answer=Page[shapes.Step])
    def get(self, request: Request) -> Response:
        project = find_project(acting_user(request), request.query_params.get("project"))
        return STEPS.answer(visible_steps(request).filter(run__project=project), request.query_params)


class StepDetail(APIView):
    @operation("Get a step of a run.", parameters=(HYDRATE,), answer=shapes.Step)
    def get(self, request: Request, step_id: str) -> Response:
        step = find_step(request, step_id)
        tell_of_steps([step])
        return Response(describe_step(step, wants_hydration(request.query_params, default=True)))


class StepStatus(APIView):
    @operation("Get a step's status.", answer=ExecutionStatus)
    def get(self, request: Request, step_id: str) -> Response:
        return Response(find_step(request, step_id).status)


def visible_steps(request: Request) -> QuerySet[Any]:
    return (
        StepRun.objects.visible_to(request.user)
        .with_values_shown_to(acting_user(request))
        .select_related("run__user")
        .defer(*heavy_of("run"))
        .prefetch_related(Prefetch("outputs", queryset=outputs_shown_to(request.user)))
    )


def find_step(request: Request, step_id: str) -> StepRun:
    return cast(StepRun, find(visible_steps(request), step_id, "step run", None))
