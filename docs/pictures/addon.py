"""Draws the icon and the logo of the add-on: `python docs/pictures/addon.py` writes
them into kws/wyoming/addon.

A score that rises over its threshold, in the colours of the other pictures. Home
Assistant shows an icon of 128 x 128 pixels and a logo of about 250 x 100.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parents[2] / "kws" / "wyoming" / "addon"
INK, EDGE, LOUD = "#1c2733", "#7aa2cf", "#2f9e58"
DPI = 100


def draw(path: Path, width: int, height: int, name: str) -> None:
    """A picture of so many pixels; a name stands right of the curve, if there is
    one.
    """
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    side = height / width
    axes = figure.add_axes((0.06 * side, 0.06, 0.88 * side, 0.88))
    x = np.linspace(0, 1, 200)
    score = 0.12 + 0.75 * np.exp(-(((x - 0.62) / 0.13) ** 2)) + 0.12 * np.exp(-(((x - 0.2) / 0.08) ** 2))
    axes.axhline(0.5, color=EDGE, linewidth=0.03 * height, linestyle=(0, (1.2, 0.8)))
    axes.plot(x, score, color=INK, linewidth=0.05 * height, solid_capstyle="round")
    over = score >= 0.5
    axes.fill_between(x, 0.5, score, where=over, color=LOUD, alpha=0.9, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    if name:
        figure.text(1.1 * side, 0.47, name, color=INK, fontsize=0.42 * height, weight="bold", va="center")
    figure.savefig(path, transparent=True, metadata={"Software": None})


if __name__ == "__main__":
    draw(FOLDER / "icon.png", 128, 128, "")
    draw(FOLDER / "logo.png", 250, 100, "kws")
