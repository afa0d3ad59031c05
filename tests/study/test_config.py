"""The models as a whole: defaults, hash, JSON and the JSON Schema."""

import json
import math
from pathlib import Path

import jsonschema
import pytest

from dajko.errors import InputError
from dajko.study.config import schema
from dajko.study.config.parse import parse, read_studies, read_yaml
from dajko.study.config.study import NOT_COMPUTED, StudyConfig, StudyFile, study_hash
from dajko.study.design.members import make_plan

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"
FILES = sorted((ROOT / "config").rglob("*.yaml"))


def test_the_schema_file_is_up_to_date():
    assert SCHEMA.read_text(encoding="utf-8") == schema.text(), f"run: python -m dajko.study.config.schema {SCHEMA}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_configurations_of_the_repository(path):
    validator = jsonschema.Draft202012Validator(schema.schema())
    validator.check_schema(validator.schema)
    validator.validate(read_yaml(path))
    file = read_studies(path)
    assert file.studies
    for name, study in file.studies.items():
        assert make_plan(name, study).points


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thetta", 1.0),
        ("theta", 0),
        ("theta", "large"),
        ("solver.tol", 0),
        ("solver.kind", "newton"),
        ("grid.nx", 3),
        ("grid.nx", 4.5),
        ("observations.operators", "mean"),
        ("observations.operators", ["median"]),
        ("model.initial", {"profile": "square"}),
        ("sweep", {"theta": {"logspace": {"start": 0, "stop": 1, "num": 3}}}),
        ("ensemble.members", 0),
        ("store.density", "some"),
    ],
)
def test_the_schema_and_the_models_refuse_the_same(tiny, key, value):
    """An editor that checks against the schema warns of what dajko would refuse."""
    content = {"studies": {"one": tiny({key: value})}}
    assert not jsonschema.Draft202012Validator(schema.schema()).is_valid(content)
    with pytest.raises(InputError, match=r"^studies\.one\."):
        parse(StudyFile, content)
    assert jsonschema.Draft202012Validator(schema.schema()).is_valid({"studies": {"one": tiny()}})


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({"observations": None, "theta": None, "sweep": None}, True),
        ({"observations.operators": [], "theta": None, "sweep": None}, True),
        ({"observations": {"every": 2}, "theta": None, "sweep": None}, True),
        ({"theta": None}, True),  # swept
        ({"theta": None, "sweep": None, "zip": {"theta": [1.0, 2.0]}}, True),
        ({"theta": None, "sweep": None}, False),
        ({"theta": None, "sweep": {"noise.level": [0.1, 0.2]}}, False),
    ],
)
def test_a_study_without_data_needs_neither_observations_nor_theta(tiny, changes, valid):
    """The weight of data may be left out where there are none, or it is swept; the schema says the same."""
    content = {"studies": {"one": tiny(changes)}}
    assert jsonschema.Draft202012Validator(schema.schema()).is_valid(content) == valid
    if valid:
        study = parse(StudyFile, content).studies["one"]
        assert study.theta == math.inf
        assert StudyConfig.model_validate_json(study.model_dump_json()) == study
        assert make_plan("one", study).points
    else:
        message = "studies.one.theta: is missing; .inf records the measurements and does not use them"
        with pytest.raises(InputError, match=f"^{message}$"):
            parse(StudyFile, content)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("results", None),
        ("cluster.file", "scheduler"),
        ("cluster.tls.ca", "scheduler"),
        ("cluster.tls.cert", "slurm"),
        ("cluster.tls.key", "slurm"),
        ("cluster.logs", "slurm"),
        ("cluster.python", "slurm"),
    ],
)
def test_paths_may_name_the_home_and_variables(tiny, monkeypatch, key, kind):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    monkeypatch.delenv("NOWHERE", raising=False)

    def read(path):
        tls = {"ca": "a", "cert": "b", "key": "c"}
        cluster = {"slurm": {"workers": 1, "tls": tls}, "scheduler": {"file": "x", "tls": tls}}.get(kind, {})
        content = {"studies": {"one": tiny()}, "cluster": {"kind": kind or "local", **cluster}}
        *above, last = key.split(".")
        node = content
        for part in above:
            node = node[part]
        node[last] = path
        found = parse(StudyFile, content)
        for part in key.split("."):
            found = getattr(found, part)
        return found

    given = ["~/x", "$SCRATCH/x", "${SCRATCH}x", "$HOME", "x", "a~b", "/x"]
    assert [read(path) for path in given] == ["/home/me/x", "/scratch/me/x", "/scratch/mex", "/home/me", "x", "a~b", "/x"]
    with pytest.raises(InputError, match=rf"^{key}: the environment variable NOWHERE is not set, got '\$NOWHERE/x'$"):
        read("$NOWHERE/x")
    with pytest.raises(InputError, match=rf"^{key}: there is no user of that name, got '~nobody-has-this-name/x'$"):
        read("~nobody-has-this-name/x")


# A change of each key of a study. The hash says which cells can be kept, so a key that is missing here is a mistake.
CHANGES = {
    "truth": {"truth.solution.m": 2.5},
    "model": {"model.mass": 1.5},
    "grid": {"grid.nt": 3},
    "time": {"time.steps": 4},
    "observations": {"observations.every": 2},
    "noise": {"noise.relative": False},
    "theta": {"theta": math.inf},
    "solver": {"solver.data_step": "dual"},
    "sweep": {"sweep": {"theta": [1.0e-3, 1.0e-2, math.inf]}},
    "zip": {"zip": {"noise.level": [0.1, 0.2]}},
    "limits": {"limits": True},
    "ensemble": {"ensemble.perturbations": {"model.initial.shift": {"kind": "normal", "std": 0.1}}},
    "store": {"store.density": "final"},
    "title": {"title": "Another title"},
    "block": {"block": 5},
    "slabs": {"slabs": 2},
    "report": {"report.times": [0.0]},
}


def test_every_key_of_a_study_has_a_change_above():
    assert set(CHANGES) == set(StudyConfig.model_fields)


@pytest.mark.parametrize("key", CHANGES)
def test_the_hash_changes_with_what_is_computed(tiny, key):
    base, changed = parse(StudyConfig, tiny()), parse(StudyConfig, tiny(CHANGES[key]))
    assert changed != base
    assert (study_hash(changed) == study_hash(base)) == (key in NOT_COMPUTED)


def test_keys_that_do_not_change_the_hash():
    assert set(NOT_COMPUTED) == {"title", "block", "slabs", "report"}


def test_the_hash_does_not_depend_on_how_a_study_is_written(tiny):
    base = study_hash(parse(StudyConfig, tiny()))
    shuffled = dict(reversed(tiny().items()))
    explicit = tiny({"noise.kind": "gaussian", "noise.relative": True, "observations.first": 1})
    whole = tiny({"theta": 0.001, "model.energy.internal.m": 2, "grid.left": -7e-1})
    for other in (shuffled, explicit, whole):
        assert study_hash(parse(StudyConfig, other)) == base


@pytest.mark.parametrize("key", CHANGES)
def test_a_study_survives_json(tiny, key):
    """Stores and Snakemake jobs hold a study as JSON; the same study and hash must come out, infinities included."""
    study = parse(StudyConfig, tiny(CHANGES[key]))
    again = StudyConfig.model_validate_json(study.model_dump_json())
    assert again == study
    assert study_hash(again) == study_hash(study)
    assert make_plan("one", again).points == make_plan("one", study).points


def test_json_of_a_study_is_json(tiny):
    text = parse(StudyConfig, tiny({"theta": math.inf})).model_dump_json()

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(text, parse_constant=refuse)["theta"] == "Infinity"


def test_studies_cannot_be_changed_in_place(tiny):
    study = parse(StudyConfig, tiny())
    with pytest.raises(ValueError, match="frozen"):
        study.theta = 5.0


@pytest.mark.parametrize(
    ("time", "count"),
    [
        ({"tau": 0.1, "end": 0.7}, 7),
        ({"tau": 1e-3, "end": 8e-3}, 8),
        ({"tau": 5e-4, "steps": 31}, 31),
        ({"tau": 0.3, "end": 0.3}, 1),
    ],
)
def test_number_of_steps(tiny, time, count):
    assert parse(StudyConfig, tiny({"time": time})).time.count == count


@pytest.mark.parametrize("time", [{"tau": 0.1, "end": 0.75}, {"tau": 0.2, "end": 0.1}, {"tau": 1e-300, "end": 1e300}])
def test_the_end_is_a_multiple_of_the_step(tiny, time):
    with pytest.raises(InputError, match=r"^time: end must be a multiple of tau, got end "):
        parse(StudyConfig, tiny({"time": time}))
