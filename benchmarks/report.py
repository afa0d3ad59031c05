"""Results as tables, for the terminal and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from benchmarks.figures import MEMBERS
from benchmarks.results import Occasion, Results
from benchmarks.scaling import Point, along, exponent
from benchmarks.solvers import Result
from benchmarks.study import BUSY, Profile, Throughput
from benchmarks.timing import spread, times_faster

_TIMES = "\N{MULTIPLICATION SIGN}"
_LABELS = {
    "pd3o": "`pd3o`",
    "interior_point": "`interior_point`",
    "lanes": "lanes",
    "copies": "lanes, copies",
    "clarabel": "Clarabel",
}
_REMARK = (
    f"{_TIMES}: times faster than `pd3o`. lanes: `interior_point` on {MEMBERS} members that differ, time of one of them; "
    f"copies: on {MEMBERS} copies of one, none of which waits for another. Clarabel: the whole call of CVXPY."
)
_SETTINGS = {"equal": "at an error not above that of `pd3o`", "default": "at the default tolerances"}


@dataclass(frozen=True)
class Sheet:
    """A table: a title, the names of the columns, rows of text, and a remark."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    remark: str = ""

    def rich(self) -> Group:
        """For the terminal."""
        table = Table(title=self.title.replace("`", ""), title_justify="left", title_style="bold")
        for i, column in enumerate(self.columns):
            table.add_column(column.replace("`", ""), justify="left" if i < 2 else "right")
        for row in self.rows:
            table.add_row(*(cell.replace("`", "") for cell in row))
        return Group(Text(), table, Text(self.remark.replace("`", ""), style="dim"))

    def markdown(self) -> str:
        """For a document."""
        head = [f"**{self.title}**", "", _line(self.columns), _line(["---"] * len(self.columns))]
        return "\n".join([*head, *map(_line, self.rows), *(["", self.remark] if self.remark else [])])


def sheets(results: Results) -> list[Sheet]:
    """All tables for which there are results."""
    found = []
    if results.figures:
        found += [_summary(results.figures, setting) for setting in _SETTINGS]
        found.append(_everything(results.figures))
    if results.scaling:
        found += [_scaling(results.scaling, axis) for axis in ("nx", "nt")]
    if results.study:
        found.append(_study(results.study))
    if results.iteration is not None:
        kernel, plain = results.iteration.kernel, results.iteration.numpy
        row = (_micro(kernel), _micro(plain), f"{times_faster(plain, kernel):.1f}")
        found.append(Sheet("One iteration of Algorithm 1", ("`pd3o`, µs", "NumPy, µs", "times faster"), [row]))
    return found


def show(results: Results, console: Console) -> None:
    """Print all tables."""
    for sheet in sheets(results):
        console.print(sheet.rich())
    for part, occasion in results.occasions.items():
        console.print(f"{part}: {_where(occasion)}, load {occasion.load:.1f}, took {occasion.seconds:.0f} s", style="dim")


def markdown(results: Results) -> str:
    """All tables and where they come from, as Markdown."""
    parts: dict[str, list[str]] = {}
    for part, occasion in results.occasions.items():
        parts.setdefault(_where(occasion), []).append(part)
    where = [f"Measured ({', '.join(names)}) {text}." for text, names in parts.items()]
    return "\n\n".join([*where, *(sheet.markdown() for sheet in sheets(results))])


def profile_sheets(profile: Profile) -> list[Sheet]:
    """Where the time of a study went."""
    run = profile.run
    total = sum(profile.driver.values())
    driver = [(name, f"{s:.2f}", f"{100 * s / total:.1f}") for name, s in _descending(profile.driver)]
    available = run.workers * profile.driver["computing"]
    solver, busy = run.solver_seconds, run.busy_seconds
    workers = [
        (name, f"{s:.1f}", f"{100 * s / available:.1f}")
        for name, s in (("solver", solver), ("blocks, outside the solver", busy - solver), ("waiting", profile.idle))
    ]
    blocks = [(name, f"{100 * share:.2f}") for name, share in _descending(profile.blocks)]
    return [
        Sheet(
            f"{run.members} members, {run.workers} workers: {run.members_per_second:.0f} members a second",
            ("the process that starts it", "s", "%"),
            driver,
        ),
        Sheet(
            "The workers while computing",
            ("workers", "s", "%"),
            workers,
            f"{100 * (1 - run.outside_solver):.1f} % of the busy time in the solver",
        ),
        Sheet("CPU time of a block", ("stage", "%"), blocks),
    ]


def _summary(figures: Sequence[Result], setting: str) -> Sheet:
    rows = []
    for name in dict.fromkeys(r.figure for r in figures):
        found = {r.solver: r for r in figures if r.figure == name and (r.setting == setting or r.solver == "pd3o")}
        cells = [name, _ms(found["pd3o"])]
        for solver in ("interior_point", "lanes", "copies"):
            cells += [_ms(found.get(solver)), _faster(found["pd3o"], found.get(solver))]
        conic, ours = found.get("clarabel"), found.get("interior_point")
        rows.append((*cells, _ms(conic), _faster(conic, ours)))
    columns = ("figure", "`pd3o`", "`interior_point`", _TIMES, "lanes", _TIMES, "copies", _TIMES, "Clarabel")
    last = f"{_TIMES} of `interior_point` over Clarabel"
    return Sheet(f"Milliseconds a step, {_SETTINGS[setting]}", (*columns, last), rows, _REMARK)


def _everything(figures: Sequence[Result]) -> Sheet:
    rows = []
    for r in figures:
        reference = next(p for p in figures if p.figure == r.figure and p.solver == "pd3o")
        least, most = spread(reference.seconds, r.seconds)
        own = f" ({_short(r.milliseconds * r.own_share)})" if r.solver == "clarabel" else ""
        missed = f" ({r.not_converged} not converged)" if r.not_converged else ""
        rows.append(
            (
                r.figure,
                _LABELS[r.solver],
                r.setting,
                f"{r.tol:.0e}",
                f"{_short(r.milliseconds)}{own}",
                "" if r is reference else _faster(reference, r),
                "" if r is reference else f"{_short(least)} to {_short(most)}",
                f"{r.iterations:.1f}{missed}",
                f"{r.l1:.1e}",
                f"{r.mass_drift:.0e}",
            )
        )
    columns = ("figure", "solver", "tolerance", "tol", "ms", _TIMES, "range", "iterations", "L1 error", "mass drift")
    remark = f"equal: {_SETTINGS['equal']}. range: of the rounds. In parentheses what Clarabel takes by itself."
    return Sheet("Every solver", columns, rows, remark)


def _scaling(points: Sequence[Point], axis: str) -> Sheet:
    rows: list[tuple[str, ...]] = []
    sizes: list[int] = []
    for name in dict.fromkeys(p.figure for p in points):
        alone, lanes = (along(points, name, together, axis) for together in (False, True))
        sizes = [int(getattr(p, axis)) for p in alone]
        for label, chosen in (("alone, ms a step", alone), ("lanes, ms a step", lanes)):
            rows.append((name, label, *(_short(p.milliseconds) for p in chosen), f"{exponent(chosen, axis):.2f}"))
        growth = f"{alone[-1].iterations / alone[0].iterations:.2f} times"
        rows.append((name, "iterations", *(f"{p.iterations:.1f}" for p in alone), growth))
        rows.append((name, "L1 error", *(f"{p.l1:.0e}" for p in alone), ""))
    label = {"nx": "Nx", "nt": "Nt"}[axis]
    columns = ("figure", "", *(f"{label} = {size}" for size in sizes), "exponent")
    other = {"nx": f"Nt = {points[0].nt}", "nt": f"Nx = {points[0].nx}"}[axis]
    return Sheet(f"Scaling in {label} at {other}, default tolerance", columns, rows)


def _study(runs: Sequence[Throughput]) -> Sheet:
    best = {workers: min((r for r in runs if r.workers == workers), key=lambda r: r.seconds) for workers in (1, 2)}
    rows = [
        (
            str(workers),
            str(run.members),
            f"{run.seconds:.1f}",
            f"{run.members_per_second:.0f}",
            f"{1e3 * run.cpu_seconds / run.members:.1f}",
            f"{100 * run.solver_seconds / run.busy_seconds:.1f} %",
            f"{100 * (1 - run.busy_seconds / (workers * run.seconds)):.1f} %",
        )
        for workers, run in best.items()
    ]
    columns = ("workers", "members", "s", "members a second", "CPU ms a member", "solver, of busy time", "workers not busy")
    remark = f"Speedup {best[1].seconds / best[2].seconds:.2f}; the faster of {len(runs) // 2} runs each."
    if max(r.load for r in runs[:1]) > BUSY:
        remark += f" Other processes kept the machine busy (load {runs[0].load:.1f}): read the CPU time, not the wall time."
    return Sheet(
        "A study of 31 steps with `mean` and `spread` as data, from YAML to a complete store", columns, rows, remark
    )


def _where(occasion: Occasion) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in occasion.versions.items())
    return f"on {occasion.cores} cores of {occasion.processor}, {versions}, commit {occasion.commit}"


def _ms(result: Result | None) -> str:
    return "" if result is None else _short(result.milliseconds)


def _faster(slow: Result | None, fast: Result | None) -> str:
    return "" if slow is None or fast is None else _short(times_faster(slow.seconds, fast.seconds))


def _short(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _micro(seconds: Sequence[float]) -> str:
    return f"{1e6 * min(seconds):.1f}"


def _descending(seconds: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
