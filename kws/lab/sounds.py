"""The recordings that a study's models are tested on, as mel energies that are computed
once for all of them.

Shapes: F hops of 10 ms, M mel bands.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from kws.data.kept import read_kept
from kws.data.manifest import read_manifest
from kws.data.transcripts import transcribe
from kws.errors import KwsError
from kws.evaluate.replay.conditions import Rules, blocks, sound_files
from kws.evaluate.replay.files import file_identity
from kws.evaluate.replay.recording import CLEAN, TestItem
from kws.evaluate.replay.sources import sources_of, under_conditions
from kws.files import whole
from kws.lab.study import Places, Study
from kws.model.encoder import FRAME_SAMPLES
from kws.model.frontend import LogMel
from kws.train.vocabulary import lexicon_of
from kws.units import samples

RULES = Rules(silence_s=1.0)
LEAD_FRAMES = RULES.lead_samples(FRAME_SAMPLES) // FRAME_SAMPLES
KINDS = ("keyword", "speech", "noise")


@dataclass(frozen=True)
class Sounds:
    """Recordings and their log-mel energies before normalisation.

    sources: the recordings. samples: their lengths. mel: (F, M), the mel energies of
    all of them one after another, in half precision; recording i is mel[starts[i] :
    starts[i + 1]], with `RULES.silence_s` of silence on both sides. skipped: a line for
    each recording that cannot be used.
    """

    sources: tuple[TestItem, ...]
    samples: tuple[int, ...]
    mel: npt.NDArray[np.float16]
    starts: npt.NDArray[np.int64]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sources)

    def features(self, index: int) -> torch.Tensor:
        """The mel energies (F, M) of recording `index`."""
        return torch.from_numpy(self.mel[self.starts[index] : self.starts[index + 1]].astype(np.float32))

    def clean(self, kind: str) -> Iterator[int]:
        """The numbers of the clean recordings of one of KINDS; those of speech from the
        longest down.
        """
        found = [i for i, source in enumerate(self.sources) if source.condition == CLEAN and _kind(source) == kind]
        return iter(sorted(found, key=lambda i: -self.samples[i]) if kind == "speech" else found)


def _kind(source: TestItem) -> str:
    if source.role == "positive":
        return "keyword"
    return "speech" if any(label.speaker for label in source.labels) else "noise"


def sounds_of_test(study: Study, places: Places) -> Sounds:
    """The recordings of the test: keywords under all conditions, and recordings without
    keywords.
    """
    positives = [f"{places.data / name}@test" for name in study.positives]
    negatives = [f"{places.data / name}@test" for name in study.negatives]
    sources = under_conditions(sources_of(positives, negatives, [], []), study.conditions, study.recipe.task.keywords)
    noise = sound_files(f"{places.data / study.noise}@test")
    return heard(sources, Rules(RULES.silence_s, noise=noise), study.recipe.task.model.mels, places.cache)


def sounds_of_search(study: Study, places: Places) -> tuple[Sounds, list[npt.NDArray[np.int64]]]:
    """The recordings by which learning rates are chosen, and the tokens that are said
    in each.

    They are the dev split of the dealt corpora that are trained on. Raises KwsError
    where no speaker was dealt to it.
    """
    tokens = {token: index for index, token in enumerate(study.recipe.task.model.tokens)}
    folders = [c.folder for c in study.recipe.task.speech if c.folder in study.dealt]
    rows = [row for folder in folders for row in read_manifest(places.data / folder, ["dev"]) if row.text]
    if not rows:
        raise KwsError(f"nobody was dealt to the search of the study {study.name}: give it a larger dev_share")
    texts = {row.audio: row.text for row in rows}
    sources = [TestItem(row.audio, "/".join(row.audio.parts[-3:]), "negative") for row in rows]
    sounds = heard(sources, RULES, study.recipe.task.model.mels, places.cache)
    lexicon = lexicon_of(study.recipe)
    targets = [transcribe(texts[source.audio], lexicon)[0] for source in sounds.sources]
    return sounds, [np.array([tokens[phone] for phone in phones], np.int64) for phones in targets]


def heard(sources: Sequence[TestItem], rules: Rules, mels: int, cache: Path) -> Sounds:
    """The mel energies of `sources`, from a file in `cache` or computed and kept
    there.
    """
    identities = [(s.condition, s.role, s.labels, s.name, file_identity(s.audio)) for s in sources]
    noise = [file_identity(path) for path in rules.noise]
    key = hashlib.blake2b(repr((identities, noise, rules.silence_s, mels)).encode(), digest_size=8).hexdigest()
    path = cache / f"sounds-{key}.npz"
    sounds = read_kept(path, lambda path: _read(path, sources))
    if sounds is None:
        _make(sources, rules, mels, path)
        sounds = _read(path, sources)
    return sounds


def _read(path: Path, sources: Sequence[TestItem]) -> Sounds:
    with np.load(path) as kept:
        return Sounds(
            tuple(sources[i] for i in kept["kept"]),
            tuple(kept["samples"].tolist()),
            kept["mel"],
            kept["starts"],
            tuple(kept["skipped"].tolist()),
        )


def _make(sources: Sequence[TestItem], rules: Rules, mels: int, path: Path) -> None:
    frontend = LogMel(mels)
    kept, lengths, parts, skipped = [], [], [], []
    for index, source in enumerate(tqdm(sources, "hearing", leave=False, disable=None)):
        try:
            sound = np.concatenate(list(blocks(source, rules, FRAME_SAMPLES)))
        except KwsError as error:
            skipped.append(str(error))
            continue
        pcm = torch.from_numpy(np.pad(sound, (0, -len(sound) % FRAME_SAMPLES)))[None]
        with torch.no_grad():
            parts.append(frontend(pcm, frontend.init_state(1))[0][0].half().numpy())
        kept.append(index)
        lengths.append(len(sound) - (LEAD_FRAMES * FRAME_SAMPLES + samples(rules.silence_s)))
    if not parts:
        raise KwsError(f"none of {len(sources)} recordings can be used; the first: {skipped[:1]}")
    starts = np.cumsum([0, *map(len, parts)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, shared=True) as partial, partial.open("wb") as file:
        np.savez(
            file, kept=kept, samples=lengths, mel=np.concatenate(parts), starts=starts, skipped=np.array(skipped, str)
        )
