"""The part of a study's report about attention: a table, a figure, and maps of one
keyword.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kws.evaluate.report.page.figures import save
from kws.lab.attention.figures import TITLES, draw_attention, draw_layers
from kws.lab.attention.measure import Row, observe
from kws.lab.attention.measure_run import observed_recordings, read_rows
from kws.lab.sounds import Sounds
from kws.lab.study import Cell, Places, Study
from kws.lab.table import row
from kws.lab.tasks import folder
from kws.model.checkpoint import load_checkpoint

_QUANTITIES = ("cosine", "cosine_centred", "kept", "own", "entropy_share", "column_over_uniform", "sink_keys")


def attention_report(study: Study, places: Places, sounds: Sounds, output: Path) -> str:
    """The table of the quantities of `kws.lab.attention.measure`, in Markdown; "" where
    nothing was observed.

    Writes attention.{png,svg} and, of one keyword, map-CELL.{png,svg} into `output`.
    """
    found = {name: _diagnoses(study, places, study.cells[name]) for name in study.observed if name in study.cells}
    found = {name: seeds for name, seeds in found.items() if seeds}
    if not found:
        return ""
    save(draw_layers(found, _QUANTITIES), output / "attention")
    head = ["cell", "block", *(TITLES[quantity] for quantity in _QUANTITIES)]
    lines = ["### Attention, mean over heads: mean over seeds (least to most)", "", row(head), row(["---"] * len(head))]
    for name, seeds in found.items():
        blocks = sorted({r.block for r in seeds[0]})
        for block in blocks:
            values = [
                [r.mean for rows in seeds for r in rows if (r.block, r.head, r.quantity) == (block, None, quantity)]
                for quantity in _QUANTITIES
            ]
            lines.append(row([name, str(block + 1), *map(_range, values)]))
        model = load_checkpoint(folder(places, study.cells[name]) / "seed-0" / "model.ckpt").model
        mel = model.normalised(sounds.features(observed_recordings(sounds)[0]))[None]
        drawn = draw_attention(observe(model, mel), mel, name)
        save(drawn, output / f"map-{folder(places, study.cells[name]).name}")
    return "\n".join(lines)


def _diagnoses(study: Study, places: Places, cell: Cell) -> list[list[Row]]:
    paths = [folder(places, cell) / f"seed-{seed}" / "diagnosis.json" for seed in study.seeds(cell.name)]
    return [rows for path in paths if (rows := read_rows(path)) is not None]


def _range(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})" if values else ""
