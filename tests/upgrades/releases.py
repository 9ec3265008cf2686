"""The code that was written for each revision of the schema, out of this repository's history."""

import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from app.core import migrations

ROOT = migrations.FOLDER.parent


class NoHistory(RuntimeError):
    """There is no repository here whose history goes back to the first migration."""


@dataclass(frozen=True, slots=True)
class Release:
    """The last commit that was written for a revision."""

    revision: str
    commit: str

    def lay_out(self, folder: Path) -> Path:
        """Its files, in a folder of its own."""
        place = folder / self.revision
        if place.exists():
            return place
        with tarfile.open(fileobj=BytesIO(_git("archive", self.commit, "app", "migrations"))) as packed:
            packed.extractall(place, filter="data")
        return place


def releases() -> list[Release]:
    """One for each revision that a commit was written for, oldest first. Raises `NoHistory`.

    A commit may have brought two migrations at once: nothing was ever written for the revision between them.
    """
    names = sorted(path.name for path in (migrations.FOLDER / "versions").glob("[0-9]*.py"))
    up_to = {tuple(names[: n + 1]): name[:4] for n, name in enumerate(names)}
    found: dict[str, str] = {}
    for commit in _git("log", "--reverse", "--format=%H").decode().split():
        listed = _git("ls-tree", "--name-only", commit, "migrations/versions/").decode().split()
        there = tuple(sorted(name for path in listed if (name := Path(path).name)[0].isdigit()))
        if there in up_to:
            found[up_to[there]] = commit
    if names[0][:4] not in found:
        raise NoHistory("the repository's history does not go back to the first migration: clone it whole")
    return [Release(*each) for each in sorted(found.items())]


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoHistory("this is no clone of the repository: git cannot tell its history") from error
