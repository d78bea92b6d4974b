"""Runs, steps, artifacts, schedules and workers in the admin: to look at, and to stop."""

from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from runs_app.models import (
    ArtifactVersion,
    Environment,
    PipelineRun,
    Preparation,
    RunEvent,
    Schedule,
    ScheduleFiring,
    StepAttempt,
    StepRun,
    Worker,
)
from runs_app.permissions import may_see_values
from runs_app.schedules import update_schedule
from runs_app.services import stop_run
from zenweb.accounts.models import User
from zenweb.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from zenweb.accounts.visible_admin import VisibleAdmin, VisibleFilter
from zenweb.exceptions import ZenWebError


class StepRunInline(ReadOnlyInline):
    model = StepRun
    verbose_name_plural = "first steps"
    fields = ("index", "name", "status", "status_reason", "attempt", "start_time", "end_time")
    readonly_fields = fields


class RunEventInline(ReadOnlyInline):
    model = RunEvent
    verbose_name_plural = "first events"
    fields = ("created", "sentence")
    readonly_fields = fields
    show_change_link = False


class ChildRunInline(ReadOnlyInline):
    """The runs that a step has started."""

    model = PipelineRun
    fk_name = "parent_step"
    verbose_name = "run that it has started"
    verbose_name_plural = "runs that it has started"
    fields = ("name", "status", "created", "end_time")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[PipelineRun]:
        seen: QuerySet[PipelineRun] = PipelineRun.objects.visible_to(cast(User, request.user))
        return seen.order_by("created")


@admin.register(PipelineRun)
class PipelineRunAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("name", "status", "pipeline", "template", "user", "channel", "created", "end_time")
    list_filter = ("status", "channel", "stack", ("pipeline", VisibleFilter), ("template", VisibleFilter))
    search_fields = ("name", "id", "pipeline__name", "template__name")
    list_select_related = ("pipeline", "template", "user")
    date_hierarchy = "created"
    show_full_result_count = False
    inlines = (StepRunInline, RunEventInline)
    actions = ("stop",)

    def get_exclude(self, request: HttpRequest, obj: PipelineRun | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        is_shown = may_see_values(cast(User, request.user), obj)
        values = () if is_shown else ("configuration", "resolved_configuration")
        return (*values, *self._hidden_relatives(request, obj))

    def _hidden_relatives(self, request: HttpRequest, run: PipelineRun) -> list[str]:
        """The fields that name a run which it comes from and which may not be seen."""
        relatives = {"original": run.original_id, "root": run.root_id}
        relatives["parent_step"] = run.parent_step.run_id if run.parent_step else None
        seen = PipelineRun.objects.visible_to(cast(User, request.user)).filter(pk__in=relatives.values())
        visible = {None, *seen.values_list("pk", flat=True)}
        return [name for name, pk in relatives.items() if pk not in visible]

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs_app.change_pipelinerun")

    @admin.action(description="Stop the selected runs", permissions=["stop"])
    def stop(self, request: HttpRequest, queryset: QuerySet[PipelineRun]) -> None:
        runs = queryset.unfinished()
        for run in runs:
            try:
                stop_run(actor=cast(User, request.user), run=run)
            except ZenWebError as error:
                self.message_user(request, f"{run.name}: {error}", messages.ERROR)
        self.message_user(request, f"Asked {len(runs)} run(s) to stop.")


class StepAttemptInline(ReadOnlyInline):
    model = StepAttempt
    fields = ("number", "status", "worker", "reason", "start_time", "end_time")
    readonly_fields = fields


@admin.register(StepRun)
class StepRunAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("name", "run", "status", "attempt", "queue", "start_time", "end_time")
    list_filter = ("status", "queue")
    search_fields = ("name", "run__name", "id")
    list_select_related = ("run",)
    show_full_result_count = False
    inlines = (StepAttemptInline, ChildRunInline)

    def get_exclude(self, request: HttpRequest, obj: StepRun | None = None) -> tuple[str, ...]:
        is_shown = obj is None or may_see_values(cast(User, request.user), obj.run)
        return () if is_shown else ("parameters",)


@admin.register(ArtifactVersion)
class ArtifactVersionAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("artifact", "version", "type", "data_type", "created")
    list_filter = ("type",)
    search_fields = ("artifact__name", "id")
    list_select_related = ("artifact",)
    show_full_result_count = False

    def get_exclude(self, request: HttpRequest, obj: ArtifactVersion | None = None) -> tuple[str, ...]:
        seen = StepRun.objects.visible_to(cast(User, request.user))
        step = obj.producer_step_id if obj else None
        return () if step is None or seen.filter(pk=step).exists() else ("producer_step",)


class ScheduleFiringInline(ReadOnlyInline):
    model = ScheduleFiring
    fields = ("nominal_time", "created", "run", "refusal")
    readonly_fields = fields
    show_change_link = False
    verbose_name_plural = "newest firings"
    most = 50


@admin.register(Schedule)
class ScheduleAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("name", "is_paused", "next_time", "cron", "zone", "template", "user")
    list_filter = ("is_paused", "zone", ("template", VisibleFilter))
    search_fields = ("name", "id", "template__name", "user__username")
    list_select_related = ("template", "user")
    fields = (
        *("id", "name", "project", "user", "template", "cron", "zone", "configuration"),
        *("is_paused", "next_time", "created", "updated"),
    )
    inlines = (ScheduleFiringInline,)
    actions = ("pause", "resume")

    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        seen = Schedule.objects.with_values_shown_to(cast(User, request.user)).filter(shows_values=True)
        is_shown = obj is None or seen.filter(pk=obj.pk).exists()
        return [name for name in self.fields if is_shown or name != "configuration"]

    def has_update_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs_app.change_schedule")

    @admin.action(description="Pause the selected schedules", permissions=["update"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        self._update(request, queryset, is_paused=True)

    @admin.action(description="Resume the selected schedules", permissions=["update"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        self._update(request, queryset, is_paused=False)

    def _update(self, request: HttpRequest, queryset: QuerySet[Schedule], is_paused: bool) -> None:
        done = 0
        for schedule in queryset:
            try:
                update_schedule(actor=cast(User, request.user), schedule=schedule, is_paused=is_paused)
                done += 1
            except ZenWebError as error:
                self.message_user(request, f"{schedule.name}: {error}", messages.ERROR)
        self.message_user(request, f"{done} schedule(s) {'paused' if is_paused else 'resumed'}.")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "hostname",
        "pid",
        "queues",
        "slots",
        "is_alive",
        "beat",
        "last_seen",
        "ended_reason",
    )
    list_filter = ("is_alive",)
    search_fields = ("name", "hostname")


@admin.register(Environment)
class EnvironmentAdmin(ReadOnlyAdmin):
    list_display = (
        "hash",
        "status",
        "requirements",
        "python_version",
        "platform",
        "made_at",
        "seconds",
        "used_at",
    )
    list_filter = ("status",)
    search_fields = ("hash", "requirements")


@admin.register(Preparation)
class PreparationAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "status", "queue", "asked_at", "ended_at", "attempt", "failure")
    list_filter = ("status", "queue")
    list_select_related = ("worker",)
    fields = (
        *("deployment", "step", "parameter", "arguments", "queue", "status", "worker", "attempt"),
        *("worker_deaths", "asked_at", "ended_at", "fresh_until", "failure", "log_tail"),
    )
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preparation]:
        """For administrators: with what a function was asked, and what it printed, is nobody else's."""
        found = super().get_queryset(request).defer("answer")  # up to a megabyte each
        return found if request.user.is_superuser else found.none()
