"""The making of a model for a phrase of the user's own, which the recipes `phrase`
(with synthesis) and `fewshot` (without) share.

Corpora of the recipe that are called SYNTHETIC and RECORDINGS stand for those that are
made here, below the output folder. Of its other corpora those are used that lie in the
data folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kws.arrays import Float64Array
from kws.audio import read
from kws.data.manifest import Utterance, describe, read_manifest
from kws.data.prepare.usable import Wanted
from kws.data.synthesis import confusables, tts
from kws.data.synthesis.generate import generate
from kws.data.synthesis.scripts import KeywordScript
from kws.errors import KwsError
from kws.evaluate.count.thresholds import notes
from kws.lexicon import Lexicon, Spelling, load_cmudict
from kws.lexicon.borders import Spelled, written
from kws.lexicon.notes import phrase_notes
from kws.lexicon.text import contains, phrase_name, says
from kws.log import Log
from kws.metadata import ScorerConfig
from kws.model.acoustic import AcousticModel
from kws.model.checkpoint import find_checkpoint, load_checkpoint
from kws.recipes.own import recordings
from kws.recipes.own.deliver import deliver, demand_folder, fired
from kws.recipes.own.options import RECORDINGS, SYNTHETIC
from kws.recipes.own.recordings import Recordings
from kws.recipes.own.spelling import doubts, hears_speech, log_posteriors, spellings_heard
from kws.train.recipe import Recipe, TrainingCorpus
from kws.train.trainer import refuse_impossible, refuse_softening

if TYPE_CHECKING:
    import argparse

CONFUSABLES = 120
SENTENCES = 120  # where there is no real speech
DEV_EVERY = 8  # voices: one in so many is kept for the test


@dataclass(frozen=True)
class TargetPhrase:
    """The phrase that the model is made for.

    name: as the dictionary writes it. as_phones: whether the synthesiser must be given
    phones in place of the name.
    """

    name: str
    spelled: Spelled
    as_phones: bool

    @property
    def spellings(self) -> tuple[Spelling, ...]:
        """The spellings without their borders."""
        return tuple(self.spelled)

    @property
    def keyword(self) -> str:
        """The phrase with all its phones, as a keyword of a recipe."""
        return f"{self.name}={'|'.join(written(*one) for one in self.spelled.items())}"

    @property
    def said(self) -> str:
        """The phrase for the synthesiser's script: its name, or its phones as ``<SOUND
        S>`` where the synthesiser cannot read the name.
        """
        return _sound(self.spellings[0]) if self.as_phones else self.name


@dataclass(frozen=True)
class Material:
    """The data to train on and to test with, besides the recipe.

    ordinary: corpora of real speech. made: the phrase's own corpora. sounds: spellings
    of confusables that are no words.
    """

    ordinary: tuple[TrainingCorpus, ...] = ()
    own: Recordings | None = None
    synthetic: Path | None = None
    made: tuple[TrainingCorpus, ...] = ()
    sounds: dict[str, str] = field(default_factory=dict)


def make(args: argparse.Namespace, recipe: Recipe, log: Log) -> str | None:
    """Take every stage from the phrase to its calibrated model; each stage goes on
    where a killed command left it.

    Progress lines go to `log`. Returns the text for the user, and None in every process
    but the first of a training. Raises KwsError for a phrase, a folder or a recipe that
    cannot be used.
    """
    name = phrase_name(args.phrase)
    slug = re.sub(r"\W+", "-", name).strip("-")
    if not slug:
        raise KwsError(f"--phrase {args.phrase!r} has no words: give at least one")
    if recipe.optim.steps:
        refuse_impossible(recipe)
    else:  # the start's weights, softened
        refuse_softening(recipe.task)
    output = Path(recipe.run.output or f"runs/{slug}")
    corpora = demand_folder(recipe.task.data, "data=FOLDER with prepared corpora") if recipe.task.data else None
    model = load_checkpoint(find_checkpoint(recipe.task.start)).model
    lexicon = load_cmudict().extended(recipe.task.extra_spellings)
    material = Material(tuple(corpus for corpus in recipe.task.speech if _lies_in(corpora, corpus)))
    if args.recordings:
        material = add_recordings(material, Path(args.recordings), name, recipe, model, output, log)
    own = material.own.rows if material.own else ()
    heard = [log_posteriors(model, read(row.audio)) for row in own]
    learned = [found for row, found in zip(own, heard, strict=True) if row.split == "train"]
    phrase = spell(args.phrase, lexicon, learned, model.config.tokens, recipe.task.scoring)
    log(f"spelled {phrase.keyword.partition('=')[2]}")
    for note in phrase_notes(args.phrase, phrase.spellings):
        log(note)
    for doubt in doubts([row.audio for row in own], heard, phrase.spellings, model.config.tokens):
        log(doubt)
    if any(corpus.folder == SYNTHETIC.folder for corpus in recipe.task.speech):
        material = add_synthetic(material, phrase, args, lexicon, recipe, output)
    recipe = recipe.changed(
        name=slug,
        output=str(output),
        data=str(corpora or output / "data"),
        speech=material.ordinary + material.made,
        noise=recipe.task.noise if recipe.task.noise and _lies_in(corpora, recipe.task.noise) else None,
        keywords=(phrase.keyword,),
        extra_spellings=(*recipe.task.extra_spellings, *material.sounds.items()),
        model=model.config,
        steps=recipe.optim.steps if material.ordinary or material.synthetic else 0,
    )
    return finish(recipe, material, args.fa_per_hour, log)


def add_recordings(
    material: Material, source: Path, name: str, recipe: Recipe, model: AcousticModel, output: Path, log: Log
) -> Material:
    """The material with the user's own recordings; those in which `model` hears no
    phone are left out.
    """
    wanted = Wanted(recipe.task.scenes.longest_s, partial(hears_speech, model))
    own = recordings.prepare(source, name, output / "data" / RECORDINGS.folder, wanted, log)
    corpus = _made(recipe, RECORDINGS, own.folder, f"{len(own.rows)} recordings of {name!r} ({own.digest})")
    return replace(material, own=own, made=(*material.made, corpus))


def spell(
    asked: str, lexicon: Lexicon, heard: Sequence[Float64Array], tokens: Sequence[str], scoring: ScorerConfig
) -> TargetPhrase:
    """The spellings of the phrase: those asked for, or in the dictionary, then those
    that fit recordings, `heard` as log-posteriors (T, V); without any of the former,
    the latter alone.
    """
    name = phrase_name(asked)
    given = "=" in asked
    known = lexicon.spell_words(asked) if given or not (heard and lexicon.missing(asked)) else {}
    if not heard:
        return TargetPhrase(name, known, given)
    spellings = spellings_heard(heard, list(known), tokens, scoring)
    if not spellings:
        raise KwsError(f"the recordings do not tell how {name!r} is spelled: give phones, --phrase '{name}=S N OW'")
    return TargetPhrase(name, {spelling: known.get(spelling, ()) for spelling in spellings}, given or not known)


def add_synthetic(
    material: Material, phrase: TargetPhrase, args: argparse.Namespace, lexicon: Lexicon, recipe: Recipe, output: Path
) -> Material:
    """The material with a synthetic set of the phrase: in carriers and alone, its
    confusables, and sentences where no speech is real.
    """
    if args.download:
        tts.download(args.models)
    asked = phrase.keyword if phrase.as_phones else phrase.name
    whole = (confusables.Unit(phrase.name, phrase.spellings),)
    similar = [
        other
        for other in confusables.confusables_of(asked, lexicon, CONFUSABLES)
        if not confusables.holds(other.units, whole)
    ]
    texts = [" ".join(_sound(u.spellings[0]) if not u.is_word else u.text for u in other.units) for other in similar]
    if not material.ordinary:
        texts += confusables.sentences(asked, lexicon, SENTENCES, np.random.default_rng(recipe.optim.seed))
    script = KeywordScript({phrase.name: tuple(texts)}, ((phrase.name, phrase.said),) if phrase.as_phones else ())
    folder = (output / "data" / SYNTHETIC.folder).absolute()
    generate(folder, args.models, script, args.count, recipe.optim.seed, recipe.run.threads, DEV_EVERY)
    sounds = {u.text: " ".join(u.spellings[0]) for other in similar for u in other.units if not u.is_word}
    # "near misses" stays in the title: with another one, a training that was begun before would be another recipe.
    corpus = _made(recipe, SYNTHETIC, folder, f"{args.count} synthesised clips of {phrase.name!r} and near misses")
    return replace(material, synthetic=folder, sounds=sounds, made=(*material.made, corpus))


def finish(recipe: Recipe, material: Material, fa_per_hour: float, log: Log) -> str | None:
    """Deliver the model; returns the text with the results of its tests. None in every
    process but the first of a training.
    """
    name = phrase_name(recipe.task.keywords[0])
    made = read_manifest(material.synthetic, ["dev"]) if material.synthetic else []
    similar = [row for row in made if not contains(row.text, name)]
    real, sources = real_negatives(recipe, material, name)
    negatives = real or similar
    warnings = warn(material, negatives, bool(real), log)
    sources = sources if real else "synthetic voices"
    delivered = deliver(recipe, negatives, sources, fa_per_hour, log)
    if delivered is None:
        return None
    model, rates = delivered
    lines = [f"{model}: hears {name!r}"]
    lines += [
        f"threshold {rate.threshold:.3f}: {rate.false_accepts} false accept{'s' * (rate.false_accepts != 1)} in "
        f"{rate.hours:.2f} h of {sources}, {len(negatives)} recordings"
        for rate in rates
    ]
    lines += notes(rates, fa_per_hour, recipe.task.scoring.default_threshold)
    own = material.own
    known = own is not None and any(row.speaker for row in own.rows)
    tests = {
        f"recordings held out, {'other speakers' if known else 'maybe of the same speakers'}": own.held_out
        if own
        else [],
        "synthetic voices held out": [row for row in made if says(row.text, name)],
        "synthetic confusables held out, which it should not hear": similar if real else [],
    }
    for what, rows in tests.items():
        if rows:
            hits, total = fired(model, rows, log)
            lines.append(f"{what}: {hits} of {total} heard")
    return "\n".join([*lines, *warnings, f"next: kws detect {model} FILE, or kws listen {model}"])


def real_negatives(recipe: Recipe, material: Material, name: str) -> tuple[list[Utterance], str]:
    """Recordings without the phrase, of dev speakers of the corpora and of the user's
    own; and the names of these sources.
    """
    rows = [
        row for corpus in material.ordinary for row in read_manifest(Path(recipe.task.data) / corpus.folder, ["dev"])
    ]
    sources = [corpus.folder for corpus in material.ordinary]
    if material.own and material.own.negatives:
        rows += material.own.negatives
        sources.append("own negatives")
    return [row for row in rows if not contains(row.text, name)], ", ".join(sources)


def warn(material: Material, negatives: Sequence[Utterance], real: bool, log: Log) -> list[str]:
    """Warnings that the user should read before trusting the model, written to the log
    at once and returned for the end.
    """
    found = []
    if not (material.ordinary or material.synthetic):
        found.append("warning: no speech but the phrase to train on, so its spelling is new and the weights are not")
    if not real:
        basis = f"on {describe(negatives)} of synthetic speech" if negatives else "on nothing: it is the default"
        found.append(
            f"warning: without real speech the threshold rests {basis}, and how often ordinary talk sets the model off "
            "is not known; give data=FOLDER with prepared corpora (`kws data list`)"
        )
    for warning in found:
        log(warning)
    return found


def _sound(spelling: Spelling) -> str:
    return f"<{' '.join(spelling)}>"


def _lies_in(corpora: Path | None, corpus: TrainingCorpus) -> bool:
    return corpora is not None and (corpora / corpus.folder / "manifest.csv").is_file()


def _made(recipe: Recipe, corpus: TrainingCorpus, folder: Path, title: str) -> TrainingCorpus:
    share = next((c.share for c in recipe.task.speech if c.folder == corpus.folder), 0.0)
    return replace(corpus, folder=str(folder), share=share, title=title)
