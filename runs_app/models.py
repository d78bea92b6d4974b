"""What was run: runs, their steps and attempts, their ledger, what they made, and the workers that did it."""

import uuid
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from runs_app import cron
from runs_app.querysets import (
    BESIDE_FILES,
    ArtifactQuerySet,
    ArtifactVersionQuerySet,
    AwaitedQuerySet,
    PipelineRunQuerySet,
    PreparationQuerySet,
    RunCountQuerySet,
    RunEventQuerySet,
    ScheduleQuerySet,
    StepRunQuerySet,
    WorkerQuerySet,
)
from templates_app.models import Pipeline, PipelineDeployment, Preset, RunTemplate, RunTemplateVersion, Stack
from zenweb.accounts.models import Project
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER
from zenweb.entity import Entity, JSONField
from zenweb.enums import (
    EnvironmentStatus,
    ExecutionMode,
    ExecutionStatus,
    PreparationKind,
    PreparationStatus,
    TriggerChannel,
)
from zenweb.execution.protocol import SAVED
from zenweb.sealing import opened

LOG_PIECES, LOG_CHARACTERS = 50, 8_000
STATUS_CHOICES = [(status.value, status.value) for status in ExecutionStatus]


class Execution(Entity):
    """What a run and a step have in common."""

    status = models.CharField(max_length=20, choices=STATUS_CHOICES, default=ExecutionStatus.INITIALIZING)
    status_reason = models.CharField(
        max_length=2000, blank=True, help_text="Why, in a sentence for a person."
    )
    start_time = models.DateTimeField(null=True, blank=True)
    end_time = models.DateTimeField(null=True, blank=True)
    metadata = JSONField(default=dict, blank=True, help_text="What user code noted, encoded.")

    class Meta:
        abstract = True

    @property
    def is_finished(self) -> bool:
        return ExecutionStatus(self.status).is_finished

    @property
    def duration(self) -> timedelta | None:
        """From its start to its end, or until now while it runs."""
        if self.start_time is None:
            return None
        return (self.end_time or timezone.now()) - self.start_time


class PipelineRun(Execution):
    """One execution of a deployment with one configuration."""

    # Those without an index of their own begin one of the indexes below, or would only mislead SQLite.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="runs", db_index=False)
    deployment = models.ForeignKey(PipelineDeployment, on_delete=models.PROTECT, related_name="runs")
    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="runs")
    template = models.ForeignKey(
        RunTemplate,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        db_index=False,
    )
    template_version = models.ForeignKey(
        RunTemplateVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    original = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="repairs",
        help_text="The run it repairs.",
    )
    # Of a run that was started with a key which sees certain templates only: its steps see no more. What became of the
    # key is looked up when a step asks; without it they see nothing.
    bound_key = models.ForeignKey(
        "accounts.ApiKey",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    parent_step = models.ForeignKey(
        "StepRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        db_index=False,
        help_text="The step that started it.",
    )
    # Of a run that was started from another: the run that nobody started from one. And how many stand above it.
    root = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="descendants", db_index=False
    )
    depth = models.PositiveSmallIntegerField(null=True, blank=True)
    awaited_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when the step that started it waits for its end."
    )
    is_restricted = models.BooleanField(
        default=False, help_text="Its template was restricted when the run was asked for."
    )
    name = models.CharField(max_length=255)
    index = models.PositiveIntegerField(help_text="Its number among its pipeline's runs.")
    channel = models.CharField(max_length=20, choices=[(c.value, c.value) for c in TriggerChannel])
    tags = JSONField(default=list, blank=True)
    configuration = JSONField(help_text="What was asked for.")
    resolved_configuration = JSONField(help_text="What really ran.")
    warnings = JSONField(default=list, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    timeout = models.FloatField(null=True, blank=True, help_text="Seconds from the start of its first step.")
    has_timed_out = models.BooleanField(default=False)
    execution_mode = models.CharField(
        max_length=20,
        choices=[(mode.value, mode.value) for mode in ExecutionMode],
        default=ExecutionMode.CONTINUE_ON_FAILURE,
    )
    seconds_spent = models.FloatField(default=0, help_text="Counted so far, where there is a limit.")
    # Since when it waits until its template may run one more. Null: it does not, and holds a place of its template.
    queued_at = models.DateTimeField(null=True, blank=True)
    # False: something is still to be found out on a worker before its first step, and until then no step is ready.
    is_prepared = models.BooleanField(default=True)
    priority = models.IntegerField(default=0, help_text="The highest of its steps': who waits less.")
    # What `with_values_shown_to()` adds: whether who asks may see what the run was given.
    shows_values = False
    # What `with_relatives_shown_to()` adds: whether they may see the run it repairs, and those that it comes from.
    shows_original = shows_parent = shows_root = False
    # A run of the local stack belongs to the process that called it, which keeps moving this while it lives.
    caller_beat = models.PositiveBigIntegerField(null=True, blank=True)

    objects = PipelineRunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "project"], name="run_name_per_project")
        ]
        indexes: ClassVar = [
            # Whole pages of lists are found in these, without a look at a row (decisions/0015).
            models.Index(fields=["created", "id", "project", "template", "name"], name="run_created"),
            models.Index(
                fields=["status", "created", "id", "project", "template"], name="run_status_created"
            ),
            models.Index(fields=["template", "created", "id", "project"], name="run_template_created"),
            models.Index(
                fields=["pipeline", "created", "id", "project", "template"], name="run_pipeline_created"
            ),
            models.Index(fields=["user", "created", "id", "project", "template"], name="run_user_created"),
            models.Index(fields=["caller_beat"], condition=Q(caller_beat__isnull=False), name="run_caller"),
            models.Index(
                fields=["template", "-priority", "index"],
                condition=Q(queued_at__isnull=False),
                name="run_queued",
            ),
            models.Index(
                fields=["start_time"],
                condition=Q(timeout__isnull=False, end_time__isnull=True),
                name="run_timeout",
            ),
            # Few runs are started from others.
            models.Index(
                fields=["parent_step"], condition=Q(parent_step__isnull=False), name="run_parent_step"
            ),
            models.Index(fields=["root"], condition=Q(root__isnull=False), name="run_root"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.id])

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters by step, as they really ran; secrets among them are sealed."""
        steps: dict[str, dict[str, Any]] = self.resolved_configuration.get("steps", {})
        return {name: step.get("parameters", {}) for name, step in steps.items()}

    @property
    def own_parameters(self) -> dict[str, Any]:
        """The pipeline's own, as it was put together with them."""
        own: dict[str, Any] = self.resolved_configuration.get("parameters") or {}
        return own

    @property
    def opened_parameters(self) -> dict[str, dict[str, Any]]:
        """With their secrets, to be judged again and to nobody's eyes. Raises SecretUnreadable."""
        parameters: dict[str, dict[str, Any]] = opened(self.parameters, self.pk)
        return parameters


class RunCount(models.Model):
    """So many runs more (or fewer, below 0) that are alike; what is counted adds up, see `run_counts`.

    The database writes them itself, whoever changes a run. They outlive what they point at.
    """

    project = models.ForeignKey(
        Project, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    status = models.CharField(max_length=20)
    pipeline = models.ForeignKey(
        Pipeline, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    template = models.ForeignKey(
        RunTemplate,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # Of runs that belong to no template; of others it is not told, so that fewer differ.
    is_restricted = models.BooleanField(default=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    count = models.IntegerField()

    objects = RunCountQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.count:+} {self.status}"


class StepRun(Execution):
    """One step of a run. Its row is where workers meet: whoever raises `attempt` holds the step."""

    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="steps")
    index = models.PositiveIntegerField(help_text="Its place in the pipeline's order.")
    name = models.CharField(max_length=255)
    parameters = JSONField(default=dict)
    queue = models.CharField(max_length=100)
    priority = models.IntegerField(default=0)
    # {"max_retries", "delay" and "backoff" as ZenML spells them, "timeout" in seconds}
    settings = JSONField(default=dict)
    # The graph, as each step sees it: how many steps it still waits for, and the indexes of those that wait for it.
    waits_for = models.PositiveIntegerField(default=0)
    downstream = JSONField(default=list)
    # Since when it waits for a worker. Null: not yet, or taken, or over.
    ready_at = models.DateTimeField(null=True, blank=True)
    # Since when it does nothing but wait for runs. It takes no slot and no place of its queue meanwhile.
    waiting_since = models.DateTimeField(null=True, blank=True)
    # Of a retry with a delay. Only this is judged by the clock, which may differ between machines.
    delayed_until = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(
        default=0, help_text="Attempts that its own code or process ended."
    )
    worker_deaths = models.PositiveIntegerField(
        default=0, help_text="Attempts lost because their worker died."
    )
    worker = models.ForeignKey(
        "Worker", null=True, blank=True, on_delete=models.SET_NULL, related_name="steps"
    )
    exception = JSONField(null=True, blank=True, help_text="{type, message, traceback}")
    # Of a mapped step: the number of elements that it was laid out in, each of which is a step run of its own.
    elements = models.PositiveIntegerField(null=True, blank=True)
    # Of an element: the index of its mapped step, and its place among the elements.
    mapped_index = models.PositiveIntegerField(null=True, blank=True)
    element = models.PositiveIntegerField(null=True, blank=True)
    is_skipped = models.BooleanField(null=True, blank=True, help_text="A condition did not hold.")
    # What decided its outputs, hashed when it became ready. Empty: it was not looked for in the cache.
    cache_key = models.CharField(max_length=64, blank=True)
    # What `with_values_shown_to()` adds.
    shows_values = False
    # What `find_elements` adds to a mapped step that was laid out: `Elements`.
    laid_out: Any
    # What `find_neighbours` adds: by parameter, the outputs that it was given; and the steps that it waits for.
    input_versions: "dict[str, ArtifactVersion]"
    parent_ids: list[uuid.UUID]

    objects = StepRunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["index"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "name"], name="step_name_per_run"),
            models.UniqueConstraint(fields=["run", "index"], name="step_index_per_run"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["queue", "-priority", "ready_at"],
                condition=Q(ready_at__isnull=False),
                name="step_ready",
            ),
            models.Index(fields=["worker", "status"], condition=Q(worker__isnull=False), name="step_worker"),
            models.Index(fields=["run", "status"], name="step_run_status"),
            # Only what completed feeds the cache.
            models.Index(
                fields=["cache_key", "-end_time"],
                condition=Q(status="completed", cache_key__gt=""),
                name="step_cache",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def spec_index(self) -> int:
        """The place of what it runs in the pipeline's spec."""
        return self.index if self.mapped_index is None else self.mapped_index

    @property
    def template_id(self) -> uuid.UUID | None:
        """Its run's, whose owner reads in the audit what was noted about it."""
        return self.run.template_id

    @property
    def duration(self) -> timedelta | None:
        """Of its newest attempt; while it waits for another one nothing counts."""
        if self.status == ExecutionStatus.RETRYING and self.ready_at and self.start_time:
            return self.ready_at - self.start_time  # that is when the attempt was over
        return super().duration

    @property
    def latest_attempt(self) -> "StepAttempt | None":
        return max(self.attempts.all(), key=lambda attempt: attempt.number, default=None)


class StepAttempt(Entity):
    """One try of a step."""

    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.ForeignKey(
        "Worker", null=True, blank=True, on_delete=models.SET_NULL, related_name="attempts"
    )
    status = models.CharField(max_length=20, choices=STATUS_CHOICES, default=ExecutionStatus.RUNNING)
    reason = models.CharField(max_length=2000, blank=True)
    start_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True, blank=True)
    artifact_uri = models.CharField(max_length=2000, help_text="The folder that only this attempt writes to.")
    # What it printed: all of it in the artifact store once it has ended, the end of it here for the page.
    log_uri = models.CharField(max_length=2000, blank=True)
    log_tail = models.TextField(blank=True)
    # Of the local stack, whose caller tells it piece by piece: how many came, and how long they are together.
    log_pieces = models.PositiveIntegerField(null=True, blank=True)
    log_length = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["step", "number"], name="attempt_number_per_step")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"

    @property
    def duration(self) -> timedelta:
        """From its start to its end, or until now while it runs."""
        return (self.end_time or timezone.now()) - self.start_time

    @property
    def latest_log(self) -> str:
        """The end of what it has printed so far; bounded, since live pages ask for it every second."""
        if self.log_tail:
            return self.log_tail
        pieces = self.log_chunks.order_by("-id").values_list("text", flat=True)[:LOG_PIECES]
        return "".join(reversed(pieces))[-LOG_CHARACTERS:]


class LogChunk(models.Model):
    """A piece of what an attempt printed; gone when the worker stores the whole log at its end.

    Of the local stack there is no worker: what its caller tells stays here.
    """

    attempt = models.ForeignKey(StepAttempt, on_delete=models.CASCADE, related_name="log_chunks")
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.text[:80]


class RunEvent(models.Model):
    """One line of a run's ledger, in words."""

    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="events")
    step = models.ForeignKey(StepRun, null=True, on_delete=models.CASCADE, related_name="events")
    created = models.DateTimeField(default=timezone.now)
    sentence = models.CharField(max_length=2000)

    objects = RunEventQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.sentence


class Artifact(Entity):
    """A named output; its values are its versions."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="artifacts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=512)
    version_count = models.PositiveIntegerField(default=0)
    # What `with_latest_version()` adds.
    latest_version_id: uuid.UUID | None
    latest_version_number: int | None

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="artifact_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class ArtifactVersion(Entity):
    """One stored value of an artifact. The server never loads it; it shows the preview made by the step."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    uri = models.CharField(max_length=2000)
    type = models.CharField(max_length=50)
    materializer = models.CharField(max_length=500)
    data_type = models.CharField(max_length=500)
    metadata = JSONField(default=dict)
    preview = JSONField(null=True, blank=True, help_text="{kind, file}: a file beside the value.")
    length = models.PositiveIntegerField(null=True, blank=True, help_text="Of a list or tuple.")
    value = JSONField(null=True, blank=True, help_text="The value itself, where it is small and plain.")
    producer_step = models.ForeignKey(StepRun, null=True, on_delete=models.SET_NULL, related_name="produced")
    # The shared ones that it is part of: whoever may use them may use it.
    presets = models.ManyToManyField(Preset, blank=True, related_name="files")
    # What `with_producer_shown_to()` adds: whether who asks may see the run that made it.
    shows_producer = False

    objects = ArtifactVersionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["artifact", "version"], name="version_number_per_artifact")
        ]

    def __str__(self) -> str:
        return f"{self.artifact_id} {self.version}"

    @property
    def is_output(self) -> bool:
        """What a step gave out; not what it saved beside, and no upload."""
        return self.producer_step_id is not None and not self.uri.rpartition("/")[2].startswith(SAVED)

    def suits(self, kind: str) -> bool:
        """Whether a parameter may be given it that takes a file as a `path`, as `bytes` or as a `table`."""
        return self.materializer == PATH_MATERIALIZER or self.data_type in BESIDE_FILES[kind]


class StepOutput(models.Model):
    """Which artifact version a step gave out under which name (a cached step gives out another step's)."""

    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="outputs")
    name = models.CharField(max_length=255)
    artifact_version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="outputs")
    # What `outputs_shown_to()` adds: whether who asks may see the run that made it.
    shows_producer = False

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["step", "name"], name="output_name_per_step")
        ]

    def __str__(self) -> str:
        return self.name


class Schedule(Entity):
    """Runs a template again and again, with the same values, when a cron expression says so in a time zone."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="schedules")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Its owner, in whose name it runs.",
    )
    # It outlives its template, to say why it makes no more runs.
    template = models.ForeignKey(RunTemplate, null=True, on_delete=models.SET_NULL, related_name="schedules")
    name = models.CharField(max_length=255)
    cron = models.CharField(max_length=cron.EXPRESSION_LIMIT)
    zone = models.CharField(max_length=64, help_text="The IANA time zone in which its times are meant.")
    configuration = JSONField(default=dict, blank=True)
    is_paused = models.BooleanField(default=False)
    # The time that comes next. Null: it is paused, or its times cannot be worked out.
    next_time = models.DateTimeField(null=True, editable=False)
    # When `next_time` was worked out: later than now only where a clock was set back since.
    looked_ahead_at = models.DateTimeField(null=True, editable=False)
    # What `with_values_shown_to()` adds.
    shows_values = False

    audited: ClassVar = ("name", "template", "cron", "zone", "is_paused")

    # What `with_relations()` adds: the newest of its times that came, the newest run, and the newest time without one.
    last_fired: datetime | None
    last_run_id: uuid.UUID | None
    last_run_status: str | None
    last_refused: datetime | None
    last_refusal: str | None

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="schedule_name_per_project")
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_time"], condition=Q(next_time__isnull=False), name="schedule_next"),
            models.Index(
                fields=["looked_ahead_at"], condition=Q(next_time__isnull=False), name="schedule_looked_ahead"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def cron_in_words(self) -> str:
        return cron.in_words(self.cron)

    @property
    def local_next_time(self) -> datetime | None:
        """Its next time as the clocks of its zone will show it."""
        return self.next_time.astimezone(ZoneInfo(self.zone)) if self.next_time else None

    @property
    def is_refused(self) -> bool:
        """No run was made when it fired last. Of `with_relations()`."""
        return self.last_refused is not None and self.last_refused == self.last_fired

    def next_times(self, count: int) -> list[datetime]:
        """What it will do if it is left alone; nothing while it is paused."""
        if self.next_time is None:
            return []
        following = cron.times_after(self.cron, self.zone, self.next_time)
        return [self.next_time, *islice(following, count - 1)]

    def latest_due(self, now: datetime) -> datetime | None:
        """The last of its times that have come and were not seen to; None when none has come."""
        if self.next_time is None or self.next_time > now:
            return None
        return cron.last_time(self.cron, self.zone, self.next_time, now) or self.next_time


class ScheduleFiring(models.Model):
    """One time of a schedule that came, and the run it made or why it made none. No time can have two."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="firings")
    nominal_time = models.DateTimeField(help_text="When it was to be.")
    run = models.OneToOneField(PipelineRun, null=True, on_delete=models.SET_NULL, related_name="firing")
    refusal = models.CharField(
        max_length=2000, blank=True, help_text="Why no run was made, in a sentence for a person."
    )
    created = models.DateTimeField(default=timezone.now, help_text="When it was done.")

    class Meta:
        ordering: ClassVar = ["-nominal_time"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["schedule", "nominal_time"], name="schedule_fires_once_per_time")
        ]
        indexes: ClassVar = [
            # The newest of each kind is shown with its schedule, however many others there are.
            models.Index(
                fields=["schedule", "-nominal_time"], condition=Q(run__isnull=False), name="firing_made"
            ),
            models.Index(
                fields=["schedule", "-nominal_time"], condition=~Q(refusal=""), name="firing_refused"
            ),
            models.Index(fields=["nominal_time"], condition=Q(run__isnull=True), name="firing_without_run"),
        ]

    def __str__(self) -> str:
        return f"{self.nominal_time:%Y-%m-%d %H:%M} UTC"


class Worker(Entity):
    """A live worker process. Others judge it by whether `beat` moves, never by a clock."""

    name = models.CharField(max_length=255)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = JSONField(default=list)
    slots = models.PositiveIntegerField(default=1)
    beat = models.PositiveBigIntegerField(default=0)
    making = JSONField(
        default=dict, help_text="By deployment, a sentence about the environment it waits for."
    )
    is_alive = models.BooleanField(default=True)
    ended_reason = models.CharField(max_length=500, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        indexes: ClassVar = [
            models.Index(fields=["is_alive"], condition=Q(is_alive=True), name="worker_alive")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def last_seen(self) -> datetime:
        return self.updated


class Environment(Entity):
    """An installed set of requirements, by the hash of all that decides what is in it. Each machine makes it once."""

    hash = models.CharField(max_length=64, unique=True)
    requirements = JSONField(default=list)
    python_version = models.CharField(max_length=50)
    sdk_version = models.CharField(max_length=50)
    platform = models.CharField(max_length=100)
    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in EnvironmentStatus],
        default=EnvironmentStatus.MAKING,
    )
    log_tail = models.TextField(blank=True, help_text="The installer's last lines.")
    made_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="What making it took.")
    used_at = models.DateTimeField(
        default=timezone.now, help_text="When a machine used it last, to the minute."
    )

    class Meta:
        ordering: ClassVar = ["-created"]

    def __str__(self) -> str:
        return self.hash


class Preparation(Entity):
    """One question that user code answers on a worker before a run needs it: what may be chosen for a parameter, or
    what the pipeline consists of with other parameters of its own.

    Asked twice, it is one row; asked again when its answer is too old, it is the same row. Whoever raises `attempt`
    answers it.
    """

    deployment = models.ForeignKey(PipelineDeployment, on_delete=models.CASCADE, related_name="preparations")
    kind = models.CharField(
        max_length=20,
        choices=[(kind.value, kind.value) for kind in PreparationKind],
        default=PreparationKind.CHOICES,
    )
    # Both "" where the pipeline is compiled.
    step = models.CharField(max_length=255)
    parameter = models.CharField(max_length=255)
    # What the choices depend on, or the pipeline's parameters: [name, value].
    arguments = JSONField(default=list)
    key = models.CharField(max_length=64, unique=True, help_text="Of all that decides the answer, hashed.")
    queue = models.CharField(max_length=100)
    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in PreparationStatus],
        default=PreparationStatus.WAITING,
    )
    asked_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveIntegerField(default=0)
    worker_deaths = models.PositiveIntegerField(default=0)
    worker = models.ForeignKey(
        "Worker", null=True, blank=True, on_delete=models.SET_NULL, related_name="preparations"
    )
    answer = JSONField(null=True, blank=True, help_text="[value, label] of all that may be chosen.")
    blamed = models.CharField(max_length=255, blank=True, help_text="The pipeline's parameter that is wrong.")
    failure = models.CharField(max_length=2000, blank=True, help_text="Why there is none, in a sentence.")
    log_tail = models.TextField(blank=True, help_text="What the provider printed, for who owns the template.")
    ended_at = models.DateTimeField(null=True, blank=True)
    # Until when the answer holds, or the failure is told instead of asking again. By the database's clock.
    fresh_until = models.DateTimeField(null=True, blank=True)

    objects = PreparationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["asked_at"]
        indexes: ClassVar = [
            models.Index(
                fields=["queue", "asked_at"], condition=Q(status="waiting"), name="preparation_waiting"
            ),
            models.Index(fields=["worker"], condition=Q(status="running"), name="preparation_running"),
        ]

    def __str__(self) -> str:
        if self.kind == PreparationKind.COMPILATION:
            return "compilation"
        return f"choices of {self.step}.{self.parameter}"


class RunChoice(models.Model):
    """A value of a run that is chosen, what was offered when it was looked at, and what was wrong with it."""

    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="choices")
    step = models.CharField(max_length=255)
    parameter = models.CharField(max_length=255)
    # What its run waits for. Null: it was looked at, and the answer is not kept any more.
    preparation = models.ForeignKey(
        Preparation, null=True, on_delete=models.SET_NULL, related_name="run_choices"
    )
    is_open = models.BooleanField(default=True, help_text="It was not looked at yet.")
    offered = JSONField(
        null=True,
        blank=True,
        help_text="{size, sha256, chosen: [[value, label]], options: all, if they are few}",
    )
    refusal = models.CharField(max_length=2000, blank=True, help_text="What is wrong, in a sentence.")

    objects = AwaitedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "step", "parameter"], name="choice_per_run_and_parameter")
        ]
        indexes: ClassVar = [
            models.Index(fields=["preparation"], condition=Q(is_open=True), name="run_choice_open")
        ]

    def __str__(self) -> str:
        return f"{self.step}.{self.parameter}"


class RunCompilation(models.Model):
    """A run that was accepted with parameters of the pipeline that it had not been put together with yet."""

    run = models.OneToOneField(PipelineRun, on_delete=models.CASCADE, related_name="compilation")
    # What it waits for. Null: it was looked at, and is not kept any more.
    preparation = models.ForeignKey(
        Preparation, null=True, on_delete=models.SET_NULL, related_name="run_compilations"
    )
    is_open = models.BooleanField(default=True, help_text="The run has no steps yet.")
    moment = models.CharField(max_length=40, blank=True, help_text="What the run is for, if that is not now.")
    errors = JSONField(default=list, blank=True, help_text="[pointer, sentence] of all that was wrong then.")

    objects = AwaitedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["preparation"], condition=Q(is_open=True), name="run_compilation_open")
        ]

    def __str__(self) -> str:
        return str(self.run_id)


class IdempotencyRecord(models.Model):
    """One key of one caller on one route, and the run it made: asking again finds that run."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=300)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(
        max_length=255, help_text="Sealed with the run's id where a secret was hashed."
    )
    run = models.ForeignKey(PipelineRun, on_delete=models.CASCADE, related_name="idempotency_records")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "route", "key"], name="idempotency_key_per_caller_and_route"
            )
        ]

    def __str__(self) -> str:
        return self.key
