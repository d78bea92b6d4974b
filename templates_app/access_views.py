"""Pages on which an owner says who may do what with a run template or in a project."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from templates_app.forms import DefaultRoleForm, RoleForm
from templates_app.grants import (
    GROUP_MARK,
    Granted,
    check_may_grant,
    find_holder,
    grant_role,
    grants_on,
    revoke_role,
)
from templates_app.models import RunTemplate
from templates_app.services import update_run_template
from zenweb.accounts.actions import Action
from zenweb.accounts.models import ROLE_WORDS, Project, RoleGrant, User
from zenweb.accounts.permissions import may_in_project
from zenweb.accounts.projects import update_project
from zenweb.enums import Role
from zenweb.exceptions import DoesNotExist, NotAllowed, ValidationFailed

MOST_SUGGESTED = 200


@dataclass(frozen=True)
class Holding:
    """One line: who is what, and whether that was said here."""

    name: str
    is_group: bool
    role: Role
    grant: RoleGrant | None = None
    reason: str = ""

    @property
    def role_word(self) -> str:
        return str(ROLE_WORDS[self.role])


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def template_access(request: HttpRequest, template_id: UUID) -> HttpResponse:
    templates = RunTemplate.objects.visible_to(request.user).select_related("project", "user")
    template = get_object_or_404(templates, pk=template_id)
    try:
        check_may_grant(request.user, template)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(template)
    if request.method == "POST" and request.POST.get("do") == "restrict":
        is_restricted = request.POST.get("restricted") == "yes"
        update_run_template(actor=request.user, template=template, is_restricted=is_restricted)
        messages.success(request, gettext("Saved."))
        return redirect("run-template-access", template.pk)
    can_manage_project = may_in_project(request.user, Action.MANAGE_PROJECT, template.project)
    inherited = [
        Holding(grant.holder, grant.group_id is not None, Role(grant.role), reason=gettext("in the project"))
        for grant in (grants_on(template.project) if can_manage_project else ())
        if not template.is_restricted or grant.role >= Role.OWNER
    ]
    if template.user is not None:
        made_it = gettext("made the template")
        inherited.insert(0, Holding(template.user.get_username(), False, Role.OWNER, reason=made_it))
    context = {
        "template": template,
        "project": template.project,
        "project_address": reverse("project-access", args=[template.project_id]),
        "can_manage_project": can_manage_project,
        "inherited": inherited,
    }
    return _answer(request, template, context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def project_access(request: HttpRequest, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
    try:
        check_may_grant(request.user, project)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect("run-template-list")
    default = DefaultRoleForm(request.POST if request.POST.get("do") == "default" else None, project=project)
    if default.is_bound and default.is_valid():
        update_project(actor=request.user, project=project, default_role=default.role)
        messages.success(request, gettext("Saved."))
        return redirect("project-access", project.pk)
    context = {"project": project, "default_form": default, "can_manage_project": True}
    return _answer(request, project, context, status=422 if default.errors else 200)


def _answer(
    request: HttpRequest, thing: Granted, context: dict[str, object], status: int = 200
) -> HttpResponse:
    """Do what the page's button asks for, or show who is what."""
    verb = request.POST.get("do", "")
    form = RoleForm(request.POST if verb == "grant" else None)
    if verb == "revoke":
        grant = get_object_or_404(grants_on(thing), pk=_id(request.POST.get("grant", "")))
        revoke_role(actor=request.user, grant=grant)
        messages.success(request, gettext("%(name)s has this role no more.") % {"name": grant.holder})
        return redirect(request.path)
    if verb == "grant" and form.is_valid() and _give(request, thing, form):
        return redirect(request.path)
    given = [
        Holding(grant.holder, grant.group_id is not None, Role(grant.role), grant)
        for grant in grants_on(thing).order_by("-role", "user__username", "group__name")
    ]
    context |= {
        "form": form,
        "given": given,
        "default_word": ROLE_WORDS[Role(context["project"].default_role)],  # type: ignore[attr-defined]
        # Who else has an account here is not everybody's to read.
        "suggested": _holders() if context["can_manage_project"] else [],
    }
    status = 422 if form.errors else status
    return render(request, "templates_app/access.html", context, status=status)


def _holders() -> list[str]:
    users = User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)
    groups = Group.objects.order_by("name").values_list("name", flat=True)
    return [*users[:MOST_SUGGESTED], *(f"{GROUP_MARK}{name}" for name in groups[:MOST_SUGGESTED])]


def _give(request: HttpRequest, thing: Granted, form: RoleForm) -> bool:
    try:
        holder = find_holder(form.cleaned_data["holder"])
        grant = grant_role(actor=request.user, on=thing, to=holder, role=form.role)
    except (DoesNotExist, ValidationFailed) as error:
        form.add_error("holder", str(error))
        return False
    words = {"name": grant.holder, "role": ROLE_WORDS[form.role]}
    messages.success(request, gettext("%(name)s has the role %(role)s now.") % words)
    return True


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
