"""What can be run: pipelines, the stacks they run on, frozen deployments, and the templates people start."""

from copy import copy
from functools import cached_property
from typing import Any, ClassVar, cast

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy

from templates_app.curated_schema import curate, defaults_of
from templates_app.curation import Curation, read_curation
from templates_app.derived_curation import Uses, uses_of, with_other_parameters
from templates_app.querysets import (
    CodeArchiveQuerySet,
    PipelineDeploymentQuerySet,
    PipelineQuerySet,
    PresetQuerySet,
    RunTemplateQuerySet,
    StackQuerySet,
)
from zenweb.accounts.models import Project
from zenweb.config.spec import StepSpec
from zenweb.entity import Entity, JSONField
from zenweb.enums import ConcurrencyPolicy, Orchestrator, Role
from zenweb.exceptions import FieldError

MOST_CONCURRENT_RUNS = 10_000


class Pipeline(Entity):
    """A pipeline known by its name; its code lives in its deployments."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="pipelines")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    # How many runs it ever had: the number its next run is called by.
    run_count = models.PositiveIntegerField(default=0, editable=False)

    audited: ClassVar = ("name", "description")

    objects = PipelineQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="pipeline_name_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class Stack(Entity):
    """Where runs execute, and where what they make is stored."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    name = models.CharField(max_length=255, unique=True)
    orchestrator = models.CharField(max_length=20, choices=[(o.value, o.value) for o in Orchestrator])
    queue = models.CharField(
        max_length=100, blank=True, default="default", help_text="Which workers serve it."
    )
    artifact_store_uri = models.CharField(
        max_length=1000,
        blank=True,
        help_text="A folder or fsspec URI. Empty: the folder of whoever executes.",
    )

    audited: ClassVar = ("name", "orchestrator", "queue", "artifact_store_uri")

    objects = StackQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_remote(self) -> bool:
        return Orchestrator(self.orchestrator).is_remote


class CodeArchive(Entity):
    """A pipeline's source code, known by the SHA-256 of its uncompressed tar."""

    sha256 = models.CharField(max_length=64, unique=True)
    size = models.PositiveBigIntegerField(help_text="Bytes, uncompressed.")
    content = models.BinaryField(help_text="The tar, gzip-compressed.")
    # Who has shown that they have it. A hash alone, which others may have been told, opens nothing.
    uploaders = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")

    objects = CodeArchiveQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]

    def __str__(self) -> str:
        return self.sha256[:12]


class PipelineDeployment(Entity):
    """A pipeline frozen with its code, typed parameters and stack. Never changed once made."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="deployments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="deployments")
    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="deployments")
    code_archive = models.ForeignKey(CodeArchive, on_delete=models.PROTECT, related_name="deployments")
    spec = JSONField()
    config_schema = JSONField()
    config_template = JSONField()
    requirements = JSONField(default=list)
    python_version = models.CharField(max_length=20)
    client_version = models.CharField(max_length=50)
    # A restricted template ran it that is deleted by now. The one thing that is said of a deployment afterwards.
    is_restricted = models.BooleanField(default=False, editable=False)
    # SHA-256 of everything above: freezing the same thing twice finds the first.
    fingerprint = models.CharField(max_length=64)
    # Put together by a worker, with other parameters than somebody froze it with; and a hash of all of these.
    derived_from = models.ForeignKey(
        "self", null=True, editable=False, on_delete=models.CASCADE, related_name="derived"
    )
    parameters_key = models.CharField(max_length=64, default="", editable=False)

    audited: ClassVar = (
        "pipeline",
        "stack",
        "code_archive",
        "requirements",
        "python_version",
        "client_version",
    )

    objects = PipelineDeploymentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "fingerprint"], name="deployment_once_per_pipeline"),
            models.UniqueConstraint(
                fields=["derived_from", "parameters_key"], name="deployment_derived_once_per_parameters"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["updated"], condition=Q(derived_from__isnull=False), name="derived_deployment_use"
            )
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_id} {self.fingerprint[:12]}"

    @property
    def step_uses(self) -> Uses:
        """How it uses the functions of its steps."""
        return uses_of(StepSpec.model_validate(step) for step in self.spec["steps"])


class RunTemplate(Entity):
    """A named pipeline that people run with their own parameters."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="run_templates")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    is_hidden = models.BooleanField(default=False, help_text="Left out of lists.")
    is_enabled = models.BooleanField(default=True, help_text="May be run.")
    is_restricted = models.BooleanField(
        default=False,
        help_text="Only for those who were given a role on it, and for owners of its project.",
    )
    tags = JSONField(default=list, blank=True)
    max_concurrent_runs = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CONCURRENT_RUNS)],
        help_text="How many of its runs may go on at once. Empty: as many as are started.",
    )
    concurrency_policy = models.CharField(
        max_length=20,
        choices=[(policy.value, f"Further runs {policy.words}") for policy in ConcurrencyPolicy],
        default=ConcurrencyPolicy.QUEUE,
        help_text="What becomes of one more run than that.",
    )
    managed_by = models.CharField(
        max_length=255,
        blank=True,
        editable=False,
        help_text="The set of template files that it is applied from. Empty: it is kept here alone.",
    )
    latest_version = models.ForeignKey(
        "RunTemplateVersion", null=True, editable=False, on_delete=models.RESTRICT, related_name="+"
    )

    audited: ClassVar = (
        *("name", "description", "is_hidden", "is_enabled", "is_restricted", "tags"),
        *("max_concurrent_runs", "concurrency_policy", "managed_by"),
    )

    objects = RunTemplateQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="template_name_per_project"),
            models.CheckConstraint(
                condition=Q(max_concurrent_runs__gte=1), name="template_limit_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run-template", args=[self.id])

    @property
    def version(self) -> "RunTemplateVersion":
        """Its newest version: a template is always made together with its first."""
        return cast("RunTemplateVersion", self.latest_version)

    @property
    def deployment(self) -> PipelineDeployment:
        """What its newest version runs."""
        return self.version.deployment

    @property
    def pipeline(self) -> Pipeline:
        return self.deployment.pipeline

    @property
    def limit_words(self) -> str:
        """ "at most 2 at once, further ones wait for their turn"; nothing where there is no limit."""
        if self.max_concurrent_runs is None:
            return ""
        return _LIMIT_WORDS[ConcurrencyPolicy(self.concurrency_policy)] % {"number": self.max_concurrent_runs}


_LIMIT_WORDS = {
    ConcurrencyPolicy.QUEUE: gettext_lazy("at most %(number)s at once, further ones wait for their turn"),
    ConcurrencyPolicy.SKIP: gettext_lazy("at most %(number)s at once, further ones are not run"),
    ConcurrencyPolicy.CANCEL: gettext_lazy(
        "at most %(number)s at once, further ones take the place of the oldest"
    ),
}


class RunTemplateVersion(Entity):
    """One numbered state of a template. Never changed once made; runs name the version they ran."""

    template = models.ForeignKey(RunTemplate, on_delete=models.CASCADE, related_name="versions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    number = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    deployment = models.ForeignKey(
        PipelineDeployment, on_delete=models.PROTECT, related_name="template_versions"
    )
    # How its owner shaped its form, see `Curation`; {}: as the pipeline says.
    curation = JSONField(default=dict, blank=True)
    # What of the curation of the version before did not fit this deployment, in sentences.
    curation_notes = JSONField(default=list, blank=True)

    audited: ClassVar = ("number", "deployment_id", "curation")

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="version_number_per_template")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    # As what somebody uses it: of what its owner bounded and fixed, not all holds for every role.
    role = Role.NOBODY

    def used_by(self, role: Role) -> "RunTemplateVersion":
        """The same, with what holds for who is this to its template."""
        if role is not self.role:
            self.role = role
            self.__dict__.pop("config_schema", None)
        return self

    def running(self, deployment: PipelineDeployment) -> "RunTemplateVersion":
        """The same, as it is where its pipeline is put together with other parameters. Not to be saved."""
        derived = copy(self)
        derived.__dict__.pop("config_schema", None)
        derived.frozen = self.frozen or self.deployment
        derived.deployment = deployment
        return derived

    # Of a version whose pipeline is put together with other parameters, what its curation was made for.
    frozen: PipelineDeployment | None = None

    @property
    def curation_in_use(self) -> Curation:
        curation = read_curation(self.curation).for_role(self.role)
        if self.frozen is None:
            return curation
        return with_other_parameters(curation, self.frozen.step_uses, self.deployment.step_uses)

    @cached_property
    def config_schema(self) -> dict[str, Any]:
        """What a run of this version may be given (JSON Schema)."""
        schema: dict[str, Any] = self.deployment.config_schema
        return curate(schema, self.curation_in_use) if self.curation else schema

    @property
    def config_template(self) -> dict[str, Any]:
        """The configuration that a run starts from: every default."""
        template: dict[str, Any] = self.deployment.config_template
        if not self.curation:
            return template
        steps = dict(template.get("steps") or {})
        own_defaults = defaults_of(self.curation_in_use)
        if own := own_defaults.pop("", {}):
            template = {**template, "parameters": {**(template.get("parameters") or {}), **own}}
        for name, values in own_defaults.items():
            section = steps.get(name) or {}
            steps[name] = {**section, "parameters": {**(section.get("parameters") or {}), **values}}
        return {**template, "steps": steps}


class Preset(Entity):
    """Values of a template under a name: what differs from its defaults, and never a secret."""

    problems: list[FieldError] | None = None
    """What its template's newest version refuses of it, once that was looked for."""

    template = models.ForeignKey(RunTemplate, on_delete=models.CASCADE, related_name="presets")
    # The version that its values were checked against.
    version = models.ForeignKey(RunTemplateVersion, on_delete=models.CASCADE, related_name="+")
    # What the pipeline is put together as with the parameters of its own that stand in here, if that is known: it is
    # kept as long. None: as it was frozen.
    deployment = models.ForeignKey(
        PipelineDeployment, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=255)
    is_shared = models.BooleanField(default=False, help_text="For everybody who may run the template.")
    configuration = JSONField(default=dict, blank=True)

    objects = PresetQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "is_shared"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["template", "name"],
                condition=Q(is_shared=True),
                name="shared_preset_name_per_template",
            ),
            models.UniqueConstraint(
                fields=["template", "user", "name"],
                condition=Q(is_shared=False),
                name="private_preset_name_per_owner",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def audited(self) -> tuple[str, ...]:
        """Owners of its template read the audit: the values of a private preset are its own owner's alone."""
        return ("name", "is_shared", "configuration") if self.is_shared else ("name", "is_shared")
