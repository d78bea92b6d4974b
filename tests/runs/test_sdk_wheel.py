"""What environments get of ZenWeb."""

import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from threading import Barrier

import pytest

from runs_app.sdk_wheel import MODULES, sdk_wheel


def test_it_holds_what_the_import_contract_calls_the_sdk_and_nothing_else(
    pytestconfig: pytest.Config,
) -> None:
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    light = next(contract for contract in contracts if contract["name"].startswith("The SDK is light"))
    assert {f"zenweb.{name}" for name in MODULES} == set(light["source_modules"])
    names = zipfile.ZipFile(BytesIO(sdk_wheel().content)).namelist()
    files = [Path(name) for name in names if ".dist-info" not in name]
    assert {file.parts[1].removesuffix(".py") for file in files} == {*MODULES, "__init__", "py.typed"}
    assert len(names) == len(set(names))


def test_it_pins_what_it_needs_to_what_runs_here_and_needs_nothing_of_the_servers() -> None:
    wheel = zipfile.ZipFile(BytesIO(sdk_wheel().content))
    metadata = wheel.read("zenweb-0.1.0.dist-info/METADATA").decode()
    pins = {line.split(": ")[1] for line in metadata.splitlines() if line.startswith("Requires-Dist")}
    assert {f"{name}=={version(name)}" for name in ("pydantic", "pydantic-core", "httpx", "h11")} <= pins
    assert not any(pin.startswith(("django", "celery", "redis", "granian")) for pin in pins)


def test_equal_code_makes_an_equal_wheel_that_is_stored_once(tmp_path: Path) -> None:
    first = sdk_wheel()
    sdk_wheel.cache_clear()
    assert sdk_wheel().sha256 == first.sha256
    assert first.store(tmp_path) == sdk_wheel().store(tmp_path)
    assert [path.name for path in tmp_path.rglob("*.whl")] == ["zenweb-0.1.0-py3-none-any.whl"]


def test_any_number_may_store_it_at_once(tmp_path: Path) -> None:
    wheel = sdk_wheel()
    together = Barrier(8)

    def store(number: int) -> Path:
        together.wait()
        return wheel.store(tmp_path / str(number // 8))

    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(store, range(80)))
    assert {path.read_bytes() for path in stored} == {wheel.content}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 10
