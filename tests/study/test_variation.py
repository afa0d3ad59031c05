"""The values of a sweep: logspace, linspace and range against exact arithmetic."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dajko.errors import InputError
from dajko.study.config.parse import parse
from dajko.study.config.rounding import written
from dajko.study.config.study import StudyConfig
from dajko.study.config.variation import LinspaceValues, LogspaceValues, RangeValues, Values

numbers = st.floats(min_value=-1e6, max_value=1e6)
positive = st.floats(min_value=1e-9, max_value=1e9)
counts = st.integers(min_value=2, max_value=50)


def values_of(given):
    return TypeAdapter(Values).validate_python(given).values()


@given(positive, positive, counts)
@example(1e-5, 1e-1, 9)
def test_logspace(start, stop, num):
    values = values_of({"logspace": {"start": start, "stop": stop, "num": num}})
    assert len(values) == num
    assert (values[0], values[-1]) == (written(start), written(stop))
    ratio = (math.log(stop) - math.log(start)) / (num - 1)
    for i, value in enumerate(values):
        assert math.isclose(math.log(value), math.log(start) + i * ratio, rel_tol=1e-12, abs_tol=6e-12)


def test_logspace_meets_the_decades():
    assert values_of({"logspace": {"start": 1e-5, "stop": 1e-1, "num": 5}}) == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    everything = values_of({"logspace": {"start": 1e-300, "stop": 1e300, "num": 601}})
    assert everything == [float(f"1e{k}") for k in range(-300, 301)]


@given(numbers, numbers, counts)
@example(0.1, 0.7, 4)
@example(-0.3, 0.1, 3)
def test_linspace(start, stop, num):
    values = values_of({"linspace": {"start": start, "stop": stop, "num": num}})
    assert len(values) == num
    assert (values[0], values[-1]) == (written(start), written(stop))
    first, last = (Fraction(repr(end)) for end in (start, stop))
    for i, value in enumerate(values):
        exact = first + (last - first) * i / (num - 1)
        assert abs(Fraction(value) - exact) <= Fraction(6, 10**12) * abs(exact) + Fraction(5e-324)  # at 0 exactly 0


@given(st.integers(-1000, 1000), st.integers(-100, 100).filter(bool), st.integers(0, 60), st.integers(0, 99))
def test_range_of_whole_numbers(start, step, steps, rest):
    """Brute force with Python's own range; ``stop`` is included where it is met."""
    stop = start + step * steps + (abs(rest) % abs(step)) * (1 if step > 0 else -1)
    values = values_of({"range": {"start": start, "stop": stop, "step": step}})
    assert values == list(range(start, stop + (1 if step > 0 else -1), step))
    assert all(type(v) is int for v in values)


@given(st.integers(-500, 500), st.integers(1, 500), st.integers(0, 200), st.sampled_from([10, 100, 1000]))
@example(1, 1, 6, 10)  # 0.1 + 6 * 0.1 is not 0.7
def test_range_of_decimals(start, step, steps, unit):
    """Decimals have no exact binary form; their number and all of them are right all the same."""
    a, b, s = start / unit, (start + step * steps) / unit, step / unit
    values = values_of({"range": {"start": a, "stop": b, "step": s}})
    assert values == [(start + step * i) / unit for i in range(steps + 1)]


@given(st.floats(0.01, 10), st.floats(0.05, 0.95), st.integers(0, 20))
def test_range_stops_before_an_end_that_is_not_met(step, part, steps):
    stop = step * (steps + part)
    assume(stop > 0)
    values = values_of({"range": {"start": 0.0, "stop": stop, "step": step}})
    assert len(values) == steps + 1
    assert values[-1] < stop


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"logspace": {"start": 0, "stop": 1, "num": 3}}, "logspace.start: must be greater than 0, got 0"),
        ({"logspace": {"start": 1, "stop": -1, "num": 3}}, "logspace.stop: must be greater than 0, got -1"),
        ({"logspace": {"start": 1, "stop": 2, "num": 1}}, "logspace.num: must be at least 2, got 1"),
        ({"logspace": {"start": 1, "stop": 2, "num": 10**9}}, "logspace.num: must be at most 1e+06, got 1000000000"),
        ({"linspace": {"start": 1, "stop": math.inf, "num": 2}}, "linspace.stop: must be a finite number, got .inf"),
        ({"linspace": {"start": 1, "num": 2}}, "linspace.stop: is missing"),
        ({"linspace": {"start": 1, "stop": 2, "nom": 2}}, "linspace.nom: unknown key; allowed: start, stop, num"),
        ({"range": {"start": 1, "stop": 2, "step": 0}}, "range: stop must be reached from start"),
        ({"range": {"start": 2, "stop": 1, "step": 1}}, "range: stop must be reached from start"),
        ({"range": {"start": 0, "stop": 1, "step": 1e-300}}, "range: stop must be reached from start"),
        ({"arange": {"start": 0, "stop": 1, "step": 1}}, ": must be a list, or one of {logspace: …}"),
        ({"range": {}, "linspace": {}}, ": must be a list, or one of {logspace: …}"),
        (0.5, ": must be a list, or one of {logspace: …}, {linspace: …}, {range: …}"),
        ([], ": must not be empty"),
    ],
)
def test_values_that_are_no_values(tiny, values, message):
    with pytest.raises(InputError) as caught:
        parse(StudyConfig, tiny({"sweep": {"theta": values}}))
    assert "sweep.theta" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [LogspaceValues, LinspaceValues, RangeValues])
def test_values_survive_json(kind):
    content = {"start": 0.1, "stop": 0.7, **({"step": 0.2} if kind is RangeValues else {"num": 3})}
    name = next(iter(kind.model_fields))
    adapter = TypeAdapter(Values)
    before = adapter.validate_python({name: content})
    assert isinstance(before, kind)
    after = adapter.validate_json(adapter.dump_json(before))
    assert after == before
    assert after.values() == before.values()


def test_infinity_in_a_list_survives_json(tiny):
    """JSON has only a word for it; a store that was made with theta = .inf in its sweep must plan the same points again."""
    sweep = {"theta": [1.0, math.inf], "truth": [{"kind": "exact", "nested": [math.inf, -math.inf, "word"]}]}
    study = parse(StudyConfig, tiny({"sweep": sweep}))
    assert StudyConfig.model_validate_json(study.model_dump_json()).sweep == sweep


# --- the values that a person would write ---------------------------------------------------------------------------------


def logspace(start, stop, num):
    return values_of({"logspace": {"start": start, "stop": stop, "num": num}})


def linspace(start, stop, num):
    return values_of({"linspace": {"start": start, "stop": stop, "num": num}})


@pytest.mark.parametrize(
    ("values", "among"),
    [
        (logspace(1e-6, 1e-2, 9), logspace(1e-6, 1.0, 13)),  # a later end
        (logspace(1e-4, 1.0, 9), logspace(1e-6, 1.0, 13)),  # an earlier start
        (logspace(1e-6, 1e-2, 9), logspace(1e-6, 1e-2, 17)),  # refined
        (logspace(1e-6, 1.0, 7), logspace(1e-6, 1.0, 13)),
        ([float(f"1e{k}") for k in range(-6, 1)], logspace(1e-6, 1.0, 13)),  # the decades as they are typed
        (logspace(3e-7, 3e3, 31), logspace(3e-7, 3e3, 121)),
        (linspace(0.0, 0.5, 6), linspace(0.0, 1.0, 11)),
        ([round(0.1 * k, 1) for k in range(11)], linspace(0.0, 1.0, 11)),
        ([0.0], linspace(-0.1, 0.2, 4)),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], values_of({"range": {"start": 0.1, "stop": 0.9, "step": 0.1}})),
        ([-0.2, -0.1, 0.0, 0.1], values_of({"range": {"start": -0.3, "stop": 0.3, "step": 0.1}})),
    ],
)
def test_values_of_a_narrower_sweep_are_among_those_of_a_wider_one(values, among):
    assert set(values) <= set(among)


@given(st.integers(-12, 12), st.integers(1, 12), st.integers(2, 40), st.integers(2, 6))
def test_refining_keeps_every_value(start, decades, num, times):
    start, stop = 3.7 * 10.0**start, 3.7 * 10.0 ** (start + decades)
    assert set(logspace(start, stop, num)) <= set(logspace(start, stop, times * (num - 1) + 1))
    assert set(linspace(start, stop, num)) <= set(linspace(start, stop, times * (num - 1) + 1))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_near_and_stays_as_it_is(value):
    assert written(written(value)) == written(value)
    assert written(value) == pytest.approx(value, rel=5e-12, abs=0) or abs(value) < 1e-300


def test_numbers_that_are_no_values_of_an_interval_stay_as_they_are():
    assert written(math.inf) == math.inf
    assert math.isnan(written(math.nan))
