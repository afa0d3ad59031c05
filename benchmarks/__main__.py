"""Command line of the benchmarks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click
from pydantic import TypeAdapter
from rich.console import Console

from benchmarks import iteration, plot, scale, scaling, solvers, study
from benchmarks.figures import NAMES, STEPS
from benchmarks.report import markdown, profile_sheets, show
from benchmarks.results import FOLDER, PARTS, ROOT, Occasion, Results, load, save

_DOCUMENT, _PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "figures" / "performance.png"
_BEGIN, _END = "<!-- begin: python -m benchmarks document -->", "<!-- end -->"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what dajko claims about speed; docs/performance.md says what the numbers mean."""


@main.command()
@click.option("--quick", is_flag=True, help="Every part in under two minutes, to see that it works.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Only this part; the others stay as they were.")
def measure(quick: bool, only: tuple[str, ...]) -> None:
    """Measure, print tables, write JSON and a figure to benchmarks/results."""
    console = _console()
    results = load(quick) if only else Results(quick=quick)
    for part in PARTS:
        if only and part not in only:
            continue
        console.print(f"measuring: {part}", style="dim")
        occasion, started = Occasion.now(), time.monotonic()
        _measure(part, quick, results)
        results.occasions[part] = replace(occasion, seconds=time.monotonic() - started)
        path = save(results)
    show(results, console)
    if results.figures and results.scaling:
        picture = path.with_suffix(".png")
        plot.draw(results, picture)
        console.print(f"{path}\n{picture}", soft_wrap=True)


@main.command()
@click.option("--members", type=click.IntRange(min=100), default=10_000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
def profile(members: int, workers: int) -> None:
    """Run one study, and say where its time goes."""
    console = _console()
    found = study.profile(members, workers)
    for sheet in profile_sheets(found):
        console.print(sheet.rich())
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "profile.json"
    path.write_bytes(TypeAdapter(study.Profile).dump_json(found, indent=2) + b"\n")
    console.print(str(path), soft_wrap=True)


@main.command(name="scale")
@click.argument("name", type=click.Choice(scale.names()))
@click.option("--cells", type=click.IntRange(min=8), default=1_000_000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--folder", type=click.Path(exists=True, path_type=Path), help="Where the store is made and deleted again.")
def run_scale(name: str, cells: int, workers: int, folder: Path | None) -> None:
    """Run a study of very many cells: seconds, memory, files, time to open."""
    found = scale.measure(name, cells, workers, folder)
    for line in found.lines():
        click.echo(line)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"scale-{name}-{cells}-{workers}.json"
    path.write_bytes(TypeAdapter(scale.Scale).dump_json(found, indent=2) + b"\n")
    click.echo(str(path))


@main.command()
@click.option("--members", type=click.IntRange(min=100), default=10_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True)
def speedup(members: int, rounds: int) -> None:
    """Run one study on one worker and on two, in turn; needs a machine with two idle cores."""
    runs = study.throughput(members, rounds)
    for run in runs:
        spent = f"{run.seconds:.1f} s, {run.cpu_seconds:.1f} s of CPU, {run.busy_seconds:.1f} s busy, load {run.load:.1f}"
        click.echo(f"{run.workers} workers: {run.members} members in {spent}")
    best = {n: min(run.seconds for run in runs if run.workers == n) for n in (1, 2)}
    click.echo(f"two workers are {best[1] / best[2]:.2f} times as fast as one")


@main.command()
def document() -> None:
    """Put the results of `measure` into docs/performance.md, and their figure beside it."""
    results = load()
    if not results.occasions:
        raise click.ClickException("there are no results; measure first")
    text = _DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    _DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{markdown(results)}\n\n{_END}{after}", encoding="utf-8")
    plot.draw(results, _PICTURE)
    click.echo(f"{_DOCUMENT}\n{_PICTURE}")


def _console() -> Console:
    """The terminal; a file or a pipe has room for whole tables."""
    console = Console()
    return console if console.is_terminal else Console(width=130)


def _measure(part: str, quick: bool, results: Results) -> None:
    rounds, steps = (2, 4) if quick else (7, STEPS)
    if part == "iteration":
        results.iteration = iteration.measure(rounds)
    elif part == "figures":
        results.figures = [r for name in NAMES for r in solvers.measure(name, rounds, steps)]
    elif part == "scaling":
        nx, nt = (scaling.NX[:2], scaling.NT[:2]) if quick else (scaling.NX, scaling.NT)
        results.scaling = [p for name in scaling.FIGURES for p in scaling.measure(name, min(rounds, 5), steps, nx, nt)]
    else:
        results.study = study.throughput(*((200, 1) if quick else (4000, 2)))


if __name__ == "__main__":
    main()
