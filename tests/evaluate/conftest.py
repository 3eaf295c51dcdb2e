"""What the tests of scoring share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def without_figures() -> Iterator[None]:
    """`kws score` in this process draws none: they take more time than all the rest of a report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kws.evaluate.report.write.write_figures", lambda report, folder: [])
        yield
