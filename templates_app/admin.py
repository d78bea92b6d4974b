"""Pipelines, stacks, deployments and templates in the admin."""

from typing import cast

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

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
from templates_app.services import check_new_name
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.audited_admin import AuditedAdmin
from zenweb.accounts.models import User
from zenweb.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from zenweb.enums import AuditVerb
from zenweb.exceptions import EntityExists, ValidationFailed


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


@admin.register(Pipeline)
class PipelineAdmin(AuditedAdmin):
    list_display = ("name", "project", "user", "run_count", "created")
    list_filter = ("project",)
    search_fields = ("name", "description")
    readonly_fields = ("id", "name", "project", "user", "run_count", "created", "updated")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Stack)
class StackAdmin(AuditedAdmin):
    form = NamedForm
    list_display = ("name", "orchestrator", "queue", "artifact_store_uri", "created")
    list_filter = ("orchestrator",)
    search_fields = ("name", "queue")
    readonly_fields = ("id", "created", "updated")


@admin.register(CodeArchive)
class CodeArchiveAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "created")
    search_fields = ("sha256",)
    fields = ("id", "sha256", "size", "created")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CodeArchive]:
        return super().get_queryset(request).defer("content")


@admin.register(PipelineDeployment)
class PipelineDeploymentAdmin(ReadOnlyAdmin):
    list_display = ("id", "pipeline", "stack", "user", "python_version", "client_version", "created")
    list_filter = ("stack", "python_version", "pipeline")
    search_fields = ("id", "pipeline__name", "fingerprint")
    list_select_related = ("pipeline", "stack", "user")
    date_hierarchy = "created"


class RunTemplateVersionInline(ReadOnlyInline):
    model = RunTemplateVersion
    fields = ("number", "deployment", "user", "created")
    readonly_fields = fields


@admin.register(RunTemplate)
class RunTemplateAdmin(AuditedAdmin):
    form = RunTemplateForm
    list_display = ("name", "project", "user", "is_enabled", "is_hidden", "latest_version", "updated")
    list_filter = ("is_enabled", "is_hidden", "project")
    search_fields = ("name", "description", "id")
    list_select_related = ("project", "user", "latest_version")
    readonly_fields = ("id", "project", "user", "latest_version", "usage", "created", "updated")
    inlines = (RunTemplateVersionInline,)
    actions = ("enable", "disable")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="usage")
    def usage(self, template: RunTemplate) -> str:
        address = reverse("run-template-usage", args=[template.pk])
        return format_html('<a href="{}">Runs, success, times and users</a>', address)

    @admin.action(description="Enable the selected templates", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[RunTemplate]) -> None:
        self.message_user(request, f"{_enable(request, queryset, True)} template(s) may be run.")

    @admin.action(description="Disable the selected templates", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[RunTemplate]) -> None:
        self.message_user(request, f"{_enable(request, queryset, False)} template(s) may no longer be run.")


@transaction.atomic
def _enable(request: HttpRequest, templates: QuerySet[RunTemplate], is_enabled: bool) -> int:
    changed = list(templates.exclude(is_enabled=is_enabled).select_for_update(of=("self",)))
    for template in changed:
        before = facts_of(template)
        template.is_enabled = is_enabled
        template.save(update_fields=["is_enabled"])
        record_audit(
            actor=cast(User, request.user),
            verb=AuditVerb.CHANGE,
            thing=template,
            before=before,
            after=facts_of(template),
        )
    return len(changed)


@admin.register(Preset)
class PresetAdmin(AuditedAdmin, ReadOnlyAdmin):
    """To look at and to delete: values are changed where they are checked."""

    list_display = ("name", "template", "user", "is_shared", "version", "updated")
    list_filter = ("is_shared", "template")
    search_fields = ("name", "id", "template__name", "user__username")
    list_select_related = ("template", "user", "version")

    def has_delete_permission(self, request: HttpRequest, obj: Preset | None = None) -> bool:
        return request.user.has_perm("templates_app.delete_preset")
