"""Inputs of a form, in the page's own style."""

from django import forms, template
from django.forms import BoundField
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def styled(field: BoundField) -> SafeString:
    """The input, which says itself whether it is wrong."""
    widget = field.field.widget
    own = widget.attrs.get("class", "")
    is_invalid = " is-invalid" if field.errors else ""
    return field.as_widget(attrs={"class": f"{_look(widget)}{is_invalid} {own}".rstrip()})


@register.filter
def is_box(field: BoundField) -> bool:
    """Whether its label stands beside the input."""
    return _look(field.field.widget) == "form-check-input"


def _look(widget: forms.Widget) -> str:
    if isinstance(widget, forms.CheckboxInput):
        return "form-check-input"
    return "form-select" if type(widget) is forms.Select else "form-control"
