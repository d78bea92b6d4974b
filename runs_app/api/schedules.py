"""REST for schedules: making, seeing, pausing, changing and deleting them."""

import uuid
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_schedule
from runs_app.models import Schedule
from runs_app.schedules import create_schedule, delete_schedule, update_schedule
from templates_app.api.views import (
    NAMED,
    SORT_TIMES,
    acting_user,
    find_run_template,
    in_named_project,
    in_project,
)
from zenweb.accounts.services import find_project
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.listing import Column, Listing, Related, find, parse_bool, parse_time, wants_hydration
from zenweb.api.operations import HYDRATE, PROJECT, listed, operation
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page
from zenweb.exceptions import ValidationFailed

SCHEDULES = Listing(
    columns={
        **NAMED,
        "active": Column("is_paused", lambda text: not parse_bool(text)),
        "next_time": Column("next_time", parse_time),
        "template_id": Column("template_id", uuid.UUID),
        "template": Related("template"),
        "pipeline_id": Column("template__latest_version__deployment__pipeline_id", uuid.UUID),
        "user": Related("user", name="username"),
    },
    sortable={**SORT_TIMES, "name": "name", "next_time": "next_time"},
    describe=describe_schedule,
)


class ScheduleBody(Body):
    name: str
    template: str
    cron_expression: str
    zone: str = "UTC"
    configuration: dict[str, Any] | None = None
    preset: str | None = None
    active: bool = True
    project: str | None = None


class ScheduleUpdateBody(Body):
    name: str | None = None
    cron_expression: str | None = None
    zone: str | None = None
    configuration: dict[str, Any] | None = None
    active: bool | None = None


def schedule_again(request: Request, made: str, **names: str) -> Json:
    return describe_schedule(find(visible_schedules(request), made, "schedule"), True)


class ScheduleList(APIView):
    @operation("List schedules.", parameters=listed(SCHEDULES, PROJECT), answer=Page[shapes.Schedule])
    def get(self, request: Request) -> Response:
        return SCHEDULES.answer(in_project(visible_schedules(request), request), request.query_params)

    @acts_once(schedule_again)
    @operation(
        "Have a template run by itself.",
        body=ScheduleBody,
        example={
            "name": "nightly",
            "template": "daily-retraining",
            "cron_expression": "0 3 * * *",
            "zone": "Europe/Berlin",
        },
        answer=shapes.Schedule,
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        body = read_body(ScheduleBody, request)
        template = find_run_template(request, body.template)
        actor = acting_user(request)
        if body.project is not None and find_project(actor, body.project) != template.project:
            raise ValidationFailed(f"The run template {template.name!r} is not in project {body.project!r}.")
        schedule = create_schedule(
            actor=actor,
            template=template,
            name=body.name,
            cron=body.cron_expression,
            zone=body.zone,
            configuration=body.configuration,
            preset=body.preset or "",
            is_paused=not body.active,
        )
        return Response(schedule_again(request, str(schedule.pk)))


class ScheduleDetail(APIView):
    @operation("Get a schedule.", parameters=(HYDRATE,), answer=shapes.Schedule)
    def get(self, request: Request, name_or_id: str) -> Response:
        schedule = find_schedule(request, name_or_id)
        return Response(describe_schedule(schedule, wants_hydration(request.query_params, default=True)))

    @acts_once(schedule_again)
    @operation(
        "Change, pause or resume a schedule; what is null stays as it is.",
        body=ScheduleUpdateBody,
        example={"active": False},
        answer=shapes.Schedule,
    )
    def put(self, request: Request, name_or_id: str) -> Response:
        body = read_body(ScheduleUpdateBody, request)
        schedule = update_schedule(
            actor=acting_user(request),
            schedule=find_schedule(request, name_or_id),
            name=body.name,
            cron=body.cron_expression,
            zone=body.zone,
            configuration=body.configuration,
            is_paused=None if body.active is None else not body.active,
        )
        return Response(schedule_again(request, str(schedule.pk)))

    @acts_once(nothing)
    @operation("Delete a schedule. Its runs stay.")
    def delete(self, request: Request, name_or_id: str) -> Response:
        delete_schedule(actor=acting_user(request), schedule=find_schedule(request, name_or_id))
        return Response(None)


def visible_schedules(request: Request) -> QuerySet[Any]:
    visible = Schedule.objects.visible_to(request.user)
    return visible.with_relations().with_values_shown_to(acting_user(request))


def find_schedule(request: Request, name_or_id: str) -> Schedule:
    return cast(Schedule, find(in_named_project(visible_schedules(request), request), name_or_id, "schedule"))
