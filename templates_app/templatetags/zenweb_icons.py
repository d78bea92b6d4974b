"""`{% icon "name" %}`: one symbol of the sprite that the build makes from Bootstrap's icons."""

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, css_class: str = "") -> SafeString:
    """Decoration only: the word it stands for is always beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        css_class,
        static("zenweb/icons.svg"),
        name,
    )
