"""A language of tones, and a model that hears it: a real .onnx file of kws whose behaviour is known.

Each token is a tone, a keyword is a tune. The graph follows the contract of kws.runtime.session with two true
states: the tail of the sound, without which tones at chunk borders are misheard, and a count of frames, which
shifts the posteriors a little, so that a lost or shared state shows in the scores.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TONES = {"A": 400, "B": 700, "C": 1000, "D": 1300, "E": 1600, "F": 1900}  # Hz
TOKENS = ["<blank>", *TONES]
FRAME, CHUNK, TAIL, WINDOW = 640, 1280, 240, 880
KEYWORDS = {"abc": [["A", "B", "C"]], "fed": [["F", "E", "D"], ["F", "E"]], "eel": [["E", "E", "B"]]}


def model_info(**changes: Any) -> dict[str, Any]:
    """A valid model info, with top-level fields replaced."""
    keywords = [
        {"name": name, "spellings": spellings, "threshold": 0.5, "calibration": None, "borders": []}
        for name, spellings in KEYWORDS.items()
    ]
    keywords[0]["calibration"] = {
        "fa_per_hour": 0.5,
        "false_accepts": 1,
        "hours": 2.0,
        "data": "tunes",
    }
    return {
        "schema": 1,
        "name": "tones",
        "sample_rate": 16000,
        "chunk_samples": CHUNK,
        "frame_samples": FRAME,
        "frames_per_chunk": 2,
        "chunks_per_call": 1,
        "tokens": TOKENS,
        "states": [
            {"name": "tail", "shape": [TAIL], "dtype": "float32"},
            {"name": "count", "shape": [1], "dtype": "int64"},
        ],
        "keywords": keywords,
        "scoring": {
            "peak_weight": 1.0,
            "max_duration_frames": 50,
            "max_gap_frames": 15,
            "refractory_frames": 25,
            "default_threshold": 0.4,
        },
        "training": {
            "recipe": "none",
            "seed": 0,
            "steps": 0,
            "data": [{"name": "sines", "licence": "none", "attribution": "Jean-Baptiste Fourier"}],
            "config": {},
        },
        "parameters": WINDOW * 2 * len(TONES),
        "kws_version": "0.1.0",
        "commit": None,
        "verifier": None,
        **changes,
    }


def write_model(
    path: Path,
    metadata: str | None = None,
    posteriors: str = "log_posteriors",
    last_operator: str = "LogSoftmax",
) -> Path:
    """Write the model; `metadata` replaces the model info ("" for none), the rest spoils the graph."""
    model = _graph(posteriors, last_operator)
    text = json.dumps(model_info()) if metadata is None else metadata
    if text:
        helper.set_model_props(model, {"kws.manifest": text})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def speak(tune: str, tone_s: float = 0.12, gap_s: float = 0.04, rate: int = 16000) -> np.ndarray:
    """float32 samples of a tune such as "ABC"; a space is 0.2 s of silence."""
    parts = []
    for letter in tune:
        if letter == " ":
            parts.append(np.zeros(round(0.2 * rate)))
            continue
        time = np.arange(round(tone_s * rate)) / rate
        fade = np.minimum(1, np.minimum(time, tone_s - time) / 0.01)
        parts += [0.3 * fade * np.sin(2 * np.pi * TONES[letter] * time), np.zeros(round(gap_s * rate))]
    return np.concatenate(parts).astype(np.float32)


def _basis() -> np.ndarray:
    """(WINDOW, 12): MatMul and a sum of squares give the squared amplitude of each tone."""
    time = np.arange(WINDOW)
    hann = np.hanning(WINDOW)
    phase = 2 * np.pi * np.outer(time, list(TONES.values())) / 16000
    waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    return (waves * hann[:, None] * 2 / hann.sum()).astype(np.float32)


def _graph(posteriors: str, last_operator: str) -> onnx.ModelProto:
    constants = {
        "basis": _basis(),
        "steepness": np.float32(50),
        "height": np.float32(14),
        "blank_height": np.float32(7),
        "tick": np.float32(0.01),
        "steps": np.array([[0, 1]]),
        "period": np.array(8),
        "chunk_frames": np.array([2]),
        "one": np.array([1]),
        "two": np.array([2]),
        "halves": np.array([len(TONES)] * 2),
        **{f"at{n}": np.array([n]) for n in (0, FRAME, WINDOW, CHUNK, CHUNK + TAIL)},
    }
    node = helper.make_node
    nodes = [
        node("Concat", ["tail", "pcm"], ["sound"], axis=1),
        node("Slice", ["sound", "at0", f"at{WINDOW}", "one"], ["early"]),
        node("Slice", ["sound", f"at{FRAME}", f"at{CHUNK + TAIL}", "one"], ["late"]),
        node("Slice", ["sound", f"at{CHUNK}", f"at{CHUNK + TAIL}", "one"], ["next.tail"]),
        node("Unsqueeze", ["early", "one"], ["early1"]),
        node("Unsqueeze", ["late", "one"], ["late1"]),
        node("Concat", ["early1", "late1"], ["frames"], axis=1),
        node("MatMul", ["frames", "basis"], ["waves"]),
        node("Mul", ["waves", "waves"], ["squares"]),
        node("Split", ["squares", "halves"], ["cosines", "sines"], axis=2),
        node("Add", ["cosines", "sines"], ["power"]),
        node("Mul", ["power", "steepness"], ["steep"]),
        node("Tanh", ["steep"], ["squashed"]),
        node("Mul", ["squashed", "height"], ["tones"]),
        node("Add", ["count", "steps"], ["now"]),
        node("Mod", ["now", "period"], ["phase"]),
        node("Cast", ["phase"], ["phase_f"], to=TensorProto.FLOAT),
        node("Mul", ["phase_f", "tick"], ["shift"]),
        node("Add", ["shift", "blank_height"], ["blank"]),
        node("Unsqueeze", ["blank", "two"], ["blank2"]),
        node("Concat", ["blank2", "tones"], ["logits"], axis=2),
        node(last_operator, ["logits"], [posteriors], axis=2),
        node("Add", ["count", "chunk_frames"], ["next.count"]),
    ]
    float32, int64 = TensorProto.FLOAT, TensorProto.INT64
    info = helper.make_tensor_value_info
    tail, count = (float32, ["batch", TAIL]), (int64, ["batch", 1])
    graph = helper.make_graph(
        nodes,
        "tones",
        [info("pcm", float32, ["batch", CHUNK]), info("tail", *tail), info("count", *count)],
        [
            info(posteriors, float32, ["batch", 2, len(TOKENS)]),
            info("next.tail", *tail),
            info("next.count", *count),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opset)
