"""The mixer study: what stands in the BiLSTM's place, at equal parameters, data, steps
and searched learning rates.

    kws compare mixers data=FOLDER -o runs/mixers --jobs 2

FOLDER holds the corpora that are named below. This command brings them:

    kws data get --for mixers --root FOLDER --download

The models are small (130 k parameters) and short trained, so that all of it takes two
cores a few hours; larger and longer: ``kws compare mixers data=FOLDER steps=6000
model.width=128 model.channels=96``.

Data: wake_words, speech_commands, mini_librispeech, cut_runs, an4,
synthetic_wake_words, librispeech_many_speakers, noise.
"""

from kws.data.scenes.config import SceneConfig
from kws.lab.smoothness.measure import Sizes
from kws.lab.study import Cell, Group, Study
from kws.model.config import AcousticConfig
from kws.recipes import training_corpora as corpora
from kws.recipes.wake_words.recipe import RECIPE as WAKE_WORDS
from kws.train.recipe import OptimConfig, Recipe, RunConfig, TaskConfig


def mixer(pattern: str, *changes: str, name: str = "", rate_of: str = "") -> Cell:
    """A cell that differs from the recipe in its mixers."""
    return Cell(name or pattern, (f"model.mixer={pattern}", *changes), rate_of)


def variant(pattern: str, of: str) -> Cell:
    """A cell that differs from another in a switch or in some of its blocks, and takes
    over its learning rate.
    """
    return mixer(pattern, rate_of=of)


def decoded(pattern: str) -> Cell:
    """A segment model that learns with a decoder beside it."""
    return mixer(pattern, "decoder_weight=0.3", name=f"{pattern}, decoder", rate_of=pattern)


def branched(pattern: str) -> Cell:
    """A segment model with decoder and phrase branch, scored by its phones."""
    return mixer(
        pattern, "decoder_weight=0.3", "phrase_weight=5.0", name=f"{pattern}, decoder and phrases", rate_of=pattern
    )


def by_phrases(pattern: str) -> Cell:
    """The same models as another cell, scored by their phrase branch."""
    cell = branched(pattern)
    return Cell(f"{pattern}, by phrases", cell.changes, phrases_of=cell.name)


def windowed(pattern: str, seconds: int) -> Cell:
    """A streaming model of another context, trained on rows of 16 s."""
    name = f"{pattern}, {seconds} s" if pattern != "lstm" else "lstm, 16 s rows"
    rows = ("scenes.rows=4", "scenes.row_seconds=16.0")
    return mixer(pattern, f"model.window_frames={25 * seconds}", *rows, name=name, rate_of=pattern)


def convolved(pattern: str) -> Cell:
    """A streaming model with the convolution in its feed-forward that the shipped
    models have.
    """
    return Cell(f"{pattern}, convolution", (f"model.mixer={pattern}", "model.kernel=5"), trunk="convolution")


_TRUNK = ("steps=3000", "warmup_steps=200", "learning_rate=8e-3")
SEGMENT = ("bilstm", "sa+full", "xsa+full")
STREAMING = ("lstm", "sa", "xsa")

STUDY = Study(
    name="mixers",
    recipe=Recipe(
        name="mixers",
        task=TaskConfig(
            data="data",
            speech=(
                corpora.WAKE_WORDS.sharing(0.30),
                corpora.SPEECH_COMMANDS.sharing(0.15),
                corpora.CUT_RUNS.sharing(0.35),
                corpora.AN4.sharing(0.10),
                corpora.SYNTHETIC_WAKE_WORDS.sharing(0.10),
            ),
            noise=corpora.NOISE,
            keywords=WAKE_WORDS.task.keywords,
            extra_spellings=WAKE_WORDS.task.extra_spellings,
            model=AcousticConfig(width=64, blocks=3, heads=4, window_frames=32, kernel=1, channels=48, dropout=0.0),
            scenes=SceneConfig(rows=16, row_seconds=4.0),
        ),
        optim=OptimConfig(
            steps=1000,
            validate_every=1_000_000,  # the study tests at the end
            warmup_steps=40,
            ema_decay=0.99,
            precision="32-true",
        ),
        run=RunConfig(
            output="",
            threads=1,
        ),
    ),
    trunks=(
        ("plain", ("model.mixer=none", *_TRUNK)),
        ("convolution", ("model.mixer=none", "model.kernel=5", *_TRUNK)),
    ),
    learning_rates=(5e-3, 1e-2, 2e-2),
    search_steps=500,
    dealt=("wake_words", "cut_runs", "mini_librispeech"),
    positives=("wake_words",),
    negatives=("mini_librispeech", "librispeech_many_speakers", "an4", "speech_commands", "noise"),
    noise="noise",
    observed=("sa", "xsa", "xsa+centre", "sa+full", "xsa+full", "sa, 16 s", "xsa, 16 s"),
    smoothed=(
        ("BiLSTM full", "bilstm"),
        ("BiLSTM causal", "lstm, 16 s rows"),
        ("BiLSTM windowed", "bilstm_chunked"),
        ("SA full", "sa+full"),
        ("SA causal", "sa, 16 s"),
        ("SA windowed", "sa"),
        ("XSA full", "xsa+full"),
        ("XSA causal", "xsa, 16 s"),
        ("XSA windowed", "xsa"),
    ),
    sizes=Sizes(frames=(25, 50, 100, 200)),  # 400 frames and more cost most of the time
    excerpts=2,
    groups=(
        Group(
            "segment",
            "Whole segments: CTC alone, with the decoder, with decoder and phrase branch",
            "bilstm",
            (*map(mixer, SEGMENT), *map(decoded, SEGMENT), *map(branched, SEGMENT), *map(by_phrases, SEGMENT)),
            more=SEGMENT,
        ),
        Group(
            "streaming",
            "Streaming, what an attention layer sees: 32 frames, 1.28 s",
            "sa",
            tuple(map(mixer, (*STREAMING, "gru", "none", "lowrank", "memory", "bilstm_chunked"))),
            more=STREAMING,
        ),
        Group(
            "xsa",
            "What of XSA matters: switches and controls",
            "sa",
            (
                mixer("sa"),
                mixer("xsa"),
                *(variant(pattern, "xsa") for pattern in ("sa,sa,xsa", "xsa+gate", "xsa+centre", "xsa+null")),
                *(variant(pattern, "sa") for pattern in ("sa+null", "sa+sink", "sa+nodiag", "sa+offdir", "sa+prev")),
            ),
            more=STREAMING,
        ),
        Group(
            "deconstructed",
            "What attention needs: simpler maps, alone and in hybrids",
            "sa",
            (
                *map(mixer, ("sa", "none", "approximate", "nonapproximate", "random", "fixed", "static")),
                variant("static+xsa", "static"),
                variant("sa,none,sa", "sa"),
                variant("sa,nonapproximate,sa", "sa"),
                variant("xsa,static,xsa", "xsa"),
            ),
            more=STREAMING,
        ),
        Group(
            "convolution",
            "With a convolution of 5 frames in the feed-forward, as the shipped models have",
            "sa, convolution",
            tuple(map(convolved, (*STREAMING, "none"))),
        ),
        Group(
            "lengths",
            "Context, rows of 16 s",
            "sa, 1 s",
            (*(windowed(pattern, s) for s in (1, 2, 4, 8, 16) for pattern in ("sa", "xsa")), windowed("lstm", 16)),
        ),
    ),
)

# Folders that training and RESULTS.md read: `kws data get --for mixers` brings them.
CORPORA = (
    "wake_words",
    "speech_commands",
    "mini_librispeech",
    "cut_runs",
    "an4",
    "synthetic_wake_words",
    "librispeech_many_speakers",
    "noise",
)
