"""Pages about what was run, and the page of a template: running it makes a run."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import SuspiciousFileOperation
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from runs_app import previews
from runs_app.choices import choices_of, labelled
from runs_app.copies import copies_of
from runs_app.differences import of_steps, with_secrets_hidden
from runs_app.dispatch import warm_up
from runs_app.downloads import attachment
from runs_app.dynamic_defaults import as_of_now
from runs_app.elements import find_elements
from runs_app.forms import RepairForm, RunFilterForm
from runs_app.found_files import files_in
from runs_app.given_files import replaced
from runs_app.launching import (
    AHEAD,
    KEPT,
    around_the_form,
    differences_to,
    form_choices,
    forms_that_made,
    is_for_the_form_alone,
    launch_form,
    launch_once,
    press_button,
    sign_in_first,
)
from runs_app.ledger import ledger_of
from runs_app.logs import read_log
from runs_app.models import ArtifactVersion, PipelineRun, RunCount, StepRun
from runs_app.own_parameters import put_together
from runs_app.permissions import RunPowers, may_see_values
from runs_app.plans import rules_of_run
from runs_app.presets import delete_preset
from runs_app.querysets import HEAVY
from runs_app.repair import Repair, RepairPlan, preview_repair, without_left_over
from runs_app.services import Launch, Trigger, repair_run, stop_run
from runs_app.starting import start_of, values_to_repeat
from runs_app.trees import MOST_SHOWN, tree_below
from runs_app.uploads import FormFiles
from runs_app.usage import usage_of
from runs_app.waiting import explain, explain_steps
from templates_app.curation_fit import placed
from templates_app.forms import NewTemplateForm
from templates_app.models import Preset, RunTemplate
from templates_app.permissions import Powers, role_on
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_forms.shown import shown
from templates_app.services import check_stack_is_remote, create_run_template
from templates_app.views import is_refinement
from zenweb.accounts import interrupted_forms
from zenweb.accounts.actions import Action
from zenweb.accounts.models import User
from zenweb.accounts.permissions import check_may_in_project
from zenweb.config.file_references import FoundFile
from zenweb.exceptions import (
    DoesNotExist,
    EntityExists,
    LocalStackRefused,
    NotAllowed,
    RangeNotSatisfiable,
    ServerBusy,
    ValidationFailed,
    ZenWebError,
)
from zenweb.paging import LongPaginator

PAGE_SIZE = 25
ELEMENTS_PER_PAGE = 25
PARTS = {
    "compare": "_comparison.html",
    AHEAD: "_preflight.html",
}  # what htmx asks for, by the button it presses
LEDGER, LEDGER_OPEN = 200, 12
STOP_POLLING = 286  # htmx's own status


@require_http_methods(["GET", "HEAD", "POST"])
def run_template(request: HttpRequest, template_id: UUID) -> HttpResponse:
    if not request.user.is_authenticated:
        return sign_in_first(request, template_id)
    templates = RunTemplate.objects.visible_to(request.user)
    template = get_object_or_404(templates.for_page(), pk=template_id)
    powers = Powers.over(request.user, template)
    as_of_now(template.version.used_by(powers.role))
    start = start_of(request.user, template, request.GET)
    draft = interrupted_forms.take(request) if request.method == "GET" else None
    form, done = press_button(request, template, launch_form(request, template, start, draft))
    if done.leads_to:
        return redirect(done.leads_to)
    form.choices = form_choices(request, form.version, template)
    context = {
        "template": template,
        "powers": powers,
        "form": form,
        "start": start,
        "draft": draft,
        "differences": differences_to(start, form),
        "done": done,
        # Who only looks has not seen a new version, and spends no token.
        "shown": {"version": form.version.number, "submit_token": form.new_submit_token}
        | ({name: request.POST[name] for name in KEPT if name in request.POST} if done.is_look else {}),
    }
    if is_refinement(request):
        part = PARTS.get(request.POST.get("do", ""), "_copies.html")
        return render(request, f"runs_app/{part}", context)
    if is_for_the_form_alone(request) and done.is_look and not form.is_yaml:
        return render(request, "runs_app/_fields.html", context)
    if request.method == "GET" and template.version.deployment.stack.is_remote:
        warm_up(template.version.deployment_id, template.version.deployment.stack.queue)
    context |= around_the_form(request, template, powers.role) | {
        "filled_by": interrupted_forms.sign_author(request)
    }
    return render(request, "runs_app/run_template.html", context, status=422 if done.is_refused else 200)


@login_required
@require_POST
def delete_a_preset(request: HttpRequest, template_id: UUID, preset_id: UUID) -> HttpResponse:
    presets = Preset.objects.visible_to(request.user).filter(template=template_id)
    preset = get_object_or_404(presets.select_related("template"), pk=preset_id)
    try:
        delete_preset(actor=request.user, preset=preset)
    except NotAllowed as error:
        messages.error(request, str(error))
    else:
        messages.info(request, gettext("The preset %(name)s is deleted.") % {"name": preset.name})
    return redirect(preset.template)


@login_required
@require_safe
def copy_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """What starts a run with the values of this one, to copy."""
    run = _find_run(request, run_id)
    if run.template is None or not may_see_values(request.user, run):
        raise Http404
    template = RunTemplate.objects.for_page().get(pk=run.template_id)
    version = template.version.used_by(role_on(request.user, template))
    schema = as_of_now(put_together(version, run.own_parameters)).config_schema
    copies = copies_of(template, schema, values_to_repeat(run, schema))
    return render(request, "runs_app/run_copy.html", {"run": run, "copies": copies, "template": template})


@login_required
@require_safe
def list_runs(request: HttpRequest) -> HttpResponse:
    form = RunFilterForm(request.GET, RunTemplate.objects.visible_to(request.user).order_by("name"))
    counts = RunCount.objects.visible_to(request.user)
    runs = form.apply(PipelineRun.objects.visible_in_lists_to(request.user, counts).with_relations())
    paginator = LongPaginator(runs.newest_first(), PAGE_SIZE, None if form.has_words else form.apply(counts))
    page = paginator.get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "is_live": any(not run.is_finished for run in page)}
    name = "_runs.html" if is_refinement(request) else "run_list.html"
    return render(request, f"runs_app/{name}", context)


@login_required
@require_safe
def show_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = _find_run(request, run_id)
    steps = list(run.steps.without_elements().for_page())
    find_elements(steps)
    elements = [element for step in steps if step.elements is not None for element in step.laid_out.shown]
    powers = RunPowers.over(request.user, run)
    ledger = ledger_of(run, LEDGER, explain(run, [*steps, *elements]))[::-1]
    tree = tree_below(request.user, run)
    is_live = not run.is_finished or tree.is_live
    context = {
        "run": run,
        "steps": steps,
        # What came last is what the run was for.
        "outputs": [output for step in reversed(steps) for output in step.outputs.all()],
        "powers": powers,
        "values": list(_values(run, files_in(request.user, run.parameters))) if powers.sees_values else [],
        "ledger": ledger[:LEDGER_OPEN],
        "earlier": ledger[LEDGER_OPEN:],
        "repairs": _repairs(request, run),
        "parent": _seen(request, run.parent_step.run_id if run.parent_step else None),
        "original": _seen(request, run.original_id),
        "tree": tree,
        "most_in_tree": MOST_SHOWN,
        "is_live": is_live,
    }
    if not is_refinement(request):
        context["made_by"] = forms_that_made(run, request.user)
        return render(request, "runs_app/run.html", context)
    return render(request, "runs_app/_run.html", context, status=200 if is_live else STOP_POLLING)


@login_required
@require_safe
def show_elements(request: HttpRequest, step_id: UUID) -> HttpResponse:
    """The runs of a mapped step, page by page. A step that has none is shown with its run."""
    step = get_object_or_404(StepRun.objects.visible_to(request.user), pk=step_id)
    run = _find_run(request, step.run_id)
    if step.elements is None:
        return redirect(run)
    find_elements([step], most=0)
    elements, chosen = run.steps.filter(mapped_index=step.index).order_by("element").for_page(), ""
    if (status := request.GET.get("status", "")) in step.laid_out.counts:
        elements, chosen = elements.filter(status=status), status
    page = Paginator(elements, ELEMENTS_PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    explain_steps(shown)
    context = {"run": run, "step": step, "page": page, "shown": shown, "chosen": chosen}
    if not is_refinement(request):
        return render(request, "runs_app/step_elements.html", context)
    status_code = STOP_POLLING if step.is_finished else 200
    return render(request, "runs_app/_step_elements.html", context, status=status_code)


@login_required
@require_POST
def stop(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = _find_run(request, run_id)
    try:
        stop_run(actor=request.user, run=run)
    except NotAllowed as error:
        messages.error(request, str(error))
    return redirect(run)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def repair(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """What a repair would run again, as one chooses; and the new run."""
    run = _find_run(request, run_id)
    asked = Repair(
        run,
        from_steps=tuple(filter(None, [request.GET.get("from")])),
        is_newest=request.GET.get("version") == "newest",
    )
    try:
        asked.asked_by(request.user).check_possible()
    except NotAllowed as error:
        messages.error(request, str(error))
        return redirect(run)
    except ValidationFailed as error:
        messages.error(request, " ".join(each.message for each in error.errors))
        return redirect(run)
    is_sent = request.method == "POST"
    files = FormFiles(request.user, run.template)
    form = RepairForm(asked, request.POST if is_sent else None, request.FILES, files)
    is_look = is_refinement(request) or "look" in request.POST or form.is_being_edited
    is_valid = form.is_valid()

    def start(trigger: Trigger) -> Launch:
        return repair_run(repair=form.repair, trigger=trigger)

    if is_valid and not is_look and (launch := launch_once(request, form, start)):
        return redirect(launch.run)
    form.choices = form_choices(request, asked.runnable, run.template)
    plan, is_as_asked = _plan_to_show(request.user, form, is_right=is_valid or not is_sent)
    context = {
        "run": run,
        "form": form,
        "plan": plan,
        "is_as_asked": is_as_asked,
        "is_newest": asked.is_newest,
    }
    if is_refinement(request):
        return render(request, "runs_app/_repair_plan.html", context)
    return render(request, "runs_app/repair.html", context, status=422 if is_sent and not is_look else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_template(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Make a template of what a run ran."""
    run = _find_run(request, run_id)
    try:
        check_may_in_project(request.user, Action.AUTHOR, run.project)
        check_stack_is_remote(run.stack)
    except (NotAllowed, LocalStackRefused) as error:
        messages.error(request, str(error))
        return redirect(run)
    is_sent = request.method == "POST"
    form = NewTemplateForm(request.POST if is_sent else None)
    if is_sent and form.is_valid() and (template := _create_template(request, form, run)):
        messages.success(
            request,
            gettext("The template “%(name)s” is there. This is the form that people will see.")
            % {"name": template.name},
        )
        return redirect(template)
    context = {"run": run, "form": form}
    return render(request, "runs_app/new_template.html", context, status=422 if is_sent else 200)


@login_required
@require_safe
def show_usage(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """How a template is used; for its own page only the part that is shown there."""
    template = get_object_or_404(RunTemplate.objects.visible_to(request.user), pk=template_id)
    usage = usage_of(template, PipelineRun.objects.visible_to(request.user))
    page = "_usage.html" if is_refinement(request) else "usage.html"
    return render(request, f"runs_app/{page}", {"template": template, "usage": usage})


@login_required
@require_safe
def show_log(request: HttpRequest, step_id: UUID) -> HttpResponse:
    """All that a step's newest attempt printed, as plain text."""
    step = get_object_or_404(StepRun.objects.visible_to(request.user), pk=step_id)
    return _inert(HttpResponse(read_log(step), content_type=previews.TEXT_TYPE))


@login_required
@require_safe
def show_preview(request: HttpRequest, artifact_version_id: UUID) -> HttpResponse:
    versions = ArtifactVersion.objects.visible_to(request.user).select_related("producer_step__run__stack")
    version = get_object_or_404(versions.filter(preview__isnull=False), pk=artifact_version_id)
    try:
        data = previews.read_preview(version)
    except (DoesNotExist, SuspiciousFileOperation) as error:
        raise Http404 from error
    response = _inert(HttpResponse(data, content_type=previews.content_type(version)))
    response["Content-Security-Policy"] = previews.content_policy(
        version, request.build_absolute_uri("/")[:-1]
    )
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response


@login_required
@require_safe
def download_file(request: HttpRequest, artifact_version_id: UUID) -> HttpResponseBase:
    """The file that an artifact version is; where it is several, an archive of them."""
    versions = ArtifactVersion.objects.visible_to(request.user).with_relations()
    try:
        return attachment(request, get_object_or_404(versions, pk=artifact_version_id))
    except DoesNotExist as error:
        raise Http404(str(error)) from error
    except (RangeNotSatisfiable, ServerBusy, ValidationFailed) as error:
        return render(request, "400.html", {"sentence": str(error)}, status=error.http_status)


def _find_run(request: HttpRequest, run_id: UUID) -> PipelineRun:
    return get_object_or_404(PipelineRun.objects.visible_to(request.user).for_page(), pk=run_id)


def _seen(request: HttpRequest, run_id: UUID | None) -> PipelineRun | None:
    """A run that another one comes from, if it may be seen."""
    if run_id is None:
        return None
    visible = PipelineRun.objects.visible_to(request.user).select_related("pipeline", "template")
    return visible.defer(*HEAVY).filter(pk=run_id).first()


def _repairs(request: HttpRequest, run: PipelineRun) -> list[PipelineRun]:
    """The runs that repair this one; one that goes on has none yet."""
    if not run.is_finished:
        return []
    return list(
        PipelineRun.objects.visible_to(request.user).filter(original=run).only("id", "index", "status")
    )


def _values(run: PipelineRun, files: Mapping[str, FoundFile]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """What the run ran with, under the words of its form: titles of steps, each with titles and values."""
    schema = rules_of_run(run).config_schema
    ran = with_secrets_hidden(schema, of_steps(run.parameters))["steps"]
    ran[""] = {"parameters": run.own_parameters}
    chosen = {(choice.step, choice.parameter): choice for choice in choices_of(run)}
    for step in read_steps(schema):
        given = replaced(ran.get(step.name, {}).get("parameters", {}), files)
        if facts := [
            (
                parameter.title,
                labelled(chosen[place], given[parameter.name])
                if (place := (step.name, parameter.name)) in chosen
                else shown(parameter.schema, given[parameter.name]),
            )
            for parameter in step.parameters
            if parameter.name in given
        ]:
            yield step.title, facts


def _plan_to_show(actor: User, form: RepairForm, is_right: bool) -> tuple[RepairPlan | None, bool]:
    """The plan, and whether it is that of the form's values: while one of them is wrong, it is the original's."""
    asked = form.repair
    try:
        return preview_repair(asked, actor=actor), is_right
    except ValidationFailed:
        before = replace(asked, configuration=without_left_over({}, asked.start, asked.known))
    for repair in (before, replace(before, from_steps=())):
        with suppress(ValidationFailed):
            return preview_repair(repair, actor=actor), False
    return None, False


def _create_template(request: HttpRequest, form: NewTemplateForm, run: PipelineRun) -> RunTemplate | None:
    """The template; None when it was refused, with the reason in the form."""
    try:
        return create_run_template(actor=request.user, deployment=run.deployment, **form.cleaned_data)
    except EntityExists:
        taken = gettext(
            "There is a template of this name. Choose another, or tick the box to make this a "
            "new version of it."
        )
        form.add_error("name", taken)
    except ValidationFailed as error:
        # What the form of that template keeps to has a place of its own in there.
        told = [entry.message if entry.pointer == "/name" else placed(entry) for entry in error.errors]
        form.add_error("name", told)
    except ZenWebError as error:
        form.add_error("name", str(error))
    return None


def _inert(response: HttpResponse) -> HttpResponse:
    """What user code made is shown, and can do nothing."""
    response["Content-Security-Policy"] = previews.CONTENT_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response
