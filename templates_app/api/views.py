"""REST for pipelines, stacks, code, deployments and run templates."""

import uuid
from dataclasses import fields
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from templates_app.api import shapes
from templates_app.api.entities import (
    describe_code_archive,
    describe_deployment,
    describe_pipeline,
    describe_run_template,
    describe_stack,
    tell_latest_users,
)
from templates_app.models import CodeArchive, Pipeline, PipelineDeployment, RunTemplate, Stack
from templates_app.permissions import role_on
from templates_app.querysets import TEMPLATE_DOCUMENTS, PipelineDeploymentQuerySet, documents_of
from templates_app.services import (
    CheckedArchive,
    CheckedDeployment,
    ConcurrencyLimit,
    DeploymentRequest,
    check_code_archive,
    check_deployment,
    create_pipeline,
    create_run_template,
    delete_pipeline,
    delete_run_template,
    freeze_deployment,
    keep_code_archive,
    update_pipeline,
    update_run_template,
)
from zenweb.accounts.models import Project, User
from zenweb.accounts.services import find_project
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.examples import AN_ID
from zenweb.api.listing import (
    Absent,
    Column,
    Listing,
    Related,
    Tags,
    find,
    parse_bool,
    parse_time,
    wants_hydration,
)
from zenweb.api.operations import BYTES, HYDRATE, NOT_JSON, PROJECT, listed, operation
from zenweb.api.parsing import DeploymentParser, RawParser
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page
from zenweb.entity import is_id
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed

TIMES = {"created": Column("created", parse_time), "updated": Column("updated", parse_time)}
NAMED = {"id": Column("pk", uuid.UUID), "name": Column("name"), **TIMES}
SORT_TIMES = {"created": "created", "updated": "updated", "id": "pk"}

PIPELINES = Listing(
    columns={
        **NAMED,
        "user": Related("user", name="username"),
        "latest_run_status": Column("latest_run_status"),
        "tag": Absent(),
        "tags": Absent(),
    },
    sortable={**SORT_TIMES, "name": "name"},
    describe=describe_pipeline,
    prepare=tell_latest_users,
)
STACKS = Listing(columns=NAMED, sortable={**SORT_TIMES, "name": "name"}, describe=describe_stack)
DEPLOYMENTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        **TIMES,
        "pipeline_id": Column("pipeline_id", uuid.UUID),
        "pipeline": Related("pipeline"),
        "stack_id": Column("stack_id", uuid.UUID),
        "stack": Related("stack"),
        "build_id": Column("pk", uuid.UUID),
        "user": Related("user", name="username"),
    },
    sortable=SORT_TIMES,
    describe=describe_deployment,
    deferred=documents_of(),
)
RUN_TEMPLATES = Listing(
    columns={
        **NAMED,
        "hidden": Column("is_hidden", parse_bool),
        "pipeline_id": Column("latest_version__deployment__pipeline_id", uuid.UUID),
        "pipeline": Related("latest_version__deployment__pipeline"),
        "stack_id": Column("latest_version__deployment__stack_id", uuid.UUID),
        "stack": Related("latest_version__deployment__stack"),
        "build_id": Column("latest_version__deployment_id", uuid.UUID),
        "user": Related("user", name="username"),
        "managed_by": Column("managed_by"),
        "tag": Tags("tags"),
        "tags": Tags("tags"),
    },
    sortable={**SORT_TIMES, "name": "name"},
    describe=describe_run_template,
    deferred=TEMPLATE_DOCUMENTS,
)


class PipelineBody(Body):
    name: str
    description: str | None = None
    project: str | None = None


class PipelineUpdateBody(Body):
    description: str | None = None
    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None


class DeploymentBody(Body):
    pipeline: str
    stack: str
    spec: dict[str, Any]
    config_schema: dict[str, Any]
    config_template: dict[str, Any]
    code_archive: str
    requirements: list[str] = Field(default_factory=list)
    python_version: str
    client_version: str
    project: str | None = None

    def request(self) -> DeploymentRequest:
        return DeploymentRequest(
            **{field.name: getattr(self, field.name) for field in fields(DeploymentRequest)}
        )


A_DEPLOYMENT = {
    "pipeline": "training_pipeline",
    "stack": "celery",
    "spec": {"name": "training_pipeline", "source": "run.training_pipeline", "steps": []},
    "config_schema": {"type": "object"},
    "config_template": {},
    "code_archive": "9f" * 32,
    "python_version": "3.11",
    "client_version": "0.1.0",
}


class LimitBody(Body):
    """ZenML knows no limits: these keys are ours."""

    max_concurrent_runs: int | None = None
    concurrency_policy: str | None = None

    def limit(self) -> ConcurrencyLimit:
        return ConcurrencyLimit(self.max_concurrent_runs, self.concurrency_policy)


class RunTemplateBody(LimitBody):
    name: str
    source_deployment_id: str | None = None
    source_snapshot_id: str | None = None
    description: str | None = None
    hidden: bool | None = None
    tags: list[str] | None = None
    update: bool = False
    drop_misfits: bool = False
    project: str | None = None


class RunTemplateUpdateBody(LimitBody):
    name: str | None = None
    description: str | None = None
    hidden: bool | None = None
    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None
    restricted: bool | None = None


def acting_user(request: Request) -> User:
    return cast(User, request.user)


def in_project(queryset: QuerySet[Any], request: Request) -> QuerySet[Any]:
    project = find_project(acting_user(request), request.query_params.get("project"))
    return queryset.filter(project=project)


def in_named_project(queryset: QuerySet[Any], request: Request) -> QuerySet[Any]:
    """What a name or id stands for: in the project that is named, else wherever it is."""
    return in_project(queryset, request) if request.query_params.get("project") else queryset


def project_for(request: Request, named: str | None) -> Project:
    """Where something is made: as the body says, else as the address does."""
    return find_project(acting_user(request), named or request.query_params.get("project"))


def pipeline_again(request: Request, made: str, **names: str) -> Json:
    return describe_pipeline(find_pipeline(request, made), True)


def code_archive_again(request: Request, made: str, **names: str) -> Json:
    archives = CodeArchive.objects.visible_to(request.user).defer("content")
    return describe_code_archive(find(archives, made, "code archive", None))


def deployment_again(request: Request, made: str, **names: str) -> Json:
    return describe_deployment(find_deployment(request, made), True)


def run_template_again(request: Request, made: str, **names: str) -> Json:
    return describe_run_template(find_run_template(request, made), True)


def deployed_template_again(request: Request, made: str, **names: str) -> Json:
    return describe_deployed(find_run_template(request, made))


def describe_deployed(template: RunTemplate) -> Json:
    return describe_run_template(template, True) | {"warnings": template.version.curation_notes}


class PipelineList(APIView):
    @operation("List pipelines.", parameters=listed(PIPELINES, PROJECT), answer=Page[shapes.Pipeline])
    def get(self, request: Request) -> Response:
        return PIPELINES.answer(in_project(visible_pipelines(request), request), request.query_params)

    @acts_once(pipeline_again)
    @operation(
        "Make a pipeline.",
        body=PipelineBody,
        example={"name": "training_pipeline"},
        answer=shapes.Pipeline,
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        body = read_body(PipelineBody, request)
        pipeline = create_pipeline(
            actor=acting_user(request),
            project=project_for(request, body.project),
            name=body.name,
            description=body.description or "",
        )
        return Response(describe_pipeline(pipeline, True))


class PipelineDetail(APIView):
    @operation("Get a pipeline.", parameters=(HYDRATE,), answer=shapes.Pipeline)
    def get(self, request: Request, name_or_id: str) -> Response:
        pipeline = find_pipeline(request, name_or_id)
        return Response(describe_pipeline(pipeline, wants_hydration(request.query_params, default=True)))

    @acts_once(pipeline_again)
    @operation(
        "Describe a pipeline.",
        body=PipelineUpdateBody,
        example={"description": "Trained every night."},
        answer=shapes.Pipeline,
    )
    def put(self, request: Request, name_or_id: str) -> Response:
        body = read_body(PipelineUpdateBody, request)
        pipeline = find_pipeline(request, name_or_id)
        if body.add_tags or body.remove_tags:
            sentence = "A pipeline has no tags here: tag its run templates or its runs."
            raise ValidationFailed([FieldError("/add_tags", sentence)])
        update_pipeline(actor=acting_user(request), pipeline=pipeline, description=body.description)
        return Response(describe_pipeline(pipeline, True))

    @acts_once(nothing)
    @operation("Delete a pipeline that has neither templates nor runs.")
    def delete(self, request: Request, name_or_id: str) -> Response:
        pipeline = find_pipeline(request, name_or_id)
        delete_pipeline(actor=acting_user(request), pipeline=pipeline)
        return Response(None)


class StackList(APIView):
    @operation("List stacks.", parameters=listed(STACKS), answer=Page[shapes.Stack])
    def get(self, request: Request) -> Response:
        return STACKS.answer(visible_stacks(request), request.query_params)


class StackDetail(APIView):
    @operation("Get a stack.", parameters=(HYDRATE,), answer=shapes.Stack)
    def get(self, request: Request, name_or_id: str) -> Response:
        stack = find(visible_stacks(request), name_or_id, "stack")
        return Response(describe_stack(stack, wants_hydration(request.query_params, default=True)))


def sent_archive(request: Request, sha256: str) -> CheckedArchive:
    content = request.data if isinstance(request.data, bytes) else b""
    return check_code_archive(actor=acting_user(request), sha256=sha256, content=content)


class CodeArchiveDetail(APIView):
    """Source code under the SHA-256 of its uncompressed tar."""

    parser_classes = (RawParser,)

    @operation("Get a pipeline's source code.", answer=NOT_JSON, also={"application/gzip": BYTES})
    def get(self, request: Request, sha256: str) -> HttpResponse:
        archives = CodeArchive.objects.visible_to(request.user)
        archive = archives.filter(sha256=sha256).first() if sha256.isalnum() else None
        if archive is None:
            raise DoesNotExist(f"There is no code archive {sha256}.")
        return HttpResponse(bytes(archive.content), content_type="application/gzip")

    @acts_once(code_archive_again, prepare=sent_archive)
    @operation(
        "Store a pipeline's source code.",
        body_as={"application/gzip": BYTES},
        is_body_required=True,
        answer=shapes.CodeArchive,
    )
    def put(self, request: Request, checked: CheckedArchive, sha256: str) -> Response:
        archive = keep_code_archive(actor=acting_user(request), checked=checked)
        return Response(describe_code_archive(archive))


def sent_deployment(request: Request) -> CheckedDeployment:
    body = read_body(DeploymentBody, request)
    visible = CodeArchive.objects.visible_to(request.user).defer("content")
    return check_deployment(
        actor=acting_user(request),
        project=project_for(request, body.project),
        stack=find(visible_stacks(request), body.stack, "stack"),
        code_archive=visible.filter(sha256=body.code_archive).first(),
        request=body.request(),
    )


class DeploymentList(APIView):
    parser_classes = (DeploymentParser,)

    @operation("List deployments.", parameters=listed(DEPLOYMENTS, PROJECT), answer=Page[shapes.Deployment])
    def get(self, request: Request) -> Response:
        return DEPLOYMENTS.answer(
            in_project(visible_deployments(request).frozen(), request), request.query_params
        )

    @acts_once(deployment_again, prepare=sent_deployment)
    @operation(
        "Freeze a pipeline: a deployment of it.",
        body=DeploymentBody,
        example=A_DEPLOYMENT,
        answer=shapes.Deployment,
        errors=(404,),
    )
    def post(self, request: Request, checked: CheckedDeployment) -> Response:
        deployment = freeze_deployment(actor=acting_user(request), checked=checked)
        return Response(describe_deployment(deployment, True))


class DeploymentDetail(APIView):
    @operation("Get a deployment.", parameters=(HYDRATE,), answer=shapes.Deployment)
    def get(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(request, deployment_id)
        return Response(describe_deployment(deployment, wants_hydration(request.query_params, default=True)))


class RunTemplateList(APIView):
    @operation(
        "List run templates.", parameters=listed(RUN_TEMPLATES, PROJECT), answer=Page[shapes.RunTemplate]
    )
    def get(self, request: Request) -> Response:
        templates = in_project(visible_run_templates(request), request)
        query = request.query_params
        if "pipeline_id" in query and query.get("sort_by") == "created":
            # A ZenML client that triggers a pipeline by its name takes the first of these for the latest.
            query = query.copy()
            query["sort_by"] = "desc:created"
        return RUN_TEMPLATES.answer(templates, query)

    @acts_once(deployed_template_again)
    @operation(
        "Make a run template of a deployment.",
        body=RunTemplateBody,
        example={"name": "daily-retraining", "source_deployment_id": AN_ID},
        answer=shapes.DeployedRunTemplate,
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        body = read_body(RunTemplateBody, request)
        source = body.source_deployment_id or body.source_snapshot_id
        if source is None:
            raise ValidationFailed([FieldError("/source_deployment_id", "Say from which deployment.")])
        deployment = find_source(request, source)
        if body.project is not None and project_for(request, body.project) != deployment.project:
            sentence = (
                "The deployment is in another project: a template is made in the project of its deployment."
            )
            raise ValidationFailed([FieldError("/project", sentence)])
        template = create_run_template(
            actor=acting_user(request),
            name=body.name,
            deployment=deployment,
            description=body.description or "",
            is_hidden=bool(body.hidden),
            tags=body.tags or [],
            update=body.update,
            limit=body.limit(),
            drops_misfits=body.drop_misfits,
        )
        return Response(describe_deployed(template))


class RunTemplateDetail(APIView):
    @operation("Get a run template.", parameters=(HYDRATE,), answer=shapes.RunTemplate)
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find_run_template(request, name_or_id)
        return Response(describe_run_template(template, wants_hydration(request.query_params, default=True)))

    @acts_once(run_template_again)
    @operation(
        "Change a run template; what is null stays as it is.",
        body=RunTemplateUpdateBody,
        example={"description": "Trained every night.", "add_tags": ["nightly"]},
        answer=shapes.RunTemplate,
    )
    def put(self, request: Request, name_or_id: str) -> Response:
        body = read_body(RunTemplateUpdateBody, request)
        template = update_run_template(
            actor=acting_user(request),
            template=find_run_template(request, name_or_id),
            is_restricted=body.restricted,
            name=body.name,
            description=body.description,
            is_hidden=body.hidden,
            add_tags=body.add_tags or [],
            remove_tags=body.remove_tags or [],
            limit=body.limit(),
        )
        return Response(run_template_again(request, str(template.pk)))

    @acts_once(nothing)
    @operation("Delete a run template. Its runs stay.")
    def delete(self, request: Request, name_or_id: str) -> Response:
        delete_run_template(actor=acting_user(request), template=find_run_template(request, name_or_id))
        return Response(None)


def visible_pipelines(request: Request) -> QuerySet[Any]:
    return Pipeline.objects.visible_to(request.user).select_related("user").with_latest_run(request.user)


def visible_stacks(request: Request) -> QuerySet[Any]:
    return Stack.objects.visible_to(request.user).select_related("user")


def visible_deployments(request: Request) -> PipelineDeploymentQuerySet:
    return cast(
        PipelineDeploymentQuerySet, PipelineDeployment.objects.visible_to(request.user).with_relations()
    )


def visible_run_templates(request: Request) -> QuerySet[Any]:
    return RunTemplate.objects.visible_to(request.user).with_relations().with_latest_run(request.user)


def find_pipeline(request: Request, name_or_id: str) -> Pipeline:
    found = cast(
        Pipeline, find(in_named_project(visible_pipelines(request), request), name_or_id, "pipeline")
    )
    tell_latest_users([found])
    return found


def find_run_template(request: Request, name_or_id: str) -> RunTemplate:
    templates = in_named_project(visible_run_templates(request), request)
    template = cast(RunTemplate, find(templates, name_or_id, "run template"))
    template.version.used_by(role_on(acting_user(request), template))
    return template


def find_source(request: Request, source: str) -> PipelineDeployment:
    """What a template is made of: a deployment, or what another template runs, by that one's id."""
    if is_id(source):
        template = visible_run_templates(request).filter(pk=source).first()
        if template is not None:
            return cast(PipelineDeployment, template.deployment)
    return find_deployment(request, source)


def find_deployment(request: Request, deployment_id: str) -> PipelineDeployment:
    return cast(PipelineDeployment, find(visible_deployments(request), deployment_id, "deployment", None))
