"""The content of the pictures of architecture.md: the four walks, one question, and the
floors.

A step names its place as FILE: NAME, so that a test can look whether it is still there.
"""

from typing import NamedTuple


class Step(NamedTuple):
    """A step of a walk: its title, its place (FILE: NAME), and a few words on how it is
    done. gives: the value after it. remembers: its state.
    """

    what: str
    where: str
    how: str
    gives: str
    remembers: tuple[str, ...] = ()


class Walk(NamedTuple):
    """A walk: its input, and the steps that it takes."""

    begins: str
    steps: tuple[Step, ...]


WALKS = {
    "samples-to-event": Walk(
        "samples (S,), int16 or float32, any rate, any S",
        (
            Step(
                "Cut chunks",
                "kws/runtime/chunker.py: Chunker.take",
                "checks the samples, resamples to 16 kHz, scales to [-1, 1]",
                "chunks (1, 1280 C) float32; 1280 samples = 80 ms, C = 1 to 16",
                ("sound without an event yet,", "at most 16 chunks"),
            ),
            Step(
                "Run the graph",
                "kws/runtime/session.py: OnnxModel.run",
                "onnxruntime on one thread: log-mel, subsampling, blocks, head",
                "log-posteriors (2 C, 40): one frame per 40 ms, 40 tokens",
                ("10 state tensors, 110 kB:", "last sound, convolutions,", "keys and values of 31 frames"),
            ),
            Step(
                "Search for paths",
                "kws/decoding/viterbi.py: ViterbiGraph.search",
                "the best path through every spelling, frame by frame",
                "paths that end here (2 C, P, 5): LLR, age, gap, done, peak",
                ("the best path of each state,", "(2, states + 2, 5)"),
            ),
            Step(
                "Score",
                "kws/decoding/scorer.py: KeywordScorer.score",
                "exp((LLR + peak weight x sum of the labels' best log-posteriors) / U)",
                "scores (2 C, K) in [0, 1] and ages (2 C, K) in frames",
            ),
            Step(
                "Fire",
                "kws/decoding/trigger.py: Trigger.run",
                "threshold, refractory time, one event per utterance",
                "(row, keyword) of each event",
                ("each keyword's last event:", "its frame, its path's begin"),
            ),
            Step(
                "Say when",
                "kws/runtime/detector.py: Detector.detections",
                "counts frames back to samples since the stream began",
                "Detection(keyword, score, start, end)",
            ),
        ),
    ),
    "recipe-to-onnx": Walk(
        "kws train wake_words data=FOLDER steps=6000",
        (
            Step(
                "Read the recipe",
                "kws/train/recipes/file.py: load_recipe",
                "a typed Python value; key=value changes single fields",
                "Recipe",
            ),
            Step(
                "Mix a batch",
                "kws/data/scenes/dataset.py: SceneDataset.__getitem__",
                "clips in rows, with rooms, noise and levels, from (seed, step)",
                "pcm (B, S): 8 rows of 20 s; targets, target_lengths",
            ),
            Step(
                "Log-mel",
                "kws/model/frontend.py: LogMel.forward",
                "25 ms windows that end at the newest sample",
                "mel (B, 4 T, 40): one hop per 10 ms",
                ("the 15 ms of sound before,", "(B, 240), and the level, (B, 1, 1)"),
            ),
            Step(
                "Subsample",
                "kws/model/encoder.py: Subsampling.forward",
                "two causal convolutions of stride 2",
                "(B, T, D): one frame per 40 ms, D = 128",
                ("past of each convolution,", "(B, 3, 40) and (B, 3, 96)"),
            ),
            Step(
                "Blocks",
                "kws/model/encoder.py: Block.stream",
                "3 times: mixer, then feed-forward with a convolution",
                "(B, T, D)",
                ("of each mixer, for attention", "(B, 4, 31, 64), and of each", "convolution, (B, 4, 256)"),
            ),
            Step(
                "Head",
                "kws/model/acoustic.py: AcousticModel.posteriors",
                "a linear layer and a log-softmax",
                "log-posteriors (B, T, V), V = 40 tokens, blank first",
            ),
            Step(
                "Loss and step",
                "kws/train/losses/total.py: Losses.forward",
                "CTC and what the recipe weighs; AdamW, averaged weights",
                "a model that is a little better",
                ("last.ckpt after each epoch:", "a killed training goes on"),
            ),
            Step(
                "Write the checkpoint",
                "kws/model/checkpoint.py: save_checkpoint",
                "weights, shape, recipe without paths, spellings",
                "model.ckpt",
            ),
            Step(
                "Export",
                "export/graph.py: export_graph",
                "the same forward, with states as inputs and outputs",
                "ONNX: (pcm, states) to (log_posteriors, next states)",
            ),
            Step(
                "Verify, then write",
                "export/verify.py: largest_difference",
                "chunk by chunk in onnxruntime against torch on the whole",
                "model.onnx with its model info, at most 1e-4 apart",
            ),
        ),
    ),
    "manifest-to-report": Walk(
        "kws score --positives manifest.csv@dev --negatives FOLDER -o report",
        (
            Step(
                "Read manifests",
                "kws/data/manifest.py: read_manifest",
                "audio, seconds, text, speaker, split; start and end of a word",
                "Utterance, one per row",
            ),
            Step(
                "List test items",
                "kws/evaluate/replay/sources.py: sources_of",
                "each recording once, with what is said in it and where",
                "TestItem(audio, condition, role, labels), times the conditions",
            ),
            Step(
                "Deal out the work",
                "kws/evaluate/replay/many.py: replay_all",
                "batches of 60 s to cores or to Dask workers",
                "Batch",
                ("report/replay.db: what is done", "already, by content"),
            ),
            Step(
                "Replay one",
                "kws/evaluate/replay/one.py: replay",
                "silence around it, noise or a room in it, in blocks of 4 s",
                "blocks (S,) float32 at 16 kHz",
            ),
            Step(
                "Hear",
                "kws/evaluate/replay/systems.py: System.stream",
                "the Stream of the device, or an engine behind an adapter",
                "scores (T, K) and ages (T, K), one row per frame",
                ("all that a stream remembers:", "see the first walk"),
            ),
            Step(
                "Keep what may count",
                "kws/evaluate/replay/recording.py: Replayed.of",
                "frames in which any score reaches 0.01",
                "Replayed(item, samples, frames, scores, ages)",
            ),
            Step(
                "Match",
                "kws/evaluate/count/matching.py: match",
                "the first event in a word's window is its hit",
                "hits, repeats and false accepts, at a threshold",
            ),
            Step(
                "Sweep",
                "kws/evaluate/count/metrics.py: det",
                "every threshold at which a count changes",
                "KeywordRates, one per operating point",
            ),
            Step(
                "Report",
                "kws/evaluate/report/build.py: Evaluation",
                "counts with their 95 % intervals (Wilson, Poisson)",
                "Report, written as report.json and events.csv",
            ),
            Step(
                "Page",
                "kws/evaluate/report/page/document.py: write_page",
                "curves, tables, and the sound of what went wrong",
                "report.html, one file",
            ),
        ),
    ),
    "microphone-to-event": Walk(
        "sound, at the device's own rate and channels",
        (
            Step(
                "Sleep, then fetch",
                "demo/microphone.py: _OpenDevice.take",
                "sleeps as long as no event is possible, then takes what is there",
                "Block(samples (S,) float32, rate, arrived, opening)",
                ("up to 2 s of sound,", "kept by PortAudio"),
            ),
            Step(
                "Follow the device",
                "demo/microphone.py: Microphone.blocks",
                "opens an unplugged device again; says what was lost",
                "Block, or None where nothing came for 0.25 s",
                ("which opening this is",),
            ),
            Step(
                "Keep the time",
                "demo/live.py: _Ears.hear",
                "one stream per opening; samples of all openings on one clock",
                "samples (S,)",
                ("samples before this opening,", "when its first sample came"),
            ),
            Step(
                "Hear",
                "kws/runtime/stream.py: Stream.process",
                "the first walk",
                "StreamResult(detections, scores, ages, log_posteriors)",
                ("all that a stream remembers:", "see the first walk"),
            ),
            Step(
                "Keep the sound",
                "demo/recorder.py: Recorder.keep",
                "with --record: a .wav from 8 s before the event",
                "the file, and where in it",
                ("the last seconds of sound",),
            ),
            Step(
                "Tell",
                "demo/live.py: listen",
                "calls on_event: the screen, a line, JSON or a command",
                "LiveDetection(Detection, time, latency_s, recording)",
            ),
        ),
    ),
    "how-long-to-sleep": Walk(
        "the microphone: how many seconds of sound may I collect?",
        (
            Step(
                "Ask the stream",
                "kws/runtime/stream.py: Stream.wait_s",
                "what completes the chunk, and chunks in which nothing can fire",
                "how many frames can pass without an event?",
                ("samples that the chunk lacks",),
            ),
            Step(
                "Bound every path",
                "kws/decoding/wait_bound.py: WaitBound.frames",
                "an LLR only falls: what can this path still score at best?",
                "paths that can still reach their threshold",
                ("the scorer's paths, read only", "(2, states + 2, 5)"),
            ),
            Step(
                "Count what is missing",
                "kws/decoding/wait_bound.py: _frames",
                "each label takes a frame; more than three, 1.5 each",
                "the least over all paths, and a fresh keyword; 25 at most",
            ),
        ),
    ),
}
FLOORS = (
    ("what people type", ("kws.cli",), "arguments, printing, exit codes; knows everything below"),
    (
        "programs and results",
        ("kws.demo", "kws.wyoming", "kws.export", "kws.lab", "kws.recipes"),
        "nothing below knows them",
    ),
    ("making and judging models", ("kws.data", "kws.train", "kws.evaluate"), "know each other"),
    ("wings", ("kws.runtime", "kws.model", "kws.parallel"), "never know each other: the device has no torch"),
    ("from posteriors to events", ("kws.decoding", "kws.metadata"), "numpy alone"),
    (
        "ground",
        ("units", "errors", "events", "audio", "lexicon", "arrays", "log", "..."),
        "one file each, numpy alone",
    ),
)
