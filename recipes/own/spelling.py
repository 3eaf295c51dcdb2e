"""Pronunciations from recordings: how the phone model spells a phrase that somebody
says.

T frames of 40 ms, V tokens, R recordings, C candidates.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kws.arrays import Float64Array, Samples
from kws.data.torchaudio_import import load_torchaudio
from kws.decoding.scorer import best_path
from kws.lexicon import Spelling
from kws.metadata import ScorerConfig
from kws.model.acoustic import AcousticModel
from kws.units import FLUSH_SAMPLES

MOST_ADDED = 3
_SHORTEST = 3  # phones: anything shorter is heard everywhere
_FEWEST, _MOST = 0.6, 1.6  # phones of a candidate, in those of the usual spelling
_GAIN = 0.02  # of the mean score, for which a further spelling is worth its false accepts
_STRANGE = 0.9  # edits to the nearest spelling, in phones of the longer one: nearly no phone is in common
_FEW = 1 / 3  # share of recordings, above which it is the model that does not know how the phrase is said
_SHOWN = 12  # phones
_NEARLY = 0.8  # of the best mean score: of such candidates the longest is the safest


def log_posteriors(model: AcousticModel, samples: Samples) -> Float64Array:
    """(T, V) of one recording, half a second of silence on both sides."""
    pcm = np.pad(samples, FLUSH_SAMPLES)
    pcm = np.pad(pcm, (0, -len(pcm) % model.stride))
    with torch.no_grad():
        whole = torch.from_numpy(pcm)[None]
        mel, _ = model.features(whole, model.frontend.init_state(1))
        found = model.whole(mel, torch.tensor([len(pcm) // model.stride]))
    return np.asarray(found[0].double().numpy())


def hears_speech(model: AcousticModel, samples: Samples) -> bool:
    """Whether the model hears any phone in a recording."""
    return bool(decode(log_posteriors(model, samples), model.config.tokens))


def doubts(
    files: Sequence[Path], heard: Sequence[Float64Array], spellings: Sequence[Spelling], tokens: Sequence[str]
) -> list[str]:
    """A warning where recordings, `heard` as (T, V), sound unlike the phrase or are
    much longer than it.

    Where the model hears the phrase in few of them anyway, because of an accent or
    another language, there is no warning.
    """
    distance = load_torchaudio().functional.edit_distance
    decoded = [decode(posteriors, tokens) for posteriors in heard]
    apart = [min(distance(d, s) / max(len(d), len(s)) for s in spellings) for d in decoded]
    longest = max(map(len, spellings), default=0)
    longer = [i for i, phones in enumerate(decoded) if len(phones) > 2 * longest + 2]
    unlike = [i for i, far in enumerate(apart) if far >= _STRANGE and i not in longer]
    found = []
    if longer:
        found.append(f"warning: {len(longer)} of {len(files)} recordings hold far more than the phrase, ")
        found[-1] += _example(files, decoded, longer[0])
    if 0 < len(unlike) < _FEW * len(files):
        found.append(f"warning: {len(unlike)} of {len(files)} recordings do not sound like the phrase, ")
        found[-1] += _example(files, decoded, unlike[0])
    return found


def _example(files: Sequence[Path], decoded: Sequence[Spelling], index: int) -> str:
    return f"for example {files[index]}, heard as {' '.join(decoded[index][:_SHOWN])}: listen to them"


def decode(posteriors: Float64Array, tokens: Sequence[str]) -> Spelling:
    """The phones of the best path of log-posteriors (T, V)."""
    return tuple(tokens[token] for token, _ in best_path(posteriors))


def spellings_heard(
    recordings: Sequence[Float64Array], known: Sequence[Spelling], tokens: Sequence[str], scoring: ScorerConfig
) -> list[Spelling]:
    """`known`, and behind it up to MOST_ADDED spellings with which the recordings, (T,
    V) each, score higher.

    Without a known spelling the first is the one that fits the other recordings best. A
    candidate is decoded from one recording, and tested only on the others, by the
    scorer of the device.
    """
    decoded = [decode(posteriors, tokens) for posteriors in recordings]
    lengths = [len(spelling) for spelling in known or decoded]
    usual = float(np.median(lengths)) if lengths else 0.0
    fitting = [s for s in decoded if max(_SHORTEST, _FEWEST * usual) <= len(s) <= _MOST * usual]
    candidates = list(dict.fromkeys([*known, *fitting]))
    if not candidates:
        return []
    scores = _scores(recordings, candidates, tokens, scoring)
    for column in range(len(known), len(candidates)):
        own = [row for row, spelling in enumerate(decoded) if spelling == candidates[column]]
        if len(own) == 1:
            scores[own[0], column] = 0.0
    chosen = list(range(len(known))) or [_longest_of_the_best(scores, candidates)]
    most = len(chosen) + MOST_ADDED
    while len(chosen) < min(most, len(candidates)):
        with_each = np.maximum(scores, scores[:, chosen].max(axis=1, keepdims=True)).mean(axis=0)
        best = int(with_each.argmax())
        if with_each[best] < scores[:, chosen].max(axis=1).mean() + _GAIN:
            break
        chosen.append(best)
    return [candidates[i] for i in chosen]


def _scores(
    recordings: Sequence[Float64Array], candidates: Sequence[Spelling], tokens: Sequence[str], scoring: ScorerConfig
) -> Float64Array:
    """(R, C): the highest score of each candidate in each recording."""
    scorer = scoring.scorer(tokens, [[spelling] for spelling in candidates])
    return np.stack([scorer.score(posteriors)[0].max(axis=0) for posteriors in recordings])


def _longest_of_the_best(scores: Float64Array, candidates: Sequence[Spelling]) -> int:
    means = scores.mean(axis=0)
    near = np.flatnonzero(means >= _NEARLY * means.max())
    return max(map(int, near), key=lambda i: (len(candidates[i]), means[i]))
