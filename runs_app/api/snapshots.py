"""REST for running what ZenML's newer clients call a snapshot: a template, or a deployment as it is."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api.launches import run_deployment, run_template
from templates_app.api.snapshots import unnamed_snapshot
from zenweb.api.parsing import StrictJSONParser
from zenweb.exceptions import FieldError, ValidationFailed

KEYS = {"run_configuration", "step_run"}


class SnapshotRunParser(StrictJSONParser):
    """The run configuration, which is one key of the body here."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = super().parse(stream, media_type, parser_context)
        if body is None:
            return None
        if not isinstance(body, dict):
            raise ValidationFailed("Send a JSON object with the key run_configuration.")
        if unknown := sorted(body.keys() - KEYS):
            sentence = "There is no such key here. What the run is given belongs into run_configuration."
            raise ValidationFailed([FieldError(f"/{key}", sentence) for key in unknown])
        return body.get("run_configuration")


class SnapshotRuns(APIView):
    parser_classes = (SnapshotRunParser,)

    def post(self, request: Request, name_or_id: str) -> Response:
        deployment = unnamed_snapshot(request, name_or_id)
        if deployment is not None:
            return run_deployment(request, deployment)
        return run_template(request, name_or_id)
