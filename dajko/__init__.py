"""dajko: studies of data-driven Wasserstein gradient flows.

A PDE that is a Wasserstein gradient flow is stepped in time by the JKO scheme, and noisy measurements of the truth pull the
solution back at every step (Pietschmann and Schlottbom). The public names are imported when they are first used, so that
reading a configuration does not load a compiler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Barenblatt": "dajko.profiles",
    "DataTerm": "dajko.observation",
    "DoubleWell": "dajko.energy",
    "Energy": "dajko.energy",
    "Entropy": "dajko.energy",
    "Expectation": "dajko.observation",
    "Gaussian": "dajko.profiles",
    "GaussianKernel": "dajko.interaction",
    "GaussianMixture": "dajko.profiles",
    "Grid": "dajko.grid",
    "Heat": "dajko.profiles",
    "InputError": "dajko.errors",
    "InteriorPoint": "dajko.solvers",
    "IntervalMasses": "dajko.observation",
    "Linear": "dajko.energy",
    "Logarithmic": "dajko.interaction",
    "Mass": "dajko.observation",
    "Mean": "dajko.observation",
    "Morse": "dajko.interaction",
    "OrnsteinUhlenbeck": "dajko.profiles",
    "PD3O": "dajko.solvers",
    "PorousMedium": "dajko.energy",
    "PowerLaw": "dajko.interaction",
    "Quadratic": "dajko.energy",
    "QuadraticAttraction": "dajko.interaction",
    "Sensors": "dajko.observation",
    "Spread": "dajko.observation",
    "Status": "dajko.status",
    "Step": "dajko.solvers",
    "Variance": "dajko.observation",
    "evolve": "dajko.flow",
    "jko_step": "dajko.flow",
    "measure": "dajko.observation",
    "open_study": "dajko.study.store.labelled",
    "run_study": "dajko.study.commands.run",
}

__version__ = "0.1.0"
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from dajko.energy import DoubleWell, Energy, Entropy, Linear, PorousMedium, Quadratic
    from dajko.errors import InputError
    from dajko.flow import evolve, jko_step
    from dajko.grid import Grid
    from dajko.interaction import GaussianKernel, Logarithmic, Morse, PowerLaw, QuadraticAttraction
    from dajko.observation import DataTerm, Expectation, IntervalMasses, Mass, Mean, Sensors, Spread, Variance, measure
    from dajko.profiles import Barenblatt, Gaussian, GaussianMixture, Heat, OrnsteinUhlenbeck
    from dajko.solvers import PD3O, InteriorPoint, Status, Step
    from dajko.study.commands.run import run_study
    from dajko.study.store.labelled import open_study


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dajko' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
