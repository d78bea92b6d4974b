"""Projects, pipelines, stacks, deployments and templates in the admin."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from templates_app.grants_admin import GrantingAdmin, RoleGrantInline, may_grant
from templates_app.models import (
    CodeArchive,
    Pipeline,
    PipelineDeployment,
    Preset,
    RunTemplate,
    RunTemplateVersion,
    Stack,
)
from templates_app.names import check_name
from templates_app.permissions import Powers, can_edit_preset, check_can_edit_pipeline, role_on
from templates_app.services import check_new_name, delete_run_template, update_run_template
from zenweb.accounts import projects
from zenweb.accounts.actions import Action
from zenweb.accounts.audited_admin import AuditedAdmin
from zenweb.accounts.models import Project, User
from zenweb.accounts.permissions import may_in_project
from zenweb.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from zenweb.accounts.visible_admin import VisibleAdmin, VisibleFilter
from zenweb.enums import Role
from zenweb.exceptions import EntityExists, NotAllowed, ValidationFailed, ZenWebError


class NamedForm(forms.ModelForm):
    """Takes the names that the services take."""

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            self.check(name)
        except ValidationFailed as error:
            raise forms.ValidationError([entry.message for entry in error.errors]) from error
        except EntityExists as error:
            raise forms.ValidationError(str(error)) from error
        return name

    def check(self, name: str) -> None:
        check_name(name)


class RunTemplateForm(NamedForm):
    def check(self, name: str) -> None:
        check_new_name(self.instance, name)


class ProjectForm(NamedForm):
    def check(self, name: str) -> None:
        projects.check_new_name(name)


@admin.register(Project)
class ProjectAdmin(VisibleAdmin, GrantingAdmin):
    form = ProjectForm
    list_display = ("name", "display_name", "default_role", "created")
    search_fields = ("name", "display_name")
    fields = ("name", "display_name", "default_role")
    inlines = (RoleGrantInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        may = obj is None or may_in_project(_actor(request), Action.MANAGE_PROJECT, obj)
        return super().has_change_permission(request, obj) and may

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return request.user.is_superuser and (obj is None or obj.name != Project.DEFAULT)

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> tuple[str, ...]:
        """The name stays: clients have it in their settings."""
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Project, form: ProjectForm, change: bool) -> None:
        values = {"display_name": obj.display_name, "default_role": Role(obj.default_role)}
        if change:
            projects.update_project(actor=_actor(request), project=obj, **values)
        else:
            made = projects.create_project(actor=_actor(request), name=obj.name, **values)
            obj.__dict__.update(made.__dict__)


@admin.register(Pipeline)
class PipelineAdmin(VisibleAdmin, AuditedAdmin):
    list_display = ("name", "project", "user", "run_count", "created")
    list_filter = (("project", VisibleFilter),)
    search_fields = ("name", "description")
    readonly_fields = ("id", "name", "project", "user", "run_count", "created", "updated")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Pipeline | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _may_edit(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Pipeline | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _may_edit(request, obj))


@admin.register(Stack)
class StackAdmin(VisibleAdmin, AuditedAdmin):
    form = NamedForm
    list_display = ("name", "orchestrator", "queue", "artifact_store_uri", "created")
    list_filter = ("orchestrator",)
    search_fields = ("name", "queue")
    readonly_fields = ("id", "created", "updated")


@admin.register(CodeArchive)
class CodeArchiveAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("sha256", "size", "created")
    search_fields = ("sha256",)
    fields = ("id", "sha256", "size", "created")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CodeArchive]:
        return super().get_queryset(request).defer("content")


@admin.register(PipelineDeployment)
class PipelineDeploymentAdmin(VisibleAdmin, ReadOnlyAdmin):
    list_display = ("id", "pipeline", "stack", "user", "python_version", "client_version", "created")
    list_filter = ("stack", "python_version", ("pipeline", VisibleFilter))
    search_fields = ("id", "pipeline__name", "fingerprint")
    list_select_related = ("pipeline", "stack", "user")
    date_hierarchy = "created"


class RunTemplateVersionInline(ReadOnlyInline):
    model = RunTemplateVersion
    fields = ("number", "deployment", "user", "created")
    readonly_fields = fields


@admin.register(RunTemplate)
class RunTemplateAdmin(VisibleAdmin, GrantingAdmin):
    form = RunTemplateForm
    list_display = (
        *("name", "project", "user", "is_enabled", "is_hidden", "is_restricted", "latest_version", "updated"),
    )
    list_filter = ("is_enabled", "is_hidden", "is_restricted", ("project", VisibleFilter))
    search_fields = ("name", "description", "id")
    list_select_related = ("project", "user", "latest_version")
    readonly_fields = ("id", "project", "user", "latest_version", "usage", "created", "updated")
    inlines = (RoleGrantInline, RunTemplateVersionInline)
    actions = ("enable", "disable")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RunTemplate | None = None) -> bool:
        may = obj is None or Powers.over(_actor(request), obj).can_edit
        return super().has_change_permission(request, obj) and may

    def has_delete_permission(self, request: HttpRequest, obj: RunTemplate | None = None) -> bool:
        may = obj is None or Powers.over(_actor(request), obj).can_delete
        return super().has_delete_permission(request, obj) and may

    def get_readonly_fields(self, request: HttpRequest, obj: RunTemplate | None = None) -> tuple[str, ...]:
        is_owners = obj is not None and may_grant(request, obj)
        return self.readonly_fields if is_owners else (*self.readonly_fields, "is_restricted")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        """Who may delete a template may delete what belongs to it, and is not told what others keep of it."""
        _, counts, _, protected = super().get_deleted_objects(objs, request)
        may = all(self.has_delete_permission(request, each) for each in objs)
        lacking = set() if may else {str(RunTemplate._meta.verbose_name)}
        return [str(each) for each in objs], counts, lacking, protected

    def delete_model(self, request: HttpRequest, obj: RunTemplate) -> None:
        delete_run_template(actor=_actor(request), template=obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RunTemplate]) -> None:
        for template in queryset:
            delete_run_template(actor=_actor(request), template=template)

    @admin.display(description="usage")
    def usage(self, template: RunTemplate) -> str:
        address = reverse("run-template-usage", args=[template.pk])
        return format_html('<a href="{}">Runs, success, times and users</a>', address)

    @admin.action(description="Enable the selected templates", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[RunTemplate]) -> None:
        done = self._enable(request, queryset, True)
        self.message_user(request, f"{done} template(s) may be run.")

    @admin.action(description="Disable the selected templates", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[RunTemplate]) -> None:
        done = self._enable(request, queryset, False)
        self.message_user(request, f"{done} template(s) may no longer be run.")

    def _enable(self, request: HttpRequest, templates: QuerySet[RunTemplate], is_enabled: bool) -> int:
        done = 0
        for template in templates.exclude(is_enabled=is_enabled):
            try:
                update_run_template(actor=_actor(request), template=template, is_enabled=is_enabled)
                done += 1
            except ZenWebError as error:
                self.message_user(request, f"{template.name}: {error}", messages.ERROR)
        return done


@admin.register(Preset)
class PresetAdmin(VisibleAdmin, AuditedAdmin, ReadOnlyAdmin):
    """To look at and to delete: values are changed where they are checked."""

    list_display = ("name", "template", "user", "is_shared", "version", "updated")
    list_filter = ("is_shared", ("template", VisibleFilter))
    search_fields = ("name", "id", "template__name", "user__username")
    list_select_related = ("template", "user", "version")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preset]:
        """Nobody sees another's private ones, administrators neither."""
        return cast(QuerySet[Preset], super().get_queryset(request).visible_to(_actor(request)))

    def has_delete_permission(self, request: HttpRequest, obj: Preset | None = None) -> bool:
        actor = _actor(request)
        may = obj is None or can_edit_preset(actor, obj, role_on(actor, obj.template))
        return actor.has_perm("templates_app.delete_preset") and may


def _actor(request: HttpRequest) -> User:
    return cast(User, request.user)


def _may_edit(request: HttpRequest, pipeline: Pipeline) -> bool:
    try:
        check_can_edit_pipeline(_actor(request), pipeline)
    except NotAllowed:
        return False
    return True
