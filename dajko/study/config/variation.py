"""What varies in a study, as configuration: the values of a sweep, and the ensemble."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, FiniteFloat, Tag, model_validator
from pydantic_core import PydanticCustomError

from dajko.distribution import Distribution
from dajko.ingredient import ByKind
from dajko.study.config.ingredients import Strict
from dajko.study.config.rounding import written
from dajko.validation import WHOLE, Positive, PositiveWhole

# More positions than this on one axis of a sweep are a slip.
_MOST = 1_000_000
# Digits of decimal arithmetic, in which 0.1 and its multiples are exact.
_PRECISION = 40
# How far an exponential is off in floating point, relative to itself and to its exponent; at most a few units of rounding.
_ROUNDING = 1e-15


class Interval(Strict):
    """Values from one number to another."""

    start: FiniteFloat
    stop: FiniteFloat
    num: Annotated[int, Field(ge=2, le=_MOST), WHOLE]


class PositiveInterval(Strict):
    """Positive values from one number to another, equally spaced in their logarithms."""

    start: Positive
    stop: Positive
    num: Annotated[int, Field(ge=2, le=_MOST), WHOLE]


class StepInterval(Strict):
    """Values from ``start`` in equal steps, ``stop`` included if it is met."""

    start: FiniteFloat
    stop: FiniteFloat
    step: FiniteFloat

    @model_validator(mode="after")
    def _reaches(self) -> StepInterval:
        if not (self.step != 0 and 0 <= (self.stop - self.start) / self.step < _MOST):
            raise PydanticCustomError(
                "range",
                "stop must be reached from start in at most a million steps, got start {start}, stop {stop}, step {step}",
                {"start": self.start, "stop": self.stop, "step": self.step},
            )
        return self


class LogspaceValues(Strict):
    """``{logspace: {start: 1.0e-5, stop: 1.0e-1, num: 9}}``: the ends are values, not exponents."""

    logspace: PositiveInterval

    def values(self) -> list[Any]:
        a, last = self.logspace, self.logspace.num - 1
        return [self._value(i, last) for i in range(last)] + [written(a.stop)]

    def _value(self, i: int, last: int) -> float:
        """The value at a place, in decimal arithmetic where floating point leaves the last digit open."""
        a = self.logspace
        first, end = math.log(a.start), math.log(a.stop)
        value, off = math.exp(first + (end - first) * (i / last)), _ROUNDING * (1.0 + abs(first) + abs(end))
        if written(value * (1.0 - off)) == written(value * (1.0 + off)):
            return written(value)
        with localcontext() as context:
            context.prec = _PRECISION
            start, stop = _decimal(a.start), _decimal(a.stop)
            return written(float(start * ((stop / start).ln() * i / last).exp()))


class LinspaceValues(Strict):
    """``{linspace: {start: 0, stop: 1, num: 5}}``, both ends included."""

    linspace: Interval

    def values(self) -> list[Any]:
        a = self.linspace
        with localcontext() as context:
            context.prec = _PRECISION
            start, length = _decimal(a.start), _decimal(a.stop) - _decimal(a.start)
            return [written(float(start + length * i / (a.num - 1))) for i in range(a.num - 1)] + [written(a.stop)]


class RangeValues(Strict):
    """``{range: {start: 20, stop: 100, step: 20}}``, ``stop`` included."""

    range: StepInterval

    def values(self) -> list[Any]:
        a = self.range
        last = (a.stop - a.start) / a.step
        with localcontext() as context:
            context.prec = _PRECISION
            start, step = _decimal(a.start), _decimal(a.step)
            steps = [written(float(start + i * step)) for i in range(int(last + 1e-9) + 1)]
        if abs(last - round(last)) < 1e-9:
            steps[-1] = written(a.stop)
        return [int(v) for v in steps] if all(v.is_integer() for v in steps) else steps


def _decimal(value: float) -> Decimal:
    """A number as it is written."""
    return Decimal(repr(float(value)))


def _values_tag(value: Any) -> str | None:
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict) and len(value) == 1:
        return next((name for name in ("logspace", "linspace", "range") if name in value), None)
    tags: dict[type, str] = {LogspaceValues: "logspace", LinspaceValues: "linspace", RangeValues: "range"}
    return tags.get(type(value))


_INFINITIES = {"Infinity": math.inf, "-Infinity": -math.inf}


def _infinities(value: Any) -> Any:
    """Infinity as a number again, after JSON, which has only a word for it."""
    if isinstance(value, list):
        return [_infinities(v) for v in value]
    if isinstance(value, dict):
        return {k: _infinities(v) for k, v in value.items()}
    return _INFINITIES.get(value, value) if isinstance(value, str) else value


Values = Annotated[
    Annotated[list[Any], Field(min_length=1), AfterValidator(_infinities), Tag("list")]
    | Annotated[LogspaceValues, Tag("logspace")]
    | Annotated[LinspaceValues, Tag("linspace")]
    | Annotated[RangeValues, Tag("range")],
    Discriminator(
        _values_tag,
        custom_error_type="values",
        custom_error_message="must be a list, or one of {logspace: …}, {linspace: …}, {range: …}",
    ),
]


class EnsembleConfig(Strict):
    """Members: repetitions with other noise, and other draws of the perturbed keys."""

    members: PositiveWhole = 1
    seed: Annotated[int, Field(ge=0), WHOLE] = 0
    perturbations: dict[str, Annotated[Distribution, ByKind()]] = Field(
        default_factory=dict, description="Dotted numeric keys of the study, with the distribution that each is drawn from."
    )
