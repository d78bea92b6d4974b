"""Steps and pipelines with settings of their own."""

from datetime import timedelta

from zenweb import pipeline, step


@step
def plain() -> int:
    return 1


@step(retry={"max_retries": 1}, timeout=timedelta(minutes=1), queue="gpu", priority=5, enable_cache=False)
def settled() -> int:
    return 2


@step(settings={"resources": {"queue": "gpu", "gpu_count": 1, "memory": "16GB"}}, enable_cache=False)
def needs_a_gpu() -> int:
    return 3


@step(settings={"resources": {"gpu_count": 1}})
def asks_for_a_gpu() -> int:
    return 4


@step
def after_plain(number: int) -> int:
    return number


@step
def joins(left: int, right: int) -> int:
    return left + right


@pipeline
def joined_pipeline() -> None:
    joins(plain(), after_plain.with_options(name="other")(1))


@pipeline(
    retry={"max_retries": 7},
    queue="cpu",
    priority=1,
    enable_cache=True,
    timeout=60,
    execution_mode="fail_fast",
)
def settled_pipeline() -> None:
    after_plain(plain())
    settled.with_options(priority=6)()


@pipeline(settings={"resources": {"cpu_count": 2, "memory": "1GB"}})
def resources_pipeline() -> None:
    needs_a_gpu()
    asks_for_a_gpu()
