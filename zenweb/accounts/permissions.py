"""What may be done with the key that a request is made with, and by whom in a project. Every verb asks here."""

from django.utils.translation import gettext

from zenweb.accounts.actions import Action
from zenweb.accounts.models import ROLE_WORDS, Project, RoleGrant, User
from zenweb.enums import KeyAccess, Role
from zenweb.exceptions import NotAllowed


def check_may_run(actor: User) -> None:
    """Raises NotAllowed for an account that is switched off, and for a key that may only read."""
    if not actor.is_active:
        raise NotAllowed(gettext("This account is switched off."))
    if actor.access is KeyAccess.READ:
        raise NotAllowed(
            gettext(
                "This API key may only read. Use a key that may run templates, or make one under Account → API keys."
            )
        )


def check_may_change(actor: User) -> None:
    """Raises NotAllowed as `check_may_run`, and for a key that may run templates and nothing else."""
    check_may_run(actor)
    if actor.step_in_use is not None:
        raise NotAllowed(
            gettext(
                "A step may read, and run templates, but change nothing. Do it outside of the pipeline, with a key."
            )
        )
    if not actor.may_change:
        raise NotAllowed(
            gettext(
                "This API key may run templates, but change nothing. Use a key that may do everything, or make one "
                "under Account → API keys."
            )
        )


def check_is_administrator(actor: User) -> None:
    """Raises NotAllowed for everybody else, and for administrators' keys that may not do everything."""
    check_may_change(actor)
    if not actor.is_superuser:
        raise NotAllowed(gettext("Only an administrator may do this."))


def project_role(actor: User, project: Project) -> Role:
    """What somebody is to a project: the most of what is everybody's there and what was given to them."""
    if actor.is_superuser:
        return Role.OWNER
    granted = RoleGrant.objects.held_by(actor).filter(project=project).values_list("role", flat=True)
    return Role(max([project.default_role, *granted]))


def may_in_project(actor: User, action: Action, project: Project) -> bool:
    return action.is_for(project_role(actor, project))


def check_may_in_project(actor: User, action: Action, project: Project, *, is_own: bool = False) -> None:
    """Raises NotAllowed where the role or the key does not do."""
    check_may_change(actor)
    role = project_role(actor, project)
    if not action.is_for(role, is_own=is_own):
        raise lacking(action, role, project.name)


def check_may_author_somewhere(actor: User) -> None:
    """Whether there is a project in which somebody may register pipelines. Raises NotAllowed."""
    check_may_change(actor)
    if not Project.objects.with_role(actor, Action.AUTHOR.least).exists():
        raise NotAllowed(
            gettext(
                "To register pipelines one needs the role Editor in a project. Ask an owner of one or an administrator."
            )
        )


def lacking(action: Action, role: Role, name: str) -> NotAllowed:
    """What somebody is told who may not do this with the thing of this name."""
    return NotAllowed(
        gettext(
            'To %(words)s one needs the role %(least)s; on "%(name)s" yours is %(yours)s. Ask an owner or an '
            "administrator."
        )
        % {
            "words": action.words,
            "least": ROLE_WORDS[action.least],
            "name": name,
            "yours": ROLE_WORDS[role],
        }
    )
