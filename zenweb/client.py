"""`Client`: everything the SDK asks of the server."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload
from urllib.parse import quote
from uuid import UUID

from zenweb import connection
from zenweb.config.importing import is_importing, skipped
from zenweb.enums import ConcurrencyPolicy
from zenweb.exceptions import DoesNotExist, NotConnected, RunHasNoServer, ValidationFailed, ZenWebError
from zenweb.execution.current_step import current_step
from zenweb.responses import (
    ArtifactVersionResponse,
    DeploymentResponse,
    EntityType,
    Judgement,
    Page,
    PipelineResponse,
    PipelineRunResponse,
    PlannedStep,
    Preflight,
    RepairPlan,
    RunTemplateResponse,
    ScheduleResponse,
    StackResponse,
)
from zenweb.responses.launching import (
    RunConfiguration,
    send_files,
    start_run,
    start_runs,
    upload_file,
    warn,
    wired,
)
from zenweb.transport import Transport, shared_transport

logger = logging.getLogger(__name__)
DEFAULT_STACK = "default"
NameOrId = str | UUID

# pydantic and YAML take a third of the time that a command takes to start. Whoever only reads does without: what needs
# them is imported where it is needed.
if TYPE_CHECKING:
    from zenweb.config.code_archive import CodeArchive
    from zenweb.config.template_file import TemplateDocument


class Client:
    """Speaks with the configured server: `zenweb login URL` configures one, or ZENWEB_SERVER_URL and ZENWEB_API_KEY.

    Wherever something is asked for by its id, its name or the unique beginning of its id will do.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return skipped("Client()") if is_importing() else super().__new__(cls)

    def __init__(self, transport: Transport | None = None) -> None:
        self.transport = transport or shared_transport(_connection())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, after the requests that are under way.

        Clients of the same connection share what they keep open; whoever asks again opens it anew.
        """
        self.transport.close()

    # Runs

    def get_pipeline_run(self, name_id_or_prefix: NameOrId, *, hydrate: bool = True) -> PipelineRunResponse:
        """A run. `hydrate=False` leaves out what is asked for when it is read. Raises DoesNotExist."""
        return self._get(PipelineRunResponse, name_id_or_prefix, hydrate)

    def list_pipeline_runs(self, **filters: Any) -> Page[PipelineRunResponse]:
        """Runs, the newest first. Filters are those of GET /runs, such as `status`, `pipeline`, `page` and `size`."""
        return self._list(PipelineRunResponse, {"sort_by": "desc:created", **filters})

    def stop_run(self, name_id_or_prefix: NameOrId) -> None:
        """Ask a run to stop."""
        self.transport.post(f"/runs/{_quoted(name_id_or_prefix)}/stop", is_repeatable=True)

    @overload
    def repair_run(
        self,
        name_id_or_prefix: NameOrId,
        *,
        from_steps: Sequence[str] | None = None,
        run_configuration: RunConfiguration | None = None,
        newest: bool = False,
        dry_run: Literal[False] = False,
        idempotency_key: str | None = None,
    ) -> PipelineRunResponse: ...

    @overload
    def repair_run(
        self,
        name_id_or_prefix: NameOrId,
        *,
        from_steps: Sequence[str] | None = None,
        run_configuration: RunConfiguration | None = None,
        newest: bool = False,
        dry_run: Literal[True],
        idempotency_key: str | None = None,
    ) -> RepairPlan: ...

    def repair_run(
        self,
        name_id_or_prefix: NameOrId,
        *,
        from_steps: Sequence[str] | None = None,
        run_configuration: RunConfiguration | None = None,
        newest: bool = False,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> PipelineRunResponse | RepairPlan:
        """Run a finished run again from these steps on, or else what did not complete; the rest keeps its artifacts.

        Values that are not given are those of the run. `newest` runs the newest version of its template. `dry_run`
        starts nothing: it tells which steps would run again, and why. `idempotency_key`: as for `trigger_pipeline`.
        """
        path = f"/runs/{_quoted(name_id_or_prefix)}/repair"
        body = {
            "from_steps": list(from_steps) if from_steps is not None else None,
            "configuration": wired(self.transport, run_configuration),
            "version": "newest" if newest else "same",
        }
        if not dry_run:
            return start_run(self.transport, path, body, idempotency_key)
        answer = self.transport.post(f"{path}?dry_run=true", body, is_repeatable=True)
        return RepairPlan(
            [PlannedStep(step["name"], step["runs_again"], step["reason"]) for step in answer["steps"]]
        )

    @overload
    def trigger_pipeline(
        self,
        pipeline_name_or_id: NameOrId | None = None,
        *,
        template_id: NameOrId | None = None,
        run_configuration: RunConfiguration | None = None,
        config_path: str | PathLike[str] | None = None,
        stack_name_or_id: NameOrId | None = None,
        synchronous: bool = False,
        preset: str | None = None,
        dry_run: Literal[False] = False,
        idempotency_key: str | None = None,
    ) -> PipelineRunResponse: ...

    @overload
    def trigger_pipeline(
        self,
        pipeline_name_or_id: NameOrId | None = None,
        *,
        template_id: NameOrId | None = None,
        run_configuration: RunConfiguration | None = None,
        config_path: str | PathLike[str] | None = None,
        stack_name_or_id: NameOrId | None = None,
        synchronous: bool = False,
        preset: str | None = None,
        dry_run: Literal[True],
        idempotency_key: str | None = None,
    ) -> Preflight: ...

    def trigger_pipeline(
        self,
        pipeline_name_or_id: NameOrId | None = None,
        *,
        template_id: NameOrId | None = None,
        run_configuration: RunConfiguration | None = None,
        config_path: str | PathLike[str] | None = None,
        stack_name_or_id: NameOrId | None = None,
        synchronous: bool = False,
        preset: str | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> PipelineRunResponse | Preflight:
        """Run a template, or the newest runnable template of a pipeline; `synchronous` waits for the run's end.

        `preset`: the name of one of the template's presets, or "last-good"; the configuration goes over its values.
        `dry_run` starts nothing: it tells what would happen. Each call starts one run, however often it has to be sent;
        with an `idempotency_key` of yours, all calls with the same key and configuration start one.
        """
        if (pipeline_name_or_id is None) == (template_id is None):
            raise ValidationFailed("You need to specify exactly one of pipeline or template to trigger.")
        if config_path is not None and run_configuration is not None:
            raise ValidationFailed("Only config path or runtime configuration can be specified.")
        if template_id is not None and stack_name_or_id is not None:
            raise ValidationFailed("A template runs on its own stack: give a stack only with a pipeline.")
        configuration = wired(
            self.transport, run_configuration if config_path is None else _read(config_path)
        )
        if template_id is None:
            template_id = self._newest_runnable_template(str(pipeline_name_or_id), stack_name_or_id)
        if preset is not None:
            configuration = {**configuration, "preset": preset}
        path = f"/run_templates/{_quoted(template_id)}/runs"
        if dry_run:
            answer = self.transport.post(f"{path}?dry_run=true", configuration, is_repeatable=True)
            return Preflight.read(answer)
        run = start_run(self.transport, path, configuration, idempotency_key)
        return run.wait() if synchronous else run

    def trigger_many(
        self,
        template_id: NameOrId,
        run_configurations: Sequence[RunConfiguration],
        *,
        preset: str | None = None,
        idempotency_key: str | None = None,
    ) -> list[PipelineRunResponse | ZenWebError]:
        """Run a template with each of these configurations. Returns each run in their order, or why it was refused.

        What one is refused for stops no other: `[run for run in found if isinstance(run, PipelineRunResponse)]`.
        A hundred are asked for at once. Raises when the first hundred cannot be; of later ones, each gets the error.
        `idempotency_key`: all calls with the same key and configurations start each run once.
        """
        base = {"preset": preset} if preset is not None else {}
        bodies = [{**wired(self.transport, each), **base} for each in run_configurations]
        return start_runs(
            self.transport, f"/run_templates/{_quoted(template_id)}/runs", bodies, idempotency_key
        )

    # Run templates

    def create_run_template(
        self,
        name: str,
        deployment_id: NameOrId,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        update: bool = False,
        max_concurrent_runs: int | None = None,
        concurrency_policy: ConcurrencyPolicy | str | None = None,
        drop_misfits: bool = False,
    ) -> RunTemplateResponse:
        """Make a template of what a run of a remote stack ran. `update`: or a new version of the one with this name.

        A new version keeps the form that the owner has shaped; `drop_misfits`: without what does not fit any more.
        At most `max_concurrent_runs` of its runs go on at once; `concurrency_policy` says whether one more waits
        ("queue", the default), is not run ("skip"), or takes the place of the oldest ("cancel").
        """
        body = {
            "name": name,
            "source_deployment_id": str(deployment_id),
            "description": description,
            "tags": list(tags) if tags is not None else None,
            "update": update,
            **({"drop_misfits": True} if drop_misfits else {}),
            **_limit(max_concurrent_runs, concurrency_policy),
        }
        answer = self.transport.post("/run_templates", body, is_repeatable=update)
        warn(answer)
        return RunTemplateResponse(self.transport, answer)

    def get_run_template(
        self, name_id_or_prefix: NameOrId | None = None, *, name: str | None = None, hydrate: bool = True
    ) -> RunTemplateResponse:
        """A run template. `hydrate=False` leaves out what is asked for when it is read. Raises DoesNotExist."""
        wanted = name_id_or_prefix if name is None else name
        if wanted is None:
            raise ValidationFailed("Say which run template: its name, or its id or the beginning of it.")
        return self._get(RunTemplateResponse, wanted, hydrate)

    def list_run_templates(self, **filters: Any) -> Page[RunTemplateResponse]:
        """Templates that are not hidden, the newest first. Filters are those of GET /run_templates."""
        return self._list(RunTemplateResponse, {"sort_by": "desc:created", "hidden": False, **filters})

    def update_run_template(
        self,
        name_id_or_prefix: NameOrId,
        *,
        name: str | None = None,
        description: str | None = None,
        hidden: bool | None = None,
        add_tags: Sequence[str] | None = None,
        remove_tags: Sequence[str] | None = None,
        max_concurrent_runs: int | None = None,
        concurrency_policy: ConcurrencyPolicy | str | None = None,
    ) -> RunTemplateResponse:
        """Change what is given; None leaves a thing as it is. `max_concurrent_runs=0`: any number may go on at once."""
        body = {
            "name": name,
            "description": description,
            "hidden": hidden,
            "add_tags": list(add_tags) if add_tags is not None else None,
            "remove_tags": list(remove_tags) if remove_tags is not None else None,
            **_limit(max_concurrent_runs, concurrency_policy),
        }
        path = f"/run_templates/{_quoted(name_id_or_prefix)}"
        answer = self.transport.put(path, body, is_repeatable=name is None or _is_id(name_id_or_prefix))
        return RunTemplateResponse(self.transport, answer)

    def get_curation(self, name_id_or_prefix: NameOrId) -> dict[str, Any]:
        """How a template's form is shaped: a document that `curate_run_template` takes, of another template too."""
        curation: dict[str, Any] = self.transport.get(f"/run_templates/{_quoted(name_id_or_prefix)}/curation")
        return curation

    def curate_run_template(
        self, name_id_or_prefix: NameOrId, curation: Mapping[str, Any]
    ) -> RunTemplateResponse:
        """Shape a template's form: what may be asked for, how, and what is fixed. Makes a new version of it."""
        answer = self.transport.put(f"/run_templates/{_quoted(name_id_or_prefix)}/curation", curation)
        return RunTemplateResponse(self.transport, answer)

    def export_run_template(self, name_id_or_prefix: NameOrId) -> "TemplateDocument":
        """All of a template in one document, without ids: to be kept as a file and applied, here or elsewhere."""
        from zenweb.config.template_file import read_document  # noqa: PLC0415  # see above

        return read_document(self.transport.get(f"/run_templates/{_quoted(name_id_or_prefix)}/document"))

    def apply_run_template(
        self,
        document: "TemplateDocument",
        *,
        managed_by: str | None = None,
        if_version: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Make a template what a document says; what became of it: `outcome`, `version`, `changes`.

        Its code has to be on the server: see `upload_code`. `managed_by`: the set of files that it belongs to then.
        `if_version`: only if that is the number of its newest version still. `dry_run` only tells what would change.
        """
        said = {"managed_by": managed_by, "if_version": if_version, "dry_run": dry_run or None}
        answer: dict[str, Any] = self.transport.request(
            "PUT",
            f"/run_templates/{_quoted(document.name)}/document",
            params={name: value for name, value in said.items() if value is not None},
            json=document.to_json(),
        )
        return answer

    def compare_versions(
        self, name_id_or_prefix: NameOrId, before: int | None = None, now: int | None = None
    ) -> dict[str, Any]:
        """What a version of a template takes back of what another one took, and whom that breaks.

        Usually the newest one is compared with the one before. `changes` have a `sentence` each and say whether it
        `breaks`; `broken` are presets, schedules and recent callers whose values are refused.
        """
        path = f"/run_templates/{_quoted(name_id_or_prefix)}/comparison"
        answer: dict[str, Any] = self.transport.get(path, **{"from": before, "to": now})
        return answer

    def check_run_template(self, name_id_or_prefix: NameOrId) -> dict[str, Any]:
        """Whether the server runs a template: `runs`, and `findings` with a `part`, a `verdict` and a `sentence`."""
        answer: dict[str, Any] = self.transport.get(f"/run_templates/{_quoted(name_id_or_prefix)}/check")
        return answer

    def has_code(self, sha256: str) -> bool:
        """Whether the server has this code archive and lets the caller use it."""
        try:
            self.transport.request("HEAD", f"/code_archives/{sha256}")
        except DoesNotExist:
            return False
        return True

    def upload_code(self, sha256: str, content: bytes) -> None:
        """Send a code archive, compressed by gzip, under the hash of what is in it."""
        headers = {"Content-Type": "application/gzip"}
        self.transport.request("PUT", f"/code_archives/{sha256}", content=content, headers=headers)

    def download_code(self, sha256: str) -> bytes:
        """A code archive, byte for byte as the server has it."""
        with tempfile.TemporaryDirectory(prefix="zenweb-") as folder:
            target = Path(folder) / "code.tar.gz"
            self.transport.download(f"/code_archives/{sha256}", target)
            return target.read_bytes()

    def delete_run_template(self, name_id_or_prefix: NameOrId) -> None:
        """Delete a template. Its runs stay; its schedules make no more of them. Raises DoesNotExist."""
        path = f"/run_templates/{_quoted(name_id_or_prefix)}"
        self.transport.delete(path, is_repeatable=_is_id(name_id_or_prefix))

    # Schedules

    def create_schedule(
        self,
        name: str,
        template_id: NameOrId,
        cron: str,
        *,
        zone: str = "UTC",
        run_configuration: RunConfiguration | None = None,
        preset: str | None = None,
        paused: bool = False,
    ) -> ScheduleResponse:
        """Have a template run by itself: `create_schedule("nightly", "training", "0 2 * * *", zone="Asia/Tokyo")`.

        With a `preset`, its values as they are now become the schedule's, the configuration over them.
        """
        body = {
            "name": name,
            "template": str(template_id),
            "cron_expression": cron,
            "zone": zone,
            "configuration": wired(self.transport, run_configuration),
            "preset": preset,
            "active": not paused,
        }
        return ScheduleResponse(self.transport, self.transport.post("/schedules", body))

    def get_schedule(self, name_id_or_prefix: NameOrId) -> ScheduleResponse:
        """A schedule. Raises DoesNotExist."""
        return self._get(ScheduleResponse, name_id_or_prefix, True)

    def list_schedules(self, **filters: Any) -> Page[ScheduleResponse]:
        """Schedules by name. Filters are those of GET /schedules, such as `template`, `active`, `page` and `size`."""
        return self._list(ScheduleResponse, {"sort_by": "name", **filters})

    def update_schedule(
        self,
        name_id_or_prefix: NameOrId,
        *,
        name: str | None = None,
        cron: str | None = None,
        zone: str | None = None,
        run_configuration: RunConfiguration | None = None,
        paused: bool | None = None,
    ) -> ScheduleResponse:
        """Change what is given; None leaves a thing as it is."""
        body = {
            "name": name,
            "cron_expression": cron,
            "zone": zone,
            "configuration": None if run_configuration is None else wired(self.transport, run_configuration),
            "active": None if paused is None else not paused,
        }
        path = f"/schedules/{_quoted(name_id_or_prefix)}"
        answer = self.transport.put(path, body, is_repeatable=name is None or _is_id(name_id_or_prefix))
        return ScheduleResponse(self.transport, answer)

    def delete_schedule(self, name_id_or_prefix: NameOrId) -> None:
        """Delete a schedule; the runs that it made stay. Raises DoesNotExist."""
        path = f"/schedules/{_quoted(name_id_or_prefix)}"
        self.transport.delete(path, is_repeatable=_is_id(name_id_or_prefix))

    # Pipelines, stacks, artifacts

    def get_pipeline(self, name_id_or_prefix: NameOrId, *, hydrate: bool = True) -> PipelineResponse:
        """A pipeline, of which templates and runs are. Raises DoesNotExist."""
        return self._get(PipelineResponse, name_id_or_prefix, hydrate)

    def list_pipelines(self, **filters: Any) -> Page[PipelineResponse]:
        """Pipelines. Filters are those of GET /pipelines, such as `name`, `page` and `size`."""
        return self._list(PipelineResponse, filters)

    def get_stack(self, name_id_or_prefix: NameOrId) -> StackResponse:
        """A stack: where runs execute. Raises DoesNotExist."""
        return self._get(StackResponse, name_id_or_prefix, True)

    def list_stacks(self, **filters: Any) -> Page[StackResponse]:
        """Stacks. Filters are those of GET /stacks, such as `name`, `page` and `size`."""
        return self._list(StackResponse, filters)

    @property
    def active_stack(self) -> StackResponse:
        """The stack that pipelines run on when they are called."""
        return self.get_stack(connection.load().active_stack or DEFAULT_STACK)

    def activate_stack(self, name_id_or_prefix: NameOrId) -> StackResponse:
        """Make a stack the active one of this user on this machine."""
        stack = self.get_stack(name_id_or_prefix)
        connection.save_active_stack(stack.name)
        return stack

    def list_artifact_versions(self, **filters: Any) -> Page[ArtifactVersionResponse]:
        """The newest first. Filters are those of GET /artifact_versions, such as `artifact` and `pipeline_run`."""
        return self._list(ArtifactVersionResponse, {"sort_by": "desc:created", **filters})

    def get_artifact_version(
        self, name_id_or_prefix: NameOrId, version: str | int | None = None
    ) -> ArtifactVersionResponse:
        """By its id; or of the artifact with this name, the given version or else the newest."""
        if version is None:
            try:
                return self._get(ArtifactVersionResponse, name_id_or_prefix, True)
            except DoesNotExist:
                logger.debug("%r is no artifact version's id; looking for a name", name_id_or_prefix)
        filters = {
            "artifact": str(name_id_or_prefix),
            "version": version,
            "sort_by": "desc:version",
            "size": 1,
        }
        found = self._list(ArtifactVersionResponse, {**filters, "hydrate": True})
        if not found.items:
            which = "" if version is None else f" with version {version}"
            raise DoesNotExist(f"There is no artifact {str(name_id_or_prefix)!r}{which}.")
        return found[0]

    def upload_file(self, path: str | PathLike[str], name: str | None = None) -> ArtifactVersionResponse:
        """Store a file of this machine on the server; what is returned may be given to a parameter that takes a file.

        A `pathlib.Path` among the parameters of a run is uploaded by itself.
        """
        return upload_file(self.transport, path, name)

    def with_files(self, configuration: RunConfiguration | None) -> RunConfiguration | None:
        """The configuration as it can be sent again and again: its files are uploaded now, and referred to."""
        return send_files(self.transport, configuration)

    def download_file(self, artifact_version_id: NameOrId, target: str | PathLike[str]) -> None:
        """Fetch the file that an artifact version is, an upload say, to a place on this machine."""
        self.transport.download(f"/artifact_versions/{_quoted(artifact_version_id)}/content", Path(target))

    def create_run_metadata(self, values: Mapping[str, Any], resource_type: str, resource_id: UUID) -> None:
        """Note encoded values about a `pipeline_run`, `step_run` or `artifact_version`; see `zenweb.log_metadata`."""
        resource = {"id": str(resource_id), "type": resource_type}
        body = {"resources": [resource], "values": values}
        self.transport.post("/run-metadata", body, is_repeatable=True)

    # What calling a pipeline needs

    def upload_code_archive(self, archive: "CodeArchive") -> None:
        """Send the archive, unless the server has it."""
        if not self.has_code(archive.sha256):
            self.upload_code(archive.sha256, archive.content)

    def check_deployment(
        self, deployment: Mapping[str, Any], run_configuration: RunConfiguration | None = None
    ) -> Judgement:
        """What freezing a pipeline and running it with these values would come to; nothing is stored.

        Raises ValidationFailed with all that is wrong.
        """
        body = {**deployment, "configuration": wired(self.transport, run_configuration)}
        answer = self.transport.post("/pipeline_deployments/new/validate", body, is_repeatable=True)
        return Judgement.read(answer)

    def create_deployment(self, deployment: Mapping[str, Any]) -> DeploymentResponse:
        """Freeze a pipeline; the same pipeline again is the deployment that exists."""
        answer = self.transport.post("/pipeline_deployments", deployment, is_repeatable=True)
        return DeploymentResponse(self.transport, answer)

    def run_deployment(
        self, deployment_id: NameOrId, run_configuration: RunConfiguration | None = None
    ) -> PipelineRunResponse:
        """Run what was frozen, as it is or with these values over it. Returns at once."""
        configuration = wired(self.transport, run_configuration)
        return start_run(self.transport, f"/pipeline_deployments/{deployment_id}/runs", configuration)

    # Reports of a run in the caller's own process

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any] | None:
        """Begin the next attempt of a step: what it has to be given. None: it is skipped, or mapped and over."""
        assignment: dict[str, Any] | None = self.transport.post(
            f"/runs/{run_id}/steps/{_quoted(step_name)}/start", {}, is_repeatable=True
        )
        return assignment

    def end_step(self, run_id: UUID, step_name: str, end: Mapping[str, Any]) -> float | None:
        """How many seconds to wait before the next attempt, when there is to be one."""
        path = f"/runs/{run_id}/steps/{_quoted(step_name)}/end"
        answer = self.transport.post(path, end, is_repeatable=True)  # of two reports the first counts
        retry_after: float | None = answer.get("retry_after")
        return retry_after

    def report_progress(self, run_id: UUID, step_name: str, progress: Mapping[str, Any]) -> bool:
        """Tell what an attempt has printed and noted so far, and that the caller lives. False: as of `renew_lease`."""
        path = f"/runs/{run_id}/steps/{_quoted(step_name)}/progress"
        answer = self.transport.post(path, progress, gives_up=True)
        return bool(answer["goes_on"])

    def renew_lease(self, run_id: UUID) -> bool:
        """Tell that the caller lives. False: the run has ended or is to be stopped."""
        answer = self.transport.post(f"/runs/{run_id}/lease", {}, is_repeatable=True)
        return bool(answer["goes_on"])

    def _get(self, kind: type[EntityType], name_id_or_prefix: NameOrId, hydrate: bool) -> EntityType:
        answer = self.transport.get(f"{kind.path}/{_quoted(name_id_or_prefix)}", hydrate=hydrate)
        return kind(self.transport, answer)

    def _list(self, kind: type[EntityType], filters: Mapping[str, Any]) -> Page[EntityType]:
        answer = self.transport.get(kind.path, **filters)
        warn(answer)
        return Page.of(
            partial(kind, self.transport), answer, lambda index: self._list(kind, {**filters, "page": index})
        )

    def _newest_runnable_template(self, pipeline: str, stack: NameOrId | None) -> UUID:
        filters = {"pipeline_id": self.get_pipeline(pipeline, hydrate=False).id, "stack": stack, "size": 100}
        for template in self.list_run_templates(**filters).all():
            if template.is_runnable:
                return template.id
        raise DoesNotExist("Unable to find a runnable template for the given stack and pipeline.")


def _read(path: str | PathLike[str]) -> dict[str, Any]:
    from zenweb.config.run_configuration import read_yaml  # noqa: PLC0415  # see above

    return read_yaml(path)


def _limit(most: int | None, policy: ConcurrencyPolicy | str | None) -> dict[str, Any]:
    """The keys that ZenML's servers do not know, where something is to be said."""
    said = {"max_concurrent_runs": most, "concurrency_policy": policy and str(policy)}
    return {key: value for key, value in said.items() if value is not None}


def _quoted(name_or_id: NameOrId) -> str:
    """Safe as one part of a path, whatever the name holds."""
    return quote(str(name_or_id), safe="")


def _is_id(name_or_id: NameOrId) -> bool:
    """Whether it means the same thing still when what was asked for is done: a name may be given to another then."""
    try:
        return bool(UUID(str(name_or_id)))
    except ValueError:
        return False


def _connection() -> connection.Connection:
    try:
        return connection.load()
    except NotConnected as error:
        if current_step() is None or isinstance(error, RunHasNoServer):
            raise
        raise NotConnected.in_a_step() from error
