"""A command line that is connected to the real application, with only the network left out."""

import sys
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from tests.factories import PIPELINES
from tests.in_process import network
from zenweb import connection
from zenweb.cli.main import main
from zenweb.transport import Transport

Zenweb = Callable[..., Result]


@pytest.fixture
def config_folder(tmp_path, monkeypatch):
    """Nobody is connected yet."""
    for name in ("ZENWEB_SERVER_URL", "ZENWEB_API_KEY", "ZENWEB_ACTIVE_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def zenweb(config_folder, stacks, monkeypatch) -> Zenweb:
    """Runs a command of somebody who has not signed in."""
    in_process = lambda url, key, http=None: Transport(url, key, network())  # noqa: E731
    monkeypatch.setattr("zenweb.cli.login.Transport", in_process)
    monkeypatch.setattr(
        "zenweb.execution.live_report.LOOK", 3600
    )  # another thread sees nothing of this transaction
    monkeypatch.setattr("zenweb.client.shared_transport", lambda it: in_process(it.server_url, it.api_key))
    return lambda *arguments, **options: CliRunner().invoke(main, arguments, **options)


@pytest.fixture
def alices(zenweb, alices_key) -> Zenweb:
    """Runs a command of Alice, in the folder of the tests' pipelines."""
    connection.save(server_url="http://localhost:8000", api_key=alices_key)
    return zenweb


@pytest.fixture
def in_pipelines_folder(monkeypatch):
    """Stands in the folder of the tests' pipelines; what was imported there is forgotten again."""
    monkeypatch.chdir(PIPELINES)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(PIPELINES) in str(sys.modules[name].__file__):
            del sys.modules[name]
