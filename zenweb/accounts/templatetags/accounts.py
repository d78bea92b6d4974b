"""How keys and sessions are worded."""

import re

from django import template
from django.utils.translation import gettext

from zenweb.accounts.models import ApiKey

register = template.Library()

# The first that fits: most browsers also claim to be the others.
BROWSERS = [
    (re.compile(r"\bEdg"), "Edge"),
    (re.compile(r"\bOPR/"), "Opera"),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), "Firefox"),
    (re.compile(r"\b(?:Headless)?Chrom(?:e|ium)/|\bCriOS/"), "Chrome"),
    (re.compile(r"\bSafari/"), "Safari"),
]
SYSTEMS = [
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\b(?:iPhone|iPad)\b"), "iOS"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bMac OS X\b"), "macOS"),
    (re.compile(r"\bLinux\b"), "Linux"),
]


@register.filter
def template_names(key: ApiKey) -> str:
    """Of the run templates that a key is bound to."""
    names = ", ".join(template.name for template in key.templates.all())
    return names or gettext("run templates that are deleted")


@register.filter
def browser_words(program: str) -> str:
    """Firefox on Linux."""
    browser = next((name for pattern, name in BROWSERS if pattern.search(program)), None)
    system = next((name for pattern, name in SYSTEMS if pattern.search(program)), None)
    if browser and system:
        return gettext("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or gettext("A browser")
