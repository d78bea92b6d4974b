"""What is done with what can be run: code is stored, pipelines are frozen, templates are made and changed."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy
from pydantic import ValidationError

from templates_app.choice_places import check_dependencies
from templates_app.curated_schema import parameters_of, with_parameter
from templates_app.curation import Curation, read_curation
from templates_app.curation_fit import carry_over, check_curation, read_fitting
from templates_app.models import (
    MOST_CONCURRENT_RUNS,
    CodeArchive,
    Pipeline,
    PipelineDeployment,
    RunTemplate,
    RunTemplateVersion,
    Stack,
)
from templates_app.names import changed_tags, check_description, check_name, check_tags
from templates_app.permissions import check_can_edit, check_can_edit_pipeline, check_may, role_on
from templates_app.schema_places import step_sections
from templates_app.schema_validation import check_schema
from templates_app.suggestions import suggestion
from zenweb.accounts.actions import Action
from zenweb.accounts.audit import facts_of, record_audit, record_deletion
from zenweb.accounts.models import Project, User
from zenweb.accounts.permissions import check_may_author_somewhere, check_may_in_project
from zenweb.config.code_archive import check_archive
from zenweb.config.requirements import MOST_REQUIREMENTS, checked_requirement
from zenweb.config.spec import PipelineSpec
from zenweb.enums import AuditVerb, ConcurrencyPolicy
from zenweb.exceptions import (
    AuthoringError,
    EntityExists,
    FieldError,
    LocalStackRefused,
    NotAllowed,
    ValidationFailed,
)
from zenweb.pointers import pointer_to

MISFIT = gettext_lazy("The template's form keeps to it, and the new pipeline does not take it.")
MOST_NAMED = 5  # of what stands in the way
LIMIT_FIELDS = ("max_concurrent_runs", "concurrency_policy")
CHANGEABLE = (
    *("name", "description", "is_hidden", "is_restricted", "is_enabled", "tags", "managed_by"),
    *LIMIT_FIELDS,
)
# Steps and outputs name folders of the artifact store.
NAME_IN_PATHS = re.compile(r"[\w .-]{1,200}")


@dataclass(frozen=True)
class DeploymentRequest:
    """What a client sends to freeze a pipeline; `spec` and `config_schema` come from the SDK."""

    pipeline: str
    spec: dict[str, Any]
    config_schema: dict[str, Any]
    config_template: dict[str, Any]
    python_version: str
    client_version: str
    requirements: list[str] = field(default_factory=list)

    def fingerprint(self, stack: Stack, archive: CodeArchive) -> str:
        """The same for everything that would run alike: the client's own version does not count."""
        content = [
            self.spec,
            self.config_schema,
            self.config_template,
            self.requirements,
            self.python_version,
            str(stack.id),
            archive.sha256,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ConcurrencyLimit:
    """How many runs of a template may go on at once (0: any number), and what becomes of one more; None: as it is."""

    max_concurrent_runs: int | None = None
    concurrency_policy: str | None = None

    def check(self) -> None:
        errors = []
        most = self.max_concurrent_runs
        if most is not None and not 0 <= most <= MOST_CONCURRENT_RUNS:
            sentence = f"Between 1 and {MOST_CONCURRENT_RUNS} runs may go on at once; 0 means any number."
            errors.append(FieldError("/max_concurrent_runs", sentence))
        policies = [policy.value for policy in ConcurrencyPolicy]
        if self.concurrency_policy is not None and self.concurrency_policy not in policies:
            sentence = f"There is no policy {self.concurrency_policy!r}.{suggestion(self.concurrency_policy, policies)}"
            errors.append(FieldError("/concurrency_policy", sentence))
        if errors:
            raise ValidationFailed(errors)

    def differs_from(self, template: RunTemplate) -> bool:
        """Whether it says anything that is not so already."""
        most, policy = self.max_concurrent_runs, self.concurrency_policy
        return (most is not None and (most or None) != template.max_concurrent_runs) or (
            policy is not None and policy != template.concurrency_policy
        )

    def apply_to(self, template: RunTemplate) -> None:
        if self.max_concurrent_runs is not None:
            template.max_concurrent_runs = self.max_concurrent_runs or None
        if self.concurrency_policy is not None:
            template.concurrency_policy = self.concurrency_policy


def store_code_archive(*, actor: User, sha256: str, content: bytes) -> CodeArchive:
    """Keep an archive after checking every entry."""
    return keep_code_archive(
        actor=actor, checked=check_code_archive(actor=actor, sha256=sha256, content=content)
    )


@dataclass(frozen=True)
class CheckedArchive:
    """Code of which every entry was looked at."""

    sha256: str
    content: bytes
    size: int


def check_code_archive(*, actor: User, sha256: str, content: bytes) -> CheckedArchive:
    """Look at every entry, which takes a while: in no transaction."""
    check_may_author_somewhere(actor)
    size = check_archive(content, sha256=sha256, limit=settings.CODE_ARCHIVE_LIMIT)
    return CheckedArchive(sha256, content, size)


@transaction.atomic
def keep_code_archive(*, actor: User, checked: CheckedArchive) -> CodeArchive:
    """Keep an archive under its hash; whoever sends one that is there may use it too."""
    check_may_author_somewhere(actor)
    archive: CodeArchive
    archive, is_new = CodeArchive.objects.get_or_create(
        sha256=checked.sha256, defaults={"content": checked.content, "size": checked.size}
    )
    if is_new:
        record_audit(actor=actor, verb=AuditVerb.CREATE, thing=archive, after={"size": checked.size})
    archive.uploaders.add(actor)
    return archive


def usable_archive(actor: User, sha256: str) -> CodeArchive | None:
    """The code of that hash, if it is here and the actor may use it: its hash alone opens nothing."""
    archives = CodeArchive.objects.visible_to(actor).defer("content")
    return cast(CodeArchive | None, archives.filter(sha256=sha256).first())


def make_stand_in() -> CodeArchive:
    """For code that is not here, in a transaction of which nothing stays: no other code is found by its hash."""
    return CodeArchive.objects.create(sha256=token_hex(32), content=b"", size=0)


@transaction.atomic
def create_pipeline(*, actor: User, project: Project, name: str, description: str = "") -> Pipeline:
    check_may_in_project(actor, Action.AUTHOR, project)
    check_name(name)
    check_description(description)
    if Pipeline.objects.filter(project=project, name=name).exists():
        raise EntityExists(
            gettext("A pipeline called %(name)r already exists in project %(project)r.")
            % {"name": name, "project": project.name}
        )
    pipeline = Pipeline.objects.create(project=project, user=actor, name=name, description=description)
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=pipeline, after=facts_of(pipeline))
    return pipeline


@transaction.atomic
def update_pipeline(*, actor: User, pipeline: Pipeline, description: str | None = None) -> Pipeline:
    """Change what is given; None leaves a thing as it is."""
    check_can_edit_pipeline(actor, pipeline)
    if description is not None:
        check_description(description)
        pipeline.refresh_from_db(
            fields=["name", "description"], from_queryset=Pipeline.objects.select_for_update()
        )
        before = facts_of(pipeline)
        pipeline.description = description
        pipeline.save(update_fields=["description", "updated"])
        record_audit(
            actor=actor, verb=AuditVerb.CHANGE, thing=pipeline, before=before, after=facts_of(pipeline)
        )
    return pipeline


@transaction.atomic
def delete_pipeline(*, actor: User, pipeline: Pipeline) -> None:
    """Remove a pipeline that nothing is left of but its deployments; what would be lost with it is not taken along."""
    check_can_edit_pipeline(actor, pipeline)
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    templates = (
        RunTemplate.objects.filter(versions__deployment__pipeline=pipeline).order_by("name").distinct()
    )
    if templates.exists():
        names = list(templates.visible_to(actor).values_list("name", flat=True)[:MOST_NAMED])
        raise NotAllowed(
            gettext('Delete the run templates of the pipeline "%(name)s" first: %(templates)s.')
            % {"name": pipeline.name, "templates": ", ".join(names) or gettext("some that you do not see")}
        )
    if Pipeline.objects.filter(pk=pipeline.pk, runs__isnull=False).exists():
        raise NotAllowed(
            gettext('Delete the runs of the pipeline "%(name)s" first: they would be lost with it.')
            % {"name": pipeline.name}
        )
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=pipeline, before=facts_of(pipeline))
    pipeline.delete()


def create_deployment(
    *,
    actor: User,
    project: Project,
    stack: Stack,
    code_archive: CodeArchive | None,
    request: DeploymentRequest,
) -> PipelineDeployment:
    """Freeze a pipeline after checking it."""
    checked = check_deployment(
        actor=actor, project=project, stack=stack, code_archive=code_archive, request=request
    )
    return freeze_deployment(actor=actor, checked=checked)


@dataclass(frozen=True)
class CheckedDeployment:
    """A pipeline that may be frozen as it is."""

    project: Project
    stack: Stack
    code_archive: CodeArchive
    request: DeploymentRequest
    description: str


def check_deployment(
    *,
    actor: User,
    project: Project,
    stack: Stack,
    code_archive: CodeArchive | None,
    request: DeploymentRequest,
) -> CheckedDeployment:
    """Look at all that was sent to freeze a pipeline, which may take a while: in no transaction."""
    check_may_in_project(actor, Action.AUTHOR, project)
    if code_archive is None:
        raise ValidationFailed([FieldError("/code_archive", "Upload this code archive first.")])
    spec = _parse_spec(request.spec)
    _check_config_schema(request.config_schema, spec)
    check_name(request.pipeline)
    request = replace(request, requirements=_checked_requirements(request.requirements))
    return CheckedDeployment(project, stack, code_archive, request, spec.description or "")


@transaction.atomic
def freeze_deployment(*, actor: User, checked: CheckedDeployment) -> PipelineDeployment:
    """Freeze a pipeline; the same pipeline with the same code on the same stack is the deployment that exists."""
    check_may_in_project(actor, Action.AUTHOR, checked.project)
    request = checked.request
    pipeline, is_new = Pipeline.objects.get_or_create(
        project=checked.project,
        name=request.pipeline,
        defaults={"user": actor, "description": checked.description},
    )
    if is_new:
        record_audit(actor=actor, verb=AuditVerb.CREATE, thing=pipeline, after=facts_of(pipeline))
    deployment, is_new = PipelineDeployment.objects.get_or_create(
        pipeline=pipeline,
        fingerprint=request.fingerprint(checked.stack, checked.code_archive),
        defaults={
            "project": checked.project,
            "user": actor,
            "stack": checked.stack,
            "code_archive": checked.code_archive,
            "spec": request.spec,
            "config_schema": request.config_schema,
            "config_template": request.config_template,
            "requirements": request.requirements,
            "python_version": request.python_version,
            "client_version": request.client_version,
        },
    )
    if is_new:
        record_audit(actor=actor, verb=AuditVerb.CREATE, thing=deployment, after=facts_of(deployment))
    return deployment


@dataclass(frozen=True)
class CompiledAgain:
    """What a worker got when it put a frozen pipeline together with other parameters."""

    spec: dict[str, Any]
    config_schema: dict[str, Any]
    config_template: dict[str, Any]


@transaction.atomic
def derive_deployment(
    *, base: PipelineDeployment, parameters_key: str, compiled: CompiledAgain
) -> PipelineDeployment:
    """The deployment that runs with these parameters go on with: nobody asks for it, so nobody is asked.

    It came from user code: it is checked as what clients send. Raises ValidationFailed.
    """
    spec = _parse_spec(compiled.spec)
    _check_config_schema(compiled.config_schema, spec)
    if spec.name != base.spec["name"]:
        raise ValidationFailed(
            [FieldError("/spec/name", f"It is the pipeline {base.spec['name']!r} no more.")]
        )
    derived: PipelineDeployment
    derived, _ = PipelineDeployment.objects.get_or_create(
        derived_from=base,
        parameters_key=parameters_key,
        defaults={
            "project_id": base.project_id,
            "user_id": base.user_id,
            "pipeline_id": base.pipeline_id,
            "stack_id": base.stack_id,
            "code_archive_id": base.code_archive_id,
            "spec": compiled.spec,
            "config_schema": _with_own_parameters_of(base.config_schema, compiled.config_schema),
            "config_template": compiled.config_template,
            "requirements": base.requirements,
            "python_version": base.python_version,
            "client_version": base.client_version,
            "is_restricted": base.is_restricted,
            "fingerprint": hashlib.sha256(f"{base.pk} {parameters_key}".encode()).hexdigest(),
        },
    )
    return derived


def _with_own_parameters_of(base: dict[str, Any], derived: dict[str, Any]) -> dict[str, Any]:
    """What the pipeline's own parameters are by default is what it was frozen with."""
    own = base["properties"].get("parameters", {})
    return {
        **derived,
        "$defs": {**base.get("$defs", {}), **derived.get("$defs", {})},
        "properties": {**derived["properties"], "parameters": own},
    }


def _with_own_defaults(config_schema: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    for name, value in parameters.items():
        if (schema := parameters_of(config_schema).get(("", name))) is not None:
            config_schema = with_parameter(config_schema, ("", name), {**schema, "default": value})
    return config_schema


def _as_frozen(deployment: PipelineDeployment) -> PipelineDeployment:
    """What a template can be made of: of what a run was put together with, a deployment in its own right."""
    if deployment.derived_from_id is None:
        return deployment
    request = DeploymentRequest(
        pipeline=deployment.pipeline.name,
        spec=deployment.spec,
        config_schema=_with_own_defaults(deployment.config_schema, deployment.spec["parameters"]),
        config_template=deployment.config_template,
        requirements=deployment.requirements,
        python_version=deployment.python_version,
        client_version=deployment.client_version,
    )
    frozen: PipelineDeployment
    frozen, _ = PipelineDeployment.objects.get_or_create(
        pipeline=deployment.pipeline,
        fingerprint=request.fingerprint(deployment.stack, deployment.code_archive),
        defaults={
            "project_id": deployment.project_id,
            "user_id": deployment.user_id,
            "stack_id": deployment.stack_id,
            "code_archive_id": deployment.code_archive_id,
            "spec": request.spec,
            "config_schema": request.config_schema,
            "config_template": request.config_template,
            "requirements": request.requirements,
            "python_version": request.python_version,
            "client_version": request.client_version,
            "is_restricted": deployment.is_restricted,
        },
    )
    return frozen


@transaction.atomic
def create_run_template(
    *,
    actor: User,
    name: str,
    deployment: PipelineDeployment,
    description: str = "",
    is_hidden: bool = False,
    tags: Sequence[str] = (),
    update: bool = False,
    limit: ConcurrencyLimit | None = None,
    drops_misfits: bool = False,
    curation: Any = None,
) -> RunTemplate:
    """A new template, or with `update` a new version of the one that has this name.

    The form stays as its owner shaped it. What the new deployment does not take of that is told in the version's notes;
    it is refused if runs could be given more without it, unless `drops_misfits`. Or `curation` says how it is shaped
    from now on, and has to fit. Raises ValidationFailed.
    """
    check_may_in_project(actor, Action.AUTHOR, deployment.project)
    check_stack_is_remote(deployment.stack)
    deployment = _as_frozen(deployment)
    check_name(name)
    check_tags(tags)
    check_description(description)
    limit = limit or ConcurrencyLimit()
    limit.check()
    existing = RunTemplate.objects.select_for_update().filter(project=deployment.project, name=name).first()
    if existing is not None:
        if not update or not Action.SEE.is_for(role_on(actor, existing)):
            raise EntityExists(
                gettext(
                    "A run template called %(name)r already exists. Choose another name, or say "
                    "update=True (--update on the command line) to make a new version of it."
                )
                % {"name": name}
            )
        check_can_edit(actor, existing)
        _check_same_pipeline(existing, deployment)
        before = facts_of(existing)
        if description:
            existing.description = description
        existing.tags = changed_tags(existing.tags, tags)
        limit.apply_to(existing)
        existing.save(update_fields=["description", "tags", *LIMIT_FIELDS, "updated"])
        record_audit(
            actor=actor, verb=AuditVerb.CHANGE, thing=existing, before=before, after=facts_of(existing)
        )
        return _deploy(existing, deployment, actor, drops_misfits=drops_misfits, curation=curation)
    version = RunTemplateVersion(
        deployment=deployment, user=actor, curation=_fitting(deployment, {} if curation is None else curation)
    )
    template = RunTemplate(
        project=deployment.project,
        user=actor,
        name=name,
        description=description or _first_line(deployment),
        is_hidden=is_hidden,
        tags=list(dict.fromkeys(tags)),
    )
    limit.apply_to(template)
    template.save()
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=template, after=facts_of(template))
    return _add_version(template, version)


@transaction.atomic
def deploy_run_template(
    *,
    actor: User,
    template: RunTemplate,
    deployment: PipelineDeployment,
    drops_misfits: bool = False,
    curation: Any = None,
) -> RunTemplate:
    """A new version of the template that runs this deployment, with its form as it is, or as `curation` says.

    None where it runs it already, in that form.

    Raises ValidationFailed as `create_run_template` does with `update`.
    """
    check_can_edit(actor, template)
    check_stack_is_remote(deployment.stack)
    deployment = _as_frozen(deployment)
    template = _locked(template)
    _check_same_pipeline(template, deployment)
    return _deploy(template, deployment, actor, drops_misfits=drops_misfits, curation=curation)


@transaction.atomic
def restore_run_template(*, actor: User, template: RunTemplate, version: RunTemplateVersion) -> RunTemplate:
    """A new version of the template that is what one of its former ones was; none where the newest is just that."""
    check_can_edit(actor, template)
    template = _locked(template)
    latest, deployment = template.version, version.deployment
    if (version.deployment_id, version.curation) == (latest.deployment_id, latest.curation):
        return template
    check_stack_is_remote(deployment.stack)  # it may have been changed since
    return _add_version(
        template, RunTemplateVersion(deployment=deployment, user=actor, curation=version.curation)
    )


def _locked(template: RunTemplate) -> RunTemplate:
    """As it is now, until the transaction ends."""
    locked: RunTemplate = (
        RunTemplate.objects.select_for_update(of=("self",)).with_relations().get(pk=template.pk)
    )
    return locked


def _deploy(
    template: RunTemplate,
    deployment: PipelineDeployment,
    actor: User,
    *,
    drops_misfits: bool,
    curation: Any,
) -> RunTemplate:
    """Point the template at this deployment; nothing new is made when it already is there."""
    latest = template.version
    if curation is not None:
        document = _fitting(deployment, curation)
        if (latest.deployment_id, latest.curation) == (deployment.pk, document):
            return template
        return _add_version(
            template, RunTemplateVersion(deployment=deployment, user=actor, curation=document)
        )
    if latest.deployment_id == deployment.pk:
        return template
    version = RunTemplateVersion(deployment=deployment, user=actor)
    version.curation, version.curation_notes = _carried_over(latest, deployment, drops_misfits=drops_misfits)
    return _add_version(template, version)


def _fitting(deployment: PipelineDeployment, curation: Any) -> dict[str, Any]:
    """What is said of a form, where it fits. Raises ValidationFailed with all that does not."""
    try:
        return read_fitting(deployment.config_schema, curation).to_json()
    except ValidationFailed as error:
        told = [FieldError(f"/curation{one.pointer}", one.message) for one in error.errors]
        raise ValidationFailed(told) from error


def _carried_over(
    latest: RunTemplateVersion, deployment: PipelineDeployment, *, drops_misfits: bool
) -> tuple[dict[str, Any], list[str]]:
    try:
        curation, notes = carry_over(
            deployment.config_schema, read_curation(latest.curation), drops_misfits=drops_misfits
        )
    except ValidationFailed as error:
        advice = gettext(
            "Change the pipeline or the template's form, or drop what does not fit "
            "(--drop-misfits on the command line, drop_misfits over REST and in Python)."
        )
        told = [FieldError(one.pointer, f"{one.message} {MISFIT} {advice}") for one in error.errors]
        raise ValidationFailed(told) from error
    return curation.to_json(), notes


def _add_version(template: RunTemplate, version: RunTemplateVersion) -> RunTemplate:
    version.template = template
    version.number = template.version.number + 1 if template.latest_version_id else 1
    version.save(force_insert=True)
    former = template.latest_version
    template.latest_version = version
    template.save(update_fields=["latest_version", "updated"])
    record_audit(
        actor=version.user,
        verb=AuditVerb.ADD_VERSION,
        thing=template,
        before=facts_of(former) if former else None,
        after=facts_of(version),
    )
    return template


@transaction.atomic
def curate_run_template(
    *, actor: User, template: RunTemplate, curation: Any, seen_version: int | None = None
) -> RunTemplate:
    """A new version of the template, of the same deployment and with this curation; none where nothing changes.

    `seen_version`: the number of the version that was changed, to refuse what somebody else has changed meanwhile.
    Raises ValidationFailed with everything that does not fit, and its place in the document.
    """
    check_can_edit(actor, template)
    template = _locked(template)
    latest = template.version
    if seen_version is not None and seen_version != latest.number:
        sentence = gettext(
            "This template has become version %(number)s meanwhile. Look at it before you save yours."
        )
        raise ValidationFailed([FieldError("/seen_version", sentence % {"number": latest.number})])
    config_schema = latest.deployment.config_schema
    if isinstance(curation, Curation):
        check_curation(config_schema, curation)
    else:
        curation = read_fitting(config_schema, curation)
    document = curation.to_json()
    if document == latest.curation:
        return template
    return _add_version(
        template, RunTemplateVersion(deployment=latest.deployment, user=actor, curation=document)
    )


@transaction.atomic
def update_run_template(
    *,
    actor: User,
    template: RunTemplate,
    name: str | None = None,
    description: str | None = None,
    is_hidden: bool | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
    limit: ConcurrencyLimit | None = None,
    is_restricted: bool | None = None,
    is_enabled: bool | None = None,
    managed_by: str | None = None,
) -> RunTemplate:
    """Change what is given; None leaves a thing as it is. To restrict it is its owner's."""
    check_may(actor, Action.EDIT if is_restricted is None else Action.GRANT, template)
    check_tags(add_tags, "/add_tags")
    limit = limit or ConcurrencyLimit()
    limit.check()
    template = _locked(template)
    before = facts_of(template)
    if name is not None and name != template.name:
        check_new_name(template, name)
        template.name = name
    if description is not None:
        check_description(description)
        template.description = description
    if is_hidden is not None:
        template.is_hidden = is_hidden
    template.tags = changed_tags(template.tags, add_tags, remove_tags)
    template.is_restricted = template.is_restricted if is_restricted is None else is_restricted
    template.is_enabled = template.is_enabled if is_enabled is None else is_enabled
    if managed_by is not None:
        check_name(managed_by)
        template.managed_by = managed_by
    limit.apply_to(template)
    template.save(update_fields=[*CHANGEABLE, "updated"])
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=template, before=before, after=facts_of(template))
    return template


@transaction.atomic
def delete_run_template(*, actor: User, template: RunTemplate) -> None:
    """Remove a template with its versions; the runs it made stay, and are seen by no more people than before."""
    check_may(actor, Action.DELETE, template)
    template = RunTemplate.objects.select_for_update(of=("self",)).get(pk=template.pk)
    record_deletion(actor=actor, thing=template)
    if template.is_restricted:
        template.runs.filter(is_restricted=False).update(is_restricted=True)
        ran = template.versions.values("deployment")
        PipelineDeployment.objects.filter(Q(pk__in=ran) | Q(derived_from__in=ran)).update(is_restricted=True)
    template.delete()


def check_stack_is_remote(stack: Stack) -> None:
    """Templates run on workers, so their stack must be a remote one."""
    if stack.is_remote:
        return
    raise LocalStackRefused.of(stack.name, list(Stack.objects.remote().values_list("name", flat=True)))


def _parse_spec(fields: dict[str, Any]) -> PipelineSpec:
    try:
        spec = PipelineSpec.model_validate(fields)
    except ValidationError as error:
        raise ValidationFailed(
            [
                FieldError("/spec" + pointer_to(entry["loc"]), entry["msg"].removeprefix("Value error, "))
                for entry in error.errors()
            ]
        ) from error
    check_tags(spec.tags, "/spec/tags")
    names = [step.name for step in spec.steps]
    for name in [*names, *(output.name for step in spec.steps for output in step.outputs)]:
        if not NAME_IN_PATHS.fullmatch(name) or name in {".", ".."}:
            sentence = (
                f"{name!r} cannot name a step or an output: letters, digits, blanks, '_', '-' and '.' can."
            )
            raise ValidationFailed([FieldError("/spec/steps", sentence)])
    if len(set(names)) != len(names):
        raise ValidationFailed([FieldError("/spec/steps", "Two steps have the same name.")])
    for index, step in enumerate(spec.steps):
        earlier = set(names[:index])
        needed = {source.step for source in step.inputs.values()} | {each.step for each in step.conditions}
        if step.is_mapped and (
            clashing := next(filter(re.compile(rf"{re.escape(step.name)}-\d+").fullmatch, names), None)
        ):
            sentence = f"A run of the mapped step {step.name} would be called {clashing}, as another step is."
            raise ValidationFailed([FieldError(f"/spec/steps/{index}", sentence)])
        if missing := (set(step.upstream) | needed) - earlier:
            sentence = f"Step {step.name} needs {', '.join(sorted(missing))}, which does not come before it."
            raise ValidationFailed([FieldError(f"/spec/steps/{index}", sentence)])
    return spec


def _checked_requirements(lines: Sequence[str]) -> list[str]:
    checked, errors = set[str](), list[FieldError]()
    for index, line in enumerate(lines):
        try:
            checked.add(checked_requirement(line))
        except AuthoringError as error:
            errors.append(FieldError(f"/requirements/{index}", str(error)))
    if len(lines) > MOST_REQUIREMENTS:
        errors = [FieldError("/requirements", f"A pipeline may name {MOST_REQUIREMENTS} requirements.")]
    if errors:
        raise ValidationFailed(errors)
    return sorted(checked)


def _check_same_pipeline(template: RunTemplate, deployment: PipelineDeployment) -> None:
    """Whoever kept a link to a template must not find another pipeline behind it."""
    if template.pipeline != deployment.pipeline:
        raise ValidationFailed(
            gettext(
                "The run template %(name)r runs the pipeline %(pipeline)r, and a new version of it "
                "must too. Choose another name for a template of %(other)r."
            )
            % {"name": template.name, "pipeline": template.pipeline.name, "other": deployment.pipeline.name}
        )


def _check_config_schema(schema: dict[str, Any], spec: PipelineSpec) -> None:
    check_schema(schema)
    steps = step_sections(schema)
    is_complete = all(
        isinstance(step, dict) and "parameters" in step.get("properties", {}) for step in steps.values()
    )
    if set(steps) != {step.name for step in spec.steps} or not is_complete:
        raise ValidationFailed(
            [FieldError("/config_schema", "The schema does not describe the steps of the spec.")]
        )
    if steps:
        check_dependencies(schema)


def check_new_name(template: RunTemplate, name: str) -> None:
    """Whether a template may be called this from now on."""
    check_name(name)
    others = RunTemplate.objects.filter(project=template.project, name=name).exclude(pk=template.pk)
    if others.exists():
        raise EntityExists(gettext("A run template called %(name)r already exists.") % {"name": name})


def _first_line(deployment: PipelineDeployment) -> str:
    return str(deployment.spec.get("description") or "")
