"""The progress bar says the time that is left truly, and waiting threads sleep."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("pytorch_lightning")

from kws.train.process.progress import Pace, other_work


def seconds(told: str) -> float:
    number, unit = re.match(r"([\d.]+) (s|min|h)", told).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


class Clock:
    """A training whose steps and evaluations take what they are told to."""

    def __init__(self, steps: int, every: int) -> None:
        self.steps, self.every, self.pace = steps, every, Pace(steps, every)
        self.now, self.done = 1000.0, 0

    def go(self, steps: int, step_s: float, evaluation_s: float) -> None:
        for _ in range(min(steps, self.steps - self.done)):
            self.now += step_s
            self.done += 1
            self.pace.stepped(self.done, self.now, 0.5 * self.now)
            if self.done % self.every == 0:
                self.now += evaluation_s
                self.pace.evaluated(evaluation_s)


@settings(deadline=None)
@given(
    steps=st.integers(2, 2000),
    every=st.integers(1, 300),
    done=st.integers(2, 2000),
    step_s=st.floats(0.01, 20),
    evaluation_s=st.floats(0, 300),
)
def test_what_is_left_is_what_it_takes(steps, every, done, step_s, evaluation_s):
    assume(every <= done <= steps)  # an evaluation was seen
    clock = Clock(steps, every)
    clock.go(done, step_s, evaluation_s)
    told, began = clock.pace.left(), clock.now
    clock.go(steps, step_s, evaluation_s)
    assert seconds(told) == pytest.approx(clock.now - began, rel=0.051, abs=0.51)
    assert "evaluation" not in told
    assert clock.pace.step_s == pytest.approx(step_s, rel=1e-6)


def test_evaluations_that_nobody_has_timed_are_named():
    clock = Clock(100, 40)
    clock.go(10, 1.0, 5.0)
    assert clock.pace.left() == "1.5 min left and 2 evaluations"
    clock.go(50, 1.0, 5.0)
    assert clock.pace.left() == "45 s left"  # 40 steps, and one evaluation of 5 s


def test_before_the_second_step_nothing_is_promised():
    clock = Clock(10, 100)
    assert clock.pace.left() == ""
    clock.go(1, 1.0, 0.0)
    assert clock.pace.left() == "" and clock.pace.step_s is None


@settings(deadline=None)
@given(before=st.floats(0.01, 5), after=st.floats(0.01, 5))
def test_the_pace_is_that_of_the_last_minute(before, after):
    clock = Clock(10**6, 10**6)
    clock.go(300, before, 0.0)
    clock.go(int(60 / after) + 12, after, 0.0)
    assert clock.pace.step_s == pytest.approx(after, rel=1e-6)


def test_the_share_of_the_time_is_that_of_the_cpu():
    clock = Clock(100, 1000)
    assert clock.pace.kept == 1.0
    clock.go(20, 1.0, 0.0)
    assert clock.pace.kept == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kept", "load", "told"),
    [(0.3, 6.0, "other work slows it: load 6.0 on 2 cores"), (0.95, 6.0, ""), (0.3, 2.9, ""), (0.3, 0.4, "")],
    ids=["crowded", "crowded, and it has its core", "its own processes", "it waits for a disk"],
)
def test_other_work_is_named_where_it_slows(kept, load, told):
    assert other_work(kept, load, 2) == told


@pytest.mark.skipif(sys.platform != "linux", reason="asks the OpenMP of torch's wheels for Linux")
@pytest.mark.parametrize(("given_by_user", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_of_a_training_wait_asleep(given_by_user, policy, tmp_path):
    """Asked of OpenMP itself, which says when torch loads it how it was set: here a recipe is first to load torch."""
    (tmp_path / "none.py").write_text("import torch\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "true", **given_by_user}
    command = [sys.executable, "-m", "kws", "train", str(tmp_path / "none.py")]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 1 and "none.py has no constant RECIPE" in ran.stderr
    assert f"OMP_WAIT_POLICY = '{policy}'" in ran.stderr
