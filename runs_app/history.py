"""Tidying up what was run: tags on runs, and runs that nobody needs any more."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext

from runs_app.models import PipelineRun
from runs_app.permissions import check_may_manage
from templates_app.names import changed_tags, check_tags
from zenweb.accounts.audit import record_audit
from zenweb.accounts.models import User
from zenweb.enums import AuditVerb
from zenweb.exceptions import NotAllowed


@transaction.atomic
def tag_run(
    *, actor: User, run: PipelineRun, add_tags: Sequence[str] = (), remove_tags: Sequence[str] = ()
) -> PipelineRun:
    """Add tags and take some away; nothing else of a run is anybody's to change."""
    check_may_manage(actor, run)
    check_tags(add_tags, "/add_tags")
    locked = PipelineRun.objects.select_for_update(of=("self",), no_key=True).only("tags").get(pk=run.pk)
    run.tags = changed_tags(locked.tags, add_tags, remove_tags)
    run.save(update_fields=["tags", "updated"])
    record_audit(
        actor=actor,
        verb=AuditVerb.CHANGE,
        thing=run,
        before={"tags": locked.tags},
        after={"tags": run.tags},
    )
    return run


@transaction.atomic
def delete_run(*, actor: User, run: PipelineRun) -> None:
    """Remove a run that has ended, with its steps and its ledger; the artifacts that it made stay."""
    check_may_manage(actor, run)
    locked = PipelineRun.objects.select_for_update(of=("self",)).only("status").get(pk=run.pk)
    if not locked.is_finished:
        raise NotAllowed(
            gettext('The run "%(name)s" has not ended: stop it first, then delete it.') % {"name": run.name}
        )
    record_audit(
        actor=actor, verb=AuditVerb.DELETE, thing=run, before={"status": run.status, "tags": run.tags}
    )
    run.delete()
