"""REST for following, stopping, tagging and deleting runs."""

import math
import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.dag import describe_dag
from runs_app.api.entities import (
    describe_choice,
    describe_line,
    describe_run,
    pipeline_configuration_of,
    summarise,
)
from runs_app.api.steps import STEPS, visible_steps
from runs_app.choices import choices_of
from runs_app.endings import LONGEST, wait_for_end
from runs_app.history import delete_run, tag_run
from runs_app.ledger import ledger_page
from runs_app.models import PipelineRun, RunCount
from runs_app.services import stop_run
from runs_app.waiting import explain, explain_runs
from templates_app.api.views import SORT_TIMES, TIMES, acting_user, in_named_project
from zenweb.accounts.services import find_project
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import Json, page
from zenweb.api.listing import (
    Column,
    Listing,
    Related,
    Tags,
    Whether,
    find,
    page_asked_for,
    parse_time,
    wants_hydration,
)
from zenweb.api.operations import HYDRATE, PAGE, PROJECT, Parameter, listed, operation
from zenweb.api.repeats import acts_once, nothing
from zenweb.api.shapes import Page
from zenweb.enums import OPEN_STATUSES, ExecutionStatus, Orchestrator
from zenweb.exceptions import FieldError, ValidationFailed

REMOTE_ORCHESTRATORS = frozenset(each for each in Orchestrator if each.is_remote)


def tell_of_runs(runs: Sequence[PipelineRun]) -> None:
    """Have runs know what an answer says of them."""
    explain_runs(runs)
    for run in runs:
        if run.deployment.stack_id == run.stack_id:
            run.deployment.stack = run.stack  # it is not read twice


RUNS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        **TIMES,
        "status": Column("status"),
        "pipeline_id": Column("pipeline_id", uuid.UUID),
        "pipeline": Related("pipeline"),
        "template_id": Column("template_id", uuid.UUID),
        "deployment_id": Column("deployment_id", uuid.UUID),
        "schedule_id": Column("firing__schedule_id", uuid.UUID),
        "stack_id": Column("stack_id", uuid.UUID),
        "stack": Related("stack"),
        "user": Related("user", name="username"),
        "original": Related("original"),
        "parent_run_id": Column("parent_step__run_id", uuid.UUID),
        "parent_step_id": Column("parent_step_id", uuid.UUID),
        "root_run_id": Column("root_id", uuid.UUID),
        "start_time": Column("start_time", parse_time),
        "end_time": Column("end_time", parse_time),
        "index": Column("index", int),
        "in_progress": Whether("status", values=OPEN_STATUSES),
        "templatable": Whether("stack__orchestrator", values=REMOTE_ORCHESTRATORS),
        "tag": Tags("tags"),
        "tags": Tags("tags"),
        # Other words for the same.
        "pipeline_name": Column("pipeline__name"),
        "snapshot_id": Column("deployment_id", uuid.UUID),
        "build_id": Column("deployment_id", uuid.UUID),
        "source_snapshot_id": Column("template_id", uuid.UUID),
    },
    sortable={
        **SORT_TIMES,
        "name": "name",
        "index": "index",
        "status": "status",
        "start_time": "start_time",
        "end_time": "end_time",
    },
    describe=describe_run,
    prepare=tell_of_runs,
    counted=frozenset(
        {"status", "in_progress", "template_id", "source_snapshot_id"}
        | {"pipeline_id", "pipeline", "pipeline_name"}
    ),
    deferred=("configuration", "resolved_configuration", "warnings", "metadata", "deployment__requirements"),
)


# Filters that look at the run from which one was started, and the way there. Whoever asks for what a run or step has
# started means it wherever it is.
STARTERS = {
    "parent_run_id": "parent_step__run",
    "parent_step_id": "parent_step__run",
    "root_run_id": "root",
}
FAMILY = {**STARTERS, "original": "original"}


class RunUpdateBody(Body):
    """ZenML's clients send a run's state as well when they execute it themselves."""

    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None
    status: str | None = None
    status_reason: str | None = None
    end_time: str | None = None

    def told_by_whoever_executes(self) -> bool:
        return any(told is not None for told in (self.status, self.status_reason, self.end_time))


WAIT_FOR_END = Parameter(
    "wait",
    "Answer at the run's end, or after so many seconds as it stands; with a `summary`.",
    {"type": "number", "minimum": 0, "maximum": LONGEST},
)


class RunList(APIView):
    @operation("List runs.", parameters=listed(RUNS, PROJECT), answer=Page[shapes.Run])
    def get(self, request: Request) -> Response:
        user = acting_user(request)
        project = find_project(user, request.query_params.get("project"))
        counts = RunCount.objects.visible_to(user).filter(project=project)
        runs = PipelineRun.objects.visible_in_lists_to(user, counts).for_list()
        if request.query_params.get("project") or not STARTERS.keys() & request.query_params.keys():
            runs = runs.filter(project=project)
        if by := FAMILY.keys() & request.query_params.keys():
            runs = runs.having_relatives_seen_by(user, (FAMILY[name] for name in by))
        if wants_hydration(request.query_params, default=False):
            runs = runs.with_values_shown_to(user).with_parent().with_relatives_shown_to(user)
        return RUNS.answer(runs, request.query_params, counts)


def run_again(request: Request, made: str, **names: str) -> Json:
    run = find_run(request, made)
    explain_runs([run])
    return describe_run(run, True)


class RunDetail(APIView):
    """With `wait=60` at its end, or after so many seconds as it stands."""

    @operation("Get a run.", parameters=(HYDRATE, WAIT_FOR_END), answer=shapes.WatchedRun)
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        seconds = seconds_to_wait(request)
        if seconds and not run.is_finished:
            wait_for_end(run.pk, seconds, request.user.pk)
            run = find_run(request, str(run.pk))
        explain_runs([run])
        answer = describe_run(run, wants_hydration(request.query_params, default=True))
        if answer["metadata"]:  # of one run only: a list of runs would ask for each
            answer["metadata"]["repair_run_ids"] = [str(repair) for repair in repairs_of(request, run)]
            parent = run.parent_step if run.shows_parent else None
            answer["metadata"]["parent_step_name"] = parent.name if parent else None
            chosen = choices_of(run) if run.shows_values else []
            answer["metadata"]["choices"] = [describe_choice(choice) for choice in chosen]
        if seconds is not None:
            answer["summary"] = summary_of(request, run)
        return Response(answer)

    @acts_once(run_again)
    @operation("Tag a run.", body=RunUpdateBody, example={"add_tags": ["best"]}, answer=shapes.Run)
    def put(self, request: Request, name_or_id: str) -> Response:
        body = read_body(RunUpdateBody, request)
        if body.told_by_whoever_executes():
            sentence = "What becomes of a run is recorded by whoever executes it. To end it: POST …/stop."
            raise ValidationFailed([FieldError("/status", sentence)])
        run = find_run(request, name_or_id)
        add, remove = body.add_tags or [], body.remove_tags or []
        tag_run(actor=acting_user(request), run=run, add_tags=add, remove_tags=remove)
        explain_runs([run])
        return Response(describe_run(run, True))

    @acts_once(nothing)
    @operation("Delete a run that has ended. What it made stays.")
    def delete(self, request: Request, name_or_id: str) -> Response:
        delete_run(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response(None)


class RunRefresh(APIView):
    """The run as it stands, which is always known here: nobody has to be asked again."""

    @operation("Get a run as it stands.", answer=shapes.Run)
    def post(self, request: Request, name_or_id: str) -> Response:
        return Response(run_again(request, name_or_id))


class RunPipelineConfiguration(APIView):
    @operation("Get what was asked for of a run as a whole.", answer=shapes.PipelineConfiguration)
    def get(self, request: Request, name_or_id: str) -> Response:
        return Response(pipeline_configuration_of(find_run(request, name_or_id)))


class RunDag(APIView):
    @operation("Get the graph of a run's steps and artifacts.", answer=shapes.Dag)
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        return Response(describe_dag(run, list(visible_steps(request).filter(run=run))))


class RunStatus(APIView):
    @operation("Get a run's status.", answer=ExecutionStatus)
    def get(self, request: Request, name_or_id: str) -> Response:
        runs = PipelineRun.objects.visible_to(request.user).only("status")  # it is asked for again and again
        return Response(find(in_named_project(runs, request), name_or_id, "run").status)


def stop_again(request: Request, made: str, name_or_id: str) -> None:
    find_run(request, name_or_id)


class RunStop(APIView):
    @acts_once(stop_again)
    @operation("Stop a run.", parameters=(Parameter("graceful", "ZenML's word; it changes nothing."),))
    def post(self, request: Request, name_or_id: str) -> Response:
        stop_run(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response(None)


class RunSteps(APIView):
    @operation("List the steps of a run.", parameters=listed(STEPS), answer=Page[shapes.Step])
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        return STEPS.answer(visible_steps(request).filter(run=run), request.query_params)


class RunEvents(APIView):
    """The run's ledger, the oldest line first."""

    @operation(
        "List what happened to a run, the oldest first.", parameters=PAGE, answer=Page[shapes.LedgerLine]
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        index, size = page_asked_for(request.query_params)
        reasons = explain(run, list(run.steps.filter(ready_at__isnull=False)))
        lines, total = ledger_page(run, (index - 1) * size, size, reasons)
        return Response(page([describe_line(line) for line in lines], index=index, size=size, total=total))


def seconds_to_wait(request: Request) -> float | None:
    """For how long the caller would wait for the run's end; None when it does not ask for that."""
    text = request.query_params.get("wait")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST:
        sentence = f"Seconds to wait are a number from 0 to {LONGEST:g}, not {text!r}."
        raise ValidationFailed([FieldError("/wait", sentence)])
    return seconds


def summary_of(request: Request, run: PipelineRun) -> Any:
    return summarise(run, request.build_absolute_uri(run.get_absolute_url()))


def visible_runs(request: Request) -> QuerySet[Any]:
    runs = PipelineRun.objects.visible_to(request.user).with_values_shown_to(acting_user(request))
    documents = ("deployment__spec", "deployment__config_schema", "deployment__config_template")
    return (
        runs.select_related("project", "user", "pipeline", "stack", "deployment__stack", "template__project")
        .defer(*documents)
        .with_parent()
        .with_relatives_shown_to(request.user)
    )


def find_run(request: Request, name_or_id: str) -> PipelineRun:
    return cast(PipelineRun, find(in_named_project(visible_runs(request), request), name_or_id, "run"))


def repairs_of(request: Request, run: PipelineRun) -> QuerySet[Any]:
    return PipelineRun.objects.visible_to(request.user).filter(original=run).values_list("pk", flat=True)
