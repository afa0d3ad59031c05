"""Points, members, cells, groups and seeds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dajko.errors import InputError
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import Group, label, make_plan, operator_labels
from dajko.study.twin.experiment import build


@pytest.fixture
def plan(tiny):
    """Makes the plan of a changed tiny study, without the sweep that it has by default."""

    def make(changes=None):
        return make_plan("one", parse(StudyConfig, tiny({"sweep": None, **(changes or {})})))

    return make


@pytest.fixture
def refused(plan):
    """The one line with which a change is refused."""

    def message(changes):
        with pytest.raises(InputError) as caught:
            plan(changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


# --- points and cells -----------------------------------------------------------------------------------------------------


def test_without_a_sweep_there_is_one_point(plan):
    p = plan()
    assert p.points == ({},)
    assert p.groups == (Group("", (0,)),)
    assert p.members == 3
    assert p.studies[0] == p.cell_study(0, 2)


def test_a_sweep_is_the_product_with_the_last_key_fastest(plan):
    sweep = {
        "theta": [1.0, 0.1],
        "noise.level": [0.0, 0.1, 0.2],
        "solver.tol": {"logspace": {"start": 1e-4, "stop": 1e-2, "num": 3}},
    }
    p = plan({"sweep": sweep})
    expected = list(itertools.product([1.0, 0.1], [0.0, 0.1, 0.2], [1e-4, 1e-3, 1e-2]))
    found = [(point["theta"], point["noise.level"], point["solver.tol"]) for point in p.points]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-14)
    assert [(s.theta, s.noise.level, s.solver.tol) for s in p.studies] == found
    assert [axis.dimension for axis in p.axes] == ["theta", "noise_level", "solver_tol"]
    assert all(s.sweep == {} for s in p.studies)


def test_zip_is_one_axis_after_the_sweep(plan):
    p = plan({"sweep": {"theta": [1.0, 0.1]}, "zip": {"solver.tol": [1e-2, 1e-3], "noise.level": [0.3, 0.4]}})
    rows = [(1e-2, 0.3), (1e-3, 0.4)]
    assert [(q["theta"], (q["solver.tol"], q["noise.level"])) for q in p.points] == list(itertools.product([1.0, 0.1], rows))
    assert [axis.dimension for axis in p.axes] == ["theta", "zip"]
    assert p.axes[1].keys == ("solver.tol", "noise.level")


def test_a_column_of_zip_may_repeat_a_value(plan):
    p = plan({"zip": {"solver.tol": [1e-2, 1e-2, 1e-3], "noise.level": [0.1, 0.2, 0.2]}})
    assert [(q["solver.tol"], q["noise.level"]) for q in p.points] == [(1e-2, 0.1), (1e-2, 0.2), (1e-3, 0.2)]


def test_only_the_swept_keys_differ(plan):
    p = plan({"sweep": {"model.initial.shift": [0.0, 0.2]}})
    a, b = (s.model_dump() for s in p.studies)
    assert (a["model"]["initial"].pop("shift"), b["model"]["initial"].pop("shift")) == (0.0, 0.2)
    assert a == b


def test_whole_mappings_can_be_swept(plan):
    profiles = [{"kind": "gaussian", "std": 0.2}, {"kind": "barenblatt", "m": 3.0}]
    p = plan({"sweep": {"model.initial": profiles}})
    assert [s.model.initial.kind for s in p.studies] == ["gaussian", "barenblatt"]
    assert [getattr(s.model.initial, k) for s, k in zip(p.studies, ("std", "m"), strict=True)] == [0.2, 3.0]
    assert [label(q["model.initial"]) for q in p.points] == ["{kind:gaussian,std:0.2}", "{kind:barenblatt,m:3.0}"]


def test_limits_put_both_ends_around_the_sweep(plan):
    p = plan({"sweep": {"noise.level": [0.0, 0.1], "theta": [1e-3, 1e-2]}, "limits": True, "time.tau": 4e-4})
    thetas = [4e-7, 1e-3, 1e-2, math.inf]  # a thousandth of tau, and no data at all
    assert [(q["noise.level"], q["theta"]) for q in p.points] == list(itertools.product([0.0, 0.1], thetas))


def test_points_of_different_shape_form_groups(plan):
    p = plan({"sweep": {"theta": [1.0, 0.1], "grid.nx": [8, 10], "grid.nt": [2, 3]}})
    assert p.groups == (Group("00-nx8-steps3", (0, 1, 4, 5)), Group("01-nx10-steps3", (2, 3, 6, 7)))
    for group in p.groups:
        assert len({p.studies[i].grid.nx for i in group.points}) == 1


@pytest.mark.parametrize(
    ("sweep", "groups"),
    [
        ({"time.tau": [1e-3, 5e-4]}, 2),
        ({"time.steps": [1, 2, 3]}, 3),
        ({"grid.left": [-0.7, -0.8]}, 2),
        ({"observations.operators": [["mean"], ["spread"], ["mean", "spread"]]}, 3),
        ({"grid.nt": [1, 2]}, 1),
        ({"grid.time_rule": ["right", "trapezoid"]}, 1),
        ({"observations.every": [1, 2]}, 1),
        ({"model.initial.shift": [0.0, 0.1]}, 1),
    ],
)
def test_what_makes_a_group(plan, sweep, groups):
    found = plan({"sweep": sweep}).groups
    assert len(found) == groups
    assert sorted(i for group in found for i in group.points) == list(range(len(next(iter(sweep.values())))))
    assert all((group.name == "") == (groups == 1) for group in found)
    assert len({group.name for group in found}) == groups


@given(st.lists(st.integers(1, 4), min_size=0, max_size=3), st.integers(1, 5))
def test_every_cell_is_one_member_at_one_point(tiny, sizes, members):
    keys = ["theta", "noise.level", "model.initial.shift"]
    sweep = {key: [0.01 * (i + 1) for i in range(size)] for key, size in zip(keys, sizes, strict=False)}
    p = make_plan("one", parse(StudyConfig, tiny({"sweep": sweep, "ensemble.members": members})))
    assert len(p.points) * p.members == math.prod(sizes) * members
    assert len({tuple(q.items()) for q in p.points}) == len(p.points)


def test_labels_of_measured_numbers(plan):
    p = plan({"observations.operators": ["mean", {"kind": "sensors", "positions": [-0.2, 0.0, 0.3], "width": 0.2}, "mass"]})
    assert operator_labels(p.studies[0]) == ["mean", "sensor_0", "sensor_1", "sensor_2", "mass"]


# --- seeds ----------------------------------------------------------------------------------------------------------------


def noise(plan, point, member):
    """The noise of a cell in standard deviations: what its data differ from the exact data by, shape (steps, numbers)."""
    experiment = build(plan.cell_study(point, member), "one")
    data = experiment.data(plan.noise_generator(member))
    return ((data - experiment.data_exact) / experiment.noise_std)[1:]


def test_noise_is_the_stream_of_seed_and_member(plan):
    """An independent computation with NumPy alone: nothing else than these numbers decides the noise of a member."""
    p = plan({"ensemble.seed": 11})
    for member in range(3):
        generator = np.random.default_rng(np.random.SeedSequence(11, spawn_key=(0, member)))
        assert noise(p, 0, member) == pytest.approx(generator.standard_normal((3, 2)), rel=1e-9)


def test_noise_is_the_same_at_all_points(plan):
    p = plan({"sweep": {"theta": [1e-3, 1.0], "noise.level": [0.01, 0.5], "model.initial.shift": [0.0, 0.1]}})
    for member in range(p.members):
        first = noise(p, 0, member)
        for point in range(1, len(p.points)):
            assert noise(p, point, member) == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"ensemble.members": 20},
        {"sweep": {"theta": [0.5, 1.0, 2.0]}},
        {"time.steps": 9},
        {"title": "other", "block": 2, "slabs": 3},
        {"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.01}}},
        {"grid.nx": 20},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_noise_of_a_member_outlives_changes_of_the_study(plan, changes):
    """Growing a study keeps the data of the members that were there: steps are drawn in the order of time."""
    before, after = plan(), plan(changes)
    for member in range(before.members):
        assert noise(after, 0, member)[:3] == pytest.approx(noise(before, 0, member), rel=1e-6)


def test_noise_differs_between_members_and_seeds(plan):
    rows = [noise(plan({"ensemble.seed": seed}), 0, member)[0, 0] for seed in (0, 1, 2) for member in range(3)]
    assert len(set(rows)) == 9
    assert min(abs(a - b) for a, b in itertools.combinations(rows, 2)) > 1e-3


def test_noise_and_draws_are_different_streams(plan):
    """A perturbation must not repeat the noise of the same member, whatever its key."""
    p = plan({"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "mean": 0.0, "std": 1e-3}}})
    for member in range(3):
        assert p.draws(0, member)["model.initial.shift"] / 1e-3 != pytest.approx(noise(p, 0, member)[0, 0], rel=1e-3)


# --- perturbations --------------------------------------------------------------------------------------------------------

SHIFT, LEVEL = "model.initial.shift", "noise.level"


def test_draws_go_into_the_study_of_their_cell_alone(plan):
    p = plan(
        {
            "ensemble.perturbations": {
                SHIFT: {"kind": "normal", "std": 0.02},
                LEVEL: {"kind": "uniform", "low": 0.1, "high": 0.2},
            }
        }
    )
    assert p.perturbed_keys == (SHIFT, LEVEL)
    for member in range(p.members):
        drawn, study = p.draws(0, member), p.cell_study(0, member)
        assert (study.model.initial.shift, study.noise.level) == (drawn[SHIFT], drawn[LEVEL])
        assert study.model_copy(update={"model": p.studies[0].model, "noise": p.studies[0].noise}) == p.studies[0]
    assert (p.studies[0].model.initial.shift, p.studies[0].noise.level) == (0.1, 0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"ensemble.members": 10},
        {"sweep": {"theta": [1.0, 2.0]}},
        {"time.steps": 5},
        {
            "ensemble.perturbations": {
                SHIFT: {"kind": "normal", "std": 0.02},
                LEVEL: {"kind": "uniform", "low": 0.0, "high": 1.0},
            }
        },
    ],
    ids=["members", "sweep", "steps", "another key"],
)
def test_draws_are_keyed_by_key_and_member(plan, changes):
    before = plan({"ensemble.perturbations": {SHIFT: {"kind": "normal", "std": 0.02}}})
    after = plan({"ensemble.perturbations": {SHIFT: {"kind": "normal", "std": 0.02}}, **changes})
    for member in range(before.members):
        for point in range(len(after.points)):
            assert after.draws(point, member)[SHIFT] == before.draws(0, member)[SHIFT]


def test_draws_differ_between_keys_members_and_seeds(plan):
    unit = {"kind": "uniform", "low": 0.0, "high": 0.1}
    found = []
    for seed in (0, 1):
        p = plan({"ensemble.seed": seed, "ensemble.perturbations": {SHIFT: unit, LEVEL: unit, "model.initial.t0": unit}})
        found += [value for member in range(3) for value in p.draws(0, member).values()]
    assert len(set(found)) == 18


def test_a_normal_without_mean_is_centred_at_the_value_of_the_point(plan):
    p = plan({"sweep": {"model.initial": [{"kind": "gaussian", "mean": 0.0}, {"kind": "heat", "mean": 0.25}]},
              "ensemble.perturbations": {"model.initial.mean": {"kind": "normal", "std": 0.01}}})  # fmt: skip
    for member in range(p.members):
        a, b = (p.draws(point, member)["model.initial.mean"] for point in (0, 1))
        assert b - a == pytest.approx(0.25, abs=1e-12)


def test_draws_follow_their_distribution(plan):
    count = 3000
    p = plan(
        {
            "ensemble.perturbations": {
                SHIFT: {"kind": "normal", "mean": 0.5, "std": 0.2},
                LEVEL: {"kind": "uniform", "low": 1, "high": 4},
            }
        }
    )
    draws = [p.draws(0, member) for member in range(count)]
    normal, uniform = (np.array([d[key] for d in draws]) for key in (SHIFT, LEVEL))
    # Five standard errors of mean and standard deviation, and the whole distribution.
    assert normal.mean() == pytest.approx(0.5, abs=5 * 0.2 / math.sqrt(count))
    assert normal.std() == pytest.approx(0.2, abs=5 * 0.2 / math.sqrt(2 * count))
    assert uniform.mean() == pytest.approx(2.5, abs=5 * math.sqrt(3 / 4) / math.sqrt(count))
    assert 1 <= uniform.min() < 1.01
    assert 3.99 < uniform.max() <= 4
    assert stats.kstest(normal, stats.norm(0.5, 0.2).cdf).pvalue > 1e-3
    assert stats.kstest(uniform, stats.uniform(1, 3).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(normal, uniform)[0, 1]) < 5 / math.sqrt(count)


def test_noise_of_many_members_is_standard_normal(plan):
    p = plan()
    draws = np.array([p.noise_generator(m).standard_normal(4) for m in range(2000)])
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(draws.T) - np.eye(4)
    assert np.abs(correlations).max() < 5 / math.sqrt(2000)


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "suggestions"),
    [
        ("thetaa", ["theta"]),
        ("nois.level", ["noise.level"]),
        ("grid.nX", ["grid.nx"]),
        ("model.initial.shft", ["model.initial.shift", "model.initial.time_shift"]),
        ("solver.tolerance", ["solver.constraint_tolerance"]),
        ("qqqq", ["keys are dotted, such as noise.level"]),
        ("theta.x", ["theta"]),
        ("model.initial.std", ["model.initial"]),
    ],
)
def test_a_key_that_is_not_there(refused, key, suggestions):
    for changes, place in [
        ({"sweep": {key: [1]}}, "sweep"),
        ({"zip": {key: [1]}}, "zip"),
        ({"ensemble.perturbations": {key: {"kind": "normal", "std": 1}}}, "ensemble.perturbations"),
    ]:
        message = refused(changes)
        assert message.startswith(f"studies.one.{place}.{key}: the study has no such key; ")
        assert all(s in message for s in suggestions)


@pytest.mark.parametrize(
    "key",
    [
        "title",
        "block",
        "slabs",
        "report.times",
        "sweep",
        "zip",
        "limits",
        "ensemble.members",
        "ensemble.seed",
        "store.density",
    ],
)
def test_keys_that_say_what_the_study_is(refused, key):
    first = key.split(".", maxsplit=1)[0]
    expected = f"{first} says what the study is and cannot vary inside it"
    assert refused({"sweep": {key: [1]}}) == f"studies.one.sweep.{key}: {expected}"
    assert refused({"ensemble.perturbations": {key: {"kind": "normal", "std": 1}}}).endswith(f"{key}: {expected}")


@pytest.mark.parametrize("values", [[1.0, 2.0, 1.0], [1, 1.0], [0.1, 1e-1], [math.inf, math.inf]])
def test_values_twice(refused, values):
    assert refused({"sweep": {"theta": values}}).startswith("studies.one.sweep.theta: must not name a value twice, got ")


def test_rows_of_zip_twice(refused):
    message = refused({"zip": {"theta": [1, 2, 1.0], "noise.level": [0.1, 0.1, 0.1]}})
    assert message == "studies.one.zip: must not name a value twice, got [1.0, 0.1] again"


def test_columns_of_zip_must_be_as_long(refused):
    message = refused({"zip": {"theta": [1.0, 2.0], "noise.level": [0.1]}})
    assert message == "studies.one.zip: all keys must have the same number of values, got {'theta': 2, 'noise.level': 1}"


def test_a_key_varies_once(refused):
    assert "studies.one.zip.theta: stands in sweep already" in refused({"sweep": {"theta": [1.0]}, "zip": {"theta": [1.0]}})
    message = refused({"sweep": {"theta": [1.0]}, "ensemble.perturbations": {"theta": {"kind": "normal", "std": 1.0}}})
    assert message == "studies.one.ensemble.perturbations.theta: is swept already; a key is either swept or perturbed"


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_inside_a_swept_one(refused, order):
    """One of the two would silently undo the other, depending on their order."""
    sweep = {"model.initial": [{"kind": "barenblatt"}], "model.initial.shift": [0.0, 0.1]}
    message = refused({"sweep": dict(list(sweep.items())[::order])})
    assert message.startswith("studies.one.sweep.model.initial.shift: cannot be swept beside model.initial")


def test_a_bad_value_names_its_point(refused):
    message = refused({"sweep": {"noise.level": [0.0, 0.1], "theta": [1.0, -2.0]}})
    assert message == "studies.one.theta: must be greater than 0, got -2.0 (at noise.level = 0.0, theta = -2.0)"


def test_a_perturbed_key_must_be_there_at_every_point(refused):
    message = refused({"sweep": {"model.initial": [{"kind": "barenblatt"}, {"kind": "gaussian"}]},
                       "ensemble.perturbations": {SHIFT: {"kind": "normal", "std": 0.1}}})  # fmt: skip
    assert message.startswith(f"studies.one.ensemble.perturbations.{SHIFT}: the study has no such key")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.initial.kind", "only a number can be perturbed, got 'barenblatt'"),
        ("noise.relative", "only a number can be perturbed, got True"),
        ("model.initial", "only a number can be perturbed, got {"),
        ("model.mass", "needs a mean, because the study gives no value to model.mass"),
    ],
)
def test_only_numbers_are_perturbed(refused, key, message):
    assert f"ensemble.perturbations.{key}: {message}" in refused(
        {"ensemble.perturbations": {key: {"kind": "normal", "std": 1.0}}}
    )


def test_a_key_without_value_can_be_perturbed_with_a_mean(plan):
    p = plan({"ensemble.perturbations": {"model.mass": {"kind": "normal", "mean": 5.0, "std": 0.1}}})
    assert p.cell_study(0, 1).model.mass == p.draws(0, 1)["model.mass"] == pytest.approx(5.0, abs=0.5)


def test_a_draw_that_cannot_be_used_names_its_member(plan):
    p = plan({"ensemble.perturbations": {"theta": {"kind": "normal", "mean": -1.0, "std": 0.1}}})
    with pytest.raises(
        InputError, match=r"^studies\.one\.theta: must be greater than 0, got -[\d.]+ \(member 1, at theta = -"
    ):
        p.cell_study(0, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs theta in sweep"),
        ({"sweep": {"noise.level": [0.1]}}, "needs theta in sweep"),
        ({"zip": {"theta": [1.0, 2.0], "noise.level": [0.1, 0.2]}}, "needs theta in sweep"),
        ({"sweep": {"theta": [5e-7, 1.0]}}, "adds theta = 5e-07 and theta = .inf, so the sweep must stay between them"),
        ({"sweep": {"theta": [1.0, math.inf]}}, "adds theta = 5e-07 and theta = .inf, so the sweep must stay between them"),
    ],
)
def test_limits_need_a_sweep_over_theta_between_them(refused, changes, message):
    assert refused({**changes, "limits": True}).startswith(f"studies.one.limits: {message}")


@pytest.mark.parametrize("values", [["a"], [True, 2.0], [[1.0]]])
def test_limits_around_what_is_no_number(refused, values):
    assert refused({"sweep": {"theta": values}, "limits": True}).startswith(
        "studies.one.sweep.theta: must be numbers greater"
    )


def test_a_slip_of_size_is_no_study(refused):
    assert refused({"ensemble.members": 10**8}) == (
        "studies.one: must have at most 10000000 cells, points times members, got 100000000"
    )
    spaced = {"linspace": {"start": 1, "stop": 2, "num": 10_000}}
    sweep = {"theta": spaced, "noise.level": spaced}
    assert refused({"sweep": sweep, "ensemble.members": 1}).endswith("points times members, got 100000000")


def test_a_kind_may_be_swept_where_the_kinds_have_the_same_keys_and_defaults(plan):
    changes = {"model.initial": {"kind": "heat", "std": 0.2}, "sweep": {"model.initial.kind": ["heat", "gaussian"]}}
    studies = plan(changes).studies
    assert [(s.model.initial.kind, s.model.initial.std) for s in studies] == [("heat", 0.2), ("gaussian", 0.2)]


def test_solvers_are_swept_as_wholes_each_with_its_own_defaults(plan):
    alternatives = [{"kind": "pd3o", "tol": 1e-3}, {"kind": "interior_point"}]
    studies = plan({"solver": None, "sweep": {"solver": alternatives}}).studies
    assert [s.solver.max_iterations for s in studies] == [200_000, 80]
    assert [s.solver.tol for s in studies] == [1e-3, 1e-5]
