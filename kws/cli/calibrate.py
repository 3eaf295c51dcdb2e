"""`kws calibrate`: temporary door until its owner writes it."""

from kws.evaluate.count.thresholds import configure as configure
from kws.evaluate.count.thresholds import run as run
