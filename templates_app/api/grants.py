"""REST for roles: who is what to a project or a run template."""

import uuid
from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from templates_app.api.views import TIMES, acting_user, find_run_template
from templates_app.grants import (
    GROUP_MARK,
    Granted,
    check_may_grant,
    find_holder,
    grant_role,
    grants_on,
    revoke_role,
)
from zenweb.accounts.api import shapes
from zenweb.accounts.api.projects import find_visible_project
from zenweb.accounts.models import RoleGrant
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json, entity, wire_time
from zenweb.api.listing import Column, Listing, Related, find, wants_hydration
from zenweb.api.operations import HYDRATE, listed, operation
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page
from zenweb.enums import Role, RoleWord
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed


def describe_role_grant(grant: RoleGrant, hydrate: bool) -> Json:
    body = {
        "created": wire_time(grant.created),
        "updated": wire_time(grant.updated),
        "role": Role(grant.role).word,
        "user": grant.user.get_username() if grant.user else None,
        "group": grant.group.name if grant.group else None,
        "run_template_id": str(grant.template_id) if grant.template_id else None,
        "project_id": str(grant.project_id) if grant.project_id else None,
    }
    return entity(grant, name=grant.holder, body=body, metadata={} if hydrate else None)


ROLE_GRANTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        **TIMES,
        "role": Column("role", Role.spelt),
        "user": Related("user", name="username"),
        "group": Related("group"),
    },
    sortable={"created": "created", "updated": "updated", "role": "role", "id": "pk"},
    describe=describe_role_grant,
)


class RoleGrantBody(Body):
    """`user` or `group`: a name."""

    user: str | None = None
    group: str | None = None
    role: RoleWord


def template_grant_again(request: Request, made: str, name_or_id: str) -> Json:
    return describe_role_grant(find_grant(request, find_run_template(request, name_or_id), made), True)


def project_grant_again(request: Request, made: str, name_or_id: str) -> Json:
    return describe_role_grant(find_grant(request, find_visible_project(request, name_or_id), made), True)


class TemplateRoleGrantList(APIView):
    """Who is what to a run template; a role that is given takes the place of the one before."""

    @operation(
        "List the roles on a run template.",
        parameters=listed(ROLE_GRANTS),
        answer=Page[shapes.RoleGrant],
        errors=(403,),
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        return answer_grants(request, find_run_template(request, name_or_id))

    @acts_once(template_grant_again)
    @operation(
        "Give a role on a run template.",
        body=RoleGrantBody,
        example={"user": "bob", "role": "runner"},
        answer=shapes.RoleGrant,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        return give(request, find_run_template(request, name_or_id))


class TemplateRoleGrantDetail(APIView):
    @operation("Get a role on a run template.", parameters=(HYDRATE,), answer=shapes.RoleGrant, errors=(403,))
    def get(self, request: Request, name_or_id: str, grant_id: str) -> Response:
        return answer_grant(request, find_run_template(request, name_or_id), grant_id)

    @acts_once(nothing)
    @operation("Take a role on a run template away.")
    def delete(self, request: Request, name_or_id: str, grant_id: str) -> Response:
        return take_away(request, find_run_template(request, name_or_id), grant_id)


class ProjectRoleGrantList(APIView):
    """Who is what to a project; a role that is given takes the place of the one before."""

    @operation(
        "List the roles in a project.",
        parameters=listed(ROLE_GRANTS),
        answer=Page[shapes.RoleGrant],
        errors=(403,),
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        return answer_grants(request, find_visible_project(request, name_or_id))

    @acts_once(project_grant_again)
    @operation(
        "Give a role in a project.",
        body=RoleGrantBody,
        example={"group": "data science", "role": "editor"},
        answer=shapes.RoleGrant,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        return give(request, find_visible_project(request, name_or_id))


class ProjectRoleGrantDetail(APIView):
    @operation("Get a role in a project.", parameters=(HYDRATE,), answer=shapes.RoleGrant, errors=(403,))
    def get(self, request: Request, name_or_id: str, grant_id: str) -> Response:
        return answer_grant(request, find_visible_project(request, name_or_id), grant_id)

    @acts_once(nothing)
    @operation("Take a role in a project away.")
    def delete(self, request: Request, name_or_id: str, grant_id: str) -> Response:
        return take_away(request, find_visible_project(request, name_or_id), grant_id)


def answer_grants(request: Request, thing: Granted) -> Response:
    check_may_grant(acting_user(request), thing)
    return ROLE_GRANTS.answer(grants_on(thing), request.query_params)


def answer_grant(request: Request, thing: Granted, grant_id: str) -> Response:
    grant = find_grant(request, thing, grant_id)
    return Response(describe_role_grant(grant, wants_hydration(request.query_params, default=True)))


def give(request: Request, thing: Granted) -> Response:
    body, actor = read_body(RoleGrantBody, request), acting_user(request)
    check_may_grant(actor, thing)  # before it says whether there is such an account
    if (body.user is None) == (body.group is None):
        raise ValidationFailed([FieldError("/user", "Say which user, or which group.")])
    field, name = ("user", body.user) if body.user is not None else ("group", f"{GROUP_MARK}{body.group}")
    try:
        holder = find_holder(name)
    except DoesNotExist as error:
        raise ValidationFailed([FieldError(f"/{field}", str(error))]) from error
    grant = grant_role(actor=actor, on=thing, to=holder, role=Role.spelt(body.role))
    return Response(describe_role_grant(grant, True))


def take_away(request: Request, thing: Granted, grant_id: str) -> Response:
    revoke_role(actor=acting_user(request), grant=find_grant(request, thing, grant_id))
    return Response(None)


def find_grant(request: Request, thing: Granted, grant_id: str) -> RoleGrant:
    check_may_grant(acting_user(request), thing)
    return cast(RoleGrant, find(grants_on(thing), grant_id, "role grant", None))
