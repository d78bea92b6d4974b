"""Markdown that somebody else wrote, as HTML in which nothing of the author's is HTML."""

from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# Pictures from elsewhere would tell others who looks at what, and the pages' own policy refuses them.
MARKDOWN = MarkdownIt("js-default").disable("image")
MARKDOWN.validateLink = lambda url: url.startswith(("https://", "http://", "mailto:"))  # type: ignore[method-assign]


@lru_cache(maxsize=1024)
def render_markdown(markdown: str) -> SafeString:
    """Tags are text, and links lead to the web only."""
    tokens = MARKDOWN.parse(markdown)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:  # below the headings of the page
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        if token.attrs.pop("style", "") == "text-align:right":  # the pages' policy refuses styles in the text
            token.attrSet("class", "number")
        for part in token.children or []:
            if part.type == "link_open":
                part.attrSet("rel", "nofollow noopener noreferrer")
    html: str = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    return mark_safe(html)  # noqa: S308  # by a renderer that escapes all there is
