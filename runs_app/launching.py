"""What happens to the form of a template: where it starts, and what its buttons do."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext

from runs_app.choices import FormChoices
from runs_app.compilations import compile_now
from runs_app.copies import Copies, copies_of
from runs_app.derived_deployments import note_use
from runs_app.differences import Difference, values_to_compare
from runs_app.forms import LaunchForm, Starting, typed_values
from runs_app.models import PipelineRun, Schedule
from runs_app.own_parameters import (
    asked_of,
    own_parameters,
    put_together,
    version_shown,
    without_other_steps,
)
from runs_app.plans import Runnable
from runs_app.preflight import Preflight, preflight
from runs_app.presets import LAST_GOOD, create_preset, last_good_run, problems_of_each
from runs_app.services import Launch, Trigger, launch_run
from runs_app.starting import Start, blamed_parameters
from runs_app.uploads import FormFiles
from runs_app.yaml_form import YAML, RunForm, YamlForm, form_of, switched
from templates_app.models import Preset, RunTemplate, RunTemplateVersion
from templates_app.permissions import can_edit_preset
from templates_app.schema_forms import CHECK
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_forms.wording import in_words, worded
from zenweb.accounts import interrupted_forms
from zenweb.accounts.models import User
from zenweb.enums import Role, TriggerChannel
from zenweb.exceptions import ValidationFailed, ZenWebError

CHOICES_WAIT, FIRST_WAIT = 2.0, 0.2  # seconds
RECENT = 5
SCHEDULES = 5
KEPT = ("version", "submit_token")
AHEAD = "look-ahead"
RUN = ("", "run")  # Enter, and the button that one sees


@dataclass(frozen=True)
class Done:
    """What pressing a button of the form came to."""

    is_look: bool = False
    """Nothing was asked for but to see the form as it stands."""
    leads_to: str = ""
    """The address to go on at; "": the form is shown again."""
    is_refused: bool = False
    preset_error: str = ""
    copies: Copies | None = None
    ahead: Preflight | None = None
    """What would happen, where that was asked for and the values are right."""
    unsent: Sequence[str] = ()
    """Names of files that were chosen, and that the page has not sent: without them nothing can be said."""
    unchecked: Sequence[str] = ()
    """What is asked about before that, in the words of the form."""
    warnings: Sequence[str] = ()


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
        if typed and (page := interrupted_forms.ask_to_sign_in(request, typed)):
            return page
    return redirect_to_login(request.get_full_path())


def is_for_the_form_alone(request: HttpRequest) -> bool:
    """Whether the page's script asks for its fields as they are now, and for nothing beside them."""
    return request.headers.get("X-Requested-With") == "fetch"


def launch_form(
    request: HttpRequest, template: RunTemplate, start: Start, draft: interrupted_forms.Draft | None
) -> RunForm:
    """The form as it was sent, as it waited for its author to sign in, or as it starts."""
    files = FormFiles(request.user, template)
    if request.method == "POST":
        data = request.POST.copy()
        if data.get("do") in BUTTONS:
            del data["do"]  # for the form it is as if it were sent
        shown, lost = _version_sent(template.version, data)
        form = form_of(shown, data, request.FILES, files, starting=start.configuration)
        if isinstance(form, LaunchForm):
            form.lost_steps = lost
        is_run = request.POST.get("do", "") in RUN
        return form if is_run or isinstance(form, YamlForm) else _put_together(request, form, files)
    if draft:
        data = QueryDict(mutable=True)
        for name, texts in draft.values.items():
            data.setlist(name, texts)
        shown, _ = _version_sent(template.version, data)
        form = form_of(shown, data, None, files, starting=start.configuration)
        form.look()
        return form
    is_yaml = request.GET.get("view") == YAML
    own = own_parameters(start.configuration)
    shown, composition = _version_with(template.version, own, FIRST_WAIT)
    form = form_of(shown, None, None, files, starting=start.configuration, is_yaml=is_yaml)
    composition.tell(form)
    if (
        isinstance(form, LaunchForm)
        and start.run
        and (errors := blamed_parameters(start.run, template.version.config_schema))
    ):
        form.blame(errors, gettext("What run %(index)s could not work with") % {"index": start.run.index})
    return form


@dataclass(frozen=True)
class Composition:
    """How far a pipeline is put together with the parameters of a form."""

    note: str = ""
    is_asking: bool = False

    def tell(self, form: RunForm) -> None:
        if isinstance(form, LaunchForm):
            form.composition_note, form.is_being_put_together = self.note, self.is_asking


def _version_sent(version: RunTemplateVersion, data: QueryDict) -> tuple[RunTemplateVersion, str]:
    """The version that a form showed, whose steps its values belong to; or why these are not known any more."""
    shown = version_shown(version, data.get("put_together", ""))
    if shown is not None:
        note_use(shown.deployment)
        return shown, ""
    # Its steps were forgotten while it stood open, or the template runs something else by now.
    own = LaunchForm(version, data, is_draft=True).own_parameters
    shown, composition = _version_with(version, own, CHOICES_WAIT)
    if not composition.note:
        return shown, ""
    words = gettext(
        "The steps that this form showed are not known any more, so nothing was started: %(reason)s Once they are "
        "shown again, look whether your values are."
    )
    return shown, words % {"reason": composition.note}


def _version_with(
    version: RunTemplateVersion, own: dict[str, Any], wait: float
) -> tuple[RunTemplateVersion, Composition]:
    """The version as it is with these parameters of its pipeline, if that is known within so many seconds."""
    asked = asked_of(version, {"parameters": own})
    if asked.question is None:
        return _in_use(put_together(version, own)), Composition()
    try:
        unknown = compile_now(asked.question, wait)
    except ValidationFailed as error:
        return version, Composition(" ".join(each.message for each in error.errors))
    if unknown is not None:
        return version, Composition(unknown.message, is_asking=True)
    return _in_use(put_together(version, own)), Composition()


def _in_use(version: RunTemplateVersion) -> RunTemplateVersion:
    note_use(version.deployment)
    return version


def _put_together(request: HttpRequest, form: LaunchForm, files: FormFiles) -> LaunchForm:
    """The form with the steps that the pipeline has with the parameters that stand in it."""
    wait = FIRST_WAIT if is_for_the_form_alone(request) else CHOICES_WAIT
    version, composition = _version_with(form.version, form.own_parameters, wait)
    if version.deployment_id == form.version.deployment_id or not form.is_being_edited:
        composition.tell(form)
        return form
    # Shown anew: what the steps started from so far is not what they start from now.
    sent = LaunchForm(form.version, _without_action(form.data), None, files, is_draft=True)
    sent.look()
    kept = without_other_steps(sent.asked, form.version, version)
    fresh = LaunchForm(version, files=files, configuration=kept)
    fresh.yaml_text, fresh.is_everything = form.yaml_text, form.is_everything
    composition.tell(fresh)
    return fresh


def _without_action(data: Any) -> Any:
    sent = data.copy()
    sent.pop("do", None)
    return sent


def form_choices(request: HttpRequest, runnable: Runnable, template: RunTemplate | None) -> FormChoices:
    """Who the form asks what may be chosen. A page that is only opened hardly waits: it fetches what comes later.

    Nor does one whose script asks: it repeats that until all is known, and would hold a thread of the server meanwhile.
    """
    is_repeated = request.method != "POST" or is_for_the_form_alone(request)
    wait = FIRST_WAIT if is_repeated else CHOICES_WAIT
    return FormChoices(request.user, runnable, template, time.monotonic() + wait)


def press_button(request: HttpRequest, template: RunTemplate, form: RunForm) -> tuple[RunForm, Done]:
    """Do what the button stands for that the form was sent with: run it, keep or copy its values, or only look.

    With it the form to show: turning to YAML and back makes another one.
    """
    if request.method != "POST":
        return form, Done()
    if (to := request.POST.get("switch")) is not None:
        other = switched(form, to)
        return other, Done(is_look=True, is_refused=bool(form.errors))  # of what was sent
    verb = request.POST.get("do", "")
    if not verb and request.POST.get("preset_name"):
        # Enter in this field presses the form's hidden button: whoever gave a name did not ask for a run.
        verb = "save-preset"
    if isinstance(form, LaunchForm):
        button = BUTTONS.get(verb, _look)
        return form, button(request, template, form)
    if button := IN_BOTH_VIEWS.get(verb):
        return form, button(request, template, form)
    form.look()
    return form, Done(is_look=True)


def forms_that_made(run: PipelineRun, user: User) -> str:
    """The submit tokens of the user's forms that started the run: their browser may forget what it kept of them."""
    if run.template is None:
        return ""
    records = run.idempotency_records.filter(user=user, route=run.template.get_absolute_url())
    return " ".join(key.rpartition(":")[0] for key in records.values_list("key", flat=True))


def differences_to(start: Start, form: RunForm) -> list[Difference]:
    """How what stands in the form differs from the run that it starts from."""
    if start.run is None or not isinstance(form, LaunchForm):
        return []
    return form.changed_from(values_to_compare(form.version.config_schema, start.run))


def _run(request: HttpRequest, template: RunTemplate, form: RunForm) -> Done:
    def launch(trigger: Trigger) -> Launch:
        return launch_run(
            deployment=template.deployment,
            version=template.version,
            configuration=form.asked,
            trigger=trigger,
        )

    if form.is_valid() and (launched := launch_once(request, form, launch)):
        return Done(leads_to=launched.run.get_absolute_url())
    return Done(is_refused=True)


def _look(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    if form.action != CHECK:
        form.look()
    return Done(is_look=True)


def _look_ahead(request: HttpRequest, template: RunTemplate, form: RunForm) -> Done:
    """The form says what is wrong, if somebody pressed the button; its panel only that something is."""
    if unsent := request.POST.getlist("unsent"):
        return Done(is_look=True, unsent=unsent)
    if not form.is_valid():
        return Done(is_look=True)
    try:
        ahead = preflight(actor=request.user, version=template.version, configuration=form.asked)
    except ValidationFailed as error:
        form.add_field_errors(error.errors)
        return Done(is_look=True)
    schema = template.version.config_schema
    steps = read_steps(schema)
    unchecked = [worded(each, steps) for each in ahead.unchecked]
    warnings = [in_words(each, steps, schema.get("properties", {})) for each in ahead.resolved.warnings]
    return Done(is_look=True, ahead=ahead, unchecked=unchecked, warnings=warnings)


def _copy(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    if not form.is_right_but_for(form.is_secret):
        return Done(is_look=True)
    copies = copies_of(template, template.version.config_schema, form.asked)
    return Done(is_look=True, copies=copies)


def _save_preset(request: HttpRequest, template: RunTemplate, form: LaunchForm) -> Done:
    if not form.is_right_but_for(lambda _: True):
        return Done(is_refused=True)
    try:
        preset = create_preset(
            actor=request.user,
            template=template,
            name=request.POST.get("preset_name", ""),
            configuration={key: value for key, value in form.asked.items() if key != "run_name"},
            is_shared="preset_shared" in request.POST,
        )
    except ValidationFailed as error:
        about_values = [entry for entry in error.errors if entry.pointer not in {"", "/name"}]
        form.add_field_errors(about_values)
        words = " ".join(entry.message for entry in error.errors if entry not in about_values)
        return Done(preset_error=words, is_refused=True)
    except ZenWebError as error:
        return Done(preset_error=str(error), is_refused=True)
    messages.success(
        request,
        gettext("The preset %(name)s is saved, without secrets. Nothing was started.")
        % {"name": preset.name},
    )
    return Done(leads_to=f"{template.get_absolute_url()}?{urlencode({'preset': preset.name})}")


# What the buttons named `do` mean; without one it is "Run". Others are the form's own.
IN_BOTH_VIEWS = {**dict.fromkeys(RUN, _run), AHEAD: _look_ahead}
BUTTONS = {
    **IN_BOTH_VIEWS,
    "copy": _copy,
    "compare": _look,
    "save-preset": _save_preset,
}


def around_the_form(request: HttpRequest, template: RunTemplate, role: Role) -> dict[str, Any]:
    """What the page of a template shows beside its form."""
    presets = list(Preset.objects.visible_to(request.user).filter(template=template).to_judge())
    usable = set(
        Preset.objects.usable_by(request.user).filter(template=template).values_list("pk", flat=True)
    )
    shown, steps = [], read_steps(template.version.config_schema)
    for preset in presets:
        preset.template = template
    found = problems_of_each(presets)
    for preset in presets:
        problems = [worded(error, steps) for error in found[preset.pk]]
        can_edit = can_edit_preset(request.user, preset, role)
        shown.append(ShownPreset(preset, problems, can_edit, is_hidden=preset.pk not in usable))
    runs = PipelineRun.objects.visible_to(request.user).filter(template=template).with_relations()
    schedules = Schedule.objects.visible_to(request.user).filter(template=template).with_relations()
    return {
        "presets": shown,
        "usable_presets": [preset for preset in shown if not preset.is_hidden],
        "last_good": LAST_GOOD if last_good_run(request.user, template) else "",
        "recent": runs[:RECENT],
        "schedules": Paginator(schedules.coming_first(), SCHEDULES).get_page(request.GET.get("page")),
    }


def launch_once(request: HttpRequest, form: Starting, start: Callable[[Trigger], Launch]) -> Launch | None:
    """Start the run; None when it was refused, with the reasons in the form."""
    trigger = Trigger(
        request.user, TriggerChannel.PAGE, route=request.path, idempotency_key=form.idempotency_key
    )
    try:
        launch = start(trigger)
        if launch.is_replay:
            messages.info(
                request, gettext("This form had already started this run, so it was not started again.")
            )
        return launch
    except ValidationFailed as error:
        form.add_field_errors(error.errors)
    except ZenWebError as error:
        form.add_error(None, str(error))
    return None
