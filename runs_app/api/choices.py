"""REST for what may be chosen for a parameter, as a worker tells it."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.launches import find_template_to_run
from runs_app.choices import ask_for_choices
from templates_app.api.views import acting_user
from zenweb.accounts.actions import Action
from zenweb.api.bodies import Body, read_body
from zenweb.api.operations import operation

WAIT = 2.5  # seconds


class ChoicesBody(Body):
    step: str
    parameter: str
    configuration: dict[str, Any] | None = None
    """As it would be run, as far as it is known: choices may depend on its values."""
    search: str = Field(default="", max_length=200)
    again: bool = False
    """Ask although it failed a moment ago."""
    page: int = Field(default=1, ge=1)
    size: int = Field(default=50, ge=1, le=1000)


class TemplateChoices(APIView):
    """A page of what may be chosen, or the sentence why that is not known. Asking again goes on waiting."""

    @operation(
        "Ask what may be chosen for a parameter.",
        body=ChoicesBody,
        example={"step": "trainer", "parameter": "dataset", "search": "2026"},
        answer=shapes.ChoicesPage,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        body, template = read_body(ChoicesBody, request), find_template_to_run(request, name_or_id)
        offer = ask_for_choices(
            actor=acting_user(request),
            version=template.version,
            step=body.step,
            parameter=body.parameter,
            configuration=body.configuration,
            wait=WAIT,
            again=body.again,
        )
        found = offer.search(body.search)
        first = (body.page - 1) * body.size
        answer = {
            "status": offer.knowledge.value,
            "sentence": offer.sentence,
            "options": [
                {"value": value, "label": label} for value, label in found[first : first + body.size]
            ],
            "total": len(found),
            "page": body.page,
            "size": body.size,
        }
        owners = {"log": offer.log} if Action.EDIT.is_for(template.version.role) else {}
        return Response(answer | owners)
