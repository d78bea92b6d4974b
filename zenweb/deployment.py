"""Freezes a pipeline on the server, and runs what was frozen: what calling a pipeline or making a template comes to."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from zenweb import __version__, connection
from zenweb.client import Client
from zenweb.config.code_archive import CodeArchive, pack
from zenweb.config.compiler import compile_pipeline, configuration_of
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.requirements import requirements_of
from zenweb.config.run_configuration import wire_configuration
from zenweb.config.source import source_root
from zenweb.config.spec import PipelineSpec
from zenweb.config.template_file import FORMAT, HASH_MARK, FrozenPipeline, TemplateDocument
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import (
    CredentialsNotValid,
    LocalStackRefused,
    NotConnected,
    RunStopped,
    ServerUnreachable,
    ValidationFailed,
)
from zenweb.execution.choosing import check_choices_here
from zenweb.execution.local_run import execute_local_run
from zenweb.execution.value_checks import errors_in
from zenweb.responses import (
    DeploymentResponse,
    Judgement,
    PipelineRunResponse,
    RunTemplateResponse,
    StackResponse,
)

if TYPE_CHECKING:
    from zenweb.pipelines import Pipeline

NO_SERVER = (NotConnected, ServerUnreachable, CredentialsNotValid)


def create_run_template(
    pipeline: "Pipeline[..., Any]",
    *,
    name: str,
    description: str | None,
    tags: Sequence[str] | None,
    update: bool,
    stack: str | None,
    drop_misfits: bool = False,
) -> RunTemplateResponse:
    """Freeze the pipeline and make a template of it. Refuses a local stack before anything is stored."""
    frozen = ready_for_template(pipeline, stack=stack)
    return frozen.create_run_template(
        name, description=description, tags=tags, update=update, drop_misfits=drop_misfits
    )


def ready_for_template(pipeline: "Pipeline[..., Any]", *, stack: str | None = None) -> "UnfrozenPipeline":
    """The pipeline put together, and nothing of it stored yet. Refuses a local stack."""
    client, chosen = _connect(stack)
    if not chosen.is_remote:
        raise LocalStackRefused.of(
            chosen.name, [other.name for other in client.list_stacks() if other.is_remote]
        )
    spec = compile_pipeline(pipeline, pipeline.arguments())
    return UnfrozenPipeline.of(client, pipeline, spec, chosen)


def preview_run_template(pipeline: "Pipeline[..., Any]", *, name: str, stack: str | None) -> dict[str, Any]:
    """What freezing it as a new version of the template would change, and break; see `Client.apply_run_template`."""
    client, chosen = _connect(stack)
    spec = compile_pipeline(pipeline, pipeline.arguments())
    frozen = UnfrozenPipeline.of(client, pipeline, spec, chosen).frozen
    document = TemplateDocument(format=FORMAT, name=name, stack=chosen.name, pipeline=frozen)
    return client.apply_run_template(document, dry_run=True)


def run_pipeline(pipeline: "Pipeline[..., Any]", arguments: Mapping[str, Any]) -> PipelineRunResponse:
    """Run the pipeline on the active stack: on workers without waiting, or in this process to the end.

    Raises what the first step that failed here has raised, and RunStopped.
    """
    started = ready_to_run(pipeline, arguments).start()
    click.echo(f"Run {started.run.name} on stack {started.stack.name}: {started.run.url}")
    failure = started.execute()
    if failure is not None:
        raise failure
    if started.stack.is_remote:
        return started.run
    run = started.run.refresh()
    if run.status is ExecutionStatus.STOPPED:
        raise _stopped(run)
    return run


def ready_to_run(
    pipeline: "Pipeline[..., Any]",
    arguments: Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    stack: str | None = None,
) -> "ReadyRun":
    """The pipeline put together, and nothing of it stored yet. `stack`: another than the active one.

    `parameters`: of the pipeline's function, which is called with them, over the `arguments` that code gave. Raises
    ValidationFailed for those.
    """
    client, chosen = _connect(stack)
    parameters = _wired(client, {"parameters": parameters}).get("parameters") or {}
    if errors := errors_in(pipeline.entrypoint, parameters, "/parameters"):
        raise ValidationFailed(errors)
    spec = compile_pipeline(pipeline, {**arguments, **parameters})
    return ReadyRun(UnfrozenPipeline.of(client, pipeline, spec, chosen), {})


@dataclass(frozen=True)
class UnfrozenPipeline:
    """Code and spec of a pipeline, as the server is to get them."""

    client: Client
    spec: PipelineSpec
    stack: StackResponse
    archive: CodeArchive
    body: dict[str, Any]

    @classmethod
    def of(
        cls, client: Client, pipeline: "Pipeline[..., Any]", spec: PipelineSpec, stack: StackResponse
    ) -> "UnfrozenPipeline":
        root = source_root(pipeline)
        requirements = requirements_of(pipeline.options, spec.settings, root)
        archive = pack(root)
        run_name = configuration_of(pipeline.options).run_name
        body = {
            "pipeline": spec.name,
            "stack": str(stack.id),
            "spec": spec.model_dump(mode="json"),
            "config_schema": build_config_schema(spec),
            "config_template": build_config_template(spec, run_name),
            "code_archive": archive.sha256,
            "requirements": requirements,
            "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
            "client_version": __version__,
        }
        return cls(client, spec, stack, archive, body)

    @property
    def frozen(self) -> FrozenPipeline:
        """As template files say it."""
        said = {name: self.body[name] for name in FrozenPipeline.model_fields if name in self.body}
        return FrozenPipeline(name=self.spec.name, code=f"{HASH_MARK}{self.archive.sha256}", **said)

    def freeze(self) -> DeploymentResponse:
        """Store the pipeline's code and its spec. Nothing new is made of what is already there."""
        self.client.upload_code_archive(self.archive)
        return self.client.create_deployment(self.body)

    def create_run_template(self, name: str, **options: Any) -> RunTemplateResponse:
        """Freeze it and make a template of it; `options` as `Client.create_run_template` has them."""
        return self.client.create_run_template(name, self.freeze().id, **options)


@dataclass(frozen=True)
class ReadyRun:
    """A pipeline and what it is to be run with."""

    pipeline: UnfrozenPipeline
    configuration: dict[str, Any]

    @property
    def is_remote(self) -> bool:
        """Whether it would run on workers."""
        return self.pipeline.stack.is_remote

    @property
    def config_schema(self) -> dict[str, Any]:
        """What it may be given."""
        schema: dict[str, Any] = self.pipeline.body["config_schema"]
        return schema

    def given(self, configuration: Mapping[str, Any]) -> "ReadyRun":
        """The same with these values; the pipeline's own parameters were given before, when it was put together."""
        given = _wired(self.pipeline.client, configuration)
        return ReadyRun(self.pipeline, {key: value for key, value in given.items() if key != "parameters"})

    def check(self) -> Judgement:
        """What the server says to it, before anything is stored. Raises ValidationFailed with all that is wrong."""
        return self.pipeline.client.check_deployment(self.pipeline.body, self.configuration)

    def start(self) -> "StartedRun":
        """Freeze it and have the run accepted. On a local stack nothing of it has run yet."""
        frozen = self.pipeline
        if not self.is_remote:
            check_choices_here(_with_values(frozen.spec, self.configuration))
        run = frozen.client.run_deployment(frozen.freeze().id, self.configuration)
        return StartedRun(frozen.client, run, frozen.spec, frozen.stack)


@dataclass(frozen=True)
class StartedRun:
    """A run that the server has accepted. Its steps run on workers, or else wait for this process."""

    client: Client
    run: PipelineRunResponse
    spec: PipelineSpec
    stack: StackResponse

    def execute(self) -> BaseException | None:
        """Run the steps that wait for this process; what the first that failed has raised. Raises RunStopped."""
        if self.stack.is_remote:
            return None
        try:
            return execute_local_run(
                self.client, self.run.id, self.spec, str(connection.config_folder() / "artifacts")
            )
        except RunStopped:
            raise _stopped(self.run.refresh()) from None


def _wired(client: Client, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """As it is sent: its files are on the server then."""
    return wire_configuration(client.with_files(configuration))


def _stopped(run: PipelineRunResponse) -> RunStopped:
    return RunStopped(f"Run {run.name} {run.status}: {run.status_reason}")


def _with_values(spec: PipelineSpec, configuration: Mapping[str, Any]) -> PipelineSpec:
    """The spec as if it had been frozen with the values that a run is given."""
    given = {
        name: (step or {}).get("parameters") or {}
        for name, step in (configuration.get("steps") or {}).items()
    }
    steps = [
        step.model_copy(update={"parameters": {**step.parameters, **given.get(step.name, {})}})
        for step in spec.steps
    ]
    return spec.model_copy(update={"steps": steps})


def _connect(stack: str | None) -> tuple[Client, StackResponse]:
    """The server, with the stack of this name or else the active one. Raises one of NO_SERVER, and DoesNotExist."""
    try:
        client = Client()
        return client, client.active_stack if stack is None else client.get_stack(stack)
    except NO_SERVER as error:
        # Who sees it has to start or choose a server, not to read our code.
        raise error.with_traceback(None) from None
