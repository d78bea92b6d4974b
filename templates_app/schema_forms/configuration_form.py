"""A configuration's JSON Schema as a crispy form: text in, a checked run configuration out."""

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, cast

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, LayoutObject
from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.utils.translation import gettext, gettext_lazy, ngettext

from templates_app.curated_schema import key_of
from templates_app.schema_forms.controls import ChoiceSource, Control, FileSource, Occasion
from templates_app.schema_forms.layout import Composition, ErrorSummary, PlainSteps, Section
from templates_app.schema_forms.registry import Supply
from templates_app.schema_forms.schemas import (
    MISSING,
    Json,
    Parameter,
    label_of,
    read_sections,
    read_steps,
)
from templates_app.schema_forms.wording import shortened, worded
from templates_app.schema_places import (
    DROP,
    holds_secret,
    is_same,
    replace_secrets,
    schemas_at,
    types_of,
    value_at,
)
from zenweb.exceptions import FieldError
from zenweb.pointers import from_pointer

ACTION = "do"  # the name of the buttons that change the form itself
CHECK = "check"  # what it says while one types
Validator = Callable[[dict[str, Any], Any], list[FieldError]]


SECRET_AWAY = gettext_lazy("“%(title)s” (%(step)s) cannot be what it was, so it starts from its default.")


def without_open_secrets(config_schema: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    """Without secrets that are no texts: there is no field for these that hides what is in it."""
    if not configuration or not holds_secret([config_schema], config_schema):
        return configuration

    def keep_text(path: tuple[str, ...]) -> Json:
        is_text = "string" in types_of(schemas_at(config_schema, path))
        return value_at(configuration, path) if is_text else DROP

    kept: dict[str, Any] = replace_secrets(config_schema, configuration, keep_text)
    return kept


class ConfigurationForm(forms.Form):
    """Asks for the parameters of every step.

    `validate` is the one validator of run configurations; `configuration` holds values to start from instead of
    the defaults. When the form is valid, `configuration` is what to run.
    """

    configuration: dict[str, Any]
    keeps_values = False
    """Whether a secret that is left empty stays what it was in the values one starts from."""
    put_together = ""
    """Which of the pipeline's steps it asks about, where its own parameters decide that: of the form itself."""
    is_being_put_together = False
    composition_note = ""
    choices: ChoiceSource | None = None
    """Who is asked what may be chosen, when the form is shown; None: nobody."""

    def __init__(
        self,
        config_schema: dict[str, Any],
        *,
        validate: Validator,
        data: Mapping[str, Any] | None = None,
        uploads: Mapping[str, Any] | None = None,
        files: FileSource | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        sent: Any = None if data is None else copy(data)  # a button may change what was sent
        super().__init__(sent, None if data is None else cast(Any, uploads), auto_id="id_%s")
        self._config_schema = config_schema
        self._validate = validate
        self.steps = read_steps(config_schema)
        self.action = str(self.data.get(ACTION, ""))
        supply = Supply()
        self._by_step = {
            step.name: [
                supply.control_for(parameter)
                for parameter in step.parameters
                if not parameter.is_beside_the_form
            ]
            for step in self.steps
        }
        self.controls: list[Control] = [
            control for controls in self._by_step.values() for control in controls
        ]
        self._asked = dict(configuration or {})
        self.configuration = without_open_secrets(config_schema, self._asked)
        self.notes: list[str] = []
        """What of the values that it starts from it cannot show, in sentences."""
        occasion = Occasion(
            control_for=supply.control_for,
            data=cast(MutableMapping[str, Any], self.data) if self.is_bound else None,
            uploads=self.files,
            files=files,
            keeps_values=self.keeps_values,
            action=self.action,
        )
        for control in self.controls:
            value = self._start_of(control)
            control.begin(value, occasion)
            if control.is_incomplete:
                words = gettext(
                    "“%(title)s” (%(step)s) could not be filled in whole: look at what stands there."
                )
                self.notes.append(words % self._names_of(control.parameter))
            self.fields.update(control.fields())
            self.initial.update(control.initial(value))
        self.helper = self._make_helper()

    @property
    def is_being_edited(self) -> bool:
        """Whether it was sent to get another row or kind, or to hear what is wrong so far, and is not finished."""
        return bool(self.action)

    def full_clean(self) -> None:
        if not self.is_being_edited or self.action == CHECK:
            super().full_clean()
            return
        self._errors, self.cleaned_data = ErrorDict(), {}

    def clean(self) -> dict[str, Any]:
        """Every text that could be read is checked in one go, beside the complaints about those that could not."""
        cleaned = super().clean() or self.cleaned_data
        for control in self.controls:
            for name, sentence in control.problems(cleaned):
                if not self.has_error(name):
                    self.add_error(name, sentence)
        unreadable = set(self.errors)
        self.configuration = self._build_configuration(cleaned)
        errors = self._validate(self._config_schema, self.configuration)
        self.add_field_errors(error for error in errors if self._locate(error)[0] not in unreadable)
        return cleaned

    def add_field_errors(self, errors: Iterator[FieldError] | Sequence[FieldError]) -> None:
        """Show each error at the field its pointer belongs to, and the rest at the top."""
        for error in errors:
            field_name, prefix = self._locate(error)
            told = prefix + error.message if field_name else worded(error, self.steps)
            if not field_name and self._is_hidden(error):
                told = (
                    f"{told} {gettext('The owner of this template has hidden it: it can be given as YAML.')}"
                )
            self.add_error(field_name, told)

    def standing(self, paths: Collection[tuple[str, ...]]) -> dict[str, Any]:
        """The values of these parameters, and of all that those depend on, as they stand in the form.

        What cannot be read is the text that was typed.
        """
        found: dict[str, Any] = {}
        wanted = self.with_what_they_depend_on(paths)
        for control in self.controls:
            if control.parameter.path in wanted and (value := self._standing(control)) is not MISSING:
                _put(found, control.parameter.path, value)
        return found

    def with_what_they_depend_on(self, paths: Collection[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """These paths and, step by step, all that decides what may be chosen there."""
        by_path = {control.parameter.path: control for control in self.controls}
        found, waiting = set[tuple[str, ...]](), list(paths)
        while waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                waiting += by_path[path].depends_on if path in by_path else ()
        return found

    @property
    def plain_steps(self) -> list[str]:
        """The titles of steps that ask for nothing."""
        return [
            step.title
            for step in self.steps
            if step.name and all(control.is_silent for control in self._by_step[step.name])
        ]

    @property
    def error_title(self) -> str:
        """What stands above all that is wrong."""
        count = sum(len(errors) for errors in self.errors.values())
        return ngettext("%(count)s thing to correct", "%(count)s things to correct", count) % {"count": count}

    def _start_of(self, control: Control) -> Json:
        """The value that a control starts from; where it cannot show that, the default, and not without a word."""
        parameter = control.parameter
        value = _value_at(self.configuration, parameter)
        if value is MISSING and _value_at(self._asked, parameter) is not MISSING:
            self.notes.append(SECRET_AWAY % self._names_of(parameter))
        if value is MISSING or is_same(value, parameter.default) or control.can_show(value):
            return value
        words = gettext("“%(title)s” (%(step)s) cannot be “%(value)s”, so it starts from its default.")
        if holds_secret([dict(parameter.schema.keywords)], dict(parameter.schema.root)):
            words = str(SECRET_AWAY)
        if parameter.is_locked:
            words = gettext("“%(title)s” (%(step)s) is fixed by now, so it has another value than there.")
        self.notes.append(words % {**self._names_of(parameter), "value": shortened(label_of(value))})
        self.configuration = _without(self.configuration, parameter.path)
        return parameter.default

    def _names_of(self, parameter: Parameter) -> dict[str, str]:
        step = next(step.title for step in self.steps if step.name == parameter.step)
        return {"title": parameter.title, "step": step}

    def _standing(self, control: Control) -> Json:
        if not self.is_bound:
            return _value_at(self.configuration, control.parameter)
        texts: dict[str, Any] = {}
        for name in control.fields():
            texts[name] = self[name].data
            with suppress(ValidationError):
                texts[name] = self.fields[name].clean(texts[name])
        return control.read(texts)

    def _build_configuration(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        configuration: dict[str, Any] = {}
        for control in self.controls:
            if (value := control.read(cleaned)) is not MISSING:
                _put(configuration, control.parameter.path, value)
        for path, text in self._unknown():
            _put(configuration, path, text)
        return configuration

    def _unknown(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What was submitted for parameters that are not in the form: the validator refuses them by name."""
        known = {control.parameter.path for control in self.controls}
        for name, text in self.data.items():
            if name.startswith("parameters."):
                top = tuple(name.split(".")[:2])
                if top not in known:
                    yield top, text
                continue
            step, middle, parameter = name.removeprefix("steps.").partition(".parameters.")
            top = ("steps", step, "parameters", parameter.partition(".")[0])
            if name.startswith("steps.") and middle and top not in known:
                yield top, text

    def _is_hidden(self, error: FieldError) -> bool:
        """Whether it is about something that the form does not ask for."""
        path = from_pointer(error.pointer)
        parameters = [parameter for step in self.steps for parameter in step.parameters]
        return any(each.is_beside_the_form and path[: len(each.path)] == each.path for each in parameters)

    def _locate(self, error: FieldError) -> tuple[str | None, str]:
        path = from_pointer(error.pointer)
        for control in self.controls:
            own = control.parameter.path
            if path[: len(own)] == own:
                return control.locate(path[len(own) :])
        return None, ""

    def _make_helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False  # the page owns the form element, its token and its buttons
        helper.form_show_errors = False  # ErrorSummary does
        helper.template = (
            "templates_app/schema_form/form.html"  # crispy's own thins out white space in textareas
        )
        helper.layout = Layout(ErrorSummary(), *self._sections(), PlainSteps())
        return helper

    def _sections(self) -> Iterator[LayoutObject]:
        """The owner's own, in the owner's order; what is in none of them stands under its step."""
        left = {
            (step, control.parameter.name): control
            for step, controls in self._by_step.items()
            for control in controls
            if not control.is_silent
        }
        for number, section in enumerate(read_sections(self._config_schema), 1):
            keys = [key_of(name) for name in section.names]
            if controls := [left.pop(key) for key in keys if key in left]:
                yield Section(f"section-{number}", section.title, section.help, controls, is_markdown=True)
        for step in self.steps:
            if controls := [control for (name, _), control in left.items() if name == step.name]:
                key = f"step-{step.name}" if step.name else "pipeline"
                yield Section(key, step.title, step.description, controls)
            if not step.name:
                yield Composition()


def _value_at(configuration: Mapping[str, Any], parameter: Parameter) -> Json:
    """The value given for a parameter, else its default."""
    here: Json = configuration
    for key in parameter.path:
        if not isinstance(here, Mapping) or key not in here:
            return parameter.default
        here = here[key]
    return here


def _without(configuration: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    key, *rest = path
    if rest:
        return {**configuration, key: _without(configuration[key], tuple(rest))}
    return {name: value for name, value in configuration.items() if name != key}


def _put(configuration: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    for key in path[:-1]:
        configuration = configuration.setdefault(key, {})
    configuration[path[-1]] = value
