"""Makes a run template what a document says: a new one, a new version where that is needed, or nothing at all."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, cast

from django.db import transaction
from django.utils.translation import gettext

from runs_app.breakages import Comparison, compare_versions
from runs_app.presets import (
    create_preset,
    delete_preset,
    kept_configuration,
    problems_of,
    update_preset,
)
from templates_app.exports import document_of, frozen_pipeline, holder_of, portable_presets
from templates_app.grants import Holder, check_may_grant, find_holder, grant_role, grants_on, revoke_role
from templates_app.models import CodeArchive, PipelineDeployment, RunTemplate, RunTemplateVersion, Stack
from templates_app.names import check_tags
from templates_app.permissions import check_can_edit, role_on
from templates_app.schema_places import is_same, secrets_in
from templates_app.services import (
    ConcurrencyLimit,
    DeploymentRequest,
    check_stack_is_remote,
    create_deployment,
    create_run_template,
    deploy_run_template,
    make_stand_in,
    update_run_template,
    usable_archive,
)
from templates_app.suggestions import suggestion
from zenweb.accounts.actions import Action
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.permissions import may_in_project
from zenweb.config.template_file import Access, FrozenPipeline, TemplateDocument, frozen_spec, same_json
from zenweb.enums import Role, RoleWord
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed
from zenweb.pointers import pointer_to

MOST_CHANGES = 500  # that are told
FOLLOWING = {"config_schema", "config_template"}
"""Of a pipeline: what the spec says already."""


Versions = tuple[RunTemplateVersion, RunTemplateVersion]
"""Of a template, the one before and the new one."""


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One place of the document, as it was and became; `...`: there was or is nothing."""

    pointer: str
    before: Any
    now: Any


@dataclass(frozen=True)
class Applied:
    """What became of a template; of a dry run, what would."""

    outcome: Outcome
    name: str
    version: int
    is_new_version: bool
    needs_code: bool
    """The server has no such code that the actor may use: it is uploaded first."""
    changes: list[Change] = field(default_factory=list)
    versions: Versions | None = None
    comparison: Comparison | None = None
    """Of both versions; of a dry run at once, else `with_comparison` finds it out."""
    notes: list[str] = field(default_factory=list)


def apply_template(
    *,
    actor: User,
    project: Project,
    document: TemplateDocument,
    managed_by: str | None = None,
    if_version: int | None = None,
    dry_run: bool = False,
) -> Applied:
    """All of it or nothing. What the document leaves out stays as it is; applying it again changes nothing.

    `managed_by`: the set of files that the template belongs to from now on. `if_version`: only if this is the number of
    its newest version still; 0: only if there is none. `dry_run` takes back all that was done. Raises ValidationFailed
    with pointers into the document, DoesNotExist, NotAllowed.
    """
    with transaction.atomic():
        applied = _apply(_Wanted(actor, project, document, dry_run), managed_by, if_version)
        if dry_run:
            applied = with_comparison(actor, applied)
            transaction.set_rollback(True)
    return applied


def with_comparison(actor: User, applied: Applied) -> Applied:
    """Whom it breaks. That takes a while to find out: after the transaction, so that nobody waits for the template.

    Versions are compared as what everybody uses them: what holds for some roles only is no promise.
    """
    if applied.versions is None or applied.comparison is not None:
        return applied
    before, now = (version.used_by(Role.NOBODY) for version in applied.versions)
    return replace(applied, comparison=compare_versions(actor, before, now))


@dataclass(frozen=True)
class _Wanted:
    actor: User
    project: Project
    document: TemplateDocument
    is_dry: bool


def changes_between(before: Any, now: Any, path: tuple[str | int, ...] = ()) -> Iterator[Change]:
    """Every place at which two documents differ, in their order."""
    if before is ... or now is ... or not is_same(before, now):
        if isinstance(before, dict) and isinstance(now, dict):
            for key in _told_of(before, now, path):
                yield from changes_between(before.get(key, ...), now.get(key, ...), (*path, key))
        elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
            for index, (former, value) in enumerate(zip(before, now, strict=True)):
                yield from changes_between(former, value, (*path, index))
        else:
            yield Change(pointer_to(path), before, now)


def _told_of(before: Mapping[str, Any], now: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[str]:
    """The keys of both. Of a pipeline, what follows from its spec is told only where the spec is the same."""
    follows = path == ("pipeline",) and not is_same(before.get("spec"), now.get("spec"))
    for key in (*before, *(key for key in now if key not in before)):
        if not (follows and key in FOLLOWING):
            yield key


def _apply(wanted: _Wanted, managed_by: str | None, if_version: int | None) -> Applied:
    actor, document = wanted.actor, wanted.document
    template = _existing(wanted)
    former = template.version if template else None
    number = former.number if former else 0
    _check_version(number, if_version)
    before = _said_of(actor, template) if template else {}
    needs_code = document.pipeline is not None and _archive_of(wanted, document.pipeline) is None
    template = _create(wanted) if template is None else _renew(wanted, template)
    template.version.used_by(role_on(actor, template))
    template = _with_facts(wanted, template, managed_by)
    if document.presets is not None:
        _set_presets(actor, template, document.presets)
    if document.access is not None:
        template = _with_access(actor, template, document.access)
    said = _said_of(actor, template)
    if document.access is not None:  # which an owner may not know any more who has handed it over
        said["access"] = document.to_json()["access"]
    if needs_code and document.pipeline is not None:  # a stand-in is there for it
        said["pipeline"]["code"] = document.pipeline.code
    changes = list(changes_between(before, said))
    is_new_version = template.version.number != number
    is_changed = Outcome.UPDATED if changes or is_new_version else Outcome.UNCHANGED
    return Applied(
        outcome=is_changed if number else Outcome.CREATED,
        name=template.name,
        version=template.version.number,
        is_new_version=is_new_version,
        needs_code=needs_code,
        changes=changes[:MOST_CHANGES] if number else [],
        notes=list(template.version.curation_notes) if is_new_version else [],
        versions=(former, template.version) if former and is_new_version else None,
    )


def _said_of(actor: User, template: RunTemplate) -> dict[str, Any]:
    return {"managed_by": template.managed_by, **document_of(actor, template).to_json()}


def _existing(wanted: _Wanted) -> RunTemplate | None:
    """The template of that name, as it is now and until all is done."""
    name, project = wanted.document.name, wanted.project
    found = RunTemplate.objects.select_for_update(of=("self",)).with_relations()
    template = cast(RunTemplate | None, found.filter(project=project, name=name).first())
    if template is not None and Action.SEE.is_for(role_on(wanted.actor, template)):
        check_can_edit(wanted.actor, template)
        return template
    if not may_in_project(wanted.actor, Action.AUTHOR, project):
        sentence = gettext(
            "There is no run template %(name)r that you may see, and to make one needs the role Editor."
        )
        raise DoesNotExist(sentence % {"name": name})
    return None


def _check_version(number: int, if_version: int | None) -> None:
    """Nobody's change is taken back by who has not seen it."""
    if if_version is None or if_version == number:
        return
    sentence = gettext("There is no such run template yet.")
    if number:
        sentence = gettext("This template has become version %(number)s meanwhile.") % {"number": number}
    advice = gettext("Export it again, and look at what differs before you apply yours.")
    raise ValidationFailed([FieldError("", f"{sentence} {advice}")])


def _create(wanted: _Wanted) -> RunTemplate:
    document = wanted.document
    if document.pipeline is None:
        sentence = gettext("There is no run template %(name)r yet: say which pipeline it is to run.")
        raise ValidationFailed([FieldError("/pipeline", sentence % {"name": document.name})])
    deployment = _freeze(wanted, document.pipeline, _stack(wanted))
    with _told_at("", {"/max_concurrent_runs": "/concurrency/max_concurrent_runs"}):
        return create_run_template(
            actor=wanted.actor,
            name=document.name,
            deployment=deployment,
            description=document.description or "",
            is_hidden=bool(document.hidden),
            tags=document.tags or [],
            limit=_limit(document),
            curation=document.curation,
        )


def _renew(wanted: _Wanted, template: RunTemplate) -> RunTemplate:
    """With a new version, if its pipeline, stack or form is to be another."""
    document, deployment = wanted.document, template.deployment
    pipeline = document.pipeline or frozen_pipeline(deployment)
    stack = _stack(wanted) if document.stack not in {None, deployment.stack.name} else deployment.stack
    if stack != deployment.stack or not _is_same_pipeline(pipeline, deployment):
        deployment = _freeze(wanted, pipeline, stack)
    return deploy_run_template(
        actor=wanted.actor, template=template, deployment=deployment, curation=document.curation
    )


def _is_same_pipeline(pipeline: FrozenPipeline, deployment: PipelineDeployment) -> bool:
    """Whatever the SDK was that froze it: that says nothing of what runs."""
    said, there = (
        each.model_dump() | {"client_version": ""} for each in (pipeline, frozen_pipeline(deployment))
    )
    return same_json(said, there)


def _freeze(wanted: _Wanted, pipeline: FrozenPipeline, stack: Stack) -> PipelineDeployment:
    frozen_spec(pipeline)
    with _told_at("/pipeline", {"/code_archive": "/code"}):
        return create_deployment(
            actor=wanted.actor,
            project=wanted.project,
            stack=stack,
            code_archive=_archive_of(wanted, pipeline) or (make_stand_in() if wanted.is_dry else None),
            request=DeploymentRequest(
                pipeline=pipeline.name,
                spec=pipeline.spec,
                config_schema=pipeline.config_schema,
                config_template=pipeline.config_template,
                requirements=pipeline.requirements,
                python_version=pipeline.python_version,
                client_version=pipeline.client_version,
            ),
        )


def _archive_of(wanted: _Wanted, pipeline: FrozenPipeline) -> CodeArchive | None:
    return usable_archive(wanted.actor, pipeline.sha256)


def _stack(wanted: _Wanted) -> Stack:
    visible, name = Stack.objects.visible_to(wanted.actor), wanted.document.stack
    remote = list(visible.remote().order_by("name"))
    if name is None and len(remote) == 1:
        return cast(Stack, remote[0])
    found = cast(Stack | None, visible.filter(name=name).first())
    if found is None:
        sentence = gettext("Say which stack it runs on.")
        if name is not None:
            sentence = gettext("There is no stack %(name)r on this server.") % {"name": name}
        hint = suggestion(name or "", [stack.name for stack in remote])
        raise ValidationFailed([FieldError("/stack", f"{sentence}{hint}")])
    with _told_at("/stack"):
        check_stack_is_remote(found)
    return found


def _with_facts(wanted: _Wanted, template: RunTemplate, managed_by: str | None) -> RunTemplate:
    """What is no part of a version."""
    document = wanted.document
    said = {
        "description": document.description,
        "is_hidden": document.hidden,
        "is_enabled": document.enabled,
        "managed_by": managed_by,
    }
    differing: dict[str, Any] = {
        name: value for name, value in said.items() if value not in {None, getattr(template, name)}
    }
    tags = template.tags if document.tags is None else document.tags
    check_tags(tags)
    if set(tags) != set(template.tags):
        differing["add_tags"] = [tag for tag in tags if tag not in template.tags]
        differing["remove_tags"] = [tag for tag in template.tags if tag not in tags]
    limit = _limit(document)
    if limit.differs_from(template):
        differing["limit"] = limit
    if not differing:
        return template
    with _told_at("", {"/max_concurrent_runs": "/concurrency/max_concurrent_runs", "/name": "/managed_by"}):
        return update_run_template(actor=wanted.actor, template=template, **differing)


def _limit(document: TemplateDocument) -> ConcurrencyLimit:
    if document.concurrency is None:
        return ConcurrencyLimit()
    return ConcurrencyLimit(document.concurrency.max_concurrent_runs or 0, document.concurrency.policy.value)


def _set_presets(actor: User, template: RunTemplate, presets: Mapping[str, Mapping[str, Any]]) -> None:
    """Those and no other shared ones, but for what no document can say."""
    kept = {preset.name: preset for preset in portable_presets(actor, template)}
    for name, preset in kept.items():
        preset.template = template
        if name not in presets:
            delete_preset(actor=actor, preset=preset)
    for name, configuration in presets.items():
        with _told_at(pointer_to(("presets", name))):
            _check_no_secret(template, configuration)
            if name not in kept:
                create_preset(
                    actor=actor, template=template, name=name, configuration=configuration, is_shared=True
                )
            elif not is_same(kept[name].configuration, kept_configuration(template, configuration)):
                update_preset(actor=actor, preset=kept[name], configuration=configuration)
            elif problems := problems_of(kept[name]):
                raise ValidationFailed(problems)


def _check_no_secret(template: RunTemplate, configuration: Mapping[str, Any]) -> None:
    """What stands in a file is read by many, and no preset would keep it."""
    sentence = gettext("A file and a preset hold no secrets: leave this out, it is asked for at each run.")
    places = secrets_in(template.version.config_schema, dict(configuration))
    if places:
        raise ValidationFailed([FieldError(pointer_to(place), sentence) for place in places])


def _with_access(actor: User, template: RunTemplate, access: Access) -> RunTemplate:
    """Exactly these roles. Whoever does not own the template may not even ask."""
    check_may_grant(actor, template)
    if template.is_restricted != access.restricted:
        template = update_run_template(actor=actor, template=template, is_restricted=access.restricted)
    given = {holder_of(grant): grant for grant in grants_on(template)}
    groups = set(actor.groups.values_list("pk", flat=True))
    # What makes the actor an owner comes last, the strongest at the end: they may do all before it goes.
    own = {
        holder: 1 + grant.role
        for holder, grant in given.items()
        if grant.user_id == actor.pk or grant.group_id in groups
    }
    for holder in sorted({**given, **access.roles}, key=lambda holder: own.get(holder, 0)):
        _set_role(actor, template, holder, given.get(holder), access.roles.get(holder))
    return template


def _set_role(
    actor: User, template: RunTemplate, holder: str, grant: RoleGrant | None, word: RoleWord | None
) -> None:
    if word is None and grant is not None:
        revoke_role(actor=actor, grant=grant)
    elif word is not None and (grant is None or grant.role != Role.spelt(word)):
        with _told_at(pointer_to(("access", "roles", holder))):
            grant_role(actor=actor, on=template, to=_holder(holder, grant), role=Role.spelt(word))


def _holder(name: str, grant: RoleGrant | None) -> Holder:
    """Who has a role here already keeps it, though nobody new could be given one: an account that is switched off."""
    if grant is not None:
        return cast(Holder, grant.user or grant.group)
    try:
        return find_holder(name)
    except DoesNotExist as error:
        raise ValidationFailed(str(error)) from error


@contextmanager
def _told_at(place: str, renamed: Mapping[str, str] | None = None) -> Iterator[None]:
    """Errors of a verb, which points into what it was given, at their places in the document."""
    try:
        yield
    except ValidationFailed as error:
        told = [
            FieldError(place + (renamed or {}).get(one.pointer, one.pointer), one.message)
            for one in error.errors
        ]
        raise ValidationFailed(told) from error
