"""Whatever is given to a public name: a right answer, or one sentence that names the argument."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import dajko
from dajko import euclidean
from dajko.checks import array, number, whole_number

GRID = dajko.Grid(-1.0, 1.0, 12, 2)
START = dajko.Gaussian(std=0.3)(GRID.x)
ENERGY = dajko.Energy(dajko.Entropy())
DATA = dajko.DataTerm(["mean"], [0.1], 0.1)
PARABOLA = euclidean.quadratic([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
MEASURED = euclidean.LinearData([[1.0, 1.0]], [0.5], 0.1)


class Silent:
    """An object that NumPy asks for an array, and that cannot even say what it is."""

    def __repr__(self):
        raise RuntimeError

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError


WRONG = {
    "text": "-.7",
    "None": None,
    "a boolean": True,
    "NumPy's boolean": np.True_,
    "a complex number": 1.0 + 0.0j,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "a huge number": 10**400,
    "a large whole number": 2**70,
    "a negative number": -1,
    "zero": 0,
    "a half": 0.5,
    "words": ["a", "b"],
    "no numbers": [],
    "a ragged list": [[1.0], [1.0, 2.0]],
    "booleans": np.ones(13, dtype=bool),
    "complex numbers": np.ones(13, dtype=complex),
    "too few numbers": np.ones(3),
    "a matrix": np.ones((3, 5)),
    "numbers with a NaN": np.r_[math.nan, np.ones(12)],
    "a masked number": np.ma.masked,
    "masked numbers": np.ma.masked_array(np.ones(13), mask=np.arange(13) == 3),
    "a list with a masked number": [1.0] * 12 + [np.ma.masked],
    "an object": object(),
    "an object without words": Silent(),
    "a mapping": {"m": 2.0},
    "a function of numbers": math.cos,
    "a function that raises": lambda *given: 1 / 0,
    "a class": dict,
    "dates": np.array(["2020-01-01"] * 13, dtype="datetime64[D]"),
}

POSITIVE = {"a half", "a large whole number"}
NOT_NEGATIVE = POSITIVE | {"zero"}
REAL = NOT_NEGATIVE | {"a negative number"}
NUMBERS = {"a half", "zero", "a negative number"}  # where 2**70 is of no array's type
SHAPELESS = NUMBERS | {"NaN", "infinity", "minus infinity", "no numbers", "too few numbers", "a matrix"}

# What is right although it stands above: by what is answered, the arguments.
RIGHT = [
    (POSITIVE, "DoubleWell.distance GaussianKernel.width Morse.width Morse.repulsion_width Barenblatt.c Barenblatt.t0"),
    (POSITIVE, "Gaussian.std Gaussian.mass GaussianMixture.std GaussianMixture.mass Heat.std Heat.mass Sensors.width"),
    (POSITIVE, "OrnsteinUhlenbeck.stiffness OrnsteinUhlenbeck.std OrnsteinUhlenbeck.mass PD3O.tol"),
    (POSITIVE, "PD3O.constraint_tolerance jko_step.tau evolve.tau euclidean.step.tau euclidean.evolve.tau"),
    (POSITIVE, "euclidean.steps_in_time.tau Grid.right"),
    ({"None"}, "Grid.time_rule"),
    (POSITIVE | {"None"}, "PD3O.primal_step PD3O.dual_step"),
    (POSITIVE | {"infinity"}, "DataTerm.theta euclidean.LinearData.theta"),
    (POSITIVE - {"a half"}, "PorousMedium.m PowerLaw.attraction Barenblatt.m"),
    (POSITIVE - {"a large whole number"}, "InteriorPoint.tol Quantile.tol"),
    (NOT_NEGATIVE, "Logarithmic.core Barenblatt.time_shift Barenblatt().t Barenblatt.radius.t Heat().t"),
    (NOT_NEGATIVE, "OrnsteinUhlenbeck().t OrnsteinUhlenbeck.moments.t"),
    (REAL, "Quadratic.stiffness Quadratic.center DoubleWell.height DoubleWell.center Linear.slope Logarithmic.chi"),
    (REAL, "QuadraticAttraction.strength PowerLaw.strength GaussianKernel.strength Morse.strength Morse.repulsion"),
    (REAL, "Barenblatt.shift Gaussian.mean Heat.mean OrnsteinUhlenbeck.center OrnsteinUhlenbeck.mean Gaussian().t"),
    (REAL, "GaussianMixture().t"),
    (NUMBERS, "Grid.left euclidean.quadratic.vector"),
    (NUMBERS | {"None"}, "Energy.potential Energy.interaction"),
    (NUMBERS | {"NaN", "a masked number"}, "DataTerm.values"),
    (SHAPELESS | {"numbers with a NaN"}, "Quadratic().x DoubleWell().x Linear().x Logarithmic().r QuadraticAttraction().r"),
    (SHAPELESS | {"numbers with a NaN"}, "PowerLaw().r GaussianKernel().r Morse().r Barenblatt().x Gaussian().x Heat().x"),
    (SHAPELESS | {"numbers with a NaN"}, "GaussianMixture().x OrnsteinUhlenbeck().x"),
    ({"numbers with a NaN"}, "Grid.integrate.values Energy.value.density Energy.first_variation.density measure.density"),
    ({"numbers with a NaN"}, "Energy.hessian_product.density Energy.hessian_product.direction DataTerm.measure.density"),
    ({"numbers with a NaN"}, "DataTerm.value.density DataTerm.gradient.density DataTerm.hessian_product.density"),
    ({"numbers with a NaN"}, "DataTerm.hessian_product.direction"),
    ({"too few numbers"}, "GaussianMixture.means Sensors.positions"),
    ({"zero"}, "euclidean.step.number"),
    ({"no numbers"}, "measure.observations"),
    ({"a half", "zero"}, "PowerLaw.repulsion"),
    ({"None"}, "PowerLaw.repulsion Energy.internal jko_step.data evolve.data euclidean.step.data euclidean.evolve.data"),
    ({"None"}, "euclidean.steps_in_time.data"),
]


@dataclass
class Call:
    """A valid call: what is called, and with which arguments."""

    of: Callable[..., Any]
    arguments: dict[str, Any]


CALLS = {
    "Grid": Call(dajko.Grid, {"left": 0.0, "right": 1.0, "nx": 10, "nt": 2, "time_rule": "right", "scheme": "centred"}),
    "Grid.integrate": Call(GRID.integrate, {"values": START}),
    "Grid.check_density": Call(GRID.check_density, {"density": START}),
    "PorousMedium": Call(dajko.PorousMedium, {"m": 2.0}),
    "Quadratic": Call(dajko.Quadratic, {"stiffness": 1.0, "center": 0.0}),
    "Quadratic()": Call(dajko.Quadratic(), {"x": GRID.x}),
    "DoubleWell": Call(dajko.DoubleWell, {"height": 1.0, "distance": 1.0, "center": 0.0}),
    "DoubleWell()": Call(dajko.DoubleWell(), {"x": GRID.x}),
    "Linear": Call(dajko.Linear, {"slope": 1.0}),
    "Linear()": Call(dajko.Linear(1.0), {"x": GRID.x}),
    "Energy": Call(
        lambda **given: dajko.Energy(**given).value(START, GRID),
        {"internal": dajko.Entropy(), "potential": None, "interaction": None},
    ),
    "Energy.value": Call(ENERGY.value, {"density": START, "grid": GRID}),
    "Energy.first_variation": Call(ENERGY.first_variation, {"density": START, "grid": GRID}),
    "Energy.hessian_product": Call(ENERGY.hessian_product, {"density": START, "direction": START, "grid": GRID}),
    "Energy.potential_on": Call(ENERGY.potential_on, {"grid": GRID}),
    "Energy.interaction_on": Call(ENERGY.interaction_on, {"grid": GRID}),
    "Logarithmic": Call(dajko.Logarithmic, {"chi": 1.0, "core": 0.1}),
    "Logarithmic()": Call(dajko.Logarithmic(1.0), {"r": GRID.x}),
    "QuadraticAttraction": Call(dajko.QuadraticAttraction, {"strength": 1.0}),
    "QuadraticAttraction()": Call(dajko.QuadraticAttraction(), {"r": GRID.x}),
    "PowerLaw": Call(dajko.PowerLaw, {"attraction": 2.0, "repulsion": 1.0, "strength": 1.0}),
    "PowerLaw()": Call(dajko.PowerLaw(), {"r": GRID.x}),
    "GaussianKernel": Call(dajko.GaussianKernel, {"strength": 1.0, "width": 0.1}),
    "GaussianKernel()": Call(dajko.GaussianKernel(), {"r": GRID.x}),
    "Morse": Call(dajko.Morse, {"strength": 1.0, "width": 0.2, "repulsion": 0.5, "repulsion_width": 0.1}),
    "Morse()": Call(dajko.Morse(), {"r": GRID.x}),
    "Barenblatt": Call(dajko.Barenblatt, {"m": 2.0, "c": 0.5, "t0": 1e-3, "shift": 0.0, "time_shift": 0.0}),
    "Barenblatt()": Call(dajko.Barenblatt(), {"x": GRID.x, "t": 0.0}),
    "Barenblatt.radius": Call(dajko.Barenblatt().radius, {"t": 0.0}),
    "Gaussian": Call(dajko.Gaussian, {"mean": 0.0, "std": 0.1, "mass": 1.0}),
    "Gaussian()": Call(dajko.Gaussian(), {"x": GRID.x, "t": 0.0}),
    "GaussianMixture": Call(dajko.GaussianMixture, {"means": [0.0, 0.1], "std": 0.1, "mass": 1.0}),
    "GaussianMixture()": Call(dajko.GaussianMixture([0.0, 0.2]), {"x": GRID.x, "t": 0.0}),
    "Heat": Call(dajko.Heat, {"mean": 0.0, "std": 0.1, "mass": 1.0}),
    "Heat()": Call(dajko.Heat(), {"x": GRID.x, "t": 0.0}),
    "OrnsteinUhlenbeck": Call(
        dajko.OrnsteinUhlenbeck, {"stiffness": 1.0, "center": 0.0, "mean": 0.0, "std": 0.1, "mass": 1.0}
    ),
    "OrnsteinUhlenbeck()": Call(dajko.OrnsteinUhlenbeck(), {"x": GRID.x, "t": 0.0}),
    "OrnsteinUhlenbeck.moments": Call(dajko.OrnsteinUhlenbeck().moments, {"t": 0.0}),
    "Sensors": Call(dajko.Sensors, {"positions": [0.0, 0.1], "width": 0.2}),
    "Sensors.footprints": Call(dajko.Sensors([0.0], 0.2).footprints, {"grid": GRID}),
    "IntervalMasses": Call(dajko.IntervalMasses, {"edges": [-0.5, 0.5]}),
    "IntervalMasses.footprints": Call(dajko.IntervalMasses([-0.5, 0.5]).footprints, {"grid": GRID}),
    "Mass.footprints": Call(dajko.Mass().footprints, {"grid": GRID}),
    "Expectation.footprints": Call(dajko.Expectation().footprints, {"grid": GRID}),
    "Mean.footprints": Call(dajko.Mean().footprints, {"grid": GRID}),
    "Spread.footprints": Call(dajko.Spread().footprints, {"grid": GRID}),
    "Variance.footprints": Call(dajko.Variance().footprints, {"grid": GRID}),
    "DataTerm": Call(dajko.DataTerm, {"observations": ["mean"], "values": [0.1], "theta": 0.1}),
    "DataTerm.measure": Call(DATA.measure, {"density": START, "grid": GRID}),
    "DataTerm.value": Call(DATA.value, {"density": START, "grid": GRID}),
    "DataTerm.gradient": Call(DATA.gradient, {"density": START, "grid": GRID}),
    "DataTerm.hessian_product": Call(DATA.hessian_product, {"density": START, "direction": START, "grid": GRID}),
    "measure": Call(dajko.measure, {"observations": ["mean", "mass"], "density": START, "grid": GRID}),
    "InteriorPoint": Call(dajko.InteriorPoint, {"tol": 1e-5, "max_iterations": 80}),
    "Quantile": Call(dajko.Quantile, {"tol": 1e-6, "max_iterations": 80}),
    "PD3O": Call(
        dajko.PD3O,
        {
            "tol": 1e-5,
            "max_iterations": 100,
            "primal_step": 0.1,
            "dual_step": 0.1,
            "constraint_tolerance": 1e-5,
            "data_step": "auto",
        },
    ),
    "jko_step": Call(
        dajko.jko_step,
        {"density": START, "energy": ENERGY, "grid": GRID, "tau": 1e-3, "data": DATA, "solver": "interior_point"},
    ),
    "evolve": Call(
        dajko.evolve,
        {
            "density": START,
            "energy": ENERGY,
            "grid": GRID,
            "tau": 1e-3,
            "steps": 1,
            "data": DATA,
            "solver": "interior_point",
            "time_scheme": "euler",
        },
    ),
    "euclidean.Energy": Call(
        lambda **given: euclidean.step([1.0, 2.0], euclidean.Energy(**given), 0.1),
        {"value": PARABOLA.value, "gradient": PARABOLA.gradient, "hessian": PARABOLA.hessian},
    ),
    "euclidean.quadratic": Call(euclidean.quadratic, {"matrix": [[1.0, 0.0], [0.0, 1.0]], "vector": [0.0, 1.0]}),
    "euclidean.LinearData": Call(euclidean.LinearData, {"operator": [[1.0, 1.0]], "values": [0.5], "theta": 0.1}),
    "euclidean.step": Call(
        euclidean.step, {"state": [1.0, 2.0], "energy": PARABOLA, "tau": 0.1, "data": MEASURED, "number": 0}
    ),
    "euclidean.evolve": Call(
        euclidean.evolve, {"state": [1.0, 2.0], "energy": PARABOLA, "tau": 0.1, "steps": 2, "data": MEASURED}
    ),
    "euclidean.steps_in_time": Call(
        euclidean.steps_in_time, {"state": [1.0, 2.0], "energy": PARABOLA, "tau": 0.1, "steps": 2, "data": MEASURED}
    ),
}
PAIRS = [(call, argument) for call, made in CALLS.items() for argument in made.arguments]


def tried(call, argument, wrong):
    """What comes out of a call with a wrong value: the message, or None for an answer."""
    made = CALLS[call]
    try:
        made.of(**made.arguments | {argument: wrong})
    except dajko.InputError as error:
        return str(error)
    return None


def test_every_public_name_is_tried():
    """But results, which nobody gives, what has no arguments, and what reads studies, which has tests of its own."""
    others = {"__version__", "InputError", "Status", "Step", "Entropy", "open_study", "run_study"}
    assert {name.partition(".")[0].partition("(")[0] for name in CALLS} >= set(dajko.__all__) - others


@pytest.mark.parametrize(("call", "argument"), PAIRS)
def test_the_valid_call_is_answered(call, argument):
    assert tried(call, argument, CALLS[call].arguments[argument]) is None


@pytest.mark.parametrize(("call", "argument"), PAIRS)
def test_wrong_arguments_are_named_in_a_sentence(call, argument):
    """No other exception, no warning, and nothing is taken for something else without a word."""
    answered = set()
    for kind, wrong in WRONG.items():
        says = tried(call, argument, wrong)
        if says is None:
            answered.add(kind)
        else:
            assert re.search(rf"\b{argument}\b", says), (kind, says)
            assert "\n" not in says
            assert len(says) < 300
    assert answered == set().union(*(kinds for kinds, names in RIGHT if f"{call}.{argument}" in names.split()))


@pytest.mark.parametrize("wrong", [-1, 7, 0.5, "converged", None, math.inf])
def test_statuses_are_those_that_there_are(wrong):
    with pytest.raises(dajko.InputError, match=r"status must be one of 0 \(PENDING\), .* got"):
        dajko.Status(wrong)


def test_a_masked_datum_is_a_missing_one():
    """999 lies below the mask, and must not be what was measured."""
    masked = np.ma.masked_array([[0.1], [999.0]], mask=[[False], [True]])
    flows = [
        dajko.evolve(START, ENERGY, GRID, 1e-3, 2, dajko.DataTerm(["mean"], values, 1e-3))
        for values in (masked, [masked[0], masked[1]], [[0.1], [math.nan]])
    ]
    for flow in flows:
        np.testing.assert_array_equal(flow.density, flows[-1].density)
    step = dajko.jko_step(START, ENERGY, GRID, 1e-3, dajko.DataTerm(["mean"], masked[1], 1e-3))
    np.testing.assert_array_equal(step.density, dajko.jko_step(START, ENERGY, GRID, 1e-3).density)
    with pytest.raises(dajko.InputError, match="only a whole step may be missing"):
        dajko.DataTerm(["mean", "mass"], np.ma.masked_array([0.1, 999.0], mask=[False, True]), 1.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dajko.Grid("-.7", 0.7, 40, 4), "grid.left must be a finite number, got '-.7'"),
        (lambda: dajko.Energy("entropy"), r"internal must be PorousMedium\(m\), Entropy\(\) or None, got 'entropy'"),
        (lambda: dajko.evolve(START, "entropy", GRID, 1e-3, 2), "energy must be a dajko.Energy, got 'entropy'"),
        (
            lambda: dajko.Energy(potential=math.cos).potential_on(GRID),
            "potential must be a function of arrays, such as",
        ),
        (lambda: dajko.Sensors(0.1, 0.2), "positions of Sensors must be a list, got 0.1"),
        (
            lambda: dajko.measure("mean", np.ones(12), GRID),
            r"density must have the shape \(..., 13\) .* got \(12,\)",
        ),
        (
            lambda: dajko.evolve(np.ma.masked_array(START, mask=START > 1), ENERGY, GRID, 1e-3, 2),
            r"density must be an array of 13 numbers, got \d masked values",
        ),
        (lambda: dajko.jko_step(START + 0j, ENERGY, GRID, 1e-3), "density must be an array of 13 numbers, got complex"),
        (
            lambda: dajko.jko_step(START, ENERGY, GRID, 1e-3 + 0j),
            r"tau must be greater than 0 .* got \(0.001\+0j\)",
        ),
        (lambda: DATA.value(START, dajko.Grid(0.0, 1.0, 8, 1)), "density must have the shape"),
        (
            lambda: dajko.DataTerm(["mean"], [[0.1], [0.2]], 1.0).value(START, GRID),
            "the data of one step must be one row of values",
        ),
    ],
)
def test_sentences(call, says):
    with pytest.raises(dajko.InputError, match=says):
        call()


def test_one_observation_needs_no_list():
    np.testing.assert_array_equal(dajko.measure("mean", START, GRID), dajko.measure(["mean"], START, GRID))


@pytest.mark.parametrize("one", [1, 1.0, np.float32(1.0), np.int8(1), np.array(1.0)])
def test_numbers_of_any_type_are_the_same(one):
    assert number("one", one) == 1.0
    assert type(number("one", one)) is float
    assert type(whole_number("one", one, 1)) is int
    assert dajko.PorousMedium(one + 1) == dajko.PorousMedium(2.0)
    assert type(dajko.PorousMedium(one + 1).m) is float


def test_arrays_of_any_type_are_floats():
    for given in ([1, 2], (1.0, 2.0), np.array([1, 2], np.int8), np.ma.masked_array([1, 2]), np.array([1, 2], np.float16)):
        assert array("x", given).dtype == np.float64
        assert type(array("x", given)) is np.ndarray
        np.testing.assert_array_equal(array("x", given), [1.0, 2.0])


# What is right of the arguments of `run_study`: any number of processes, of which no more are started than there are tasks.
RIGHT_OF_A_RUN = {
    "study": set(),
    "results": {"text"},
    "cluster": {"None", "text", "a large whole number", "a huge number"},
    "slab": {"None", "zero"},
}


@pytest.mark.parametrize(
    ("argument", "kind"), [(name, kind) for name, right in RIGHT_OF_A_RUN.items() for kind in WRONG if kind not in right]
)
def test_wrong_arguments_of_a_study_are_named_before_anything_is_written(tmp_path, monkeypatch, tiny, argument, kind):
    monkeypatch.chdir(tmp_path)
    given = {"study": tiny(), "results": tmp_path / "one", "cluster": 1, "slab": 0} | {argument: WRONG[kind]}
    says = "studies.one: must be a mapping|unknown key" if argument == "study" else argument
    with pytest.raises(dajko.InputError, match=says):
        dajko.run_study(**given)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [None, 3, b"results", "", "a\0b", ["results"], object()])
def test_a_path_is_one(wrong):
    with pytest.raises(dajko.InputError, match="path must be a path, got"):
        dajko.open_study(wrong)
    with pytest.raises(dajko.InputError, match="results must be a path, got"):
        dajko.run_study({}, wrong)
