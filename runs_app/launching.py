"""What happens to the form of a template: where it starts, and what its buttons do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, QueryDict

from runs_app.copies import Copies, copies_of
from runs_app.forms import LaunchForm, StartingForm, typed_values
from runs_app.models import PipelineRun, Schedule
from runs_app.presets import LAST_GOOD, create_preset, last_good_run, problems_of
from runs_app.services import Launch, Trigger, launch_run
from runs_app.starting import Start, blamed_parameters, worded
from templates_app.models import Preset, RunTemplate
from templates_app.permissions import can_edit_preset
from zenweb.accounts import drafts
from zenweb.enums import TriggerChannel
from zenweb.exceptions import ValidationFailed, ZenWebError

RECENT = 5


@dataclass(frozen=True)
class Done:
    """What pressing a button of the form came to."""

    leads_to: str = ""
    """The address to go on at; "": the form is shown again."""
    is_refused: bool = False
    preset_error: str = ""
    copies: Copies | None = None


@dataclass(frozen=True)
class ShownPreset:
    """One line of the list of presets."""

    preset: Preset
    problems: list[str]
    can_edit: bool
    is_hidden: bool
    """By one's own of the same name."""


def sign_in_first(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """What was typed comes along, if the form was shown to somebody; what htmx asked for can be asked for again."""
    template = RunTemplate.objects.for_page().filter(pk=template_id).first()
    if request.method == "POST" and template and not request.htmx:
        typed = typed_values(template.version.config_schema, request.POST)
        if page := drafts.ask_to_sign_in(request, typed):
            return page
    return redirect_to_login(request.get_full_path())


def launch_form(
    request: HttpRequest, template: RunTemplate, start: Start, draft: drafts.Draft | None
) -> LaunchForm:
    if request.method == "POST":
        data = request.POST.copy()
        if data.get("do") in BUTTONS:
            del data["do"]  # for the form it is as if it were sent
        return LaunchForm(template.version, data, configuration=start.configuration)
    if draft:
        data = QueryDict(mutable=True)
        for name, texts in draft.values.items():
            data.setlist(name, texts)
        form = LaunchForm(template.version, data, configuration=start.configuration)
        form.look()
        return form
    form = LaunchForm(template.version, configuration=start.configuration)
    if start.run and (errors := blamed_parameters(start.run, template.version.config_schema)):
        form.blame(errors, f"What run {start.run.index} could not work with")
    return form


def press_button(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    """Do what the button stands for that the form was sent with: run it, keep or copy its values, or only look."""
    if request.method != "POST":
        return Done()
    verb = request.POST.get("do", "")
    if not verb and request.POST.get("preset_name"):
        # Enter in this field presses the form's main button: whoever gave a name did not ask for a run.
        verb = "save-preset"
    button = BUTTONS.get(verb, _look)
    return button(request, template, form)


def _run(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    def launch(trigger: Trigger) -> Launch:
        return launch_run(
            deployment=template.deployment,
            version=template.version,
            configuration=form.configuration,
            trigger=trigger,
        )

    if form.is_valid() and (launched := launch_once(request, form, launch)):
        return Done(leads_to=launched.run.get_absolute_url())
    return Done(is_refused=True)


def _look(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    form.look()
    return Done()


def _copy(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    if not form.is_right_but_for(form.is_secret):
        return Done()
    return Done(copies=copies_of(template, template.version.config_schema, form.configuration))


def _save_preset(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    if not form.is_right_but_for(lambda _: True):
        return Done(is_refused=True)
    try:
        preset = create_preset(
            actor=request.user,
            template=template,
            name=request.POST.get("preset_name", ""),
            configuration=form.configuration,
            is_shared="preset_shared" in request.POST,
        )
    except ValidationFailed as error:
        about_values = [entry for entry in error.errors if entry.pointer not in {"", "/name"}]
        form.add_field_errors(about_values)
        words = " ".join(entry.message for entry in error.errors if entry not in about_values)
        return Done(preset_error=words, is_refused=True)
    except ZenWebError as error:
        return Done(preset_error=str(error), is_refused=True)
    messages.success(request, f"The preset {preset.name} is saved, without secrets. Nothing was started.")
    return Done(leads_to=f"{template.get_absolute_url()}?{urlencode({'preset': preset.name})}")


# What the buttons named `do` mean; without one it is "Run". Others are the form's own.
BUTTONS = {"": _run, "copy": _copy, "compare": _look, "save-preset": _save_preset}


def around_the_form(request: HttpRequest, template: RunTemplate) -> dict[str, Any]:
    """What the page of a template shows beside its form."""
    presets = Preset.objects.visible_to(request.user).filter(template=template).with_relations()
    usable = set(
        Preset.objects.usable_by(request.user).filter(template=template).values_list("pk", flat=True)
    )
    shown = []
    for preset in presets:
        preset.template = template
        problems = [worded(error, template.version.config_schema) for error in problems_of(preset)]
        can_edit = can_edit_preset(request.user, preset)
        shown.append(ShownPreset(preset, problems, can_edit, is_hidden=preset.pk not in usable))
    runs = PipelineRun.objects.visible_to(request.user).filter(template=template).with_relations()
    return {
        "presets": shown,
        "usable_presets": [preset for preset in shown if not preset.is_hidden],
        "last_good": LAST_GOOD if last_good_run(request.user, template) else "",
        "recent": runs[:RECENT],
        "schedules": Schedule.objects.visible_to(request.user).filter(template=template).with_relations(),
    }


def launch_once(
    request: HttpRequest, form: StartingForm, start: Callable[[Trigger], Launch]
) -> Launch | None:
    """Start the run; None when it was refused, with the reasons in the form."""
    trigger = Trigger(
        request.user, TriggerChannel.PAGE, route=request.path, idempotency_key=form.idempotency_key
    )
    try:
        launch = start(trigger)
        if launch.is_replay:
            messages.info(request, "This form had already started this run, so it was not started again.")
        return launch
    except ValidationFailed as error:
        form.add_field_errors(error.errors)
    except ZenWebError as error:
        form.add_error(None, str(error))
    return None
