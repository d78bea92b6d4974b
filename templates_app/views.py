"""Pages about what can be run. The page of one template is in runs_app: running it makes a run."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from templates_app.forms import SearchForm
from templates_app.models import Pipeline, RunTemplate

PAGE_SIZE = 60


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
    pipelines = Pipeline.objects.visible_to(request.user)
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
    templates = RunTemplate.objects.visible_to(request.user).listed().runnable().by_pipeline()
    if form.text:
        templates = templates.search(form.text)
    page = Paginator(templates, PAGE_SIZE).get_page(request.GET.get("page"))
    name = "_pipeline_choice.html" if is_refinement(request) else "pipeline_choice.html"
    return render(request, f"templates_app/{name}", {"page": page, "text": form.text})


def is_refinement(request: HttpRequest) -> bool:
    """Whether htmx asks for the part of the page that changes, and not for all of it after "back"."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.history_restore_request
