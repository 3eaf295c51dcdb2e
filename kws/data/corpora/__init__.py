"""One corpus a file, each with a declaration `CORPUS` that the registry reads."""

from pkgutil import iter_modules


def corpus_names() -> list[str]:
    """The names of all corpora, which are those of the files, without importing any."""
    return sorted({found.name for found in iter_modules(__path__)} - {"base", "registry"})
