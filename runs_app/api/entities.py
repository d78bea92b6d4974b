"""How what was run looks on the wire."""

from dataclasses import asdict
from datetime import timedelta
from operator import attrgetter
from uuid import UUID

from django.db.models import Case, Count, When

from runs_app.differences import of_steps, with_secrets_hidden
from runs_app.found_files import found_file
from runs_app.ledger import Line
from runs_app.models import Artifact, ArtifactVersion, PipelineRun, RunChoice, Schedule, StepOutput, StepRun
from runs_app.plans import plan_of
from runs_app.run_configuration import substitutions
from runs_app.usage import Usage
from runs_app.visualizations import visualization_kind
from templates_app.api.entities import (
    build_reference,
    pipeline_reference,
    snapshot_reference,
    stack_reference,
    tag_entity,
)
from templates_app.api.pipeline_spec import zenml_step_spec
from zenweb.api.envelope import Json, entity, owned, source, user_entity, wire_time
from zenweb.config.hooks import FAILURE, SUCCESS, hook_path
from zenweb.enums import ExecutionStatus

NEXT_TIMES = 5
MOST_STEPS = 1000  # in a summary
SUMMARY_FIELDS = ("index", "name", "status", "status_reason", "attempt", "start_time", "end_time", "ready_at")
STEP_CONFIGURATION_KEYS = ("enable_cache", "retry", "settings", "extra")


def describe_run(run: PipelineRun, hydrate: bool) -> Json:
    # Older clients look for these in the body, newer ones among the resources.
    ran = {
        "stack": stack_reference(run.stack),
        "pipeline": pipeline_reference(run.pipeline),
        "build": build_reference(run.deployment),
        "schedule": None,
        "code_reference": None,
    }
    body = {
        **owned(run),
        **ran,
        "status": run.status,
        "status_reason": run.status_reason or None,
        "pipeline_id": str(run.pipeline_id),
        "deployment_id": str(run.deployment_id),
        "trigger_execution": None,
        "model_version_id": None,
        "in_progress": not run.is_finished,
        "index": run.index,
        "url": run.get_absolute_url(),
    }
    resources = {
        **ran,
        "user": user_entity(run.user),
        "snapshot": snapshot_reference(run.deployment),
        "model_version": None,
        "tags": [tag_entity(run, tag) for tag in run.tags],
        "logs": None,
        "log_collection": [],
    }
    metadata = _run_metadata(run) if hydrate else None
    return entity(run, name=run.name, body=body, metadata=metadata, resources=resources)


def _run_metadata(run: PipelineRun) -> Json:
    return {
        "run_metadata": run.metadata,
        "config": pipeline_configuration_of(run),
        "start_time": wire_time(run.start_time or run.created),
        "end_time": wire_time(run.end_time),
        "client_environment": {},
        "orchestrator_environment": {},
        "orchestrator_run_id": None,
        "code_path": None,
        "template_id": str(run.template_id) if run.template_id else None,
        **_relatives(run),
        "is_templatable": run.stack.is_remote,
        "enable_heartbeat": False,
        "parameters": _shown(run.deployment_id, run.parameters) if run.shows_values else {},
        "shows_values": run.shows_values,
        "warnings": run.warnings,
    }


def _relatives(run: PipelineRun) -> Json:
    """The runs that it comes from, those that may be seen."""
    parent = run.parent_step if run.shows_parent else None
    return {
        "original_run_id": str(run.original_id) if run.original_id and run.shows_original else None,
        "parent_run_id": str(parent.run_id) if parent else None,
        "parent_step_id": str(parent.pk) if parent else None,
        "root_run_id": str(run.root_id) if run.root_id and run.shows_root else None,
    }


def pipeline_configuration_of(run: PipelineRun) -> Json:
    """What was asked for of the run as a whole, as ZenML has it."""
    return {
        "enable_cache": run.configuration.get("enable_cache"),
        "enable_artifact_metadata": None,
        "enable_artifact_visualization": None,
        "enable_step_logs": None,
        "enable_pipeline_logs": None,
        "settings": run.configuration.get("settings") or {},
        "tags": run.tags,
        "extra": (run.configuration.get("extra") or {}) if run.shows_values else {},
        **hook_sources(run.configuration),
        "model": None,
        "parameters": _own_parameters(run) or None,
        "retry": run.configuration.get("retry"),
        "substitutions": substitutions(run.configuration if run.shows_values else {}, run.created),
        "name": run.pipeline.name,
    }


def _own_parameters(run: PipelineRun) -> Json:
    """What the pipeline was put together with: those of a run are for who may see its values."""
    plan = plan_of(run.deployment_id)
    return plan.spec.parameters if run.shows_values or not plan.is_derived else None


def summarise(run: PipelineRun, url: str) -> Json:
    """What a script that waits for a run wants to know. `url`: of its page.

    Of very many steps those that failed come first, and no more than `MOST_STEPS` are told.
    """
    counted = run.steps.order_by().values_list("status").annotate(count=Count("pk"))
    failed_first = Case(When(status=ExecutionStatus.FAILED, then=0), default=1)
    steps = run.steps.only(*SUMMARY_FIELDS).order_by(failed_first, "index")[:MOST_STEPS]
    return {
        "status": run.status,
        "is_finished": run.is_finished,
        "reason": run.status_reason or None,
        "seconds": _seconds(run.duration),
        "url": url,
        "counts": dict(counted),
        "steps": [_summarise_step(step) for step in sorted(steps, key=attrgetter("index"))],
    }


def describe_usage(usage: Usage) -> Json:
    """Times in seconds; `success_rate` of the runs that completed or failed, from 0 to 1."""
    last = usage.last_run
    return {
        "days": usage.days,
        "runs": usage.runs,
        "success_rate": usage.success_rate,
        "by_status": usage.by_status,
        "by_channel": usage.by_channel,
        "by_user": [{"user": name or None, "runs": count} for name, count in usage.by_user.items()],
        "duration": asdict(usage.duration) if usage.duration else None,
        "queue_wait": asdict(usage.queue_wait) if usage.queue_wait else None,
        "last_run": {
            "id": str(last.id),
            "name": last.name,
            "status": last.status,
            "created": wire_time(last.created),
        }
        if last
        else None,
    }


def _summarise_step(step: StepRun) -> Json:
    return {
        "name": step.name,
        "status": step.status,
        "reason": step.status_reason or None,
        "attempts": step.attempt,
        "seconds": _seconds(step.duration),
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else round(duration.total_seconds(), 3)


def describe_choice(choice: RunChoice) -> Json:
    """A chosen value of a run, and what was offered when it was looked at: nulls while it was not."""
    offered = choice.offered or {}
    return {
        "step": choice.step,
        "parameter": choice.parameter,
        "refusal": choice.refusal or None,
        "size": offered.get("size"),
        "sha256": offered.get("sha256"),
        "chosen": _options(offered.get("chosen")),
        "options": _options(offered.get("options")),
    }


def _options(pairs: Json) -> Json:
    return pairs if pairs is None else [{"value": value, "label": label} for value, label in pairs]


def describe_step(step: StepRun, hydrate: bool) -> Json:
    body = {
        **owned(step.run),
        "status": step.status,
        "status_reason": step.status_reason or None,
        "version": step.attempt,
        "is_retriable": step.status == "retrying",
        "start_time": wire_time(step.start_time),
        "end_time": wire_time(step.end_time),
        "duration": step.duration.total_seconds() if step.duration else None,
        "attempt": step.attempt,
        "pipeline_run_id": str(step.run_id),
        "substitutions": {},
    }
    metadata = _step_metadata(step) if hydrate else None
    resources = {
        "user": user_entity(step.run.user),
        "model_version": None,
        "inputs": {name: [_describe_input(version)] for name, version in step.input_versions.items()},
        "outputs": {output.name: [describe_output(output)] for output in step.outputs.all()},
    }
    return entity(step, name=step.name, body=body, metadata=metadata, resources=resources)


def _step_metadata(step: StepRun) -> Json:
    outputs = list(step.outputs.all()) if step.status == ExecutionStatus.CACHED else []
    shown = [output.artifact_version.producer_step_id for output in outputs[:1] if output.shows_producer]
    spec = plan_of(step.run.deployment_id).step(step.spec_index)
    return {
        "config": _step_config(step),
        "spec": zenml_step_spec(spec.model_dump(mode="json")),
        "cache_key": step.cache_key or None,
        "code_hash": spec.code_hash,
        "docstring": spec.description or None,
        "source_code": None,
        "exception_info": step.exception,
        "logs": None,
        "deployment_id": str(step.run.deployment_id),
        "snapshot_id": str(step.run.deployment_id),  # what newer clients call it
        "pipeline_run_id": str(step.run_id),
        "original_step_run_id": str(shown[0]) if shown and shown[0] else None,
        "parent_step_ids": [str(parent) for parent in step.parent_ids],
        "run_metadata": step.metadata,
        "elements": step.elements,
        "element": step.element,
        "is_skipped": bool(step.is_skipped),
    }


def _step_config(step: StepRun) -> Json:
    settings = {key: step.settings.get(key) for key in STEP_CONFIGURATION_KEYS}
    settings |= {key: settings[key] or {} for key in ("settings", "extra")}  # clients refuse null
    if resources := step.settings.get("resources"):
        settings["settings"] = {"resources": resources}
    given = step.parameters if step.shows_values else {}
    name = plan_of(step.run.deployment_id).step(step.spec_index).name
    parameters = _shown(step.run.deployment_id, {name: given})[name]
    return {"name": step.name, "parameters": parameters, **settings, **hook_sources(step.settings)}


def _shown(deployment_id: UUID, parameters: Json) -> Json:
    """The parameters of steps, with a stand-in for each secret."""
    plan = plan_of(deployment_id)
    if not plan.holds_secrets:  # looked up once: at every answer it would take as long as the rest of it
        return parameters
    steps = with_secrets_hidden(plan.config_schema, of_steps(parameters))["steps"]
    return {name: step["parameters"] for name, step in steps.items()}


def hook_sources(configuration: Json) -> Json:
    """The hooks as ZenML has them, wherever a configuration or the settings of a step name some."""
    named = {key: configuration.get(key) for key in (FAILURE, SUCCESS)}
    paths = {
        key: value if isinstance(value, str) else hook_path(value) for key, value in named.items() if value
    }
    return {key: source(paths[key]) if key in paths else None for key in named}


def describe_line(line: Line) -> Json:
    return {"created": wire_time(line.at), "step": line.step, "sentence": line.sentence}


def describe_output(output: StepOutput) -> Json:
    return describe_artifact_version(output.artifact_version, False)


def describe_artifact(artifact: Artifact, hydrate: bool) -> Json:
    """Of `with_latest_version()`."""
    latest = artifact.latest_version_id
    resources = {
        "user": user_entity(artifact.user),
        "tags": [],
        "latest_version_id": str(latest) if latest else None,
        "latest_version_name": str(artifact.latest_version_number) if latest else None,
    }
    metadata = {"has_custom_name": "::" not in artifact.name} if hydrate else None
    return _artifact_reference(artifact) | {"metadata": metadata, "resources": resources}


def _artifact_reference(artifact: Artifact) -> Json:
    return entity(artifact, name=artifact.name, body=owned(artifact))


def _describe_input(version: ArtifactVersion) -> Json:
    return describe_artifact_version(version, False) | {"input_type": "step_output"}


def describe_artifact_version(version: ArtifactVersion, hydrate: bool) -> Json:
    body = {
        **owned(version),
        "artifact": _artifact_reference(version.artifact),
        "version": str(version.version),
        "uri": version.uri,
        "type": version.type,
        "materializer": source(version.materializer),
        "data_type": source(version.data_type),
        "save_type": "step_output" if version.is_output else "manual",
        "artifact_store_id": None,
        "preview": version.preview,
        "file": describe_file(version),
    }
    if not hydrate:
        return entity(version, name=None, body=body)
    metadata = {"visualizations": _visualizations(version), "run_metadata": version.metadata}
    step = version.producer_step if version.shows_producer else None
    resources = {
        "user": user_entity(version.user),
        "tags": [],
        "producer_step_run_id": str(step.id) if step else None,
        "producer_pipeline_run_id": str(step.run_id) if step else None,
    }
    return entity(version, name=None, body=body, metadata=metadata, resources=resources)


def _visualizations(version: ArtifactVersion) -> list[Json]:
    """The preview, if there is one, as ZenML lists what `/visualize` shows."""
    kind = visualization_kind(version)
    if kind is None:
        return []
    uri = f"{version.uri}/{(version.preview or {}).get('file')}"
    return [entity(version, name=None, body={"type": kind, "uri": uri})]


def describe_file(version: ArtifactVersion) -> Json | None:
    """The file that a version is, if it is one; what is not known of one that a step made is null."""
    found = found_file(version)
    if not found.is_file:
        return None
    known = {key: version.metadata.get(key) for key in ("content_type", "sha256")}
    return {"name": found.name, "size": found.size, **known}


def describe_schedule(schedule: Schedule, hydrate: bool) -> Json:
    """Of `with_relations()`. ZenML's clients want the keys that are always empty."""
    body = {
        **owned(schedule),
        "active": not schedule.is_paused,
        "cron_expression": schedule.cron,
        "zone": schedule.zone,
        "next_times": [wire_time(time) for time in schedule.next_times(NEXT_TIMES)],
        "last_fired": wire_time(schedule.last_fired),
        "last_run_id": str(schedule.last_run_id) if schedule.last_run_id else None,
        "last_run_status": schedule.last_run_status,
        "last_refusal": schedule.last_refusal,
        "last_refused": wire_time(schedule.last_refused),
        "start_time": None,
        "end_time": None,
        "interval_second": None,
        "catchup": False,
        "run_once_start_time": None,
    }
    metadata = {
        "configuration": _shown_configuration(schedule),
        "orchestrator_id": None,
        "pipeline_id": None,
        "run_metadata": {},
    }
    template = schedule.template
    resources = {
        "user": user_entity(schedule.user),
        "template": entity(template, name=template.name, body=owned(template)) if template else None,
    }
    return entity(
        schedule, name=schedule.name, body=body, metadata=metadata if hydrate else None, resources=resources
    )


def _shown_configuration(schedule: Schedule) -> Json:
    """Without the secrets that it runs with. What is one, nobody can tell once its template is gone."""
    if schedule.template is None or not schedule.shows_values:
        return {}
    schema = plan_of(schedule.template.version.deployment_id).config_schema
    return with_secrets_hidden(schema, schedule.configuration)
