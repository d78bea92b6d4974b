"""How what was run is read."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now, RowNumber
from django.utils.functional import cached_property

from templates_app.querysets import (
    VisibleQuerySet,
    documents_of,
    named_projects_of,
    projects_of,
    run_templates,
    templates_seen_by,
)
from zenweb.accounts.actions import Action
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER
from zenweb.enums import HELD_STATUSES, OPEN_STATUSES, ExecutionStatus, PreparationStatus, Role
from zenweb.prepared import insert

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from zenweb.accounts.models import User

# Clocks of machines that work together differ by less. What was decided later than that has not been decided yet: a
# clock was set back, and a delay counted by it says nothing any more.
MOST_SKEW = timedelta(minutes=1)
# How often whoever waits for a question says so.
TOLD_EVERY = timedelta(seconds=3)
MANY = 20_000  # runs
ENDED_PREPARATIONS = (PreparationStatus.ANSWERED, PreparationStatus.FAILED)


# The runs that a run comes from: how it is told whether they may be seen, and the way there.
RELATIVES = {"shows_original": "original", "shows_parent": "parent_step__run", "shows_root": "root"}
# Where uploaded files lie in the artifact store, and what the names of their artifacts begin with.
UPLOADS = "uploads"
# What may be given beside a file where a parameter is one, by the names of classes.
TABLES = ("pandas.core.frame.DataFrame", "pandas.DataFrame")
BESIDE_FILES: dict[str, tuple[str, ...]] = {"path": (), "bytes": ("builtins.bytes",), "table": TABLES}
# What grows with the number of a run's steps, and is never wanted for many rows at once.
HEAVY = ("configuration", "resolved_configuration", "warnings", "tags", "metadata")


def heavy_of(relation: str) -> list[str]:
    """The heavy fields of the run at the end of a relation, to be deferred."""
    return [f"{relation}__{field}" for field in HEAVY]


def runs_beside_templates(user: "User", path: str = "") -> Q:
    """Of the runs that belong to no template (any more): one's own, and those of one's projects.

    `path` leads to the run, for what belongs to one.
    """

    def where(**conditions: Any) -> Q:
        return Q(**{f"{path}{name}": value for name, value in conditions.items()})

    viewed, owned = named_projects_of(user, Role.VIEWER, Role.OWNER)
    in_projects = where(is_restricted=False, project__in=viewed) | where(project__in=owned)
    return where(template=None) & (where(user=user) | in_projects)


def _shows_values(user: "User", path: str = "") -> models.Expression:
    """Values are shown to who gave them, and to whom their role shows those of others."""
    if user.is_superuser:
        return models.Value(True)
    editors = run_templates().with_role(user, Action.SEE_VALUES.least)
    edited, owned = named_projects_of(user, Action.SEE_VALUES.least, Role.OWNER)
    shown = (
        Q(**{f"{path}user": user})
        | Q(**{f"{path}template__in": editors.values("pk")})
        | Q(**{f"{path}template": None, f"{path}is_restricted": False, f"{path}project__in": edited})
        | Q(**{f"{path}project__in": owned})
    )
    return models.Case(models.When(shown, then=True), default=False, output_field=models.BooleanField())


class PipelineRunQuerySet(VisibleQuerySet):
    def visible_in_lists_to(self, user: "User", counts: "RunCountQuerySet") -> Self:
        """As `visible_to`. `counts`: of all that the user may see.

        Many are looked through in their order, for the first ones are soon found. SQLite would gather all by what makes
        them visible, and sort them, which is as well for few.
        """
        if self.sees_all(user):
            return self.visible_to(user)
        if counts.total <= MANY:
            return self.visible_to(user)
        # Where there are none beside templates, the index alone tells what is seen.
        seen = self.seen_by(user) if counts.beside else self.of_templates(templates_seen_by(user), user)
        return self.filter(
            models.Case(models.When(seen, then=True), default=False, output_field=models.BooleanField())
        )

    def beside_templates(self, user: "User") -> Q:
        return runs_beside_templates(user)

    def with_values_shown_to(self, user: "User") -> Self:
        """With `shows_values`: whether the user may see what the run was given, as `may_see_values` says of one."""
        return self.annotate(shows_values=_shows_values(user))

    def showing_values_to(self, user: "User") -> Self:
        return self.with_values_shown_to(user).filter(shows_values=True)

    def with_relatives_shown_to(self, user: "User | AnonymousUser") -> Self:
        """With whether the user may see the run that each repairs, and those that it was started from."""
        seen = self.model._default_manager.visible_to(user)
        return self.annotate(
            **{name: Exists(seen.filter(pk=OuterRef(path))) for name, path in RELATIVES.items()}
        )

    def having_relatives_seen_by(self, user: "User", paths: Iterable[str]) -> Self:
        """Without those of which the user may not see who is at the end of one of these paths."""
        seen = self.model._default_manager.visible_to(user).values("pk")
        return reduce(
            lambda runs, path: runs.filter(Q(**{path: None}) | Q(**{f"{path}__in": seen})), paths, self
        )

    def unfinished(self) -> Self:
        return self.filter(status__in=OPEN_STATUSES)

    def holding_a_place(self) -> Self:
        """Open runs that count for their template's limit."""
        return self.unfinished().filter(queued_at__isnull=True)

    def queued(self) -> Self:
        """Runs that wait until their template may run one more, in the order in which they may."""
        return (
            self.unfinished()
            .filter(queued_at__isnull=False, stop_requested_at__isnull=True)
            .order_by("-priority", "index")
        )

    def with_time_limit(self) -> Self:
        """Runs that have started and may not take as long as they like; few have a limit at all.

        What comes from the cache is no start: no step of the run may have found a worker since.
        """
        limited = self.unfinished().filter(timeout__isnull=False, end_time__isnull=True)
        steps = self.model._meta.get_field("steps").related_model
        begun = steps.objects.filter(run=OuterRef("pk"), attempt__gt=0)
        return limited.filter(Exists(begun), start_time__isnull=False, stop_requested_at__isnull=True)

    def called_locally(self) -> Self:
        """Unfinished runs of the local stack, each executed by the process that called it."""
        return self.filter(caller_beat__isnull=False)

    def search(self, text: str) -> Self:
        return self.filter(Q(name__icontains=text) | Q(pipeline__name__icontains=text))

    def newest_first(self) -> Self:
        """In an order in which no two are alike, so that no page of a list repeats what another shows."""
        return self.order_by("-created", "-pk")

    def for_list(self) -> Self:
        """With what an answer tells of each of many runs; a row of another table costs as much as the run."""
        return self.select_related("user", "pipeline", "stack", "deployment").defer(
            *documents_of("deployment")
        )

    def with_parent(self) -> Self:
        """With the step that started it."""
        heavy = ("parameters", "settings", "downstream", "exception", "metadata")
        return self.select_related("parent_step").defer(*(f"parent_step__{field}" for field in heavy))

    def below(self, run_ids: Iterable[Any]) -> Self:
        """Those that steps of these runs have started, in that order."""
        return self.filter(parent_step__run__in=list(run_ids)).order_by("created", "pk")

    def for_tree(self) -> Self:
        """With what a tree says of each: what it is, how it is, and which step has started it."""
        return self.select_related("parent_step", "pipeline", "template").only(
            *(
                "index",
                "status",
                "created",
                "start_time",
                "end_time",
                "parent_step__name",
                "parent_step__run",
            ),
            *("pipeline__name", "template__name"),
        )

    def with_relations(self) -> Self:
        """All that a list shows, in one query; the configurations stay where they are."""
        return self.select_related("project", "user", "pipeline", "stack", "template").defer(
            "configuration", "resolved_configuration", "metadata"
        )

    def for_page(self) -> Self:
        """One run with its configuration and all that its page says about it."""
        return (
            self.with_parent()
            .select_related(
                *("user", "project", "pipeline", "stack", "template__project", "template_version"),
                "deployment",
            )
            .defer(
                "deployment__spec",
                "deployment__config_schema",
                "deployment__config_template",
                "template_version__curation",
            )
        )


class RunCountQuerySet(VisibleQuerySet):
    """Narrowed as the runs that are counted, but for their words."""

    @property
    def total(self) -> int:
        """How many runs there are; asked once of each queryset, as its rows are."""
        return self._totals["total"]

    @property
    def beside(self) -> int:
        """How many of them belong to no template."""
        return self._totals["beside"]

    @cached_property
    def _totals(self) -> dict[str, int]:
        beside = models.Sum("count", filter=Q(template=None), default=0)
        return self.order_by().aggregate(total=models.Sum("count", default=0), beside=beside)

    def beside_templates(self, user: "User") -> Q:
        return runs_beside_templates(user)


class StepRunQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        return Q(run__template__in=templates)

    def beside_templates(self, user: "User") -> Q:
        return runs_beside_templates(user, "run__")

    def with_values_shown_to(self, user: "User") -> Self:
        return self.annotate(shows_values=_shows_values(user, "run__"))

    def unfinished(self) -> Self:
        return self.filter(status__in=OPEN_STATUSES)

    def without_elements(self) -> Self:
        """As the pipeline has them: a mapped step, but not each of its runs."""
        return self.filter(mapped_index=None)

    def interesting_first(self, most: int) -> Self:
        """Of each mapped step so many of its runs: what failed, what is under way, and then in their order."""
        order = [
            ExecutionStatus.FAILED,
            ExecutionStatus.RETRYING,
            ExecutionStatus.RUNNING,
            ExecutionStatus.STOPPING,
            ExecutionStatus.INITIALIZING,
        ]
        interest = models.Case(
            *(models.When(status=status, then=place) for place, status in enumerate(order)),
            default=len(order),
        )
        row = models.Window(
            RowNumber(), partition_by="mapped_index", order_by=[interest.asc(), models.F("element").asc()]
        )
        return self.annotate(row=row).filter(row__lte=most).order_by("mapped_index", "row")

    def ready(self, now: datetime) -> Self:
        """Waiting for a worker, in the order in which workers take them (see statements.CLAIM)."""
        due = Q(delayed_until=None) | Q(delayed_until__lte=now)
        was_set_back = Q(ready_at__gt=now + MOST_SKEW)
        ready = self.filter(due | was_set_back, ready_at__isnull=False)
        return ready.order_by("-priority", "ready_at", "index")

    def running(self) -> Self:
        """Held by a worker and not waiting: what takes a place of its queue (the same as in the claim's statement)."""
        return self.filter(
            worker__isnull=False,
            waiting_since__isnull=True,
            status__in=HELD_STATUSES,
        )

    def with_what_an_attempt_needs(self) -> Self:
        """The run and its stack without the run's configuration, which grows with the number of its steps."""
        return self.select_related("run__stack").defer(*heavy_of("run"))

    def held_in(self, step_id: object, attempt: int) -> Self:
        """The step, as long as its attempt with this number holds it: that has not ended, and none has followed."""
        return self.filter(pk=step_id, attempt=attempt, status__in=HELD_STATUSES)

    def held_by(self, worker_id: object) -> Self:
        return self.filter(worker_id=worker_id, status__in=HELD_STATUSES)

    def for_page(self) -> Self:
        """Steps with their attempts and outputs, in three queries however many there are."""
        outputs = (
            self.model._meta.get_field("outputs")
            .related_model.objects.select_related(
                "artifact_version__artifact", "artifact_version__producer_step__run__stack"
            )
            .defer(*heavy_of("artifact_version__producer_step__run"))
        )
        return self.select_related("worker").prefetch_related(
            "attempts__worker", models.Prefetch("outputs", queryset=outputs)
        )


class ArtifactQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        """Those with a version among what their runs gave out."""
        versions = self._versions()
        return Q(pk__in=versions.filter(versions.of_templates(templates, user)).values("artifact"))

    def beside_templates(self, user: "User") -> Q:
        versions = self._versions()
        return Q(pk__in=versions.filter(versions.beside_templates(user)).values("artifact"))

    def with_latest_version(self, user: "User | AnonymousUser") -> Self:
        """With the newest that the user may see."""
        visible = self._versions().visible_to(user).filter(artifact=OuterRef("pk"))
        latest = visible.order_by("-version")
        return self.annotate(
            latest_version_id=models.Subquery(latest.values("pk")[:1]),
            latest_version_number=models.Subquery(latest.values("version")[:1]),
        )

    def _versions(self) -> Any:
        return self.model._meta.get_field("versions").related_model.objects.all()


class ArtifactVersionQuerySet(VisibleQuerySet):
    def of_templates(self, templates: models.QuerySet[Any], user: "User") -> Q:
        """What their runs gave out, the files of their shared presets, and what the account itself has uploaded."""
        own_files = Q(user=user, artifact__name__startswith=f"{UPLOADS}::")
        presets = self.model._meta.get_field("presets").related_model.objects
        in_presets = self.model.presets.through.objects.filter(
            preset__in=presets.filter(template__in=templates, is_shared=True)
        )
        given_out = self._given_out(Q(step__run__template__in=templates))
        return own_files | Q(pk__in=in_presets.values("artifactversion")) | given_out

    def beside_templates(self, user: "User") -> Q:
        """What runs beside templates gave out; where one edits, all files; and what no run gave out (any more)."""
        is_orphan = ~Exists(self._outputs().filter(artifact_version=OuterRef("pk")))
        is_file = Q(artifact__name__startswith=f"{UPLOADS}::")
        return (
            self._given_out(runs_beside_templates(user, "step__run__"))
            | (is_file & Q(project__in=projects_of(user, Role.OWNER)))
            | (~is_file & Q(is_orphan) & (Q(user=user) | Q(project__in=projects_of(user, Role.OWNER))))
        )

    def _given_out(self, by_runs: Q) -> Q:
        return Q(Exists(self._outputs().filter(by_runs, artifact_version=OuterRef("pk"))))

    def _outputs(self) -> Any:
        return self.model._meta.get_field("outputs").related_model.objects.all()

    def with_relations(self) -> Self:
        related = self.select_related("artifact", "project", "user", "producer_step__run__stack")
        return related.defer(*heavy_of("producer_step__run"))

    def with_producer_shown_to(self, user: "User | AnonymousUser") -> Self:
        """With whether the user may see the run that made each: with an output from the cache, perhaps not that one."""
        steps = self.model._meta.get_field("producer_step").related_model.objects.visible_to(user)
        return self.annotate(shows_producer=Exists(steps.filter(pk=OuterRef("producer_step"))))

    def search(self, text: str) -> Self:
        """By a part of the name: an upload's is the name of its file."""
        return self.filter(artifact__name__icontains=text) if text else self

    def of_types(self, types: Iterable[str]) -> Self:
        """Of uploads, those whose names end in one of these (none: all); what steps made stays."""
        ends = [Q(artifact__name__iendswith=each.strip()) for each in types if each.strip()]
        if not ends:
            return self
        return self.filter(~Q(artifact__name__startswith=f"{UPLOADS}::") | reduce(or_, ends))

    def suiting(self, kind: str) -> Self:
        """Those that a parameter may be given which takes a file as a `path`, as `bytes` or as a `table`."""
        files = Q(materializer=PATH_MATERIALIZER)
        return self.filter(files | Q(data_type__in=BESIDE_FILES[kind]))


class ScheduleQuerySet(VisibleQuerySet):
    def beside_templates(self, user: "User") -> Q:
        """Those whose template was deleted: one's own, and those of one's projects."""
        return Q(template=None) & (Q(user=user) | Q(project__in=projects_of(user, Role.OWNER)))

    def with_values_shown_to(self, user: "User") -> Self:
        """With `shows_values`: whether the user may see with which values it runs."""
        if user.is_superuser:
            return self.annotate(shows_values=models.Value(True))
        editors = run_templates().with_role(user, Action.SEE_VALUES.least)
        shown = Q(user=user) | Q(template__in=editors.values("pk"))
        return self.annotate(
            shows_values=models.Case(
                models.When(shown, then=True), default=False, output_field=models.BooleanField()
            )
        )

    def due(self, now: datetime) -> Self:
        """To be seen to: their time has come, or a clock was set back, so that another time comes first now."""
        has_time = self.filter(is_paused=False, next_time__isnull=False)
        return has_time.filter(Q(next_time__lte=now) | Q(looked_ahead_at__gt=now + MOST_SKEW))

    def coming_first(self) -> Self:
        """What runs next comes first, what rests comes last."""
        return self.order_by(models.F("next_time").asc(nulls_last=True), "name")

    def with_relations(self) -> Self:
        """All that is shown of it, with how it fired last."""
        firings = self.model._meta.get_field("firings").related_model.objects.filter(schedule=OuterRef("pk"))
        latest = firings.order_by("-nominal_time")
        made, refused = latest.filter(run__isnull=False), latest.exclude(refusal="")
        return self.select_related("project", "user", "template__latest_version").annotate(
            last_fired=models.Subquery(latest.values("nominal_time")[:1]),
            last_run_id=models.Subquery(made.values("run_id")[:1], output_field=models.UUIDField()),
            last_run_status=models.Subquery(made.values("run__status")[:1]),
            last_refused=models.Subquery(refused.values("nominal_time")[:1]),
            last_refusal=models.Subquery(refused.values("refusal")[:1]),
        )


class WorkerQuerySet(models.QuerySet["Worker"]):  # type: ignore[name-defined]
    def alive(self) -> Self:
        return self.filter(is_alive=True)

    def seen_lately(self) -> Self:
        """Those that show that they live, by the database's clock. For telling people, not for burying anybody."""
        return self.alive().filter(updated__gt=Now() - settings.WORKER_LEASE)

    def serving(self, queues: Iterable[str]) -> Self:
        wanted = set(queues)
        serving = [worker.pk for worker in self.alive() if wanted & set(worker.queues)]
        return self.filter(pk__in=serving)


class PreparationQuerySet(models.QuerySet[Any]):
    def ended(self) -> Self:
        return self.filter(status__in=ENDED_PREPARATIONS)

    def fresh(self) -> Self:
        """Ended, and not to be asked again yet. One that ended in the future did so before a clock was set back."""
        return self.ended().filter(fresh_until__gt=Now(), ended_at__lt=Now() + MOST_SKEW)

    def stale(self) -> Self:
        """Ended, and no longer to be relied on."""
        return self.ended().exclude(fresh_until__gt=Now(), ended_at__lt=Now() + MOST_SKEW)

    def asked_lately(self) -> Self:
        """Waiting or being asked, and somebody has said that they wait for it."""
        return self.exclude(status__in=ENDED_PREPARATIONS).filter(updated__gt=Now() - TOLD_EVERY)

    def held_by(self, worker_id: object) -> Self:
        return self.filter(status=PreparationStatus.RUNNING, worker_id=worker_id)


class AwaitedQuerySet(models.QuerySet[Any]):
    """What runs wait for before their first step."""

    def to_settle(self) -> Self:
        """Not looked at although what was to be known is known, or although nobody is asked."""
        known = Q(preparation__status__in=ENDED_PREPARATIONS)
        return self.filter(known | Q(preparation=None), is_open=True)


class RunEventQuerySet(models.QuerySet[Any]):
    def note(self, run_id: uuid.UUID, sentence: str, step_id: uuid.UUID | None = None) -> None:
        """Add a line to a run's ledger, cut where there is no room for more."""
        insert(self.model(run_id=run_id, step_id=step_id, sentence=sentence[:2000]))
