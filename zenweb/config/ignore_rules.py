"""Which files of a source folder stay out of its archive."""

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from zenweb.exceptions import CodeArchiveRefused

ALWAYS_OUT = frozenset({".git", ".venv", ".zenweb", "__pycache__", "node_modules", "venv"})
# What usually holds secrets, and is often not in .gitignore where there is no git. An ignore file may take it back.
SECRETS = GitIgnoreSpec.from_lines(
    (
        *(".env", ".env.*", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx"),
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".ssh/", ".aws/"),
        *(".netrc", "_netrc", ".pypirc", ".pgpass", ".htpasswd", ".git-credentials"),
    )
)
# The later one may take back what the earlier one leaves out.
IGNORE_FILES = (".gitignore", ".zenwebignore")


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that hold in one folder: its own and those of the folders above, the nearest first."""

    levels: tuple[tuple[Path, GitIgnoreSpec], ...]

    @classmethod
    def of(cls, root: Path) -> "IgnoreRules":
        """The rules of a source folder; those above it count too, up to the top of its git repository."""
        above = cls(())
        for folder in reversed(_folders_up_to_repository(root)):
            # What is left out as a whole was not meant to be a source folder, yet here it is one: start anew.
            above = cls(()) if above.leave_out(folder) else above.inside(folder)
        return above

    def inside(self, folder: Path) -> "IgnoreRules":
        own = _rules_in(folder)
        return IgnoreRules(((folder, own), *self.levels)) if own is not None else self

    def leave_out(self, path: Path) -> bool:
        is_folder = path.is_dir()
        if path.name in ALWAYS_OUT or (is_folder and (path / "pyvenv.cfg").exists()):
            return True
        for folder, rules in self.levels:
            name = path.relative_to(folder).as_posix()
            verdict = rules.check_file(f"{name}/" if is_folder else name).include
            if verdict is not None:
                return verdict
        return bool(SECRETS.check_file(f"{path.name}/" if is_folder else path.name).include)


def _folders_up_to_repository(root: Path) -> list[Path]:
    """The root, and the folders above it if it is in a git repository."""
    folders = [root, *root.parents]
    top = next((index for index, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    return folders[: top + 1]


def _rules_in(folder: Path) -> GitIgnoreSpec | None:
    files = [folder / name for name in IGNORE_FILES if (folder / name).is_file()]
    lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
    try:
        return GitIgnoreSpec.from_lines(lines) if lines else None
    except ValueError as error:
        raise CodeArchiveRefused(f"The ignore rules in {folder} cannot be used: {error}.") from error
