"""What varies in a study, as configuration: the values of a sweep, and the ensemble."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, FiniteFloat, PositiveInt, Tag, model_validator
from pydantic_core import PydanticCustomError

from dajko.study.ingredients import Positive, Strict


class Interval(Strict):
    """Values from one number to another."""

    start: FiniteFloat
    stop: FiniteFloat
    num: Annotated[int, Field(ge=2)]


class PositiveInterval(Strict):
    """Positive values from one number to another, equally spaced in their logarithms."""

    start: Positive
    stop: Positive
    num: Annotated[int, Field(ge=2)]


class StepInterval(Strict):
    """Values from ``start`` in equal steps, ``stop`` included if it is met."""

    start: FiniteFloat
    stop: FiniteFloat
    step: FiniteFloat


class LogspaceValues(Strict):
    """``{logspace: {start: 1.0e-5, stop: 1.0e-1, num: 9}}``: the ends are values, not exponents."""

    logspace: PositiveInterval

    def values(self) -> list[Any]:
        a = self.logspace
        return [a.start * (a.stop / a.start) ** (i / (a.num - 1)) for i in range(a.num - 1)] + [a.stop]


class LinspaceValues(Strict):
    """``{linspace: {start: 0, stop: 1, num: 5}}``, both ends included."""

    linspace: Interval

    def values(self) -> list[Any]:
        a = self.linspace
        return [a.start + (a.stop - a.start) * i / (a.num - 1) for i in range(a.num)]


class RangeValues(Strict):
    """``{range: {start: 20, stop: 100, step: 20}}``, ``stop`` included."""

    range: StepInterval

    def values(self) -> list[Any]:
        a = self.range
        count = int((a.stop - a.start) / a.step + 1e-9) + 1 if a.step else 0
        steps = [a.start + i * a.step for i in range(max(count, 0))]
        return [int(v) for v in steps] if all(v.is_integer() for v in steps) else steps


def _values_tag(value: Any) -> str | None:
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict) and len(value) == 1:
        return next((name for name in ("logspace", "linspace", "range") if name in value), None)
    tags: dict[type, str] = {LogspaceValues: "logspace", LinspaceValues: "linspace", RangeValues: "range"}
    return tags.get(type(value))


Values = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("list")]
    | Annotated[LogspaceValues, Tag("logspace")]
    | Annotated[LinspaceValues, Tag("linspace")]
    | Annotated[RangeValues, Tag("range")],
    Discriminator(
        _values_tag,
        custom_error_type="values",
        custom_error_message="must be a list, or one of {logspace: …}, {linspace: …}, {range: …}",
    ),
]


class NormalConfig(Strict):
    """Normal distribution."""

    mean: FiniteFloat | None = Field(None, description="By default the value that the study gives to the key.")
    std: Positive


class UniformConfig(Strict):
    """Uniform distribution."""

    low: FiniteFloat
    high: FiniteFloat

    @model_validator(mode="after")
    def _ordered(self) -> UniformConfig:
        if not self.low < self.high:
            raise PydanticCustomError(
                "uniform", "low must be less than high, got {a} and {b}", {"a": self.low, "b": self.high}
            )
        return self


class DistributionConfig(Strict):
    """Distribution that a member's parameter is drawn from: exactly one of the kinds."""

    normal: NormalConfig | None = None
    uniform: UniformConfig | None = None

    @model_validator(mode="after")
    def _one(self) -> DistributionConfig:
        if (self.normal is None) == (self.uniform is None):
            raise PydanticCustomError("distribution", "give either normal or uniform, not both and not neither")
        return self


class EnsembleConfig(Strict):
    """Members: repetitions with other noise, and other draws of the perturbed keys."""

    members: PositiveInt = 1
    seed: Annotated[int, Field(ge=0)] = 0
    perturbations: dict[str, DistributionConfig] = Field(
        default_factory=dict, description="Dotted numeric keys of the study, with the distribution that each is drawn from."
    )
