"""REST for runs of the local stack: the process that called them reports their steps."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.runs import find_run
from runs_app.assignments import assignment_for
from runs_app.recording import StepOutcome
from runs_app.services import end_local_step, renew_lease, seconds_until_retry, start_local_step
from templates_app.api.views import acting_user
from zenweb.api.bodies import Body, read_body
from zenweb.api.operations import operation
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.metadata import check_metadata
from zenweb.execution.protocol import Assignment, StepException, StoredArtifact


class OutputBody(Body):
    name: str
    uri: str
    materializer: str
    data_type: str
    type: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    preview: dict[str, str] | None = None


class ExceptionBody(Body):
    type: str
    message: str
    traceback: str = ""
    parameter: str = ""


class StepEndBody(Body):
    attempt: int
    status: str
    outputs: list[OutputBody] = Field(default_factory=list)
    exception: ExceptionBody | None = None
    log: str = ""
    step_metadata: dict[str, Any] = Field(default_factory=dict)
    run_metadata: dict[str, Any] = Field(default_factory=dict)

    def outcome(self) -> StepOutcome:
        check_metadata(self.step_metadata)
        check_metadata(self.run_metadata)
        fields = ("uri", "materializer", "data_type", "type", "metadata", "preview")
        return StepOutcome(
            outputs={
                output.name: StoredArtifact(**{field: getattr(output, field) for field in fields})
                for output in self.outputs
            },
            exception=self._exception(),
            metadata=self.step_metadata,
            run_metadata=self.run_metadata,
            was_stopped=self.status == ExecutionStatus.STOPPED,
            log_tail=self.log.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        )

    def _exception(self) -> StepException | None:
        if self.status not in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.STOPPED}:
            raise ValidationFailed([FieldError("/status", "A step ends completed, failed or stopped.")])
        if self.status != ExecutionStatus.FAILED:
            return None
        given = self.exception or ExceptionBody(type="Error", message="The step failed.")
        return StepException(**given.model_dump())


class LocalStepStart(APIView):
    @operation("Begin a step of a run that the caller executes.", answer=Assignment, errors=(422,))
    def post(self, request: Request, name_or_id: str, step_name: str) -> Response:
        attempt = start_local_step(
            actor=acting_user(request), run=find_run(request, name_or_id), step_name=step_name
        )
        return Response(assignment_for(attempt).model_dump(mode="json"))


class LocalStepEnd(APIView):
    @operation(
        "Tell how a step ended that the caller executed.",
        body=StepEndBody,
        example={"attempt": 1, "status": "completed", "outputs": []},
        answer=shapes.LocalStepEnd,
    )
    def post(self, request: Request, name_or_id: str, step_name: str) -> Response:
        body = read_body(StepEndBody, request)
        recorded = end_local_step(
            actor=acting_user(request),
            run=find_run(request, name_or_id),
            step_name=step_name,
            number=body.attempt,
            outcome=body.outcome(),
        )
        return Response(
            {
                "recorded": recorded,
                "retry_after": seconds_until_retry(find_run(request, name_or_id), step_name),
            }
        )


class LocalLease(APIView):
    @operation("Tell that the caller still executes a run.", answer=shapes.Lease, errors=(422,))
    def post(self, request: Request, name_or_id: str) -> Response:
        goes_on = renew_lease(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response({"goes_on": goes_on})
