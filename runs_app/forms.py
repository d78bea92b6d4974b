"""What people type into the pages about runs."""

import hashlib
import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from html import escape
from typing import Any, TypeVar

from django import forms
from django.forms.utils import ErrorDict, flatatt
from django.http import QueryDict
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from runs_app.differences import Difference, differences
from runs_app.drafts import (
    beside_the_form,
    changes,
    has_the_forms_shape,
    names_of,
    over,
    read_draft,
    without_secrets_in_text,
)
from runs_app.known_errors import known_errors
from runs_app.own_parameters import asked_of
from runs_app.querysets import PipelineRunQuerySet, RunCountQuerySet
from runs_app.repair import Repair, has_value, left_over, path_of, without_left_over
from runs_app.run_configuration import validate
from runs_app.wording import STATUSES
from templates_app.models import RunTemplateVersion
from templates_app.querysets import RunTemplateQuerySet
from templates_app.schema_forms import ConfigurationForm, FileSource, describe_changes
from templates_app.schema_forms.controls import ControlField
from templates_app.schema_forms.input_names import is_secret_input
from templates_app.schema_forms.scalars import SecretControl
from templates_app.schema_forms.schemas import MISSING, to_pointer
from templates_app.schema_places import HIDDEN, holds_secret, secrets_in, without_secrets
from zenweb.api.parsing import parse_json
from zenweb.config.yaml_text import YamlRefused, rewrite
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import FieldError, MalformedRequest

Runs = TypeVar("Runs", PipelineRunQuerySet, RunCountQuerySet)
# The other words are for steps and attempts only.
RUN_STATUSES = [
    ExecutionStatus.INITIALIZING,
    ExecutionStatus.RUNNING,
    ExecutionStatus.COMPLETED,
    ExecutionStatus.FAILED,
    ExecutionStatus.STOPPING,
    ExecutionStatus.STOPPED,
]


class Starting(forms.Form):
    """Starts a run: of the template version that was shown (None: of what is no template), and once."""

    version: RunTemplateVersion | None
    configuration: dict[str, Any]
    is_draft = False
    """Whether it is only looked at so far, and not judged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.new_submit_token = str(uuid.uuid4())
        super().__init__(*args, **options)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.is_outdated and not self.is_draft:
            self.add_error(
                None,
                [*self._changes(), gettext("Look at the values once more, then send the form again.")],
            )
        return cleaned

    @property
    def is_outdated(self) -> bool:
        """Whether the template has got a new version since the form was shown."""
        number = str(self.version.number) if self.version else ""
        return bool(self.data.get("version", number) != number)

    @property
    def outdated_title(self) -> str:
        """What stands above the form when it is outdated."""
        if not (self.is_outdated and self.version):
            return ""
        return gettext("This template has become version %(number)s while you filled in its form") % {
            "number": self.version.number
        }

    def _changes(self) -> list[str]:
        shown = str(self.data.get("version", ""))
        if self.version is None or not shown.isdecimal():
            return []
        before = self.version.template.versions.filter(number=int(shown[:9])).first()
        if before is None:
            return []
        changes = describe_changes(before.config_schema, self.version.config_schema)
        if not changes:
            return [gettext("Nothing that this form asks for has changed, but what it runs has.")]
        return [*changes, gettext("What you had filled in still stands below.")]

    @property
    def asked(self) -> Any:
        """What is asked for, to tell one run from another."""
        return self.configuration

    @property
    def idempotency_key(self) -> str:
        """The same form sent twice is one run; sent again with other values (after "back") it is another."""
        token = str(self.data.get("submit_token", ""))[:100]
        values = json.dumps(self.asked, sort_keys=True).encode()
        return f"{token}:{hashlib.sha256(values).hexdigest()}" if token else ""


class StartingForm(Starting, ConfigurationForm):
    """Starts a run with the values of a form."""

    @property
    def error_title(self) -> str:
        return self.outdated_title or super().error_title


class LaunchForm(StartingForm):
    """Asks for the values of one run of one template version; what it has no fields for, it keeps."""

    is_yaml = False
    version: RunTemplateVersion
    blame_title = ""
    lost_steps = ""
    """Why the steps that it showed are not known, if they are not."""

    def __init__(
        self,
        version: RunTemplateVersion,
        data: Mapping[str, Any] | None = None,
        uploads: Mapping[str, Any] | None = None,
        files: FileSource | None = None,
        configuration: Mapping[str, Any] | None = None,
        *,
        is_draft: bool = False,
    ) -> None:
        self.version, self.is_draft = version, is_draft
        # What the other view showed, and whether that was everything: for the way back.
        self.yaml_text = str((data or {}).get("yaml", "")).replace("\r\n", "\n")
        self.is_everything = bool((data or {}).get("everything"))
        self.unreadable_rest = ""
        self.rest = self._read_rest(data, configuration or {})
        super().__init__(
            version.config_schema,
            validate=self._check,
            data=data,
            uploads=uploads,
            files=files,
            configuration=configuration,
        )

    @property
    def asked(self) -> dict[str, Any]:
        # Where the pipeline's own parameters are others than those of the shown steps, what they started from there
        # is no value of theirs.
        asked: dict[str, Any] = asked_of(self.version, over(self.rest, self.configuration)).configuration
        return asked

    @property
    def own_parameters(self) -> dict[str, Any]:
        """The pipeline's own parameters as they stand in the form, readable or not."""
        own = [control.parameter.path for control in self.controls if not control.parameter.step]
        found: dict[str, Any] = self.standing(own).get("parameters", {}) if own else {}
        return found

    @property
    def put_together(self) -> str:
        deployment = self.version.deployment
        return deployment.parameters_key if deployment.derived_from_id else ""

    def standing(self, paths: Collection[tuple[str, ...]]) -> dict[str, Any]:
        """With what is kept beside the form: choices may depend on what is hidden."""
        return over(self.rest, super().standing(paths))

    @property
    def rest_as_json(self) -> str:
        """For a hidden input, where everybody can read it."""
        return json.dumps(without_secrets(self.version.config_schema, self.rest)) if self.rest else ""

    @property
    def rest_names(self) -> list[str]:
        """What stands in it, but for what is as it is by default."""
        schema = self.version.config_schema
        return names_of(schema, changes(schema, self.rest))

    def _check(self, config_schema: dict[str, Any], configuration: Any) -> list[FieldError]:
        if self.unreadable_rest or self.lost_steps:
            return [FieldError("", self.unreadable_rest or self.lost_steps)]
        if self.is_draft:
            return []
        return known_errors(self.version, over(self.rest, configuration))

    def _read_rest(self, data: Mapping[str, Any] | None, configuration: Mapping[str, Any]) -> dict[str, Any]:
        if data is None:
            return beside_the_form(self.version.config_schema, dict(configuration))
        try:
            rest = parse_json(str(data.get("rest", "")).encode(errors="replace")) or {}
        except MalformedRequest:
            rest = None
        if isinstance(rest, dict) and has_the_forms_shape(rest):
            return rest
        self.unreadable_rest = gettext(
            "What was kept beside the form cannot be read. Open the template again."
        )
        return {}

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]  # Django's, as it is documented
        if self.is_draft:
            self._take_texts_along()

    def _take_texts_along(self) -> None:
        """A text that is no value of its parameter is one in the other view, where its line says what is wrong."""
        for name in list(self.errors):
            field, text = self.fields[name], str(self.data.get(name, ""))
            if not isinstance(field, ControlField):
                continue
            along = field.control.text_along(text)
            if along is not MISSING:
                # A secret that is to be typed again is so in the other view, too.
                is_secret = isinstance(field.control, SecretControl)
                self.cleaned_data[name] = HIDDEN if is_secret and not text else along
                del self.errors[name]

    def look(self) -> None:
        """Read what stands in it, without a word about what is wrong."""
        self.is_valid()
        self._errors = ErrorDict()

    def is_right_but_for(self, may_be_empty: Callable[[str], bool]) -> bool:
        """Whether all that is wrong are empty fields that may be empty for once; then nothing is said of them."""
        if self.is_valid():
            return True
        errors = known_errors(self.version, self.configuration)
        paths = [path_of(error) for error in errors]
        missing = {".".join(path) for path in paths if not has_value(self.configuration, path)}
        excused = {name for name in missing if not self.data.get(name) and may_be_empty(name)}
        if not set(self.errors) <= excused:
            return False
        self._errors = ErrorDict()
        return True

    def is_secret(self, field_name: str) -> bool:
        return is_secret_input(self.version.config_schema, parts_of_input(field_name))

    def changed_from(self, configuration: Mapping[str, Any]) -> list[Difference]:
        """How what stands in it differs from another configuration of the same template."""
        return differences(self.version.config_schema, configuration, self.configuration)

    def blame(self, errors: Sequence[FieldError], title: str) -> None:
        """Show, in a form that nobody has sent yet, what an earlier run said about the values it starts from."""
        self.cleaned_data: dict[str, Any] = {}
        self.blame_title = title
        self.add_field_errors(errors)

    @property
    def error_title(self) -> str:
        return self.blame_title or super().error_title


def typed_values(config_schema: dict[str, Any], data: QueryDict) -> dict[str, list[str]]:
    """What was typed and may wait for its author: no secret, and no text that could hold one.

    Nothing at all where the text of the YAML view may not: it is all that there is.
    """
    kept = {
        name: data.getlist(name) for name in ("version", "view", "everything", "put_together") if name in data
    }
    kept |= _beside_the_inputs(config_schema, data)
    if data.get("view") == "yaml" and "yaml" not in kept:
        return {}
    for name in data:
        if name.startswith(("expected.", "declined.")):
            kept[name] = data.getlist(name)
        if not name.startswith(("steps.", "parameters.")):
            continue
        if not is_secret_input(config_schema, parts_of_input(name)):
            kept[name] = data.getlist(name)
        elif data[name]:
            kept[f"expected.{name}"] = ["1"]  # it is asked for again
    return kept


def _beside_the_inputs(config_schema: dict[str, Any], data: QueryDict) -> dict[str, list[str]]:
    """What the form has no fields for, and the text of the YAML view, both without secrets."""
    kept = {}
    with suppress(MalformedRequest):
        rest = parse_json(data.get("rest", "").encode(errors="replace"))
        kept["rest"] = [json.dumps(without_secrets(config_schema, rest)) if rest else ""]
    text = data.get("yaml", "")
    try:
        document = read_draft(text)
    except YamlRefused:
        return kept if holds_secret([config_schema], config_schema) else kept | {"yaml": [text]}
    if secrets := secrets_in(config_schema, document.value):
        text = rewrite(text, without_secrets_in_text(config_schema, document.value), document)
    left_out = [*data.getlist("left_out"), *map(to_pointer, secrets)]
    expected = {f"expected.{'.'.join(path)}": ["1"] for path in secrets}
    return kept | {"yaml": [text], "left_out": left_out} | expected


def parts_of_input(name: str) -> tuple[str, ...]:
    """What the name of an input consists of."""
    if name.startswith("parameters."):
        return tuple(name.split("."))
    step, _, rest = name.removeprefix("steps.").partition(".parameters.")
    return ("steps", step, "parameters", *rest.split("."))


class RepairForm(StartingForm):
    """Asks where a repair starts, and for values, starting from those of the original."""

    keeps_values = True

    def __init__(
        self,
        repair: Repair,
        data: Mapping[str, Any] | None = None,
        uploads: Mapping[str, Any] | None = None,
        files: FileSource | None = None,
    ) -> None:
        self._given = repair
        self.version = repair.version
        super().__init__(
            repair.config_schema,
            validate=self._check,
            data=data,
            uploads=uploads,
            files=files,
            configuration=repair.start,
        )
        steps = [(step.name, step.title) for step in self.steps if step.name]
        self.fields["from"] = forms.ChoiceField(
            required=False,
            label=gettext("Where to start"),
            choices=[("", gettext("What did not complete")), *steps],
        )

    @property
    def repair(self) -> Repair:
        """What is asked for by now: wrong values included, for the validator to find."""
        from_steps = self._given.from_steps
        if self.is_bound:
            from_steps = tuple(filter(None, [self.cleaned_data.get("from")]))
        return replace(
            self._given,
            from_steps=from_steps,
            configuration=self._over_the_original(self.configuration),
        )

    @property
    def asked(self) -> Any:
        return self.repair.body

    @property
    def plain_steps(self) -> list[str]:
        """The plan beside the form names every step."""
        return []

    @property
    def left_over(self) -> dict[str, list[str]]:
        """What the original was asked for and this version has no field for."""
        return left_over(self._given.start, self._given.known)

    def standing(self, paths: Collection[tuple[str, ...]]) -> Any:
        """What is not in the form is the original's."""
        return replace(self._given, configuration=super().standing(paths)).values

    def _check(self, config_schema: dict[str, Any], configuration: Any) -> list[FieldError]:
        """A value that is not in the form (a secret left as it was) is the original's."""
        values = replace(self._given, configuration=self._over_the_original(configuration)).values
        return validate(config_schema, values)

    def _over_the_original(self, configuration: dict[str, Any]) -> dict[str, Any]:
        return without_left_over(configuration, self._given.start, self._given.known)


SELECTED = " selected"


class LongSelect(forms.Select):
    """Its options are put together here: with templates, those of 200 take as long as the rest of a page."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        chosen = value or ""
        options = "\n".join(
            f'<option value="{escape(str(key))}"{SELECTED if str(key) == chosen else ""}>{escape(str(label))}</option>'
            for key, label in self.choices
        )
        attributes = flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
        return SafeString(f"<select{attributes}>{options}</select>")


class RunFilterForm(forms.Form):
    """Which runs to list. A value that means nothing is ignored: it came from an old link."""

    q = forms.CharField(required=False, max_length=200)
    status = forms.ChoiceField(
        required=False, choices=[("", gettext_lazy("All")), *((s.value, STATUSES[s]) for s in RUN_STATUSES)]
    )
    template = forms.ChoiceField(required=False, widget=LongSelect)

    def __init__(self, data: Mapping[str, Any], templates: RunTemplateQuerySet) -> None:
        super().__init__(data)
        names = templates.values_list("pk", "name")
        self.fields["template"].choices = lambda: [("", gettext("All")), *names]  # type: ignore[attr-defined]

    def apply(self, runs: Runs) -> Runs:
        """Those of the runs, or of the counts of runs, that are meant."""
        self.full_clean()
        chosen = self.cleaned_data
        if text := chosen.get("q"):
            runs = runs.search(text)
        if status := chosen.get("status"):
            runs = runs.filter(status=status)
        if template := chosen.get("template"):
            runs = runs.filter(template=template)
        return runs

    @property
    def is_narrowing(self) -> bool:
        return any(self.cleaned_data.values())

    @property
    def has_words(self) -> bool:
        """Whether words are looked for, by which no runs are counted."""
        return bool(self.cleaned_data.get("q"))
