"""Pages about what can be run. The page of one template is in runs_app: running it makes a run."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from templates_app.curation_fit import placed
from templates_app.forms import SearchForm
from templates_app.models import Pipeline, RunTemplate
from templates_app.permissions import check_can_edit
from templates_app.services import curate_run_template
from templates_app.shaping import Shape
from zenweb.accounts.actions import Action
from zenweb.api.attachments import attachment_named
from zenweb.api.parsing import parse_json
from zenweb.config.yaml_text import read as read_yaml
from zenweb.exceptions import MalformedRequest, NotAllowed, ValidationFailed

PAGE_SIZE = 60
LARGEST_IMPORT = 1_000_000  # bytes


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("run-template-list")


@login_required
@require_safe
def list_run_templates(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    templates = RunTemplate.objects.visible_to(request.user).listed().with_relations()
    if form.text:
        templates = templates.search(form.text)
    page = Paginator(templates, PAGE_SIZE).get_page(request.GET.get("page"))
    name = "_run_templates.html" if is_refinement(request) else "run_template_list.html"
    return render(request, f"templates_app/{name}", {"page": page, "text": form.text})


@login_required
@require_safe
def list_pipelines(request: HttpRequest) -> HttpResponse:
    form = SearchForm(request.GET)
    pipelines = Pipeline.objects.visible_to(request.user).select_related("project")
    if form.text:
        pipelines = pipelines.search(form.text)
    page = Paginator(pipelines, PAGE_SIZE).get_page(request.GET.get("page"))
    name = "_pipelines.html" if is_refinement(request) else "pipeline_list.html"
    return render(request, f"templates_app/{name}", {"page": page, "text": form.text})


@login_required
@require_safe
def choose_pipeline(request: HttpRequest) -> HttpResponse:
    """What can be run of each pipeline, to choose from."""
    form = SearchForm(request.GET)
    visible = RunTemplate.objects.visible_to(request.user).with_role(request.user, Action.RUN.least)
    templates = visible.listed().runnable().by_pipeline()
    if form.text:
        templates = templates.search(form.text)
    page = Paginator(templates, PAGE_SIZE).get_page(request.GET.get("page"))
    name = "_pipeline_choice.html" if is_refinement(request) else "pipeline_choice.html"
    return render(request, f"templates_app/{name}", {"page": page, "text": form.text})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def shape_form(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Shape the form of a template, beside what becomes of it."""
    template = get_object_or_404(RunTemplate.objects.visible_to(request.user).for_page(), pk=template_id)
    try:
        check_can_edit(request.user, template)
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(template)
    shape = Shape(template.version, request.POST if request.method == "POST" else None)
    action = request.POST.get("do", "preview")
    if action == "import":
        _import(request, shape)
    elif action not in {"save", "preview"}:
        shape.press(action)
    # A section that was just added has nothing in it yet, and a form that is only looked at is not refused.
    if shape.judge() and action == "save" and (saved := _save(request, template, shape)):
        return redirect(saved)
    context = {
        "template": template,
        "shape": shape,
        "shown_version": request.POST.get("version", template.version.number),
        "acted_on": action.partition(" ")[2],
    }
    name = "_form_preview.html" if is_refinement(request) else "form_shape.html"
    status = 422 if action == "save" else 200
    return render(request, f"templates_app/{name}", context, status=status)


@login_required
@require_safe
def export_form(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """The curation as a file, to be kept and brought to another template."""
    templates = RunTemplate.objects.visible_to(request.user).select_related("latest_version")
    template = get_object_or_404(templates, pk=template_id)
    text = json.dumps(template.version.curation or {"version": 1}, indent=2, ensure_ascii=False)
    response = HttpResponse(f"{text}\n", content_type="application/json")
    response["Content-Disposition"] = attachment_named(f"{template.name}-form.json")
    return response


def _save(request: HttpRequest, template: RunTemplate, shape: Shape) -> RunTemplate | None:
    """The template with its new version; None when it was refused, with the reasons in the page."""
    shown = request.POST.get("version", "")
    try:
        saved = curate_run_template(
            actor=request.user,
            template=template,
            curation=shape.curation,
            seen_version=int(shown[:9]) if shown.isdecimal() else None,
        )
    except ValidationFailed as error:
        shape.add_errors(error.errors)
        return None
    if saved.version.number == template.version.number:
        messages.info(request, gettext("Nothing has changed, so there is no new version."))
    else:
        messages.success(
            request,
            gettext("Saved as version %(number)s. This is the form that people see now.")
            % {"number": saved.version.number},
        )
    return saved


def _import(request: HttpRequest, shape: Shape) -> None:
    """Show what a file says in the place of what stood there; nothing is saved by that."""
    file = request.FILES.get("file")
    if file is None or (file.size or 0) > LARGEST_IMPORT:
        shape.errors.append(gettext("Choose the file of a form that was exported, of at most 1 MB."))
        return
    try:
        shape.take_over(_read_file(file.name or "", file.read()))
    except ValidationFailed as error:
        shape.errors += map(placed, error.errors)
    except MalformedRequest as error:
        shape.errors.append(str(error))


def _read_file(name: str, content: bytes) -> Any:
    """YAML by its name, else JSON, as it is exported."""
    if name.lower().endswith((".yaml", ".yml")):
        return read_yaml(content.decode(errors="replace")).value
    return parse_json(content, "The file")


def is_refinement(request: HttpRequest) -> bool:
    """Whether htmx asks for the part of the page that changes, and not for all of it after "back"."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.history_restore_request
