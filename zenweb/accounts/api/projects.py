"""REST for projects, in ZenML's shapes."""

import uuid
from typing import Any, Literal, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zenweb.accounts.api import shapes
from zenweb.accounts.models import Project, User
from zenweb.accounts.projects import create_project, update_project
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json, entity
from zenweb.api.listing import Column, Listing, find, parse_time
from zenweb.api.operations import listed, operation
from zenweb.api.repeats import acts_once
from zenweb.api.shapes import Page
from zenweb.enums import Role

DefaultRoleWord = Literal["nobody", "viewer", "runner", "editor", "owner"]


def project_again(request: Request, made: str, **names: str) -> Json:
    return describe_project(find_visible_project(request, made), True)


def describe_project(project: Project, hydrate: bool) -> Json:
    metadata = {"description": ""} if hydrate else None
    body = {"display_name": project.display_name, "default_role": Role(project.default_role).word}
    return entity(project, name=project.name, body=body, metadata=metadata)


PROJECTS = Listing(
    columns={
        "name": Column("name"),
        "id": Column("pk", uuid.UUID),
        "created": Column("created", parse_time),
        "updated": Column("updated", parse_time),
    },
    sortable={"created": "created", "updated": "updated", "name": "name", "id": "pk"},
    describe=describe_project,
)


class ProjectBody(Body):
    name: str
    display_name: str | None = None
    description: str | None = None
    default_role: DefaultRoleWord = "nobody"


class ProjectUpdateBody(Body):
    display_name: str | None = None
    default_role: DefaultRoleWord | None = None


class ProjectList(APIView):
    @operation("List projects.", parameters=listed(PROJECTS), answer=Page[shapes.Project])
    def get(self, request: Request) -> Response:
        return PROJECTS.answer(visible_projects(request), request.query_params)

    @acts_once(project_again)
    @operation(
        "Make a project.",
        body=ProjectBody,
        example={"name": "marketing", "default_role": "viewer"},
        answer=shapes.Project,
    )
    def post(self, request: Request) -> Response:
        body = read_body(ProjectBody, request)
        project = create_project(
            actor=cast(User, request.user),
            name=body.name,
            display_name=body.display_name or "",
            default_role=Role.spelt(body.default_role),
        )
        return Response(describe_project(project, True))


class ProjectDetail(APIView):
    @operation("Get a project.", answer=shapes.Project)
    def get(self, request: Request, name_or_id: str) -> Response:
        return Response(describe_project(find_visible_project(request, name_or_id), True))

    @acts_once(project_again)
    @operation(
        "Change how a project is shown, and what everybody is in it.",
        body=ProjectUpdateBody,
        example={"default_role": "viewer"},
        answer=shapes.Project,
    )
    def put(self, request: Request, name_or_id: str) -> Response:
        body = read_body(ProjectUpdateBody, request)
        project = update_project(
            actor=cast(User, request.user),
            project=find_visible_project(request, name_or_id),
            display_name=body.display_name,
            default_role=Role.spelt(body.default_role) if body.default_role else None,
        )
        return Response(describe_project(project, True))


def visible_projects(request: Request) -> QuerySet[Any]:
    return Project.objects.visible_to(cast(User, request.user))


def find_visible_project(request: Request, name_or_id: str) -> Project:
    return cast(Project, find(visible_projects(request), name_or_id, "project"))
