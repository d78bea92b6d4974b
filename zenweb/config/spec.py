"""A pipeline frozen as data: what a deployment stores and a worker runs without importing anything."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from zenweb.config.versions import up_to
from zenweb.enums import ExecutionMode, StepProcess

SPEC_VERSION: Final = 2  # version 1 has neither mapped steps nor conditions; all else is the same
DAY, YEAR = 86_400, 31_536_000  # seconds

Timeout = Annotated[float, Field(gt=0, le=YEAR)]
"""Seconds."""
QueueName = Annotated[str, Field(min_length=1, max_length=100)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
"""The higher is taken first."""
# Written out where it is used, so that no name of ours stands among the `$defs` of a pipeline's types.
Mode = Annotated[
    ExecutionMode, WithJsonSchema({"type": "string", "enum": [mode.value for mode in ExecutionMode]})
]


class SpecModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StepRetry(SpecModel):
    """How often a failed step is tried again; before the n-th retry it waits `delay * backoff ** (n - 1)` seconds."""

    max_retries: int = Field(default=0, ge=0, le=1000)
    delay: int = Field(default=0, ge=0, le=DAY)
    backoff: int = Field(default=1, ge=1, le=100)


class StepResources(SpecModel):
    """What a step needs, as ZenML's ResourceSettings say it; and the queue whose workers have it."""

    cpu_count: float | None = Field(default=None, gt=0, le=100_000)
    gpu_count: int | None = Field(default=None, ge=0, le=10_000)
    memory: str | None = Field(default=None, pattern="^[0-9]{1,15}([KMGTP]i?B)$")
    """Such as `16GB` or `512MiB`."""
    queue: QueueName | None = None


class StepSettings(SpecModel):
    """How a step is executed; None leaves the decision to the pipeline, the stack or the worker."""

    enable_cache: bool | None = None
    retry: StepRetry | None = None
    timeout: Timeout | None = None
    queue: QueueName | None = None
    priority: Priority | None = None
    failure_hook_source: str | None = None
    """`module.function`, as is the other."""
    success_hook_source: str | None = None
    resources: StepResources | None = None
    """For the record. The queue among them stands in `queue`."""
    process: StepProcess | None = None


class OutputSpec(SpecModel):
    name: str
    artifact_name: str
    type: str


class InputSpec(SpecModel):
    """The earlier output that fills a parameter. All that a mapped step gave out under that name comes as a list."""

    step: str
    output: str
    is_mapped: bool = False
    """The step runs once for each of its elements, and gets one."""
    is_optional: bool = False
    """Where the earlier step was skipped, the function's own default takes its place."""


class Condition(SpecModel):
    """The step runs only if this earlier output has that value; with `is_negated`, only if it has another."""

    step: str
    output: str
    value: bool | int | float | str = True
    is_negated: bool = False


class StepSpec(SpecModel):
    name: str
    source: str
    code_hash: str
    description: str = ""
    inputs: dict[str, InputSpec] = Field(default_factory=dict)
    artifacts: dict[str, UUID] = Field(default_factory=dict)
    """Parameters that artifact versions fill which were there when the pipeline was frozen."""
    upstream: list[str] = Field(default_factory=list)
    """The steps that must have ended before: of inputs and conditions, and those named by `after=`. Sorted."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON values from the pipeline function or else the signature's defaults. A required parameter has none."""
    parameters_schema: dict[str, Any] = Field(default_factory=dict)
    """A `$ref` in here points into the pipeline's `definitions`, as `#/$defs/Name` of the config schema's root."""
    outputs: list[OutputSpec] = Field(default_factory=list)
    settings: StepSettings = Field(default_factory=StepSettings)
    mapped_parameters: list[str] = Field(default_factory=list)
    """Those whose value is a list with one for each run of the step."""
    conditions: list[Condition] = Field(default_factory=list)
    """All have to hold, or else the step is skipped."""

    @property
    def is_mapped(self) -> bool:
        """Whether it runs once for each element of lists, which may be known only when it becomes ready."""
        return bool(self.mapped_parameters) or any(source.is_mapped for source in self.inputs.values())

    def needs(self, step: str) -> bool:
        """Whether it cannot run without what an earlier step gives out."""
        needed = {source.step for source in self.inputs.values() if not source.is_optional}
        return step in needed | {condition.step for condition in self.conditions}


class PipelineSpec(SpecModel):
    version: Annotated[Literal[1, 2], up_to(SPEC_VERSION, "The pipeline's spec")] = SPEC_VERSION
    name: str
    source: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameters_schema: dict[str, Any] | None = None
    """Of what a run may give the pipeline itself. None, as older specs have it: only its own types know."""
    configuration: dict[str, Any] | None = None
    """What its options and their file said when it was frozen: it holds when the pipeline is compiled again."""
    steps: list[StepSpec] = Field(default_factory=list)
    """In an order in which they could run one after the other."""
    definitions: dict[str, Any] = Field(default_factory=dict)
    enable_cache: bool | None = None
    timeout: Timeout | None = None
    """Of a whole run, from the start of its first step."""
    execution_mode: Mode | None = None
    tags: list[str] = Field(default_factory=list)
    settings: dict[str, Any] = Field(default_factory=dict)
    imports_zenml: bool = False
    """Its code was frozen with `zenweb.compat` on, which its steps' processes therefore switch on as well."""
