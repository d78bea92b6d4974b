"""`zenweb.compat`: code that says `zenml` gets ZenWeb, in processes of their own, since an import cannot be undone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zenweb.config.zenml_alias import MODULES
from zenweb.execution.warm_parent import Orders

Ended = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str, **files: str) -> Ended:
    """Python with these arguments in a folder with these files."""
    for name, content in files.items():
        (folder / f"{name}.py").write_text(content)
    command = [sys.executable, *arguments]
    environment = {**os.environ, "ZENWEB_CONFIG_DIR": str(folder / "config"), "ZENWEB_SERVER_URL": ""}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def install_real_zenml(folder: Path) -> None:
    (folder / "zenml").mkdir()
    (folder / "zenml" / "__init__.py").write_text("step = 'the real one'")


def printed(ended: Ended) -> list[str]:
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_both_names_are_one_module(tmp_path):
    pairs = sorted(MODULES.items())
    code = f"""
import zenweb.compat, importlib
for theirs, ours in {pairs}:
    module = importlib.import_module(theirs)
    assert module is importlib.import_module(ours), theirs
    assert module.__name__ == module.__spec__.name == ours, theirs
from zenml import pipeline, step, get_step_context, load_artifact, log_metadata, save_artifact
from zenml.config import DockerSettings, ResourceSettings
from zenml.client import Client
from zenweb.client import Client as Ours
print(Client is Ours)
"""
    assert printed(run(tmp_path, "run.py", run=code)) == ["True"]


def test_it_stays_light(tmp_path):
    code = "import sys, zenweb.compat; from zenml import pipeline, step; print('pydantic' in sys.modules)"
    assert printed(run(tmp_path, "-c", code)) == ["False"]


def test_a_module_that_there_is_not_is_told_in_a_sentence(tmp_path):
    ended = run(tmp_path, "-c", "import zenweb.compat; import zenml.clinet")
    assert "ModuleNotFoundError: ZenWeb has no module 'zenml.clinet'" in ended.stderr
    assert "Did you mean 'zenml.client'?" in ended.stderr


def test_whoever_asks_whether_there_is_a_module_is_told_that_there_is_not(tmp_path):
    code = """
from importlib.util import find_spec
import zenweb.compat
print(find_spec("zenml.integrations"), find_spec("zenml.client").name)
try:
    import zenml.integrations
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert printed(run(tmp_path, "-c", code)) == ["None zenml.client", "zenml.integrations"]


def test_the_servers_own_modules_are_not_among_them(tmp_path):
    ended = run(tmp_path, "-c", "import zenweb.compat; import zenml.settings")
    assert "ZenWeb has no module 'zenml.settings'" in ended.stderr


def test_without_it_there_is_no_zenml(tmp_path):
    assert "No module named 'zenml'" in run(tmp_path, "-c", "import zenweb, zenml").stderr


def test_the_real_zenml_is_left_alone(tmp_path):
    install_real_zenml(tmp_path)
    ended = run(tmp_path, "-c", "import zenweb.compat; from zenml import step; print(step)")
    assert printed(ended) == ["the real one"]
    assert "The real ZenML is installed here" in ended.stderr


def test_nothing_is_run_in_place_of_the_real_zenml(tmp_path):
    install_real_zenml(tmp_path)
    ended = run(tmp_path, "-m", "zenweb.compat", "run.py", run="print('I ran')")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "The real ZenML is installed here" in ended.stderr


def test_a_folder_named_zenml_is_not_the_real_one(tmp_path):
    (tmp_path / "zenml").mkdir()
    assert printed(run(tmp_path, "-c", "import zenweb.compat, zenml; print(zenml.__name__)")) == ["zenweb"]


def test_a_script_runs_unchanged_with_its_arguments(tmp_path):
    code = "import sys, beside; from zenml import step; print(__name__, sys.argv[1:], step.__module__)"
    ended = run(tmp_path, "-m", "zenweb.compat", "run.py", "--fast", run=code, beside="")
    assert printed(ended) == ["__main__ ['--fast'] zenweb.steps"]


def test_a_module_runs_unchanged(tmp_path):
    code = "import sys; from zenml import step; print(__name__, sys.argv[1:])"
    assert printed(run(tmp_path, "-m", "zenweb.compat", "-m", "run", "x", run=code)) == ["__main__ ['x']"]


def test_a_command_finds_zenwebs_as_zenml(tmp_path):
    ended = run(tmp_path, "-m", "zenweb.compat", "--", "sh", "-c", "zenml --version; exit 7")
    assert ended.stdout.startswith("zenweb, version")
    assert ended.returncode == 7


def test_a_command_that_is_the_real_zenmls_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "zenml").write_text("#!/bin/sh\n")
    (tmp_path / "zenml").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ended = run(tmp_path, "-m", "zenweb.compat", "--", "sh", "-c", "echo I ran")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "The real ZenML's command is installed" in ended.stderr


@pytest.mark.parametrize("frozen_so", [True, False])
def test_what_it_freezes_says_so(tmp_path, frozen_so):
    code = """
from zenweb import pipeline, step

@step
def one() -> int:
    return 1

@pipeline
def ones():
    one()

print(ones.compile().imports_zenml)
"""
    arguments = ("-m", "zenweb.compat", "run.py") if frozen_so else ("run.py",)
    assert printed(run(tmp_path, *arguments, run=code)) == [str(frozen_so)]


def test_a_steps_process_switches_it_on_before_the_import(tmp_path):
    orders = Orders(code_root="", module="frozen", scratch="", lease=1, imports_zenml=True)
    code = f"""
from zenweb.execution.warm_parent import Orders, import_module
import_module(Orders.model_validate_json({orders.model_dump_json()!r}))
print("imported")
"""
    assert printed(run(tmp_path, "-c", code, frozen="from zenml import step")) == ["imported"]


def test_a_steps_process_with_the_real_zenml_says_what_is_wrong(tmp_path):
    install_real_zenml(tmp_path)
    orders = Orders(code_root="", module="frozen", scratch="", lease=1, imports_zenml=True)
    code = f"""
from zenweb.execution.warm_parent import Orders, import_module
import_module(Orders.model_validate_json({orders.model_dump_json()!r}))
"""
    ended = run(tmp_path, "-c", code, frozen="print('imported')")
    assert "RealZenMLInstalled: The real ZenML is installed here" in ended.stderr
    assert ended.stdout == ""


def test_a_type_checker_knows_the_names_from_stubs(tmp_path):
    assert run(tmp_path, "-m", "zenweb.compat", "--stubs", "typings").returncode == 0
    code = """
from zenml import pipeline, step
from zenml.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenml.client import Client

@step
def one(given: UnmaterializedArtifact) -> str:
    return given.id

reveal_type(one)
Client().get_run_template("daily").no_such_thing
"""
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\nmypy_path = typings\n")
    ended = run(tmp_path, "-m", "mypy", "--cache-dir", "mypy", "run.py", run=code)
    assert "zenweb.steps.Step[[given: zenweb.artifacts" in ended.stdout
    assert '"RunTemplateResponse" has no attribute "no_such_thing"' in ended.stdout
    assert "Found 1 error" in ended.stdout


TRACKED = """
from typing import Annotated
from zenml import ArtifactConfig, pipeline, step

@step(experiment_tracker="mlflow", enable_step_logs=False)
def train() -> Annotated[int, ArtifactConfig(name="model", version="1")]:
    return 1

@pipeline(cache_policy="none")
def training():
    train()

[step] = training.compile().steps
print(step.outputs[0].name, step.outputs[0].artifact_name)
"""


def test_what_only_zenml_knows_is_accepted_and_told(tmp_path):
    ended = run(tmp_path, "-m", "zenweb.compat", "run.py", run=TRACKED)
    assert printed(ended) == ["model model"]
    assert ended.stderr.splitlines() == [
        "@step, experiment_tracker: accepted, no effect",
        "@step, enable_step_logs: accepted, no effect",
        "@pipeline, cache_policy: accepted, no effect",
        "Step 'train', output 'model', version: accepted, no effect",
    ]


def test_without_it_such_an_option_is_refused(tmp_path):
    ended = run(tmp_path, "run.py", run=TRACKED.replace("zenml", "zenweb"))
    assert "@step has no option 'experiment_tracker'" in ended.stderr


PIPELINE = """
from zenml import pipeline, step

@step
def one() -> int:
    return 1

@pipeline
def ones():
    one()
"""


@pytest.mark.parametrize("command", ["zenml", "zenweb"])
def test_both_commands_import_pipelines_that_say_zenml(tmp_path, command):
    making = (command, "pipeline", "create-run-template", "run.ones", "--name=ones")
    ended = run(tmp_path, "-m", "zenweb.compat", "--", *making, run=PIPELINE)
    assert "No ZenWeb server is configured" in ended.stderr  # which is asked after the import


def test_a_command_without_it_says_how_to_have_it(tmp_path):
    making = ("pipeline", "create-run-template", "run.ones", "--name=ones")
    ended = run(tmp_path, "-m", "zenweb.cli", *making, run=PIPELINE)
    assert "No module named 'zenml'" in ended.stderr
    assert "put `python -m zenweb.compat --` before the command" in ended.stderr


EXPORT = """
import sys
from pathlib import Path
from frozen.run import ones
from zenweb.config.code_archive import pack
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.template_bundle import bundle, write_bundle
from zenweb.config.template_file import FrozenPipeline, TemplateDocument

spec, archive = ones.compile(), pack(Path.cwd())
pipeline = FrozenPipeline(
    name=spec.name,
    code=f"sha256:{archive.sha256}",
    python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
    client_version="0",
    config_template=build_config_template(spec),
    spec=spec.model_dump(mode="json"),
    config_schema=build_config_schema(spec),
)
document = TemplateDocument(format=1, name="ones", pipeline=pipeline)
Path("ones.zip").write_bytes(write_bundle(bundle(document, archive.content)))
"""


def test_a_template_file_that_was_frozen_so_runs_without_a_server(tmp_path):
    (tmp_path / "frozen").mkdir()
    (tmp_path / "frozen" / "run.py").write_text(PIPELINE)
    assert run(tmp_path, "-m", "zenweb.compat", "export.py", export=EXPORT).returncode == 0
    (tmp_path / "frozen" / "run.py").unlink()
    ended = run(tmp_path, "-m", "zenweb.cli", "run-template", "run", "ones.zip", "--local")
    assert ended.returncode == 0, ended.stderr
    assert "completed" in ended.stdout
