"""Who may do what with what can be run. Every verb asks here."""

from django.utils.translation import gettext

from templates_app.models import Pipeline, Preset, RunTemplate
from zenweb.accounts.models import User
from zenweb.accounts.permissions import check_may_change, check_may_run, may_change
from zenweb.exceptions import NotAllowed, ValidationFailed


def check_can_run(actor: User, template: RunTemplate) -> None:
    """Everybody who is signed in may run a template that is enabled, unless with a key that may only read."""
    check_may_run(actor)
    if not template.is_enabled:
        raise ValidationFailed(
            gettext('The template "%(name)s" is switched off. Ask its owner to enable it.')
            % {"name": template.name}
        )


def can_edit(actor: User, template: RunTemplate) -> bool:
    return may_change(actor) and (actor.is_superuser or template.user_id == actor.pk)


def check_can_edit(actor: User, template: RunTemplate) -> None:
    """Its owner and administrators may change or delete a template."""
    check_may_change(actor)
    if not can_edit(actor, template):
        raise NotAllowed(
            gettext('Only the owner of the template "%(name)s" or an administrator may change it.')
            % {"name": template.name}
        )


def check_can_edit_pipeline(actor: User, pipeline: Pipeline) -> None:
    """Whoever made it first and administrators may change or delete a pipeline."""
    check_may_change(actor)
    if not (actor.is_superuser or pipeline.user_id == actor.pk):
        raise NotAllowed(
            gettext('Only the owner of the pipeline "%(name)s" or an administrator may change it.')
            % {"name": pipeline.name}
        )


def can_edit_preset(actor: User, preset: Preset) -> bool:
    """Its owner and administrators; and a shared one is its template's owner's to tidy up."""
    is_owner = may_change(actor) and (actor.is_superuser or preset.user_id == actor.pk)
    return is_owner or (preset.is_shared and can_edit(actor, preset.template))


def check_can_edit_preset(actor: User, preset: Preset) -> None:
    check_may_change(actor)
    if not can_edit_preset(actor, preset):
        raise NotAllowed(
            gettext(
                'Only the owner of the preset "%(name)s", the owner of its template or an '
                "administrator may change it. Save its values under a name of your own instead."
            )
            % {"name": preset.name}
        )
