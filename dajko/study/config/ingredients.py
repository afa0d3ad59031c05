"""The sections of a twin experiment as configuration: energy, grid, time, solver, truth, data."""

from __future__ import annotations

import math
import os
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dajko.energy.interaction import Interaction
from dajko.energy.internal import InternalEnergy
from dajko.energy.potential import Potential
from dajko.grid import TIME_RULES
from dajko.ingredient import ByKind
from dajko.observation import Observation
from dajko.profile import Profile
from dajko.solvers import DEFAULT_SOLVER, Solver
from dajko.solvers.interior_point import InteriorPoint
from dajko.validation import WHOLE, NonNegative, Positive, PositiveWhole


def expanded(path: str) -> str:
    """A path with ``~`` and ``$VARIABLE`` replaced, which would otherwise become names of folders."""
    unset = [name for name in re.findall(r"\$\{?(\w+)", path) if name not in os.environ]
    if unset:
        raise PydanticCustomError(
            "path", "the environment variable {name} is not set, got {got}", {"name": unset[0], "got": repr(path)}
        )
    found = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111  pathlib raises where there is no such user
    if found.startswith("~"):
        raise PydanticCustomError("path", "there is no user of that name, got {got}", {"got": repr(path)})
    if not found:
        raise PydanticCustomError("path", "must not be empty, got {got}", {"got": repr(path)})
    return found


# A path on this machine, whose variables are replaced when it is read.
PathText = Annotated[str, Field(min_length=1), AfterValidator(expanded)]


class Strict(BaseModel):
    """Immutable, and every key must be known."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            allowed = [f.alias or name for name, f in cls.model_fields.items()]
            for key in data:
                if key not in allowed:
                    raise PydanticCustomError(
                        "unknown_key", "unknown key; allowed: {allowed}", {"key": str(key), "allowed": ", ".join(allowed)}
                    )
        return data


# --- energies and densities -----------------------------------------------------------------------------------------------


class EnergyConfig(Strict):
    """Driving energy F(u) = int U(u) + V u dx + 1/2 int int W(x, y) u(x) u(y) dx dy."""

    internal: Annotated[InternalEnergy, ByKind()] | None = Field(None, description="Internal energy U.")
    potential: Annotated[Potential, ByKind()] | None = Field(None, description="Potential V.")
    interaction: Annotated[Interaction, ByKind()] | None = Field(None, description="Interaction W.")


# A density that is known at all times, and one that a flow may start from.
Solution = Annotated[Profile, ByKind(without=("values",))]
Initial = Annotated[Profile, ByKind()]


# --- grid, time, solver ---------------------------------------------------------------------------------------------------


class GridConfig(Strict):
    """Space-time grid of one step."""

    left: FiniteFloat
    right: FiniteFloat
    nx: Annotated[int, Field(ge=4), WHOLE] = 100
    nt: Annotated[int, Field(ge=1), WHOLE] = 10
    scheme: Literal["finite_volume", "centred"] = Field("centred", description="Densities in cells, or at nodes.")
    time_rule: Literal["half_level", "right", "trapezoid"] | None = Field(
        None, description="Quadrature in artificial time; by default that of the scheme."
    )

    @model_validator(mode="after")
    def _one_that_is(self) -> GridConfig:
        rules = TIME_RULES[self.scheme]
        if self.time_rule not in (None, *rules):
            raise PydanticCustomError(
                "grid",
                "time_rule must be {rules} with the scheme {scheme}, got {got}",
                {"rules": " or ".join(rules), "scheme": self.scheme, "got": self.time_rule},
            )
        if not self.left < self.right:
            raise PydanticCustomError(
                "grid", "left must be less than right, got {a} and {b}", {"a": self.left, "b": self.right}
            )
        return self


# A solver by its kind; a mapping without one is the default's.
SolverField = Annotated[Solver, ByKind(default=DEFAULT_SOLVER)]


class TimeConfig(Strict):
    """Time step, and either the number of steps or the end."""

    tau: Positive
    steps: PositiveWhole | None = None
    end: Positive | None = None
    scheme: Literal["euler", "bdf2"] = Field("euler", description="The JKO scheme, or that of second order, for quantile.")

    @model_validator(mode="after")
    def _one_of_two(self) -> TimeConfig:
        if (self.steps is None) == (self.end is None):
            raise PydanticCustomError("time", "must have exactly one of the keys steps and end")
        if self.end is not None and not (
            self.end / self.tau < math.inf and self.count >= 1 and abs(self.count * self.tau - self.end) <= 1e-6 * self.tau
        ):
            raise PydanticCustomError(
                "time", "end must be a multiple of tau, got end {end} and tau {tau}", {"end": self.end, "tau": self.tau}
            )
        return self

    @property
    def count(self) -> int:
        """Number of steps."""
        if self.steps is not None:
            return self.steps
        assert self.end is not None
        return round(self.end / self.tau)


# --- truth, model, data ---------------------------------------------------------------------------------------------------


class ExactTruth(Strict):
    """The truth is known in closed form."""

    kind: Literal["exact"]
    solution: Solution


class SolvedTruth(Strict):
    """The truth is computed by JKO steps without data, usually on a finer grid."""

    kind: Literal["solve"]
    energy: EnergyConfig
    initial: Initial
    nx: Annotated[int, Field(ge=4), WHOLE] | None = Field(None, description="Cells in space; by default twice the model's.")
    nt: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        None, description="Intervals in artificial time; the model's by default."
    )
    substeps: PositiveWhole = Field(2, description="Steps of the truth in one time step of the model.")
    solver: SolverField = InteriorPoint()


TruthConfig = Annotated[ExactTruth | SolvedTruth, Field(discriminator="kind")]


class ModelConfig(Strict):
    """What daJKO believes."""

    energy: EnergyConfig
    initial: Initial
    mass: Positive | None = Field(None, description="Rescale the initial density to this mass.")


class ObservationsConfig(Strict):
    """What is measured, and at which steps."""

    operators: list[Annotated[Observation, ByKind()]] = Field(
        default_factory=list, description="None in a study without data."
    )
    every: PositiveWhole = Field(1, description="There is data at every so many steps.")
    first: PositiveWhole = Field(1, description="The first step with data, counted from 1.")


class NoiseConfig(Strict):
    """Additive noise of the data."""

    kind: Literal["gaussian"] = "gaussian"
    level: NonNegative = Field(0.0, description="Standard deviation, relative or absolute.")
    relative: bool = Field(True, description="Whether the level is relative to the size of the signal.")
