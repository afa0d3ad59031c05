"""The instruments of the benchmarks. What they measure is not tested here: it takes minutes and depends on the machine."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.figures import NAMES, ensemble, figure
from benchmarks.scaling import Point, along, exponent
from benchmarks.stages import Place, Stages
from benchmarks.study import profile
from benchmarks.timing import Contestant, alternate, spread, times_faster
from dajko.study.config.parse import read_studies
from dajko.study.twin.experiment import build

CONFIG = Path(__file__).parents[2] / "config" / "paper" / "porous-medium.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_the_flows_are_those_of_the_papers_figures(name):
    flow, study = figure(name), read_studies(CONFIG).studies[f"figure-{name.replace('.', '-')}"]
    experiment = build(study, name)
    assert (flow.grid, flow.tau, flow.steps) == (experiment.grid, experiment.tau, experiment.steps)
    assert flow.energy.internal == experiment.energy.internal
    np.testing.assert_array_equal(flow.density, experiment.initial)
    if flow.data is None:
        assert experiment.theta == np.inf
    else:
        assert (flow.data.theta, flow.data.observations) == (experiment.theta, experiment.observations)
        np.testing.assert_allclose(flow.data.values, experiment.data_exact[1:], rtol=1e-13)


@pytest.mark.parametrize("name", ["5.1", "5.4"])
def test_members_of_an_ensemble_differ_and_the_first_is_the_figure(name):
    flows = ensemble(name, members=3)

    def content(flow):
        return (*flow.density, *(() if flow.data is None else np.ravel(flow.data.values)))

    assert content(flows[0]) == content(figure(name))
    assert len({content(flow) for flow in flows}) == 3


def test_a_stage_does_not_count_the_time_of_a_stage_inside_it():
    class Program:
        def outer(self):
            clock.now += 1.0
            self.inner()
            clock.now += 2.0

        def inner(self):
            clock.now += 10.0

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock, before = Clock(), Program.inner
    stages = Stages(clock)
    with stages.watch([Place(Program, "inner", "inner"), Place(Program, "outer", "outer")]):
        clock.now += 100.0
        Program().outer()
        with stages.stage("rest"):
            clock.now += 0.5
            Program().inner()
    assert stages.seconds == {"outer": 3.0, "inner": 20.0, "rest": 0.5}
    assert Program.inner is before


def test_contestants_take_turns():
    turns = []
    contestants = {name: Contestant(lambda name=name: turns.append(name), 1) for name in "ab"}
    found = alternate(contestants, rounds=3, least=0.0)
    assert turns[-6:] == ["a", "b"] * 3
    assert [len(seconds) for seconds in found.values()] == [3, 3]


def test_disturbed_rounds_show_in_the_spread_only():
    slow, fast = [10.0, 40.0, 12.0], [4.0, 2.0, 3.0]
    assert times_faster(slow, fast) == 5.0
    assert spread(slow, fast) == (2.5, 20.0)


def test_the_exponent_is_that_of_a_power_law():
    points = [Point("5.1", nx, 10, False, [3e-6 * nx**1.25], 4.0, 0.0) for nx in (800, 100, 400)]
    points += [Point("5.1", 100, 20, False, [1.0], 4.0, 0.0), Point("5.1", 100, 10, True, [1.0], 4.0, 0.0)]
    chosen = along(points, "5.1", lanes=False, axis="nx")
    assert [p.nx for p in chosen] == [100, 400, 800]
    assert exponent(chosen, "nx") == pytest.approx(1.25)


def test_a_profile_accounts_for_every_stage():
    found = profile(members=40, workers=1, least=0.0)
    assert set(found.driver) >= {"planning and checking", "making the store", "computing", "writing the summary"}
    assert sum(found.driver.values()) >= found.run.seconds > 0.0
    assert sum(found.blocks.values()) == pytest.approx(1.0)
    assert (found.run.members, found.run.workers) == (40, 1)
