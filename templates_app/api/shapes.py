"""What REST answers about what can be run: the shapes of `entities.py`."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from zenweb.api.shapes import (
    Document,
    Entity,
    Moment,
    Named,
    NamelessReference,
    Owned,
    Reference,
    Source,
    Tag,
    Times,
    User,
)
from zenweb.enums import ConcurrencyPolicy, ExecutionStatus, Orchestrator

Schema = Annotated[Document, Field(description="JSON Schema of a run configuration.")]
Configuration = Annotated[Document, Field(description="A run configuration with every default filled in.")]


class LatestRun(TypedDict):
    """Of those that who asks may see."""

    latest_run_id: UUID | None
    latest_run_status: ExecutionStatus | None


class StackReferenceFields(Times):
    user_id: UUID | None
    is_remote: bool


class StackReference(Named):
    """A stack that another thing names, without the rest of it."""

    name: Annotated[str, Field(examples=["celery"])]
    body: StackReferenceFields
    metadata: None
    resources: None


class StackMetadata(TypedDict):
    components: Document
    description: str
    stack_spec_path: None
    labels: Document
    orchestrator: Orchestrator
    queue: str
    artifact_store_uri: str
    is_remote: bool


class OwnResources(TypedDict):
    user: User | None


class Stack(Named):
    """Where runs execute: `local` is the process of who calls, everything else is remote."""

    name: Annotated[str, Field(examples=["celery"])]
    body: StackReferenceFields
    metadata: StackMetadata | None
    resources: OwnResources


class PipelineMetadata(TypedDict):
    description: str | None


class PipelineResources(LatestRun):
    user: User | None
    latest_run_user: User | None
    tags: list[Tag]


class Pipeline(Named):
    name: Annotated[str, Field(examples=["training_pipeline"])]
    body: Owned
    metadata: PipelineMetadata | None
    resources: PipelineResources


class StepInput(TypedDict):
    step_name: str
    output_name: str


class StepSpec(TypedDict):
    source: Source
    upstream_steps: list[str]
    inputs: dict[str, StepInput]
    pipeline_parameter_name: str
    invocation_id: str


class PipelineSpec(TypedDict):
    """A pipeline's steps, in ZenML's words."""

    version: str
    source: Source
    parameters: Document
    steps: list[StepSpec]


class PipelineName(TypedDict):
    name: str


class Frozen(TypedDict):
    """What ZenML says of a deployment, and of the snapshot that it calls it now."""

    run_name_template: str
    pipeline_configuration: PipelineName
    pipeline_spec: PipelineSpec
    client_version: str
    server_version: str
    code_path: None


class CodeArchive(TypedDict):
    """A pipeline's source code."""

    id: UUID
    sha256: Annotated[
        str, Field(description="Of the uncompressed tar.", pattern="^[0-9a-f]{64}$", examples=["9f" * 32])
    ]
    size: Annotated[int, Field(description="Bytes, uncompressed.")]
    created: Moment


class DeploymentMetadata(Frozen):
    config_schema: Schema
    config_template: Configuration
    requirements: list[str]
    python_version: Annotated[str, Field(examples=["3.11"])]
    pipeline: Reference
    stack: StackReference
    build: NamelessReference | None
    schedule: None
    code_reference: None
    template_id: None


class DeploymentResources(TypedDict):
    user: User | None
    pipeline: Reference
    stack: StackReference
    build: NamelessReference | None


class Deployment(Entity):
    """A pipeline as it was frozen: steps, code, requirements, schema."""

    body: Owned
    metadata: DeploymentMetadata | None
    resources: DeploymentResources | None


class BuildMetadata(TypedDict):
    pipeline: Reference
    stack: StackReference
    images: Document
    zenml_version: str
    python_version: str
    checksum: str
    stack_checksum: None
    is_local: Literal[False]
    contains_code: Literal[True]
    duration: None


class Build(Entity):
    """What ZenML's clients look for beside a deployment. No image is built."""

    body: Owned
    metadata: BuildMetadata | None
    resources: OwnResources


class SnapshotFields(Owned):
    runnable: bool
    deployable: Literal[False]
    is_dynamic: Literal[False]
    pipeline_id: UUID


class SnapshotReference(Entity):
    """A snapshot that another thing names, without the rest of it."""

    body: SnapshotFields
    metadata: None
    resources: None


class SnapshotMetadata(Frozen):
    description: str | None
    config_template: Configuration
    config_schema: Schema
    template_id: UUID | None
    source_snapshot_id: UUID | None


class SnapshotResources(LatestRun):
    user: User | None
    tags: list[Tag]
    pipeline: Reference
    stack: StackReference
    build: NamelessReference | None
    schedule: None
    code_reference: None
    deployment: None
    latest_run_user: None
    visualizations: list[Document]


class NamedSnapshot(Named):
    """A run template, as ZenML's newer clients call it."""

    body: SnapshotFields
    metadata: SnapshotMetadata | None
    resources: SnapshotResources


class UnnamedSnapshot(Entity):
    """A deployment, as ZenML's newer clients call it."""

    body: SnapshotFields
    metadata: SnapshotMetadata | None
    resources: SnapshotResources


class RunTemplateFields(Owned):
    runnable: bool
    hidden: bool
    restricted: bool
    version: Annotated[int, Field(description="The number of its newest version.")]
    max_concurrent_runs: Annotated[int | None, Field(description="Null: as many as there are.")]
    concurrency_policy: ConcurrencyPolicy
    managed_by: Annotated[str | None, Field(description="The set of template files that it is applied from.")]


class RunTemplateMetadata(TypedDict):
    description: str | None
    pipeline_spec: PipelineSpec
    config_template: Configuration
    config_schema: Schema


class RunTemplateResources(LatestRun):
    user: User | None
    source_deployment: NamelessReference
    source_snapshot: SnapshotReference
    pipeline: Reference
    build: NamelessReference | None
    code_reference: None
    tags: list[Tag]


class RunTemplate(Named):
    """What a person or a program runs."""

    body: RunTemplateFields
    metadata: RunTemplateMetadata | None
    resources: RunTemplateResources


class DeployedRunTemplate(RunTemplate):
    """A run template that was just made, or given another deployment."""

    warnings: Annotated[
        list[str], Field(description="What was left out of its form, which no longer fitted.")
    ]


class RunTemplateVersionFields(Owned):
    number: Annotated[int, Field(ge=1)]
    is_newest: bool
    template_id: UUID
    deployment_id: UUID


class RunTemplateVersionMetadata(TypedDict):
    config_template: Configuration
    config_schema: Schema
    curation: Document


class RunTemplateVersionResources(TypedDict):
    user: User | None
    source_deployment: NamelessReference
    stack: StackReference


class RunTemplateVersion(Named):
    """One state of a template; its name is its number."""

    body: RunTemplateVersionFields
    metadata: RunTemplateVersionMetadata | None
    resources: RunTemplateVersionResources
    warnings: list[str]
