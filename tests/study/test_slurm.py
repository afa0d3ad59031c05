"""Studies on a real Slurm, started for these tests: the same stores as on this machine, both ways of using it."""

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import xarray as xr
import yaml
from distributed import WorkerPlugin

from dajko.errors import InputError
from dajko.study.commands.run import run_study
from dajko.study.config.cluster import SchedulerAddress, SlurmCluster
from dajko.study.execution.cluster import open_cluster
from dajko.study.execution.tls import make_certificates
from dajko.study.store.variables import CELLS, NOT_REPRODUCIBLE, SUMMARY, VARIABLES
from tests import slurm

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not()),
    # Pipes and sockets that asyncio leaves when a cluster is closed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STUDY = {"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 8, "block": 2}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment in which commands reach a Slurm of one node."""
    with slurm.running(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture
def machine(environment, monkeypatch):
    """This process in that environment."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return environment


def cluster(**keys):
    return SlurmCluster(
        kind="slurm", **{"workers": 2, "memory": "1GB", "walltime": "00:10:00", "interface": "lo", "wait": 120} | keys
    )


def jobs(state=""):
    """Numbers of the jobs in the queue, or of those in a state."""
    states = ["--states", state] if state else []
    found = subprocess.run(["squeue", "--noheader", "--format=%i", *states], capture_output=True, text=True, check=True)
    return found.stdout.split()


def assert_same(directory, other):
    found, expected = (xr.open_zarr(d / CELLS, consolidated=False).load() for d in (directory, other))
    for name in set(VARIABLES) - set(NOT_REPRODUCIBLE):
        assert found[name].equals(expected[name]), name


def until(done, limit=60):
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < limit
        time.sleep(0.1)


# --- jobs that dajko submits ----------------------------------------------------------------------------------------------


def test_a_study_on_slurm_has_the_same_bits_and_leaves_nothing_behind(tmp_path, tiny, computed, machine):
    directory = tmp_path / "one"
    computed(tmp_path / "quiet" / "one", STUDY)
    report = run_study(tiny(STUDY), directory, cluster(), quiet=True)
    assert (report.computed, report.missing) == (16, 0)
    assert (directory / SUMMARY).exists()
    assert_same(directory, tmp_path / "quiet" / "one")
    assert "workers of the scheduler tls://" in (directory / "run.log").read_text()
    assert not list(directory.glob(".tls-*"))
    until(lambda: not jobs())
    assert list((directory / "logs" / "slurm").glob("dajko-*.err"))


def test_jobs_that_die_are_replaced(tmp_path, tiny, computed, machine):
    """Every job there is is cancelled in the middle of a study; others take their place, and the study is complete."""
    changes = {**STUDY, "block": 1, "ensemble.members": 60, "grid.nx": 100}
    directory, cancelled = tmp_path / "one", []

    def cancel():
        until(lambda: (directory / CELLS / "status" / "c").is_dir())
        cancelled.extend(jobs("RUNNING"))
        subprocess.run(["scancel", *cancelled], check=True)

    thread = threading.Thread(target=cancel, daemon=True)
    thread.start()
    report = run_study(tiny(changes), directory, cluster(), quiet=True)
    thread.join(60)
    assert cancelled
    assert (report.computed, report.missing) == (120, 0)
    computed(tmp_path / "quiet" / "one", changes)
    assert_same(directory, tmp_path / "quiet" / "one")


def slow(path, seconds):
    """A plugin with which each cell takes some time, and says when it begins and when it is there."""

    class Slow(WorkerPlugin):
        name = "slow"

        def setup(self, worker):
            from dajko.study.execution import simulate as cells

            plain = cells.simulate_many

            def say(word, generators):
                with open(path, "a") as file:  # noqa: PTH123
                    file.writelines(f"{word} {generator.bit_generator.seed_seq.spawn_key}\n" for generator in generators)

            def simulate_many(experiments, generators):
                say("begin", generators)
                time.sleep(seconds)
                found = plain(experiments, generators)
                say("end", generators)
                return found

            cells.simulate_many = simulate_many

    return Slow()


def test_workers_leave_before_their_job_ends(tmp_path, tiny, computed, machine):
    """Jobs too short for the study: each worker leaves in time, another job goes on, no cell is cut off or done twice."""
    changes, directory = {"sweep": {"theta": [1e-3]}, "ensemble.members": 24, "block": 1}, tmp_path / "one"
    tls = make_certificates(tmp_path / "tls")
    short = cluster(workers=1, walltime="00:01:00", margin=30, tls=tls)
    with open_cluster(short, 24, directory=tmp_path) as client:
        client.register_plugin(slow(str(tmp_path / "said"), 1.5))
        scheduler = SchedulerAddress(kind="scheduler", address=client.scheduler.address, tls=tls)
        report = run_study(tiny(changes), directory, scheduler, quiet=True)
    assert (report.computed, report.missing) == (24, 0)
    lines = [line.split(maxsplit=1) for line in (tmp_path / "said").read_text().splitlines()]
    begun, ended = ([key for word, key in lines if word == which] for which in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert len(set(ended)) == len(ended) == 24
    logs = [path.read_text() for path in (tmp_path / "logs" / "slurm").glob("*.err")]
    assert len(logs) >= 2
    assert sum("the worker leaves" in text for text in logs) >= len(logs) - 1
    assert not any("TIME LIMIT" in text for text in logs)
    computed(tmp_path / "quiet" / "one", changes)
    assert_same(directory, tmp_path / "quiet" / "one")


def test_jobs_that_wait_say_why(tmp_path, machine, caplog):
    busy = subprocess.run(
        ["sbatch", "--parsable", "--exclusive", "--output=/dev/null", "--wrap", "sleep 300"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        until(lambda: busy in jobs("RUNNING"))
        with (
            pytest.raises(
                InputError,
                match=r"cluster: no worker has come within 4 s: squeue says .*1 PENDING \(Resources\); raise cluster\.wait",
            ),
            open_cluster(cluster(wait=4), 10, directory=tmp_path, logger=logging.getLogger("test")),
        ):
            pass
    finally:
        subprocess.run(["scancel", busy], check=True)
    until(lambda: not jobs())


def test_jobs_that_end_at_once_are_not_submitted_for_ever(tmp_path, machine):
    with (
        pytest.raises(
            InputError, match=r"cluster: 6 jobs have ended before their worker has come; .*/logs/slurm says why: "
        ),
        open_cluster(cluster(python="/nowhere/python"), 10, directory=tmp_path),
    ):
        pass
    assert any("/nowhere/python" in path.read_text() for path in (tmp_path / "logs" / "slurm").glob("*.err"))
    until(lambda: not jobs())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"partition": "nowhere"}, "cluster: Slurm refuses the job: .*[Ii]nvalid partition"),
        ({"memory": "4000GB"}, "cluster: Slurm refuses the job: .*node configuration is not available"),
        ({"directives": ["--no-such-option"]}, "cluster: Slurm refuses the job: .*unrecognized option"),
        ({"interface": "ib7"}, "cluster.interface: this host has no interface 'ib7'; it has "),
    ],
)
def test_what_slurm_refuses_is_one_sentence(tmp_path, machine, keys, message):
    with pytest.raises(InputError, match=message) as error, open_cluster(cluster(**keys), 10, directory=tmp_path):
        pass
    assert "\n" not in str(error.value)
    assert not jobs()
    assert not list(tmp_path.glob(".tls-*"))


# --- slabs that Snakemake submits -----------------------------------------------------------------------------------------


def test_slabs_as_jobs_of_snakemake_write_one_store(tmp_path, tiny, computed, machine):
    study = {**tiny(STUDY), "slabs": 3}
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump({"studies": {"one": study}}))
    profile = ROOT / "workflow" / "profiles" / "slurm"
    line = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--profile", profile]
    here = ["--directory", tmp_path, "--configfile", tmp_path / "studies.yaml"]
    fast = [
        "--slurm-init-seconds-before-status-checks",
        2,
        "--slurm-no-account",
        "--slurm-status-command",
        "squeue",
        "--set-threads",
        "simulate=1",
        "--set-resources",
        "simulate:mem_mb=1000",
        "--default-resources",
        "mem_mb=500",
        "runtime=10",
        "--slurm-keep-successful-logs",
        "--retries",
        0,
        "--seconds-between-status-checks",
        2,
    ]
    done = subprocess.run(
        [*map(str, [*line, "results/one/study.done.json", *here, *fast])],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    directory = tmp_path / "results" / "one"
    assert json.loads((directory / "study.done.json").read_text())["counts"]["converged"] == 16
    computed(tmp_path / "quiet" / "one", STUDY)
    assert_same(directory, tmp_path / "quiet" / "one")
    # Three jobs have simulated, and they were not one job.
    logs = sorted((tmp_path / ".snakemake" / "slurm_logs" / "rule_simulate").rglob("*.log"))
    assert len({path.stem for path in logs}) == 3
    assert sum(json.loads((directory / "slabs" / f"{slab}.done.json").read_text())["slab"] == slab for slab in range(3)) == 3
