"""The ingredients of a twin experiment as configuration: energies, densities, grid, time, solver, truth, data."""

from __future__ import annotations

import math
import os
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError


def _whole(value: Any) -> Any:
    """A whole number may be written as 1e5, and a linspace gives floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
PositiveWhole = Annotated[int, Field(gt=0), WHOLE]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]


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


# --- energies -------------------------------------------------------------------------------------------------------------


class PorousMediumConfig(Strict):
    """Internal energy u^m / (m - 1): porous medium diffusion."""

    kind: Literal["porous_medium"]
    m: Annotated[FiniteFloat, Field(gt=1)] = 2.0


class EntropyConfig(Strict):
    """Internal energy u log u: linear diffusion."""

    kind: Literal["entropy"]


class QuadraticConfig(Strict):
    """Potential stiffness (x - center)^2 / 2."""

    form: Literal["quadratic"]
    stiffness: FiniteFloat = 1.0
    center: FiniteFloat = 0.0


class DoubleWellConfig(Strict):
    """Potential height ((x - center)^2 / distance^2 - 1)^2."""

    form: Literal["double_well"]
    height: FiniteFloat = 1.0
    distance: Positive = 1.0
    center: FiniteFloat = 0.0


class LinearConfig(Strict):
    """Potential slope * x."""

    form: Literal["linear"]
    slope: FiniteFloat = 1.0


class ArrayConfig(Strict):
    """Potential given at the nodes of the grid."""

    form: Literal["values"]
    values: Annotated[list[FiniteFloat], Field(min_length=1)]


class LogarithmicConfig(Strict):
    """Interaction chi / pi log |x - y|: chemotaxis."""

    form: Literal["logarithmic"]
    chi: FiniteFloat
    core: NonNegative = Field(0.0, description="Distance below which the logarithm is smoothed.")


class QuadraticAttractionConfig(Strict):
    """Interaction strength (x - y)^2 / 2."""

    form: Literal["quadratic_attraction"]
    strength: FiniteFloat = 1.0


class PowerLawConfig(Strict):
    """Interaction strength (|x - y|^a / a - |x - y|^b / b), with a the attraction and b the repulsion."""

    form: Literal["power_law"]
    attraction: Annotated[FiniteFloat, Field(gt=-1)] = 2.0
    repulsion: Annotated[FiniteFloat, Field(gt=-1)] | None = 1.0
    strength: FiniteFloat = 1.0

    @model_validator(mode="after")
    def _attraction_reaches_further(self) -> PowerLawConfig:
        if self.repulsion is not None and not self.attraction > self.repulsion:
            raise PydanticCustomError(
                "power_law",
                "attraction must be greater than repulsion, got {a} and {b}",
                {"a": self.attraction, "b": self.repulsion},
            )
        return self


class GaussianKernelConfig(Strict):
    """Interaction -strength exp(-(x - y)^2 / (2 width^2))."""

    form: Literal["gaussian_kernel"]
    strength: FiniteFloat = 1.0
    width: Positive = 0.1


class MorseConfig(Strict):
    """Interaction -strength exp(-|x - y| / width) + repulsion exp(-|x - y| / repulsion_width)."""

    form: Literal["morse"]
    strength: FiniteFloat = 1.0
    width: Positive = 0.2
    repulsion: FiniteFloat = 0.0
    repulsion_width: Positive = 0.1


class MatrixConfig(Strict):
    """Interaction given at the pairs of nodes of the grid."""

    form: Literal["values"]
    values: Annotated[list[list[FiniteFloat]], Field(min_length=1)]


InternalConfig = Annotated[PorousMediumConfig | EntropyConfig, Field(discriminator="kind")]
PotentialConfig = Annotated[QuadraticConfig | DoubleWellConfig | LinearConfig | ArrayConfig, Field(discriminator="form")]

InteractionConfig = Annotated[
    LogarithmicConfig | QuadraticAttractionConfig | PowerLawConfig | GaussianKernelConfig | MorseConfig | MatrixConfig,
    Field(discriminator="form"),
]


class EnergyConfig(Strict):
    """Driving energy F(u) = int U(u) + V u dx + 1/2 int int W(x, y) u(x) u(y) dx dy."""

    internal: InternalConfig | None = Field(None, description="Internal energy U.")
    potential: PotentialConfig | None = Field(None, description="Potential V.")
    interaction: InteractionConfig | None = Field(None, description="Interaction W.")


# --- densities ------------------------------------------------------------------------------------------------------------


class BarenblattConfig(Strict):
    """Self-similar solution of the porous medium equation, shifted in space and time."""

    profile: Literal["barenblatt"]
    m: Annotated[FiniteFloat, Field(gt=1)] = 2.0
    c: Positive = (3.0 / 16.0) ** (1.0 / 3.0)
    t0: Positive = 1e-3
    shift: FiniteFloat = 0.0
    time_shift: FiniteFloat = 0.0


class GaussianConfig(Strict):
    """A normal density times a mass."""

    profile: Literal["gaussian"]
    mean: FiniteFloat = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0


class GaussianMixtureConfig(Strict):
    """Normal densities around several means, which share a mass equally."""

    profile: Literal["gaussian_mixture"]
    means: Annotated[list[FiniteFloat], Field(min_length=1)]
    std: Positive = 0.1
    mass: Positive = Field(1.0, description="Of all together.")


class HeatConfig(Strict):
    """Solution of the heat equation from a Gaussian."""

    profile: Literal["heat"]
    mean: FiniteFloat = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0


class OrnsteinUhlenbeckConfig(Strict):
    """Solution of the Fokker-Planck equation with a quadratic potential, from a Gaussian."""

    profile: Literal["ornstein_uhlenbeck"]
    stiffness: Positive = 1.0
    center: FiniteFloat = 0.0
    mean: FiniteFloat = 0.0
    std: Positive = 0.1
    mass: Positive = 1.0


class ValuesConfig(Strict):
    """A density given at the nodes of the grid."""

    profile: Literal["values"]
    values: Annotated[list[NonNegative], Field(min_length=1)]


ProfileConfig = Annotated[
    BarenblattConfig | GaussianConfig | GaussianMixtureConfig | HeatConfig | OrnsteinUhlenbeckConfig,
    Field(discriminator="profile"),
]
InitialConfig = Annotated[
    BarenblattConfig | GaussianConfig | GaussianMixtureConfig | HeatConfig | OrnsteinUhlenbeckConfig | ValuesConfig,
    Field(discriminator="profile"),
]


# --- grid, time, solver ---------------------------------------------------------------------------------------------------


class GridConfig(Strict):
    """Space-time grid of one step."""

    left: FiniteFloat
    right: FiniteFloat
    nx: Annotated[int, Field(ge=4), WHOLE] = 100
    nt: Annotated[int, Field(ge=1), WHOLE] = 10
    time_rule: Literal["right", "trapezoid"] = "right"

    @model_validator(mode="after")
    def _not_empty(self) -> GridConfig:
        if not self.left < self.right:
            raise PydanticCustomError(
                "grid", "left must be less than right, got {a} and {b}", {"a": self.left, "b": self.right}
            )
        return self


class TimeConfig(Strict):
    """Time step, and either the number of steps or the end."""

    tau: Positive
    steps: PositiveWhole | None = None
    end: Positive | None = None

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


class InteriorPointConfig(Strict):
    """The interior point method, the default: a few Newton iterations a step."""

    name: Literal["interior_point"] = "interior_point"
    tol: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 1e-5
    max_iterations: PositiveWhole = 80


class PD3OConfig(Strict):
    """Algorithm 1 of the paper."""

    name: Literal["pd3o"]
    tol: Positive = 1e-5
    max_iterations: PositiveWhole = 200_000
    primal_step: Positive | None = None
    dual_step: Positive | None = None
    constraint_tolerance: Positive = 1e-5
    data_step: Literal["auto", "explicit", "dual"] = "auto"


def _solver_tag(value: Any) -> Any:
    name = value.get("name", "interior_point") if isinstance(value, dict) else getattr(value, "name", None)
    return name if name in ("interior_point", "pd3o") else None


SolverConfig = Annotated[
    Annotated[InteriorPointConfig, Tag("interior_point")] | Annotated[PD3OConfig, Tag("pd3o")],
    Discriminator(
        _solver_tag,
        custom_error_type="solver",
        custom_error_message="must be a mapping whose name is interior_point or pd3o",
    ),
]


# --- truth, model, data ---------------------------------------------------------------------------------------------------


class ExactTruth(Strict):
    """The truth is known in closed form."""

    kind: Literal["exact"]
    solution: ProfileConfig


class SolvedTruth(Strict):
    """The truth is computed by JKO steps without data, usually on a finer grid."""

    kind: Literal["solve"]
    energy: EnergyConfig
    initial: InitialConfig
    nx: Annotated[int, Field(ge=4), WHOLE] | None = Field(None, description="Cells in space; by default twice the model's.")
    nt: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        None, description="Intervals in artificial time; the model's by default."
    )
    substeps: PositiveWhole = Field(2, description="Steps of the truth in one time step of the model.")
    solver: SolverConfig = InteriorPointConfig()


TruthConfig = Annotated[ExactTruth | SolvedTruth, Field(discriminator="kind")]


class ModelConfig(Strict):
    """What daJKO believes."""

    energy: EnergyConfig
    initial: InitialConfig
    mass: Positive | None = Field(None, description="Rescale the initial density to this mass.")


class SensorArray(Strict):
    """Positions and width of Gaussian footprints."""

    positions: Annotated[list[FiniteFloat], Field(min_length=1)]
    width: Positive


class SensorsConfig(Strict):
    """Local averages with Gaussian footprints."""

    sensors: SensorArray


class IntervalArray(Strict):
    """Ends of intervals."""

    edges: Annotated[list[FiniteFloat], Field(min_length=2)]


class IntervalMassesConfig(Strict):
    """Mass between each position and the next."""

    interval_masses: IntervalArray


ObservationName = Literal["expectation", "variance", "mean", "spread", "mass"]


def _observation_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "name"
    if isinstance(value, IntervalMassesConfig) or (isinstance(value, dict) and "interval_masses" in value):
        return "interval_masses"
    return "sensors" if isinstance(value, dict | SensorsConfig) else None


ObservationConfig = Annotated[
    Annotated[ObservationName, Tag("name")]
    | Annotated[SensorsConfig, Tag("sensors")]
    | Annotated[IntervalMassesConfig, Tag("interval_masses")],
    Discriminator(
        _observation_tag,
        custom_error_type="observation",
        custom_error_message=(
            f"must be one of {', '.join(get_args(ObservationName))}, {{sensors: …}} or {{interval_masses: …}}"
        ),
    ),
]


class ObservationsConfig(Strict):
    """What is measured, and at which steps."""

    operators: list[ObservationConfig] = Field(default_factory=list, description="None in a study without data.")
    every: PositiveWhole = Field(1, description="There is data at every so many steps.")
    first: PositiveWhole = Field(1, description="The first step with data, counted from 1.")


class NoiseConfig(Strict):
    """Additive noise of the data."""

    kind: Literal["gaussian"] = "gaussian"
    level: NonNegative = Field(0.0, description="Standard deviation, relative or absolute.")
    relative: bool = Field(True, description="Whether the level is relative to the size of the signal.")
