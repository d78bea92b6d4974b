"""Parameters that take files: what signatures say, which values they take, and names and sizes in words."""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pytest
from pydantic import BaseModel, DirectoryPath, Field, TypeAdapter

from zenweb import File, pipeline, step
from zenweb.artifacts import materializers
from zenweb.config.config_schema import parameter_schemas
from zenweb.config.file_references import (
    FileReference,
    clean_name,
    parse_size,
    reference_in,
    references_in,
    size_words,
    suffix_of,
)
from zenweb.config.files import FILES, with_files
from zenweb.config.json_schema import FILE_RULES
from zenweb.config.parameters import parameter_adapters, typed_parameters
from zenweb.exceptions import AuthoringError, FileNotUsable, ValidationFailed
from zenweb.execution.files import AttemptFiles
from zenweb.execution.protocol import GivenFile
from zenweb.local_files import LocalFile

ID = "0b0b6f5e-7f8e-4a36-9a44-5c2f6b1f9f10"
REFERENCE = {"artifact_version": ID}


class Source(BaseModel):
    file: Annotated[Path | None, File(types=["csv"])] = None
    folder: Path = Path()


def show(
    any_file: Path,
    table: pd.DataFrame,
    content: bytes = b"short",
    optional: pd.DataFrame = None,  # as people write it
    titled: Annotated[
        Path | None, Field(title="Orders"), File(types=["*.CSV", ".txt"], max_size="50 MB")
    ] = None,
    many: list[Path] = [],  # noqa: B006
    source: Source = Source(),  # noqa: B008
    folder: DirectoryPath | None = None,
    bounded: Annotated[bytes, Field(max_length=3)] = b"",
) -> None: ...


@step
def load() -> pd.DataFrame:
    return pd.DataFrame()


@step
def use(table: pd.DataFrame) -> None: ...


@pipeline
def connected() -> None:
    use(load())


@pytest.fixture
def schemas() -> dict[str, Any]:
    properties, definitions = parameter_schemas({"show": typed_parameters("Step 'show'", show, {})})
    return {
        **properties["show"]["properties"],
        "$defs": definitions,
        "required": properties["show"]["required"],
    }


def rules(schema: dict[str, Any]) -> Any:
    return next((part[FILE_RULES] for part in [schema, *schema.get("anyOf", [])] if FILE_RULES in part), None)


def test_the_schema_says_what_is_taken_and_what_is_asked_for(schemas: dict[str, Any]) -> None:
    assert schemas["required"] == ["any_file", "table"]
    assert rules(schemas["any_file"]) == {"as": "path"}
    assert rules(schemas["content"]) == {"as": "bytes"}
    assert rules(schemas["table"])["as"] == rules(schemas["optional"])["as"] == "table"
    assert {".csv", ".parquet", ".json"} < set(rules(schemas["table"])["types"])
    assert rules(schemas["titled"]) == {"as": "path", "types": [".csv", ".txt"], "max_size": 50_000_000}
    assert schemas["titled"]["title"] == "Orders"
    assert rules(schemas["many"]["items"]) == {"as": "path"}
    assert schemas["bounded"]["maxLength"] == 3


def test_inside_of_a_class_only_the_marker_makes_a_file(schemas: dict[str, Any]) -> None:
    file, folder = (schemas["$defs"]["Source"]["properties"][name] for name in ("file", "folder"))
    assert (rules(file), FILE_RULES in file) == ({"as": "path", "types": [".csv"]}, False)
    assert folder["type"] == "string"


def test_a_folder_is_no_file(schemas: dict[str, Any]) -> None:
    assert rules(schemas["folder"]) is None


def test_types_without_a_file_stay_the_very_same() -> None:
    for hint in (int, str | None, list[str], Source, Annotated[int, Field(gt=1)], dict[str, Any]):
        assert with_files(hint) is hint


@pytest.mark.parametrize(
    ("hint", "sentence"),
    [
        (
            Annotated[int, File()],
            "File.. stands beside pathlib.Path, bytes or pandas.DataFrame, not beside int",
        ),
        (Annotated[pd.DataFrame, File(types=[".xml"])], "A table cannot be read from .xml files"),
    ],
)
def test_a_marker_in_the_wrong_place_is_refused_with_the_parameters_name(hint: Any, sentence: str) -> None:
    def wrong(data: Any) -> None: ...

    wrong.__annotations__["data"] = hint
    with pytest.raises(AuthoringError, match=f"Step 'wrong', parameter 'data': {sentence}"):
        typed_parameters("Step 'wrong'", wrong, {})


@pytest.mark.parametrize("size", ["", "much", 0, "-1", "5 XB"])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(AuthoringError, match="write it as 50 MB"):
        File(max_size=size)


def test_a_reference_can_be_frozen_as_a_default_and_stays_one() -> None:
    parameters = typed_parameters("Step 'show'", show, {"any_file": REFERENCE, "table": REFERENCE})
    assert [parameter.value for parameter in parameters[:2]] == [REFERENCE, REFERENCE]
    adapter = parameter_adapters(show)["any_file"]
    assert adapter.validate_python(REFERENCE) == FileReference(ID)
    assert adapter.validate_python("orders.csv") == Path("orders.csv")


def test_a_table_is_no_default() -> None:
    with pytest.raises(AuthoringError, match="cannot be written as JSON"):
        typed_parameters("Step 'show'", show, {"any_file": "x", "table": pd.DataFrame({"a": [1]})})


def test_a_connected_table_is_an_input_as_ever() -> None:
    spec = connected.compile()
    assert list(spec.steps[1].inputs) == ["table"]
    assert spec.steps[1].parameters_schema["properties"] == {}


# -- values in a step -------------------------------------------------------------------------------------------------


def stored(tmp_path: Path, value: Any) -> dict[str, Any]:
    """What a step's parameters are validated with when the reference leads to this value."""
    uri = str(tmp_path / "store")
    saved = materializers.save(value, None, uri)
    given = GivenFile(
        id=ID,
        name="given",
        artifact_version="1",
        uri=uri,
        materializer=saved.materializer,
        data_type=saved.data_type,
        type=saved.type,
    )
    return {FILES: AttemptFiles({ID: given})}


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def take(hint: Any, context: dict[str, Any], value: Any = REFERENCE) -> Any:
    return TypeAdapter(with_files(hint)).validate_python(value, context=context)


def test_a_file_becomes_a_copy_of_its_own_name_or_its_bytes(tmp_path: Path) -> None:
    original = written(tmp_path, "Größe.bin", b"\x00\xff")
    context = stored(tmp_path, original)
    copy = take(Path | None, context)
    assert (copy.name, copy.read_bytes()) == ("Größe.bin", b"\x00\xff")
    assert not copy.is_relative_to(tmp_path)
    assert take(bytes, context) == b"\x00\xff"
    with pytest.raises(ValueError, match="at most 1 byte"):
        take(Annotated[bytes, Field(max_length=1)], context)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"a,b\n1,x\n"),
        ("T.TSV", b"a\tb\n1\tx\n"),
        ("t.json", b'[{"a": 1, "b": "x"}]'),
        ("t.jsonl", b'{"a": 1, "b": "x"}\n'),
    ],
)
def test_a_table_is_read_as_the_end_of_the_name_says(tmp_path: Path, name: str, content: bytes) -> None:
    table = take(pd.DataFrame, stored(tmp_path, written(tmp_path, name, content)))
    assert table.to_dict("records") == [{"a": 1, "b": "x"}]


def test_a_table_is_read_from_parquet_and_from_an_artifact_that_is_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert take(pd.DataFrame, stored(tmp_path, tmp_path / "t.parquet")).equals(frame)
    assert take(pd.DataFrame | None, stored(tmp_path / "2", frame)).equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.doc", b"x", "t.doc cannot be read as a table, only .csv, "),
        ("t.csv", b"", "t.csv cannot be read as a table: No columns to parse"),
        ("t.csv", b"\xff\xfe\x00", "t.csv cannot be read as a table: 'utf-8' codec"),
        ("t.parquet", b"PAR", "t.parquet cannot be read as a table: "),
        ("t.json", b"{", "t.json cannot be read as a table: "),
    ],
)
def test_what_is_no_table_says_so(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(FileNotUsable, match=sentence):
        take(pd.DataFrame, stored(tmp_path, written(tmp_path, name, content)))


@pytest.mark.skipif(find_spec("openpyxl") is not None, reason="the package is there")
def test_a_spreadsheet_names_the_package_that_is_missing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(FileNotUsable, match=r"t.xlsx cannot be read here: .*openpyxl.* requirements"):
        take(pd.DataFrame, stored(tmp_path, tmp_path / "t.xlsx"))


def test_a_value_of_another_kind_says_what_it_is(tmp_path: Path) -> None:
    context = stored(tmp_path, 7)
    for hint in (Path, bytes, pd.DataFrame):
        with pytest.raises(
            FileNotUsable, match=r"Artifact 'given', version 1, is no file.* but a builtins.int"
        ):
            take(hint, context)


def test_what_was_deleted_since_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotUsable, match="was deleted after the run was started"):
        take(Path, {FILES: AttemptFiles({})})


def test_the_limits_hold_for_a_path_on_the_worker_too(tmp_path: Path) -> None:
    hint, context = Annotated[Path, File(types=[".csv"], max_size=3)], {FILES: AttemptFiles({})}
    with pytest.raises(FileNotUsable, match=r"t.csv is larger than 3 bytes"):
        take(hint, context, str(written(tmp_path, "t.csv", b"1234")))
    with pytest.raises(FileNotUsable, match=r"t.txt is not of a type"):
        take(hint, context, "t.txt")
    assert take(hint, context, str(written(tmp_path, "u.csv", b"123"))) == tmp_path / "u.csv"


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("orders.csv", "orders.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\Ada\\Orders 2026.xlsx", "Orders 2026.xlsx"),
        ("..", "file"),
        ("", "file"),
        (".htaccess", "htaccess"),
        ('a<b>:"|?*.csv', "a_b______.csv"),
        ("x\u202egnp.exe\x00\n", "xgnp.exe"),
        ("Gro\u0308ße.csv", "Größe.csv"),
        ("name. . ", "name"),
    ],
)
def test_a_name_is_cleaned(given: str, clean: str) -> None:
    assert clean_name(given) == clean


@pytest.mark.parametrize("letter", ["a", "ä", "漢", "🙂"])
def test_a_long_name_keeps_its_end_and_fits_any_file_system(letter: str) -> None:
    clean = clean_name(letter * 400 + ".parquet")
    assert clean.endswith(f"{letter}.parquet")
    assert len(clean) <= 150
    assert len(clean.encode()) <= 200


def test_the_end_of_a_name() -> None:
    ends = {"a.CSV": ".csv", "a.tar.gz": ".gz", "csv": "", ".csv": "", "a.": "."}
    assert {name: suffix_of(name) for name in ends} == ends


def test_sizes_are_read_and_told() -> None:
    sizes = {"50 MB": 50_000_000, "1.5GB": 1_500_000_000, "2 KiB": 2048, "7": 7, "7 B": 7, "1k": 1000}
    assert {text: parse_size(text) for text in sizes} == sizes
    told = {1: "1 byte", 999: "999 bytes", 1000: "1 kB", 3_440_000: "3.4 MB", 200_000_000: "200 MB"}
    assert {size: size_words(size) for size in told} == told


def test_references_are_found_at_any_depth_and_nothing_else_is() -> None:
    value = {"a": [{"b": REFERENCE}, REFERENCE], "c": {"artifact_version": "x"}, "d": {**REFERENCE, "e": 1}}
    assert list(references_in(value)) == [FileReference(ID)] * 2
    assert reference_in({"artifact_version": ID.upper()}) == FileReference(ID)
    assert [reference_in(other) for other in (ID, None, {"artifact_version": 5}, {})] == [None] * 4


@pytest.mark.parametrize("now", [b"longer than it was", b"s"])
def test_a_file_that_changes_while_it_is_sent_is_told_and_never_sent_longer_than_said(tmp_path, now):
    (tmp_path / "log.txt").write_bytes(b"short")
    file = LocalFile.at(tmp_path / "log.txt")
    (tmp_path / "log.txt").write_bytes(now)
    sent = []
    with pytest.raises(ValidationFailed, match=r"log\.txt' has changed while it was sent"):
        sent.extend(file)
    assert len(b"".join(sent)) <= len(b"short")
