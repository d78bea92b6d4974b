"""Where the worker is root, steps run as somebody else: what they try to get, they do not get."""

import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from runs_app import step_users
from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.step_users import find_isolation, isolate_steps
from runs_app.uploads import store_upload
from runs_app.worker import StepWorker, own_scratch
from templates_app.models import Stack
from tests.factories import freeze, launch, make_template
from tests.packages import make_tiny_wheel
from tests.runs.test_environments import BUILD_LIMIT
from tests.runs.test_worker import finished, wait_for
from zenweb.accounts.models import User
from zenweb.accounts.services import default_project
from zenweb.artifacts import materializers, store
from zenweb.exceptions import ZenWebError
from zenweb.execution.environment_builder import CannotBeMade, name_in_scripts
from zenweb.execution.step_user import StepUser, seal

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can run steps as somebody else")
NOBODY = StepUser(step_users.NOBODY, step_users.NOBODY, "nobody")
REFUSED = {"PermissionError"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike those that pytest makes."""
    folder = Path(tempfile.mkdtemp(prefix="zenweb-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def python_for_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that others can start too: the tests' own may lie in root's home."""
    if can_start(sys.executable):
        return
    version = f"python3.{sys.version_info.minor}"
    base = Path("/usr/bin", version)
    if not base.exists():
        pytest.skip(f"nobody cannot start {sys.executable}, and there is no {base}")
    made = place / "venv"
    (made / "bin").mkdir(parents=True)
    (made / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (made / "bin/python").symlink_to(base)
    library = made / "lib" / version
    library.mkdir(parents=True)
    (library / "site-packages").symlink_to(next(Path(sys.prefix).glob("lib/python3*/site-packages")))
    if not can_start(str(made / "bin/python")):
        pytest.skip("nobody may not enter the folder that ZenWeb or its packages lie in")
    monkeypatch.setattr(sys, "executable", str(made / "bin/python"))


def can_start(python: str) -> bool:
    try:
        command = [python, "-P", "-c", step_users.PROBE]
        return not subprocess.run(command, cwd="/", check=False, **NOBODY.popen_options()).returncode
    except PermissionError:
        return False


@pytest.fixture
def data(place: Path, settings: Any) -> Path:
    folder = place / "data"
    folder.mkdir(mode=0o700)
    settings.DATA_DIR = folder
    settings.ARTIFACT_STORE_URI = str(folder / "artifacts")
    (folder / "secret_key").write_text("the key")
    (folder / "logs").mkdir()
    (folder / "logs/web.log").write_text("a log")
    return folder


@pytest.fixture
def worker(data: Path, python_for_all: None) -> Iterator[StepWorker]:
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    yield worker
    worker.shut_down()


@pytest.fixture
def spying(data: Path, stacks: dict[str, Stack], alice: User) -> Any:
    stack = stacks["celery"]
    stack.artifact_store_uri = str(data / "artifacts")
    stack.save()
    return make_template(freeze("spying.spying_pipeline", alice, stack), alice, "spying")


@as_root
@pytest.mark.django_db(transaction=True)
def test_a_step_gets_nothing_that_is_the_workers(
    worker: StepWorker, data: Path, spying: Any, alice: User
) -> None:
    database = str(connection.settings_dict["NAME"])
    files = [str(data / "secret_key"), str(data / "logs/web.log")]
    files += [database] if connection.vendor == "sqlite" else []
    with socket.socket(socket.AF_UNIX) as broker:
        broker.bind(str(data / "redis.sock"))
        (data / "redis.sock").chmod(0o700)  # as the broker makes it
        broker.listen()
        values = {
            "worker": os.getpid(),
            "files": files,
            "sockets": [str(data / "redis.sock")],
            "folders": [str(data), str(data / "logs"), str(data / "scratch")],
        }
        run = launch(spying, alice, {"steps": {"spy": {"parameters": values}}})
        worker.run_ready_steps("default")
    assert finished(run).status == "completed", [step.status_reason for step in run.steps.all()]
    version = ArtifactVersion.objects.get(artifact__name="booty")
    booty = materializers.load(version.uri, version.materializer)
    assert booty.pop("uid") == str(NOBODY.uid)
    assert booty.pop("home") == "1"
    assert booty.pop("privileges") == "1"  # it cannot become somebody else by su or sudo either
    for own in ("own environment", "parent's environment"):
        seen = booty.pop(own)
        assert "PATH" in seen
        assert not {"SECRET_KEY", "DATABASE_URL", "BROKER"} & set(seen.replace("=", " ").split())
        assert "ZENWEB_SECRET_KEY" not in seen
    visible = booty.pop(f"list {data / 'scratch'}")  # the numbers of workers, and no more
    assert str(os.getpid()) in visible
    assert set(booty.values()) == REFUSED, booty


def changes_of_nobody(*paths: Path) -> dict[str, str]:
    """What a step's user can do to files and folders that have been taken back: append, make, remove."""
    can = subprocess.run(
        [sys.executable, "-c", CHANGES, *paths],
        capture_output=True,
        check=True,
        text=True,
        **NOBODY.popen_options(),
    )
    changed: dict[str, str] = json.loads(can.stdout)
    return changed


CHANGES = """
import json, os, sys
done = {}
def attempt(deed, path, *given):
    try:
        deed(path, *given)
        done[path] = deed.__name__
    except OSError:
        pass
for path in sys.argv[1:]:
    if os.path.isdir(path):
        attempt(os.mkdir, f"{path}/new")
        for name in os.listdir(path):
            attempt(os.rename, f"{path}/{name}", f"{path}/moved")
    else:
        attempt(os.truncate, path, 0)
    attempt(os.chmod, path, 0o777)
print(json.dumps(done))
"""


@as_root
@pytest.mark.django_db(transaction=True)
def test_what_an_attempt_made_is_nobodys_to_change_after_its_end(
    worker: StepWorker, data: Path, spying: Any, alice: User
) -> None:
    values = {"worker": os.getpid(), "files": [str(data / "secret_key")], "sockets": [], "folders": []}
    run = launch(spying, alice, {"steps": {"spy": {"parameters": values}}})
    worker.run_ready_steps("default")
    assert finished(run).status == "completed"
    made = data / "artifacts" / str(run.pk) / "spy" / "1"
    assert {path.lstat().st_uid for path in (made, *made.rglob("*"))} == {0}
    assert (made / "open/value").read_text() == "as made"
    assert changes_of_nobody(made, made / "open", made / "open/value") == {}
    assert not (made / "program").stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    assert not (data / "secret_key").stat().st_mode & 0o007
    assert (made / "link").is_symlink()


@as_root
@pytest.mark.django_db(transaction=True)
def test_a_step_reads_what_was_uploaded_for_it_and_what_steps_made(
    worker: StepWorker, data: Path, stacks: dict[str, Stack], alice: User
) -> None:
    stack = stacks["celery"]
    stack.artifact_store_uri = str(data / "artifacts")
    stack.save()
    template = make_template(freeze("filed.filed_pipeline", alice, stack), alice, "filed")
    upload = store_upload(actor=alice, project=default_project(), name="t.txt", content=[b"hello"])
    values = {"steps": {"read": {"parameters": {"document": {"artifact_version": str(upload.pk)}}}}}
    run = launch(template, alice, values)
    worker.run_ready_steps("default")
    assert finished(run).status == "completed", [step.status_reason for step in run.steps.all()]
    told = ArtifactVersion.objects.get(artifact__name="told")
    assert "hello" in materializers.load(told.uri, told.materializer)["document"]


@as_root
def test_taking_a_folder_back_follows_no_link(place: Path) -> None:
    outside, folder = place / "outside", place / "folder"
    for each in (outside, folder / "inner"):
        NOBODY.give(each)
    (outside / "file").write_text("x")
    os.chown(outside / "file", NOBODY.uid, NOBODY.gid)
    (folder / "inner/link").symlink_to(outside)
    (folder / "inner/file").symlink_to(outside / "file")
    seal(folder)
    assert (folder / "inner").stat().st_uid == 0
    assert {each.stat().st_uid for each in (outside, outside / "file")} == {NOBODY.uid}


@pytest.fixture
def environment(place: Path) -> Path:
    """As an installer leaves it: with a script that names the folder which it was made in."""
    scripts = place / "new/bin"
    scripts.mkdir(parents=True)
    (scripts / "tool").write_text(f"#!{scripts}/python\n")
    (scripts / "tool").chmod(0o755)
    return scripts.parent


def test_scripts_name_the_folder_that_an_environment_will_have(place: Path, environment: Path) -> None:
    cached = environment / "cached"
    os.link(environment / "bin/tool", cached)
    name_in_scripts(environment, place / "made")
    assert (environment / "bin/tool").read_text() == f"#!{place}/made/bin/python\n"
    assert (environment / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert cached.read_text() == f"#!{environment}/bin/python\n"
    assert [each.name for each in (environment / "bin").iterdir()] == ["tool"]


@pytest.mark.parametrize("planted", [".tool", ".tool.new", "linked"])
def test_naming_a_folder_in_scripts_writes_through_no_link(
    place: Path, environment: Path, planted: str
) -> None:
    precious = place / "precious"
    precious.write_text(f"{environment} is not to be changed")
    (environment / "bin" / planted).symlink_to(precious)
    name_in_scripts(environment, place / "made")
    assert precious.read_text() == f"{environment} is not to be changed"
    assert (environment / "bin/tool").read_text() == f"#!{place}/made/bin/python\n"


def test_scripts_that_lie_elsewhere_are_left_alone(place: Path, environment: Path) -> None:
    (environment / "bin").rename(place / "elsewhere")
    (environment / "bin").symlink_to(place / "elsewhere")
    with pytest.raises(CannotBeMade, match="no folder `bin`"):
        name_in_scripts(environment, place / "made")
    assert (place / "elsewhere/tool").read_text() == f"#!{environment}/bin/python\n"


@as_root
def test_a_folder_is_taken_back_before_it_is_looked_through(
    place: Path, python_for_all: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    NOBODY.give(place / "folder")
    (place / "folder").chmod(0o777)
    listed, added = os.listdir, []

    def add_and_list(folder: Any) -> list[str]:
        added.append(changes_of_nobody(place / "folder"))
        return listed(folder)

    monkeypatch.setattr(os, "listdir", add_and_list)
    seal(place / "folder")
    assert added == [{}]


@as_root
def test_however_deep_a_folder_goes_nobody_changes_what_is_in_it(place: Path) -> None:
    (place / "folder").mkdir()
    deepest = os.open(place / "folder", os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, mode=0o777, dir_fd=deepest)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=deepest)
        os.fchown(below, NOBODY.uid, NOBODY.gid)
        os.close(deepest)
        deepest = below
    os.close(deepest)
    seal(place / "folder")
    modes, here = [], os.open(place / "folder", os.O_RDONLY)
    while not modes or modes[-1] != 0o700:
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        modes.append(os.fstat(here).st_mode & 0o777)
        assert os.fstat(here).st_uid == 0
    os.close(here)
    assert set(modes[:-1]) == {0o755}


@as_root
@pytest.mark.django_db(transaction=True)
def test_installers_run_as_that_user_and_cannot_change_what_they_made(
    worker: StepWorker, place: Path, data: Path, settings: Any, stacks: dict[str, Stack], alice: User
) -> None:
    packages = place / "packages"
    packages.mkdir()
    make_tiny_wheel(packages)
    settings.INSTALLER_ENVIRONMENT = settings.INSTALLER_ENVIRONMENT | {
        "UV_FIND_LINKS": str(packages),
        "PIP_FIND_LINKS": str(packages),
    }
    stack = stacks["celery"]
    stack.artifact_store_uri = str(data / "artifacts")
    stack.save()
    run = launch(make_template(freeze("needy.needy_pipeline", alice, stack), alice, "tiny"), alice)
    worker.run_ready_steps("default")
    wait_for(lambda: PipelineRun.objects.get(pk=run.pk).is_finished, BUILD_LIMIT)
    assert finished(run).status == "completed", [step.status_reason for step in run.steps.all()]
    made = next(path for path in (data / "environments").iterdir() if (path / "pyvenv.cfg").exists())
    assert {path.lstat().st_uid for path in (made, *made.rglob("*"))} == {0}
    assert changes_of_nobody(made, *made.rglob("*")) == {}
    assert (data / "environments/.home").stat().st_uid == NOBODY.uid


@as_root
def test_a_link_where_a_folder_of_its_own_shall_be_is_not_followed(place: Path) -> None:
    (place / "roots").mkdir(mode=0o755)
    (place / "home").symlink_to(place / "roots")
    for give in (NOBODY.give, NOBODY.own_folder):
        with pytest.raises(OSError, match="home"):
            give(place / "home")
    assert ((place / "roots").stat().st_uid, (place / "roots").stat().st_mode & 0o777) == (0, 0o755)


@as_root
def test_what_steps_left_under_the_same_process_number_leads_a_new_worker_nowhere(
    data: Path, place: Path
) -> None:
    (place / "roots").mkdir(mode=0o755)
    left = data / "scratch" / str(os.getpid())
    left.mkdir(parents=True)
    (left / "home").symlink_to(place / "roots")
    scratch = own_scratch(NOBODY)
    assert (place / "roots").stat().st_mode & 0o777 == 0o755
    assert [(path.is_symlink(), path.stat().st_uid) for path in scratch.iterdir()] == [(False, NOBODY.uid)]


@as_root
def test_where_the_user_may_not_enter_steps_run_as_the_worker_and_that_is_said(
    data: Path, place: Path, python_for_all: None
) -> None:
    place.chmod(0o700)
    isolation = find_isolation()
    assert isolation.user is None
    assert str(place) in isolation.sentence
    assert data.stat().st_mode & 0o777 == 0o700


@as_root
@pytest.mark.parametrize(
    ("named", "said"),
    [("nosuchuser", "does not know"), ("0", "isolates nothing"), ("65534", "may not enter")],
)
def test_a_user_who_is_named_is_taken_or_the_worker_does_not_start(
    data: Path, place: Path, settings: Any, named: str, said: str
) -> None:
    place.chmod(0o700)
    settings.STEP_USER = named
    with pytest.raises(ZenWebError, match=said):
        find_isolation()


@as_root
@pytest.mark.parametrize("gid", [0, 4242])
def test_a_user_whose_group_has_secrets_is_refused(
    data: Path, settings: Any, monkeypatch: Any, gid: int
) -> None:
    os.chown(data / "secret_key", 0, gid)
    account = pwd.struct_passwd(("steps", "x", 4242, gid, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"steps": account}.__getitem__)
    settings.STEP_USER = "steps"
    with pytest.raises(ZenWebError, match=r"group of steps"):
        find_isolation()


@as_root
def test_secrets_are_closed_to_their_group_too(data: Path, python_for_all: None) -> None:
    (data / "secret_key").chmod(0o640)
    assert isolate_steps().user == NOBODY
    assert (data / "secret_key").stat().st_mode & 0o777 == 0o600


@as_root
def test_what_steps_can_read_nevertheless_is_said(
    data: Path, place: Path, python_for_all: None, settings: Any
) -> None:
    (place / "key").write_text("in the open")
    (data / "encryption_keys").symlink_to(place / "key")
    assert f"can read {data / 'encryption_keys'}:" in isolate_steps().sentence
    settings.STEP_USER = "65534"
    with pytest.raises(ZenWebError, match="close that to others"):
        isolate_steps()


def test_a_worker_that_is_not_root_cannot_be_asked_for_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_users, "os", SimpleNamespace(geteuid=lambda: 1000))
    assert find_isolation().user is None
    settings.STEP_USER = "nobody"
    with pytest.raises(ZenWebError, match="needs a worker that is root"):
        find_isolation()


def test_it_can_be_left_out(settings: Any) -> None:
    settings.STEP_USER = "worker"
    assert find_isolation().user is None
    assert "can read all that it can" in find_isolation().sentence


def test_only_local_stores_have_folders() -> None:
    assert store.local_folder("/a/b") == store.local_folder("file:///a/b") == Path("/a/b")
    assert store.local_folder("s3://bucket/a") is None


def test_it_is_told_what_isolates_here(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.STEP_USER = "worker"
    call_command("isolation")
    assert capsys.readouterr().out.startswith("Steps run as the worker's own user")
    settings.STEP_USER = "nosuchuser"
    with pytest.raises(CommandError, match="ZENWEB_STEP_USER"):
        call_command("isolation")


OF_ITS_OWN = {"ZENWEB_WARM_PARENT", "ZENWEB_CONFIG_DIR", "TMPDIR", "LC_CTYPE", "PATH", "VIRTUAL_ENV"}


@pytest.mark.django_db(transaction=True)
def test_a_step_sees_nothing_of_the_servers_environment(
    stacks: dict[str, Stack], alice: User, settings: Any, tmp_path: Path
) -> None:
    settings.STEP_USER = "worker"
    (tmp_path / "file").touch()
    stack = stacks["celery"]
    stack.artifact_store_uri = settings.ARTIFACT_STORE_URI
    stack.save()
    template = make_template(freeze("spying.spying_pipeline", alice, stack), alice, "spying")
    values = {"worker": os.getpid(), "files": [str(tmp_path / "file")], "sockets": [], "folders": []}
    run = launch(template, alice, {"steps": {"spy": {"parameters": values}}})
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.run_ready_steps("default")
    worker.shut_down()
    assert finished(run).status == "completed", [step.status_reason for step in run.steps.all()]
    version = ArtifactVersion.objects.get(artifact__name="booty")
    seen = materializers.load(version.uri, version.materializer)["own environment"].split()
    assert set(seen) - set(settings.STEP_ENVIRONMENT) <= OF_ITS_OWN
    assert not any("SECRET" in name or "DATABASE" in name or "BROKER" in name for name in seen)


@as_root
@pytest.mark.django_db(transaction=True)
def test_a_folder_that_cannot_be_given_away_is_told_in_the_log_and_fails_no_step_by_itself(
    worker: StepWorker, data: Path, spying: Any, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    (data / "artifacts").rmdir()
    (data / "artifacts").write_text("a file where the store should be")
    run = launch(spying, alice)
    worker.run_ready_steps("default")
    assert finished(run).status == "failed"
    assert "cannot be given to steps" in caplog.text
    assert run.steps.get(name="spy").status_reason.startswith("NotADirectoryError")  # the step's own
