"""The command line: exit codes, helps, and what it says about bad input, one line for each defect."""

import json
import math
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
import zarr
from click.testing import CliRunner

import dajko
from dajko.cli import main
from dajko.study.config.parse import parse
from dajko.study.config.study import StudyConfig
from dajko.study.design.members import make_plan
from dajko.study.store.cells import CellStore
from dajko.study.store.prepare import prepare

DAJKO = [sys.executable, "-c", "from dajko.cli import main; main(prog_name='dajko')"]


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Runs the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments], prog_name="dajko")


@pytest.fixture
def write(tmp_path, tiny):
    """Writes a file of one changed tiny study, run by one process, with changes of the file itself."""

    def to_file(changes=None, **rest):
        path = tmp_path / "studies.yaml"
        content = {"studies": {"one": tiny(changes)}, "cluster": {"kind": "local", "workers": 1}, **rest}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return to_file


def contents(directory):
    """Every file below a directory with its content, so that any change is seen."""
    return {p: p.read_bytes() if p.is_file() else None for p in directory.rglob("*")}


@pytest.fixture
def refused(invoke, tmp_path):
    """What a command says about bad input, without its `dajko: `; nothing may be written."""

    def lines(*arguments):
        before = contents(tmp_path)
        result = invoke(*arguments)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        found = result.stderr.splitlines()
        assert found
        assert all(line.startswith("dajko: ") for line in found)
        assert contents(tmp_path) == before
        return [line.removeprefix("dajko: ") for line in found]

    return lines


# --- helps ----------------------------------------------------------------------------------------------------------------

COMMANDS = sorted(main.commands)


def test_the_commands():
    assert COMMANDS == ["cluster", "migrate", "report", "reproduce", "retry", "run", "status", "validate"]


@pytest.mark.parametrize("command", [[], *([c] for c in COMMANDS)], ids=str)
def test_every_help_has_an_example_that_could_be_typed(invoke, command):
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    examples = [line.strip() for line in result.output.splitlines() if line.startswith("    dajko ")]
    assert examples
    for example in examples:
        words = example.split()
        assert words[1] in COMMANDS
        # click accepts the options and arguments of the example.
        with main.make_context("dajko", words[1:]) as parent:
            main.commands[words[1]].make_context(words[1], words[2:], parent=parent)
    if command:
        assert "Exit code: 0 " in result.output
        assert all(example.split()[1] == command[0] for example in examples)
        assert invoke(*command, "-h").output == result.output


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("group", [[], ["cluster"]], ids=str)
def test_summaries_of_commands_are_whole(monkeypatch, invoke, width, group):
    monkeypatch.setenv("COLUMNS", str(width))
    _, summaries = invoke(*group, "--help").output.split("Commands:\n")
    lines = summaries.splitlines()
    commands = main.commands["cluster"].commands if group else main.commands
    assert [line.split()[0] for line in lines] == sorted(commands)
    assert all(line.endswith(".") and not line.endswith("..") and len(line) <= width for line in lines)


@pytest.mark.parametrize("command", [[], *([c] for c in COMMANDS)], ids=str)
def test_help_says_the_same_at_any_width(monkeypatch, invoke, command):
    def words(width):
        monkeypatch.setenv("COLUMNS", str(width))
        return invoke(*command, "--help").output.split()

    assert words(60) == words(80) == words(200)


def test_the_package_is_a_program(tmp_path, write):
    """As its script is: also with workers, which import the program's main file."""
    command = [sys.executable, "-m", "dajko"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: dajko [OPTIONS] COMMAND")
    found = subprocess.run(
        [*command, "run", write({"sweep": None})], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("results/one: 3 members: ")
    found = subprocess.run([*command, "status", "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (2, "dajko: nowhere: there is no such directory\n")


HEAVY = (
    "dask",
    "distributed",
    "jinja2",
    "matplotlib",
    "pandas",
    "scipy.fft",
    "scipy.linalg",
    "scipy.sparse",
    "xarray",
    "zarr",
)


def test_validate_loads_only_what_it_needs(write):
    """What takes long to load is what solves, stores and draws."""
    program = (
        "import sys; from dajko.cli import main\ntry: main(sys.argv[1:])\n"
        f"except SystemExit as end: print(end.code, *(m for m in {HEAVY} if m in sys.modules))"
    )
    for file in (write(), Path(__file__).parents[1] / "config" / "config.yaml"):
        done = subprocess.run([sys.executable, "-c", program, "validate", file], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0"


def test_importing_dajko_loads_nothing():
    program = "import sys, dajko; print(*(m for m in ('numpy', 'numba', 'pydantic', 'yaml') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_files_of_the_examples_exist(invoke):
    for command in COMMANDS:
        for word in invoke(command, "--help").output.split():
            if word.startswith("config/"):
                assert (Path(__file__).parents[1] / word).is_file()


def test_version(invoke):
    assert invoke("--version").output == f"dajko, version {dajko.__version__}\n"


def test_without_a_command_the_help_is_shown(invoke):
    result = invoke()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validat", "x.yaml"], "No such command 'validat'"),
        (["validate"], "Missing argument 'FILE'"),
        (["run"], "Missing argument 'FILE'"),
        (["status"], "Missing argument 'DIR'"),
        (["report"], "Missing argument 'DIR'"),
        (["reproduce", "x"], "Missing argument 'CELL'"),
        (["retry"], "Missing argument 'RESULTS'"),
        (["run", "x.yaml", "--worker", "2"], "No such option '--worker'"),
        (["run", "x.yaml", "--workers", "0"], "Invalid value for '--workers': 0 is not in the range x>=1"),
        (["run", "x.yaml", "--workers", "two"], "Invalid value for '--workers': 'two' is not a valid integer"),
        (["run", "x.yaml", "--workers"], "Option '--workers' requires an argument"),
        (["validate", "x.yaml", "y.yaml"], "Got unexpected extra argument (y.yaml)"),
        (["--verbose"], "No such option '--verbose'"),
    ],
)
def test_a_command_that_is_none(refused, arguments, message):
    (line,) = refused(*arguments)
    assert message in line
    assert line.endswith("--help")


# --- bad studies ----------------------------------------------------------------------------------------------------------


def values(numbers):
    return {"kind": "values", "values": numbers}


def sensors(position, width):
    return [{"kind": "sensors", "positions": [position], "width": width}]


def perturbed(key, **distribution):
    return {"ensemble.perturbations": {key: distribution}, "sweep": None}


NO_KEY = "the study has no such key"
NO_MASS = "the density must have a positive mass, got 0"

# Changes of a study: the dotted key that the message begins with, and what it says.
BAD_STUDIES = [
    # keys and types
    ({"thetta": 1}, "thetta", "unknown key; allowed: title, truth, model, grid, time, observations, noise, theta, "),
    ({"grid.ny": 1}, "grid.ny", "unknown key; allowed: left, right, nx, nt, scheme, time_rule"),
    ({"theta": "small"}, "theta", "must be a number, got 'small'"),
    ({"theta": "1.0"}, "theta", "must be a number, got '1.0'"),
    ({"theta": True}, "theta", "must be a number, got true"),
    ({"theta": [1.0]}, "theta", "must be a number, got [1.0]"),
    ({"grid": [-1, 1]}, "grid", "must be a mapping of keys to values, got [-1, 1]"),
    ({"grid.nt": True}, "grid.nt", "must be a whole number, got true"),
    ({"observations.operators": 3}, "observations.operators", "must be a list, got 3"),
    ({"observations.operators": "mean"}, "observations.operators", "must be a list, got 'mean'"),
    ({"limits": "yes"}, "limits", "must be true or false, got 'yes'"),
    ({"title": 3}, "title", "must be text, got 3"),
    ({"grid.left": None}, "grid.left", "is missing"),
    ({"model.initial": {"std": 1.0}}, "model.initial", "must have the key kind, one of barenblatt, gaussian"),
    # numbers
    ({"theta": 0}, "theta", "must be greater than 0, got 0"),
    ({"theta": -1e-3}, "theta", "must be greater than 0, got -0.001"),
    ({"theta": math.nan}, "theta", "must be greater than 0, got .nan"),
    ({"time.tau": 0}, "time.tau", "must be greater than 0, got 0"),
    ({"time.tau": -1}, "time.tau", "must be greater than 0, got -1"),
    ({"time.tau": math.inf}, "time.tau", "must be a finite number, got .inf"),
    ({"time.steps": 2.5}, "time.steps", "must be a whole number, got 2.5"),
    ({"time": {"tau": 0.2, "end": 0.5}}, "time", "end must be a multiple of tau, got end 0.5 and tau 0.2"),
    ({"time.end": 1.5e-3}, "time", "must have exactly one of the keys steps and end"),
    ({"time.steps": None}, "time", "must have exactly one of the keys steps and end"),
    ({"grid.nx": 3}, "grid.nx", "must be at least 4, got 3"),
    ({"grid.nx": 8.5}, "grid.nx", "must be a whole number, got 8.5"),
    ({"grid.nt": 0}, "grid.nt", "must be at least 1, got 0"),
    ({"grid.left": 0.7}, "grid", "left must be less than right, got 0.7 and 0.7"),
    ({"grid.right": math.inf}, "grid.right", "must be a finite number, got .inf"),
    ({"grid.time_rule": "left"}, "grid.time_rule", "must be 'half_level', 'right' or 'trapezoid', got 'left'"),
    ({"grid.nx": 10**12}, "", "the densities of one member must be at most 67108864 numbers"),
    ({"noise.level": -0.1}, "noise.level", "must be at least 0, got -0.1"),
    ({"noise.kind": "poisson"}, "noise.kind", "must be 'gaussian', got 'poisson'"),
    ({"block": 0}, "block", "must be greater than 0, got 0"),
    ({"slabs": 0}, "slabs", "must be greater than 0, got 0"),
    ({"store.density": "some"}, "store.density", "must be 'all', 'final' or 'none', got 'some'"),
    ({"report.times": [-1]}, "report.times.0", "must be at least 0, got -1"),
    # what older configurations say
    (
        {"model.initial": {"profile": "gaussian", "std": 0.1}},
        "model.initial",
        "the kind of an ingredient is named by kind today: write {kind: gaussian, …}",
    ),
    (
        {"observations.operators": [{"sensors": {"positions": [0.0], "width": 0.2}}]},
        "observations.operators.0",
        "write {kind: sensors, …}",
    ),
    ({"solver": {"name": "pd3o"}}, "solver", "write {kind: pd3o, …}"),
    # densities and energies
    ({"model.initial": values([1] * 10 + [-1])}, "model.initial.values.10", "must be at least 0, got -1"),
    ({"model.initial": values([1] * 10 + [math.nan])}, "model.initial.values.10", "must be a finite number, got .nan"),
    ({"model.initial": values([0] * 11)}, "model.initial", NO_MASS),
    (
        {"model.initial": values([1] * 10)},
        "model.initial.values",
        "must be 11 numbers, one for each point of the grid, got 10",
    ),
    ({"model.initial": values([])}, "model.initial.values", "must not be empty"),
    ({"model.initial.shift": 5.0}, "model.initial", NO_MASS),
    ({"truth.solution.shift": 5.0}, "truth.solution", NO_MASS),
    (
        {"model.initial.time_shift": -1.0},
        "model.initial",
        "time_shift must be greater than -t0, got -1.0 and t0 0.001",
    ),
    ({"model.mass": 0}, "model.mass", "must be greater than 0, got 0"),
    (
        {"model.initial": {"kind": "square"}},
        "model.initial",
        "kind must be one of barenblatt, gaussian, gaussian_mixture, heat, ",
    ),
    ({"model.initial.m": 1.0}, "model.initial.m", "must be greater than 1, got 1.0"),
    ({"model.energy.internal.m": 1}, "model.energy.internal.m", "must be greater than 1, got 1"),
    (
        {"model.energy.internal": {"kind": "power"}},
        "model.energy.internal",
        "kind must be one of entropy, porous_medium, or module:Class, got 'power'",
    ),
    ({"model.energy": "porous_medium"}, "model.energy", "must be a mapping of keys to values, got 'porous_medium'"),
    (
        {"model.energy.potential": values([1.0])},
        "model.energy.potential.values",
        "must be 11 numbers, one for each point of the grid",
    ),
    (
        {"model.energy.potential": values([math.inf] + [0] * 10)},
        "model.energy.potential.values.0",
        "must be a finite number",
    ),
    # measurements
    (
        {"observations.operators": ["median"]},
        "observations.operators.0",
        "kind must be one of expectation, interval_masses, mass, mean, sensors, spread, variance, or module:Class, got",
    ),
    (
        {"observations.operators": [3]},
        "observations.operators.0",
        "must be a mapping with the key kind, or one of the words expectation, interval_masses, mass, mean",
    ),
    (
        {"observations.operators": sensors(0.8, 0.2)},
        "observations.operators.0",
        "positions of sensors must lie in [-0.7, 0.7], got 0.8",
    ),
    (
        {"observations.operators": sensors(0.0, 0.01)},
        "observations.operators.0",
        "width of sensors must be at least half a cell, 0.07, got 0.01",
    ),
    ({"observations.operators": sensors(0.0, 0)}, "observations.operators.0.width", "must be greater than 0, got 0"),
    ({"observations.first": 4}, "observations.first", "must be at most the number of steps, 3, got 4"),
    ({"observations.every": 0}, "observations.every", "must be greater than 0, got 0"),
    # solver
    ({"solver.tol": 0}, "solver.tol", "must be greater than 0, got 0"),
    ({"solver.max_iterations": 0}, "solver.max_iterations", "must be greater than 0, got 0"),
    ({"solver.primal_step": 1e6}, "solver", "primal_step must be less than 2 / L = "),
    (
        {"solver.dual_step": 1e6, "solver.primal_step": 0.2},
        "solver",
        "primal_step * dual_step must be less than 1 / |AA*| = ",
    ),
    # sweeps
    ({"sweep": {"noise.levle": [0.1]}}, "sweep.noise.levle", f"{NO_KEY}; did you mean noise.level or "),
    ({"sweep": {"qqq": [0.1]}}, "sweep.qqq", f"{NO_KEY}; keys are dotted, such as noise.level or grid.nx"),
    ({"sweep": {"theta": []}}, "sweep.theta", "must not be empty"),
    ({"sweep": {"theta": 0.1}}, "sweep.theta", "must be a list, or one of {logspace: …}, {linspace: …}, {range: …}"),
    (
        {"sweep": {"theta": {"logspace": {"start": 0, "stop": 1, "num": 3}}}},
        "sweep.theta.logspace.start",
        "must be greater than 0, got 0",
    ),
    (
        {"sweep": {"theta": {"range": {"start": 2, "stop": 1, "step": 1}}}},
        "sweep.theta.range",
        "stop must be reached from start",
    ),
    ({"sweep": {"theta": [0.1, 1, 1.0]}}, "sweep.theta", "must not name a value twice, got 1.0 again"),
    (
        {"sweep": {"noise.level": [0.1], "theta": [1.0, 0.0]}},
        "theta",
        "must be greater than 0, got 0.0 (at noise.level = 0.1, theta = 0.0)",
    ),
    ({"sweep": {"model.initial.shift": [0.0, 5.0]}}, "model.initial", f"{NO_MASS} (at model.initial.shift = 5.0)"),
    (
        {"sweep": {"ensemble.members": [1, 2]}},
        "sweep.ensemble.members",
        "ensemble says what the study is and cannot vary inside it",
    ),
    (
        {"sweep": None, "zip": {"theta": [1.0, 2.0], "noise.level": [0.1]}},
        "zip",
        "all keys must have the same number of values, got {",
    ),
    ({"zip": {"theta": [1.0]}}, "zip.theta", "stands in sweep already"),
    ({"sweep": {"grid": [{"left": 0}]}}, "grid.right", "is missing (at grid = {'left': 0})"),
    ({"sweep": None, "limits": True}, "limits", "needs theta in sweep"),
    (
        {"sweep": {"solver.kind": ["pd3o", "interior_point"]}},
        "sweep.solver.kind",
        "each kind has keys and defaults of its own, so the whole must vary: "
        "write solver: [{kind: pd3o}, {kind: interior_point}] there, with the keys of each",
    ),
    (
        {"solver": {"kind": "interior_point"}, "sweep": None, "zip": {"solver.kind": ["pd3o", "interior_point"]}},
        "zip.solver.kind",
        "write solver: [{kind: pd3o}, {kind: interior_point}] there",
    ),
    (
        {"sweep": {"model.energy.internal.kind": ["porous_medium", "entropy"]}},
        "sweep.model.energy.internal.kind",
        "write model.energy.internal: [{kind: porous_medium}, {kind: entropy}] there",
    ),
    ({"sweep": {"theta": [1e-5, 9.999999999999999e-06]}}, "sweep.theta", "must not name a value twice, got 1e-05 again"),
    ({"theta": None, "sweep": None}, "theta", "is missing; .inf records the measurements"),
    (
        {"sweep": {"theta": [1e-9, 1.0]}, "limits": True},
        "limits",
        "adds theta = 5e-07 and theta = .inf, so the sweep must stay between",
    ),
    # ensembles
    ({"ensemble.members": 0}, "ensemble.members", "must be greater than 0, got 0"),
    ({"ensemble.members": 10**9}, "", "must have at most 10000000 cells, points times members, got 2000000000"),
    ({"ensemble.seed": -1}, "ensemble.seed", "must be at least 0, got -1"),
    (
        perturbed("model.initial.kind", kind="normal", std=1.0),
        "ensemble.perturbations.model.initial.kind",
        "only a number can be perturbed, got 'barenblatt'",
    ),
    (
        perturbed("model.mass", kind="normal", std=1.0),
        "ensemble.perturbations.model.mass",
        "needs a mean, because the study gives no value to model.mass",
    ),
    (
        perturbed("noise.level", kind="uniform", low=2, high=1),
        "ensemble.perturbations.noise.level",
        "low must be less than high, got 2.0 and 1.0",
    ),
    (perturbed("noise.level"), "ensemble.perturbations.noise.level", "must have the key kind, one of normal, uniform"),
    (
        perturbed("noise.level", kind="lognormal"),
        "ensemble.perturbations.noise.level",
        "kind must be one of normal, uniform, or module:Class, got 'lognormal'",
    ),
    (
        perturbed("noise.lvel", kind="normal", std=1.0),
        "ensemble.perturbations.noise.lvel",
        f"{NO_KEY}; did you mean noise.level",
    ),
    (perturbed("theta", kind="normal", mean=-1.0, std=0.1), "theta", "must be greater than 0, got -"),
]


@pytest.mark.parametrize(
    ("changes", "key", "message"), BAD_STUDIES, ids=[f"{i}-{k}" for i, (_, k, _) in enumerate(BAD_STUDIES)]
)
def test_a_bad_study(refused, write, changes, key, message):
    path = write(changes)
    (line,) = refused("validate", path)
    assert line.startswith(f"{path}: studies.one{'.' * bool(key)}{key}: ")
    assert message in line
    assert refused("run", path) == [line]


def test_an_unknown_solver(refused, write):
    path = write({"solver.kind": "newton"})
    (line,) = refused("validate", path)
    assert line.startswith(f"{path}: studies.one.solver")
    assert "kind must be one of interior_point, pd3o, quantile, or module:Class, got 'newton'" in line


# Changes of the file itself.
BAD_FILES = [
    ({"studis": {}}, "studis: unknown key; allowed: studies, cluster, results"),
    ({"studies": {}}, "studies: must not be empty"),
    ({"studies": None}, "studies: must be a mapping of keys to values, got null"),
    ({"studies": {"one": None}}, "studies.one: must be a mapping of keys to values, got null"),
    ({"studies": {"a/b": {}}}, "studies.a/b: must be a word of letters, digits, - and _, got 'a/b'"),
    ({"studies": {"a b": {}}}, "studies.a b: must be a word of letters, digits, - and _, got 'a b'"),
    ({"studies": {"..": {}}}, "studies...: must be a word of letters, digits, - and _, got '..'"),
    ({"studies": {"x" * 81: {}}}, "must be at most 80 characters long"),
    ({"cluster": {"kind": "pbs"}}, "cluster: kind must be one of 'local', 'scheduler', 'slurm', got 'pbs'"),
    ({"cluster": {"kind": "slurm"}}, "cluster: must have the key workers, or the keys minimum and maximum"),
    ({"cluster": {"kind": "slurm", "workers": 2, "maximum": 3}}, "cluster: must have either workers or minimum and maximum"),
    ({"cluster": {"kind": "slurm", "minimum": 4, "maximum": 3}}, "cluster: must have a minimum that is at most maximum"),
    ({"cluster": {"kind": "slurm", "workers": 2, "walltime": "4h"}}, "cluster.walltime: must be a time such as 04:00:00 or"),
    ({"cluster": {"kind": "slurm", "workers": 2, "walltime": "00:00:30"}}, "cluster.walltime: must be at least a minute"),
    (
        {"cluster": {"kind": "slurm", "workers": 2, "memory": "much"}},
        "cluster.memory: must be an amount of memory such as 2GB",
    ),
    ({"cluster": {"kind": "slurm", "workers": 2, "directives": ["a\nb"]}}, "cluster.directives.0: must be one line of text"),
    ({"cluster": {"kind": "slurm", "workers": 2, "queue": "main"}}, "cluster.queue: unknown key; allowed: kind, partition,"),
    ({"cluster": {"kind": "scheduler", "file": "b", "tls": {"ca": "a"}}}, "cluster.tls.cert: is missing"),
    ({"cluster": {"workers": 2}}, "cluster: must be a mapping with the key 'kind', got {\"workers\": 2}"),
    ({"cluster": {"kind": "local", "workers": 0}}, "cluster.workers: must be greater than 0, got 0"),
    ({"cluster": {"kind": "scheduler"}}, "cluster: must have exactly one of the keys address and file"),
    (
        {"cluster": {"kind": "scheduler", "address": "a", "file": "b"}},
        "cluster: must have exactly one of the keys address and",
    ),
    ({"cluster": {"kind": "scheduler", "address": ""}}, "cluster.address: must not be empty"),
    ({"results": ""}, "results: must not be empty"),
    ({"results": 3}, "results: must be text, got 3"),
    ({"results": "$NO_SUCH_VARIABLE/x"}, "results: the environment variable NO_SUCH_VARIABLE is not set"),
]


@pytest.mark.parametrize(("rest", "message"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_bad_file(refused, write, rest, message):
    path = write(**rest)
    lines = refused("validate", path)
    assert any(line.startswith(f"{path}: ") and message in line for line in lines)
    assert refused("run", path) == lines


BAD_TEXTS = [
    ("", "must be a mapping of keys to values, got null"),
    ("- a\n", 'must be a mapping of keys to values, got ["a"]'),
    ("studies: [1, 2\n", "is not valid YAML: "),
    ("studies: {a: {theta: 1, theta: 2}}\n", "line 1, column 25: is not valid YAML: the key 'theta' stands twice"),
    ("studies: !!python/object/apply:os.system ['touch bad']\n", "could not determine a constructor for the tag"),
    ("studies: \x00\n", "is not valid YAML: "),
    ("\x80", "is not a text file in UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS, ids=range(len(BAD_TEXTS)))
def test_a_file_that_is_no_studies(refused, tmp_path, text, message):
    path = tmp_path / "studies.yaml"
    path.write_bytes(text.encode("latin-1"))
    (line,) = refused("validate", path)
    assert line.startswith(f"{path}: ")
    assert message in line
    assert refused("run", path) == [line]


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_file_that_is_not_there(refused, tmp_path, command):
    assert refused(command, "nowhere.yaml") == ["nowhere.yaml: cannot be read: No such file or directory"]
    assert refused(command, tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_several_defects_are_one_line_each(refused, write):
    path = write({"theta": -1, "grid.nx": 3, "noise": {"level": -1, "kin": 1}})
    assert sorted(line.removeprefix(f"{path}: studies.one.") for line in refused("validate", path)) == [
        "grid.nx: must be at least 4, got 3",
        "noise.kin: unknown key; allowed: kind, level, relative",
        "theta: must be greater than 0, got -1",
    ]


def test_a_study_that_is_not_in_the_file(refused, write):
    path = write()
    assert refused("run", path, "one", "tow") == [f"{path}: has no study 'tow'; it has one"]


def test_a_bad_study_keeps_the_others_from_starting(refused, tiny, tmp_path):
    path = tmp_path / "studies.yaml"
    path.write_text(yaml.safe_dump({"studies": {"good": tiny(), "bad": tiny({"model.initial.shift": 9.0})}}))
    assert refused("run", path) == [f"{path}: studies.bad.model.initial: {NO_MASS} (at theta = 0.001)"]


# --- bad directories ------------------------------------------------------------------------------------------------------


def test_results_of_another_study(refused, write, tmp_path, tiny):
    prepare(tmp_path / "results" / "one", make_plan("other", parse(StudyConfig, tiny())))
    (line,) = refused("run", write())
    assert line == f"{tmp_path}/results/one: holds the study 'other', not 'one'; choose another results directory"


def test_results_that_are_no_store_of_dajko(refused, write, tmp_path):
    zarr.create_group(tmp_path / "results" / "one" / "cells.zarr")
    (line,) = refused("run", write())
    assert line == f"{tmp_path}/results/one/cells.zarr: is not a store of dajko; choose another results directory"
    (line,) = refused("status", "results")
    assert line == "results/one/cells.zarr: is not a store of dajko; choose another results directory"


def test_results_below_a_file(refused, write, tmp_path):
    (tmp_path / "file").write_text("x")
    (line,) = refused("run", write(), "--results", "file/deep")
    assert (
        line
        == f"{tmp_path}/file/deep/one: cannot be written, because {tmp_path}/file is not a directory that may be written"
    )


def test_results_that_do_not_fit_are_refused_and_recomputed_on_request(refused, invoke, write, tmp_path):
    assert invoke("run", write({"sweep": None})).exit_code == 0
    lines = refused("run", write({"sweep": None, "grid.nx": 12}))
    assert lines[0] == f"{tmp_path}/results/one: does not fit the study: grid.nx: the store has 10, the study has 12"
    assert len(lines) == 2
    assert "--recompute" in lines[1]
    result = invoke("run", write({"sweep": None, "grid.nx": 12}), "--recompute")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "results/one: 3 members: 3 converged, 3 computed now")
    assert len(list((tmp_path / "results" / "one" / "previous").glob("*/cells.zarr"))) == 1


def test_a_wider_study_computes_what_is_new(invoke, write):
    assert invoke("run", write({"sweep": {"theta": [1e-3]}})).exit_code == 0
    result = invoke("run", write({"sweep": {"theta": [1e-3, 1e-2]}, "ensemble.members": 4}))
    assert result.stdout.splitlines()[0] == "results/one: 8 members: 8 converged, 5 computed now"


@pytest.mark.parametrize("command", ["status", "report", "migrate", "retry"])
def test_directories_without_a_study(refused, tmp_path, command):
    assert refused(command, "nowhere") == ["nowhere: there is no such directory"]
    (tmp_path / "file").write_text("x")
    assert refused(command, "file") == ["file: there is no such directory"]
    (tmp_path / "empty").mkdir()
    assert refused(command, "empty") == ["empty: holds no study; give a results directory or the directory of a study"]


# --- good studies ---------------------------------------------------------------------------------------------------------


def test_validate_says_what_would_be_computed(invoke, write, tmp_path):
    result = invoke("validate", write({"sweep": {"theta": [1.0, 2.0], "noise.level": [0.0, 0.1, 0.2]}}))
    assert result.exit_code == 0
    assert result.output.startswith("one: 6 points x 3 members = 18 cells, very roughly ")
    assert result.stderr == (
        "dajko: warning: studies.one.model.initial: is 3.2 mesh widths wide (grid.nx is 10), and will not spread "
        "as it should\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["studies.yaml"]


def test_validate_solves_nothing(invoke, write, monkeypatch):
    def never(*_, **__):
        raise AssertionError("nothing may be solved here")

    monkeypatch.setattr("dajko.study.twin.experiment.trajectory", never)
    truth = {"kind": "solve", "energy": {"internal": {"kind": "entropy"}}, "initial": {"kind": "gaussian"}}
    assert invoke("validate", write({"truth": truth})).exit_code == 0


def test_the_default_studies_are_valid(invoke):
    result = invoke("validate", Path(__file__).parents[1] / "config" / "config.yaml")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.output.splitlines()] == [
        "theta-noise",
        "convergence-tau",
        "convergence-nx",
        "convergence-nt",
        "convergence-tol",
    ]


def test_a_study_without_data_from_its_file_to_its_report(invoke, write, tmp_path):
    """Neither observations nor theta: a plain flow, in several groups, as the public functions compute it."""
    changes = {
        "observations": None,
        "noise": None,
        "theta": None,
        "solver": None,
        "ensemble": None,
        "sweep": {"time.tau": [5.0e-4, 2.5e-4]},
    }
    assert invoke("run", write(changes)).stdout.startswith("results/one: 2 members: 2 converged, 2 computed now")
    assert invoke("status", "results", "--verify").exit_code == 0
    assert invoke("reproduce", "results", "00-nx10-steps3/0").exit_code == 0
    assert invoke("report", "results").exit_code == 0
    assert "There is no data term" in (tmp_path / "results" / "report.html").read_text(encoding="utf-8")
    grid, energy = dajko.Grid(-0.7, 0.7, 10, 2), dajko.Energy(dajko.PorousMedium(2.0))
    for node in dajko.open_study("results/one").children.values():
        assert not {"observation", "data", "data_exact", "observed"} & set(node.variables)
        flow = dajko.evolve(dajko.Barenblatt(shift=0.1)(grid.x), energy, grid, node.time_tau.item(), 3)
        np.testing.assert_array_equal(node.density.squeeze(), flow.density)


def test_some_points_with_data_and_some_without(invoke, write):
    assert invoke("run", write({"sweep": {"observations.operators": [[], ["mean"]]}})).exit_code == 0
    without, with_data = dajko.open_study("results/one").children.values()
    assert "observation" not in without.dims
    assert with_data.observation.values.tolist() == ["mean"]


def test_results_in_the_home_or_in_a_variable(invoke, write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    assert invoke("run", write({"sweep": None}, results="~/x")).exit_code == 0
    assert (tmp_path / "home" / "x" / "one").is_dir()
    assert invoke("run", write({"sweep": None}, results="$SCRATCH/x")).exit_code == 0
    assert (tmp_path / "scratch" / "x" / "one").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "scratch", "studies.yaml"]


def test_run_then_status_then_run_again(invoke, write, tmp_path):
    path = write()
    result = invoke("run", path)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "results/one: 6 members: 6 converged, 6 computed now",
        "Figures and tables: dajko report results",
    ]
    assert "6 of 6 members" in result.stderr
    for directory in ("results", "results/one"):
        result = invoke("status", directory)
        assert (result.exit_code, result.output) == (0, "one: 6 members: 6 converged\n")
    result = invoke("status", "results", "--json")
    assert result.exit_code == 0
    counts = CellStore(tmp_path / "results" / "one" / "cells.zarr").counts()
    assert counts["converged"] == 6
    state = {"directory": "results/one", "cells": 6, "counts": counts, "unasked": 0, "outdated": 0, "damaged": 0}
    nothing = {
        "failures": {},
        "notes": [],
        "verified": False,
        "whole": True,
        "settings": [],
        "running": False,
        "rate": None,
        "seconds_left": None,
    }
    assert json.loads(result.output) == {"one": {**state, **nothing}}
    result = invoke("run", path, "one", "--results", "results", "--workers", "1")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "results/one: 6 members: 6 converged, 0 computed now"


def test_failed_members_are_exit_code_1(invoke, write):
    result = invoke("run", write({"sweep": {"solver.max_iterations": [1, 100_000]}}))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "results/one: 6 members: 3 converged, 3 did not converge, 6 computed now"
    result = invoke("status", "results")
    expected = "one: 6 members: 3 converged, 3 did not converge\n  3 failed: iteration limit\n"
    assert (result.exit_code, result.output) == (1, expected)
    assert json.loads(invoke("status", "results", "--json").output)["one"]["failures"] == {"iteration limit": 3}
    result = invoke("reproduce", "results", "0")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "not_converged; equal to the stored cell, bit for bit"
    assert json.loads(invoke("reproduce", "results/one", "0", "--json").output)["equal"] is True
    result = invoke("retry", "results", "--set", "solver.max_iterations=2", "--workers", "1")
    assert result.exit_code == 1
    result = invoke("retry", "results", "--solver", "interior_point", "--workers", "1")
    assert result.exit_code == 0
    assert result.stdout == "results/one: 6 members: 6 converged, 3 computed now\n"
    result = invoke("status", "results")
    words = "  3 solved with solver = {'kind': 'interior_point'}"
    assert (result.exit_code, result.output.splitlines()[1:]) == (0, [words])


def test_reproduce_and_retry_of_what_is_none(refused, invoke, write, tiny, tmp_path):
    assert invoke("run", write({"sweep": None, "ensemble.members": 1})).exit_code == 0
    (line,) = refused("reproduce", "results", "1")
    assert line.endswith("results/one: has no cell '1'; name it by an id of 16 digits, or a number")
    assert refused("retry", "results", "--set", "theta=1") == [
        "theta: a retry sets keys of solver or truth.solver only; anything else makes other cells"
    ]
    assert refused("retry", "results", "--set", "solver.tol") == [
        "--set solver.tol: must be KEY=VALUE, such as solver.tol=1e-4"
    ]
    prepare(tmp_path / "results" / "two", make_plan("two", parse(StudyConfig, tiny())))
    for command in (["reproduce", "results", "1"], ["retry", "results"]):
        assert refused(*command) == ["results: holds 2 studies; name one of them: results/one, results/two"]


def test_missing_members_are_exit_code_2(invoke, tmp_path, tiny):
    prepare(tmp_path / "results" / "one", make_plan("one", parse(StudyConfig, tiny())))
    result = invoke("status", "results")
    assert (result.exit_code, result.output) == (2, "one: 6 members: 0 converged, 6 still to be computed\n")


def test_damaged_members_are_exit_code_2_and_computed_again(invoke, write, tmp_path):
    path = write({"block": 2})
    assert invoke("run", path).exit_code == 0
    result = invoke("status", "results", "--verify")
    assert (result.exit_code, result.output) == (0, "one: 6 members: 6 converged\n  no chunk is damaged\n")
    chunk = tmp_path / "results" / "one" / "cells.zarr" / "mass" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-2])
    assert invoke("status", "results").exit_code == 0
    result = invoke("status", "results", "--verify")
    assert result.exit_code == 2
    said = "  2 of 6 cells are damaged (mass missing or not as written) and left out; `dajko run` computes them again"
    assert said in result.output.splitlines()
    assert json.loads(invoke("status", "results", "--verify", "--json").output)["one"]["damaged"] == 2
    result = invoke("run", path)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "results/one: 6 members: 6 converged, 2 computed now")
    assert "one: cells 2 to 3: damaged: mass" in result.stderr
    assert invoke("status", "results", "--verify").exit_code == 0


def test_cells_that_are_not_asked_for_are_mentioned(invoke, write):
    invoke("run", write())
    assert invoke("run", write({"ensemble.members": 2})).exit_code == 0
    lines = invoke("status", "results").output.splitlines()
    assert lines == [
        "one: 4 members: 4 converged",
        "  2 further cells are in the store that the study does not ask for any more",
    ]


def test_only_the_named_studies_are_run(invoke, tiny, tmp_path):
    path = tmp_path / "studies.yaml"
    content = {name: tiny({"sweep": None, "ensemble.members": 1}) for name in ("a", "b", "c")}
    path.write_text(yaml.safe_dump({"studies": content, "results": "out"}))
    result = invoke("run", path, "c", "a", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "c"]
    result = invoke("status", "out")
    assert result.output == "a: 1 members: 1 converged\nc: 1 members: 1 converged\n"


def test_no_scheduler_is_bad_input(invoke, write):
    result = invoke("run", write(cluster={"kind": "scheduler", "address": "tcp://127.0.0.1:9", "wait": 0.3}))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(
        "dajko: cluster.address: no scheduler answers at tcp://127.0.0.1:9 within"
    )


# --- as a program ---------------------------------------------------------------------------------------------------------


def test_bad_input_of_the_program(tmp_path, write):
    path = write({"theta": 0})
    found = subprocess.run([*DAJKO, "run", str(path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == f"dajko: {path}: studies.one.theta: must be greater than 0, got 0\n"


def test_every_command_has_a_docstring_for_its_exit_codes():
    for command in main.commands.values():
        assert isinstance(command, click.Command)
        assert "Exit code" in (command.help or "")
