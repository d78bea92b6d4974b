"""What is saved comes back equal and of the same type: values that need nothing but Python and pydantic."""

import math
import subprocess
import sys
from collections import Counter, OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from zenweb.artifacts import materializers, store
from zenweb.artifacts.strings import CSVString, HTMLString, JSONString, MarkdownString
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.enums import ArtifactType
from zenweb.exceptions import DoesNotExist

ROOT = Path(__file__).parents[2]


class Colour(Enum):
    RED = (255, 0, 0)


class Level(IntEnum):
    HIGH = 3


class Mode(StrEnum):
    FAST = "fast"


class Access(Flag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", ["x", "y"])


@dataclass(frozen=True, slots=True)
class Split:
    train: float
    labels: list[str] = field(default_factory=list)


@dataclass
class Counted:
    words: list[str]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = len(self.words)
        self.seen_by_init = True


class Score(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    value: float = Field(alias="points")
    when: datetime | None = None
    split: Split = Split(0.5)
    _unit: str = PrivateAttr("percent")


class Opaque:
    """A class that nobody taught ZenWeb."""

    def __init__(self, secret: int) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.secret == self.secret

    __hash__ = None


def round_trip(value: Any, folder: Path, declared: object = None) -> Any:
    saved = materializers.save(value, declared, str(folder / "value"))
    return materializers.load(str(folder / "value"), saved.materializer)


BERLIN = ZoneInfo("Europe/Berlin")
JSON_VALUES = [
    None,
    True,
    0,
    -7,
    10**400,
    -(10**5000),
    0.1,
    1.0,
    1e-300,
    1e22,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    1 + 2j,
    "",
    "Grüße\n\t🙂",
    "a\x00b",
    "\ud800 alone",
    "\\x00",
    [b"\x00\xff"],
    bytearray(b"ab"),
    [],
    {},
    [1, [2.5, "x", None]],
    (1, (2,), []),
    {1, 2},
    frozenset({"a"}),
    {"a": 1, "nested": {"b": [True]}},
    {1: "one", None: 0, (1, 2): "pair"},
    {"$zenweb": "float", "value": "1"},
    {"a\x00": 1},
    OrderedDict(b=1, a=2),
    Counter("hello"),
    date(2024, 2, 29),
    datetime(2024, 2, 29, 12, 30, 0, 1),  # noqa: DTZ001 - naive times exist
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    time(23, 59, 59, 999999),
    timedelta(days=-1, microseconds=1),
    UUID(int=7),
    Decimal("1.10"),
    Decimal("Infinity"),
    Colour.RED,
    Level.HIGH,
    Mode.FAST,
    Access.READ | Access.WRITE,
    Point(1, Decimal(2)),
    Split(0.8, ["a"]),
    Counted(["a", "b"]),
    {"splits": [Split(math.inf)], Mode.FAST: Colour.RED},
]


NAMES = [f"{number}-{type(value).__name__}" for number, value in enumerate(JSON_VALUES)]


@pytest.mark.parametrize("value", JSON_VALUES, ids=NAMES)
def test_plain_values_and_records_come_back_equal_as_json(value, tmp_path):
    loaded = round_trip(value, tmp_path)
    assert loaded == value
    assert type(loaded) is type(value)
    assert [file.name for file in (tmp_path / "value").iterdir() if "preview" not in file.name] == [
        "data.json"
    ]


def test_not_a_number_comes_back_as_such_inside_containers(tmp_path):
    loaded = round_trip({"loss": [math.nan, 1.0]}, tmp_path)
    assert math.isnan(loaded["loss"][0])
    assert loaded["loss"][1] == 1.0


def test_a_zone_keeps_its_name_and_the_hour_that_happens_twice(tmp_path):
    loaded = round_trip(datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1), tmp_path)
    assert loaded.tzinfo == BERLIN
    assert loaded.fold == 1


def test_a_pydantic_model_comes_back_with_extras_private_and_set_fields(tmp_path):
    score = Score(points=math.inf, split=Split(0.2), note="extra")
    score.__pydantic_private__["_unit"] = "points"
    loaded = round_trip([score], tmp_path)[0]
    assert loaded == score
    assert loaded.model_fields_set == score.model_fields_set
    assert loaded._unit == "points"


def test_a_dataclass_is_not_initialised_again(tmp_path):
    counted = Counted(["a"])
    counted.words.append("b")
    assert round_trip(counted, tmp_path).total == 1


def test_a_field_that_a_class_gained_has_its_default_in_older_values(tmp_path):
    saved = materializers.save(Split(0.8), None, str(tmp_path))
    file = tmp_path / "data.json"
    file.write_text(file.read_text().replace(',"labels":[]', ""))
    assert materializers.load(str(tmp_path), saved.materializer) == Split(0.8, [])


@pytest.mark.parametrize("value", [b"", b"\x00\xff" * 1000])
def test_bytes_are_kept_as_they_are(value, tmp_path):
    assert round_trip(value, tmp_path) == value
    assert (tmp_path / "value" / "data.bin").read_bytes() == value


@pytest.mark.parametrize(
    ("value", "file"),
    [
        (HTMLString("<p>ü</p>"), "data.html"),
        (MarkdownString("# Title\r\n"), "data.md"),
        (CSVString("a,b\n1,2\n"), "data.csv"),
        (JSONString('{"a": 1}'), "data.json"),
        (HTMLString("\ud800\x00"), "data.html"),
    ],
)
def test_texts_of_a_kind_are_files_of_that_kind(value, file, tmp_path):
    loaded = round_trip(value, tmp_path)
    assert (loaded, type(loaded)) == (value, type(value))
    assert (tmp_path / "value" / file).exists()


@pytest.mark.parametrize("declared", [HTMLString, Annotated[HTMLString, "report"]])
def test_a_text_declared_as_html_is_stored_as_html(declared, tmp_path):
    assert type(round_trip("<p>", tmp_path, declared)) is HTMLString


def test_a_file_comes_back_as_a_copy_of_the_same_name(tmp_path):
    original = tmp_path / "model.txt"
    original.write_text("weights")
    loaded = round_trip(original, tmp_path)
    loaded.write_text("changed by the next step")
    assert loaded.name == "model.txt"
    assert round_trip(original, tmp_path / "again").read_text() == "weights"


def test_a_folder_comes_back_with_all_that_is_in_it(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(b"\x00")
    loaded = round_trip(folder, tmp_path)
    assert (loaded.name, (loaded / "deep" / "weights.bin").read_bytes()) == ("model", b"\x00")


def test_a_path_that_leads_nowhere_is_refused(tmp_path):
    with pytest.raises(materializers.ArtifactNotSavable, match="no such file or folder"):
        round_trip(tmp_path / "missing", tmp_path)


def test_a_class_nobody_knows_is_pickled_with_a_warning(tmp_path, caplog):
    assert round_trip(Opaque(3), tmp_path) == Opaque(3)
    assert "No materializer knows the type 'tests.sdk.test_artifacts_plain_values.Opaque'" in caplog.text


def test_a_container_of_such_a_class_is_pickled_in_one_piece(tmp_path, caplog):
    value = {"models": [Opaque(1), Opaque(2)]}
    assert round_trip(value, tmp_path) == value
    assert len(caplog.records) == 1


def test_a_record_of_a_class_that_no_other_process_finds_is_pickled(tmp_path):
    @dataclass
    class Local:
        number: int

    loaded = round_trip(Local(3), tmp_path)
    assert loaded.number == 3
    assert (tmp_path / "value" / "data.pkl").exists()


def test_a_list_that_holds_itself_is_pickled(tmp_path):
    value: list[Any] = [1]
    value.append(value)
    loaded = round_trip(value, tmp_path)
    assert loaded[1] is loaded


def test_what_nothing_can_store_is_refused_by_its_type(tmp_path):
    with pytest.raises(materializers.ArtifactNotSavable, match=r"builtins\.generator"):
        round_trip((number for number in range(3)), tmp_path)


def test_a_materializer_of_ones_own_wins_over_the_built_in_ones(tmp_path, monkeypatch):
    known = materializers.Materializer._by_type_name
    monkeypatch.setattr(materializers.Materializer, "_by_type_name", dict(known))
    loaded = round_trip(Split(0.25), tmp_path)
    make_split_materializer()
    assert loaded == round_trip(Split(0.25), tmp_path / "own")
    assert (tmp_path / "own" / "value" / "split.txt").read_text() == "0.25"


def make_split_materializer() -> None:
    class SplitMaterializer(materializers.Materializer):
        ASSOCIATED_TYPES = (Split,)
        ASSOCIATED_ARTIFACT_TYPE = ArtifactType.SCHEMA

        def save(self, value: Split, uri: str) -> None:
            store.write_bytes(store.join(uri, "split.txt"), str(value.train).encode())

        def load(self, uri: str) -> Split:
            return Split(float(store.read_bytes(store.join(uri, "split.txt"))))

    globals()["SplitMaterializer"] = SplitMaterializer
    SplitMaterializer.__qualname__ = "SplitMaterializer"


def test_a_missing_artifact_and_a_missing_class_are_each_said_in_a_sentence(tmp_path):
    saved = materializers.save(1, None, str(tmp_path / "value"))
    with pytest.raises(DoesNotExist, match="nothing at"):
        materializers.load(str(tmp_path / "elsewhere"), saved.materializer)
    with pytest.raises(materializers.ArtifactNotLoadable, match=r"no class 'gone\.Class'"):
        materializers.load(str(tmp_path / "value"), "gone.Class")
    with pytest.raises(materializers.ArtifactNotLoadable, match="no materializer"):
        materializers.load(str(tmp_path / "value"), "pathlib.Path")


def test_a_pickle_whose_class_is_gone_says_so(tmp_path, monkeypatch):
    saved = materializers.save(Opaque(1), None, str(tmp_path))
    monkeypatch.delattr(f"{__name__}.Opaque")
    with pytest.raises(materializers.ArtifactNotLoadable, match="cannot be loaded under Python"):
        materializers.load(str(tmp_path), saved.materializer)


def test_a_name_that_is_no_class_is_refused(tmp_path):
    materializers.save(1, None, str(tmp_path))
    with pytest.raises(materializers.ArtifactNotLoadable, match=r"no class 'zenweb\.artifacts\.store\.join'"):
        materializers.load(str(tmp_path), "zenweb.artifacts.store.join")


def test_a_class_of_a_started_script_is_known_by_the_name_of_its_file(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "from dataclasses import dataclass\n"
        "from zenweb.artifacts import materializers\n"
        "@dataclass\n"
        "class Pair:\n"
        "    left: int\n"
        "if __name__ == '__main__':\n"
        f"    saved = materializers.save(Pair(1), None, {str(tmp_path / 'value')!r})\n"
        f"    assert materializers.load({str(tmp_path / 'value')!r}, saved.materializer) == Pair(1)\n"
        "    print(saved.data_type)\n"
    )
    started = [sys.executable, str(script)]
    run = subprocess.run(started, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    assert run.stdout == "run.Pair\n"


def test_an_unmaterialized_artifact_loads_its_value_when_asked(tmp_path):
    saved = materializers.save({"a": 1}, None, str(tmp_path))
    artifact = UnmaterializedArtifact(
        id="1",
        name="data",
        version="2",
        uri=str(tmp_path),
        type=saved.type,
        data_type=saved.data_type,
        materializer=saved.materializer,
    )
    assert artifact.load() == {"a": 1}
