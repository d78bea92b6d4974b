"""From JSON Schema to a form in the browser, and from what is typed there back to JSON values."""

from templates_app.schema_forms.changes import describe_changes
from templates_app.schema_forms.configuration_form import CHECK, ConfigurationForm
from templates_app.schema_forms.controls import ChoiceSource, FileSource

__all__ = ["CHECK", "ChoiceSource", "ConfigurationForm", "FileSource", "describe_changes"]
