"""A length in minutes is used: the schedule follows the time that steps take, whatever the machine does."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import isthmus
from isthmus.errors import Stopped
from isthmus.model.axes import Optimiser
from isthmus.training import state as states
from isthmus.training.budget import Budget
from isthmus.training.callbacks import Progress
from isthmus.training.schedule import Schedule, rate_at

from .cases import open_training, pictures, run_training, small, stop_after

MINUTES = 2.0
SECONDS = 60 * MINUTES


@dataclass
class Times:
    """What a simulated training took: seconds as a share of the budget, steps, validations, last progress."""

    used: float
    steps: int
    validations: int
    schedule: Schedule
    budget: Budget
    early: list[float] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.schedule.knots[-1][1]


def simulate(
    step_seconds: Callable[[float], float],
    *,
    measured: float,
    validation: Callable[[float], float] = lambda _: 0.2,
    validation_steps: float = 4,
) -> Times:
    """The loop's use of a budget, with durations that are functions of the time so far."""
    budget = Budget.of(SECONDS, measured, validation_steps)
    now, step, validations = 0.0, 0, 0
    schedule = budget.plan(0, None)
    while step < schedule.steps:
        taken = step_seconds(now)
        now += taken
        step += 1
        budget.add_step(taken)
        last = step >= schedule.steps
        replan = not last and (budget.is_late() or any(step == knot for knot, _ in schedule.knots))
        if replan and not budget.wants_validation():
            schedule, replan = budget.plan(step, schedule), False
            last = step >= schedule.steps
            if not last:
                continue
        if last or replan:
            taken = validation(now)
            now += taken
            validations += 1
            budget.add_validation(taken)
            if replan:
                schedule = budget.plan(step, schedule)
    return Times(now / SECONDS, step, validations, schedule, budget)


def constant(seconds: float) -> Callable[[float], float]:
    return lambda _: seconds


def slow_between(begin: float, end: float, factor: float, usual: float = 0.1) -> Callable[[float], float]:
    return lambda now: usual * (factor if begin * SECONDS < now < end * SECONDS else 1)


@pytest.mark.parametrize(
    ("step_seconds", "measured"),
    [
        (constant(0.1), 0.1),
        (constant(0.1), 1.5),  # measured while the machine was busy
        (constant(0.1), 0.005),  # measured while it was idle
        (slow_between(0, 0.1, 20), 0.1),  # compilation, cold caches
        (slow_between(0.3, 0.6, 30), 0.1),
        (slow_between(0.6, 2, 30), 0.1),  # busy to the end
        (slow_between(0, 0.5, 30), 3.0),  # free again
        (lambda now: 0.1 if int(now) % 7 else 0.6, 0.1),
        (constant(4.0), 4.0),
    ],
)
def test_the_time_is_used_and_progress_ends_at_one(
    step_seconds: Callable[[float], float], measured: float
) -> None:
    times = simulate(step_seconds, measured=measured)
    assert 0.9 <= times.used <= 1.06
    assert times.end == pytest.approx(1, abs=0.03)
    assert times.steps > 20
    assert times.validations <= 60


@pytest.mark.parametrize(("validation", "most"), [(2.0, 10), (10.0, 4), (35.0, 2)])
def test_validations_that_take_long_are_few_and_the_time_is_kept(validation: float, most: int) -> None:
    times = simulate(
        constant(0.1), measured=2.0, validation=constant(validation), validation_steps=30 * validation
    )
    assert 0.9 <= times.used <= 1.06
    assert times.end == 1
    assert 1 <= times.validations <= most


def test_a_machine_slow_at_the_very_end_is_not_waited_for() -> None:
    times = simulate(slow_between(0.96, 9, 20), measured=0.1)
    assert times.used <= 1.1
    assert times.end > 0.95


def test_a_budget_shorter_than_a_step_gives_one_step() -> None:
    times = simulate(constant(2 * SECONDS), measured=2 * SECONDS)
    assert (times.steps, times.validations) == (1, 1)


@pytest.mark.parametrize("moment", [0.004, 0.5, 0.97])
def test_a_suspended_process_goes_on_where_it_was(moment: float) -> None:
    undisturbed = simulate(constant(0.1), measured=0.1)
    gap = itertools.count()

    def suspended(now: float) -> float:
        return 3600.0 if now > moment * SECONDS and next(gap) == 0 else 0.1

    times = simulate(suspended, measured=0.1)
    assert times.steps == undisturbed.steps
    assert times.budget.paused == pytest.approx(3599.9)
    assert times.schedule == undisturbed.schedule


def test_a_pause_in_a_validation_is_not_charged_either() -> None:
    calls = itertools.count()
    times = simulate(constant(0.1), measured=0.1, validation=lambda _: 3600.0 if next(calls) == 3 else 0.2)
    assert times.budget.paused == pytest.approx(3599.8)
    assert times.steps == simulate(constant(0.1), measured=0.1).steps


def test_steps_that_stay_slow_are_no_pause() -> None:
    """Each takes a fifth of the budget: the second shows that the first was one of them."""
    times = simulate(lambda now: 0.1 if now < SECONDS / 2 else SECONDS / 5, measured=0.1)
    assert times.budget.paused == 0
    assert times.used <= 1.25


def test_reading_is_charged_with_a_part_at_most() -> None:
    budget = Budget.of(SECONDS, 0.1, 4)
    budget.add_preparation(10 * SECONDS)
    assert budget.used == pytest.approx(0.3 * SECONDS)


# ------------------------------------------------------------ the schedule


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 300)), min_size=1, max_size=9),
)
def test_a_plan_changes_nothing_that_lies_behind(plans: list[tuple[int, int]]) -> None:
    schedule, step, shares_seen = Schedule.linear(plans[0][1] + 1), 0, [0.0]
    for forward, rest in plans:
        forward = min(forward, schedule.steps - step - 1)
        if forward < 1:
            break
        shares_seen += [schedule.progress(step + i) for i in range(1, forward + 1)]
        step += forward
        schedule = schedule.replan(step, [(step + rest, 1.0)])
        assert [schedule.progress(i) for i in range(step + 1)] == pytest.approx(shares_seen, abs=1e-12)
    shares = [schedule.progress(i) for i in range(schedule.steps + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert Schedule.from_json(schedule.to_json()) == schedule


@pytest.mark.parametrize(
    "knots",
    [
        [(0, 0.0)],
        [(1, 0.0), (2, 1.0)],
        [(0, 0.5), (2, 1.0)],
        [(0, 0.0), (5, 0.6), (5, 1.0)],
        [(0, 0.0), (5, 0.6), (9, 0.5)],
        [(0, 0.0), (5, float("nan"))],
        [(0, 0.0), (5, 1.5)],
    ],
)
def test_knots_that_are_not_monotone_are_refused(knots: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match="knots"):
        Schedule(tuple(knots))


def test_progress_of_a_fixed_number_of_steps_is_their_share() -> None:
    schedule = Schedule.linear(997)
    assert [schedule.progress(step) for step in range(997)] == [step / 997 for step in range(997)]


def test_a_new_plan_after_the_warm_up_leaves_the_learning_rate_continuous() -> None:
    settings = Optimiser(warmup=0.02)
    schedule = Schedule.linear(400)
    before = rate_at(settings, schedule.progress(100), schedule)
    for end in (101, 150, 5000):
        again = schedule.replan(100, [(end, 1.0)])
        assert rate_at(settings, again.progress(100), again) == pytest.approx(before, rel=1e-12)
        last = rate_at(settings, again.progress(end), again)
        assert last == pytest.approx(0, abs=1e-9)


# ------------------------------------------------------------ whole trainings


class Clock:
    """Time that passes by a fixed amount whenever it is read; durations are exact in binary."""

    def __init__(self, tick: float = 0.25) -> None:
        self.now, self.tick = 1000.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def timed(out: Path | None = None, **options: Any) -> isthmus.Autoencoder:
    asked: dict[str, Any] = {"recipe": small("dense"), "minutes": 0.5, "precision": "float32"} | options
    return run_training(pictures(), out=out, **asked)


def test_a_training_in_minutes_takes_them_and_stores_its_knots(tmp_path: Path) -> None:
    clock, out = Clock(), tmp_path / "m.safetensors"
    reports: list[Progress] = []
    began = clock.now
    model = timed(out, clock=clock, listener=reports.append)
    assert 27 <= clock.now - began <= 31
    summary = isthmus.load(out).summary
    knots = summary["knots"]
    assert knots[0] == [0, 0.0]
    assert knots[-1] == [summary["steps"], 1.0]
    validated = [entry["step"] for entry in summary["history"]]
    assert [step for step, _ in knots[1:]] == validated
    assert summary["seconds"] <= 30
    shares = [report.share for report in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert model.summary["history"] == summary["history"]


def test_a_slower_clock_gives_fewer_steps_and_each_ends_with_a_small_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []
    real = rate_at

    def recorded(*how: Any) -> float:
        rates.append(real(*how))
        return rates[-1]

    monkeypatch.setattr("isthmus.training.trainer.rate_at", recorded)
    quick, slow = timed(clock=Clock(0.25)).summary, timed(clock=Clock(0.5)).summary
    assert slow["steps"] < 0.7 * quick["steps"]
    assert rates[-1] < 0.02 * max(rates)


@pytest.mark.parametrize("name", ["dense", "adversarial"])
def test_stopped_and_resumed_in_minutes_is_bit_for_bit_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(name)
    straight = timed(recipe=recipe, minutes=0.25, clock=Clock())
    out = tmp_path / "m.safetensors"
    for index, steps in enumerate((11, 17)):
        stop_after(monkeypatch, steps)
        with pytest.raises(Stopped):
            if index == 0:
                timed(out, recipe=recipe, minutes=0.25, clock=Clock())
            else:
                run_training(pictures(), out=out, resume=True, clock=Clock())
    state = states.load(states.resume_path(out)).facts["state"]
    assert state["step"] == 28
    assert len(state["knots"]) > 2
    stop_after(monkeypatch, None)
    resumed = run_training(pictures(), out=out, resume=True, clock=Clock())
    assert resumed.summary["knots"] == straight.summary["knots"]
    assert resumed.summary["history"] == straight.summary["history"]
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_state_of_version_0_1_keeps_its_fixed_number_of_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.safetensors"
    stop_after(monkeypatch, 3)
    with pytest.raises(Stopped):
        run_training(pictures(), recipe=small("dense"), out=out, steps=9, precision="float32")
    stop_after(monkeypatch, None)
    path = states.resume_path(out)
    saved = states.load(path)
    for place, keys in (("state", ("knots", "budget")), ("settled", ("minutes",))):
        for key in keys:
            del saved.facts[place][key]
    saved.facts["options"] |= {"steps": None, "minutes": 5.0}  # planned once, before the first step
    states.save(path, saved)
    summary = run_training(pictures(), out=out, resume=True).summary
    assert (summary["steps"], summary["knots"]) == (9, [[0, 0.0], [9, 1.0]])


def test_a_private_training_keeps_its_steps_and_says_so() -> None:
    pytest.importorskip("opacus")
    run = open_training(
        pictures(), small("dense"), private=8.0, minutes=0.2, precision="float32", clock=Clock(0.5)
    )
    assert run.budget is None
    assert run.schedule == Schedule.linear(run.plan.steps)
    assert any("whatever time they take" in note for note in run.plan.notes)


def test_nothing_else_in_training_reads_the_time() -> None:
    folder = Path(isthmus.__file__).parent / "training"
    reading = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                if name.startswith("time.") and name != "time.sleep":
                    reading.append(path.name)
    assert reading == ["budget.py"]


def test_a_gray_image_set_trains_for_seconds_of_real_time() -> None:
    """Whatever the machine does meanwhile, steps are taken and their number is the schedule's last knot."""
    summary = run_training(
        np.asarray(pictures()), recipe=small("dense"), minutes=0.01, precision="float32"
    ).summary
    assert summary["steps"] == summary["knots"][-1][0] >= 1
