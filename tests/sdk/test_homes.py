"""The folders that attempts work in: one that was left as it was made is given to the next attempt."""

from pathlib import Path

import pytest

from zenweb.execution.homes import AttemptHome, make_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AttemptHome:
    code = tmp_path / "code"
    code.mkdir()
    (code / "run.py").write_text("")
    monkeypatch.chdir(tmp_path)
    make_home(tmp_path / "parent", str(code))
    return AttemptHome.make(tmp_path / "attempt")


def test_it_holds_links_to_what_stands_beside_the_code(home: AttemptHome) -> None:
    assert (home.folder / "work/run.py").readlink() == home.folder.parent / "code/run.py"
    assert home.is_as_made()


@pytest.mark.parametrize("name", ["work/new.csv", "tmp/new.csv", "new.csv"])
def test_what_was_added_is_seen(home: AttemptHome, name: str) -> None:
    (home.folder / name).write_text("1")
    assert not home.is_as_made()


def test_what_was_replaced_or_is_gone_is_seen(home: AttemptHome) -> None:
    (home.folder / "work/run.py").unlink()
    assert not home.is_as_made()
    home.remove()
    assert not home.is_as_made()


def test_a_link_that_was_replaced_is_seen(home: AttemptHome) -> None:
    link = home.folder / "work/run.py"
    link.rename(link.with_name("old"))
    link.symlink_to("elsewhere")
    link.with_name("old").unlink()
    assert not home.is_as_made()


def test_one_with_files_of_its_own_is_for_one_attempt(home: AttemptHome, tmp_path: Path) -> None:
    (tmp_path / "parent/made-by-the-import").mkdir()
    other = AttemptHome.make(tmp_path / "another")
    assert not other.is_as_made()


def test_a_parents_home_that_is_gone_is_no_empty_one(home: AttemptHome, tmp_path: Path) -> None:
    (tmp_path / "parent/run.py").unlink()
    (tmp_path / "parent").rmdir()
    with pytest.raises(FileNotFoundError):
        AttemptHome.make(tmp_path / "another")
