"""Numbers as a person reads them."""

import pytest

from kws.digits import figure, percent, probability, two_digits


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (two_digits(0.314), "0.31"),
        (two_digits(2.14), "2.1"),
        (two_digits(1123.0), "1,100"),
        (figure(210.4), "210"),
        (figure(59.94), "59.9"),
        (figure(2.449), "2.45"),
        (figure(0.05), "0.05"),
        (figure(0.003), "0.003"),
        (figure(0.0), "0"),
        (percent(0.126), "12.6 %"),
        (percent(0.0004), "0.04 %"),
        (probability(0.97), "0.97"),
        (probability(0.051), "0.051"),
        (probability(0.0001), "<0.001"),
    ],
)
def test_the_digits_that_count(said, wanted):
    assert said == wanted
