"""The tables of a study, in Markdown, from the files of its runs.

Shapes: R runs, N recordings with a keyword.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kws.evaluate.count.intervals import crossed_bootstrap
from kws.evaluate.replay.recording import CLEAN
from kws.files import read_json
from kws.lab.operating_points import OperatingPoint
from kws.lab.run_one import Result
from kws.lab.sounds import Sounds
from kws.lab.study import Cell, Group, Places, Study
from kws.lab.tasks import folder
from kws.lexicon.text import phrase_name

_SEED = 0  # of the bootstrap


@dataclass(frozen=True)
class Run:
    """The results of one seed of a cell."""

    seed: int
    result: Result
    points: tuple[OperatingPoint, ...]


class SpokenKeywords:
    """The keywords that are spoken in the test: names and speakers of their recordings,
    in the order of the sounds.
    """

    def __init__(self, study: Study, sounds: Sounds) -> None:
        keywords = {phrase_name(keyword) for keyword in study.recipe.task.keywords}
        spoken = [
            source
            for source in sounds.sources
            if source.condition == CLEAN and source.labels and source.labels[0].text in keywords
        ]
        self.names = [source.name for source in spoken]
        self.speakers = [source.labels[0].speaker for source in spoken]

    def missed(self, runs: Sequence[Run], point: int, condition: str) -> npt.NDArray[np.float64]:
        """(R, N): 1 where a run missed a keyword at its operating point number `point`,
        else 0.
        """
        rows = [set(run.points[point].missed[condition]) for run in runs]
        return np.array([[name in row for name in self.names] for row in rows], float)


def runs_of(study: Study, places: Places, cell: Cell) -> list[Run]:
    """The finished runs of a cell, by seed."""
    found = []
    for seed in study.seeds(cell.name):
        path = folder(places, cell) / f"seed-{seed}"
        trained = folder(places, study.cells[cell.phrases_of]) if cell.phrases_of else path.parent
        result = read_json(trained / path.name / "result.json", dict)
        points = read_json(path / "outcome.json", list)
        if result is not None and points is not None:
            found.append(Run(seed, Result(**result), tuple(OperatingPoint(**point) for point in points)))
    return found


def tables(study: Study, places: Places, spoken: SpokenKeywords, costs: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of all groups; `costs` gives further columns of a cell, by its
    name.
    """
    return "\n\n".join(table(study, places, group, spoken, costs) for group in study.groups)


def table(
    study: Study, places: Places, group: Group, spoken: SpokenKeywords, costs: Mapping[str, Mapping[str, Any]]
) -> str:
    """One group: a row for every cell, each compared with the group's own measure."""
    runs = {cell.name: runs_of(study, places, cell) for cell in group.cells}
    noise = [condition for condition in study.conditions if condition != CLEAN]
    last = len(study.fa_per_hour) - 1
    extra = list(dict.fromkeys(name for cell in group.cells for name in costs.get(cell.name, {})))
    head = [
        group.name,
        "seeds",
        "parameters",
        *(f"missed at {rate:g} FA/h" for rate in study.fa_per_hour),
        *(f"{condition}, {study.fa_per_hour[-1]:g} FA/h" for condition in noise),
        f"points to {group.against}, clean",
        *(f"{condition}" for condition in noise[:1]),
        "CTC loss",
        "phone errors",
        *extra,
    ]
    lines = [f"### {group.title}", "", row(head), row(["---"] * len(head))]
    for cell in group.cells:
        found = runs[cell.name]
        if not found:
            lines.append(row([cell.name, "0", *[""] * (len(head) - 2)]))
            continue
        lines.append(
            row(
                [
                    cell.name,
                    str(len(found)),
                    f"{found[0].result.parameters:,}",
                    *(share(spoken, found, point, CLEAN) for point in range(last + 1)),
                    *(share(spoken, found, last, condition) for condition in noise),
                    *(
                        difference(spoken, found, runs[group.against], last, condition)
                        if cell.name != group.against
                        else ""
                        for condition in (CLEAN, *noise[:1])
                    ),
                    spread([run.result.ctc_loss for run in found]),
                    f"{100 * np.mean([run.result.phone_errors / run.result.phones for run in found]):.1f} %",
                    *(str(costs.get(cell.name, {}).get(name, "")) for name in extra),
                ]
            )
        )
    return "\n".join(lines)


def share(spoken: SpokenKeywords, runs: Sequence[Run], point: int, condition: str) -> str:
    """``116/2270 = 5.1 % (3.0 to 8.0)`` of all seeds together."""
    missed = spoken.missed(runs, point, condition)
    low, high = crossed_bootstrap(missed, spoken.speakers, np.random.default_rng(_SEED))
    return f"{int(missed.sum())}/{missed.size} = {100 * missed.mean():.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def difference(spoken: SpokenKeywords, runs: Sequence[Run], others: Sequence[Run], point: int, condition: str) -> str:
    """``+1.2 (-0.3 to 2.9)``: percentage points more missed than by `others` with the
    same seeds.
    """
    seeds = sorted({run.seed for run in runs} & {run.seed for run in others})
    if not seeds:
        return ""
    own, theirs = ([run for run in group if run.seed in seeds] for group in (runs, others))
    change = spoken.missed(own, point, condition) - spoken.missed(theirs, point, condition)
    low, high = crossed_bootstrap(change, spoken.speakers, np.random.default_rng(_SEED))
    return f"{100 * change.mean():+.1f} ({100 * low:.1f} to {100 * high:.1f})"


def spread(values: Sequence[float]) -> str:
    """``1.234 ± 0.012``: mean and standard deviation over seeds."""
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
