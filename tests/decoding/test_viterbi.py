"""The worked example in the docstring of the Viterbi search gives what it shows."""

import doctest

from kws.decoding import viterbi


def test_the_worked_example():
    failed, tried = doctest.testmod(viterbi)
    assert (failed, tried > 5) == (0, True)
