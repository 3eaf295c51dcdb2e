"""The catalogue of a server: the keywords of its models, and their description for
clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from wyoming.info import Attribution, Info, WakeModel, WakeProgram

from kws import __version__
from kws.errors import KwsError
from kws.lexicon import TOKENS
from kws.metadata import Keyword, ModelInfo
from kws.runtime.detector import Detector

_LONGEST_NAME = 60  # characters of a stranger's name that are repeated to a person


class Catalog:
    """Detectors that all clients share, and the names of their keywords. Immutable."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Raises KwsError where two detectors hear keywords of one name."""
        self.detectors = tuple(detectors)
        names = [keyword.name for detector in self.detectors for keyword in detector.keywords]
        self._names = {_normal(name): name for name in names}
        if len(self._names) < len(names):
            twice = next(name for name in names if sum(_normal(name) == _normal(other) for other in names) > 1)
            raise KwsError(f"two keywords are called '{twice}': serve only one of the models that hear it")
        self.names = frozenset(names)

    def choose(self, names: Iterable[str]) -> tuple[frozenset[str], list[str]]:
        """The keywords that a client's names mean, in any case and with `_` for a
        space, and the names of none.
        """
        asked = {_normal(name): name for name in names}
        known = frozenset(self._names[name] for name in asked if name in self._names)
        return known, [f"{asked[name][:_LONGEST_NAME]!r}" for name in asked if name not in self._names]

    def follows_level(self, keywords: Set[str]) -> bool:
        """Whether all models that hear these keywords raise quiet sound by
        themselves.
        """
        hearing = (d for d in self.detectors if any(keyword.name in keywords for keyword in d.keywords))
        return all(detector.info.follows_level for detector in hearing)

    def info(self) -> Info:
        """The answer to `describe`: one program, and a model for each keyword."""
        models = [_describe(keyword, detector.info) for detector in self.detectors for keyword in detector.keywords]
        program = WakeProgram(
            name="kws",
            description="A streaming voice-trigger detector",
            attribution=Attribution(name="The kws authors", url=""),
            installed=True,
            version=__version__,
            models=models,
        )
        return Info(wake=[program])


def _describe(keyword: Keyword, info: ModelInfo) -> WakeModel:
    sources = "; ".join(f"{data.name} ({data.licence}): {data.attribution}" for data in info.training.data)
    return WakeModel(
        name=keyword.name,
        description=keyword.name,
        phrase=keyword.name,
        attribution=Attribution(name=f"{info.name}, trained on {sources}", url=""),
        installed=True,
        version=info.kws_version,
        languages=["en"] if info.tokens == TOKENS else [],
    )


def _normal(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())
