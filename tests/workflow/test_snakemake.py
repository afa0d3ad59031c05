"""Snakemake for real: a complete run, what runs again and what does not, and the same stores as with `dajko run`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from filelock import FileLock

import dajko
from dajko.study.commands.run import run_study
from dajko.study.config.parse import read_studies
from dajko.study.store.cells import CellStore
from dajko.study.store.checksums import chunk_path
from dajko.study.store.variables import NOT_REPRODUCIBLE

ROOT = Path(__file__).parents[2]

# 1e-3 is a number for dajko and text for Snakemake's reader of YAML 1.1: both must see the same study.
STUDIES = """
studies:
  good: &good
    truth: {kind: exact, solution: {kind: barenblatt, m: 2.0}}
    model:
      energy: {internal: {kind: porous_medium, m: 2.0}}
      initial: {kind: barenblatt, m: 2.0, shift: 0.1}
    grid: {left: -0.7, right: 0.7, nx: 10, nt: 2}
    time: {tau: 5e-4, steps: 3}
    observations: {operators: [mean, spread]}
    noise: {level: 0.1}
    theta: 1e-3
    solver: {kind: pd3o, tol: 1e-3, constraint_tolerance: 1e-3}
    sweep: {theta: [1e-3, 1e-2, .inf]}
    ensemble: {members: 2, seed: 7}
  failing:
    <<: *good
    sweep: {solver.max_iterations: [1, 1e5]}
cluster: {kind: local, workers: 1}
"""


def command(directory, *arguments):
    """Snakemake in a directory that holds nothing but the configuration."""
    fixed = ["--snakefile", ROOT / "Snakefile", "--profile", ROOT / "workflow" / "profiles" / "default"]
    changing = ["--directory", directory, "--configfile", directory / "studies.yaml", "--cores", 1]
    return [sys.executable, "-m", "snakemake", *map(str, [*fixed, *changing, *arguments])]


def snakemake(directory, *arguments):
    """Run Snakemake to its end; its exit code and everything it says."""
    done = subprocess.run(
        command(directory, *arguments),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def executed(output):
    """The jobs that a run has executed, or that a dry run would, as the messages of the rules say it."""
    return sorted(re.findall(r"^Job \d+: (.*)$", output, re.MULTILINE))


def chunks(store):
    """The files of a store's variables and when they were written."""
    return {p: p.stat().st_mtime_ns for p in store.rglob("c/**/*") if p.is_file()}


def write(directory, text=STUDIES):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "studies.yaml").write_text(text)
    return directory


@pytest.fixture(scope="session")
def complete(tmp_path_factory, worker_id):
    """A complete run of both studies, made once however many processes test; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    directory = (base if worker_id == "master" else base.parent) / "snakemake"
    with FileLock(f"{directory}.lock"):
        if not (directory / "output.json").exists():
            code, output = snakemake(write(directory))
            (directory / "output.json").write_text(json.dumps([code, output]))
    return directory


@pytest.fixture
def copied(complete, tmp_path):
    """A copy of the complete run, with all its times, to be changed."""
    return Path(shutil.copytree(complete, tmp_path / "copy"))


# --- a complete run -------------------------------------------------------------------------------------------------------


def test_a_complete_run(complete):
    code, output = json.loads((complete / "output.json").read_text())
    assert code == 0, output
    assert executed(output) == [
        "Drawing figures and tables of failing",
        "Drawing figures and tables of good",
        "Simulating failing, slab 0",
        "Simulating good, slab 0",
        "Summarising failing",
        "Summarising good",
        "Writing the report",
    ]
    page = (complete / "results" / "report.html").read_text()
    for study in ("good", "failing"):
        directory = complete / "results" / study
        assert study in page
        assert list((directory / "figures").glob("*.svg"))
        assert list((directory / "tables").glob("*.csv"))
        assert dajko.open_study(directory).attrs["study"] == study
        assert json.loads((directory / "slabs" / "0.done.json").read_text())["study"] == study


def test_members_that_fail_do_not_stop_it(complete):
    manifest = json.loads((complete / "results" / "failing" / "study.done.json").read_text())
    assert (manifest["cells"], manifest["counts"]["converged"], manifest["counts"]["not_converged"]) == (4, 2, 2)
    recorded = (complete / "results" / "failing" / "failures.jsonl").read_text().splitlines()
    assert {json.loads(line)["parameters"]["solver.max_iterations"] for line in recorded} == {1}
    assert json.loads((complete / "results" / "good" / "study.done.json").read_text())["counts"]["converged"] == 6


def test_afterwards_there_is_nothing_to_be_done(complete):
    code, output = snakemake(complete, "--dry-run", "--nolock")
    assert code == 0
    assert "Nothing to be done" in output
    assert executed(output) == []


def test_dajko_run_goes_on_with_the_stores(copied):
    """The same configuration file, read by dajko itself: the same study, and nothing left to compute."""
    config = read_studies(copied / "studies.yaml")
    for name, study in config.studies.items():
        before = chunks(copied / "results" / name)
        report = run_study(study, copied / "results" / name, 1, quiet=True)
        assert (report.computed, report.pending) == (0, 0)
        assert report.study_hash == json.loads((copied / "results" / name / "study.done.json").read_text())["study_hash"]
        assert chunks(copied / "results" / name) == before
        assert not (copied / "results" / name / "previous").exists()


def test_the_stores_are_those_of_dajko_run(complete, tmp_path):
    """Every chunk of what can be reproduced, byte for byte."""

    def content(study):
        files = [p for p in (study / "cells.zarr").rglob("c/**/*") if p.is_file()]
        named = {p.relative_to(study).as_posix(): p.read_bytes() for p in files}
        return {name: data for name, data in named.items() if not set(name.split("/")) & set(NOT_REPRODUCIBLE)}

    for name, study in read_studies(complete / "studies.yaml").studies.items():
        run_study(study, tmp_path / name, 2, quiet=True)
        assert content(tmp_path / name) == content(complete / "results" / name)
        assert len(content(tmp_path / name)) > 10


# --- what runs again ------------------------------------------------------------------------------------------------------


def test_editing_a_study_runs_that_study_and_the_page(copied):
    config = yaml.safe_load(STUDIES)
    config["studies"]["good"]["ensemble"] = {"members": 1, "seed": 7}
    (copied / "studies.yaml").write_text(yaml.safe_dump(config))
    before = chunks(copied / "results" / "failing")
    old = json.loads((copied / "results" / "good" / "study.done.json").read_text())["study_hash"]
    code, output = snakemake(copied)
    assert code == 0, output
    assert executed(output) == [
        "Drawing figures and tables of good",
        "Simulating good, slab 0",
        "Summarising good",
        "Writing the report",
    ]
    assert chunks(copied / "results" / "failing") == before
    good = copied / "results" / "good"
    store = CellStore(good / "cells.zarr")
    assert (store.counts()["converged"], store.unasked) == (3, 3)
    assert store.hash != old
    assert "members to compute" not in output


def test_what_is_only_shown_is_not_computed_again(copied):
    config = yaml.safe_load(STUDIES)
    config["studies"]["failing"]["report"] = {"times": [0.0]}
    (copied / "studies.yaml").write_text(yaml.safe_dump(config))
    before = chunks(copied / "results" / "failing" / "cells.zarr")
    code, output = snakemake(copied, "results/failing/study.done.json")
    assert code == 0, output
    assert executed(output) == ["Simulating failing, slab 0", "Summarising failing"]
    assert "members to compute" not in output
    assert chunks(copied / "results" / "failing" / "cells.zarr") == before
    assert CellStore(copied / "results" / "failing" / "cells.zarr").study.report.times == [0.0]


def test_a_store_that_dajko_run_has_changed_is_noticed(copied):
    """dajko run with another configuration, then Snakemake with its own: it must not take the other one's results."""
    study = read_studies(copied / "studies.yaml").studies["good"]
    edited = study.model_copy(update={"ensemble": study.ensemble.model_copy(update={"members": 1})})
    assert run_study(edited, copied / "results" / "good", 1, quiet=True).computed == 0
    code, output = snakemake(copied, "results/good/study.done.json", "--dry-run")
    assert code == 0, output
    assert executed(output) == ["Simulating good, slab 0", "Summarising good"]


def test_a_store_that_does_not_fit_stops_its_job_and_is_left_alone(copied):
    """Another grid under the same name: the job says what differs, and the study goes on as soon as dajko is told how."""
    text = STUDIES.replace("nx: 10", "nx: 12", 1)
    (copied / "studies.yaml").write_text(text)
    before = chunks(copied / "results" / "good" / "cells.zarr")
    code, output = snakemake(copied, "results/good/study.done.json")
    assert code == 1
    assert "does not fit the study: grid.nx: the store has 10, the study has 12" in output
    assert "--recompute" in output
    assert "Traceback" not in output
    assert chunks(copied / "results" / "good" / "cells.zarr") == before
    study = read_studies(copied / "studies.yaml").studies["good"]
    assert run_study(study, copied / "results" / "good", 1, recompute=True, quiet=True).computed == 6
    code, output = snakemake(copied, "results/good/study.done.json")
    assert code == 0, output
    assert "members to compute" not in output


def test_slabs_go_on_with_what_dajko_run_has_begun(tmp_path):
    """Half of a study by dajko, the rest by two jobs of Snakemake, in one store."""
    text = STUDIES.replace("    theta: 1e-3\n", "    theta: 1e-3\n    slabs: 2\n    block: 1\n")
    directory = write(tmp_path / "slabs", text)
    study = read_studies(directory / "studies.yaml").studies["good"]
    assert study.slabs == 2
    assert run_study(study, directory / "results" / "good", 1, slab=0, quiet=True).computed == 3
    before = chunks(directory / "results" / "good")
    assert before
    code, output = snakemake(directory, "results/good/study.done.json")
    assert code == 0, output
    assert executed(output) == ["Simulating good, slab 0", "Simulating good, slab 1", "Summarising good"]
    assert output.count("members to compute") == 1
    assert "good: 3 of 6 members to compute, in 3 blocks" in output
    assert json.loads((directory / "results" / "good" / "study.done.json").read_text())["counts"]["converged"] == 6
    after = chunks(directory / "results" / "good")
    assert {p: after[p] for p in before if "cells.zarr" in p.parts} == {
        p: t for p, t in before.items() if "cells.zarr" in p.parts
    }


def test_an_interrupted_run_goes_on(tmp_path):
    """Ctrl-C: no process is left, nothing computed is lost, and the same command computes the rest."""
    changes = "ensemble: {members: 20, seed: 7}\n    block: 1"
    directory = write(tmp_path / "interrupted", STUDIES.replace("ensemble: {members: 2, seed: 7}", changes))
    store = directory / "results" / "good" / "cells.zarr"
    target = "results/good/study.done.json"
    running = subprocess.Popen(
        command(directory, target),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not (store / "status" / "c").is_dir():
            assert running.poll() is None, running.stdout.read()
            time.sleep(0.01)
        processes = [running.pid, *(p.pid for p in psutil.Process(running.pid).children(recursive=True))]
        assert len(processes) >= 3  # Snakemake, the job, a worker
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        running.communicate(timeout=60)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
    assert running.returncode != 0
    _, alive = psutil.wait_procs([psutil.Process(p) for p in processes if psutil.pid_exists(p)], timeout=20)
    assert alive == []
    before = CellStore(store).counts()
    assert 0 < before["converged"] < 60
    assert not (directory / target).exists()

    code, output = snakemake(directory, target)
    assert code == 0, output
    assert f"good: {before['pending']} of 60 members to compute" in output
    assert json.loads((directory / target).read_text())["counts"]["converged"] == 60


@pytest.mark.parametrize("next_runner", ["snakemake", "dajko"])
def test_a_run_that_is_killed_goes_on(tmp_path, next_runner):
    """SIGKILL to Snakemake, its job and its workers: the same command, or dajko, computes only what is missing."""
    changes = "ensemble: {members: 20, seed: 7}\n    block: 1"
    directory = write(tmp_path / "killed", STUDIES.replace("ensemble: {members: 2, seed: 7}", changes))
    good, target = directory / "results" / "good", "results/good/study.done.json"
    with (directory / "output.txt").open("w") as log:
        running = subprocess.Popen(
            command(directory, target), cwd=directory, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while not (good / "cells.zarr" / "status" / "c").is_dir():
                assert running.poll() is None, (directory / "output.txt").read_text()
                time.sleep(0.01)
            processes = psutil.Process(running.pid).children(recursive=True)
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []
    store = CellStore(good / "cells.zarr")
    before = store.counts()
    assert 0 < before["converged"] < 60
    done = [block for block in store.blocks(0) if not store.pending_cells(block)]
    paths = [chunk_path(store, block, name) for block in done for name in store.variables(0)]
    stamps = {path: path.stat().st_mtime_ns for path in paths}
    if next_runner == "dajko":
        report = run_study(read_studies(directory / "studies.yaml").studies["good"], good, 1, quiet=True)
        assert (report.computed, report.pending) == (before["pending"], 0)
    code, output = snakemake(directory, target)
    assert code == 0, output
    assert (f"good: {before['pending']} of 60 members to compute" in output) == (next_runner == "snakemake")
    assert json.loads((directory / target).read_text())["counts"]["converged"] == 60
    assert {path: path.stat().st_mtime_ns for path in paths} == stamps


# --- bad configurations and style -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("theta: 1e-3", "theta: -1", "studies.good.theta: must be greater than 0, got -1"),
        ("theta: 1e-3", "theta: 1:30", "'1:30' is 90 in YAML 1.1 and the text '1:30' in YAML 1.2"),
        ("nx: 10", "nx: 010", "'010' is 8 in YAML 1.1 and 10 in YAML 1.2; write what is the same in both"),
        ("nx: 10", "nxx: 10", "studies.good.grid.nxx: unknown key; allowed: left, right, nx, nt, scheme, time_rule"),
    ],
)
def test_an_invalid_configuration_is_one_clear_message(tmp_path, old, new, message):
    directory = write(tmp_path / "bad", STUDIES.replace(old, new))
    code, output = snakemake(directory)
    assert code == 1
    assert "the configuration is not valid:" in output
    assert message in output
    assert "Traceback" not in output
    assert not (directory / "results").exists()


def test_a_study_that_cannot_be_built_stops_its_job_with_one_message(tmp_path):
    """What is wrong with a density is found in the job, before anything is solved."""
    directory = write(tmp_path / "bad", STUDIES.replace("shift: 0.1", "shift: 9.0"))
    code, output = snakemake(directory, "results/good/study.done.json")
    assert code == 1
    message = "studies.good.model.initial: the density must have a positive mass, got 0 (at theta = 0.001)"
    assert f"dajko: {message}" in output
    assert "Traceback" not in output
    assert message in (directory / "results" / "good" / "logs" / "simulate-0.log").read_text()


def test_the_workflow_lints(tmp_path):
    code, output = snakemake(write(tmp_path / "lint"), "--lint")
    assert code == 0, output
    assert "Congratulations, your workflow is in a good condition!" in output


def test_the_workflow_is_formatted():
    done = subprocess.run(
        [Path(sys.executable).with_name("snakefmt"), "--check", "Snakefile", "workflow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
