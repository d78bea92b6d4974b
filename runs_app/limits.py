"""How many runs of a template may go on at once, and what becomes of one more.

A run that waits has `queued_at`; every other open run of its template holds one of its places. Whoever counts them
to give one away holds the template's row, so that two can never give away the same; recording and services do.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext, ngettext, override

from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from zenweb.enums import ConcurrencyPolicy

MOST_NAMED = 3


@dataclass(frozen=True)
class Limit:
    """What a template says about its runs."""

    template_id: uuid.UUID
    template_name: str
    most: int
    policy: ConcurrencyPolicy

    @property
    def words(self) -> str:
        words = ngettext(
            'the template "%(name)s" runs at most %(number)s at once',
            'the template "%(name)s" runs at most %(number)s at once',
            self.most,
        )
        return words % {"name": self.template_name, "number": self.most}

    @property
    def stored_words(self) -> str:
        """The same in the server's own language, whoever asks: many will read it."""
        with override(settings.LANGUAGE_CODE):
            return self.words

    def holders(self) -> Any:
        """The runs that hold a place, the oldest first."""
        return PipelineRun.objects.holding_a_place().filter(template_id=self.template_id).order_by("index")

    def free_places(self, beside: Collection[uuid.UUID] = ()) -> int:
        """Only true while the template's row is held. `beside`: runs that do not count, although they hold places."""
        return self.most - int(self.holders().exclude(pk__in=beside).count())

    def reason_for(self, run: PipelineRun) -> str:
        """Why the run does not start now, to be stored: what the template says, and which runs hold its places."""
        others = self.holders().exclude(pk=run.pk).values_list("name", flat=True)
        with override(settings.LANGUAGE_CODE):
            return self.reason_with(others[: MOST_NAMED + 1])

    def reason_with(self, holders: Sequence[str]) -> str:
        """The same for runs whose names are known, one more than are shown being enough."""
        return gettext("%(limit)s, already %(runs)s.") % {"limit": self.words, "runs": named(list(holders))}


def hold_limit(template_id: uuid.UUID) -> Limit | None:
    """The template's limit, with its row held until the transaction ends; None, and nothing held, without one."""
    held = _limits(RunTemplate.objects.filter(pk=template_id).select_for_update(no_key=True))
    return held[0] if held else None


def limit_of(template_id: uuid.UUID) -> Limit | None:
    """The template's limit, to look at."""
    return limits_of([template_id]).get(template_id)


def limits_of(template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Limit]:
    """The limits of those templates that have one, to look at."""
    return {limit.template_id: limit for limit in _limits(RunTemplate.objects.filter(pk__in=template_ids))}


def first_holders(template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[uuid.UUID, str]]:
    """By template, the names of the runs that hold its places: the oldest, enough to leave out one of them."""
    place = Window(RowNumber(), partition_by="template_id", order_by="index")
    holding = PipelineRun.objects.holding_a_place().filter(template_id__in=template_ids)
    found: dict[uuid.UUID, dict[uuid.UUID, str]] = {}
    first = holding.annotate(place=place).filter(place__lte=MOST_NAMED + 2).order_by("template_id", "place")
    for template_id, pk, name in first.values_list("template_id", "pk", "name"):
        found.setdefault(template_id, {})[pk] = name
    return found


def hold_limits_of(run_ids: list[uuid.UUID]) -> None:
    """Hold what the ends of these runs may ask for, in one order, so that nobody waits in a circle."""
    limited = RunTemplate.objects.filter(max_concurrent_runs__isnull=False)
    of_these = limited.filter(pk__in=PipelineRun.objects.filter(pk__in=run_ids).values("template_id"))
    list(of_these.select_for_update(no_key=True).order_by("pk").values_list("pk"))


def named(names: list[str]) -> str:
    """ "a", "a and b", "a, b, c and others"."""
    if len(names) > MOST_NAMED:
        return gettext("%(names)s and others") % {"names": ", ".join(names[:MOST_NAMED])}
    if len(names) < 2:
        return "".join(names)
    return gettext("%(names)s and %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}


def _limits(templates: Any) -> list[Limit]:
    limited = templates.filter(max_concurrent_runs__isnull=False)
    rows = limited.values_list("pk", "name", "max_concurrent_runs", "concurrency_policy")
    return [Limit(pk, name, most, ConcurrencyPolicy(policy)) for pk, name, most, policy in rows]
