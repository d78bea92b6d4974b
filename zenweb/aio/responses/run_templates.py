# Written by `make docs` from zenweb/responses/run_templates.py: change that.
"""Run templates."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from zenweb.aio.responses.catalog import PipelineResponse
from zenweb.aio.responses.entity import Entity
from zenweb.aio.responses.launching import RunConfiguration, start_run, wired
from zenweb.aio.responses.runs import PipelineRunResponse
from zenweb.enums import ConcurrencyPolicy

if TYPE_CHECKING:
    from zenweb.config.run_configuration import PipelineRunConfiguration


class RunTemplateResponse(Entity):
    """What people run: a frozen pipeline with a name, a form and permissions."""

    path = "/run_templates"

    @property
    def is_runnable(self) -> bool:
        """Whether it can be run now: of a remote stack, with its code there."""
        return bool(self.body["runnable"])

    @property
    def runnable(self) -> bool:
        """ZenML's word for `is_runnable`."""
        return self.is_runnable

    @property
    def hidden(self) -> bool:
        """Left out of lists, unless one asks for it."""
        return bool(self.body["hidden"])

    @property
    def version(self) -> int:
        """The number of its newest version, which is what runs."""
        return int(self.body["version"])

    @property
    def max_concurrent_runs(self) -> int | None:
        """How many of its runs may go on at once; None: any number."""
        found: int | None = self.body["max_concurrent_runs"]
        return found

    @property
    def concurrency_policy(self) -> ConcurrencyPolicy:
        """What becomes of a run more than may go on at once: it waits, is not run, or takes the oldest one's place."""
        return ConcurrencyPolicy(self.body["concurrency_policy"])

    @property
    def description(self) -> str:
        """What its owner says about it, in Markdown; empty where nothing was said."""
        return str(self.metadata["description"] or "")

    @cached_property
    def config_template(self) -> "PipelineRunConfiguration":
        """What a run starts from. Yours to change: `config.steps["trainer"].parameters["learning_rate"] = 0.1`."""
        # Listing templates does without pydantic, which takes long to load.
        from zenweb.config.run_configuration import PipelineRunConfiguration

        return PipelineRunConfiguration.model_validate(self.metadata["config_template"])

    async def refresh(self) -> Self:
        """Ask again: what is read from now on is as of this moment, and `config_template` as nobody has changed it."""
        self.__dict__.pop("config_template", None)
        return await super().refresh()

    @property
    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema of what a run may be given."""
        schema: dict[str, Any] = self.metadata["config_schema"]
        return schema

    async def run(
        self,
        run_configuration: RunConfiguration | None = None,
        *,
        preset: str | None = None,
        synchronous: bool = False,
        idempotency_key: str | None = None,
    ) -> PipelineRunResponse:
        """Run it; as `AsyncClient.trigger_pipeline` does, which says what may be given."""
        configuration = await wired(self._transport, run_configuration)
        if preset is not None:
            configuration["preset"] = preset
        run = await start_run(self._transport, f"{self.path}/{self.id}/runs", configuration, idempotency_key)
        return (await run.wait()) if synchronous else run

    @property
    def pipeline(self) -> PipelineResponse:
        """The pipeline that its newest version runs."""
        return PipelineResponse(self._transport, self.resources["pipeline"])

    @property
    def deployment_id(self) -> UUID:
        """What its newest version runs."""
        return UUID(self.resources["source_deployment"]["id"])

    @property
    def tags(self) -> list[str]:
        """The names of its tags."""
        return [tag["name"] for tag in self.resources["tags"]]

    @property
    def latest_run_id(self) -> UUID | None:
        """The newest of its runs that you may see; None: there is none."""
        found = self.resources["latest_run_id"]
        return UUID(found) if found else None
