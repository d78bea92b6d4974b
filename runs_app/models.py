"""What was run: runs, their steps and attempts, their ledger, what they made, and the workers that did it."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from runs_app.querysets import (
    ArtifactVersionQuerySet,
    PipelineRunQuerySet,
    StepRunQuerySet,
    WorkerQuerySet,
)
from templates_app.models import Pipeline, PipelineDeployment, RunTemplate, RunTemplateVersion, Stack
from zenweb.accounts.models import Project
from zenweb.entity import Entity, JSONField
from zenweb.enums import ExecutionMode, ExecutionStatus, TriggerChannel

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

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="runs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="runs")
    deployment = models.ForeignKey(PipelineDeployment, on_delete=models.PROTECT, related_name="runs")
    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="runs")
    template = models.ForeignKey(
        RunTemplate, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    template_version = models.ForeignKey(
        RunTemplateVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
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
    # A run of the local stack belongs to the process that called it, which keeps moving this while it lives.
    caller_beat = models.PositiveBigIntegerField(null=True, blank=True)

    objects = PipelineRunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="run_name_per_project")
        ]
        indexes: ClassVar = [
            models.Index(fields=["-created"], name="run_created"),
            models.Index(fields=["status", "-created"], name="run_status_created"),
            models.Index(fields=["template", "-created"], name="run_template_created"),
            models.Index(fields=["pipeline", "-created"], name="run_pipeline_created"),
            models.Index(fields=["caller_beat"], condition=Q(caller_beat__isnull=False), name="run_caller"),
            models.Index(
                fields=["start_time"],
                condition=Q(timeout__isnull=False, end_time__isnull=True),
                name="run_timeout",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.id])

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameters by step, as they really ran."""
        steps: dict[str, dict[str, Any]] = self.resolved_configuration.get("steps", {})
        return {name: step.get("parameters", {}) for name, step in steps.items()}


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
    # What decided its outputs, hashed when it became ready. Empty: it was not looked for in the cache.
    cache_key = models.CharField(max_length=64, blank=True)

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
    """A piece of what a running attempt printed; gone when the whole log is stored at its end."""

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
    producer_step = models.ForeignKey(StepRun, null=True, on_delete=models.SET_NULL, related_name="produced")

    objects = ArtifactVersionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["artifact", "version"], name="version_number_per_artifact")
        ]

    def __str__(self) -> str:
        return f"{self.artifact_id} {self.version}"


class StepOutput(models.Model):
    """Which artifact version a step gave out under which name (a cached step gives out another step's)."""

    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="outputs")
    name = models.CharField(max_length=255)
    artifact_version = models.ForeignKey(ArtifactVersion, on_delete=models.CASCADE, related_name="outputs")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["step", "name"], name="output_name_per_step")
        ]

    def __str__(self) -> str:
        return self.name


class Worker(Entity):
    """A live worker process. Others judge it by whether `beat` moves, never by a clock."""

    name = models.CharField(max_length=255)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = JSONField(default=list)
    slots = models.PositiveIntegerField(default=1)
    beat = models.PositiveBigIntegerField(default=0)
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


class IdempotencyRecord(models.Model):
    """One key of one caller on one route, and the run it made: asking again finds that run."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    route = models.CharField(max_length=300)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
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
