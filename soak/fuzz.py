"""Ask ``dajko validate`` about damaged configurations: each is accepted or answered by sentences, soon, in little memory."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from soak.damage import damaged

# The longest time of a core that an answer may take, and the memory that a process may take for it.
SECONDS, BYTES = 20.0, 4 * 2**30
# Longer answers are none that people read.
_LONGEST_LINE, _MOST_LINES = 700, 40

# What belongs to pydantic, to Python or to a terminal, and not into a sentence.
_JARGON = re.compile(r"Input should|\[type=|<[\w.]+ object|Traceback|errors\.pydantic|NoneType|\bclass '|validation error")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Answer:
    """What became of one configuration.

    Attributes
    ----------
    number : int
    damage : str
        What was done to it.
    accepted : bool
    seconds : float
    problem : str
        Why the answer is none; empty if it is one.
    """

    number: int
    damage: str
    accepted: bool
    seconds: float
    problem: str = ""


def fuzz(seed: int, numbers: list[int], processes: int = 2) -> Iterator[Answer]:
    """The answers to damaged configurations, in processes of their own with bounded memory; in any order."""
    chunks = [numbers[i : i + 50] for i in range(0, len(numbers), 50)]
    while chunks:
        done: list[list[int]] = []
        try:
            with ProcessPoolExecutor(processes, get_context("spawn"), _limit) as pool:
                for chunk, answers in zip(chunks, pool.map(_answers, [seed] * len(chunks), chunks), strict=True):
                    yield from answers
                    done.append(chunk)
        except BrokenProcessPool:
            yield Answer(chunks[len(done)][0], "", False, 0.0, f"a process died within the numbers {chunks[len(done)]}")
            done.append(chunks[len(done)])
        chunks = chunks[len(done) :]


def _limit() -> None:
    """Bound the memory of this process, and load what is needed before."""
    import dajko.cli
    import dajko.study.commands.run  # noqa: F401

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))


def _answers(seed: int, numbers: list[int]) -> list[Answer]:
    return [answer(number, *damaged(seed, number)) for number in numbers]


def answer(number: int, damage: str, data: bytes) -> Answer:
    """Validate one configuration as the command does, and judge what it says."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.chdir(folder):
        file = Path(folder) / "studies.yaml"
        file.write_bytes(data)
        started = time.process_time()
        code, out, err, problem = _validate(file)
        seconds = time.process_time() - started
        problem = problem or _judged(code, out, err, file)
        left = sorted(path.name for path in Path(folder).rglob("*"))
        if not problem and (left != ["studies.yaml"] or file.read_bytes() != data):
            problem = f"something was written: {left}"
    return Answer(number, damage, code == 0, seconds, problem)


class _TooLong(BaseException):
    """The time is over."""


def _validate(file: Path) -> tuple[Any, str, str, str]:
    """Exit code, output and errors of ``dajko validate``, and what went wrong beside that."""
    from dajko.cli import main

    def over(*_: Any) -> None:
        raise _TooLong

    out, err = io.StringIO(), io.StringIO()
    code: Any = None
    problem = ""
    before = signal.signal(signal.SIGPROF, over)
    with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            main(["validate", str(file)])
        except SystemExit as end:
            code = end.code
        except _TooLong:
            problem = f"no answer within {SECONDS:.0f} s of a core: {_where()}"
        except BaseException as error:
            problem = f"{type(error).__name__}: {str(error)[:200]}: {_where()}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    if warned and not problem:
        first = warned[0]
        problem = f"warning: {first.category.__name__}: {str(first.message)[:200]} ({first.filename}:{first.lineno})"
    return code, out.getvalue(), err.getvalue(), problem


def _where() -> str:
    """The last lines of dajko in the traceback."""
    found = [line.strip() for line in traceback.format_exc().splitlines() if "/dajko/" in line]
    return " < ".join(re.sub(r'File ".*/dajko/', "", line) for line in found[-3:][::-1])


def _judged(code: Any, out: str, err: str, file: Path) -> str:
    """Why an answer is none."""
    if code == 0:
        warned = all(line.startswith("dajko: warning: studies.") for line in err.splitlines())
        return "" if out and warned else f"accepted, and said {err[:200]!r}"
    lines = err.split("\n")[:-1]
    if code != 2 or out or not lines:
        return f"exit code {code}, said {out[:100]!r} and {err[:200]!r}"
    for line in lines:
        if not line.startswith(f"dajko: {file}: "):
            return f"a line that does not name the file: {line[:200]!r}"
        if len(line) > _LONGEST_LINE:
            return f"a line of {len(line)} characters: {line[:200]!r}"
        if _JARGON.search(line):
            return f"jargon: {line[:300]!r}"
        if _CONTROL.search(line):
            return f"control characters: {line[:300]!r}"
    return f"{len(lines)} lines" if len(lines) > _MOST_LINES else ""
