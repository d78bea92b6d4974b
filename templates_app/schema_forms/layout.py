"""How the form is laid out: a summary of what is wrong, then its sections."""

from collections.abc import Sequence
from typing import Any

from crispy_forms.layout import LayoutObject
from crispy_forms.utils import TEMPLATE_PACK
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from templates_app.schema_forms.controls import Control

MOST_TITLES = 12  # of steps that ask for nothing, before the rest is folded


class ErrorSummary(LayoutObject):
    """What is wrong, all of it, with links to the fields."""

    template = "templates_app/schema_form/error_summary.html"

    def __init__(self) -> None:
        self.fields: list[Any] = []

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        return render_to_string(self.template, {"form": form})


class Section(LayoutObject):
    """The parameters of one step, or those that the template's owner has put together."""

    template = "templates_app/schema_form/section.html"

    def __init__(
        self, key: str, title: str, text: str, controls: Sequence[Control], *, is_markdown: bool = False
    ) -> None:
        self.key, self.title, self.text, self.is_markdown = key, title, text, is_markdown
        self.fields = [control.layout() for control in controls]

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        fields = self.get_rendered_fields(form, context, template_pack, **kwargs)
        return render_to_string(self.template, {"section": self, "fields": fields})


class Composition(LayoutObject):
    """Whether the steps below are those that the pipeline has with the parameters above."""

    template = "templates_app/schema_form/composition.html"

    def __init__(self) -> None:
        self.fields: list[Any] = []

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        return render_to_string(self.template, {"form": form})


class PlainSteps(LayoutObject):
    """The steps that run without asking for anything."""

    template = "templates_app/schema_form/plain_steps.html"

    def __init__(self) -> None:
        self.fields: list[Any] = []

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        titles = form.plain_steps
        shown = len(titles) if len(titles) <= MOST_TITLES + 1 else MOST_TITLES
        context = {"titles": titles[:shown], "more": titles[shown:], "is_alone": not form.controls}
        return render_to_string(self.template, context)
