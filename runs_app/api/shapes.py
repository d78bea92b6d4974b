"""What REST answers about what was run, and about running it: the shapes of `entities.py` and its neighbours."""

from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from templates_app.api.shapes import (
    NamelessReference,
    OwnResources,
    SnapshotReference,
    StackReference,
    StepSpec,
)
from zenweb.api.shapes import (
    Document,
    Entity,
    Moment,
    Named,
    Owned,
    Place,
    Reference,
    Source,
    Tag,
    Times,
    User,
)
from zenweb.enums import ArtifactType, ExecutionStatus

Reason = Annotated[str | None, Field(description="A sentence for a person: why it is so.")]
Seconds = Annotated[float | None, Field(description="Null while that is not known.")]
Metadata = Annotated[Document, Field(description="What its code noted.")]


class PipelineConfiguration(TypedDict):
    """What was asked for of a run as a whole, as ZenML has it."""

    name: str
    enable_cache: bool | None
    enable_artifact_metadata: None
    enable_artifact_visualization: None
    enable_step_logs: None
    enable_pipeline_logs: None
    settings: Document
    tags: list[str]
    extra: Document
    failure_hook_source: Source | None
    success_hook_source: Source | None
    model: None
    parameters: Document | None
    retry: Document | None
    substitutions: Document


class RunFields(Owned):
    stack: StackReference
    pipeline: Reference
    build: NamelessReference | None
    schedule: None
    code_reference: None
    status: ExecutionStatus
    status_reason: Reason
    pipeline_id: UUID
    deployment_id: UUID
    trigger_execution: None
    model_version_id: None
    in_progress: bool
    index: Annotated[int, Field(description="Its number among its pipeline's runs.", ge=1)]
    url: Annotated[str, Field(description="The path of its page.")]


class Option(TypedDict):
    value: Any
    label: str


class Chosen(TypedDict):
    """A chosen value of a run, and what was offered when it was looked at; nulls while it was not."""

    step: str
    parameter: str
    refusal: str | None
    size: int | None
    sha256: str | None
    chosen: list[Option] | None
    options: list[Option] | None


class RunMetadata(TypedDict):
    run_metadata: Metadata
    config: PipelineConfiguration
    start_time: Moment
    end_time: Moment | None
    client_environment: Document
    orchestrator_environment: Document
    orchestrator_run_id: None
    code_path: None
    template_id: UUID | None
    original_run_id: Annotated[UUID | None, Field(description="The run that this one repairs.")]
    parent_run_id: Annotated[UUID | None, Field(description="The run whose step started this one.")]
    parent_step_id: Annotated[UUID | None, Field(description="That step.")]
    root_run_id: Annotated[
        UUID | None, Field(description="Of a run with a parent: the one above that has none.")
    ]
    is_templatable: bool
    enable_heartbeat: Literal[False]
    parameters: Annotated[Document, Field(description="Of each step, with stand-ins for secrets.")]
    shows_values: Annotated[bool, Field(description="Whether who asks may see what it was given.")]
    warnings: list[str]
    parent_step_name: NotRequired[
        Annotated[
            str | None,
            Field(
                description="Of one run only, not in lists; null where the parent is not for who asks to see."
            ),
        ]
    ]
    repair_run_ids: NotRequired[Annotated[list[UUID], Field(description="Of one run only, not in lists.")]]
    choices: NotRequired[Annotated[list[Chosen], Field(description="Of one run only, not in lists.")]]


class RunResources(TypedDict):
    stack: StackReference
    pipeline: Reference
    build: NamelessReference | None
    schedule: None
    code_reference: None
    user: User | None
    snapshot: SnapshotReference
    model_version: None
    tags: list[Tag]
    logs: None
    log_collection: list[Document]


class Run(Named):
    """One execution of a pipeline."""

    name: Annotated[str, Field(examples=["training_pipeline-2026_11_29-06_30_00"])]
    body: RunFields
    metadata: RunMetadata | None
    resources: RunResources


class StepSummary(TypedDict):
    name: Annotated[str, Field(examples=["trainer"])]
    status: ExecutionStatus
    reason: Reason
    attempts: int
    seconds: Seconds


class RunSummary(TypedDict):
    """What a script that waits for a run wants to know."""

    status: ExecutionStatus
    is_finished: bool
    reason: Reason
    seconds: Seconds
    url: str
    counts: Annotated[dict[str, int], Field(description="How many steps have which status.")]
    steps: list[StepSummary]


class WatchedRun(Run):
    """A run, and with `wait` its summary."""

    summary: NotRequired[RunSummary]


class LaunchedRun(WatchedRun):
    """A run that was just accepted."""

    warnings: Annotated[list[str], Field(description="What of the configuration has no effect here.")]


class ExpectedStep(TypedDict):
    name: str
    from_cache: bool
    elements: Annotated[
        int | None, Field(description="How often a mapped step runs, if that is known before.")
    ]
    note: Annotated[str, Field(description="A sentence about what is decided while the run goes on.")]


class ExpectedSeconds(TypedDict):
    """How long it may take, from how long its steps took in earlier runs."""

    typical: float
    low: float
    high: float
    runs: Annotated[int, Field(description="How many earlier runs are known.")]
    unknown_steps: list[str]


class QueueState(TypedDict):
    name: str
    free_slots: int


class ParameterDifference(TypedDict):
    parameter: str
    before: Any
    now: Any


class Preflight(TypedDict):
    """What starting a run would do; with `dry_run`."""

    warnings: list[str]
    configuration: Annotated[Document, Field(description="What would run, with a stand-in for each secret.")]
    steps: list[ExpectedStep]
    expected_seconds: ExpectedSeconds | None
    obstacles: Annotated[list[str], Field(description="Sentences: what it would wait for.")]
    queues: list[QueueState]
    runs_ahead: int
    makes_environment: bool
    last_good_run: UUID | None
    differences: Annotated[list[ParameterDifference], Field(description="From the last good run.")]


class BulkItem(TypedDict):
    """What became of one of many runs: it was accepted, or refused as it would have been alone."""

    status: Annotated[int, Field(examples=[200])]
    run: LaunchedRun | None
    is_replay: bool
    preflight: NotRequired[Preflight]
    """With `dry_run`: what starting it would do."""
    detail: NotRequired[list[str]]
    errors: NotRequired[list[Place]]


class BulkAnswer(TypedDict):
    accepted: int
    refused: Annotated[int, Field(examples=[0])]
    items: list[BulkItem]


class PlannedStep(TypedDict):
    name: str
    runs_again: bool
    reason: str


class RepairPlan(TypedDict):
    """What repairing a run would do; with `dry_run`."""

    steps: list[PlannedStep]


class DocumentChange(TypedDict):
    """One place of a template's document; what was or is not there is left out."""

    pointer: str
    before: NotRequired[Any]
    now: NotRequired[Any]


class Finding(TypedDict):
    part: Annotated[str, Field(examples=["code"])]
    verdict: Literal["ok", "warning", "failed"]
    sentence: Annotated[str, Field(description="Empty where all is well.")]


class Check(TypedDict):
    """Whether this server runs a template."""

    name: str
    version: int
    runs: Annotated[bool, Field(description="Nothing of it has failed.")]
    findings: list[Finding]


class ContractChange(TypedDict):
    """Something that is another way in a newer version."""

    pointer: str
    place: Annotated[str, Field(examples=["trainer.learning_rate"])]
    sentence: str
    breaks: Annotated[bool, Field(description="What was right before may be refused, or missed, by it.")]


class Breakage(TypedDict):
    """Values that the version before takes and the newer one refuses."""

    kind: Literal["preset", "schedule", "runs"]
    name: Annotated[str, Field(description="Of the preset or schedule; of runs, the newest one's.")]
    user: str
    channel: Annotated[str, Field(description="How these runs were started.")]
    count: Annotated[int, Field(examples=[1])]
    errors: Annotated[list[Place], Field(description="Empty where one may not see the values.")]


class VersionComparison(TypedDict):
    """What a version takes back of what another one promised, and whom that breaks."""

    before: int
    now: int
    changes: list[ContractChange]
    broken: list[Breakage]


class AppliedTemplate(TypedDict):
    """What became of a template; with `dry_run`, what would."""

    outcome: Literal["created", "updated", "unchanged"]
    name: str
    version: Annotated[int, Field(description="The number of its newest version.")]
    is_new_version: bool
    needs_code: Annotated[bool, Field(description="Its code has to be uploaded first.")]
    changes: list[DocumentChange]
    notes: Annotated[list[str], Field(description="What of its form did not fit the new version.")]
    comparison: Annotated[
        VersionComparison | None,
        Field(description="Of the version before with the new one, if there are both."),
    ]


class LedgerLine(TypedDict):
    """One thing that happened to a run, or to a step of it."""

    created: Moment
    step: str | None
    sentence: str


class DagNode(TypedDict):
    node_id: str
    type: Literal["step", "artifact"]
    id: Annotated[UUID | None, Field(description="Null while it was not made.")]
    name: str
    metadata: Document


class DagEdge(TypedDict):
    source: str
    target: str
    metadata: Document


class Dag(TypedDict):
    """A run as ZenML draws it."""

    id: UUID
    status: ExecutionStatus
    nodes: list[DagNode]
    edges: list[DagEdge]


class PreviewFile(TypedDict):
    kind: str
    file: str


class File(TypedDict):
    """The file that an artifact version is."""

    name: str
    size: int | None
    content_type: str | None
    sha256: str | None


class ArtifactVersionFields(Owned):
    artifact: Reference
    version: Annotated[str, Field(examples=["1"])]
    uri: str
    type: ArtifactType
    materializer: Source
    data_type: Source
    save_type: Literal["step_output", "manual"]
    artifact_store_id: None
    preview: PreviewFile | None
    file: File | None


class VisualizationFields(Times):
    type: str
    uri: str


class VisualizationReference(Entity):
    body: VisualizationFields
    metadata: None
    resources: None


class ArtifactVersionMetadata(TypedDict):
    visualizations: list[VisualizationReference]
    run_metadata: Metadata


class ArtifactVersionResources(TypedDict):
    user: User | None
    tags: list[Tag]
    producer_step_run_id: UUID | None
    producer_pipeline_run_id: UUID | None


class ArtifactVersion(Entity):
    """One stored value."""

    body: ArtifactVersionFields
    metadata: ArtifactVersionMetadata | None
    resources: ArtifactVersionResources | None


class StepInputVersion(ArtifactVersion):
    """What a step was given."""

    input_type: Literal["step_output"]


class ArtifactMetadata(TypedDict):
    has_custom_name: bool


class ArtifactResources(TypedDict):
    user: User | None
    tags: list[Tag]
    latest_version_id: UUID | None
    latest_version_name: str | None


class Artifact(Named):
    """A named output, with all its versions."""

    name: Annotated[str, Field(examples=["model"])]
    body: Owned
    metadata: ArtifactMetadata | None
    resources: ArtifactResources


class Visualization(TypedDict):
    type: Literal["csv", "html", "image", "json", "markdown"]
    value: Annotated[str, Field(description="Text; of an image the base64 of its bytes.")]


class StepFields(Owned):
    status: ExecutionStatus
    status_reason: Reason
    version: int
    is_retriable: bool
    start_time: Moment | None
    end_time: Moment | None
    duration: Seconds
    attempt: int
    pipeline_run_id: UUID
    substitutions: Document


class StepConfiguration(TypedDict):
    name: str
    parameters: Annotated[Document, Field(description="With stand-ins for secrets.")]
    enable_cache: bool | None
    retry: Document | None
    settings: Document
    extra: Document
    failure_hook_source: Source | None
    success_hook_source: Source | None


class StepMetadata(TypedDict):
    config: StepConfiguration
    spec: StepSpec
    cache_key: str | None
    code_hash: str
    docstring: str | None
    source_code: None
    exception_info: Annotated[Document | None, Field(description="`{type, message, traceback, parameter}`.")]
    logs: None
    deployment_id: UUID
    snapshot_id: UUID
    pipeline_run_id: UUID
    original_step_run_id: Annotated[UUID | None, Field(description="Whose outputs a cached step has.")]
    parent_step_ids: list[UUID]
    run_metadata: Metadata
    elements: Annotated[
        int | None, Field(description="Of a mapped step, how often it runs, once that is known.")
    ]
    element: Annotated[
        int | None, Field(description="Of a run of a mapped step, its place among them, from 0.")
    ]
    is_skipped: Annotated[bool, Field(description="A condition did not hold, or what it needs was skipped.")]


class StepResources(TypedDict):
    user: User | None
    model_version: None
    inputs: dict[str, list[StepInputVersion]]
    outputs: dict[str, list[ArtifactVersion]]


class Step(Named):
    """One step of a run."""

    name: Annotated[str, Field(examples=["trainer"])]
    body: StepFields
    metadata: StepMetadata | None
    resources: StepResources


class UserRuns(TypedDict):
    user: str | None
    runs: int


class Percentiles(TypedDict):
    """In seconds."""

    p50: float
    p95: float


class LastRun(TypedDict):
    id: UUID
    name: str
    status: ExecutionStatus
    created: Moment


class Usage(TypedDict):
    """How a template ran within so many days, and its last run whenever it was."""

    days: int
    runs: int
    success_rate: Annotated[float | None, Field(description="Of the runs that completed or failed; 0 to 1.")]
    by_status: dict[str, int]
    by_channel: dict[str, int]
    by_user: list[UserRuns]
    duration: Percentiles | None
    queue_wait: Percentiles | None
    last_run: LastRun | None


class ScheduleFields(Owned):
    active: bool
    cron_expression: Annotated[str, Field(examples=["0 3 * * *"])]
    zone: Annotated[str, Field(examples=["Europe/Berlin"])]
    next_times: list[Moment]
    last_fired: Moment | None
    last_run_id: UUID | None
    last_run_status: ExecutionStatus | None
    last_refusal: str | None
    last_refused: Moment | None
    start_time: None
    end_time: None
    interval_second: None
    catchup: Literal[False]
    run_once_start_time: None


class ScheduleMetadata(TypedDict):
    configuration: Document
    orchestrator_id: None
    pipeline_id: None
    run_metadata: Document


class ScheduleResources(TypedDict):
    user: User | None
    template: Reference | None


class Schedule(Named):
    """A template that runs by itself."""

    name: Annotated[str, Field(examples=["nightly"])]
    body: ScheduleFields
    metadata: ScheduleMetadata | None
    resources: ScheduleResources


class PresetFields(Times):
    user_id: UUID | None
    shared: bool
    version: Annotated[int, Field(description="The template's version that it was made for.")]
    problems: Annotated[list[Place], Field(description="What the newest version does not take.")]


class PresetMetadata(TypedDict):
    configuration: Document


class Preset(Named):
    """Values of a template under a name."""

    name: Annotated[str, Field(examples=["careful"])]
    body: PresetFields
    metadata: PresetMetadata | None
    resources: OwnResources


class ChoicesPage(TypedDict):
    """Some of what may be chosen, or the sentence why that is not known."""

    status: Literal["known", "asking", "failed", "unserved", "missing"]
    sentence: str
    options: list[Option]
    total: int
    page: int
    size: int
    log: NotRequired[
        Annotated[str, Field(description="What the provider printed; for who owns the template.")]
    ]


class Misfit(Place):
    line: NotRequired[Annotated[int | None, Field(description="Of YAML, from 1 on.")]]


class Judgement(TypedDict):
    """What running with a configuration would answer."""

    valid: bool
    errors: list[Misfit]
    warnings: list[str]
    configuration: Annotated[Document | None, Field(description="What would run; null where it cannot.")]
    config_schema: NotRequired[
        Annotated[Document, Field(description="What may be given, where that was asked for.")]
    ]


class LocalStepEnd(TypedDict):
    recorded: bool
    retry_after: Annotated[float | None, Field(description="Seconds; null: the step is not tried again.")]


class Lease(TypedDict):
    goes_on: Annotated[bool, Field(description="False: the run is over, or shall stop.")]
