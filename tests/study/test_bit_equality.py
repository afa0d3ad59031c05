"""The same bits on any number of workers, in blocks of any size, whatever the threads of the libraries are set to."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
import yaml

from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE

# 140 cells, so that there are more blocks of 64 than one, and as many solved at once as the solver does.
STUDY = {
    "sweep": {"theta": [1e-3, 1e-2]},
    "ensemble.members": 70,
    "solver": {"kind": "interior_point"},
    "observations.operators": ["mean", "spread", {"kind": "sensors", "positions": [-0.2, 0.1], "width": 0.2}],
}


def values(directory):
    """All variables that two runs have in common."""
    return xr.open_zarr(directory / CELLS, consolidated=False).load().drop_vars(list(NOT_REPRODUCIBLE))


@pytest.fixture(scope="module")
def reference(computed, tmp_path_factory):
    """Computed in this process, one cell at a time."""
    directory = tmp_path_factory.mktemp("reference") / "one"
    computed(directory, {**STUDY, "block": 1})
    return values(directory)


@pytest.mark.parametrize(
    ("workers", "block", "threads"),
    [(1, 64, None), (2, 7, "2"), (4, 1, "4")],
)
def test_the_same_bits(tmp_path, tiny, reference, workers, block, threads):
    file = tmp_path / "my.yaml"
    file.write_text(yaml.safe_dump({"studies": {"one": tiny({**STUDY, "block": block})}}))
    names = [f"{library}_NUM_THREADS" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")]
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= dict.fromkeys(names, threads) if threads else {}
    command = [sys.executable, "-c", "from dajko.cli import main; main()", "run", str(file), "--workers", str(workers)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = values(tmp_path / "results" / "one")
    assert set(found.variables) == set(reference.variables)
    for name in found.variables:
        left, right = found[name].values, reference[name].values
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f"), name
