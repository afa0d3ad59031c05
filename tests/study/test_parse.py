"""YAML as people write it, and what is said about YAML that cannot be used."""

import datetime
import math

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dajko.errors import InputError
from dajko.study.config.parse import parse, plain, read_studies, read_yaml, refuse_misreadable
from dajko.study.config.study import StudyConfig, StudyFile


@pytest.fixture
def read(tmp_path):
    """Reads text, or bytes, as a YAML file."""

    def from_text(text):
        path = tmp_path / "studies.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path)

    return from_text


@pytest.fixture
def refused(read, tmp_path):
    """The message with which a file is refused: one line that begins with the file's name."""

    def message(text):
        with pytest.raises(InputError) as caught:
            read(text)
        prefix = f"{tmp_path / 'studies.yaml'}: "
        assert str(caught.value).startswith(prefix)
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(prefix)

    return message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-2e+3", -2e3),
        ("+4e2", 4e2),
        (".5e-1", 0.05),
        ("1.e3", 1e3),
        ("1.0e-3", 1e-3),
        ("1_0e2", 1e3),
        (".inf", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_scientific_notation_is_a_number(read, text, value):
    found = read(f"x: {text}\nlist: [{text}]\n")
    assert found == {"x": value, "list": [value]}
    assert type(found["x"]) is type(found["list"][0]) is float


@pytest.mark.parametrize("text", ["e-3", "1e", "1e-", "1e-3x", "'1e-3'", '"2e5"', "1e3.5", "x1e3", "0xe-3"])
def test_what_only_resembles_a_number_stays_text(read, text):
    assert read(f"x: {text}\n") == {"x": text.strip("'\"")}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back_from_how_python_prints_it(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    path.write_text(f"x: {value!r}\n")
    found = read_yaml(path)["x"]
    assert type(found) is float
    assert found == value
    assert math.copysign(1.0, found) == math.copysign(1.0, value)


def test_whole_numbers_stay_whole(read):
    found = read("a: 100\nb: -3\nc: 1_000\n")
    assert found == {"a": 100, "b": -3, "c": 1000}
    assert all(type(v) is int for v in found.values())


@pytest.mark.parametrize(
    ("text", "value", "before"),
    [
        ("010", 10, 8),
        ("0o10", 8, "0o10"),
        ("0x1F", 31, 31),
        ("0b11", "0b11", 3),
        ("089", 89, "089"),
        ("-012", -12, -10),
        ("1:30", "1:30", 90),
        ("1:30.5", "1:30.5", 90.5),
        ("10:00:00", "10:00:00", 36000),
        ("1_000", 1000, 1000),
        ("1_0.5", 10.5, 10.5),
        ("yes", "yes", True),
        ("No", "No", False),
        ("on", "on", True),
        ("off", "off", False),
        ("true", True, True),
        ("False", False, False),
        ("~", None, None),
        ("null", None, None),
        ("2026-11-26", "2026-11-26", datetime.date(2026, 11, 26)),
        ("-.Inf", -math.inf, -math.inf),
        ("+.inf", math.inf, math.inf),
        ("1.", 1.0, 1.0),
        ("1.5e3", 1500.0, "1.5e3"),
        ("+", "+", "+"),
        ("_1", "_1", "_1"),
        ("1_", "1_", 1),
        ("'010'", "010", "010"),
    ],
)
def test_words_are_those_of_yaml_1_2(read, tmp_path, text, value, before):
    """And where a reader of YAML 1.1, as Snakemake is one, takes a word for something else, this is said."""
    found = read(f"x: {text}\n{text}: y\n")
    assert found["x"] == value
    assert type(found["x"]) is type(value)
    assert found[value] == "y"
    assert yaml.safe_load(f"x: {text}")["x"] == before
    if plain(before) == value and type(plain(before)) is type(value):
        refuse_misreadable(tmp_path / "studies.yaml")
        return
    with pytest.raises(InputError) as caught:
        refuse_misreadable(tmp_path / "studies.yaml")
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path / 'studies.yaml'}: line 1, column 4: {text!r} is ")
    assert "in YAML 1.1 and" in first
    assert "line 2, column 1" in second


def test_not_a_number_is_one(read):
    assert math.isnan(read("x: .nan")["x"])


def test_a_wall_time_may_be_read_as_its_seconds(tmp_path):
    path = tmp_path / "studies.yaml"
    path.write_text("cluster: {kind: slurm, workers: 1, walltime: 10:00:00}\nbase: &base {x: 1}\nmore: {<<: *base}\n")
    refuse_misreadable(path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1:30", "ensemble.members: must be a whole number, got '1:30'"),
        ("yes", "ensemble.members: must be a whole number, got 'yes'"),
        ("2026-11-26", "ensemble.members: must be a whole number, got '2026-11-26'"),
    ],
)
def test_what_is_no_number_in_yaml_1_2_is_none(tmp_path, tiny, value, says):
    path = tmp_path / "studies.yaml"
    path.write_text(yaml.safe_dump({"studies": {"one": tiny({"ensemble.members": "HERE"})}}).replace("HERE", value))
    with pytest.raises(InputError, match=says):
        read_studies(path)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", 3),
        ("studies:\n  one: {theta: 1}\n  one: {theta: 2}\n", "one", 3),
        ("a:\n  - {x: 1, y: 2, x: 1}\n", "x", 2),
        ("base: &base {x: 1}\nb:\n  <<: *base\n  y: 1\n  y: 2\n", "y", 5),
        ("1: a\n1: b\n", "1", 2),
    ],
)
def test_a_key_that_stands_twice_is_refused(refused, text, key, line):
    message = refused(text)
    assert f"line {line}," in message
    assert f"the key {key if key.isdigit() else repr(key)} stands twice" in message


def test_aliases_and_merge_keys(read):
    found = read("""
        base: &base {x: 1, deep: {y: 2}}
        other: &other {x: 10, z: 3}
        alias: *base
        merged: {<<: *base, x: 5}
        both: {<<: [*base, *other]}
        """)
    assert found["alias"] == found["base"] == {"x": 1, "deep": {"y": 2}}
    assert found["merged"] == {"x": 5, "deep": {"y": 2}}
    assert found["both"] == {"x": 1, "deep": {"y": 2}, "z": 3}


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir ['{}']", "!!python/name:os.mkdir", "!!python/tuple [1, 2]", "!mine {{a: 1}}"]
)
def test_tags_construct_nothing(refused, tmp_path, tag):
    target = tmp_path / "made-by-yaml"
    assert "could not determine a constructor for the tag" in refused(f"x: {tag.format(target)}\n")
    assert not target.exists()


@pytest.mark.parametrize(
    ("value", "word", "kind"),
    [
        ("!!timestamp tau", "tau", "timestamp"),
        ("!!timestamp 2026-13-45", "2026-13-45", "timestamp"),
        ("!!int 1:30", "1:30", "int"),
        ("!!bool perhaps", "perhaps", "bool"),
        ("!!int few", "few", "int"),
        ("!!float much", "much", "float"),
    ],
)
def test_words_that_do_not_fit_their_tag(refused, value, word, kind):
    message = refused(f"a: 1\nx: {value}\n")
    assert f"line 2, column 4: is not valid YAML: {word!r} cannot be read as {kind}" in message
    assert "cannot be read as" in refused(f"{value}: 1\n")


def test_byte_order_mark_and_other_letters(read):
    assert read(b"\xef\xbb\xbftitle: \xce\xb8 gr\xc3\xb6\xc3\x9fer\n") == {"title": "θ größer"}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null\n", "- a\n- b\n", "just words\n", "3\n"])
def test_a_file_without_keys(tmp_path, text):
    path = tmp_path / "studies.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"studies\.yaml: must be a mapping of keys to values, got "):
        read_studies(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(range(256)), "is not a text file in UTF-8"),
        ("title: x\n".encode("utf-16"), "is not a text file in UTF-8"),
        (b"title: a\x00b\n", "is not valid YAML: "),
        ("a: [1, 2\n", "is not valid YAML: "),
        ("a: b: c\n", "line 1, column 5: is not valid YAML: mapping values are not allowed here"),
        ("a:\n\t- 1\n", "line 2, column 1: is not valid YAML: "),
        ("a: *nobody\n", "line 1, column 4: is not valid YAML: found undefined alias 'nobody'"),
        ("? [a, b]\n: 1\n", "a key must be a word"),
        ("? {a: b}\n: 1\n", "a key must be a word"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML: but found another document"),
        ("a: &a [*a]\n", "line 1, column 4: is not valid YAML: an alias stands within what it stands for"),
        ("[" * 20_000, "is not valid YAML: "),
        ("a: " + "{b: " * 5_000 + "1" + "}" * 5_000, "is not valid YAML: "),
    ],
)
def test_unusable_files(refused, content, expected):
    assert expected in refused(content)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: No such file or directory"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_every_defect_is_one_line(tmp_path, tiny):
    content = {
        "studies": {"one": tiny({"theta": -1, "grid.nx": 3}), "two": tiny({"solver.toll": 1, "time": None})},
        "cluster": {"kind": "local", "workers": 0},
    }
    path = tmp_path / "studies.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        read_studies(path)
    assert sorted(str(caught.value).splitlines()) == [
        f"{path}: cluster.workers: must be greater than 0, got 0",
        f"{path}: studies.one.grid.nx: must be at least 4, got 3",
        f"{path}: studies.one.theta: must be greater than 0, got -1",
        f"{path}: studies.two.solver.toll: unknown key; allowed: kind, tol, max_iterations, primal_step, dual_step, "
        "constraint_tolerance, data_step",
        f"{path}: studies.two.time: is missing",
    ]


def test_the_prefix_is_the_key_of_the_data():
    with pytest.raises(InputError, match=r"^studies\.mine: must be a mapping of keys to values, got \[1\]$"):
        parse(StudyConfig, [1], "studies.mine")
    with pytest.raises(InputError, match=r"^must be a mapping of keys to values, got 'text'$"):
        parse(StudyFile, "text")


def test_long_values_are_shown_in_part(tiny):
    with pytest.raises(InputError) as caught:
        parse(StudyConfig, tiny({"theta": "x" * 10_000}))
    assert str(caught.value) == f"theta: must be a number, got '{'x' * 56}..."


@pytest.mark.parametrize(
    ("key", "value"), [("grid.nx", "8"), ("grid.nx", True), ("theta", "1"), ("theta", True), ("limits", 1)]
)
def test_nothing_is_turned_into_a_number_or_a_truth_value(tiny, key, value):
    with pytest.raises(InputError, match=f"^{key}: must be "):
        parse(StudyConfig, tiny({key: value}))


def test_whole_numbers_may_be_written_as_floats(tiny):
    study = parse(StudyConfig, tiny({"solver.max_iterations": 1e5, "grid.nx": 12.0, "theta": 2}))
    assert study.solver.max_iterations == 100_000
    assert type(study.solver.max_iterations) is type(study.grid.nx) is int
    assert study.theta == 2.0


def test_plain_undoes_what_other_readers_leave():
    given = {
        "a": "1e-3",
        "b": ["-2E5", "word", "1.5"],
        "c": np.int64(3),
        "d": np.array([[1.0, 2.0]]),
        "e": (np.float32(0.5),),
    }
    found = plain(given)
    assert found == {"a": 1e-3, "b": [-2e5, "word", "1.5"], "c": 3, "d": [[1.0, 2.0]], "e": [0.5]}
    assert type(found["c"]) is int
    assert type(found["e"][0]) is float


def test_a_reader_of_yaml_1_1_gives_the_same_study(tmp_path):
    """Snakemake reads 1e-3 as text; the study, and so its hash, must not depend on who reads the file."""
    text = "a: 1e-3\nb: {c: [1e-2, 2.5e-1, 3, x], d: 1E5}\n"
    (tmp_path / "studies.yaml").write_text(text)
    assert yaml.safe_load(text)["a"] == "1e-3"
    assert plain(yaml.safe_load(text)) == read_yaml(tmp_path / "studies.yaml")


@pytest.mark.parametrize("merge", [False, True])
def test_aliases_that_stand_for_more_and_more(refused, merge):
    """Nine lines that would be 9^11 values, or as many merged keys."""
    first = "a0: &a0 {x: 1}" if merge else "a0: &a0 [1]"
    form = "{{<<: [{}]}}" if merge else "[{}]"
    lines = [f"a{i}: &a{i} " + form.format(", ".join([f"*a{i - 1}"] * 9)) for i in range(1, 12)]
    assert "is not valid YAML: its aliases stand for too much" in refused("\n".join([first, *lines]) + "\n")


def test_keys_and_answers_that_nobody_could_read(tiny):
    with pytest.raises(InputError) as raised:
        parse(StudyFile, {"studies": {"one": tiny({"grid.a\x1b[2J\nb": 1})}})
    assert str(raised.value).startswith("studies.one.grid.a\\x1b[2J\\nb: unknown key; ")
    with pytest.raises(InputError) as raised:
        parse(StudyFile, {"studies": {"one": tiny({"x" * 5000: 1})}})
    assert len(str(raised.value)) < 600
    with pytest.raises(InputError) as raised:
        parse(StudyFile, {"studies": {"one": tiny({"observations.operators": ["median"] * 3000})}})
    lines = str(raised.value).splitlines()
    assert (len(lines), lines[-1]) == (21, "and 2980 more of the kind")
