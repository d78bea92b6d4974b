# Written by `make docs` from zenweb/responses/catalog.py: change that.
"""Pipelines, what was frozen of them, and where they run."""

from zenweb.aio.responses.entity import Entity
from zenweb.enums import Orchestrator


class PipelineResponse(Entity):
    """A pipeline: the name under which templates and runs of the same code stand."""

    path = "/pipelines"


class DeploymentResponse(Entity):
    """A frozen pipeline: its code, its steps and their types, and where it runs."""

    path = "/pipeline_deployments"


class StackResponse(Entity):
    """Where runs execute, and where their artifacts are kept."""

    path = "/stacks"

    @property
    def is_remote(self) -> bool:
        """Its runs execute on workers, not in the caller's process."""
        return bool(self.body["is_remote"])

    @property
    def orchestrator(self) -> Orchestrator:
        """What executes the runs: `local` the caller's own process, `celery` workers."""
        return Orchestrator(self.metadata["orchestrator"])

    @property
    def queue(self) -> str:
        """The name of the queue that steps wait in that name none of their own."""
        return str(self.metadata["queue"])

    @property
    def artifact_store_uri(self) -> str:
        """Where artifacts are kept: a folder, or `s3://…` and the like; empty: with whoever executes."""
        return str(self.metadata["artifact_store_uri"])
