"""How what can be run looks on the wire."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from templates_app.api.pipeline_spec import zenml_pipeline_spec
from templates_app.models import (
    CodeArchive,
    Pipeline,
    PipelineDeployment,
    RunTemplate,
    RunTemplateVersion,
    Stack,
)
from zenweb.accounts.models import User
from zenweb.api.envelope import Json, entity, owned, user_entity, wire_time

TAG_COLOR = "grey"


def describe_pipeline(pipeline: Pipeline, hydrate: bool) -> Json:
    return pipeline_reference(pipeline) | {
        "metadata": {"description": pipeline.description or None} if hydrate else None,
        "resources": {
            "user": user_entity(pipeline.user),
            "latest_run_user": user_entity(getattr(pipeline, "latest_run_user", None)),
            **latest_run(pipeline),
            "tags": [],
        },
    }


def tell_latest_users(pipelines: Sequence[Pipeline]) -> None:
    """Who started the newest run of each, from a queryset's `with_latest_run()`."""
    ids = {pipeline: getattr(pipeline, "latest_run_user_id", None) for pipeline in pipelines}
    users = User.objects.in_bulk({pk for pk in ids.values() if pk is not None})
    for pipeline, pk in ids.items():
        vars(pipeline)["latest_run_user"] = users.get(pk)


def pipeline_reference(pipeline: Pipeline) -> Json:
    return entity(pipeline, name=pipeline.name, body=owned(pipeline))


def describe_stack(stack: Stack, hydrate: bool) -> Json:
    metadata = {
        "components": {},
        "description": "",
        "stack_spec_path": None,
        "labels": {},
        "orchestrator": stack.orchestrator,
        "queue": stack.queue,
        "artifact_store_uri": stack.artifact_store_uri,
        "is_remote": stack.is_remote,
    }
    return stack_reference(stack) | {
        "metadata": metadata if hydrate else None,
        "resources": {"user": user_entity(stack.user)},
    }


def stack_reference(stack: Stack) -> Json:
    body = {"user_id": str(stack.user_id) if stack.user_id else None, "is_remote": stack.is_remote}
    return entity(stack, name=stack.name, body=body)


def describe_code_archive(archive: CodeArchive) -> Json:
    return {
        "id": str(archive.id),
        "sha256": archive.sha256,
        "size": archive.size,
        "created": wire_time(archive.created),
    }


def describe_deployment(deployment: PipelineDeployment, hydrate: bool) -> Json:
    if not hydrate:
        return deployment_reference(deployment)
    metadata = _frozen(deployment) | {
        "config_schema": deployment.config_schema,
        "config_template": deployment.config_template,
        "requirements": deployment.requirements,
        "python_version": deployment.python_version,
        # Older clients look for these here, newer ones among the resources.
        "pipeline": pipeline_reference(deployment.pipeline),
        "stack": stack_reference(deployment.stack),
        "build": build_reference(deployment),
        "schedule": None,
        "code_reference": None,
        "template_id": None,
    }
    resources = {
        "user": user_entity(deployment.user),
        "pipeline": pipeline_reference(deployment.pipeline),
        "stack": stack_reference(deployment.stack),
        "build": build_reference(deployment),
    }
    return deployment_reference(deployment) | {"metadata": metadata, "resources": resources}


def deployment_reference(deployment: PipelineDeployment) -> Json:
    return entity(deployment, name=None, body=owned(deployment))


def _frozen(deployment: PipelineDeployment) -> Json:
    """What ZenML says of a deployment, and of the snapshot that it calls it now."""
    return {
        "run_name_template": deployment.config_template.get("run_name", ""),
        "pipeline_configuration": {"name": deployment.pipeline.name},
        "pipeline_spec": zenml_pipeline_spec(deployment.spec),
        "client_version": deployment.client_version,
        "server_version": settings.ZENML_API_VERSION,
        "code_path": None,
    }


def build_reference(deployment: PipelineDeployment) -> Json | None:
    """ZenML's clients take a template without a build for one that cannot run; the deployment is ours."""
    return deployment_reference(deployment) if deployment.stack.is_remote else None


def describe_build(deployment: PipelineDeployment, hydrate: bool) -> Json:
    """No image was built: the code travels with the deployment, whose id the build has."""
    metadata = {
        "pipeline": pipeline_reference(deployment.pipeline),
        "stack": stack_reference(deployment.stack),
        "images": {},
        "zenml_version": settings.ZENML_API_VERSION,
        "python_version": deployment.python_version,
        "checksum": deployment.fingerprint,
        "stack_checksum": None,
        "is_local": False,
        "contains_code": True,
        "duration": None,
    }
    return deployment_reference(deployment) | {
        "metadata": metadata if hydrate else None,
        "resources": {"user": user_entity(deployment.user)},
    }


def describe_template_snapshot(template: RunTemplate, hydrate: bool) -> Json:
    """A run template as the named snapshot that ZenML's newer clients look for."""
    deployment = template.deployment
    body = {
        **owned(template),
        "runnable": template.is_enabled,
        "deployable": False,
        "is_dynamic": False,
        "pipeline_id": str(deployment.pipeline_id),
    }
    metadata = None
    if hydrate:
        metadata = _frozen(deployment) | {
            "description": template.description or None,
            "config_template": template.version.config_template,
            "config_schema": template.version.config_schema,
            "template_id": str(template.pk),
            "source_snapshot_id": str(deployment.pk),
        }
    resources = _snapshot_resources(deployment) | {
        "user": user_entity(template.user),
        "tags": [tag_entity(template, tag) for tag in template.tags],
        **latest_run(template),
    }
    return entity(template, name=template.name, body=body, metadata=metadata, resources=resources)


def describe_deployment_snapshot(deployment: PipelineDeployment, hydrate: bool) -> Json:
    """A deployment as a snapshot without a name, such as each run has."""
    metadata = None
    if hydrate:
        metadata = _frozen(deployment) | {
            "description": None,
            "config_template": deployment.config_template,
            "config_schema": deployment.config_schema,
            "template_id": None,
            "source_snapshot_id": None,
        }
    resources = _snapshot_resources(deployment) | {"user": user_entity(deployment.user), "tags": []}
    return snapshot_reference(deployment) | {"metadata": metadata, "resources": resources}


def snapshot_reference(deployment: PipelineDeployment) -> Json:
    body = {
        **owned(deployment),
        "runnable": deployment.stack.is_remote,
        "deployable": False,
        "is_dynamic": False,
        "pipeline_id": str(deployment.pipeline_id),
    }
    return entity(deployment, name=None, body=body)


def _snapshot_resources(deployment: PipelineDeployment) -> Json:
    return {
        "pipeline": pipeline_reference(deployment.pipeline),
        "stack": stack_reference(deployment.stack),
        "build": build_reference(deployment),
        "schedule": None,
        "code_reference": None,
        "deployment": None,
        "latest_run_id": None,
        "latest_run_status": None,
        "latest_run_user": None,
        "visualizations": [],
    }


def describe_run_template(template: RunTemplate, hydrate: bool) -> Json:
    deployment = template.deployment
    metadata = None
    if hydrate:
        metadata = {
            "description": template.description or None,
            "pipeline_spec": zenml_pipeline_spec(deployment.spec),
            "config_template": template.version.config_template,
            "config_schema": template.version.config_schema,
        }
    resources = {
        "user": user_entity(template.user),
        "source_deployment": deployment_reference(deployment),
        "source_snapshot": snapshot_reference(deployment),  # what newer clients call it
        "pipeline": pipeline_reference(deployment.pipeline),
        "build": build_reference(deployment),
        "code_reference": None,
        "tags": [tag_entity(template, tag) for tag in template.tags],
        **latest_run(template),
    }
    body = {
        **owned(template),
        "runnable": template.is_enabled,
        "hidden": template.is_hidden,
        "restricted": template.is_restricted,
        "version": template.version.number,
        "max_concurrent_runs": template.max_concurrent_runs,
        "concurrency_policy": template.concurrency_policy,
        "managed_by": template.managed_by or None,
    }
    return entity(template, name=template.name, body=body, metadata=metadata, resources=resources)


def describe_template_version(version: RunTemplateVersion, hydrate: bool) -> Json:
    """One state of a template; its name is its number."""
    template = version.template
    body = {
        **owned(template),
        "user_id": str(version.user_id) if version.user_id else None,
        "number": version.number,
        "is_newest": version.pk == template.latest_version_id,
        "template_id": str(template.pk),
        "deployment_id": str(version.deployment_id),
    }
    metadata = None
    if hydrate:
        metadata = {
            "config_template": version.config_template,
            "config_schema": version.config_schema,
            "curation": version.curation or {"version": 1},
        }
    resources = {
        "user": user_entity(version.user),
        "source_deployment": deployment_reference(version.deployment),
        "stack": stack_reference(version.deployment.stack),
    }
    described = entity(version, name=str(version.number), body=body, metadata=metadata, resources=resources)
    return described | {"warnings": version.curation_notes}


def latest_run(row: Any) -> Json:
    """From a queryset's `with_latest_run()`; of a row just made there is none."""
    found = getattr(row, "latest_run_id", None)
    return {
        "latest_run_id": str(found) if found else None,
        "latest_run_status": getattr(row, "latest_run_status", None),
    }


def tag_entity(owner: RunTemplate, tag: str) -> Json:
    body = {
        "created": wire_time(owner.created),
        "updated": wire_time(owner.updated),
        "user_id": str(owner.user_id) if owner.user_id else None,
        "color": TAG_COLOR,
        "exclusive": False,
    }
    tag_id = uuid.uuid5(owner.project_id, f"tag:{tag}")
    return {
        "body": body,
        "metadata": None,
        "resources": None,
        "id": str(tag_id),
        "permission_denied": False,
        "name": tag,
    }
