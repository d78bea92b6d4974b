"""Who may do what with what was run. Every verb asks here."""

from dataclasses import dataclass

from django.utils.translation import gettext

from runs_app.models import ArtifactVersion, PipelineRun, Schedule, StepRun
from templates_app.permissions import role_on
from zenweb.accounts.actions import Action
from zenweb.accounts.models import StepInUse, User
from zenweb.accounts.permissions import check_may_change, check_may_run, may_in_project, project_role
from zenweb.enums import Role
from zenweb.exceptions import NotAllowed

Noteworthy = PipelineRun | StepRun | ArtifactVersion


def role_over(actor: User, run: PipelineRun) -> Role:
    """What somebody is to a run: what they are to its template or, where it has none, to its project."""
    if run.template is not None:
        return role_on(actor, run.template)
    role = project_role(actor, run.project)
    return Role.NOBODY if run.is_restricted and role < Role.OWNER else role


def may_see_values(actor: User, run: PipelineRun) -> bool:
    """As `with_values_shown_to` says of many."""
    return _lets(Action.SEE_VALUES, role_over(actor, run), actor, run)


def _lets(action: Action, role: Role, actor: User, run: PipelineRun) -> bool:
    """Whether a role over the run does: for one's own less is needed.

    Who started it may, whatever has become of their role: what one may not see is not found in the first place.
    """
    is_own = run.user_id is not None and run.user_id == actor.pk
    return action.is_for(max(role, Role.VIEWER) if is_own else role, is_own=is_own)


@dataclass(frozen=True)
class RunPowers:
    """What somebody may do with a run, for its page."""

    sees_values: bool
    can_stop: bool
    can_author: bool

    @classmethod
    def over(cls, actor: User, run: PipelineRun) -> "RunPowers":
        role = role_over(actor, run)
        return cls(
            sees_values=_lets(Action.SEE_VALUES, role, actor, run),
            can_stop=actor.may_run and _lets(Action.MANAGE_RUNS, role, actor, run),
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


def check_may_note(actor: User, thing: Noteworthy) -> None:
    """By whose it is, and editors of the template; of what no run made (any more), owners of the project.

    That a step was given something lends it nothing: its code, or a default, may have named it and not its starter.
    """
    check_may_run(actor)
    if (run := _run_of(thing)) is not None:
        _check(Action.MANAGE_RUNS, actor, run)
    elif isinstance(thing, ArtifactVersion):
        step = actor.step_in_use
        if step is not None and not (step.owner and _may_note_file(step.owner, thing)):
            raise NotAllowed(
                gettext(
                    "A step may note something about what its run has made, and about whatever else its starter and "
                    "the owner of %(origin)s may: this file is none of these."
                )
                % {"origin": step.origin}
            )
        if not _may_note_file(actor, thing):
            raise NotAllowed(
                gettext("Only whose file this is and owners of its project may note something about it.")
            )


def _may_note_file(actor: User, version: ArtifactVersion) -> bool:
    return actor.is_active and (
        version.user_id == actor.pk or project_role(actor, version.project) >= Role.OWNER
    )


def _run_of(thing: Noteworthy) -> PipelineRun | None:
    """The run that it belongs to; of an uploaded file there is none."""
    if isinstance(thing, ArtifactVersion):
        return thing.producer_step.run if thing.producer_step else None
    return thing.run if isinstance(thing, StepRun) else thing


def check_may_manage(actor: User, run: PipelineRun) -> None:
    """Whether its tags may be changed, and whether it may be deleted."""
    check_may_change(actor)
    _check(Action.MANAGE_RUNS, actor, run)


def _check(action: Action, actor: User, run: PipelineRun) -> None:
    if (step := actor.step_in_use) is not None and not _is_for_step(action, step, run):
        raise NotAllowed(
            gettext(
                "A step may stop and annotate its own run and those that were started from one another with it, and "
                'whatever else its starter and the owner of %(origin)s may: "%(name)s" is none of these.'
            )
            % {"origin": step.origin, "name": run.name}
        )
    if not _lets(action, role_over(actor, run), actor, run):
        raise NotAllowed(
            gettext(
                'Only who started the run "%(name)s" and editors of its template may stop, change or delete it.'
            )
            % {"name": run.name}
        )


def _is_for_step(action: Action, step: StepInUse, run: PipelineRun) -> bool:
    if step.place.root_id in {run.pk, run.root_id}:
        return True
    owner = step.owner
    return owner is not None and owner.is_active and _lets(action, role_over(owner, run), owner, run)


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
