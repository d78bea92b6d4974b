"""`--set …=@FILE`: files of this machine on the command line."""

from runs_app.models import ArtifactVersion, PipelineRun
from tests.factories import freeze, make_template


def test_a_file_of_this_machine_is_uploaded_and_given(alices, stacks, alice, tmp_path):
    make_template(freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed")
    (tmp_path / "orders.csv").write_bytes(b"city\nBasel\n")
    result = alices(
        *("run-template", "run", "filed"),
        *("--set", f"steps.read.parameters.table=@{tmp_path / 'orders.csv'}"),
        *("--set", 'steps.read.parameters.content="@ is a letter"'),
    )
    assert result.exit_code == 0, result.output
    version = ArtifactVersion.objects.get()
    parameters = PipelineRun.objects.get().parameters["read"]
    assert parameters["table"] == {"artifact_version": str(version.pk)}
    assert (version.artifact.name, parameters["content"]) == ("uploads::orders.csv", "@ is a letter")


def test_a_file_that_is_not_there_starts_nothing(alices, stacks, alice):
    make_template(freeze("filed.filed_pipeline", alice, stacks["celery"]), alice, "filed")
    result = alices("run-template", "run", "filed", "--set", "steps.read.parameters.table=@none.csv")
    assert (result.exit_code, "There is no file 'none.csv' here" in result.stderr) == (2, True)
    assert not PipelineRun.objects.exists()
