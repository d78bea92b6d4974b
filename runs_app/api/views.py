"""REST for launching, following, stopping and reporting runs."""

import json
import math
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from django.db.models import CharField, Prefetch, QuerySet, UUIDField
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api.dag import describe_dag
from runs_app.api.entities import (
    describe_artifact,
    describe_artifact_version,
    describe_choice,
    describe_line,
    describe_run,
    describe_step,
    describe_usage,
    pipeline_configuration_of,
    summarise,
)
from runs_app.api.neighbours import find_neighbours, outputs_with_versions
from runs_app.api.preflight import describe_preflight
from runs_app.assignments import assignment_for
from runs_app.choices import choices_of
from runs_app.endings import LONGEST, wait_for_end
from runs_app.history import delete_run, tag_run
from runs_app.judging import WAIT
from runs_app.ledger import ledger_page
from runs_app.logs import Follower, read_log, read_run_log
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, StepRun
from runs_app.preflight import preflight
from runs_app.querysets import BESIDE_FILES, heavy_of
from runs_app.recording import StepOutcome
from runs_app.services import (
    Launch,
    Noteworthy,
    Trigger,
    end_local_step,
    launch_run,
    note_metadata,
    renew_lease,
    seconds_until_retry,
    start_local_step,
    stop_run,
)
from runs_app.usage import DAYS, MOST_DAYS, usage_of
from runs_app.visualizations import visualize
from runs_app.waiting import explain, explain_runs, explain_steps
from templates_app.api.views import SORT_TIMES, TIMES, acting_user, find_deployment, in_project
from templates_app.models import RunTemplate
from zenweb.accounts.models import ApiKey
from zenweb.accounts.services import find_project
from zenweb.api.bodies import Body, read_body
from zenweb.api.envelope import page
from zenweb.api.listing import (
    Absent,
    Column,
    Listing,
    Related,
    Tags,
    Whether,
    find,
    flag,
    page_asked_for,
    parse_time,
    wants_hydration,
    whole_number,
)
from zenweb.entity import is_id
from zenweb.enums import OPEN_STATUSES, ExecutionStatus, Orchestrator, TriggerChannel
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed
from zenweb.execution.metadata import check_metadata
from zenweb.execution.protocol import StepException, StoredArtifact
from zenweb.prepared import Given, Prepared

MOST_TYPES = 100
CHANNELS = {"sdk": TriggerChannel.SDK, "cli": TriggerChannel.CLI}

REMOTE_ORCHESTRATORS = frozenset(each for each in Orchestrator if each.is_remote)


def tell_of_steps(steps: Sequence[StepRun]) -> None:
    """Have steps know what an answer says of them."""
    explain_steps(steps)
    find_neighbours(steps)


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
    prepare=explain_runs,
)
STEPS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        "status": Column("status"),
        **TIMES,
        "pipeline_run_id": Column("run_id", uuid.UUID),
        "deployment_id": Column("run__deployment_id", uuid.UUID),
        "snapshot_id": Column("run__deployment_id", uuid.UUID),
        "user": Related("run__user", name="username"),
        "cache_key": Column("cache_key"),
        "start_time": Column("start_time", parse_time),
        "end_time": Column("end_time", parse_time),
    },
    sortable={
        **SORT_TIMES,
        "name": "name",
        "index": "index",
        "start_time": "start_time",
        "end_time": "end_time",
    },
    describe=describe_step,
    default_sort="index",
    prepare=tell_of_steps,
)
ARTIFACTS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        "name": Column("name"),
        **TIMES,
        "user": Related("user", name="username"),
        "tag": Absent(),
        "tags": Absent(),
    },
    sortable={**SORT_TIMES, "name": "name"},
    describe=describe_artifact,
)
ARTIFACT_VERSIONS = Listing(
    columns={
        "id": Column("pk", uuid.UUID),
        **TIMES,
        "name": Column("artifact__name"),
        "artifact": Related("artifact"),
        "artifact_id": Column("artifact_id", uuid.UUID),
        "version": Column("version", int),
        "version_number": Column("version", int),
        "uri": Column("uri"),
        "type": Column("type"),
        "data_type": Column("data_type"),
        "materializer": Column("materializer"),
        "user": Related("user", name="username"),
        "pipeline_run": Related("producer_step__run"),
        "tag": Absent(),
        "tags": Absent(),
    },
    sortable={**SORT_TIMES, "version": "version"},
    describe=describe_artifact_version,
    default_sort="desc:created",
)


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


class RunUpdateBody(Body):
    """ZenML's clients send a run's state as well when they execute it themselves."""

    add_tags: list[str] | None = None
    remove_tags: list[str] | None = None
    status: str | None = None
    status_reason: str | None = None
    end_time: str | None = None

    def told_by_whoever_executes(self) -> bool:
        return any(told is not None for told in (self.status, self.status_reason, self.end_time))


class ResourceBody(Body):
    id: str
    type: str


class RunMetadataBody(Body):
    resources: list[ResourceBody] = Field(min_length=1, max_length=100)
    values: dict[str, Any] = Field(min_length=1)


LAUNCHED_BY_ID = Prepared(lambda: RunTemplate.objects.for_launch().filter(pk=Given("key", UUIDField())))
LAUNCHED_BY_NAME = Prepared(lambda: RunTemplate.objects.for_launch().filter(name=Given("key", CharField())))


class TemplateRuns(APIView):
    """Run a template. With `dry_run=true` only tell what that would do; with `wait=60` answer at its end."""

    def post(self, request: Request, name_or_id: str) -> Response:
        template = find_template_to_run(request, name_or_id)
        preset, configuration = split_preset(request)
        seconds = seconds_to_wait(request)  # before anything is started: it may be refused
        if flag(request.query_params, "dry_run"):
            ahead = preflight(
                actor=acting_user(request),
                version=template.version,
                configuration=configuration,
                preset=preset,
                wait=WAIT,
            )
            return Response(describe_preflight(ahead, template.version))
        launch = launch_run(
            deployment=template.deployment,
            version=template.version,
            configuration=configuration,
            preset=preset,
            trigger=trigger_of(request),
        )
        if seconds is None:
            return answer_launch(request, launch)
        wait_for_end(launch.run.pk, seconds)
        return answer_launch(request, launch, summary=True)


class TemplateUsage(APIView):
    """How often, by whom, how well and how fast a template ran within the last days."""

    def get(self, request: Request, name_or_id: str) -> Response:
        template = find(RunTemplate.objects.visible_to(request.user), name_or_id, "run template")
        days = whole_number(request.query_params, "days", DAYS, MOST_DAYS)
        usage = usage_of(template, PipelineRun.objects.visible_to(request.user), days)
        return Response(describe_usage(usage))


class DeploymentRuns(APIView):
    """Run a deployment as it is: what calling a pipeline does."""

    def post(self, request: Request, deployment_id: str) -> Response:
        launch = launch_run(
            deployment=find_deployment(request, deployment_id),
            configuration=request.data,
            trigger=trigger_of(request),
        )
        return answer_launch(request, launch)


class RunList(APIView):
    def get(self, request: Request) -> Response:
        return RUNS.answer(in_project(visible_runs(request), request), request.query_params)


class RunDetail(APIView):
    """With `wait=60` at its end, or after so many seconds as it stands."""

    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        seconds = seconds_to_wait(request)
        if seconds and not run.is_finished:
            wait_for_end(run.pk, seconds)
            run = find_run(request, str(run.pk))
        explain_runs([run])
        answer = describe_run(run, wants_hydration(request.query_params, default=True))
        if answer["metadata"]:  # of one run only: a list of runs would ask for each
            answer["metadata"]["repair_run_ids"] = [str(repair) for repair in repairs_of(request, run)]
            answer["metadata"]["choices"] = [describe_choice(choice) for choice in choices_of(run)]
        if seconds is not None:
            answer["summary"] = summary_of(request, run)
        return Response(answer)

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

    def delete(self, request: Request, name_or_id: str) -> Response:
        delete_run(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response(None)


class RunRefresh(APIView):
    """The run as it stands, which is always known here: nobody has to be asked again."""

    def post(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        explain_runs([run])
        return Response(describe_run(run, True))


class RunPipelineConfiguration(APIView):
    def get(self, request: Request, name_or_id: str) -> Response:
        return Response(pipeline_configuration_of(find_run(request, name_or_id)))


class RunDag(APIView):
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        return Response(describe_dag(run, list(visible_steps(request).filter(run=run))))


class RunStatus(APIView):
    def get(self, request: Request, name_or_id: str) -> Response:
        runs = PipelineRun.objects.visible_to(request.user).only("status")  # it is asked for again and again
        return Response(find(runs, name_or_id, "run").status)


class RunStop(APIView):
    def post(self, request: Request, name_or_id: str) -> Response:
        stop_run(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response(None)


class RunSteps(APIView):
    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        return STEPS.answer(visible_steps(request).filter(run=run), request.query_params)


class RunEvents(APIView):
    """The run's ledger, the oldest line first."""

    def get(self, request: Request, name_or_id: str) -> Response:
        run = find_run(request, name_or_id)
        index, size = page_asked_for(request.query_params)
        reasons = explain(run, list(run.steps.filter(ready_at__isnull=False)))
        lines, total = ledger_page(run, (index - 1) * size, size, reasons)
        return Response(page([describe_line(line) for line in lines], index=index, size=size, total=total))


class StepList(APIView):
    def get(self, request: Request) -> Response:
        project = find_project(request.query_params.get("project"))
        return STEPS.answer(visible_steps(request).filter(run__project=project), request.query_params)


class StepDetail(APIView):
    def get(self, request: Request, step_id: str) -> Response:
        step = find_step(request, step_id)
        tell_of_steps([step])
        return Response(describe_step(step, wants_hydration(request.query_params, default=True)))


class StepStatus(APIView):
    def get(self, request: Request, step_id: str) -> Response:
        return Response(find_step(request, step_id).status)


class StepLogs(APIView):
    """The log of a step; with `follow=true` as it comes, until the step has ended."""

    def get(self, request: Request, step_id: str) -> HttpResponseBase:
        step = find_step(request, step_id)
        if wants_to_follow(request):
            return stream_log(Follower(step.run_id, step.pk))
        return Response(read_log(step))


class RunLogs(APIView):
    """The logs of a run's steps; with `follow=true` as they come, until the run has ended."""

    def get(self, request: Request, name_or_id: str) -> HttpResponseBase:
        run = find_run(request, name_or_id)
        if wants_to_follow(request):
            return stream_log(Follower(run.pk))
        return Response(read_run_log(run))


class LocalStepStart(APIView):
    def post(self, request: Request, name_or_id: str, step_name: str) -> Response:
        attempt = start_local_step(
            actor=acting_user(request), run=find_run(request, name_or_id), step_name=step_name
        )
        return Response(assignment_for(attempt).model_dump(mode="json"))


class LocalStepEnd(APIView):
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
    def post(self, request: Request, name_or_id: str) -> Response:
        goes_on = renew_lease(actor=acting_user(request), run=find_run(request, name_or_id))
        return Response({"goes_on": goes_on})


class ArtifactList(APIView):
    def get(self, request: Request) -> Response:
        return ARTIFACTS.answer(in_project(visible_artifacts(request), request), request.query_params)


class ArtifactDetail(APIView):
    def get(self, request: Request, name_or_id: str) -> Response:
        artifact = find(visible_artifacts(request), name_or_id, "artifact")
        return Response(describe_artifact(artifact, wants_hydration(request.query_params, default=True)))


class ArtifactVersionList(APIView):
    def get(self, request: Request) -> Response:
        versions, query = in_project(visible_artifact_versions(request), request), request.query_params
        versions = versions.search(query.get("search", ""))
        if kind := query.get("suits"):
            versions = versions.suiting(known_kind(kind)).of_types(few_types(query.get("types", "")))
        return ARTIFACT_VERSIONS.answer(versions, query)


class ArtifactVersionDetail(APIView):
    def get(self, request: Request, version_id: str) -> Response:
        version = find(visible_artifact_versions(request), version_id, "artifact version", None)
        hydrate = wants_hydration(request.query_params, default=True)
        return Response(describe_artifact_version(version, hydrate))


class ArtifactVersionVisualization(APIView):
    """What was kept to look at, if anything was."""

    def get(self, request: Request, version_id: str) -> Response:
        version = find(visible_artifact_versions(request), version_id, "artifact version", None)
        if request.query_params.get("index", "0") != "0":
            raise DoesNotExist("An artifact version has one visualization at most: index is 0.")
        return Response(asdict(visualize(version)))


class RunMetadata(APIView):
    """Values about runs, steps and artifacts, as ZenML's `log_metadata` sends them. Its `types` say nothing new."""

    def post(self, request: Request) -> Response:
        body = read_body(RunMetadataBody, request)
        things = [
            find_noteworthy(request, resource, f"/resources/{index}/type")
            for index, resource in enumerate(body.resources)
        ]
        note_metadata(actor=acting_user(request), things=things, values=body.values)
        return Response(None)


def split_preset(request: Request) -> tuple[str, Any]:
    """The name of the preset to start from (in the body, else in the address; "": none), and the values over it."""
    body, asked = request.data, request.query_params.get("preset", "")
    if not isinstance(body, dict) or "preset" not in body:
        return asked, body
    named = body["preset"]
    if not isinstance(named, str | None):
        raise ValidationFailed([FieldError("/preset", "A preset is named by a text.")])
    return named or asked, {key: value for key, value in body.items() if key != "preset"}


def wants_to_follow(request: Request) -> bool:
    return flag(request.query_params, "follow")


def stream_log(follower: Follower) -> HttpResponseBase:
    """A JSON object per line and piece. Empty lines show that the connection lives, and find out whether it does."""
    lines = ("\n" if piece is None else f"{json.dumps(asdict(piece))}\n" for piece in follower.follow())
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(lines, content_type="application/x-ndjson", headers=headers)


def trigger_of(request: Request) -> Trigger:
    """Who asks and how; a client that names its channel is believed, for it only tells a story."""
    return Trigger(
        actor=acting_user(request),
        channel=CHANNELS.get(request.headers.get("X-ZenWeb-Channel", ""), TriggerChannel.REST),
        route=f"POST {request.path}"[:300],
        idempotency_key=request.headers.get("Idempotency-Key", "")[:255],
        api_key_name=request.auth.name if isinstance(request.auth, ApiKey) else "",
    )


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


def answer_launch(request: Request, launch: Launch, *, summary: bool = False) -> Response:
    """The run as it was accepted (a worker may have taken it since); asked for again, as it stands.

    `summary`: somebody waited for it, so it is told as it stands, with its steps.
    """
    headers = {"Idempotent-Replayed": "true"} if launch.is_replay else None
    is_old = launch.is_replay or summary
    run = find_run(request, str(launch.run.pk)) if is_old else launch.run
    if summary:
        explain_runs([run])
    answer = describe_run(run, True) | {"warnings": run.warnings}
    if summary:
        answer["summary"] = summary_of(request, run)
    return Response(answer, headers=headers)


def summary_of(request: Request, run: PipelineRun) -> Any:
    return summarise(run, request.build_absolute_uri(run.get_absolute_url()))


def find_template_to_run(request: Request, name_or_id: str) -> RunTemplate:
    """The template with what a launch needs of it, in one query."""
    visible = RunTemplate.objects.visible_to(request.user)
    # Without a bound key one sees every template, so the common ways to name one need not ask for that.
    query = LAUNCHED_BY_ID if is_id(name_or_id) else LAUNCHED_BY_NAME
    found = None if acting_user(request).is_bound else query.first(key=name_or_id)
    template = found or cast(RunTemplate, find(visible.for_launch(), name_or_id, "run template"))
    template.version.template = template
    return template


def visible_runs(request: Request) -> QuerySet[Any]:
    runs = PipelineRun.objects.visible_to(request.user)
    documents = ("deployment__spec", "deployment__config_schema", "deployment__config_template")
    return runs.select_related("project", "user", "pipeline", "stack", "deployment__stack", "template").defer(
        *documents
    )


def visible_steps(request: Request) -> QuerySet[Any]:
    return (
        StepRun.objects.filter(run__in=PipelineRun.objects.visible_to(request.user))
        .select_related("run__user")
        .defer(*heavy_of("run"))
        .prefetch_related(Prefetch("outputs", queryset=outputs_with_versions()))
    )


def visible_artifacts(request: Request) -> QuerySet[Any]:
    return Artifact.objects.visible_to(request.user).with_latest_version(request.user).select_related("user")


def visible_artifact_versions(request: Request) -> QuerySet[Any]:
    return ArtifactVersion.objects.visible_to(request.user).with_relations()


def known_kind(kind: str) -> str:
    """As what a parameter takes a file."""
    if kind not in BESIDE_FILES:
        raise ValidationFailed([FieldError("/suits", f"suits is one of {', '.join(BESIDE_FILES)}.")])
    return kind


def few_types(text: str) -> list[str]:
    """Ends of names, as many as a database looks for at once."""
    types = text.split(",")
    if len(types) > MOST_TYPES:
        raise ValidationFailed([FieldError("/types", f"Name {MOST_TYPES} types at most, such as .csv,.txt.")])
    return types


def find_run(request: Request, name_or_id: str) -> PipelineRun:
    return cast(PipelineRun, find(visible_runs(request), name_or_id, "run"))


def repairs_of(request: Request, run: PipelineRun) -> QuerySet[Any]:
    return PipelineRun.objects.visible_to(request.user).filter(original=run).values_list("pk", flat=True)


def find_step(request: Request, step_id: str) -> StepRun:
    return cast(StepRun, find(visible_steps(request), step_id, "step run", None))


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
