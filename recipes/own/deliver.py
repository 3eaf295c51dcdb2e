"""Makes a calibrated model file from a recipe: train, export, calibrate, test. Recipes
that deliver a model share it.
"""

from collections.abc import Sequence
from pathlib import Path

from kws.data.manifest import Utterance
from kws.errors import KwsError
from kws.evaluate.count.matching import Counting, events
from kws.evaluate.count.metrics import KeywordRates
from kws.evaluate.count.thresholds import expected_points, store
from kws.evaluate.replay.conditions import Rules
from kws.evaluate.replay.many import replay_all
from kws.evaluate.replay.recording import Replayed, TestItem
from kws.evaluate.replay.systems import KwsSystem, SystemSpec
from kws.export.write import write_model
from kws.files import whole
from kws.log import Log
from kws.model.checkpoint import save_checkpoint
from kws.runtime.detector import Detector
from kws.train.initial import first_model
from kws.train.recipe import Recipe
from kws.train.recipes.identity import claim, without_paths
from kws.train.trainer import train
from kws.train.vocabulary import keyword_spellings, lexicon_of

_SILENCE_S = 1.0  # around every recording that is replayed


def checkpoint_of(recipe: Recipe, log: Log) -> Path | None:
    """The recipe's checkpoint: trained, or with steps=0 the weights of the start,
    softened as the recipe says, with the recipe's keywords.

    None in every process but the first of a training.
    """
    if recipe.optim.steps:
        return train(recipe, log)
    output = Path(recipe.run.output)
    claim(output, recipe)
    spellings = keyword_spellings(recipe, lexicon_of(recipe))
    model = first_model(recipe)
    model.soften(recipe.task.temperature, recipe.task.blank_discount)
    save_checkpoint(output / "model.ckpt", model, without_paths(recipe), spellings, {"minutes": 0.0, "steps": 0})
    return output / "model.ckpt"


def deliver(
    recipe: Recipe, negatives: Sequence[Utterance], data: str, fa_per_hour: float, log: Log
) -> tuple[Path, list[KeywordRates]] | None:
    """Train, export and calibrate by `recipe`; a training that an earlier call finished
    is not repeated.

    negatives: recordings in which no keyword is said. data: their name in the model
    file. Returns the model file, which exists only when it is finished, and the
    operating points. Without negatives there are no points, and thresholds stay the
    model's default. Returns None in every process but the first of a training.
    """
    trained = checkpoint_of(recipe, log)
    if trained is None:
        return None
    model, rates = trained.with_suffix(".onnx"), []
    with whole(model) as unfinished:
        log(str(write_model(trained, unfinished)))
        if recordings := heard(unfinished, negatives, log):
            system = system_of(unfinished)
            rates = expected_points(system, recordings, fa_per_hour)
            store(unfinished, system.detector.info, rates, fa_per_hour, data)
    return model, rates


def system_of(model: Path) -> KwsSystem:
    """The model file as a system that can be scored."""
    return KwsSystem(Detector.load(model))


def heard(model: Path, rows: Sequence[Utterance], log: Log) -> list[Replayed]:
    """The recordings that can be read, replayed through the model. None of them holds
    the phrase, so every event in them is a false accept.
    """
    skipped: list[str] = []
    sources = [TestItem(row.audio, row.audio.name, "negative") for row in rows]
    recordings = replay_all(SystemSpec(str(model)), sources, Rules(_SILENCE_S), store=None, skipped=skipped)
    for line in skipped:
        log(f"skipped: {line}")
    return recordings


def fired(model: Path, rows: Sequence[Utterance], log: Log, index: int = 0) -> tuple[int, int]:
    """The number of rows in which keyword `index` of the model fires, and the number of
    rows.
    """
    system, recordings = system_of(model), heard(model, rows, log)
    threshold, counting = system.thresholds[index], Counting.of(system)
    return sum(bool(events(r, index, threshold, counting)) for r in recordings), len(recordings)


def demand_folder(path: str, what: str) -> Path:
    """The path as a folder that is there; KwsError otherwise."""
    if not Path(path).is_dir():
        raise KwsError(f"there is no folder {path}: give {what}")
    return Path(path)
