"""The audit: who did what, with which thing, from where, by which key, and what it was before and after.

Every verb calls `record_audit` within its own transaction: what was not done is not told, and what was is.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.utils import timezone

from zenweb.accounts.models import NAME_LIMIT, AuditEvent, User
from zenweb.accounts.origins import current_origin
from zenweb.enums import AuditChannel, AuditVerb
from zenweb.prepared import insert

Facts = Mapping[str, Any]
LONGEST_FACTS = 20_000  # characters of JSON, of what a thing was or became
LONGEST_FACT = 1_000  # of one value, where all together are longer
MOST_FORGOTTEN = 5_000  # at once
# What lets people do something and is deleted by the database together with what it belongs to.
TAKEN_ALONG = {"role_grants": ("user", "group"), "api_keys": ("user",)}


def record_audit(
    *,
    actor: User | None,
    verb: AuditVerb,
    thing: Model | type[Model],
    before: Facts | None = None,
    after: Facts | None = None,
    channel: str = "",
) -> None:
    """Tell what was done. With `before` and `after` only what differs is told, and nothing where nothing does.

    `thing` is a model where there is no such row. Secrets are left out or hidden by who calls it. `actor` None: the
    server itself, or nobody who is known. `channel`: where the verb knows better than the request, as a schedule does.
    """
    if before is not None and after is not None:
        changed = [name for name in after if name not in before or before[name] != after[name]]
        if not changed:
            return
        before, after = ({name: facts.get(name) for name in changed} for facts in (before, after))
    origin = current_origin()
    if not channel and actor is not None and actor.step_in_use is not None:
        channel = AuditChannel.PIPELINE
    key = actor.api_key_in_use if actor is not None else None
    noun = _noun(thing)
    insert(
        AuditEvent(
            verb=verb,
            user_id=actor.pk if actor is not None else None,
            user_name=actor.get_username() if actor is not None else "",
            api_key_id=key.pk if key is not None else None,
            api_key_name=key.name if key is not None else "",
            channel=channel or origin.channel,
            address=origin.address,
            noun=noun,
            **_names_of(thing, noun),
            before=_bounded(before),
            after=_bounded(after),
        )
    )


def record_deletion(*, actor: User | None, thing: Model) -> None:
    """Tell that a thing is about to be deleted, and of each role and key that goes with it: nobody else would."""
    for name, relations in TAKEN_ALONG.items():
        if hasattr(thing, name):
            for each in getattr(thing, name).select_related(*relations):
                record_audit(actor=actor, verb=AuditVerb.DELETE, thing=each, before=facts_of(each))
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=thing, before=facts_of(thing))


def facts_of(thing: Model) -> dict[str, Any]:
    """What the audit tells of a thing: the fields that it names in `audited`, else its name."""
    return {name: _plain(getattr(thing, name)) for name in getattr(thing, "audited", ("name",))}


def forget_old_events() -> int:
    """Remove some of the events that are older than the audit is kept for, oldest first; how many that were."""
    if settings.KEEP_AUDIT is None:
        return 0
    old = AuditEvent.objects.before(timezone.now() - settings.KEEP_AUDIT).order_by("created")
    return AuditEvent.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:MOST_FORGOTTEN])).forget()


def _names_of(thing: Model | type[Model], noun: str) -> dict[str, Any]:
    if isinstance(thing, type):
        return {}
    return {
        "thing_id": str(thing.pk),
        "thing_name": str(getattr(thing, "name", None) or thing)[:NAME_LIMIT],
        "template_id": thing.pk if noun == "run_template" else getattr(thing, "template_id", None),
        "project_id": getattr(thing, "project_id", None),
    }


def _noun(thing: Model | type[Model]) -> str:
    """As the wire spells it: `run_template`."""
    if isinstance(thing, User) and thing.is_service_account:
        return "service_account"
    return str(thing._meta.verbose_name_raw).replace(" ", "_")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float | list | dict):
        return value
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _bounded(facts: Facts | None) -> Facts | None:
    """The audit tells what changed, it is no second store for large values."""
    if facts is None or len(json.dumps(facts)) <= LONGEST_FACTS:
        return facts
    return {name: _shortened(value) for name, value in list(facts.items())[:100]}


def _shortened(value: Any) -> Any:
    length = len(json.dumps(value))
    return value if length <= LONGEST_FACT else f"({length:,} characters of JSON)"
