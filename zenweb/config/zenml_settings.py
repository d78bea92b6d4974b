"""ZenML's classes for `settings={"docker": ..., "resources": ...}`: dicts under the names that its users write."""

from typing import Any


class DockerSettings(dict[str, Any]):
    """Of these, `requirements` counts: the packages of the environment that steps run in. No image is built."""

    def __init__(self, *, requirements: list[str] | str | None = None, **others: Any) -> None:
        super().__init__(others if requirements is None else {"requirements": requirements, **others})


class ResourceSettings(dict[str, Any]):
    """What a step needs: `memory` such as "16GB". Where it runs is decided by its queue."""

    def __init__(
        self,
        *,
        cpu_count: float | None = None,
        gpu_count: int | None = None,
        memory: str | None = None,
        queue: str | None = None,
    ) -> None:
        said = {"cpu_count": cpu_count, "gpu_count": gpu_count, "memory": memory, "queue": queue}
        super().__init__({name: value for name, value in said.items() if value is not None})
