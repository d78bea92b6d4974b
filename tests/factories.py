"""Makes rows the way the product makes them: pipelines are compiled, packed and stored, not invented."""

import sys
from pathlib import Path
from typing import Any

from runs_app.models import PipelineRun
from runs_app.services import Trigger, launch_run
from templates_app.models import PipelineDeployment, RunTemplate, Stack
from templates_app.services import (
    DeploymentRequest,
    create_deployment,
    create_run_template,
    store_code_archive,
)
from zenweb import __version__
from zenweb.accounts.models import RoleGrant, User
from zenweb.accounts.services import default_project
from zenweb.config.code_archive import pack
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.requirements import requirements_of
from zenweb.config.source import import_source
from zenweb.enums import Role, TriggerChannel
from zenweb.pipelines import Pipeline

PIPELINES = Path(__file__).parent / "pipelines"


def make_editor(user: User) -> User:
    """One who may register pipelines in the default project."""
    RoleGrant.objects.create(project=default_project(), user=user, role=Role.EDITOR)
    return user


def freeze(source: str, owner: User, stack: Stack, root: Path = PIPELINES) -> PipelineDeployment:
    """A deployment of the pipeline that `source` names in a module below `root`."""
    sys.path.insert(0, str(root))
    try:
        pipeline = import_source(source, Pipeline)
        spec = pipeline.compile()
    finally:
        sys.path.remove(str(root))
    archive = pack(root)
    return create_deployment(
        actor=owner,
        project=default_project(),
        stack=stack,
        code_archive=store_code_archive(actor=owner, sha256=archive.sha256, content=archive.content),
        request=DeploymentRequest(
            pipeline=spec.name,
            spec=spec.model_dump(mode="json"),
            config_schema=build_config_schema(spec),
            config_template=build_config_template(spec),
            requirements=requirements_of(pipeline.options, spec.settings, root),
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
            client_version=__version__,
        ),
    )


def make_template(deployment: PipelineDeployment, owner: User, name: str) -> RunTemplate:
    return create_run_template(actor=owner, name=name, deployment=deployment)


def launch(template: RunTemplate, actor: User, configuration: Any = None) -> PipelineRun:
    trigger = Trigger(actor=actor, channel=TriggerChannel.REST)
    return launch_run(
        deployment=template.deployment,
        version=template.version,
        configuration=configuration,
        trigger=trigger,
    ).run
