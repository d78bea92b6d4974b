"""REST for what steps gave out."""

import uuid
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_artifact, describe_artifact_version
from runs_app.models import Artifact, ArtifactVersion
from runs_app.querysets import BESIDE_FILES
from runs_app.visualizations import visualize
from templates_app.api.views import SORT_TIMES, TIMES, in_named_project, in_project
from zenweb.api.listing import Absent, Column, Listing, Related, find, wants_hydration
from zenweb.api.operations import HYDRATE, PROJECT, Parameter, listed, operation
from zenweb.api.shapes import Page
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed

MOST_TYPES = 100

ARTIFACTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        **TIMES,
        "user": Related("user", name="username"),
        "tag": Absent(),
        "tags": Absent(),
    },
    sortable={**SORT_TIMES, "name": "name"},
    describe=describe_artifact,
)

ARTIFACT_VERSIONS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        **TIMES,
        "name": Column("artifact__name"),
        "artifact": Related("artifact"),
        "artifact_id": Column("artifact_id", uuid.UUID),
        "version": Column("version", int),
        "version_number": Column("version", int),
        "uri": Column("uri"),
        "type": Column("type"),
        "data_type": Column("data_type"),
        "materializer": Column("materializer"),
        "user": Related("user", name="username"),
        "pipeline_run": Related("producer_step__run"),
        "tag": Absent(),
        "tags": Absent(),
    },
    sortable={**SORT_TIMES, "version": "version"},
    describe=describe_artifact_version,
    default_sort="desc:created",
    beside=frozenset({"search", "suits", "types"}),
)


class ArtifactList(APIView):
    @operation("List artifacts.", parameters=listed(ARTIFACTS, PROJECT), answer=Page[shapes.Artifact])
    def get(self, request: Request) -> Response:
        return ARTIFACTS.answer(in_project(visible_artifacts(request), request), request.query_params)


class ArtifactDetail(APIView):
    @operation("Get an artifact.", parameters=(HYDRATE,), answer=shapes.Artifact)
    def get(self, request: Request, name_or_id: str) -> Response:
        artifact = find(in_named_project(visible_artifacts(request), request), name_or_id, "artifact")
        return Response(describe_artifact(artifact, wants_hydration(request.query_params, default=True)))


class ArtifactVersionList(APIView):
    @operation(
        "List artifact versions.",
        parameters=listed(
            ARTIFACT_VERSIONS,
            PROJECT,
            Parameter("search", "Part of a name."),
            Parameter(
                "suits",
                "What a parameter takes a file as: what may be given to it.",
                {"type": "string", "enum": sorted(BESIDE_FILES)},
            ),
            Parameter("types", "With `suits`: ends of file names, such as `.csv,.txt`."),
        ),
        answer=Page[shapes.ArtifactVersion],
    )
    def get(self, request: Request) -> Response:
        versions, query = in_project(visible_artifact_versions(request), request), request.query_params
        versions = versions.search(query.get("search", ""))
        if "pipeline_run" in query:
            versions = versions.filter(shows_producer=True)
        if kind := query.get("suits"):
            versions = versions.suiting(known_kind(kind)).of_types(few_types(query.get("types", "")))
        return ARTIFACT_VERSIONS.answer(versions, query)


class ArtifactVersionDetail(APIView):
    @operation("Get an artifact version.", parameters=(HYDRATE,), answer=shapes.ArtifactVersion)
    def get(self, request: Request, version_id: str) -> Response:
        version = find(visible_artifact_versions(request), version_id, "artifact version", None)
        hydrate = wants_hydration(request.query_params, default=True)
        return Response(describe_artifact_version(version, hydrate))


class ArtifactVersionVisualization(APIView):
    """What was kept to look at, if anything was."""

    @operation(
        "Look at an artifact version.",
        parameters=(Parameter("index", "There is one at most: `0`.", {"type": "integer", "const": 0}),),
        answer=shapes.Visualization,
    )
    def get(self, request: Request, version_id: str) -> Response:
        version = find(visible_artifact_versions(request), version_id, "artifact version", None)
        if request.query_params.get("index", "0") != "0":
            raise DoesNotExist("An artifact version has one visualization at most: index is 0.")
        return Response(asdict(visualize(version)))


def visible_artifacts(request: Request) -> QuerySet[Any]:
    return Artifact.objects.visible_to(request.user).with_latest_version(request.user).select_related("user")


def visible_artifact_versions(request: Request) -> QuerySet[Any]:
    versions = ArtifactVersion.objects.visible_to(request.user).with_relations()
    return versions.with_producer_shown_to(request.user)


def known_kind(kind: str) -> str:
    """As what a parameter takes a file."""
    if kind not in BESIDE_FILES:
        raise ValidationFailed([FieldError("/suits", f"suits is one of {', '.join(BESIDE_FILES)}.")])
    return kind


def few_types(text: str) -> list[str]:
    """Ends of names, as many as a database looks for at once."""
    types = text.split(",")
    if len(types) > MOST_TYPES:
        raise ValidationFailed([FieldError("/types", f"Name {MOST_TYPES} types at most, such as .csv,.txt.")])
    return types
