"""Who may do what with what can be run. Every verb asks here."""

from dataclasses import dataclass

from django.db.models import Q, UUIDField
from django.utils.translation import gettext

from templates_app.models import Pipeline, PipelineDeployment, Preset, RunTemplate
from zenweb.accounts.actions import Action
from zenweb.accounts.models import ROLE_WORDS, Project, RoleGrant, StepInUse, User
from zenweb.accounts.permissions import (
    check_may_change,
    check_may_in_project,
    check_may_run,
    lacking,
    may_in_project,
)
from zenweb.enums import Role
from zenweb.exceptions import DoesNotExist, NotAllowed, ValidationFailed
from zenweb.prepared import Given, Prepared

# Asked for at each run.
GRANTS = Prepared(
    lambda: RoleGrant.objects.held_by(Given("user", UUIDField())).filter(
        Q(template=Given("template", UUIDField())) | Q(project=Given("project", UUIDField()))
    )
)


def role_on(actor: User, template: RunTemplate) -> Role:
    """What somebody is to a template; `RunTemplate.objects.with_role()` says the same of many.

    The most of: owner, to who made it and to owners of its project; what was given on it; and what one is to its
    project, unless it is restricted.
    """
    if actor.is_superuser or template.user_id == actor.pk:
        return Role.OWNER
    grants = GRANTS.ask(user=actor.pk, template=template.pk, project=template.project_id)
    everybodys = template.project.default_role
    in_project = Role(max([everybodys, *(grant.role for grant in grants if grant.project_id)]))
    if template.is_restricted and in_project < Role.OWNER:
        in_project = Role.NOBODY
    return Role(max([in_project, *(grant.role for grant in grants if grant.template_id)]))


@dataclass(frozen=True)
class Powers:
    """What somebody may do with a template, for pages that show what can be done."""

    actor: User
    role: Role

    @classmethod
    def over(cls, actor: User, template: RunTemplate) -> "Powers":
        return cls(actor, role_on(actor, template))

    @property
    def can_run(self) -> bool:
        return self.actor.may_run and Action.RUN.is_for(self.role)

    @property
    def can_edit(self) -> bool:
        return self._may(Action.EDIT)

    @property
    def can_delete(self) -> bool:
        return self._may(Action.DELETE)

    @property
    def can_grant(self) -> bool:
        return self._may(Action.GRANT)

    def _may(self, action: Action) -> bool:
        return self.actor.may_change and action.is_for(self.role)


def check_can_run(actor: User, template: RunTemplate) -> Role:
    """What they are to it, who may run a template. Raises NotAllowed, ValidationFailed for one that is switched off.

    To who may not even see it, there is none: DoesNotExist.
    """
    role = check_may_keep_values(actor, template)
    if not template.is_enabled:
        raise ValidationFailed(
            gettext('The template "%(name)s" is switched off. Ask its owner to enable it.')
            % {"name": template.name}
        )
    return role


def check_may_keep_values(actor: User, template: RunTemplate) -> Role:
    """The same of a template that may be switched off: values for its runs may be kept meanwhile."""
    check_may_run(actor)
    role = check_may_see(actor, template)
    if not Action.RUN.is_for(role):
        raise lacking(Action.RUN, role, template.name)
    if actor.step_in_use is not None:
        role = min(role, _role_of_owner(actor.step_in_use, template))
    return role


def _role_of_owner(step: StepInUse, template: RunTemplate) -> Role:
    """What who answers for a step's code is to a template that it runs. Raises NotAllowed.

    Whoever starts a run has not written its code: that may do no more in their name than in its owner's.
    """
    owner = step.owner
    if owner is None or not owner.is_active:
        raise NotAllowed(
            gettext(
                "A step may run what its run's starter and the owner of %(origin)s may run: the owner's account is "
                "switched off or gone."
            )
            % {"origin": step.origin}
        )
    role = role_on(owner, template)
    if not Action.RUN.is_for(role):
        raise NotAllowed(
            gettext(
                "A step may run what its run's starter and the owner of %(origin)s may run: %(owner)s owns that, "
                'and may not run "%(template)s". Ask an owner of it to give them the role %(least)s.'
            )
            % {
                "origin": step.origin,
                "owner": owner.get_username(),
                "template": template.name,
                "least": ROLE_WORDS[Action.RUN.least],
            }
        )
    return role


def check_may_see(actor: User, template: RunTemplate) -> Role:
    """Raises DoesNotExist: to who may not see a template, there is none."""
    role = role_on(actor, template)
    if not Action.SEE.is_for(role):
        raise DoesNotExist(gettext("There is no such run template."))
    return role


def check_may_run_deployment(actor: User, deployment: PipelineDeployment) -> None:
    """As it is, without a template: what templates fix or bound does not hold there."""
    check_may_in_project(actor, Action.AUTHOR, deployment.project)


def check_may_upload(actor: User, project: Project) -> None:
    """Whoever may run something of the project may upload files to it."""
    check_may_run(actor)
    runnable = RunTemplate.objects.visible_to(actor).with_role(actor, Action.RUN.least)
    if runnable.filter(project=project).exists():
        return
    if actor.is_bound or not may_in_project(actor, Action.RUN, project):
        raise NotAllowed(
            gettext(
                'There is nothing in the project "%(name)s" that you may run, so no file is wanted there.'
            )
            % {"name": project.name}
        )


def check_can_edit(actor: User, template: RunTemplate) -> None:
    check_may(actor, Action.EDIT, template)


def check_may(actor: User, action: Action, template: RunTemplate) -> None:
    """Raises NotAllowed where the role or the key does not do."""
    check_may_change(actor)
    role = role_on(actor, template)
    if not action.is_for(role):
        raise lacking(action, role, template.name)


def check_can_edit_pipeline(actor: User, pipeline: Pipeline) -> None:
    """Whoever made it first, if they still may make one, and owners of its project."""
    check_may_in_project(actor, Action.EDIT_PIPELINE, pipeline.project, is_own=pipeline.user_id == actor.pk)


def can_edit_preset(actor: User, preset: Preset, role: Role) -> bool:
    """Whether somebody of this role on its template may: with their own, and with shared ones of others."""
    is_own = preset.user_id == actor.pk
    return actor.may_change and (is_own or (preset.is_shared and Action.MANAGE_KEPT.is_for(role)))


def check_can_edit_preset(actor: User, preset: Preset) -> Role:
    """What they are to its template. Raises NotAllowed."""
    check_may_change(actor)
    role = role_on(actor, preset.template)
    if not can_edit_preset(actor, preset, role):
        raise NotAllowed(
            gettext(
                'Only the owner of the preset "%(name)s" and editors of its template may change it. '
                "Save its values under a name of your own instead."
            )
            % {"name": preset.name}
        )
    return role
