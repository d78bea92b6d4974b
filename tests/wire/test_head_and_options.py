"""HEAD and OPTIONS, which proxies and checks of availability ask, on every route."""

from django.test import Client

from runs_app.models import PipelineRun
from tests.accounts.conftest import API
from tests.routes import filled, routes

OPEN = {"info", "version", "login", "device_authorization", "openapi.json", "openapi.yaml", "docs"}
READ = [route for route in routes() if route.method == "GET"]


def test_without_credentials_they_are_told_what_get_is_told(client: Client, ended: PipelineRun) -> None:
    for route in routes():
        path, _ = filled(route, ended)
        expected = 200 if route.pattern in OPEN else 401
        head, options = client.head(f"{API}/{path}"), client.options(f"{API}/{path}")
        assert options.status_code == expected, route
        assert route.method in options["Allow"], route
        assert head.status_code == (405 if expected == 200 and route.method == "POST" else expected), route
        if expected == 401:
            assert options.json()["detail"][0] == "CredentialsNotValid", route
            assert (head["WWW-Authenticate"], head.content) == ("Bearer", b""), route


def test_head_is_get_without_its_content(rest: Client, ended: PipelineRun) -> None:
    for route in READ:
        path, _ = filled(route, ended)
        head, asked = rest.head(f"{API}/{path}"), rest.get(f"{API}/{path}")
        assert (head.status_code, head.get("Content-Type")) == (asked.status_code, asked.get("Content-Type"))
        assert b"".join(head) == b"", route
        b"".join(asked)  # or a long answer keeps its place
