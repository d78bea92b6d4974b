"""How text that somebody else wrote is laid out."""

import re

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from templates_app.markdown import render_markdown
from zenweb.config.file_references import FoundFile

register = template.Library()


@register.filter
def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text; within one, the line breaks of a docstring mean nothing."""
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


@register.filter
def quoted(texts: list[str]) -> str:
    return ", ".join(f"“{text}”" for text in texts)


@register.filter
def origin(found: FoundFile) -> str:
    """Where a file is from."""
    if found.is_upload:
        return gettext("uploaded")
    return gettext("version %(number)s of %(name)s") % {"number": found.version, "name": found.artifact}


@register.filter
def markdown(text: str) -> SafeString:
    return render_markdown(text)
