"""The simulated world is what the page says it is, and the engine is asked as the operator asks."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.bench.statistics import __main__ as command
from tests.bench.statistics import catalogue, cells, driven, engine, noise, scenarios
from tests.bench.statistics.figures import Median, Share
from tests.bench.statistics.noise import Noise
from tests.bench.statistics.scenarios import LOOKS, Scenario

SEED = 11


def test_counts_follow_the_ramp_and_the_rates() -> None:
    scenario = Scenario("ramp", 10.0, 0.02, incident=(31, 60))
    seen = scenario.simulate(scenarios.seeded(SEED, "ramp"), runs=400)
    np.testing.assert_allclose(seen.n_c.mean(axis=0), 600.0 * scenarios.RAMP, rtol=0.05)
    np.testing.assert_allclose((seen.n_c + seen.n_s).mean(), 600.0, rtol=0.01)
    early, late = slice(0, 30), slice(30, 60)
    for counts, trials, rate in ((seen.x_c, seen.n_c, 0.02), (seen.x_s, seen.n_s, 0.005)):
        assert counts[:, early].sum() / trials[:, early].sum() == pytest.approx(rate, rel=0.05)
        assert counts[:, late].sum() / trials[:, late].sum() == pytest.approx(3 * rate, rel=0.05)


@pytest.mark.parametrize("family", catalogue.FAMILIES.values(), ids=catalogue.FAMILIES)
def test_noise_is_neither_harm_nor_gain(family: Noise) -> None:
    random = scenarios.seeded(SEED, family)
    found = family.factors(random, runs=800, looks=2 * noise.DAY // 4)
    assert found.min() > 0
    assert found.mean() == pytest.approx(1.0, abs=0.02)


def test_autocorrelated_noise_has_the_moments_of_its_name() -> None:
    family = noise.Autoregressive(0.9, 0.3)
    logs = np.log(family.factors(scenarios.seeded(SEED, "ar"), runs=2000, looks=20))
    assert logs.std(axis=0) == pytest.approx(np.full(20, 0.3), rel=0.06)
    assert np.corrcoef(logs[:, 5], logs[:, 6])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_a_gap_is_kept_through_an_incident() -> None:
    rates = Scenario("gap", 1.0, gap=0.01, incident=(1, 30)).rates(
        scenarios.seeded(SEED, "gap"), runs=3
    )
    np.testing.assert_allclose(rates.candidate - rates.stable, 0.01)
    assert rates.stable[0, 0] == pytest.approx(3 * rates.stable[0, -1])


def test_steps_are_held_while_the_candidate_looks_worse() -> None:
    weight, served = np.array([0.05, 0.05, 0.5]), np.array([6, 6, 9])
    after, begun = scenarios.holds(np.array([0.5, 1.5, 0.0]), weight, served)
    assert after == pytest.approx([0.1, 0.05, 0.5])
    assert begun.tolist() == [1, 7, 1]


def test_random_numbers_of_a_cell_depend_on_its_name_alone() -> None:
    one, other = scenarios.seeded(SEED, "a", 1.0), scenarios.seeded(SEED, "a", 1.0)
    assert one.random() == other.random()
    assert scenarios.seeded(SEED, "a", 10.0).random() != scenarios.seeded(SEED, "b", 10.0).random()


@pytest.mark.parametrize(("rps", "rate"), [(10.0, 0.005), (10.0, 0.02), (100.0, 0.005)])
def test_plan_stored_evidence_and_engine_alone_agree(rps: float, rate: float) -> None:
    asking = engine.spec(engine.RELATIVE)
    for number in range(3):
        random = scenarios.seeded(SEED, "plan", rps, rate, number)
        found = driven.run(Scenario("plan", rps, rate), asking, random)
        assert found.agree, found
        assert len(found.looks) == min(found.rolled_back, LOOKS)
        assert sorted(found.weights) == list(found.weights)


def test_the_plan_gets_all_looks_of_each_step() -> None:
    random = scenarios.seeded(SEED, "plan", "steps")
    found = driven.run(Scenario("plan", 100.0), engine.spec(engine.RELATIVE), random)
    assert found.weights == pytest.approx(scenarios.RAMP)
    assert found.promoted == LOOKS


def test_looks_of_the_warm_up_are_not_made() -> None:
    scenario = Scenario("cold", 100.0, cold=2)
    cold = cells.Cell("cold", scenario, 16)
    seen = cells.run(cold, SEED)
    spared = cells.run(cells.Cell("cold", scenario, 16, warm_up=2), SEED)
    assert np.isfinite(seen.rollback).mean() > 0.9
    assert np.isfinite(spared.rollback).mean() < 0.2


def test_error_is_computed_as_often_as_it_is_made() -> None:
    cell = cells.Cell("computed", Scenario("computed", 10.0), 16, more=600)
    spent = cells.run(cell, SEED).spent
    assert spent is not None
    counted = np.isfinite(spent.rollback).mean()
    assert 0.015 < spent.error.mean() <= 0.02
    assert counted == pytest.approx(spent.error.mean(), abs=3 * math.sqrt(0.02 * 0.98 / 600))
    assert np.all(np.diff(spent.by_look) >= 0)


def test_every_cell_has_a_name_of_its_own_and_whole_services() -> None:
    every = catalogue.every()
    for name, cell in every.items():
        assert cell.name == name
        assert cell.runs % cell.services == 0
        assert cell.scaled(0.001).runs == 2
    calibrated = {n for n in every if n.endswith(" / calibrated")}
    assert len({cell.scenario.name for cell in every.values()}) == len(every) - len(calibrated)


def test_figures_carry_their_error() -> None:
    assert str(Share.of(np.arange(400) < 100)) == "25.0 ± 2.2"
    assert str(Share.of(np.zeros(300, dtype=bool))) == "0 (± 1)"
    assert str(Median.of(np.arange(101.0))) == "50 [45, 56]"
    assert str(Median.of(np.full(9, np.inf))) == "never"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_quick_look_fills_every_table(tmp_path: Path) -> None:
    page = tmp_path / "statistics.md"
    command.main(["--quick", "--seed", str(SEED), "--page", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "do not quote" in text
    assert "nan" not in text
    pictures = sorted(one.name for one in (tmp_path / "statistics").iterdir())
    assert pictures == ["detection.svg", "healthy.svg", "spent.svg", "three-ways.svg"]
    assert all(f"(statistics/{name})" in text for name in pictures)
