"""Small checkpoints of untrained models, for the tests of export and of costs."""

from pathlib import Path

import torch

from kws.model.acoustic import AcousticConfig, AcousticModel
from kws.model.checkpoint import save_checkpoint

RECIPE = {
    "name": "small",
    "seed": 3,
    "steps": 10,
    "learning_rate": 1e-3,
    "precision": "32-true",
    "model": {},
    "scenes": {},
    "scoring": {
        "peak_weight": 1.0,
        "max_duration_frames": 50,
        "max_gap_frames": 12,
        "refractory_frames": 25,
        "default_threshold": 0.3,
    },
    "speech": [{"title": "Noise", "licence": "CC0", "attribution": "nobody"}],
    "noise": None,
}


def checkpoint(path: Path, mixer: str = "xsa") -> Path:
    torch.manual_seed(0)
    blocks = max(2, len(mixer.split(",")))
    config = AcousticConfig(mixer=mixer, width=32, blocks=blocks, heads=2, window_frames=8, channels=16)
    model = AcousticModel(config)
    model.set_reference(torch.randn(32, 40))
    for name, parameter in model.named_parameters():
        if name.endswith(("distance_bias", "alpha", "sink")):  # zero in a fresh model: a wrong one would go unseen
            torch.nn.init.normal_(parameter)
    save_checkpoint(path, model, RECIPE, {"hey you=HH EY Y UW": [["HH", "EY", "Y", "UW"]]}, {})
    return path
