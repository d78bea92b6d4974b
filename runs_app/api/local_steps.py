"""REST for runs of the local stack: the process that called them reports their steps."""

from typing import Any
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.runs import find_run
from runs_app.assignments import assignment_for
from runs_app.recording import LogPiece, StepOutcome
from runs_app.services import (
    end_local_step,
    goes_on,
    renew_lease,
    report_local_progress,
    seconds_until_retry,
    start_local_step,
    started_local_attempt,
)
from templates_app.api.views import acting_user
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json
from zenweb.api.operations import operation
from zenweb.api.repeats import acts_once, no_text
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.metadata import check_metadata
from zenweb.execution.protocol import LONGEST_ARTIFACT_NAME, Assignment, Plain, StepException, StoredArtifact


class OutputBody(Body):
    name: str
    uri: str
    materializer: str
    data_type: str
    type: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    preview: dict[str, str] | None = None
    length: int | None = Field(default=None, ge=0)
    value: Plain | None = None
    artifact_name: str = Field(default="", max_length=LONGEST_ARTIFACT_NAME)


class ExceptionBody(Body):
    type: str
    message: str
    traceback: str = ""
    parameter: str = ""


class ProgressBody(Body):
    attempt: int
    piece: int = 0
    """How many pieces of the log were told before this one, from which it is known when it comes again."""
    log: str = ""
    step_metadata: dict[str, Any] | None = None


class StepEndBody(Body):
    attempt: int
    status: str
    outputs: list[OutputBody] = Field(default_factory=list)
    exception: ExceptionBody | None = None
    piece: int = 0
    log: str = ""
    step_metadata: dict[str, Any] = Field(default_factory=dict)
    run_metadata: dict[str, Any] = Field(default_factory=dict)

    def outcome(self) -> StepOutcome:
        check_metadata(self.step_metadata)
        check_metadata(self.run_metadata)
        told = ("metadata", "preview", "artifact_name", "length", "value")
        fields = ("uri", "materializer", "data_type", "type", *told)
        return StepOutcome(
            outputs={
                output.name: StoredArtifact(**{field: getattr(output, field) for field in fields})
                for output in self.outputs
            },
            exception=self._exception(),
            metadata=self.step_metadata,
            run_metadata=self.run_metadata,
            was_stopped=self.status == ExecutionStatus.STOPPED,
        )

    def _exception(self) -> StepException | None:
        if self.status not in {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.STOPPED}:
            raise ValidationFailed([FieldError("/status", "A step ends completed, failed or stopped.")])
        if self.status != ExecutionStatus.FAILED:
            return None
        given = self.exception or ExceptionBody(type="Error", message="The step failed.")
        return StepException(**given.model_dump())


def attempt_in(answer: Any) -> str:
    return f"{answer['step_run_id']} {answer['attempt']}" if answer else ""


def assignment_again(request: Request, made: str, name_or_id: str, **names: str) -> Json | None:
    run = find_run(request, name_or_id)
    if not made:
        return None
    step_id, number = made.split()
    attempt = started_local_attempt(
        actor=acting_user(request),
        run=run,
        step_id=UUID(step_id),
        number=int(number),
    )
    return assignment_for(attempt).model_dump(mode="json")


def lease_again(request: Request, made: str, name_or_id: str, **names: str) -> Json:
    """As it is now: whoever goes on because it was so before works for a run that is over."""
    return {"goes_on": goes_on(actor=acting_user(request), run=find_run(request, name_or_id))}


def whether_recorded(answer: Json) -> str:
    return "recorded" if answer["recorded"] else ""


def end_again(request: Request, made: str, name_or_id: str, step_name: str) -> Json:
    run = find_run(request, name_or_id)
    return {"recorded": bool(made), "retry_after": seconds_until_retry(run, step_name)}


class LocalStepStart(APIView):
    @acts_once(assignment_again, made=attempt_in)
    @operation(
        "Begin a step of a run that the caller executes, or the next run of a mapped one; `null`: there is none.",
        answer=Assignment | None,
        errors=(422,),
    )
    def post(self, request: Request, name_or_id: str, step_name: str) -> Response:
        attempt = start_local_step(
            actor=acting_user(request), run=find_run(request, name_or_id), step_name=step_name
        )
        return Response(assignment_for(attempt).model_dump(mode="json") if attempt else None)


class LocalStepProgress(APIView):
    @acts_once(lease_again, made=no_text)
    @operation(
        "Tell what a step has printed and noted so far that the caller executes, and that it goes on.",
        body=ProgressBody,
        example={"attempt": 1, "piece": 0, "log": "epoch 1 of 40\n"},
        answer=shapes.Lease,
    )
    def post(self, request: Request, name_or_id: str, step_name: str) -> Response:
        body = read_body(ProgressBody, request)
        does = report_local_progress(
            actor=acting_user(request),
            run=find_run(request, name_or_id),
            step_name=step_name,
            number=body.attempt,
            printed=_piece(body.piece, body.log),
            noted=body.step_metadata,
        )
        return Response({"goes_on": does})


class LocalStepEnd(APIView):
    @acts_once(end_again, made=whether_recorded)
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
            printed=_piece(body.piece, body.log),
        )
        return Response(
            {
                "recorded": recorded,
                "retry_after": seconds_until_retry(find_run(request, name_or_id), step_name),
            }
        )


class LocalLease(APIView):
    @acts_once(lease_again, made=no_text)
    @operation("Tell that the caller still executes a run.", answer=shapes.Lease, errors=(422,))
    def post(self, request: Request, name_or_id: str) -> Response:
        does = renew_lease(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response({"goes_on": does})


def _piece(number: int, text: str) -> LogPiece:
    return LogPiece(number, text.replace("\x00", "\N{REPLACEMENT CHARACTER}"))
