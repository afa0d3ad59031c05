"""The values of a sweep: logspace, linspace and range against exact arithmetic."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dajko.errors import InputError
from dajko.study.config import StudyConfig
from dajko.study.parse import parse
from dajko.study.variation import LinspaceValues, LogspaceValues, RangeValues, Values

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
    assert (values[0], values[-1]) == (start, stop)
    ratio = (math.log(stop) - math.log(start)) / (num - 1)
    for i, value in enumerate(values):
        assert math.isclose(math.log(value), math.log(start) + i * ratio, rel_tol=1e-12, abs_tol=1e-12)


def test_logspace_meets_the_decades():
    assert values_of({"logspace": {"start": 1e-5, "stop": 1e-1, "num": 5}}) == pytest.approx(
        [1e-5, 1e-4, 1e-3, 1e-2, 1e-1], rel=1e-15
    )


@given(numbers, numbers, counts)
@example(0.1, 0.7, 4)
@example(-0.3, 0.1, 3)
def test_linspace(start, stop, num):
    values = values_of({"linspace": {"start": start, "stop": stop, "num": num}})
    assert len(values) == num
    assert (values[0], values[-1]) == (start, stop)
    for i, value in enumerate(values):
        exact = Fraction(start) + (Fraction(stop) - Fraction(start)) * i / (num - 1)
        assert math.isclose(value, exact, rel_tol=1e-14, abs_tol=1e-15 * max(abs(start), abs(stop)))


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
    """Decimals have no exact binary form; the number of values is right all the same, and the end is as it was written."""
    a, b, s = start / unit, (start + step * steps) / unit, step / unit
    values = values_of({"range": {"start": a, "stop": b, "step": s}})
    assert len(values) == steps + 1
    assert (values[0], values[-1]) == (a, b)
    for i, value in enumerate(values):
        assert math.isclose(value, (start + step * i) / unit, rel_tol=1e-12, abs_tol=1e-12)


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
