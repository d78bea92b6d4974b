"""REST for the presets of a template: making, seeing, changing and deleting them."""

from collections.abc import Sequence
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.presets import create_preset, delete_preset, problems_of, problems_of_each, update_preset
from templates_app.api.views import NAMED, SORT_TIMES, acting_user, find_run_template
from templates_app.models import Preset, RunTemplate
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json, entity, user_entity
from zenweb.api.listing import Column, Listing, find, parse_bool, wants_hydration
from zenweb.api.operations import HYDRATE, listed, operation
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page


def tell_problems(presets: Sequence[Preset]) -> None:
    """Look for them together; all are of one template."""
    for preset in presets[1:]:
        preset.template = presets[0].template
    found = problems_of_each(presets)
    for preset in presets:
        preset.problems = found[preset.pk]


def describe_preset(preset: Preset, hydrate: bool) -> Json:
    problems = problems_of(preset) if preset.problems is None else preset.problems
    body = {
        "user_id": str(preset.user_id) if preset.user_id else None,
        "shared": preset.is_shared,
        "version": preset.version.number,
        # What the template's newest version does not take, and the preset's own did.
        "problems": [{"pointer": error.pointer, "message": error.message} for error in problems],
    }
    metadata = {"configuration": preset.configuration} if hydrate else None
    return entity(
        preset, name=preset.name, body=body, metadata=metadata, resources={"user": user_entity(preset.user)}
    )


PRESETS = Listing(
    columns={**NAMED, "shared": Column("is_shared", parse_bool)},
    sortable={**SORT_TIMES, "name": "name"},
    describe=describe_preset,
    default_sort="name",
    prepare=tell_problems,
)


class PresetBody(Body):
    name: str
    configuration: dict[str, Any] | None = None
    shared: bool = False


class PresetUpdateBody(Body):
    name: str | None = None
    configuration: dict[str, Any] | None = None
    shared: bool | None = None


def preset_again(request: Request, made: str, name_or_id: str, **names: str) -> Json:
    return describe_preset(find_preset(request, name_or_id, made), True)


class PresetList(APIView):
    @operation(
        "List the presets of a template: one's own, and shared ones.",
        parameters=listed(PRESETS),
        answer=Page[shapes.Preset],
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find_run_template(request, name_or_id)
        return PRESETS.answer(visible_presets(request, template), request.query_params)

    @acts_once(preset_again)
    @operation(
        "Keep values of a template under a name.",
        body=PresetBody,
        example={
            "name": "careful",
            "configuration": {"steps": {"trainer": {"parameters": {"learning_rate": 0.01}}}},
        },
        answer=shapes.Preset,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        body = read_body(PresetBody, request)
        preset = create_preset(
            actor=acting_user(request),
            template=find_run_template(request, name_or_id),
            name=body.name,
            configuration=body.configuration,
            is_shared=body.shared,
        )
        return Response(describe_preset(preset, True))


class PresetDetail(APIView):
    @operation("Get a preset.", parameters=(HYDRATE,), answer=shapes.Preset)
    def get(self, request: Request, name_or_id: str, preset: str) -> Response:
        found = find_preset(request, name_or_id, preset)
        return Response(describe_preset(found, wants_hydration(request.query_params, default=True)))

    @acts_once(preset_again)
    @operation(
        "Change a preset; what is null stays as it is.",
        body=PresetUpdateBody,
        example={"shared": True},
        answer=shapes.Preset,
    )
    def put(self, request: Request, name_or_id: str, preset: str) -> Response:
        body = read_body(PresetUpdateBody, request)
        changed = update_preset(
            actor=acting_user(request),
            preset=find_preset(request, name_or_id, preset),
            name=body.name,
            configuration=body.configuration,
            is_shared=body.shared,
        )
        return Response(describe_preset(changed, True))

    @acts_once(nothing)
    @operation("Delete a preset.")
    def delete(self, request: Request, name_or_id: str, preset: str) -> Response:
        delete_preset(actor=acting_user(request), preset=find_preset(request, name_or_id, preset))
        return Response(None)


def visible_presets(request: Request, template: RunTemplate) -> QuerySet[Any]:
    presets = Preset.objects.visible_to(request.user).filter(template=template)
    return presets.to_judge().select_related("user", "version__deployment__stack", "template__latest_version")


def find_preset(request: Request, name_or_id: str, preset: str) -> Preset:
    """By its name, one's own before a shared one; or by its id."""
    template = find_run_template(request, name_or_id)
    visible = visible_presets(request, template).order_by("is_shared")
    return cast(Preset, find(visible, preset, "preset"))
