"""Freezes a pipeline on the server, and runs what was frozen: what calling a pipeline or making a template comes to."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from zenweb import __version__, connection
from zenweb.client import Client
from zenweb.config.code_archive import pack
from zenweb.config.compiler import compile_pipeline, configuration_of
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.requirements import requirements_of
from zenweb.config.source import source_root
from zenweb.config.spec import PipelineSpec
from zenweb.exceptions import (
    CredentialsNotValid,
    LocalStackRefused,
    NotConnected,
    RunStopped,
    ServerUnreachable,
)
from zenweb.execution.choosing import check_choices_here
from zenweb.execution.local_run import execute_local_run
from zenweb.responses import DeploymentResponse, PipelineRunResponse, RunTemplateResponse, StackResponse

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
    client, chosen = _connect(stack)
    if not chosen.is_remote:
        raise LocalStackRefused.of(
            chosen.name, [other.name for other in client.list_stacks() if other.is_remote]
        )
    spec = compile_pipeline(pipeline, pipeline.arguments())
    deployment = deploy(client, pipeline, spec, chosen)
    return client.create_run_template(
        name,
        deployment.id,
        description=description,
        tags=tags,
        update=update,
        drop_misfits=drop_misfits,
    )


def run_pipeline(pipeline: "Pipeline[..., Any]", arguments: Mapping[str, Any]) -> PipelineRunResponse:
    """Run the pipeline on the active stack: on workers without waiting, or in this process to the end.

    Raises what the first step that failed here has raised, and RunStopped.
    """
    started = start_pipeline(pipeline, arguments)
    failure = started.execute()
    if failure is not None:
        raise failure
    return started.run.refresh() if started.is_local else started.run


@dataclass(frozen=True)
class StartedRun:
    """A run that the server has accepted. Its steps run on workers, or else wait for this process."""

    client: Client
    run: PipelineRunResponse
    spec: PipelineSpec
    is_local: bool

    def execute(self) -> BaseException | None:
        """Run the steps that wait for this process; what the first that failed has raised. Raises RunStopped."""
        if not self.is_local:
            return None
        try:
            return execute_local_run(
                self.client, self.run.id, self.spec, str(connection.config_folder() / "artifacts")
            )
        except RunStopped:
            run = self.run.refresh()
            raise RunStopped(f"Run {run.name} {run.status}: {run.status_reason}") from None


def start_pipeline(pipeline: "Pipeline[..., Any]", arguments: Mapping[str, Any]) -> StartedRun:
    client, stack = _connect(None)
    spec = compile_pipeline(pipeline, arguments)
    if not stack.is_remote:
        check_choices_here(spec)
    run = client.run_deployment(deploy(client, pipeline, spec, stack).id)
    click.echo(f"Run {run.name} on stack {stack.name}: {run.url}")
    return StartedRun(client, run, spec, not stack.is_remote)


def _connect(stack: str | None) -> tuple[Client, StackResponse]:
    """The server, with the stack of this name or else the active one. Raises one of NO_SERVER, and DoesNotExist."""
    try:
        client = Client()
        return client, client.active_stack if stack is None else client.get_stack(stack)
    except NO_SERVER as error:
        # Who sees it has to start or choose a server, not to read our code.
        raise error.with_traceback(None) from None


def deploy(
    client: Client, pipeline: "Pipeline[..., Any]", spec: PipelineSpec, stack: StackResponse
) -> DeploymentResponse:
    """Store the pipeline's code and its spec. Nothing new is made of what is already there."""
    root = source_root(pipeline)
    requirements = requirements_of(pipeline.options, spec.settings, root)
    archive = pack(root)
    client.upload_code_archive(archive)
    run_name = configuration_of(pipeline.options).run_name
    return client.create_deployment(
        {
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
    )
