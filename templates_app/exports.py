"""A run template as the document that it can be kept and carried as."""

from typing import Any

from templates_app.grants import GROUP_MARK, grants_on
from templates_app.models import CodeArchive, PipelineDeployment, Preset, RunTemplate
from templates_app.permissions import Powers
from zenweb.accounts.models import RoleGrant, User
from zenweb.config.file_references import references_in
from zenweb.config.template_file import (
    FORMAT,
    HASH_MARK,
    Access,
    Concurrency,
    FrozenPipeline,
    TemplateDocument,
)
from zenweb.enums import ConcurrencyPolicy, Role, RoleWord


def document_of(actor: User, template: RunTemplate) -> TemplateDocument:
    """All of a template that the actor, who may see it, may know. Who is what to it is for its owners."""
    return TemplateDocument(
        format=FORMAT,
        name=template.name,
        description=template.description,
        tags=template.tags,
        hidden=template.is_hidden,
        enabled=template.is_enabled,
        concurrency=Concurrency(
            max_concurrent_runs=template.max_concurrent_runs,
            policy=ConcurrencyPolicy(template.concurrency_policy),
        ),
        stack=template.deployment.stack.name,
        presets={preset.name: preset.configuration for preset in portable_presets(actor, template)},
        access=_access(template) if Powers.over(actor, template).can_grant else None,
        curation=template.version.curation,
        pipeline=frozen_pipeline(template.deployment),
    )


def portable_presets(actor: User, template: RunTemplate) -> list[Preset]:
    """Those for everybody, without those that hold files and artifacts: these are of this server alone."""
    shared = Preset.objects.visible_to(actor).with_relations().filter(template=template, is_shared=True)
    return [preset for preset in shared if not any(references_in(preset.configuration))]


def holder_of(grant: RoleGrant) -> str:
    """Who was given a role, as `find_holder` takes it."""
    return f"{GROUP_MARK}{grant.holder}" if grant.group_id else grant.holder


def _access(template: RunTemplate) -> Access:
    roles: dict[str, Any] = {holder_of(grant): Role(grant.role).word for grant in grants_on(template)}
    words: dict[str, RoleWord] = roles
    return Access(restricted=template.is_restricted, roles=words)


def frozen_pipeline(deployment: PipelineDeployment) -> FrozenPipeline:
    # Not by way of the archive itself: its content would be read for the hash.
    sha256 = CodeArchive.objects.values_list("sha256", flat=True).get(pk=deployment.code_archive_id)
    return FrozenPipeline(
        name=deployment.pipeline.name,
        code=f"{HASH_MARK}{sha256}",
        python_version=deployment.python_version,
        client_version=deployment.client_version,
        requirements=deployment.requirements,
        config_template=deployment.config_template,
        spec=deployment.spec,
        config_schema=deployment.config_schema,
    )
