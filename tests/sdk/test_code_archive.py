"""A source folder travels as an archive that holds what it should, and what comes from elsewhere cannot do harm."""

import gzip
import hashlib
import io
import os
import tarfile

import pytest

from zenweb.config.code_archive import check_archive, pack, unpack
from zenweb.exceptions import CodeArchiveRefused


@pytest.fixture
def write(tmp_path):
    def write_file(name, text="x"):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    write_file("run.py")
    return write_file


@pytest.fixture
def root(write, tmp_path):
    return tmp_path / "code"


def test_what_is_packed_is_unpacked_equal(write, root, tmp_path):
    write("pkg/data.csv", "a,b\n")
    write("go.sh").chmod(0o700)
    archive = pack(root)
    unpack(archive.content, tmp_path / "there", sha256=archive.sha256)
    assert (tmp_path / "there/pkg/data.csv").read_text() == "a,b\n"
    assert os.access(tmp_path / "there/go.sh", os.X_OK)
    assert archive.file_names == ("go.sh", "pkg/data.csv", "run.py")


def test_equal_folders_give_equal_archives_whatever_their_times(write, root):
    before = pack(root)
    os.utime(write("run.py"), (1, 1))
    assert pack(root).content == before.content
    write("run.py", "y")
    assert pack(root).sha256 != before.sha256


def test_ignore_files_of_every_level_are_honoured(write, root):
    write(".gitignore", "*.csv\nbuild/\n")
    write("pkg/.gitignore", "!wanted.csv\n/local.py\n")
    write(".zenwebignore", "notebooks/\n!keep.csv\n")
    for name in (
        "a.csv",
        "keep.csv",
        "build/x.py",
        "pkg/wanted.csv",
        "pkg/local.py",
        "pkg/b.csv",
        "notebooks/n.py",
    ):
        write(name)
    assert set(pack(root).file_names) == {
        *(".gitignore", ".zenwebignore", "pkg/.gitignore", "run.py", "keep.csv", "pkg/wanted.csv"),
    }


def test_rules_above_the_source_folder_count_within_the_repository(write, root):
    write("../.git/HEAD")
    write("../.gitignore", "code/secret.txt\n*.log\n")
    write("secret.txt")
    write("run.log")
    assert pack(root).file_names == ("run.py",)


def test_a_source_folder_that_git_ignores_as_a_whole_is_packed_nevertheless(write, root):
    write("../.git/HEAD")
    write("../.gitignore", "code/\n")
    assert pack(root).file_names == ("run.py",)


def test_litter_environments_and_links_stay_out(write, root, tmp_path, caplog):
    for name in (
        ".git/HEAD",
        "__pycache__/a.pyc",
        "venv/x",
        "node_modules/y",
        ".zenweb/db",
        "my-env/pyvenv.cfg",
    ):
        write(name)
    (root / "linked").symlink_to(tmp_path, target_is_directory=True)
    (root / "secret.py").symlink_to("/etc/hostname")
    assert pack(root).file_names == ("run.py",)
    assert "secret.py is not stored" in caplog.text


def test_what_usually_holds_secrets_stays_out(write, root):
    for name in (".env", "conf/.env.prod", "tls/server.pem", "id_rsa", ".ssh/config", ".netrc", ".pypirc"):
        write(name)
    write("environment.py")
    assert set(pack(root).file_names) == {"environment.py", "run.py"}


def test_an_ignore_file_takes_back_what_is_no_secret(write, root):
    write(".env.example")
    write(".env.prod")
    write(".zenwebignore", "!.env.example\n")
    assert set(pack(root).file_names) == {".env.example", ".zenwebignore", "run.py"}


def test_a_link_to_a_file_of_the_same_folder_stands_for_it(write, root):
    (root / "link.py").symlink_to(root / "run.py")
    assert pack(root).file_names == ("link.py", "run.py")


def test_too_many_bytes_are_refused_naming_the_largest(write, root):
    write("data/huge.csv", "x" * 3_000)
    write("small.csv", "x" * 10)
    with pytest.raises(
        CodeArchiveRefused, match=r"Most of it: data/huge.csv .*, data/ .*\.zenwebignore"
    ) as refused:
        pack(root, limit=2_000)
    assert "small.csv" not in str(refused.value)


def test_too_many_files_are_refused_without_walking_all_of_them(write, root):
    for number in range(50):
        write(f"pictures/{number}.png")
    with pytest.raises(
        CodeArchiveRefused,
        match=r"at least 20 bytes in 20 files, .* 5 files are allowed. Most of it: pictures/ \(20 files\)",
    ):
        pack(root, files_limit=5)


def test_an_ignore_file_that_cannot_be_used_is_named(write, root):
    write(".zenwebignore", "!\n")
    with pytest.raises(CodeArchiveRefused, match=r"ignore rules in .*code cannot be used"):
        pack(root)


def made_of(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return compressed(buffer.getvalue())


def compressed(tar):
    return gzip.compress(tar), hashlib.sha256(tar).hexdigest()


def entry(name, content=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def negative_size():
    tar = bytearray(gzip.decompress(made_of(entry("run.py", b"x"))[0]))
    tar[124:136] = (-512).to_bytes(12, "big", signed=True)
    tar[148:156] = b" " * 8
    tar[148:156] = f"{sum(tar[:512]):06o}\0 ".encode()
    return compressed(bytes(tar))


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (made_of(entry("../run.py", b"x")), "leads out of its folder"),
        (made_of(entry("a/../../run.py", b"x")), "leads out of its folder"),
        (made_of(entry("/etc/passwd", b"x")), "leads out of its folder"),
        (made_of(entry("..", type=tarfile.DIRTYPE)), "leads out of its folder"),
        (made_of(entry("l", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "a link or device"),
        (
            made_of(entry("run.py", b"x"), entry("l", type=tarfile.LNKTYPE, linkname="run.py")),
            "a link or device",
        ),
        (made_of(entry("d", type=tarfile.CHRTYPE)), "a link or device"),
        (made_of(entry("f", type=tarfile.FIFOTYPE)), "a link or device"),
        (
            made_of(entry("s", b"\0" * 512, type=tarfile.GNUTYPE_SPARSE)),
            "a link or device|not a readable tar",
        ),
        (made_of(entry("run.py", b"x"), entry("run.py", b"y")), "one path twice"),
        (made_of(entry("run.py", b"x"), entry("run.py/inner.py", b"y")), "one path twice, or a file"),
        (made_of(entry(".", b"x")), r"named '\.', which none can be"),
        (made_of(entry("", b"x")), "named '', which none can be"),
        (made_of(entry("caf\udce9.py", b"x")), r"'caf\\udce9.py', whose name is not UTF-8"),
        (made_of(entry("run.py", b"x" * 2_001)), "too large"),
        (made_of(*[entry(str(number)) for number in range(6)]), "too large"),
        (compressed(b"\0" * 50_000_000), "too large"),
        (negative_size(), "too large|not a readable tar"),
        (compressed(b"not a tar" * 100), "not a readable tar"),
        ((b"not gzip", ""), "not gzip-compressed"),
        ((made_of(entry("run.py", b"x"))[0][:-9], ""), "not gzip-compressed"),
        ((made_of(entry("run.py", b"x"))[0], "0" * 64), "not the one its hash names"),
    ],
)
def test_a_harmful_archive_is_refused_before_anything_is_written(archive, message, tmp_path):
    content, sha256 = archive
    with pytest.raises(CodeArchiveRefused, match=message):
        unpack(content, tmp_path / "inner" / "there", sha256=sha256, limit=2_000, files_limit=5)
    assert not (tmp_path / "inner").exists()


def test_an_archive_made_by_tar_with_folders_in_it_is_fine(tmp_path):
    content, sha256 = made_of(
        entry("./", type=tarfile.DIRTYPE), entry("./pkg", type=tarfile.DIRTYPE), entry("./pkg/a.py", b"x")
    )
    assert check_archive(content, sha256=sha256) == 1
    unpack(content, tmp_path / "there", sha256=sha256)
    assert (tmp_path / "there/pkg/a.py").read_bytes() == b"x"


def test_unpacking_where_somebody_was_faster_changes_nothing(root, tmp_path):
    archive = pack(root)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/mine").write_text("mine")
    unpack(archive.content, tmp_path / "there", sha256=archive.sha256)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine"]


def test_a_failed_write_leaves_nothing_behind(root, tmp_path, monkeypatch):
    archive = pack(root)
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        unpack(archive.content, tmp_path / "store/there", sha256=archive.sha256)
    assert list((tmp_path / "store").iterdir()) == []
