"""What people type into the pages about runs."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from django import forms

from runs_app.querysets import PipelineRunQuerySet
from runs_app.run_configuration import validate
from templates_app.models import RunTemplate, RunTemplateVersion
from templates_app.querysets import RunTemplateQuerySet
from templates_app.schema_forms import ConfigurationForm
from zenweb.enums import ExecutionStatus

STATUS_WORDS = {status: status.value.capitalize() for status in ExecutionStatus} | {
    ExecutionStatus.INITIALIZING: "Waiting"
}


class LaunchForm(ConfigurationForm):
    """Asks for the values of one run of one template version."""

    def __init__(
        self,
        version: RunTemplateVersion,
        data: Mapping[str, Any] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        self.version = version
        self.new_submit_token = str(uuid.uuid4())
        super().__init__(version.config_schema, validate=validate, data=data, configuration=configuration)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        number = str(self.version.number)
        if self.data.get("version", number) != number:
            self.add_error(
                None,
                f"This template has become version {number} while you filled in its form. "
                "Look at the values once more, then run it.",
            )
        return cleaned

    @property
    def idempotency_key(self) -> str:
        """The same form sent twice is one run; sent again with other values (after "back") it is another."""
        token = str(self.data.get("submit_token", ""))[:100]
        values = json.dumps(self.configuration, sort_keys=True).encode()
        return f"{token}:{hashlib.sha256(values).hexdigest()}" if token else ""


class RunFilterForm(forms.Form):
    """Which runs to list. A value that means nothing is ignored: it came from an old link."""

    q = forms.CharField(required=False, max_length=200)
    status = forms.ChoiceField(
        required=False, choices=[("", "All"), *((s.value, STATUS_WORDS[s]) for s in STATUS_WORDS)]
    )
    template = forms.ModelChoiceField(RunTemplate.objects.none(), required=False, empty_label="All")

    def __init__(self, data: Mapping[str, Any], templates: RunTemplateQuerySet) -> None:
        super().__init__(data)
        self.fields["template"].queryset = templates  # type: ignore[attr-defined]

    def apply(self, runs: PipelineRunQuerySet) -> PipelineRunQuerySet:
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
