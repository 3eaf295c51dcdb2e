"""LibriSpeech (Panayotov et al. 2015; openslr.org/12) and its small parts
(openslr.org/31).

LibriSpeech/PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac beside
SPEAKER-CHAPTER.trans.txt, whose lines are "SPEAKER-CHAPTER-NNNN TRANSCRIPT". The
published parts share no speakers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kws.data.corpora.base import AbsentError, Corpus
from kws.data.download import Archive
from kws.data.prepare.build import Prepared
from kws.data.prepare.clip import Clip, Fault, Listing, files_below

_SERVER = "https://www.openslr.org/resources"
# MD5 from openslr.org/resources/31/md5sum.txt, SHA-256 from torchaudio.datasets.librispeech.
ARCHIVES = {
    name: Archive(f"{_SERVER}/{number}/{name}.tar.gz", checksum)
    for name, number, checksum in (
        ("train-clean-5", 31, "md5:5df7d4e78065366204ca6845bb08f490"),
        ("dev-clean-2", 31, "md5:6d7ab67ac6a1d2c993d050e16d61080d"),
        ("dev-clean", 12, "sha256:76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        ("dev-other", 12, "sha256:12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
        ("test-clean", 12, "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
        ("test-other", 12, "sha256:d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
        ("train-clean-100", 12, "sha256:d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        ("train-clean-360", 12, "sha256:146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
        ("train-other-500", 12, "sha256:ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
    )
}


def _folder(source: Path, part: str) -> Path | None:
    places = (source / "LibriSpeech" / part, source / part, *([source] if source.name == part else []))
    return next((place for place in places if place.is_dir()), None)


def _clips(source: Path, parts: Sequence[str]) -> Listing:
    """The utterances of the parts named."""
    folders = {part: folder for part in parts if (folder := _folder(source, part))}
    if missing := [part for part in parts if part not in folders]:
        raise AbsentError(f"{missing[0]} of LibriSpeech is not in {source}")
    clips = [clip for part, folder in folders.items() for clip in part_clips(folder, part.partition("-")[0])]
    return clips, [f"split by the published parts: {', '.join(folders)}"]


def part_clips(folder: Path, split: str) -> Iterator[Clip]:
    """The utterances below the folder of one part, all in one split."""
    texts: dict[Path, str] = {}
    for transcript in files_below(folder, {".txt"}):
        for line in transcript.read_text("utf-8", errors="replace").splitlines():
            name, _, text = line.strip().partition(" ")
            if transcript.name.endswith(".trans.txt") and name:
                texts[transcript.parent / f"{name}.flac"] = text.strip().lower()
    for path in sorted({*files_below(folder), *texts}):
        fault = None if texts.get(path) else Fault("unlabelled", "it has no line in a .trans.txt beside it")
        yield Clip(path, texts.get(path, ""), path.stem.partition("-")[0], split, fault)


class _LibriSpeech(Corpus):
    """LibriSpeech. Without a named part, the small parts are fetched, and all parts
    that are there are prepared.
    """

    def prepare(self, root: Path, source: Path | None = None, parts: Sequence[str] = ()) -> Prepared:
        """One manifest of the parts named, or of all that are there; train-*, dev-* and
        test-* are the splits.
        """
        here = [part for part in ARCHIVES if _folder(source or root, part)]
        return super().prepare(root, source, parts or here)


CORPUS = _LibriSpeech(
    name="librispeech",
    holds="read English: mini parts 5 + 2 h, all parts 1,000 h",
    licence="CC BY 4.0",
    archives=ARCHIVES,
    default=("train-clean-5", "dev-clean-2"),  # 0.5 GB
    list=_clips,
)
