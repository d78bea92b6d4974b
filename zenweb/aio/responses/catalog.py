# Written by `make docs` from zenweb/responses/catalog.py: change that.
"""Pipelines, what was frozen of them, and where they run."""

from zenweb.aio.responses.entity import Entity
from zenweb.enums import Orchestrator


class PipelineResponse(Entity):
    path = "/pipelines"


class DeploymentResponse(Entity):
    path = "/pipeline_deployments"


class StackResponse(Entity):
    path = "/stacks"

    @property
    def is_remote(self) -> bool:
        """Its runs execute on workers, not in the caller's process."""
        return bool(self.body["is_remote"])

    @property
    def orchestrator(self) -> Orchestrator:
        return Orchestrator(self.metadata["orchestrator"])

    @property
    def queue(self) -> str:
        return str(self.metadata["queue"])

    @property
    def artifact_store_uri(self) -> str:
        return str(self.metadata["artifact_store_uri"])
