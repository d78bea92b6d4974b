"""REST for judging a run configuration before anybody runs it."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.launches import A_CONFIGURATION, PRESET, find_template_to_run, split_preset
from runs_app.api.snapshots import SnapshotBody, SnapshotRunParser
from runs_app.drafts import read_draft, resolved_for_reading
from runs_app.judging import WAIT, Judgement, judge, judge_unfrozen
from runs_app.plans import Runnable, rules_of
from templates_app.api.snapshots import unnamed_snapshot
from templates_app.api.views import (
    A_DEPLOYMENT,
    DeploymentBody,
    acting_user,
    find,
    find_deployment,
    project_for,
    visible_stacks,
)
from zenweb.api.bodies import read_body
from zenweb.api.listing import flag
from zenweb.api.operations import TEXT, Parameter, operation
from zenweb.api.parsing import StrictJSONParser, read_bounded
from zenweb.config.yaml_text import YamlDocument, YamlRefused
from zenweb.exceptions import FieldError, MalformedRequest

SCHEMA = Parameter(
    "schema",
    "Answer with `config_schema`, too: what may be given with these parameters of the pipeline.",
    {"type": "boolean", "default": False},
)
EDITOR_WAIT = 0.5  # seconds: while one types


YAML = {"application/yaml": TEXT}


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

    @operation(
        "Have a configuration of a template checked.",
        parameters=(PRESET, SCHEMA),
        body=Any,
        body_as=YAML,
        is_body_required=False,
        example=A_CONFIGURATION,
        answer=shapes.Judgement,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        return validate_template(request, name_or_id)


class DeploymentValidation(APIView):
    """What running the deployment as it is would answer."""

    parser_classes = (YamlParser, StrictJSONParser)

    @operation(
        "Have a configuration of a deployment checked.",
        body=Any,
        body_as=YAML,
        is_body_required=False,
        example=A_CONFIGURATION,
        answer=shapes.Judgement,
    )
    def post(self, request: Request, deployment_id: str) -> Response:
        return answer_judgement(request, find_deployment(request, deployment_id), request.data)


class TrialBody(DeploymentBody):
    """A pipeline as it is sent to be frozen, and what it is to be run with. The archive need not be there."""

    configuration: Any = None


class PipelineValidation(APIView):
    """What freezing a pipeline and running it would answer; nothing is made."""

    @operation(
        "Have a pipeline and a configuration checked before the pipeline is frozen.",
        body=TrialBody,
        example={**A_DEPLOYMENT, "configuration": A_CONFIGURATION},
        answer=shapes.Judgement,
        errors=(404,),
    )
    def post(self, request: Request) -> Response:
        body = read_body(TrialBody, request)
        judgement = judge_unfrozen(
            actor=acting_user(request),
            project=project_for(request, body.project),
            stack=find(visible_stacks(request), body.stack, "stack"),
            code_sha256=body.code_archive,
            request=body.request(),
            configuration=body.configuration,
        )
        return Response(describe_judgement(judgement, body.config_schema))


class SnapshotValidation(APIView):
    """What running the snapshot with this body would answer: a template, or a deployment as it is."""

    parser_classes = (SnapshotRunParser,)

    @operation(
        "Have a configuration of a snapshot checked.",
        parameters=(PRESET,),
        body=SnapshotBody | None,
        is_body_required=False,
        example={"run_configuration": A_CONFIGURATION},
        answer=shapes.Judgement,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        deployment = unnamed_snapshot(request, name_or_id)
        if deployment is not None:
            return answer_judgement(request, deployment, request.data)
        return validate_template(request, name_or_id)


def validate_template(request: Request, name_or_id: str) -> Response:
    version = find_template_to_run(request, name_or_id).version
    preset, configuration = split_preset(request)
    return answer_judgement(request, version, configuration, preset)


def answer_judgement(request: Request, runnable: Runnable, configuration: Any, preset: str = "") -> Response:
    document = None
    if isinstance(configuration, YamlText):
        try:
            document = read_draft(configuration)
        except YamlRefused as error:
            refused = {"pointer": "", "message": str(error), "line": error.line or None}
            return Response({"valid": False, "errors": [refused], "warnings": [], "configuration": None})
        configuration = document.value
    judgement = judge(
        actor=acting_user(request),
        runnable=runnable,
        configuration=configuration,
        preset=preset,
        wait=EDITOR_WAIT if document else WAIT,
    )
    config_schema = rules_of(judgement.runnable or runnable).config_schema
    described = describe_judgement(judgement, config_schema, document)
    if flag(request.query_params, "schema"):
        described["config_schema"] = config_schema
    return Response(described)


def describe_judgement(
    judgement: Judgement, config_schema: dict[str, Any], document: YamlDocument | None = None
) -> dict[str, Any]:
    resolved = judgement.resolved
    return {
        "valid": not judgement.errors,
        "errors": [describe_error(error, document) for error in judgement.errors],
        "warnings": judgement.warnings,
        "configuration": resolved_for_reading(config_schema, resolved) if resolved else None,
    }


def describe_error(error: FieldError, document: YamlDocument | None) -> dict[str, Any]:
    line = {"line": document.line_of(error.pointer)} if document else {}
    return {"pointer": error.pointer, "message": error.message, **line}
