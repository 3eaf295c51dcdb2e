"""Recipes: one frozen, typed value of three parts says a whole training.

    Recipe(
        name="mine",
        task=TaskConfig(...),    # what is learned: data, model, losses
        optim=OptimConfig(...),  # how: optimiser, steps, schedule, precision
        run=RunConfig(...),      # where: output folder, threads, machines
    )

No two fields of a recipe share a name, so that `kws train` takes ``steps=10`` for
``optim.steps=10`` and ``model.mixer=sa`` for ``task.model.mixer=sa``.
"""

import dataclasses
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from kws.data.scenes.config import SceneConfig
from kws.metadata import ScorerConfig
from kws.model.config import AcousticConfig

R = TypeVar("R")  # a recipe, of a first pass or of a verifier


@dataclass(frozen=True)
class TrainingCorpus:
    """A folder of recordings with transcripts that a recipe trains on, and what its
    licence asks to be said.

    folder: below the recipe's `data`. share: its part of the speech time in training.
    """

    folder: str
    title: str
    licence: str
    attribution: str
    share: float = 0.0

    def sharing(self, share: float) -> "TrainingCorpus":
        """The same corpus with that share."""
        return dataclasses.replace(self, share=share)


def default_scoring() -> ScorerConfig:
    """The constants for a word of up to 2 s with gaps of up to 0.5 s, and one event a
    second.
    """
    return ScorerConfig(
        peak_weight=1.0, max_duration_frames=50, max_gap_frames=12, refractory_frames=25, default_threshold=0.3
    )


@dataclass(frozen=True)
class TaskConfig:
    """The task of a recipe: the data, the model and the losses.

    data: folder of the corpora. speech: those with transcripts. noise, rooms:
    recordings of noise, and room impulse responses (``kws data get rooms``, ``kws data
    get responses``). keywords: watched in validation, and the keywords of the finished
    model. extra_spellings: (word, phones) pairs that the dictionary lacks. scenes: how
    clips become training mixtures. scoring: constants of scorer and trigger, which go
    into the model file.

    start: a checkpoint, or the name of one that ships, whose weights training starts
    from; its model's shape is used. Of `phone_teacher` it is the model.bin of Whisper.
    trunk: a checkpoint whose weights, those of its mixers apart, a model of the
    recipe's own shape starts from.

    words: a closed vocabulary that the model learns to tell apart with the weight
    word_weight (kws.train.losses.word_loss); rows of `scenes` should then hold one
    clip. decoder_weight: of the loss of an autoregressive decoder that learns beside
    the model and is then dropped (kws.train.losses.decoder). phrase_weight: of a branch
    of the model that learns the keywords as whole phrases
    (kws.train.losses.phrase_branch); `train` sets model.phrases to fit.

    teacher: a model file, the name of one that ships, or a checkpoint of
    `phone_teacher`, whose posteriors the model learns to give, with the weight
    teacher_weight (kws.train.losses.imitation).

    frequency_mask: widest SpecAugment band mask, in mel bands. time_mask_frames: widest
    SpecAugment time mask, in hops of 10 ms, one for every two seconds of a row; 0 is
    none. vocal_tract: by how much the frequency axis of a row is stretched or pressed
    at most (kws.train.warp); 0 is not.

    temperature: divides the finished model's logits. Above 1, posteriors are less
    sure of themselves, which serves phrases that a model was not trained on.
    blank_discount: nats that are taken from the blank's logit after the division. Above
    0, a phone of which the model is not sure is not lost to the blank.
    """

    data: str
    speech: tuple[TrainingCorpus, ...]
    noise: TrainingCorpus | None
    keywords: tuple[str, ...]
    extra_spellings: tuple[tuple[str, str], ...] = ()
    model: AcousticConfig = field(default_factory=AcousticConfig)
    scenes: SceneConfig = field(default_factory=SceneConfig)
    scoring: ScorerConfig = field(default_factory=default_scoring)
    rooms: TrainingCorpus | None = None
    start: str = ""
    trunk: str = ""
    words: tuple[str, ...] = ()
    word_weight: float = 0.0
    decoder_weight: float = 0.0
    phrase_weight: float = 0.0
    teacher: str = ""
    teacher_weight: float = 1.0
    frequency_mask: int = 8
    time_mask_frames: int = 0
    vocal_tract: float = 0.0
    temperature: float = 1.0
    blank_discount: float = 0.0


@dataclass(frozen=True)
class OptimConfig:
    """The optimisation of a recipe: AdamW, its steps and schedule, the precision.

    seed: of weights, batches, masks and dropout. steps: optimiser steps, warmup_steps
    of them with a rising learning rate. steps_per_epoch: how often a checkpoint is
    written. validate_every: how many epochs pass between validations. ema_decay:
    weights are averaged over about 1 / (1 - decay) steps. precision: as Lightning names
    it; a processor without bfloat16 trains in single precision (kws.train.precision).
    """

    seed: int = 0
    steps: int = 6000
    steps_per_epoch: int = 200
    validate_every: int = 5
    warmup_steps: int = 400
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    precision: str = "bf16-mixed"


@dataclass(frozen=True)
class RunConfig:
    """The place of a training. With other values it goes on to the same model.

    output: folder of checkpoints and logs. features: folder in which the features of
    batches are kept, for other trainings on the same data with the same seed ("" keeps
    none; half a MB a step where a batch is a minute long).

    threads: of torch in each process. workers: processes beside each that build its
    batches. accelerator: Lightning's name of the hardware (``gpu``). devices: processes
    on this machine, which share the rows of each batch. num_nodes: machines that share
    them. strategy: Lightning's name of the way in which they do (``ddp``).
    """

    output: str
    features: str = ""
    threads: int = 2
    workers: int = 1
    accelerator: str = "cpu"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"


@dataclass(frozen=True)
class Recipe:
    """A whole training: task, optimisation and place."""

    name: str
    task: TaskConfig
    run: RunConfig
    optim: OptimConfig = field(default_factory=OptimConfig)

    def changed(self, **values: Any) -> "Recipe":
        """The recipe with fields of its parts replaced, each named without its part:
        ``changed(steps=10)``.

        Raises TypeError for a name that no part has.
        """
        return changed(self, values)


def changed(recipe: R, values: dict[str, Any]) -> R:
    """A recipe of the three parts with fields of its parts replaced, each named without
    its part.

    Raises TypeError for a name that no part has.
    """
    parts: dict[str, Any] = {"name": values.pop("name")} if "name" in values else {}
    for name in ("task", "optim", "run"):
        part = getattr(recipe, name)
        inside = {key: values.pop(key) for key in [f.name for f in fields(part)] if key in values}
        parts[name] = dataclasses.replace(part, **inside)
    if values:
        raise TypeError(f"a recipe has no {', '.join(values)}")
    return dataclasses.replace(recipe, **parts)  # type: ignore[type-var]
