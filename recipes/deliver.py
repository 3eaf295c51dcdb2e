"""From a recipe to a calibrated model file: train, export, calibrate, test. What recipes that deliver a model share."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kws.data.manifest import Utterance
from kws.errors import KwsError
from kws.evaluate.calibrate import store
from kws.evaluate.metrics import KeywordRates, Recording, at_rate, at_threshold, det, hours
from kws.evaluate.replay import replay
from kws.export.to_onnx import write_model
from kws.lexicon import load_cmudict, phrase_name
from kws.model.checkpoint import find_checkpoint, load_checkpoint, save_checkpoint
from kws.runtime.detector import Detector
from kws.train.recipe import Recipe
from kws.train.run import claim, train, without_paths

_SILENCE_S = 1.0  # around every recording that is replayed
_LITTLE_H = 0.25  # of negatives: too little for a threshold below the model's default
Report = Callable[[str], None]


def checkpoint_of(recipe: Recipe) -> Path:
    """The recipe's checkpoint: trained, or with steps=0 the start's weights under the recipe's keywords."""
    if recipe.steps:
        return train(recipe)
    output = Path(recipe.output)
    claim(output, recipe)
    lexicon = load_cmudict().extended(recipe.extra_spellings).taught(recipe.keywords)
    spellings = {phrase_name(k): [list(s) for s in lexicon.spell(k)] for k in recipe.keywords}
    model = load_checkpoint(find_checkpoint(recipe.start)).model
    save_checkpoint(output / "model.ckpt", model, without_paths(recipe), spellings, {"minutes": 0.0, "steps": 0})
    return output / "model.ckpt"


def deliver(
    recipe: Recipe, negatives: Sequence[Utterance], data: str, fa_per_hour: float, report: Report
) -> tuple[Path, list[KeywordRates]]:
    """Trains, exports and calibrates by `recipe`; what was done by an earlier call is not trained again.

    negatives: recordings in which no keyword is said, `data` their name for the record. Returns the model file, which
    is there only when it is finished, and the operating points; without negatives there are none, and thresholds stay
    the model's default.
    """
    trained = checkpoint_of(recipe)
    model, unfinished = trained.with_suffix(".onnx"), trained.with_suffix(".unfinished.onnx")
    report(write_model(trained, unfinished))
    detector = Detector.load(unfinished)
    recordings = heard(detector, negatives, report)
    rates = []
    if recordings:
        rates = [point(detector, recordings, index, fa_per_hour) for index in range(len(detector.keywords))]
        store(unfinished, detector.manifest, rates, fa_per_hour, data)
    unfinished.replace(model)
    return model, rates


def point(detector: Detector, recordings: Sequence[Recording], index: int, fa_per_hour: float) -> KeywordRates:
    """The operating point of keyword `index`; little audio cannot set it below the model's default threshold."""
    names = [keyword.name for keyword in detector.keywords]
    scoring = detector.manifest.scoring
    curve = list(det(recordings, names, index, scoring.refractory_frames))
    found = at_rate(curve, fa_per_hour)
    if hours(recordings) < _LITTLE_H and found.threshold < scoring.default_threshold:
        return at_threshold(curve, scoring.default_threshold)
    return found


def heard(detector: Detector, rows: Sequence[Utterance], report: Report) -> list[Recording]:
    """The rows that can be read, replayed."""
    return list(replay(detector, rows, _SILENCE_S, report))


def fired(model: Path, rows: Sequence[Utterance], report: Report, index: int = 0) -> tuple[int, int]:
    """In how many of the rows keyword `index` of the model fires, and of how many."""
    detector = Detector.load(model)
    recordings = heard(detector, rows, report)
    refractory = detector.manifest.scoring.refractory_frames
    events = [r.events(index, detector.keywords[index].threshold, refractory) for r in recordings]
    return sum(map(bool, events)), len(events)


def demand_folder(path: str, what: str) -> Path:
    """The path as a folder that is there; KwsError otherwise."""
    if not Path(path).is_dir():
        raise KwsError(f"there is no folder {path}: give {what}")
    return Path(path)
