"""REST for running what ZenML's newer clients call a snapshot: a template, or a deployment as it is."""

from collections.abc import Mapping
from typing import IO, Any

from pydantic import ConfigDict, Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.launches import A_CONFIGURATION, PRESET, LaunchBody, run_deployment, run_template
from runs_app.api.runs import WAIT_FOR_END
from templates_app.api.snapshots import unnamed_snapshot
from zenweb.api.bodies import Body
from zenweb.api.operations import DRY_RUN, IDEMPOTENCY_KEY, REPLAYED, operation
from zenweb.api.parsing import StrictJSONParser
from zenweb.exceptions import FieldError, ValidationFailed

KEYS = {"run_configuration", "step_run"}


class SnapshotBody(Body):
    model_config = ConfigDict(extra="forbid")

    run_configuration: LaunchBody | None = None
    step_run: Any = Field(default=None, description="ZenML's clients send null.")


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

    @operation(
        "Start a run of a snapshot: of a run template, or of a deployment as it is.",
        parameters=(WAIT_FOR_END, DRY_RUN, PRESET, IDEMPOTENCY_KEY),
        body=SnapshotBody | None,
        is_body_required=False,
        example={"run_configuration": A_CONFIGURATION},
        answer=shapes.LaunchedRun | shapes.Preflight,
        headers=REPLAYED,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        deployment = unnamed_snapshot(request, name_or_id)
        if deployment is not None:
            return run_deployment(request, deployment)
        return run_template(request, name_or_id)
