"""REST for the versions of a run template: what it was before, and making it that again."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from templates_app.api import shapes
from templates_app.api.entities import describe_template_version
from templates_app.api.views import SORT_TIMES, TIMES, acting_user, find_run_template, find_source
from templates_app.models import RunTemplate, RunTemplateVersion
from templates_app.querysets import documents_of
from templates_app.services import deploy_run_template, restore_run_template
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.examples import AN_ID
from zenweb.api.listing import Column, Listing, Related, find, wants_hydration
from zenweb.api.operations import HYDRATE, listed, operation
from zenweb.api.repeats import acts_once
from zenweb.api.shapes import Page
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed

LONGEST_NUMBER = 9  # digits: what databases keep in an integer

VERSIONS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "number": Column("number", int),
        **TIMES,
        "deployment_id": Column("deployment_id", uuid.UUID),
        "stack_id": Column("deployment__stack_id", uuid.UUID),
        "stack": Related("deployment__stack"),
        "user": Related("user", name="username"),
    },
    sortable={**SORT_TIMES, "number": "number"},
    describe=describe_template_version,
    default_sort="desc:number",
    deferred=("curation", *documents_of("deployment")),
)


class VersionBody(Body):
    source_deployment_id: str | None = None
    source_snapshot_id: str | None = None
    drop_misfits: bool = False


def version_again(request: Request, made: str, name_or_id: str, **names: str) -> Json:
    return describe_template_version(find_version(find_run_template(request, name_or_id), made), True)


class VersionList(APIView):
    """The versions of a template, the newest first; a new one is made of a deployment."""

    @operation(
        "List the versions of a run template.",
        parameters=listed(VERSIONS),
        answer=Page[shapes.RunTemplateVersion],
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        return VERSIONS.answer(versions_of(find_run_template(request, name_or_id)), request.query_params)

    @acts_once(version_again)
    @operation(
        "Give a run template another deployment: its next version.",
        body=VersionBody,
        example={"source_deployment_id": AN_ID},
        answer=shapes.RunTemplateVersion,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        body = read_body(VersionBody, request)
        source = body.source_deployment_id or body.source_snapshot_id
        if source is None:
            raise ValidationFailed([FieldError("/source_deployment_id", "Say from which deployment.")])
        template = deploy_run_template(
            actor=acting_user(request),
            template=find_run_template(request, name_or_id),
            deployment=find_source(request, source),
            drops_misfits=body.drop_misfits,
        )
        return answer_newest(template)


class VersionDetail(APIView):
    @operation("Get a version of a run template.", parameters=(HYDRATE,), answer=shapes.RunTemplateVersion)
    def get(self, request: Request, name_or_id: str, version: str) -> Response:
        found = find_version(find_run_template(request, name_or_id), version)
        return Response(describe_template_version(found, wants_hydration(request.query_params, default=True)))


class VersionRestore(APIView):
    """Make a template what it was: a new version that says what this one said."""

    @acts_once(version_again)
    @operation(
        "Make a run template what it was in this version: its next one.",
        answer=shapes.RunTemplateVersion,
        errors=(422,),
    )
    def post(self, request: Request, name_or_id: str, version: str) -> Response:
        template = find_run_template(request, name_or_id)
        restored = restore_run_template(
            actor=acting_user(request), template=template, version=find_version(template, version)
        )
        return answer_newest(restored)


def answer_newest(template: RunTemplate) -> Response:
    version = template.version
    version.template = template
    return Response(describe_template_version(version, True))


def versions_of(template: RunTemplate) -> QuerySet[Any]:
    return template.versions.select_related("template", "user", "deployment__stack").defer("deployment__spec")


def find_version(template: RunTemplate, number_or_id: str) -> RunTemplateVersion:
    """By its number, its id or the beginning of that."""
    versions = versions_of(template)
    if number_or_id.isdecimal() and len(number_or_id) <= LONGEST_NUMBER:
        found = versions.filter(number=int(number_or_id)).first()
        if found is None:
            raise DoesNotExist(f"The run template {template.name!r} has no version {number_or_id}.")
    else:
        found = find(versions, number_or_id, "version", None)
    return cast(RunTemplateVersion, found).used_by(template.version.role)
