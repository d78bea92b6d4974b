"""REST for noting values about runs, steps and artifacts."""

from typing import Any, cast

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api.artifacts import visible_artifact_versions
from runs_app.api.runs import find_run
from runs_app.api.steps import find_step
from runs_app.models import ArtifactVersion
from runs_app.services import Noteworthy, note_metadata
from templates_app.api.views import acting_user
from zenweb.api.bodies import Body, read_body
from zenweb.api.examples import AN_ID
from zenweb.api.listing import find
from zenweb.api.operations import operation
from zenweb.api.repeats import acts_once
from zenweb.exceptions import FieldError, ValidationFailed


class ResourceBody(Body):
    id: str
    type: str


class RunMetadataBody(Body):
    resources: list[ResourceBody] = Field(min_length=1, max_length=100)
    values: dict[str, Any] = Field(min_length=1)


def things_of(request: Request, body: RunMetadataBody) -> list[Noteworthy]:
    return [
        find_noteworthy(request, resource, f"/resources/{index}/type")
        for index, resource in enumerate(body.resources)
    ]


def noted_again(request: Request, made: str) -> None:
    things_of(request, read_body(RunMetadataBody, request))


class RunMetadata(APIView):
    """Values about runs, steps and artifacts, as ZenML's `log_metadata` sends them. Its `types` say nothing new."""

    @acts_once(noted_again)
    @operation(
        "Note values about runs, steps and artifact versions.",
        body=RunMetadataBody,
        example={"resources": [{"id": AN_ID, "type": "pipeline_run"}], "values": {"accuracy": 0.93}},
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        body = read_body(RunMetadataBody, request)
        note_metadata(actor=acting_user(request), things=things_of(request, body), values=body.values)
        return Response(None)


def find_noteworthy(request: Request, resource: ResourceBody, pointer: str) -> Noteworthy:
    match resource.type:
        case "pipeline_run":
            return find_run(request, resource.id)
        case "step_run":
            return find_step(request, resource.id)
        case "artifact_version":
            found = find(visible_artifact_versions(request), resource.id, "artifact version", None)
            return cast(ArtifactVersion, found)
    sentence = "Metadata are about a pipeline_run, a step_run or an artifact_version."
    raise ValidationFailed([FieldError(pointer, sentence)])
