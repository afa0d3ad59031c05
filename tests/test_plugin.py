"""The plug-in of ``examples/plugin``: ingredients that no file of dajko knows, in a study on a Dask cluster."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import dajko
from dajko.energy.potential import Potential
from dajko.errors import InputError

PLUGIN = Path(__file__).parents[1] / "examples" / "plugin"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The plug-in in a folder of its own, and what runs ``dajko`` there."""
    folder = Path(shutil.copytree(PLUGIN, tmp_path / "plugin", ignore=shutil.ignore_patterns("__pycache__")))
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*arguments, code=0, path=True):
        done = subprocess.run(
            [sys.executable, "-m", "dajko", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment if path else {**environment, "PYTHONPATH": ""},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.folder = folder
    return run


def installed(folder):
    """What an installer would leave: the plug-in's metadata, with its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    home = folder / f"dajko_ripple-{project['version']}.dist-info"
    home.mkdir()
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (home / "RECORD").write_text("dajko_ripple.py,,\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())
        for group, found in project["entry-points"].items()
    ]
    (home / "entry_points.txt").write_text("\n".join(points))


def test_an_installed_plugin(plugin, tmp_path, monkeypatch):
    """From YAML over a cluster to a store and a report by kinds alone, and again after an edit of the module."""
    installed(plugin.folder)
    study = plugin.folder / "study.yaml"
    text = study.read_text()
    for name, kind in (("Ripple", "ripple"), ("Laplace", "laplace"), ("FourierMode", "fourier_mode"), ("Twice", "twice")):
        text = text.replace(f'"dajko_ripple:{name}"', kind)
    study.write_text(text)
    plugin("run", "plugin/study.yaml", "--workers", "2")
    plugin("report", "results")
    page = (tmp_path / "results" / "report.html").read_text()
    assert "a rippled potential (height 2)" in page
    assert "a Laplace density (width 0.2)" in page
    assert "by the solver twice with tolerance" in page
    assert plugin("status", "results/ripple") == "ripple: 24 members: 24 converged\n"
    monkeypatch.syspath_prepend(plugin.folder)
    ds = dajko.open_study(tmp_path / "results" / "ripple")
    assert ds.sizes["theta"] == 3
    assert ds.observation.values.tolist() == ["fourier_mode"]
    # What is observed is the integral of the plug-in's own footprint.
    one = {"theta": 0, "truth_energy_potential_height": 1, "member": 0, "time": -1}
    u, x = ds.density.isel(one), ds.x
    expected = float((u * np.cos(4.0 * np.pi * x)).integrate("x"))
    assert float(ds.observed.isel(one).squeeze()) == pytest.approx(expected, rel=1e-12)
    # An edit of the module is other code to all that was computed with it.
    module = plugin.folder / "dajko_ripple.py"
    module.write_text(module.read_text().replace("1.0 - np.cos", "1.5 - np.cos"))
    assert "24 of 24 cells were computed by other code (changed: dajko_ripple" in plugin("status", "results/ripple", code=2)
    assert "24 members" in plugin("run", "plugin/study.yaml", "--workers", "1")
    assert "24 further cells are in the store" in plugin("status", "results/ripple")


def test_a_store_imports_no_module(plugin, tmp_path):
    """A store names what nobody here has: its numbers can be read and drawn, and nothing is imported for that."""
    plugin("run", "plugin/study.yaml", "--workers", "1")
    (plugin.folder / "dajko_ripple.py").write_text("raise SystemExit('imported')\n")
    assert "imported" not in plugin("status", "results/ripple")
    plugin("report", "results")
    assert "dajko_ripple:Ripple" in (tmp_path / "results" / "report.html").read_text()
    opened = "import dajko; print(int(dajko.open_study('results/ripple').mass.notnull().all()))"
    done = subprocess.run([sys.executable, "-c", opened], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "1\n"
    assert "its truth, model, observations and solver name something that this dajko does not know" in done.stderr
    assert "dajko_ripple:Laplace cannot be imported" in plugin("validate", "plugin/study.yaml", code=2, path=False)


def test_what_is_named_must_be_an_ingredient():
    with pytest.raises(InputError, match="os:path is no potential: it must be a class derived from Potential, with a kind"):
        Potential.of_kind("os:path")
    with pytest.raises(InputError, match="nowhere_at_all:Name cannot be imported: ModuleNotFoundError"):
        Potential.of_kind("nowhere_at_all:Name")
    with pytest.raises(InputError, match="kind must be one of double_well, linear, quadratic, values, or module:Class, got"):
        Potential.of_kind("ripple")
    with pytest.raises(TypeError, match="two classes of the potential quadratic"):
        type("Other", (Potential,), {"__module__": "elsewhere", "__annotations__": {}}, kind="quadratic")
