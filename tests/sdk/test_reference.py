"""The reference of the SDK says what the code says, and leaves no public name without a word."""

from tools.sdk_reference import TARGET, reference, undocumented


def test_the_reference_is_what_the_docstrings_say_now():
    assert TARGET.read_text(encoding="utf-8") == reference(), "Run: make docs"


def test_every_public_name_has_a_docstring():
    assert undocumented() == []


def test_it_has_what_the_manual_imports():
    text = reference()
    for name in (
        "pipeline",
        "step",
        "load_artifact",
        "Client",
        "PipelineRunConfiguration",
        "UnmaterializedArtifact",
    ):
        assert f"### `{name}`" in text
    assert 'about: Literal["step", "run"]="step"' in text.replace("'", '"')
