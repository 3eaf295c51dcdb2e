"""What a set of recordings is that a public server gives out."""

from __future__ import annotations

import csv
import importlib.resources
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from kws.data.corpora.base import AbsentError
from kws.data.download import Archive, Wanted, bring
from kws.data.prepare.build import Prepared, build
from kws.data.prepare.clip import Listing


@dataclass(frozen=True)
class PublicSet:
    """A folder of recordings that can be fetched.

    brings: archives, the folder below the set's own that each is unpacked into, and
    which of its files are wanted. list: the set's folder -> clips and notes; raises
    AbsentError where they are not there. convert: makes the recordings of a set out of
    what was fetched into its folder, where they are no sound files that kws reads as
    they are; what is there already is kept.
    """

    name: str
    brings: tuple[tuple[Archive, str, Wanted | None], ...]
    list: Callable[[Path], Listing]
    convert: Callable[[Path], None] | None = None

    def fetch(self, folder: Path) -> bool:
        """Brings what is missing to folder/NAME, archives to folder/downloads; whether
        there was something to do.
        """
        root = folder / self.name
        brought = [bring(archive, folder, root / into, wanted) for archive, into, wanted in self.brings]
        return any(brought)

    def prepare(self, folder: Path) -> Prepared:
        """Writes folder/NAME/manifest.csv; AbsentError where nothing was fetched."""
        root = (folder / self.name).absolute()
        if not root.is_dir():
            raise AbsentError(f"{self.name} is not in {folder}")
        if self.convert is not None:
            self.convert(root)
        return build(root, root, partial(self.list, root), set=self.name)


def read_list(name: str) -> list[dict[str, str]]:
    """The rows of a list that is shipped beside this file."""
    text = (importlib.resources.files(__package__) / f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def ends_as(names: Iterable[str], depth: int) -> Wanted:
    """Wants files whose last `depth` parts are one of `names`."""
    known = frozenset(names)
    return lambda name: "/".join(PurePosixPath(name).parts[-depth:]) in known


def here(folder: Path, what: str) -> Path:
    """The folder; AbsentError where it is not there."""
    if not folder.is_dir():
        raise AbsentError(f"{what} is not in {folder.parent}")
    return folder
