"""What real projects ask for: each with its own control, and the same after it was shown and sent."""

from typing import Any

import pytest
from crispy_forms.utils import render_crispy_form
from django.http import QueryDict
from pydantic import TypeAdapter

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_forms.json_editor import JsonControl
from tests.templates.corpus import CORPUS
from tests.templates.sending import sent
from tests.templates.test_nested_forms import configuration, schema_of, value_of

WITH_JSON = {"anything by name", "anything"}  # of which nobody knows what it is


def form_of(name: str, data: QueryDict | None = None, **keywords: Any) -> ConfigurationForm:
    kind, value = CORPUS[name]
    written = TypeAdapter(kind).dump_python(value, mode="json", by_alias=True, round_trip=True)
    schema = schema_of(kind, **({"default": written} if keywords.pop("is_default", False) else {}))
    return ConfigurationForm(
        schema, validate=validate, data=data, configuration=configuration(written), **keywords
    )


@pytest.mark.parametrize("is_default", [True, False], ids=["default", "given"])
@pytest.mark.parametrize("name", CORPUS)
def test_what_is_sent_unchanged_is_the_same(name: str, is_default: bool) -> None:
    kind, value = CORPUS[name]
    page = str(render_crispy_form(form_of(name, is_default=is_default)))
    read = value_of(form_of(name, sent(page), is_default=is_default))
    assert TypeAdapter(kind).validate_python(read) == value


def test_few_need_the_json_editor() -> None:
    with_json = {
        name
        for name in CORPUS
        if any(
            isinstance(getattr(field, "control", None), JsonControl)
            for field in form_of(name).fields.values()
        )
    }
    assert with_json <= WITH_JSON
    assert len(CORPUS) >= 60
