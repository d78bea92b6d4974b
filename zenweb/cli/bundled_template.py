"""A template file with its code, as the command line knows it: what it asks for, and where it lies."""

from pathlib import Path
from typing import Any

from zenweb.config.template_folder import TemplateFile, code_path, read_template_files
from zenweb.exceptions import ValidationFailed


class BundledTemplate:
    """A template file, as far as flags are made of it."""

    def __init__(self, path: str) -> None:
        self.name = path
        self.file = read_template(Path(path))

    @property
    def config_schema(self) -> dict[str, Any]:
        pipeline = self.file.document.pipeline
        return pipeline.config_schema if pipeline else {}

    def preset_values(self, name: str | None) -> dict[tuple[str, ...], Any]:
        """What the parameters of steps come to with a preset, over which a part of one is laid."""
        preset = (self.file.document.presets or {}).get(name or "") or {}
        return {
            ("steps", step, "parameters", parameter): value
            for step, section in (preset.get("steps") or {}).items()
            for parameter, value in ((section or {}).get("parameters") or {}).items()
            if isinstance(value, dict)
        }


def read_template(path: Path) -> TemplateFile:
    """A bundle, or a template file with its code beside it. Raises ValidationFailed."""
    if not path.is_file():
        raise ValidationFailed(
            f"There is no file {str(path)!r}. Make one of a template: zenweb run-template export NAME -o NAME.zip"
        )
    [file] = read_template_files([path])
    if file.document.pipeline is None or file.code is None:
        place = code_path(path, file.document.pipeline.sha256 if file.document.pipeline else "…")
        raise ValidationFailed(
            f"{path} has no code to run, and {place} is not there. Export the template with its code: "
            f"zenweb run-template export {file.name} -o {file.name}.zip"
        )
    return file
