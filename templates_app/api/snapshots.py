"""REST for what ZenML's newer clients call snapshots: run templates have names, deployments have none."""

import uuid
from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from templates_app.api import shapes
from templates_app.api.entities import (
    describe_build,
    describe_deployment_snapshot,
    describe_template_snapshot,
)
from templates_app.api.views import (
    RUN_TEMPLATES,
    find_deployment,
    find_run_template,
    in_project,
    visible_deployments,
    visible_run_templates,
)
from templates_app.models import PipelineDeployment
from zenweb.api.listing import Absent, Column, Listing, Related, parse_bool, wants_hydration
from zenweb.api.operations import HYDRATE, PROJECT, listed, operation
from zenweb.api.shapes import Page
from zenweb.entity import is_id

SNAPSHOTS = Listing(
    columns={
        **RUN_TEMPLATES.columns,
        "runnable": Column("is_enabled", parse_bool),
        "pipeline": Related("latest_version__deployment__pipeline"),
        "source_snapshot_id": Column("latest_version__deployment_id", uuid.UUID),
        "schedule_id": Absent(),
        "deployed": Absent(),
        "trigger_id": Absent(),
    },
    sortable=RUN_TEMPLATES.sortable,
    describe=describe_template_snapshot,
    deferred=RUN_TEMPLATES.deferred,
)


class SnapshotList(APIView):
    """Those that have a name. The others are listed as `/pipeline_deployments`."""

    @operation(
        "List snapshots: run templates, in newer clients' words.",
        parameters=listed(SNAPSHOTS, PROJECT),
        answer=Page[shapes.NamedSnapshot],
    )
    def get(self, request: Request) -> Response:
        templates = in_project(visible_run_templates(request), request)
        return SNAPSHOTS.answer(templates, request.query_params)


class SnapshotDetail(APIView):
    @operation(
        "Get a snapshot: a run template, or a deployment.",
        parameters=(HYDRATE,),
        answer=shapes.NamedSnapshot | shapes.UnnamedSnapshot,
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        hydrate = wants_hydration(request.query_params, default=True)
        deployment = unnamed_snapshot(request, name_or_id)
        if deployment is not None:
            return Response(describe_deployment_snapshot(deployment, hydrate))
        return Response(describe_template_snapshot(find_run_template(request, name_or_id), hydrate))


class BuildDetail(APIView):
    """Nothing is built beforehand: this tells ZenML's clients that a deployment can be run, and where."""

    @operation("Get the build of a deployment.", parameters=(HYDRATE,), answer=shapes.Build)
    def get(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(request, deployment_id)
        return Response(describe_build(deployment, wants_hydration(request.query_params, default=True)))


def unnamed_snapshot(request: Request, name_or_id: str) -> PipelineDeployment | None:
    """The deployment with exactly this id."""
    if not is_id(name_or_id):
        return None
    return cast(PipelineDeployment | None, visible_deployments(request).filter(pk=name_or_id).first())
