"""The Python examples of the documentation that open a study, run as they stand on studies with failing members."""

import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import dajko
from dajko.ingredient import Ingredient
from dajko.status import Status
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.execution.task import Task, run_block
from dajko.study.store.cells import CellStore
from dajko.study.store.labelled import write_summary
from dajko.study.store.prepare import prepare
from dajko.study.store.variables import KEPT

ROOT = Path(__file__).parents[1]
EXAMPLES = [
    pytest.param(code, id=f"{file.name}-{number}")
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL))
    if re.search(r"open_(study|zarr|datatree)\(", code)
]
TEMPLATES = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL | re.MULTILINE)
THETA = [5e-7, 3e-4, 1e-3, float("inf")]
SWEPT = {"sweep": {"noise.level": [0.05, 0.3], "theta": THETA}, "ensemble.members": 4}
STUDIES = {"shifted-start": SWEPT, "theta-noise": SWEPT, "mesh": {"sweep": {"grid.nx": [16, 24]}, "time.steps": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("docs")
    for name, changes in STUDIES.items():
        swept = {**changes, "solver": {"kind": "interior_point"}}
        store = prepare(folder / "results" / name, make_plan(name, parse(StudyConfig, tiny(swept))))
        for block in store.pending():
            run_block(str(store.path), store.hash, Task(block))
    return folder


def spoil(folder, rewrite, value):
    """At one theta no member is good, at every other point one of each four is not; their numbers are ``value``."""
    for path in (folder / "results").iterdir():
        store = CellStore(path / "cells.zarr")
        for number, group in enumerate(store.groups):
            cells = xr.open_zarr(path / "cells.zarr", group=group.path or None, consolidated=False).load()
            bad = (cells.member == 1) | ((cells.theta == 1e-3) if "theta" in cells.coords else False)
            values = {"status": cells.status.where(~bad, Status.NOT_CONVERGED).values}
            for name in store.variables(number):
                if name not in KEPT:
                    values[name] = cells[name].where(~bad, value).values
            rewrite(store, only=number, **values)
        write_summary(path)


# NumPy's remark where no member is good: the median there is NaN, as it should be.
@pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")
@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_does_not_depend_on_members_that_are_not_good(code, folder, rewrite, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    mpl.use("agg")
    if "performance.json" in code:
        (folder / "results/shifted-start/performance.json").write_text('{"runs": [{}]}')
    found = []
    for value in (0.01, 1e6):
        spoil(folder, rewrite, value)
        names = {}
        exec(compile(code, "example", "exec"), names)
        drawn = [line.get_ydata() for axes in plt.gcf().axes for line in axes.lines]
        plt.close("all")
        if not {"cells", "tree"} & names.keys():  # the flat store, which has everything
            values = {k: v.load() for k, v in names.items() if isinstance(v, xr.Dataset | xr.DataArray)}
            found.append((capsys.readouterr().out, drawn, values))
    if found:
        (text, lines, values), (other_text, other_lines, other_values) = found
        assert text == other_text
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(lines, other_lines, strict=True))
        assert all(values[name].equals(other_values[name]) for name in values)


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning")
def test_the_median_of_the_readme(folder, rewrite):
    """By hand, of the members that are good."""
    spoil(folder, rewrite, 777.0)
    cells = xr.open_zarr(folder / "results/theta-noise/cells.zarr", consolidated=False).load()
    ds = dajko.open_study(folder / "results/theta-noise")
    median = ds.error_l1.isel(time=-1).median("member")
    for theta in median.theta.values:
        for level in median.noise_level.values:
            here = (cells.theta == theta) & (cells.noise_level == level) & (cells.status == Status.CONVERGED)
            members = cells.error_l1.values[here.values, -1]
            assert members.size == (0 if theta == 1e-3 else 3)
            expected = np.median(members) if members.size else np.nan
            assert np.array_equal(median.sel(theta=theta, noise_level=level), expected, equal_nan=True)


@pytest.mark.parametrize("code", TEMPLATES)
def test_ingredients_of_the_documentation_compute(code, capsys):
    """Each template is a class that is checked, shown and computed with as it stands."""
    names = {"__name__": "extending"}
    exec(compile(code, "extending.md", "exec"), names)
    assert any(character.isdigit() for character in capsys.readouterr().out)
    (found,) = (
        v for v in names.values() if isinstance(v, type) and issubclass(v, Ingredient) and v.__module__ == "extending"
    )
    assert found.word() == f"extending:{found.__name__}"
    with pytest.raises(dajko.InputError, match=f"nonsense is no argument of {found.__name__}; allowed: "):
        found(nonsense=1.0)
