"""A corpus as code: a declaration, and a function that lists its clips.

`Corpus.prepare` hands the listed clips to `kws.data.prepare.build`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kws.data.download import Archive, bring
from kws.data.prepare.build import Prepared, build
from kws.data.prepare.clip import Listing
from kws.errors import KwsError


class AbsentError(KwsError):
    """A corpus is not in the folder where it was looked for; `Corpus.prepare` adds what
    to do.
    """


@dataclass(frozen=True)
class Corpus:
    """A corpus that `kws data get` knows: each module of this package declares one.

    list: (folder, parts) -> clips and notes; raises AbsentError where the corpus is not
    in the folder. archives: what is fetched, by part; several parts may come in one
    archive. A corpus without archives is given with --from. default: the parts that are
    meant where none is named (empty: each corpus says what then happens). ask: what to
    do for a corpus that is not there, where that is not the usual.
    """

    name: str
    holds: str
    licence: str
    list: Callable[[Path, Sequence[str]], Listing]
    archives: Mapping[str, Archive | tuple[Archive, ...]] = field(default_factory=dict)
    default: tuple[str, ...] = ()
    ask: str = ""

    @property
    def where(self) -> str:
        """The source of the corpus, for the table of corpora."""
        if not self.archives:
            return self.ask or "--from FOLDER"
        if len(self.archives) == 1:
            return "--download"
        everything = len(self.default) == len(self.archives)
        usual = [] if everything or not self.default else [f"{' '.join(self.default)} (default)"]
        others = [part for part in self.archives if everything or part not in self.default]
        shown = ", ".join([*usual, *others[:3]]) + (", ..." if len(others) > 3 else "")
        return f"--download; --part {shown}{' (default: all)' if everything else ''}"

    def download(self, root: Path, parts: Sequence[str] = ()) -> None:
        """Fetches and unpacks the missing archives below `root`. Raises KwsError where
        that fails.
        """
        self.check(parts)
        if not self.archives:
            raise KwsError(f"nothing is fetched for {self.name}: {self.advice}")
        if not (wanted := parts or self.default):
            raise KwsError(f"say what to fetch: --part with one of {', '.join(self.archives)}")
        for part in wanted:
            archives = self.archives[part]
            for archive in archives if isinstance(archives, tuple) else (archives,):
                bring(archive, root, root / archive.into)

    def prepare(self, root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
        """Writes root/manifest.csv about the files of `source` (`root` itself when
        None), without the network.
        """
        self.check(parts)
        source, parts = (source or root).absolute(), tuple(sorted(parts or self.default))
        if self.archives and not source.is_dir():
            raise KwsError(f"{source} is not a folder: {self.advice}")
        return build(root, source, partial(self.found, source, parts), parts=parts)

    def found(self, source: Path, parts: Sequence[str]) -> Listing:
        """The result of `list`; where the corpus is absent, a KwsError that says what
        to do.
        """
        try:
            return self.list(source, parts)
        except AbsentError as error:
            raise KwsError(f"{error}: {self.advice}") from error

    @property
    def advice(self) -> str:
        """A sentence on what to do where the corpus is absent."""
        usual = "give its folder with --from"
        return self.ask or (f"add --download to fetch it, or {usual}" if self.archives else usual)

    def check(self, parts: Sequence[str]) -> None:
        """Raises KwsError for a part that the corpus does not have."""
        if unknown := [part for part in parts if part not in self.archives]:
            known = ", ".join(self.archives) or "none"
            raise KwsError(f"{self.name} has no part {unknown[0]!r}: its parts are {known}")


def first_folder(corpus: str, source: Path, places: Sequence[str]) -> Path:
    """The first of `places` below `source` that is there ("" for itself); AbsentError
    where none is.
    """
    for place in places:
        if (source / place).exists():
            return source / place
    raise AbsentError(f"{corpus} is not in {source} (looked for {', '.join(places)})")


def read_lists(path: Path) -> Any:
    """A JSON file of a corpus; KwsError naming it where it is damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise KwsError(f"{path} cannot be read ({error}): unpack the corpus again") from error
