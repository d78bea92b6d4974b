"""REST for running templates and deployments, and what every answer about a new run says."""

from typing import Any, cast
from uuid import UUID

from django.db.models import CharField, UUIDField
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_run
from runs_app.api.preflight import describe_preflight
from runs_app.api.runs import WAIT_FOR_END, find_run, seconds_to_wait, summary_of
from runs_app.endings import wait_for_end
from runs_app.judging import WAIT
from runs_app.lineage import caller_of
from runs_app.preflight import preflight
from runs_app.services import Launch, Trigger, launch_run
from runs_app.waiting import explain_runs
from templates_app.api.views import acting_user, find_deployment, in_named_project
from templates_app.models import PipelineDeployment, RunTemplate
from templates_app.permissions import role_on
from zenweb.accounts.actions import Action
from zenweb.accounts.models import ApiKey, StepPlace
from zenweb.api.listing import find, flag
from zenweb.api.operations import DRY_RUN, IDEMPOTENCY_KEY, REPLAYED, Parameter, operation
from zenweb.api.repeats import REPLAY, idempotency_key, route_of
from zenweb.config.run_configuration import PipelineRunConfiguration, StepRunConfiguration
from zenweb.entity import is_id
from zenweb.enums import TriggerChannel
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.triggers import STEP_HEADER
from zenweb.prepared import Given, Prepared

CHANNELS = {"sdk": TriggerChannel.SDK, "cli": TriggerChannel.CLI}
LAUNCHED_BY_ID = Prepared(lambda: RunTemplate.objects.for_launch().filter(pk=Given("key", UUIDField())))
LAUNCHED_BY_NAME = Prepared(lambda: RunTemplate.objects.for_launch().filter(name=Given("key", CharField())))


A_CONFIGURATION = {"steps": {"trainer": {"parameters": {"learning_rate": 0.1}}}}
PRESET = Parameter("preset", "The name of a preset to start from, where the body names none.")


class LaunchBody(PipelineRunConfiguration):
    """A run configuration. What is null, empty or left out is as the preset, or else the template, says."""

    preset: str | None = Field(default=None, description="The name of a preset to start from.")
    steps: dict[str, StepRunConfiguration | None] | None = None


class TemplateRuns(APIView):
    """Run a template. With `dry_run=true` only tell what that would do; with `wait=60` answer at its end."""

    @operation(
        "Start a run of a template.",
        parameters=(WAIT_FOR_END, DRY_RUN, PRESET, IDEMPOTENCY_KEY),
        body=LaunchBody | None,
        is_body_required=False,
        example=A_CONFIGURATION,
        answer=shapes.LaunchedRun | shapes.Preflight,
        headers=REPLAYED,
    )
    def post(self, request: Request, name_or_id: str) -> Response:
        return run_template(request, name_or_id)


class DeploymentRuns(APIView):
    """Run a deployment as it is: what calling a pipeline does."""

    @operation(
        "Run a deployment as it is.",
        parameters=(IDEMPOTENCY_KEY,),
        body=PipelineRunConfiguration | None,
        is_body_required=False,
        example=A_CONFIGURATION,
        answer=shapes.LaunchedRun,
        headers=REPLAYED,
    )
    def post(self, request: Request, deployment_id: str) -> Response:
        return run_deployment(request, find_deployment(request, deployment_id))


def run_template(request: Request, name_or_id: str) -> Response:
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
        return Response(describe_preflight(ahead))
    launch = launch_run(
        deployment=template.deployment,
        version=template.version,
        configuration=configuration,
        preset=preset,
        trigger=trigger_of(request),
    )
    if seconds is None:
        return answer_launch(request, launch)
    wait_for_end(launch.run.pk, seconds, request.user.pk)
    return answer_launch(request, launch, summary=True)


def run_deployment(request: Request, deployment: PipelineDeployment) -> Response:
    launch = launch_run(deployment=deployment, configuration=request.data, trigger=trigger_of(request))
    return answer_launch(request, launch)


def split_preset(request: Request) -> tuple[str, Any]:
    """The name of the preset to start from (in the body, else in the address; "": none), and the values over it."""
    body, asked = request.data, request.query_params.get("preset", "")
    if not isinstance(body, dict) or "preset" not in body:
        return asked, body
    named = body["preset"]
    if not isinstance(named, str | None):
        raise ValidationFailed([FieldError("/preset", "A preset is named by a text.")])
    return named or asked, {key: value for key, value in body.items() if key != "preset"}


def trigger_of(request: Request) -> Trigger:
    """Who asks and how; a client that names its channel is believed, for it only tells a story."""
    parent = parent_of(request)
    channel = CHANNELS.get(request.headers.get("X-ZenWeb-Channel", ""), TriggerChannel.REST)
    return Trigger(
        actor=acting_user(request),
        channel=TriggerChannel.PIPELINE if parent else channel,
        parent=parent,
        route=route_of(request),
        idempotency_key=idempotency_key(request),
        api_key_name=request.auth.name if isinstance(request.auth, ApiKey) else "",
    )


def parent_of(request: Request) -> StepPlace | None:
    """The step that asks: the one whose token it is, or, of a run that the caller executes, the one that it names."""
    if (step := acting_user(request).step_in_use) is not None:
        return step.place
    named = request.headers.get(STEP_HEADER, "")
    return caller_of(acting_user(request), UUID(named)) if is_id(named) else None


def answer_launch(request: Request, launch: Launch, *, summary: bool = False) -> Response:
    """The run as it was accepted (a worker may have taken it since); asked for again, as it stands.

    `summary`: somebody waited for it, so it is told as it stands, with its steps.
    """
    headers = REPLAY if launch.is_replay else None
    is_old = launch.is_replay or summary
    run = find_run(request, str(launch.run.pk)) if is_old else launch.run
    # To who has just given them, and who was there where it comes from.
    run.shows_values = run.shows_original = run.shows_parent = run.shows_root = True
    if summary:
        explain_runs([run])
    answer = describe_run(run, True) | {"warnings": run.warnings}
    if summary:
        answer["summary"] = summary_of(request, run)
    return Response(answer, headers=headers)


def find_template_to_run(request: Request, name_or_id: str) -> RunTemplate:
    """The template with what a launch needs of it, in one query."""
    # The common ways to name one, in words that are made once. What may not be seen is answered as what is not there.
    query = LAUNCHED_BY_ID if is_id(name_or_id) else LAUNCHED_BY_NAME
    is_asked_plainly = not (
        acting_user(request).is_bound or "\0" in name_or_id or request.query_params.get("project")
    )
    found = query.ask(key=name_or_id) if is_asked_plainly else []
    if len(found) == 1 and Action.SEE.is_for(role_on(acting_user(request), found[0])):
        template = found[0]
    else:
        visible = in_named_project(RunTemplate.objects.visible_to(request.user).for_launch(), request)
        template = cast(RunTemplate, find(visible, name_or_id, "run template"))
    template.version.template = template
    return template
