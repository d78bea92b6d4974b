"""Steps that keep values beside their outputs."""

from zenweb import load_artifact, log_metadata, pipeline, save_artifact, step


@step
def train(epochs: int = 2, fails: bool = False) -> int:
    for epoch in range(epochs):
        saved = save_artifact({"epoch": epoch}, "checkpoint", user_metadata={"loss": 1 / (1 + epoch)})
    if fails:
        raise ValueError("it diverges")
    log_metadata({"best": saved.id, "here": saved.load()["epoch"]})
    return epochs


@pipeline
def saving_pipeline() -> None:
    train()


@step(enable_cache=False)
def resume(checkpoint: str = "checkpoint") -> int:
    return load_artifact(checkpoint)["epoch"]


@pipeline
def resuming_pipeline() -> None:
    resume()
