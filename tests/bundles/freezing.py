"""`python -m tests.bundles.freezing VERSION` writes the bundles of a new version. Former ones are never touched."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from zenweb import __version__
from zenweb.config.code_archive import pack
from zenweb.config.config_schema import build_config_schema, build_config_template
from zenweb.config.importing import importing_for_execution
from zenweb.config.source import import_source
from zenweb.config.template_bundle import bundle, write_bundle
from zenweb.config.template_file import FORMAT, HASH_MARK, FrozenPipeline, TemplateDocument
from zenweb.pipelines import Pipeline

HERE = Path(__file__).parent
SOURCES = HERE / "sources"
SUMS = "SHA256SUMS"


def freeze(name: str, **said: Any) -> bytes:
    """The bundle of the pipeline `NAME_pipeline` in sources/NAME/NAME.py."""
    folder = SOURCES / name
    sys.path.insert(0, str(folder))
    try:
        with importing_for_execution():
            pipeline = import_source(f"{name}.{name}_pipeline", Pipeline)
        spec = pipeline.compile()
    finally:
        sys.path.remove(str(folder))
    archive = pack(folder)
    frozen = FrozenPipeline(
        name=spec.name,
        code=f"{HASH_MARK}{archive.sha256}",
        python_version="3.11",
        client_version=__version__,
        config_template=build_config_template(spec),
        spec=spec.model_dump(mode="json"),
        config_schema=build_config_schema(spec),
    )
    document = TemplateDocument(format=FORMAT, name=name, pipeline=frozen, **said)
    return write_bundle(bundle(document, archive.content))


def sums(folder: Path) -> str:
    """Of all bundles and of what is expected of them, as `sha256sum` writes it."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".zip", ".json"})
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def main(version: str) -> None:
    folder = HERE / version
    folder.mkdir()  # one that is there is never made again
    for source in sorted(SOURCES.glob("*.json")):
        told = json.loads(source.read_text())
        (folder / f"{source.stem}.zip").write_bytes(freeze(source.stem, **told["template"]))
        runs = {"runs": told["runs"]}
        (folder / source.name).write_text(json.dumps(runs, indent=2, ensure_ascii=False) + "\n")
    (folder / SUMS).write_text(sums(folder))


if __name__ == "__main__":
    main(sys.argv[1])
