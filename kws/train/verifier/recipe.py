"""The recipe of a verifier, in the three parts of any recipe (kws.train.recipe)."""

from dataclasses import dataclass, field
from typing import Any

from kws.data.scenes.config import SceneConfig
from kws.model.config import VerifierConfig
from kws.train.recipe import OptimConfig, RunConfig, TrainingCorpus, changed


@dataclass(frozen=True)
class SegmentConfig:
    """The segments of a batch, which are cut from tapes (kws.data.scenes.tapes), by
    their kind.

    rows: of a batch. keyword: share of segments around a keyword that the first pass
    proposes. candidate: around a wrong candidate. off_time: in which a keyword is not
    over yet, or was over long ago. spelled: of a single clip with its transcript. The
    other segments are drawn anywhere. jitter_s: by which segments miss the place at
    which they would be verified. cold: share of rows whose begin is digital silence, as
    where a stream has just begun. batch_seed: of the batches alone, so that trainings
    from other weights may meet the same ones.
    """

    rows: int = 64
    batch_seed: int = 0
    keyword: float = 0.30
    candidate: float = 0.28
    off_time: float = 0.06
    spelled: float = 0.16
    jitter_s: float = 0.12
    cold: float = 0.06


@dataclass(frozen=True)
class VerifierTaskConfig:
    """The task of a verifier: the data, the verifier, its candidates and its losses.

    data: folder of the corpora. speech: the corpora of the tapes; a clip whose text is
    a keyword is positive, any other clip negative. copies: tapes of each corpus that
    has keywords, each with other speeds. splits: of the corpora that are trained on.
    fold, folds: leaves out the speakers of one of so many folds, -1 none. noise, rooms:
    as in a training of a first pass.

    first_pass: a model file, or the name of one that ships. mined_from: its least score
    of a candidate in training. floor, hold_frames, first_pass_weight: as in
    kws.metadata.VerifierInfo.

    teacher: folder with melspectrogram.onnx and embedding_model.onnx, a public speech
    embedding whose outputs for the clean sound the verifier learns to give for the
    degraded one; "" is none. teacher_weight, phone_weight: of the losses beside that of
    the words. word_gradient: by which the gradient of the words' loss reaches what the
    three share; below 1 the few speakers of the words shape it less.

    frequency_mask, time_mask_frames (in hops): as in a training of a first pass.
    vocal_tract: by how much the frequency axis of a segment is stretched at most, a
    share of 1.
    """

    data: str
    speech: tuple[TrainingCorpus, ...]
    keywords: tuple[str, ...]
    noise: TrainingCorpus | None = None
    rooms: TrainingCorpus | None = None
    extra_spellings: tuple[tuple[str, str], ...] = ()
    copies: int = 4
    speed: tuple[float, float] = (0.86, 1.16)
    splits: tuple[str, ...] = ("train",)
    fold: int = -1
    folds: int = 3
    first_pass: str = "wake-words"
    mined_from: float = 0.0005
    floor: float = 0.02
    hold_frames: int = 6
    first_pass_weight: float = 1.0
    teacher: str = ""
    teacher_weight: float = 1.0
    phone_weight: float = 0.2
    word_gradient: float = 1.0
    frequency_mask: int = 6
    time_mask_frames: int = 0
    vocal_tract: float = 0.0
    model: VerifierConfig = field(default_factory=lambda: VerifierConfig(words=()))
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)


@dataclass(frozen=True)
class VerifierRecipe:
    """A whole training of a verifier: task, optimisation and place."""

    name: str
    task: VerifierTaskConfig
    run: RunConfig
    optim: OptimConfig = field(default_factory=OptimConfig)

    def changed(self, **values: Any) -> "VerifierRecipe":
        """The recipe with fields of its parts replaced, each named without its part.

        Raises TypeError for a name that no part has.
        """
        return changed(self, values)
