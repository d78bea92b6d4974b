"""REST for the audit: what was done, by whom and from where; to look at and to take along, never to change."""

import uuid
from typing import Any, cast

from django.db.models import Q
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from zenweb.accounts.api import shapes
from zenweb.accounts.audit_export import export
from zenweb.accounts.models import AuditEvent, AuditEventQuerySet, Project, User
from zenweb.api.envelope import Json, entity
from zenweb.api.listing import Column, Listing, find, parse_time, wants_hydration
from zenweb.api.operations import HYDRATE, NOT_JSON, TEXT, listed, operation
from zenweb.api.shapes import Page
from zenweb.entity import is_id


class NamedById(Column):
    """What an event names by its id and its name."""

    def compare(self, operation: str, text: str) -> Q:
        if operation == "equals" and is_id(text):
            return Q(**{f"{self.path}_id": text})
        return Column(f"{self.path}_name").compare(operation, text)


class OfProject(Column):
    """The id of a project, which may be called by its name."""

    def compare(self, operation: str, text: str) -> Q:
        found = Project.objects.filter(Column("pk" if is_id(text) else "name").compare(operation, text))
        return Q(project_id__in=found.values("pk"))


def describe_event(event: AuditEvent, hydrate: bool) -> Json:
    body = {
        "verb": event.verb,
        "noun": event.noun,
        "thing_id": event.thing_id or None,
        "thing_name": event.thing_name,
        "user_id": _id(event.user_id),
        "user_name": event.user_name or None,
        "api_key_id": _id(event.api_key_id),
        "api_key_name": event.api_key_name or None,
        "channel": event.channel,
        "address": event.address or None,
        "template_id": _id(event.template_id),
        "project_id": _id(event.project_id),
    }
    metadata = {"before": event.before, "after": event.after} if hydrate else None
    return entity(event, name=None, body=body, metadata=metadata)


AUDIT_EVENTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "created": Column("created", parse_time),
        "verb": Column("verb"),
        "noun": Column("noun"),
        "thing": NamedById("thing"),
        "thing_id": Column("thing_id"),
        "thing_name": Column("thing_name"),
        "user": NamedById("user"),
        "user_id": Column("user_id", uuid.UUID),
        "user_name": Column("user_name"),
        "api_key": NamedById("api_key"),
        "channel": Column("channel"),
        "address": Column("address"),
        "template_id": Column("template_id", uuid.UUID),
        "project": OfProject("project_id"),
    },
    sortable={"created": "created"},
    describe=describe_event,
    default_sort="desc:created",
)


class AuditEventList(APIView):
    @operation("List what was done.", parameters=listed(AUDIT_EVENTS), answer=Page[shapes.AuditEvent])
    def get(self, request: Request) -> Response:
        return AUDIT_EVENTS.answer(visible_events(request), request.query_params)


class AuditEventDetail(APIView):
    @operation("Get what was done once.", parameters=(HYDRATE,), answer=shapes.AuditEvent)
    def get(self, request: Request, event: str) -> Response:
        found = find(visible_events(request), event, "audit event", None)
        return Response(describe_event(found, wants_hydration(request.query_params, default=True)))


class AuditEventExport(APIView):
    """What the list's filters leave, as CSV."""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whatever is asked for: CSV is no renderer's."""
        return super().perform_content_negotiation(request, force=True)

    @operation(
        "Take along what was done, as a table.",
        parameters=listed(AUDIT_EVENTS),
        answer=NOT_JSON,
        also={"text/csv": TEXT},
        errors=(503,),
    )
    def get(self, request: Request) -> HttpResponseBase:
        return export(AUDIT_EVENTS.filtered(visible_events(request), request.query_params), request.user.pk)


def visible_events(request: Request) -> AuditEventQuerySet:
    return AuditEvent.objects.visible_to(cast(User, request.user))


def _id(value: uuid.UUID | None) -> str | None:
    return str(value) if value else None
