"""REST for judging a run configuration before anybody runs it."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api.launches import find_template_to_run, split_preset
from runs_app.drafts import read_draft, resolved_for_reading
from runs_app.judging import WAIT, judge
from runs_app.plans import rules_of
from templates_app.api.views import acting_user
from zenweb.api.parsing import StrictJSONParser, read_bounded
from zenweb.config.yaml_text import YamlDocument, YamlRefused
from zenweb.exceptions import FieldError, MalformedRequest

EDITOR_WAIT = 0.5  # seconds: while one types


class YamlText(str):
    """A body that is YAML and not read yet: that it cannot be is an answer, not a failure."""


class YamlParser(BaseParser):
    """What the editor on a template's page sends."""

    media_type = "application/yaml"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> YamlText:
        body = read_bounded(stream, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        try:
            return YamlText(body.decode())
        except UnicodeDecodeError as error:
            raise MalformedRequest("The body is not a text in UTF-8.") from error


class TemplateValidation(APIView):
    """What running the template with this body would answer; nothing is made. YAML is told its lines."""

    parser_classes = (YamlParser, StrictJSONParser)

    def post(self, request: Request, name_or_id: str) -> Response:
        version = find_template_to_run(request, name_or_id).version
        document = None
        preset, configuration = split_preset(request)
        if isinstance(configuration, YamlText):
            try:
                document = read_draft(configuration)
            except YamlRefused as error:
                refused = {"pointer": "", "message": str(error), "line": error.line or None}
                return Response({"valid": False, "errors": [refused], "warnings": [], "configuration": None})
            configuration = document.value
        judgement = judge(
            actor=acting_user(request),
            version=version,
            configuration=configuration,
            preset=preset,
            wait=EDITOR_WAIT if document else WAIT,
        )
        resolved, config_schema = judgement.resolved, rules_of(version).config_schema
        return Response(
            {
                "valid": not judgement.errors,
                "errors": [describe_error(error, document) for error in judgement.errors],
                "warnings": judgement.warnings,
                "configuration": resolved_for_reading(config_schema, resolved) if resolved else None,
            }
        )


def describe_error(error: FieldError, document: YamlDocument | None) -> dict[str, Any]:
    line = {"line": document.line_of(error.pointer)} if document else {}
    return {"pointer": error.pointer, "message": error.message, **line}
