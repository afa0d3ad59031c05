"""The reference minimisers of tests/reference as problems; its README says what they are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dajko import DataTerm, Energy, Entropy, Grid, PorousMedium, Quadratic
from dajko.problem.problem import Problem

FOLDER = Path(__file__).parents[1] / "reference"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
WITH_DATA = ["pme_m25_both_moments", "pme_m2_first_moment"]

_POTENTIALS = {None: None, "10 x^2": Quadratic(20.0)}
_MOMENTS = {"mean": "expectation", "variance": "variance"}


@dataclass(frozen=True)
class Reference:
    """A problem, its minimiser and the path to it."""

    problem: Problem
    energy: float
    density: np.ndarray
    path: np.ndarray  # (nt, nx + 1), artificial times 1/nt ... 1
    flux: np.ndarray  # (nt, nx - 1), interior nodes


def load(name):
    """One reference by its name."""
    with np.load(FOLDER / f"{name}.npz") as file:
        meta, arrays = json.loads(str(file["meta"])), {key: file[key] for key in file.files}
    grid = Grid(meta["left"], meta["right"], meta["nx"], meta["nt"], meta["time_rule"])
    np.testing.assert_allclose(grid.x, arrays["x"], atol=1e-14)
    internal = Entropy() if meta["m"] == 1 else PorousMedium(meta["m"])
    data = None
    if "moments" in meta:
        data = DataTerm([_MOMENTS[name] for name in meta["moments"]], meta["data"], meta["theta"])
    problem = Problem(arrays["rho0"], Energy(internal, _POTENTIALS[meta.get("V")]), grid, meta["tau"], data)
    return Reference(problem, meta["energy"], arrays["rho"], arrays["rho_path"], arrays["flux_path"])
