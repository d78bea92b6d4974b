"""`zenweb run-template run FILE --local`: a template with its code, on a machine that knows no server."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.factories import PIPELINES
from zenweb import connection
from zenweb.cli.main import main
from zenweb.config.code_archive import pack, unpack
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.importing import importing_for_execution
from zenweb.config.source import import_source
from zenweb.config.template_bundle import bundle, write_bundle
from zenweb.config.template_file import FrozenPipeline, TemplateDocument
from zenweb.pipelines import Pipeline

SECRET = "swordfish-7"
Document = dict[str, Any]
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> tuple[Document, bytes]:
    """What a server would export of the pipeline."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copy(PIPELINES / "portable.py", folder)
    (folder / "greeting.txt").write_text("hello")
    sys.path.insert(0, str(folder))
    with importing_for_execution():
        spec = import_source("portable.portable_pipeline", Pipeline).compile()
    sys.path.remove(str(folder))
    archive = pack(folder)
    frozen = {
        "name": spec.name,
        "code": f"sha256:{archive.sha256}",
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "client_version": "0",
        "config_template": build_config_template(spec),
        "spec": spec.model_dump(mode="json"),
        "config_schema": build_config_schema(spec),
    }
    return frozen, archive.content


@pytest.fixture
def make(code: tuple[Document, bytes], tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle of it; what is given is said of the template, `requirements` of the pipeline."""

    def write(requirements: tuple[str, ...] = (), frozen: tuple[Document, bytes] = code, **said: Any) -> Path:
        pipeline = FrozenPipeline(**frozen[0], requirements=list(requirements))
        document = TemplateDocument(format=1, name="portable", pipeline=pipeline, **said)
        path = tmp_path / "portable.zip"
        path.write_bytes(write_bundle(bundle(document, frozen[1])))
        return path

    return write


@pytest.fixture
def run(config_folder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a bundle from a folder of its own, in which the code is not."""
    monkeypatch.chdir(tmp_path)
    arguments = ("run-template", "run")

    def invoke(path: Path, *more: str) -> Result:
        sys.modules.pop("portable", None)
        return CliRunner().invoke(main, [*arguments, str(path), "--local", *more])

    return invoke


def recorded(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return told | {"steps": {step["name"]: step for step in told["steps"]}}


def test_without_a_server_its_steps_run_and_their_results_are_shown_and_kept(
    make: Any, run: Run, tmp_path: Path
) -> None:
    result = run(make(), "--load.rows", "4", "--set", "fit.rate=0.5", "--into", "out")
    assert result.exit_code == 0, result.output
    assert '"Score 0: 3, hello"' in result.stdout
    told = recorded(tmp_path / "out")
    assert (told["status"], told["steps"]["load"]["metadata"]["orders"]) == ("completed", "")
    assert f"{datetime.now().astimezone():%Y-%m-%d}" in str(told["steps"]["load"]["metadata"]["day"])
    assert "tell.scores" in result.stdout  # which it saved by itself
    assert json.loads((tmp_path / "out/load/1/table/data.json").read_text()) == [0, 1, 2, 3]
    assert (tmp_path / "out/fit/log.txt").read_text() == "fitting with no key\n"
    assert Path.cwd() == tmp_path


def test_values_come_from_the_owner_a_preset_and_the_command_line(make: Any, run: Run) -> None:
    path = make(
        presets={
            "big": {"steps": {"load": {"parameters": {"rows": 90}}, "fit": {"parameters": {"rate": 1}}}}
        },
        curation={"parameters": {"fit.rate": {"default": 0.2}, "tell.words": {"locked": "Fixed"}}},
    )
    shown = json.loads(run(path, "--dry-run", "-o", "json").stdout)["steps"]
    assert (shown["load"]["rows"], shown["fit"]["rate"], shown["tell"]["words"]) == (3, 0.2, "Fixed")
    shown = json.loads(run(path, "--preset", "big", "--fit.rate", "0.5", "--dry-run", "-o", "json").stdout)[
        "steps"
    ]
    assert (shown["load"]["rows"], shown["fit"]["rate"]) == (90, 0.5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--load.rows", "1000"), "--load.rows: Input should be less than or equal to 100."),
        (("--fit.rate", "0.9"), "--fit.rate: Input should be less than or equal to 0.5."),
        (("--set", "tell.words=Other"), "/tell/parameters/words: The template's owner has fixed this value."),
        (
            ("--set", "steps.fitt.enable_cache=true"),
            "/steps/fitt: There is no such step. Did you mean 'fit'?",
        ),
        (("--set", "steps.fit.parameters.rat=1"), "There is no such parameter. Did you mean 'rate'?"),
        (("--set", "stepz.fit=1"), "/stepz: "),
        (("--set", "parameters.times=many"), "times: Input should be a valid integer"),
        (("--preset", "bgi"), "The file has no preset 'bgi'. Did you mean 'big'?"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_runs(
    make: Any, run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    rules = {"fit.rate": {"maximum": 0.5}, "tell.words": {"locked": "Fixed"}}
    path = make(presets={"big": {}}, curation={"parameters": rules})
    result = run(path, *arguments, "--into", "out")
    assert (result.exit_code, told in result.stderr) == (2, True), result.output
    assert not (tmp_path / "out").exists()


def test_a_step_that_fails_is_tried_again_then_its_hook_runs_and_the_rest_is_left_out(
    make: Any, run: Run, tmp_path: Path
) -> None:
    result = run(make(), "--fit.fails", "always", "--into", "out")
    assert result.exit_code == 1
    assert 'raise ValueError(f"no luck in attempt {attempt}")' in result.stderr  # where it is in the code
    assert result.stderr.endswith("fit: ValueError: no luck in attempt 2\n")
    steps = recorded(tmp_path / "out")["steps"]
    assert steps["fit"]["outputs"] == {}  # what a step saves counts if it completes
    assert {name: step["status"] for name, step in steps.items()} == {
        "load": "completed",
        "fit": "failed",
        "tell": "stopped",
    }
    assert (tmp_path / "out/fit/log.txt").read_text().count("regretting no luck in attempt 2") == 1
    assert run(make(), "--fit.fails", "once").exit_code == 0


def test_files_of_this_machine_are_given_as_on_the_server(make: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b")
    assert run(make(), "--load.orders", "@orders.csv", "--into", "out").exit_code == 0
    assert recorded(tmp_path / "out")["steps"]["load"]["metadata"]["orders"] == "a,b"


def test_secrets_come_from_the_environment_and_are_kept_nowhere(
    make: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", SECRET)
    assert run(make(), "--set-env", "fit.key=KEY", "--into", "out").exit_code == 0
    assert SECRET not in run(make(), "--set-env", "fit.key=KEY", "--dry-run").output
    assert (tmp_path / "out/fit/log.txt").read_text() == "fitting with ••••••\n"
    kept = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in kept)


def test_parameters_of_the_pipeline_itself_put_it_together_again(make: Any, run: Run, tmp_path: Path) -> None:
    assert run(make(), "--times", "2", "--into", "out").exit_code == 0
    assert len(recorded(tmp_path / "out")["steps"]) == 6


def test_ctrl_c_stops_the_run(make: Any, run: Run, tmp_path: Path) -> None:
    result = run(make(), "--interrupted", "--into", "out", "-o", "id")
    told = recorded(tmp_path / "out")
    assert (result.exit_code, result.stdout, told["status"]) == (3, f"{told['id']}\n", "stopped")


def test_what_only_a_server_has_is_told_before_anything_runs(
    make: Any, run: Run, code: tuple[Document, bytes]
) -> None:
    load, *others = code[0]["spec"]["steps"]
    given = {**load, "artifacts": {"orders": "9f1c7a52-0d4e-4b6a-8a3e-5d2c1b0a9f8e"}}
    frozen = ({**code[0], "spec": {**code[0]["spec"], "steps": [given, *others]}}, code[1])
    result = run(make(frozen=frozen))
    assert (result.exit_code, "load.orders: It gets a stored artifact" in result.stderr) == (2, True), (
        result.stderr
    )


def test_a_step_that_asks_a_server_is_told_that_its_run_has_none_also_where_one_is_signed_in(
    make: Any, run: Run, code: tuple[Document, bytes], tmp_path: Path
) -> None:
    connection.save(server_url="https://zenweb.example.com", api_key="ZENKEY_x")
    unpack(code[1], tmp_path / "code", sha256=code[0]["code"].removeprefix("sha256:"))
    (source := tmp_path / "code/portable.py").chmod(0o600)
    asking = "from zenweb.client import Client; Client()"
    source.write_text(source.read_text().replace("attempt = get_step_context().attempt", asking))
    archive = pack(tmp_path / "code")
    frozen = ({**code[0], "code": f"sha256:{archive.sha256}"}, archive.content)
    result = run(make(frozen=frozen))
    assert (result.exit_code, "fit: RunHasNoServer: This run has no ZenWeb server" in result.stderr) == (
        1,
        True,
    )
    assert connection.load().api_key == "ZENKEY_x"


def test_packages_that_are_missing_are_listed_with_how_to_get_them(make: Any, run: Run) -> None:
    result = run(make(requirements=("no-such-package>=2", "click>=99", "pydantic")))
    assert result.exit_code == 1
    assert "no-such-package>=2, click>=99 (there is " in result.stderr
    assert result.stderr.endswith("pip install 'no-such-package>=2' 'click>=99'\n")


@pytest.mark.parametrize(
    ("name", "content"), [("none.zip", None), ("other.zip", b"no zip"), ("t.yaml", b"{format: 1, name: t}")]
)
def test_what_is_no_bundle_is_refused_with_a_sentence(
    run: Run, tmp_path: Path, name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = run(tmp_path / name)
    assert (result.exit_code, name in result.stderr, result.stderr.count("\n")) == (2, True, 1), result.stderr


def test_a_folder_that_holds_something_is_left_alone(make: Any, run: Run, tmp_path: Path) -> None:
    assert run(make(), "--into", ".").exit_code == 2
    assert run(make(), "--timeout", "5").exit_code == 2


def test_each_run_has_a_folder_of_its_own_among_the_artifacts_whatever_it_is_called(
    make: Any, run: Run
) -> None:
    results = [run(make(), "--set", "run_name=../../outside", "-o", "json") for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0], results[0].output
    first, second = (Path(json.loads(result.stdout)["folder"]) for result in results)
    assert first.parent == second.parent == connection.config_folder().resolve() / "artifacts"
    assert first.name.startswith("outside-")
    assert first != second


def test_where_the_real_zenml_is_installed_nothing_of_the_try_remains(
    make: Any, run: Run, code: tuple[Document, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site/zenml").mkdir(parents=True)
    (tmp_path / "site/zenml/__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    path, frozen = list(sys.path), ({**code[0], "spec": {**code[0]["spec"], "imports_zenml": True}}, code[1])
    result = run(make(frozen=frozen))
    assert (result.exit_code, "ZenML" in result.stderr) == (1, True), result.output
    assert (sys.path, Path.cwd()) == (path, tmp_path)


@pytest.mark.parametrize("package", ["zenweb", "zenml"])
def test_a_laptop_without_any_server(
    make: Any, code: tuple[Document, bytes], tmp_path: Path, package: str
) -> None:
    """In a process of its own, as it is typed; also of code that was frozen with the alias on."""
    if package == "zenml":
        unpack(code[1], tmp_path / "code", sha256=code[0]["code"].removeprefix("sha256:"))
        (source := tmp_path / "code/portable.py").chmod(0o600)
        source.write_text(source.read_text().replace("from zenweb import", "from zenml import"))
        archive = pack(tmp_path / "code")
        spec = {**code[0]["spec"], "imports_zenml": True}
        code = ({**code[0], "spec": spec, "code": f"sha256:{archive.sha256}"}, archive.content)
    given = {name: value for name, value in os.environ.items() if not name.startswith(("ZENWEB_", "DJANGO_"))}
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "zenweb.cli",
            "run-template",
            "run",
            str(make(frozen=code)),
            "--local",
            "-o",
            "json",
        ],
        cwd=tmp_path,
        env={**given, "ZENWEB_CONFIG_DIR": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = json.loads(process.stdout)
    assert (told["status"], Path(told["folder"]).parent) == ("completed", tmp_path / "config/artifacts")
    assert "fitting with no key" in process.stderr
