"""Writes a new first pass with the verifiers of a model file (`kws export CHECKPOINT
--second-pass MODEL`): what a first pass that is trained anew is put under.

Verifiers hear log-mel energies, which do not depend on the weights of a first pass. So
they need not be trained again; the thresholds do.
"""

import dataclasses
import tempfile
from pathlib import Path

import onnx

from kws.errors import KwsError
from kws.export.pair import hand_on_features, refuse_strangers
from kws.export.write import Written, write_model
from kws.files import whole
from kws.metadata import SCHEMA, ModelInfo, embed
from kws.runtime.session import OnnxModel, verifier_bytes


def write_with_verifiers_of(
    checkpoint: Path, model: Path, output: Path, name: str | None = None, floor: float | None = None
) -> Written:
    """Writes the checkpoint of a first pass and the verifiers of the model file `model`
    as one model file of two passes.

    name: the new model's; None takes the recipe's. floor: the score of the first pass
    from which on the verifiers are asked; None takes that of `model`. The thresholds
    are the recipe's until `kws calibrate` sets them. Raises KwsError, and writes
    nothing, where `model` has one pass or does not go with the first pass, or where
    ONNX and torch differ.
    """
    second = OnnxModel.load(model).info
    if second.verifier is None:
        raise KwsError(f"{model} has one pass: give a model with verifiers as --second-pass")
    if floor is not None:
        if not 0 < floor < 1:
            raise KwsError(f"--floor {floor}: scores lie between 0 and 1")
        second = dataclasses.replace(second, verifier=dataclasses.replace(second.verifier, floor=floor))
    with tempfile.TemporaryDirectory() as folder:
        written = write_model(checkpoint, Path(folder) / "first.onnx", name)
        proto, first = onnx.load(str(written.path)), OnnxModel.load(written.path).info
    assert second.verifier is not None
    refuse_strangers(second.tokens, second.verifier.words, first, checkpoint)
    hand_on_features(proto, first, second.verifier.mels)
    verifiers = verifier_bytes({entry.key: entry.value for entry in onnx.load(str(model)).metadata_props})
    embed(proto, joined(first, second), verifiers)
    onnx.checker.check_model(proto)
    with whole(output) as partial:
        onnx.save(proto, partial)
        OnnxModel.load(partial)  # refuses parts that do not fit
    return Written(output, first.parameters + second.verifier.parameters, written.difference)


def joined(first: ModelInfo, second: ModelInfo) -> ModelInfo:
    """The info of a first pass with the verifiers of another model, and the training
    data of both.
    """
    verifiers = {key: said for key, said in second.training.config.items() if key == "verifiers"}
    training = dataclasses.replace(
        first.training,
        data=tuple(dict.fromkeys((*first.training.data, *second.training.data))),
        config={**first.training.config, **verifiers},
    )
    return dataclasses.replace(first, schema=SCHEMA, training=training, verifier=second.verifier)
