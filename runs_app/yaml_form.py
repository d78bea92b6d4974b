"""The other view of a template's form: its values as YAML. One turns to it and back without losing what was typed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy, ngettext

from runs_app.drafts import (
    MOST_CHARACTERS,
    PARAMETER_PATH,
    changes,
    everything,
    example,
    has_the_forms_shape,
    read_draft,
    without_secrets_in_text,
)
from runs_app.forms import LaunchForm, Starting
from runs_app.known_errors import known_errors
from runs_app.repair import has_value
from runs_app.run_configuration import validate
from templates_app.models import RunTemplateVersion
from templates_app.schema_forms import FileSource
from templates_app.schema_forms.input_names import quoted
from templates_app.schema_forms.schemas import (
    MISSING,
    Parameter,
    Schema,
    Step,
    humanise,
    read_steps,
    to_pointer,
)
from templates_app.schema_forms.wording import worded
from templates_app.schema_places import HIDDEN, holds_secret, is_secret, schemas_at, secrets_in, types_of
from zenweb.config.yaml_text import YamlDocument, YamlRefused, rewrite
from zenweb.exceptions import FieldError
from zenweb.pointers import from_pointer

MOST_LEFT_OUT = 1_000
YAML, FORM, ALL, CHANGES = "yaml", "form", "all", "changes"
AGAIN = gettext_lazy("Type it again: secrets are not kept.")


@dataclass(frozen=True)
class Problem:
    """One thing to correct; `line` counts from 1, 0 where it belongs to no line."""

    line: int
    message: str
    field_name: str = ""


@dataclass
class Secret:
    """A value that is asked for below the editor, because it has no place in a text that all can read."""

    parameter: Parameter
    step_title: str
    path: tuple[str, ...]
    """Where in the configuration it belongs."""
    typed: Any = ""
    is_expected: bool = False
    """Whether there was a value, which has to be typed again."""
    is_declined: bool = False

    def take(self, data: Mapping[str, Any]) -> None:
        """What was sent for it; once typed, it is expected from then on."""
        self.typed = str(data.get(self.name, ""))
        self.is_expected = self.is_inside or bool(self.typed or data.get(f"expected.{self.name}"))
        self.is_declined = bool(data.get(f"declined.{self.name}"))

    @property
    def name(self) -> str:
        return self.parameter.field_name

    @property
    def pointer(self) -> str:
        return to_pointer(self.path)

    @property
    def is_inside(self) -> bool:
        """Whether it is a part of a parameter's value, in which null stands for it."""
        return len(self.path) != len(PARAMETER_PATH)

    @property
    def is_missing(self) -> bool:
        return self.is_expected and not self.is_declined and not self.typed


class YamlForm(Starting):
    """Asks for a run configuration as YAML."""

    is_yaml = True
    is_being_edited = False
    kept_files: FileSource | None = None
    notes: Sequence[str] = ()
    """What of the values that it starts from is left out, in sentences."""
    version: RunTemplateVersion
    most_characters = MOST_CHARACTERS

    yaml = forms.CharField(required=False, strip=False)
    file = forms.FileField(required=False, allow_empty_file=True)

    def __init__(
        self,
        version: RunTemplateVersion,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        *,
        is_draft: bool = False,
    ) -> None:
        super().__init__(data, files)
        self.version, self.is_draft = version, is_draft
        self.schema = version.config_schema
        self.yaml_text = _lines(str(self.data.get("yaml", "")))
        self.is_everything = bool(self.data.get("everything"))
        self.configuration = {}
        self.problems: list[Problem] = []
        self.document = YamlDocument(None)
        self.secrets = [
            Secret(parameter, step.title, parameter.path)
            for step in self.steps
            for parameter in step.parameters
            if parameter.is_secret
        ]
        sent = self.data.getlist("left_out") if isinstance(self.data, QueryDict) else []
        self._add_secrets(map(from_pointer, sent[:MOST_LEFT_OUT]))
        for secret in self.secrets:
            secret.take(self.data)

    @classmethod
    def showing(
        cls,
        version: RunTemplateVersion,
        configuration: dict[str, Any],
        *,
        text: str = "",
        is_everything: bool = False,
        document: YamlDocument | None = None,
        is_as_written: bool = True,
        expected: Sequence[str] = (),
        left_out: Sequence[str] = (),
    ) -> "YamlForm":
        """The editor with these values, in the words of `text` as far as it says the same.

        `document`: what the text says, where that was read. `is_as_written`: also where it spells out a default.
        `left_out`: pointers of secrets inside of values, for which null stands there.
        """
        form = cls(version)
        form.is_everything = is_everything
        form._add_secrets(map(from_pointer, left_out))
        for secret in form.secrets:
            secret.is_expected = secret.is_inside or secret.name in expected
        form._move_secrets(configuration)
        shown = without_secrets_in_text(form.schema, configuration)
        form.yaml_text = form._written(shown, text, document or _read_if_possible(text), is_as_written)
        return form

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        try:
            self.yaml_text = self._sent_text(cleaned.get("file"))
            self.document = read_draft(self.yaml_text)
        except YamlRefused as error:
            self._add_problem(Problem(error.line, str(error), "yaml"))
            return cleaned
        self.configuration = self.document.value or {}
        if self._move_secrets(self.configuration):
            # What is sent back to the browser never has them.
            shown = without_secrets_in_text(self.schema, self.configuration)
            self.yaml_text = rewrite(self.yaml_text, shown, self.document)
            self.document = read_draft(self.yaml_text)
        self._put_secrets()
        if not self.is_draft:
            self.add_field_errors(known_errors(self.version, self.with_stand_ins))
        return cleaned

    @property
    def with_stand_ins(self) -> dict[str, Any]:
        """The configuration with something in the place of each secret that is still to be typed."""
        configuration = self.configuration
        for secret in self.secrets:
            if secret.is_missing and secret.is_inside:
                configuration = _with(configuration, secret.path, HIDDEN)
        return configuration

    @property
    def left_out(self) -> list[str]:
        """Pointers of the secrets inside of values, for which null stands in the text."""
        return [secret.pointer for secret in self.secrets if secret.is_inside]

    def add_field_errors(self, errors: Iterator[FieldError] | Sequence[FieldError]) -> None:
        """Show each error with its line, or at the secret it is about."""
        for error in sorted(errors, key=lambda error: self.document.line_of(error.pointer)):
            secret = next((one for one in self.secrets if one.pointer == error.pointer), None)
            if secret is None or not secret.is_expected:
                self._add_problem(
                    Problem(self.document.line_of(error.pointer), worded(error, self.steps), "yaml")
                )
            elif not secret.is_missing:  # else it is said already that it is to be typed again
                self._add_problem(Problem(0, f"{secret.parameter.title}: {error.message}", secret.name))

    def look(self) -> None:
        """Read what stands in it, without a word about what is wrong."""
        self.is_valid()
        self._errors, self.problems = ErrorDict(), []

    @property
    def error_title(self) -> str:
        count = len(self.problems) + len(self.non_field_errors())
        words = ngettext("%(count)s thing to correct", "%(count)s things to correct", count)
        return self.outdated_title or words % {"count": count}

    @property
    def may_hold_secrets(self) -> bool:
        """Whether somebody could write one into the text."""
        return holds_secret([self.schema], self.schema)

    @property
    def steps(self) -> list[Step]:
        """What may be set, for the list beside the editor too."""
        return [step for step in read_steps(self.schema) if step.parameters]

    def _written(
        self, configuration: dict[str, Any], text: str, document: YamlDocument, is_as_written: bool
    ) -> str:
        wanted = (everything if self.is_everything else changes)(self.schema, configuration)
        said = document.value or {}
        if not said or not has_the_forms_shape(said):
            return rewrite("", wanted) or example(self.schema)
        if is_as_written and not self.is_everything and changes(self.schema, said) == wanted:
            return text
        return rewrite(text, wanted, document) or example(self.schema)

    def _sent_text(self, file: Any) -> str:
        """What is in the editor; a file takes its place."""
        if file is None:
            return self.yaml_text
        if file.size and file.size > 4 * MOST_CHARACTERS:  # of which none takes more than 4 bytes
            raise YamlRefused(
                gettext("The file %(name)s has more than %(most_characters)s characters.")
                % {"name": file.name, "most_characters": f"{MOST_CHARACTERS:,}"}
            )
        try:
            return _lines(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise YamlRefused(
                gettext("The file %(name)s is not a text in UTF-8.") % {"name": file.name}
            ) from error

    def _move_secrets(self, configuration: dict[str, Any]) -> bool:
        """Take secrets for the fields below the text; whether there are any."""
        paths = secrets_in(self.schema, configuration)
        self._add_secrets(paths)
        # What is not in the text any more, but for the null that stands for it, is not wanted any more.
        self.secrets = [
            secret
            for secret in self.secrets
            if not secret.is_inside or _value_at(configuration, secret.path) is not MISSING
        ]
        for secret in self.secrets:
            if secret.path in paths:
                secret.is_expected = True
                secret.typed = secret.typed or _value_at(configuration, secret.path)
        return bool(paths)

    def _add_secrets(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Fields for secrets inside of values."""
        known = {secret.path for secret in self.secrets}
        for path in paths:
            schemas = schemas_at(self.schema, path)
            if path not in known and path[:1] == ("steps",) and is_secret(schemas):
                self.secrets.append(self._inside(path))
                known.add(path)

    def _inside(self, path: tuple[str, ...]) -> Secret:
        known = {
            parameter.path: (step.title, parameter.title)
            for step in self.steps
            for parameter in step.parameters
        }
        outer, inner = path[: len(PARAMETER_PATH)], path[len(PARAMETER_PATH) :]
        step_title, title = known.get(outer, ("", ""))
        required = [schema.get("required") for schema in schemas_at(self.schema, path[:-1])]
        parameter = Parameter(
            name=path[-1],
            path=(*outer, *map(quoted, inner)),
            schema=Schema({}, self.schema),
            title=" → ".join(filter(None, [title, *map(_title_of, inner)])),
            description="",
            is_required=path[-1].isdecimal()
            or any(isinstance(names, list) and path[-1] in names for names in required),
        )
        return Secret(parameter, step_title, path, is_expected=True)

    def _put_secrets(self) -> None:
        for secret in self.secrets:
            if secret.typed and has_the_forms_shape(self.configuration):
                self.configuration = _with(self.configuration, secret.path, secret.typed)
            elif secret.is_missing and not self.is_draft:
                self._add_problem(Problem(0, f"{secret.parameter.title}: {AGAIN}", secret.name))
            elif secret.is_inside and secret.is_declined and not self._may_be_null(secret):
                self.configuration = _without(self.configuration, secret.path)

    def _may_be_null(self, secret: Secret) -> bool:
        return "null" in types_of(schemas_at(self.schema, secret.path))

    def _add_problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        self.add_error("yaml", _with_line(problem))


def _with_line(problem: Problem) -> str:
    if not problem.line:
        return problem.message
    return gettext("Line %(number)s: %(error)s") % {"number": problem.line, "error": problem.message}


RunForm = LaunchForm | YamlForm


def form_of(
    version: RunTemplateVersion,
    data: Mapping[str, Any] | None,
    uploads: Mapping[str, Any] | None,
    files: FileSource,
    *,
    starting: dict[str, Any],
    is_yaml: bool = False,
) -> RunForm:
    """The view that was asked for, or sent."""
    is_draft = data is not None and "switch" in data
    if data is not None and data.get("view") == YAML:
        sent = YamlForm(version, data, uploads, is_draft=is_draft)
        sent.kept_files = files
        return sent
    form = LaunchForm(version, data, uploads, files, starting, is_draft=is_draft)
    if data is not None or not is_yaml:
        return form
    # By way of the form, which leaves out what it cannot start from, and says so.
    text = _as_yaml(form, is_everything=False)
    text.kept_files, text.notes = files, form.notes
    return text


def switched(form: RunForm, to: str) -> RunForm:
    """The same values in the other view; the same view with what is wrong where they cannot be read."""
    if not form.is_valid():
        return form
    if isinstance(form, LaunchForm):
        return _as_yaml(form, form.is_everything)
    if to == FORM:
        return _as_form(form)
    return _as_yaml(form, to == ALL) if to in {ALL, CHANGES} else form


def _as_form(form: YamlForm) -> RunForm:
    configuration = form.configuration
    if not has_the_forms_shape(configuration):
        form.add_field_errors(validate(form.schema, configuration))
        return form
    for secret in form.secrets:
        if secret.is_missing:
            # A form that starts from a secret asks for it again, and never shows it.
            configuration = _with(configuration, secret.path, HIDDEN)
    shown = LaunchForm(form.version, files=form.kept_files, configuration=configuration)
    shown.yaml_text, shown.is_everything = form.yaml_text, form.is_everything
    if wrong := [error for error in validate(form.schema, shown.asked) if _is_seen(error, shown)]:
        shown.blame(wrong, gettext("The text had values that cannot be run"))
    return shown


def _is_seen(error: FieldError, shown: LaunchForm) -> bool:
    """Whether it is about a value that stands in the form: what is not there yet is no mistake."""
    path = from_pointer(error.pointer)
    is_secret = holds_secret(schemas_at(shown.version.config_schema, path), shown.version.config_schema)
    return has_value(shown.asked, path) and not is_secret


def _as_yaml(form: RunForm, is_everything: bool) -> YamlForm:
    expected = [
        name.removeprefix("expected.")
        for name in form.data
        if name.startswith("expected.") and not form.data.get(name.replace("expected.", "declined.", 1))
    ]
    return YamlForm.showing(
        form.version,
        form.asked,
        text=form.yaml_text,
        document=None if isinstance(form, LaunchForm) else form.document,
        is_everything=is_everything,
        is_as_written=isinstance(form, LaunchForm),
        expected=expected,
        left_out=[] if isinstance(form, LaunchForm) else form.left_out,
    )


def _read_if_possible(text: str) -> YamlDocument:
    try:
        return read_draft(text)
    except YamlRefused:
        return YamlDocument(None)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")  # how every browser sends the lines of a textarea


def _title_of(part: str) -> str:
    return gettext("Entry %(number)s") % {"number": int(part) + 1} if part.isdecimal() else humanise(part)


def _value_at(configuration: Any, path: Sequence[str]) -> Any:
    """What stands there, MISSING where nothing does."""
    for key in path:
        members = configuration
        if isinstance(configuration, list):
            members = {str(index): entry for index, entry in enumerate(configuration)}
        if not isinstance(members, dict) or key not in members:
            return MISSING
        configuration = members[key]
    return configuration


def _with(configuration: Any, path: Sequence[str], value: Any) -> Any:
    key, *rest = path
    if isinstance(configuration, list):
        return [
            entry if str(index) != key else _with(entry, rest, value) if rest else value
            for index, entry in enumerate(configuration)
        ]
    inner = _with(configuration.get(key) or {}, rest, value) if rest else value
    return {**configuration, key: inner}


def _without(configuration: Any, path: Sequence[str]) -> Any:
    """Without a member of an object that is there."""
    *above, name = path
    kept = {key: member for key, member in _value_at(configuration, above).items() if key != name}
    return _with(configuration, above, kept)
