"""Writes two passes as one file: a first pass with its features as a further output,
and the verifiers beside it (`kws export VERIFIER.ckpt ... --first-pass MODEL`).

Shapes: B streams, F hops of 10 ms, M mel bands.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from kws import __version__
from kws.errors import KwsError
from kws.export.eight_bits import round_weights, store_in_bytes
from kws.export.graph import to_onnx
from kws.export.verify import TOLERANCE
from kws.export.write import Written, commit, data_sources, without_notes
from kws.files import whole
from kws.metadata import SCHEMA, ModelInfo, VerifierInfo, embed
from kws.model.acoustic import parameter_count
from kws.model.ensemble import Ensemble
from kws.model.verifier_checkpoint import VerifierCheckpoint, load_verifier
from kws.runtime.session import OnnxModel

_PROBES = 4


def write_pair(verifiers: Sequence[Path], first_pass: Path, output: Path, name: str | None = None) -> Written:
    """Writes the model file `first_pass` and the checkpoints `verifiers` as one model
    file of two passes, once it is verified. The mean of the verifiers' log-odds counts.

    first_pass: a model; of one with two passes the first is used, and its verifier
    replaced. name: the model's; None takes the name in the first verifier's recipe. The
    thresholds are those of the first pass until `kws calibrate` sets them. Raises
    KwsError, and writes nothing, where the parts do not go together or ONNX and torch
    differ.
    """
    members = [load_verifier(path) for path in verifiers]
    refuse_unlike(members, verifiers)
    info = OnnxModel.load(first_pass).info
    refuse_strangers(members[0].model.config.tokens, members[0].model.config.words, info, first_pass)
    model = Ensemble([member.model for member in members])
    round_weights(model)
    proto = onnx.load(str(first_pass))
    hand_on_features(proto, info, members[0].model.config.mels)
    info = paired(info, members, name or members[0].recipe["name"])
    without_notes(proto)  # of a first pass that an older kws wrote
    embed(proto, info, verifier_graph(model).SerializeToString())
    onnx.checker.check_model(proto)
    with whole(output) as partial:
        onnx.save(proto, partial)
        difference = largest_difference(model, OnnxModel.load(partial))
        if not difference <= TOLERANCE:
            raise KwsError(
                f"ONNX and torch differ by {difference:.2e} in what the verifier says (at most {TOLERANCE:.0e} is "
                f"allowed): {output} was not written"
            )
    assert info.verifier is not None
    return Written(output, info.parameters + info.verifier.parameters, difference)


def refuse_unlike(members: Sequence[VerifierCheckpoint], paths: Sequence[Path]) -> None:
    """Raise KwsError unless all verifiers hear the same segments and words, and are
    asked alike.
    """

    def asked(member: VerifierCheckpoint) -> tuple[Any, ...]:
        config, recipe = member.model.config, member.recipe
        heard = (config.tokens, config.words, config.mels, config.segment_frames)
        return (*heard, *(recipe[key] for key in ("floor", "hold_frames", "first_pass_weight")))

    for path, member in zip(paths, members, strict=True):
        if asked(member) != asked(members[0]):
            raise KwsError(
                f"{path} does not go with {paths[0]}: verifiers of one file have the same words, phones, bands, "
                "segment_frames, floor, hold_frames and first_pass_weight"
            )


def refuse_strangers(tokens: Sequence[str], words: Sequence[str], info: ModelInfo, first_pass: Path) -> None:
    """Raise KwsError unless a verifier of these tokens and words was trained for such a
    first pass, which `info` describes.
    """
    if tuple(tokens) != info.tokens:
        raise KwsError(f"the verifier's phones are not those of {first_pass}: train it with this first pass")
    if unknown := sorted(set(words) - {keyword.name for keyword in info.keywords}):
        raise KwsError(f"{first_pass} does not hear {', '.join(unknown)}, which the verifier was trained for")


def hand_on_features(proto: onnx.ModelProto, info: ModelInfo, mels: int) -> None:
    """Make the log-mel energies of a first pass's frontend an output of its graph,
    `features` (B, F, M).

    Where the frontend fills the bands that a telephone cuts off, as `info` says, the
    first logarithm in the graph is that of the prediction. The energies are the next
    one; a model that follows the level has one more. Raises KwsError where there are
    others. Where the energies are an output already nothing happens.
    """
    if any(output.name == "features" for output in proto.graph.output):
        return
    fills_bands = bool(info.training.config.get("model", {}).get("extend_band"))
    logs = [node for node in proto.graph.node if node.op_type == "Log"][fills_bands:]
    if len(logs) not in (1, 2):
        raise KwsError(f"the first pass has {len(logs)} logarithms where its log-mel energies are one, or one of two")
    found = logs[0].output[0]
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = ["features" if name == found else name for name in names]
    shape: list[str | int | None] = ["batch", "feature_frames", mels]
    proto.graph.output.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, shape))


def paired(info: ModelInfo, members: Sequence[VerifierCheckpoint], name: str) -> ModelInfo:
    """The first pass's model info with its verifiers, and the training data of all.

    The training data of a replaced verifier stays named: the file does not say which of
    the two passes learned from which corpus.
    """
    model, recipe = members[0].model, members[0].recipe
    verifier = VerifierInfo(
        segment_frames=model.config.segment_frames,
        mels=model.config.mels,
        silence=model.silence,
        words=model.config.words,
        floor=recipe["floor"],
        hold_frames=recipe["hold_frames"],
        first_pass_weight=recipe["first_pass_weight"],
        parameters=sum(parameter_count(member.model) for member in members),
    )
    keywords = tuple(dataclasses.replace(keyword, calibration=None) for keyword in info.keywords)
    sources = [source for member in members for source in data_sources(member.recipe)]
    data = tuple(dict.fromkeys((*info.training.data, *sources)))
    config: dict[str, Any] = {**info.training.config, "verifiers": [_settings(member) for member in members]}
    config.pop("verifier", None)  # of a first pass out of a pair that an older kws wrote
    training = dataclasses.replace(info.training, data=data, config=config)
    return dataclasses.replace(
        info,
        schema=SCHEMA,
        name=name,
        keywords=keywords,
        training=training,
        verifier=verifier,
        kws_version=__version__,
        commit=commit(),
    )


def _settings(member: VerifierCheckpoint) -> dict[str, Any]:
    """What a model file says of a verifier's training."""
    said = ("model", "segments", "scenes", "learning_rate", "steps", "seed", "word_gradient", "vocal_tract", "teacher")
    return {key: member.recipe[key] for key in said if key in member.recipe} | {"spent": member.spent}


def verifier_graph(model: Ensemble) -> onnx.ModelProto:
    """The verifiers as ONNX for one segment: `features` (1, F, M) -> `log_odds` and
    `log_posteriors`; large weights in eight bits.
    """
    model = model.eval()
    config = model.first.config
    features = torch.zeros(1, config.segment_frames, config.mels)
    proto = to_onnx(model, (features,), inputs=["features"], outputs=["log_odds", "log_posteriors"], small=True)
    store_in_bytes(proto)
    without_notes(proto)
    return proto


def largest_difference(model: Ensemble, session: OnnxModel) -> float:
    """Largest absolute difference between `model` and its graph, of log-odds and of
    log-posteriors.
    """
    rng, config, worst = np.random.default_rng(0), model.first.config, 0.0
    for _ in range(_PROBES):
        level = rng.uniform(model.first.silence, 4.0, (config.segment_frames, 1))
        features = (level + rng.normal(0, 2, (config.segment_frames, config.mels))).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(features)[None])
        found = session.verify(features)
        worst = max(worst, *(float(np.abs(f - e[0].numpy()).max()) for f, e in zip(found, expected, strict=True)))
    return worst
