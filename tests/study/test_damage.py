"""Whatever happens to a store is noticed, or harmless: no wrong number without a word, and one run mends what can be."""

import json
import os
import shutil
import warnings

import google_crc32c
import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from numcodecs.zstd import Zstd

from dajko.cli import main
from dajko.errors import DamageWarning, InputError
from dajko.report import figures
from dajko.solvers import Status
from dajko.study.labelled import open_study, open_summary, write_summary
from dajko.study.layout import CELLS, NOT_REPRODUCIBLE, SUMMARY
from dajko.study.run import run_study
from dajko.study.store import CellStore

STUDY = {"sweep": {"theta": [1e-3, 1e-2, 0.1]}, "ensemble.members": 4, "block": 4}


# --- what can happen ------------------------------------------------------------------------------------------------------


def chunk(name, block=1):
    """The chunk of a block of a variable."""
    return f"{name}/c/{block}" + {"density": "/0/0", "status": "", "solve_time": ""}.get(name, "/0")


def flip(path, at=0.5):
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def swap(first, second):
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def sealed(content):
    """A chunk with a right checksum."""
    return content + google_crc32c.value(content).to_bytes(4, "little")


def instead(path, make):
    """Something else in the place of a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def edit(path, **changes):
    """Change a file of metadata; None takes a key away."""
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def codec(path, name):
    codecs = json.loads(path.read_text())["codecs"]
    edit(path, codecs=[codecs[0], {"name": name, "configuration": {}}])


def attribute(path, **changes):
    edit(path, attributes={**json.loads(path.read_text())["attributes"], **changes})


def overwrite(root, name, values):
    """Other values with right checksums of the file, as an older or another program leaves them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(root, mode="r+")
    array = group[name]
    array[tuple(slice(0, n) for n in np.shape(values))] = values


L1, ORDER, ROOT = chunk("error_l1"), "order/c/0", "zarr.json"
VARIABLE = "error_l1/zarr.json"

# Results: their cells are computed again.
LOST = {
    "a bit of a chunk": lambda p: flip(p / L1),
    "a bit of a chunk's checksum": lambda p: flip(p / L1, 1.0),
    "a chunk cut short": lambda p: (p / L1).write_bytes((p / L1).read_bytes()[:-1]),
    "an empty chunk": lambda p: (p / L1).write_bytes(b""),
    "a longer chunk": lambda p: (p / L1).write_bytes((p / L1).read_bytes() + b"x"),
    "a chunk of zeros": lambda p: (p / L1).write_bytes(bytes((p / L1).stat().st_size)),
    "a chunk that is gone": lambda p: (p / L1).unlink(),
    "two chunks exchanged": lambda p: swap(p / L1, p / chunk("error_l1", 2)),
    "a chunk of another block": lambda p: shutil.copy(p / chunk("error_l1", 0), p / L1),
    "a chunk of another variable": lambda p: shutil.copy(p / chunk("error_l2"), p / L1),
    "an older chunk, of cells that were not computed": lambda p: overwrite(p, "error_l1", np.full((8, 4), np.nan)),
    "one number of a chunk": lambda p: overwrite(p, "mass", [[1.5]]),
    "noise with a right checksum": lambda p: (p / L1).write_bytes(sealed(b"(\xb5/\xfd" + b"noise" * 30)),
    "a chunk that unpacks to a gigabyte": lambda p: (p / L1).write_bytes(sealed(Zstd().encode(bytes(10**9)))),
    "a chunk of a terabyte": lambda p: os.truncate(p / L1, 10**12),
    "a chunk that is a folder": lambda p: instead(p / L1, lambda f: f.mkdir()),
    "a chunk that is an endless device": lambda p: instead(p / L1, lambda f: f.symlink_to("/dev/zero")),
    "a chunk that is a pipe": lambda p: instead(p / L1, os.mkfifo),
    "a chunk that is a link to another": lambda p: instead(p / L1, lambda f: f.symlink_to(p / chunk("error_l1", 0))),
    "a chunk that is a link to nothing": lambda p: instead(p / L1, lambda f: f.symlink_to("nothing")),
    "a folder of chunks that is a link": lambda p: instead(p / "error_l1/c/1", lambda f: f.symlink_to(p / "error_l1/c/0")),
    "a folder of chunks that is a file": lambda p: instead(p / "error_l1/c/1", lambda f: f.write_text("x")),
    "all chunks of a variable": lambda p: shutil.rmtree(p / "error_l1/c"),
    "a chunk of densities": lambda p: flip(p / chunk("density")),
    "a chunk of densities that is gone": lambda p: (p / chunk("density")).unlink(),
    "a bit of a status": lambda p: flip(p / chunk("status")),
    "a wrong status": lambda p: overwrite(p, "status", np.full(8, Status.NOT_CONVERGED)),
    "a status that there is not": lambda p: overwrite(p, "status", np.full(8, 77)),
    "a bit of the checksums": lambda p: flip(p / chunk("checksum")),
    "checksums that are gone": lambda p: (p / chunk("checksum")).unlink(),
    "checksums of another block": lambda p: shutil.copy(p / chunk("checksum", 0), p / chunk("checksum")),
    "a variable as a whole": lambda p: shutil.rmtree(p / "density"),
}  # fmt: skip

# Files of which there are spare copies.
WRITTEN_ONCE = {
    "a bit of a coordinate": lambda p: flip(p / "theta/c/0"),
    "a coordinate that is gone": lambda p: (p / "theta/c/0").unlink(),
    "another coordinate": lambda p: shutil.copy(p / ORDER, p / "member/c/0"),
    "values of a coordinate": lambda p: overwrite(p, "theta", np.full(12, 1e-3)),
    "two cells that claim one place": lambda p: overwrite(p, "order", [0, 0]),
    "ids cut short": lambda p: (p / "cell_id/c/0").write_bytes((p / "cell_id/c/0").read_bytes()[:-9]),
    "times": lambda p: flip(p / "time/c/0"),
    "a coordinate that is a pipe": lambda p: instead(p / ORDER, os.mkfifo),
    "metadata that are gone": lambda p: (p / VARIABLE).unlink(),
    "metadata of another variable": lambda p: shutil.copy(p / "density/zarr.json", p / VARIABLE),
    "a shape of 10^15": lambda p: edit(p / VARIABLE, shape=[10**15, 4]),
    "a type of objects": lambda p: edit(p / VARIABLE, data_type="object"),
    "another type of numbers": lambda p: edit(p / VARIABLE, data_type="float32"),
    "a codec that runs code": lambda p: codec(p / VARIABLE, "numcodecs.pickle"),
    "a codec that nobody knows": lambda p: codec(p / VARIABLE, "no_such_codec"),
    "another fill value": lambda p: edit(p / VARIABLE, fill_value="x"),
    "other dimensions": lambda p: edit(p / VARIABLE, dimension_names=["time", "cell"]),
    "another order of bytes": lambda p: edit(p / VARIABLE, chunk_key_encoding={"name": "v2"}),
    "JSON cut short": lambda p: (p / VARIABLE).write_text((p / VARIABLE).read_text()[:-9]),
    "empty metadata": lambda p: (p / VARIABLE).write_text(""),
    "metadata that are no text": lambda p: (p / VARIABLE).write_bytes(b"\xff\xfe\x00"),
    "deep metadata": lambda p: (p / VARIABLE).write_text("[" * 100_000),
    "a group in the place of an array": lambda p: edit(p / VARIABLE, node_type="group"),
    "metadata that are a folder": lambda p: instead(p / VARIABLE, lambda f: f.mkdir()),
    "metadata that are an endless device": lambda p: instead(p / VARIABLE, lambda f: f.symlink_to("/dev/zero")),
    "metadata of the root that are gone": lambda p: (p / ROOT).unlink(),
    "empty metadata of the root": lambda p: (p / ROOT).write_text(""),
    "no attributes": lambda p: edit(p / ROOT, attributes={}),
    "another configuration": lambda p: attribute(p / ROOT, configuration="{}"),
    "a group that is not there": lambda p: attribute(p / ROOT, groups='["x"]'),
    "another version": lambda p: attribute(p / ROOT, schema_version=99),
    "spare copies that are gone": lambda p: (p / "checksum/spare.zip").unlink(),
    "spare copies cut short": lambda p: os.truncate(p / "checksum/spare.zip", 1000),
}  # fmt: skip

# Nothing that is shown comes from there: every number is right all the same.
HARMLESS = {
    "a chunk that a killed writer has begun": lambda p: (p / f"{L1}.x.partial").write_bytes(b"x"),
    "a file that is not ours": lambda p: (p / "density" / "note").write_text("x"),
    "a journal of noise": lambda p: (p.parent / "failures.jsonl").write_bytes(b"\xff\n[1]\n{\n"),
    "a chunk of the summary": lambda p: flip(p.parent / SUMMARY / "error_l1/c/0/0/0"),
    "a chunk of the summary that is gone": lambda p: (p.parent / SUMMARY / "error_l1/c/0/0/0").unlink(),
    "a variable of the summary": lambda p: shutil.rmtree(p.parent / SUMMARY / "error_l1"),
    "metadata of the summary": lambda p: (p.parent / SUMMARY / ROOT).unlink(),
    "attributes of the summary": lambda p: attribute(p.parent / SUMMARY / ROOT, axes='[["x", "x"]]', groups="5"),
    "a summary of noise": lambda p: instead(p.parent / SUMMARY, lambda f: f.write_text("x")),
    "a status that is gone": lambda p: (p / chunk("status")).unlink(),  # pending, and computed again
}  # fmt: skip


# --- what is said and done ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory, computed):
    """A complete study, and its numbers."""
    directory = tmp_path_factory.mktemp("whole") / "one"
    computed(directory, STUDY)
    write_summary(directory)
    return directory, numbers(open_study(directory))


@pytest.fixture
def directory(tmp_path, whole, monkeypatch):
    """A copy of it, to be damaged. What figures read is read; drawing takes its time elsewhere."""
    monkeypatch.setattr(figures, "make_figures", lambda results, tables: results.fields(1, [0, 1, 2, 3]) and {})
    return shutil.copytree(whole[0], tmp_path / "one")


def numbers(view):
    return view.drop_vars(list(NOT_REPRODUCIBLE)).drop_attrs().load(scheduler="synchronous")


def said(*arguments):
    """Exit code and sentences of a command; a traceback is none."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def looked_at(directory):
    """The numbers that a reader gets, or None, and what is said to him."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = numbers(open_study(directory))
        except InputError as error:
            return None, str(error)
    assert {w.category for w in caught} <= {DamageWarning}
    return found, " ".join(str(w.message) for w in caught)


def assert_right(found, reference):
    """Every number of a cell that counts as computed is right."""
    assert found.status.shape == reference.status.shape
    done = (found.status != Status.PENDING).values
    for name in found.variables:
        left, right = found[name], reference[name]
        if left.dims[: done.ndim] == found.status.dims and name in found.data_vars:
            assert np.array_equal(left.values[done], right.values[done], equal_nan=left.dtype.kind == "f"), name
        else:
            assert left.equals(right), name


def assert_mended(directory, study, reference, address):
    run_study(study, directory, address, quiet=True)
    assert numbers(open_study(directory)).identical(reference)
    code, text = said("status", directory, "--verify")
    assert (code, text) == (0, "one: 12 members: 12 converged\n  no chunk is damaged\n")
    assert not CellStore(directory / CELLS).mended
    assert (
        numbers(open_summary(directory))
        .drop_vars("solve_time", errors="ignore")
        .equals(reference.drop_vars(["density", "truth", "x"]))
    )


@pytest.mark.parametrize("kind", LOST)
def test_results(directory, whole, tiny, address, kind):
    reference = whole[1]
    LOST[kind](directory / CELLS)
    code, text = said("status", directory, "--verify")
    assert code == 2
    assert any(word in text for word in ("cells are damaged", "still to be computed"))
    found, sentence = looked_at(directory)
    assert "\n" not in sentence
    assert "`dajko run`" in sentence or (found is not None and (found.status == Status.PENDING).any())
    if found is not None:
        assert_right(found, reference)
    shutil.rmtree(directory / SUMMARY)
    code, text = said("report", directory)
    if code == 0:  # as if these cells had not been computed, or what is damaged is not shown
        assert_right(numbers(open_summary(directory)), reference)
        assert said("status", directory)[0] == 2
    else:
        assert "`dajko run`" in text
    assert_mended(directory, tiny(STUDY), reference, address)


@pytest.mark.parametrize("kind", WRITTEN_ONCE)
def test_what_is_written_once(directory, whole, tiny, address, kind):
    WRITTEN_ONCE[kind](directory / CELLS)
    for arguments in (("status", directory, "--verify"), ("status", directory)):
        code, text = said(*arguments)
        assert code == 2
        assert "`dajko run` writes it again" in text
    found, sentence = looked_at(directory)
    assert found is not None
    assert found.identical(whole[1])
    assert "`dajko run` writes it again" in sentence
    shutil.rmtree(directory / SUMMARY)
    code, text = said("report", directory)
    assert code == 1
    assert "`dajko run` writes it again" in text
    assert_mended(directory, tiny(STUDY), whole[1], address)


@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless(directory, whole, tiny, address, kind):
    HARMLESS[kind](directory / CELLS)
    said("status", directory, "--verify")
    found, _ = looked_at(directory)
    assert_right(found, whole[1])
    assert said("report", directory)[0] == 0
    assert_right(numbers(open_summary(directory)), whole[1])
    assert_mended(directory, tiny(STUDY), whole[1], address)


def test_at_least_thirty_kinds():
    assert len(LOST) + len(WRITTEN_ONCE) + len(HARMLESS) > 70
