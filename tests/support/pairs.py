"""A model of two passes whose verifier is made by hand: no training, no torch.

The first pass is a small graph in the language of tones (tones.py) with features beside
its posteriors: two "mel bands" of 10 ms, the level and the mean of the sound. The
verifier gives a word's log-odds as a plain sum over its segment.
"""

import base64
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import tones

MELS, SEGMENT_FRAMES, HOLD = 2, 120, 4
SILENCE = -9.0
VERIFIER = {
    "segment_frames": SEGMENT_FRAMES,
    "mels": MELS,
    "silence": SILENCE,
    "words": ["abc", "eel"],  # "fed" is verified by its path through the tokens
    "floor": 0.05,
    "hold_frames": HOLD,
    "first_pass_weight": 0.5,
    "parameters": 9,
}


def write_pair(path: Path, **changes: object) -> Path:
    """Write the model; `changes` replace fields of the verifier's info."""
    model = onnx.load(str(tones.write_model(path)))
    _hand_on_features(model.graph)
    info = tones.model_info(schema=2, verifier=VERIFIER | changes)
    graph = base64.b64encode(verifier_graph().SerializeToString()).decode()
    helper.set_model_props(model, {"kws.manifest": json.dumps(info), "kws.verifier": graph})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _hand_on_features(graph: onnx.GraphProto) -> None:
    """`features` (B, 8, 2): of each 10 ms the logarithm of its power, and its mean."""
    constants = {
        "hops": np.array([0, 8, 160]),
        "least": np.float32(np.exp(SILENCE)),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"feature_{name}") for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Reshape", ["pcm", "feature_hops"], ["feature_frames"]),
            helper.make_node("ReduceSumSquare", ["feature_frames"], ["feature_power"], axes=[2], keepdims=1),
            helper.make_node("Add", ["feature_power", "feature_least"], ["feature_floored"]),
            helper.make_node("Log", ["feature_floored"], ["feature_level"]),
            helper.make_node("ReduceMean", ["feature_frames"], ["feature_mean"], axes=[2], keepdims=1),
            helper.make_node("Concat", ["feature_level", "feature_mean"], ["features"], axis=2),
        ]
    )
    shape = ["batch", "feature_frames_out", MELS]
    graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, shape))


def verifier_graph() -> onnx.ModelProto:
    """features (1, F, 2) -> log_odds (1, 2), which weigh frames by their place, and log_posteriors (1, F / 4, 7)."""
    frames, tokens = SEGMENT_FRAMES // 4, len(tones.TOKENS)
    rng = np.random.default_rng(0)
    slope = np.linspace(-1, 1, SEGMENT_FRAMES, dtype=np.float32)[:, None]
    constants = {
        "places": (slope * [[0.01, -20.0]]).astype(np.float32)[None],
        "zero": np.array([1]),
        "quarters": np.array([1, frames, 4 * MELS]),
        "mix": rng.normal(0, 0.4, (4 * MELS, tokens)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["features", "places"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "zero"], ["log_odds"], keepdims=0),
        helper.make_node("Reshape", ["features", "quarters"], ["stacked"]),
        helper.make_node("MatMul", ["stacked", "mix"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_posteriors"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "verifier",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, SEGMENT_FRAMES, MELS])],
        [
            helper.make_tensor_value_info("log_odds", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("log_posteriors", TensorProto.FLOAT, [1, frames, tokens]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
