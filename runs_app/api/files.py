"""REST for files: uploading one for a run, and getting one back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django.http.response import HttpResponseBase
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.artifacts import visible_artifact_versions
from runs_app.api.entities import describe_artifact_version
from runs_app.downloads import attachment
from runs_app.models import ArtifactVersion
from runs_app.uploads import store_upload
from templates_app.api.views import acting_user
from zenweb.accounts.services import find_project
from zenweb.api.listing import find
from zenweb.api.operations import BYTES, NOT_JSON, PROJECT, Parameter, operation
from zenweb.api.uploads import StreamParser, pieces_of
from zenweb.config.file_references import parse_size
from zenweb.exceptions import FieldError, LengthRequired, ValidationFailed

A_FILE = {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}


class UploadList(APIView):
    """A file, as the part `file` of a form or as the body itself with `?name=`; the artifact version it has become."""

    parser_classes = (MultiPartParser, StreamParser)

    @operation(
        "Upload a file for a run.",
        parameters=(
            Parameter("name", "What the file is called, where it is the body itself."),
            Parameter("types", "Ends of names that are taken, such as `.csv,.txt`."),
            Parameter("max_size", "The most that is taken, such as `10MB`."),
            PROJECT,
        ),
        body_as={"multipart/form-data": A_FILE, "application/octet-stream": BYTES},
        is_body_required=True,
        answer=shapes.ArtifactVersion,
        errors=(411,),
    )
    def post(self, request: Request) -> Response:
        sent = sent_file(request)
        version = store_upload(
            actor=acting_user(request),
            project=find_project(acting_user(request), request.query_params.get("project")),
            name=sent.name,
            content=sent.content,
            content_type=sent.content_type,
            size=sent.size,
            rules=rules_asked_for(request),
            # Another attempt at a step finds the run that it has started only by the same values.
            is_once=acting_user(request).step_in_use is not None,
        )
        return Response(describe_artifact_version(version, True))


class ArtifactVersionContent(APIView):
    """The file that an artifact version is; where it is several, an archive of them."""

    @operation(
        "Download what an artifact version is: its file, or all of its files in an archive.",
        parameters=(
            Parameter("Range", "The part of a file that is asked for: `bytes=1000-`.", location="header"),
            Parameter("If-Range", "The `ETag` of the file whose part it is to be.", location="header"),
            Parameter("If-None-Match", "The `ETag` of what is there already.", location="header"),
        ),
        answer=NOT_JSON,
        also={"application/octet-stream": BYTES, "application/zip": BYTES},
        otherwise={
            206: ("The part that was asked for.", {"application/octet-stream": BYTES}),
            304: ("It is what is there already.", {}),
            412: ("It is not what `If-Match` names.", {}),
        },
        errors=(416, 422),
    )
    def get(self, request: Request, version_id: str) -> HttpResponseBase:
        version = find(visible_artifact_versions(request), version_id, "artifact version", None)
        return attachment(request, cast(ArtifactVersion, version))


@dataclass(frozen=True)
class SentFile:
    """A file on its way in, with what its sender says of it."""

    name: str
    content_type: str
    size: int | None
    content: Iterable[bytes]


def sent_file(request: Request) -> SentFile:
    if request.headers.get("Transfer-Encoding") and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired(
            "Send the file with a Content-Length, not in chunks, as `curl --data-binary @orders.csv` does."
        )
    if (request.content_type or "").startswith("multipart/form-data"):
        file = request.FILES.get("file")
        if file is None:
            raise ValidationFailed([FieldError("/file", "Send the file as the part `file` of the form.")])
        return SentFile(file.name or "", file.content_type or "", file.size, file.chunks())
    name = request.query_params.get("name", "")
    if not name:
        raise ValidationFailed(
            [FieldError("/name", "Say what the file is called: /uploads?name=orders.csv.")]
        )
    announced = request.META.get("CONTENT_LENGTH") or None
    size = int(announced) if announced else None
    stream: Any = request.data  # nothing where there is no body
    content = pieces_of(stream, size) if hasattr(stream, "read") else ()
    return SentFile(name, request.content_type or "", size, content)


def rules_asked_for(request: Request) -> dict[str, Any]:
    """Limits of the parameter that the file is for, where the caller knows them."""
    types = [
        each.strip().lower() for each in request.query_params.get("types", "").split(",") if each.strip()
    ]
    rules: dict[str, Any] = {"types": types}
    if text := request.query_params.get("max_size"):
        try:
            rules["max_size"] = parse_size(text)
        except ValueError as error:
            raise ValidationFailed([FieldError("/max_size", str(error))]) from error
    return rules
