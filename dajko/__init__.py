"""dajko: studies of data-driven Wasserstein gradient flows.

A PDE that is a Wasserstein gradient flow is stepped in time by the JKO scheme, and noisy measurements of the truth pull the
solution back at every step (Pietschmann and Schlottbom). The public names are imported when they are first used, so that
reading a configuration does not load a compiler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Barenblatt": "dajko.profile.barenblatt",
    "DataTerm": "dajko.data.data_term",
    "DoubleWell": "dajko.energy.potential.double_well",
    "Energy": "dajko.energy.energy",
    "Entropy": "dajko.energy.internal.entropy",
    "Expectation": "dajko.observation.expectation",
    "Gaussian": "dajko.profile.gaussian",
    "GaussianKernel": "dajko.energy.interaction.gaussian_kernel",
    "GaussianMixture": "dajko.profile.gaussian_mixture",
    "Grid": "dajko.grid",
    "Heat": "dajko.profile.heat",
    "InputError": "dajko.errors",
    "InteriorPoint": "dajko.solvers.interior_point",
    "IntervalMasses": "dajko.observation.interval_masses",
    "Linear": "dajko.energy.potential.linear",
    "Logarithmic": "dajko.energy.interaction.logarithmic",
    "Mass": "dajko.observation.mass",
    "Mean": "dajko.observation.mean",
    "Morse": "dajko.energy.interaction.morse",
    "OrnsteinUhlenbeck": "dajko.profile.ornstein_uhlenbeck",
    "PD3O": "dajko.solvers.pd3o",
    "PorousMedium": "dajko.energy.internal.porous_medium",
    "PowerLaw": "dajko.energy.interaction.power_law",
    "Quadratic": "dajko.energy.potential.quadratic",
    "QuadraticAttraction": "dajko.energy.interaction.quadratic_attraction",
    "Quantile": "dajko.solvers.quantile",
    "Sensors": "dajko.observation.sensors",
    "Spread": "dajko.observation.spread",
    "Status": "dajko.status",
    "Step": "dajko.problem.problem",
    "Variance": "dajko.observation.variance",
    "evolve": "dajko.flow",
    "jko_step": "dajko.flow",
    "measure": "dajko.data.data_term",
    "open_study": "dajko.study.store.labelled",
    "run_study": "dajko.study.commands.run",
}

__version__ = "0.1.0"
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from dajko.data.data_term import DataTerm, measure
    from dajko.energy.energy import Energy
    from dajko.energy.interaction.gaussian_kernel import GaussianKernel
    from dajko.energy.interaction.logarithmic import Logarithmic
    from dajko.energy.interaction.morse import Morse
    from dajko.energy.interaction.power_law import PowerLaw
    from dajko.energy.interaction.quadratic_attraction import QuadraticAttraction
    from dajko.energy.internal.entropy import Entropy
    from dajko.energy.internal.porous_medium import PorousMedium
    from dajko.energy.potential.double_well import DoubleWell
    from dajko.energy.potential.linear import Linear
    from dajko.energy.potential.quadratic import Quadratic
    from dajko.errors import InputError
    from dajko.flow import evolve, jko_step
    from dajko.grid import Grid
    from dajko.observation.expectation import Expectation
    from dajko.observation.interval_masses import IntervalMasses
    from dajko.observation.mass import Mass
    from dajko.observation.mean import Mean
    from dajko.observation.sensors import Sensors
    from dajko.observation.spread import Spread
    from dajko.observation.variance import Variance
    from dajko.problem.problem import Step
    from dajko.profile.barenblatt import Barenblatt
    from dajko.profile.gaussian import Gaussian
    from dajko.profile.gaussian_mixture import GaussianMixture
    from dajko.profile.heat import Heat
    from dajko.profile.ornstein_uhlenbeck import OrnsteinUhlenbeck
    from dajko.solvers.interior_point import InteriorPoint
    from dajko.solvers.pd3o import PD3O
    from dajko.solvers.quantile import Quantile
    from dajko.status import Status
    from dajko.study.commands.run import run_study
    from dajko.study.store.labelled import open_study


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dajko' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
