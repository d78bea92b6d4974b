"""Every page keeps to the content policy: no script or style stands in it that a stranger's text could be."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from runs_app.presets import create_preset
from runs_app.schedules import create_schedule
from templates_app.models import RunTemplate
from tests.factories import freeze, launch, make_template
from tests.web.test_runs_of_runs import started
from tests.wire.conftest import run_to_the_end
from zenweb.accounts.models import User
from zenweb.accounts.services import create_api_key

MOST_OF_A_ROUTE = 3
# They answer posts only, or no page but a file, or what a program reads.
NO_PAGES = {
    *("logout/", "account/keys/<uuid:key_id>/rotate/", "account/keys/<uuid:key_id>/revoke/"),
    *("account/keys/<uuid:key_id>/remove/", "account/sessions/end/", "account/sessions/<slug:handle>/end/"),
    "templates/<uuid:template_id>/presets/<uuid:preset_id>/delete",
    "login/",  # a stranger is shown it, see below
    "artifacts/<uuid:artifact_version_id>/preview",  # shown in a frame of its own, with a policy of its own
    *("health", "ready", "runs/<uuid:run_id>/stop", "steps/<uuid:step_id>/log"),
    "templates/<uuid:template_id>/form/export",
    "artifacts/<uuid:artifact_version_id>/file",
}


class Inline(HTMLParser):
    """What stands in a page itself: scripts and styles without the nonce, styles of elements, handlers; and links."""

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce = nonce
        self.found: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.found += [
            f"<{tag} {name}={value!r}>"
            for name, value in attributes
            if name == "style" or name.startswith("on")
        ]
        data = tag == "script" and given.get("type") in {"application/json", "text/plain"}
        is_inline = tag == "style" or (tag == "script" and not given.get("src") and not data)
        if is_inline and (not self.nonce or given.get("nonce") != self.nonce):
            self.found.append(f"<{tag}>")
        for name in ("href", "src", "hx-get", "action", "formaction"):
            value = given.get(name) or ""
            if value.strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")
        if tag == "a" or tag == "iframe":
            self.links.append(given.get("href") or given.get("src") or "")


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    for each in patterns or get_resolver().url_patterns:
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, before + str(each.pattern))
        elif isinstance(each, URLPattern):
            yield before + str(each.pattern)


@pytest.fixture
def boss(client: Client, template: RunTemplate, alice: User, settings: Any) -> Client:
    """An administrator, to whom everything is shown."""
    User.objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    alice.refresh_from_db()
    stack = template.deployment.stack
    stack.artifact_store_uri = settings.ARTIFACT_STORE_URI
    stack.save()
    run_to_the_end(template, alice)
    mapped = make_template(freeze("mapped.literal_pipeline", alice, stack), alice, "mapped")
    started(launch(template, alice), mapped, alice)
    create_preset(actor=alice, template=template, name="mine")
    create_schedule(actor=alice, template=template, name="nightly", cron="0 0 * * *")
    create_api_key(user=alice, name="mine")
    client.force_login(alice)
    return client


def check(answer: Any, path: str) -> list[str]:
    """The page's links, if it is one. It has a policy, and keeps to it."""
    if not answer.headers.get("Content-Type", "").startswith("text/html") or answer.streaming:
        return []
    policy = answer.headers["Content-Security-Policy"]
    if "sandbox" in policy:  # what a step made: shown in a frame of its own, as nobody's page
        assert "default-src 'none'" in policy
        return []
    rules = dict(re.findall(r"([\w-]+) ([^;]*)", policy))
    assert "unsafe" not in policy, policy
    assert rules["default-src"] == "'self'"
    assert (rules["object-src"], rules["base-uri"], rules["frame-ancestors"]) == ("'none'",) * 3
    nonce = re.search(r"'nonce-([^']+)'", rules["script-src"])
    page = Inline(nonce[1] if nonce else "")
    page.feed(answer.text)
    assert page.found == [], path
    return [urljoin(path, link) for link in page.links]


def crawl(client: Client, start: list[str]) -> set[str]:
    """Open and check what can be reached from there, some addresses of each route; the routes that were shown."""
    waiting, seen, shown = deque(start), set(start), Counter[str]()
    while waiting:
        path = waiting.popleft()
        route = route_of(path)
        if shown[route] >= MOST_OF_A_ROUTE:
            continue
        answer = client.get(path)
        shown[route] += answer.status_code != 404
        links = check(answer, path)
        if answer.status_code in {301, 302}:
            links = [urljoin(path, answer["Location"])]
        new = {link for link in links if not urlsplit(link).netloc} - seen
        seen |= new
        waiting += sorted(new)
    return {route for route, number in shown.items() if number}


def route_of(path: str) -> str:
    try:
        return resolve(urlsplit(path).path).route
    except Resolver404:
        return ""


def test_no_page_has_a_script_or_style_of_its_own(boss: Client, template: RunTemplate) -> None:
    shown = crawl(
        boss, ["/", "/api/v1/docs", "/admin/", "/device/", "/account/", "/pipelines/run", "/nowhere"]
    )
    pages = {route for route in routes() if not route.startswith(("api/", "^api", "admin/"))}
    assert pages - shown - NO_PAGES == set()
    assert len([route for route in shown if route.startswith("admin/")]) > 20


@pytest.mark.parametrize("path", ["/login/", "/nowhere", "/templates/"])
def test_nor_has_one_for_a_stranger(client: Client, db: None, path: str) -> None:
    check(client.get(path, follow=True), path)


def test_nor_has_one_that_refuses(boss: Client, template: RunTemplate) -> None:
    for answer in (
        boss.post(template.get_absolute_url(), {"steps.trainer.parameters.learning_rate": "<b>no number"}),
        boss.post("/account/", {"name": ""}),
        boss.post("/pipelines/run", {}),
        Client(enforce_csrf_checks=True).post("/login/", {}),
    ):
        assert answer.status_code >= 400
        check(answer, "/")
