"""Who may do what with what was run. Every verb asks here."""

from dataclasses import dataclass

from django.utils.translation import gettext

from runs_app.models import PipelineRun, Schedule
from templates_app.permissions import role_on
from zenweb.accounts.actions import Action
from zenweb.accounts.models import User
from zenweb.accounts.permissions import check_may_change, check_may_run, may_in_project, project_role
from zenweb.enums import Role
from zenweb.exceptions import NotAllowed


def role_over(actor: User, run: PipelineRun) -> Role:
    """What somebody is to a run: what they are to its template or, where it has none, to its project."""
    if run.template is not None:
        return role_on(actor, run.template)
    role = project_role(actor, run.project)
    return Role.NOBODY if run.is_restricted and role < Role.OWNER else role


def may_do(action: Action, actor: User, run: PipelineRun) -> bool:
    """Whether the role does: with a run of one's own, less is needed."""
    is_own = run.user_id is not None and run.user_id == actor.pk
    # Who started it may, whatever has become of their role: what one may not see is not found in the first place.
    return (is_own and action.is_for(Role.VIEWER, is_own=True)) or action.is_for(role_over(actor, run))


def may_see_values(actor: User, run: PipelineRun) -> bool:
    """As `with_values_shown_to` says of many."""
    return may_do(Action.SEE_VALUES, actor, run)


@dataclass(frozen=True)
class RunPowers:
    """What somebody may do with a run, for its page."""

    sees_values: bool
    can_stop: bool
    can_author: bool

    @classmethod
    def over(cls, actor: User, run: PipelineRun) -> "RunPowers":
        role, is_own = role_over(actor, run), run.user_id == actor.pk
        return cls(
            sees_values=is_own or Action.SEE_VALUES.is_for(role),
            can_stop=actor.may_run and (is_own or Action.MANAGE_RUNS.is_for(role)),
            can_author=actor.may_change and may_in_project(actor, Action.AUTHOR, run.project),
        )


def check_may_see_values(actor: User, run: PipelineRun) -> Role:
    """What they are to it, who may see its values. Raises NotAllowed."""
    role, is_own = role_over(actor, run), run.user_id == actor.pk
    if not is_own and not Action.SEE_VALUES.is_for(role):
        raise NotAllowed(
            gettext(
                'Only who started the run "%(name)s" and who may run its template see and may take over its values.'
            )
            % {"name": run.name}
        )
    return role


def check_may_stop(actor: User, run: PipelineRun) -> None:
    check_may_run(actor)
    _check(Action.MANAGE_RUNS, actor, run)


def check_may_note(actor: User, run: PipelineRun) -> None:
    """Whether something may be noted about it: by who started it, and editors."""
    check_may_stop(actor, run)


def check_may_manage(actor: User, run: PipelineRun) -> None:
    """Whether its tags may be changed, and whether it may be deleted."""
    check_may_change(actor)
    _check(Action.MANAGE_RUNS, actor, run)


def _check(action: Action, actor: User, run: PipelineRun) -> None:
    if not may_do(action, actor, run):
        raise NotAllowed(
            gettext(
                'Only who started the run "%(name)s" and editors of its template may stop, change or delete it.'
            )
            % {"name": run.name}
        )


def can_edit_schedule(actor: User, schedule: Schedule) -> bool:
    """Its owner, and editors of its template; of one without, owners of the project."""
    if not actor.may_change:
        return False
    if schedule.user_id == actor.pk:
        return True
    if schedule.template is None:
        return project_role(actor, schedule.project) >= Role.OWNER
    return Action.MANAGE_KEPT.is_for(role_on(actor, schedule.template))


def check_can_edit_schedule(actor: User, schedule: Schedule) -> None:
    check_may_change(actor)
    if not can_edit_schedule(actor, schedule):
        raise NotAllowed(
            gettext('Only the owner of the schedule "%(name)s" and editors of its template may change it.')
            % {"name": schedule.name}
        )
