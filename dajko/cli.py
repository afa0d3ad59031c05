"""The command line: ``dajko validate | run | status | reproduce | retry | migrate | report | cluster``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dajko import __version__
from dajko.errors import InputError
from dajko.terminal import BAD_INPUT, DONE, INCOMPLETE, SOME_FAILED, Commands, say, with_answers


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dajko")
def main() -> None:
    """Studies of data-driven Wasserstein gradient flows.

    \b
    Examples:
      dajko validate config/config.yaml
      dajko run config/config.yaml
      dajko run config/config.yaml theta-noise --results results --workers 4
      dajko status results
      dajko report results
    """


@main.command(short_help="Check studies, and solve nothing.")
@click.argument("file", type=click.Path(path_type=Path))
@with_answers
def validate(file: Path) -> int:
    """Check the studies in FILE, every cell of them, without solving anything.

    \b
    Example:
      dajko validate config/config.yaml
    Exit code: 0 valid, 2 bad input.
    """
    import numpy as np

    from dajko.study.design.cost import estimated_seconds
    from dajko.study.twin.doubts import doubts

    for plan in _plans(file, ()):
        cells = len(plan.points) * plan.members
        first, codes = plan.sweep.distinct("grid", "time", "model", "solver")
        seconds = np.array([estimated_seconds(plan.studies[point]) for point in first.tolist()])
        minutes = float(seconds[codes].sum()) * plan.members / 60.0
        click.echo(
            f"{plan.name}: {len(plan.points)} points x {plan.members} members = {cells} cells, "
            f"very roughly {minutes:.2g} core minutes"
        )
        for doubt in doubts(plan):
            say(doubt, "warning")
    return DONE


_SCHEDULER = click.option(
    "--scheduler", metavar="ADDRESS", help="A running Dask scheduler: its address, or its scheduler file."
)
_CERTIFICATES = click.option(
    "--certificates",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What `dajko cluster certificates DIR` has made, for a scheduler at a tls:// address.",
)


@main.command(short_help="Compute what is missing of studies.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--results", type=click.Path(path_type=Path), help="Directory for the stores; by default what FILE says.")
@click.option("--workers", type=click.IntRange(min=1), help="Local processes, in place of the cluster of FILE.")
@_SCHEDULER
@_CERTIFICATES
@click.option("--recompute", is_flag=True, help="Compute all cells anew; the stores that are there go to previous/.")
@with_answers
def run(
    file: Path,
    studies: tuple[str, ...],
    results: Path | None,
    workers: int | None,
    scheduler: str | None,
    certificates: Path | None,
    recompute: bool,
) -> int:
    """Run the studies in FILE, or only those named. Computes what is missing; the stores land in DIR/<study>/.

    A store that does not fit its study, because of another grid, say, is left alone, and the differences are named.

    \b
    Examples:
      dajko run config/config.yaml
      dajko run config/config.yaml theta-noise --workers 4 --results /scratch/me
      dajko run config/config.yaml --scheduler tls://10.0.0.1:8786 --certificates ~/.dajko/tls
    Exit code: 0 done, 1 some members failed, 2 bad input, or some members are missing.
    """
    from dajko.study.commands.run import run_study
    from dajko.study.config.parse import read_studies
    from dajko.study.store.prepare import inspect

    given = _cluster(workers, scheduler, certificates)
    plans = _plans(file, studies)
    config = read_studies(file)
    directory = results or Path(config.results)
    for plan in plans:
        inspect((directory / plan.name).absolute(), plan, recompute)
    failed = missing = 0
    for plan in plans:
        report = run_study(plan.study, directory / plan.name, given or config.cluster, recompute=recompute)
        failed, missing = failed + report.failed, missing + report.pending
        click.echo(f"{directory / plan.name}: {_sentence(report.counts)}, {report.computed} computed now")
    click.echo(f"Figures and tables: dajko report {directory}")
    return INCOMPLETE if missing else SOME_FAILED if failed else DONE


@main.command(short_help="Say how studies stand.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verify", is_flag=True, help="Read every chunk, and say which are damaged.")
@with_answers
def status(directory: Path, as_json: bool, verify: bool) -> int:
    """Say how the studies in DIR stand: how many members are done, failed, or still to be computed.

    \b
    Examples:
      dajko status results
      dajko status results/theta-noise --json
      dajko status results --verify
    Exit code: 0 complete, 1 some members failed, 2 bad input, or some members are missing or damaged.
    """
    from dajko.study.commands.status import study_state
    from dajko.study.config.parse import printable

    found, wrong = [], False
    for study in _study_directories(directory):
        try:
            found.append(study_state(study, verify))
        except InputError as error:  # which is no reason to say nothing of the others
            say(error)
            wrong = True
    if as_json:
        click.echo(json.dumps({state.study: state.as_dict() for state in found}, indent=2))
    else:
        for state in found:
            click.echo(f"{printable(state.study)}: {_sentence(state.counts)}")
            for line in state.lines():
                click.echo(f"  {printable(line)}")
    if wrong or any(state.incomplete for state in found):
        return INCOMPLETE
    return SOME_FAILED if any(state.failed for state in found) else DONE


@main.command(short_help="Run one cell again, and compare it.")
@click.argument("directory", metavar="RESULTS", type=click.Path(path_type=Path))
@click.argument("cell")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_answers
def reproduce(directory: Path, cell: str, as_json: bool) -> int:
    """Run one CELL of the study in RESULTS again, alone, and say whether it comes out the same, bit for bit.

    CELL is an id of 16 digits, as `cell_id` and failures.jsonl have it, or a number along the dimension cell, after GROUP/
    if the store has groups. Shows every step, and how the solver went on in the first that did not converge. Writes nothing.

    \b
    Examples:
      dajko reproduce results/theta-noise 17
      dajko reproduce results/theta-noise 9f86d081884c7d65 --json
    Exit code: 0 equal to the stored cell, 1 different, 2 bad input.
    """
    from dajko.study.commands.reproduce import reproduce_cell
    from dajko.study.commands.reproduction_text import described
    from dajko.study.execution.warm_up import cold_sentence

    if sentence := cold_sentence():
        say(sentence)
    found = reproduce_cell(_one_study(directory), cell)
    click.echo(json.dumps(found.as_dict(), indent=2, default=str) if as_json else "\n".join(described(found)))
    return DONE if found.equal else SOME_FAILED


@main.command(short_help="Compute failed members again.")
@click.argument("directory", metavar="RESULTS", type=click.Path(path_type=Path))
@click.option("--solver", help="Solve with this solver, with its default options.")
@click.option("--set", "options", multiple=True, metavar="KEY=VALUE", help="A key of the solver, such as solver.tol=1e-4.")
@click.option("--workers", type=click.IntRange(min=1), help="Local processes; by default one for each core.")
@_SCHEDULER
@_CERTIFICATES
@with_answers
def retry(
    directory: Path,
    solver: str | None,
    options: tuple[str, ...],
    workers: int | None,
    scheduler: str | None,
    certificates: Path | None,
) -> int:
    """Compute the members of the study in RESULTS that failed or did not converge again, with another solver or setting.

    A member takes the new result if that is better, and the store says which setting made it.

    \b
    Examples:
      dajko retry results/theta-noise --solver pd3o
      dajko retry results/theta-noise --set solver.max_iterations=500 --set solver.tol=1e-4
    Exit code: 0 no member is left that failed, 1 some are, 2 bad input.
    """
    from dajko.study.commands.retry import parse_setting, retry_study

    given = _cluster(workers, scheduler, certificates)
    study = _one_study(directory)
    report = retry_study(study, parse_setting(solver, options), given)
    click.echo(f"{study}: {_sentence(report.counts)}, {report.computed} computed now")
    return INCOMPLETE if report.pending else SOME_FAILED if report.failed else DONE


@main.command(short_help="Bring stores to this dajko's version.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@with_answers
def migrate(directory: Path) -> int:
    """Bring the stores in DIR to the schema version of this dajko. Computes nothing; the old stores go to previous/.

    \b
    Example:
      dajko migrate results
    Exit code: 0 done, 2 bad input.
    """
    from dajko.study.store.migrate import migrate_study

    for study in _study_directories(directory):
        before, after, added = migrate_study(study)
        done = f"migrated from version {before} to {after}" if before != after else "is up to date"
        done = "checksums and spare copies added" if added else done
        click.echo(f"{study}: {done}")
    return DONE


@main.command(short_help="Draw figures and tables, and one page.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@with_answers
def report(directory: Path) -> int:
    """Draw the figures and tables of the studies in DIR, and one page, DIR/report.html.

    What is missing or to be doubted is said here and on top of the page.

    \b
    Example:
      dajko report results
    Exit code: 0 done, 1 a study is damaged or could not be drawn, 2 bad input.
    """
    from dajko.report.figures import plot_study
    from dajko.report.page import warnings_of, write_page
    from dajko.study.store.labelled import damage_sentences, is_damaged

    studies, drawn, wrong = _study_directories(directory), [], False
    for study in studies:
        try:
            plot_study(study)
            drawn.append(study.name)
        except InputError as error:  # which is no reason to draw none of the others
            say(error)
            wrong = True
            continue
        damage = damage_sentences(study)
        for sentence in damage:
            say(sentence, about=study)
        for short, _ in warnings_of(study)[len(damage) :]:
            click.echo(f"{study.name}: {short[:1].lower()}{short[1:]}", err=True)
        wrong = wrong or is_damaged(study)
    if not drawn:
        return BAD_INPUT
    root = directory.parent if studies == [directory] else directory
    click.echo(write_page(root, drawn))
    return SOME_FAILED if wrong else DONE


@main.group(short_help="Make what clusters need.")
def cluster() -> None:
    """What clusters need: certificates. Exit code: 0 done, 2 bad input.

    \b
    Example:
      dajko cluster certificates ~/.dajko/tls
    """


@cluster.command(short_help="Make certificates for Dask's TLS.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--days", type=click.IntRange(min=1, max=3650), default=365, show_default=True, help="How long they are valid."
)
@with_answers
def certificates(directory: Path, days: int) -> int:
    """Make certificates for Dask's TLS in DIR: ca.pem, cert.pem and key.pem, readable by you only.

    Whoever holds them can run code as you: keep them on a file system that only you read.

    \b
    Example:
      dajko cluster certificates ~/.dajko/tls
    Exit code: 0 done, 2 bad input.
    """
    from dajko.study.execution.tls import make_certificates

    made = make_certificates(directory.absolute(), days)
    # Also without a dashboard Dask serves pages there, and by default on all interfaces.
    options = f"--tls-ca-file {made.ca} --tls-cert {made.cert} --tls-key {made.key} --dashboard-address 127.0.0.1:0"
    click.echo(f"Start:  dask scheduler --protocol tls {options} --scheduler-file scheduler.json")
    click.echo(f"        dask worker --scheduler-file scheduler.json {options} --nthreads 1")
    click.echo("Study:  cluster:")
    click.echo("          kind: scheduler")
    click.echo("          file: scheduler.json")
    click.echo(f"          tls: {{ca: {made.ca}, cert: {made.cert}, key: {made.key}}}")
    return DONE


def _cluster(workers: int | None, scheduler: str | None, certificates: Path | None) -> Any:
    """The cluster of the command line, None if it names none."""
    from dajko.study.config.cluster import SchedulerAddress
    from dajko.study.execution.tls import in_directory

    if scheduler is None:
        if certificates is not None:
            raise InputError("--certificates goes with --scheduler")
        return workers
    if workers is not None:
        raise InputError("give either --workers or --scheduler")
    if not scheduler:
        raise InputError("--scheduler must not be empty")
    where = {"address": scheduler} if "://" in scheduler else {"file": scheduler}
    return SchedulerAddress(kind="scheduler", **where, tls=in_directory(certificates) if certificates else None)


def _plans(file: Path, names: tuple[str, ...]) -> list[Any]:
    """The studies of a file, or those named, planned and with every cell checked."""
    from dajko.study.config.parse import in_file, read_studies
    from dajko.study.design.members import make_plan
    from dajko.study.twin.checks import check_plan

    config = read_studies(file)
    for name in names:
        if name not in config.studies:
            raise InputError(f"{file}: has no study {name!r}; it has {', '.join(config.studies)}")
    try:
        plans = [make_plan(name, study) for name, study in config.studies.items() if not names or name in names]
        for plan in plans:
            check_plan(plan)
    except InputError as error:
        raise in_file(file, error) from None
    return plans


def _study_directories(directory: Path) -> list[Path]:
    from dajko.study.store.variables import CELLS, NEW

    def holds(study: Path) -> bool:
        return (study / CELLS).exists() or (study / NEW).exists()

    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such directory")
    if holds(directory):
        return [directory]
    found = sorted(path for path in directory.iterdir() if holds(path))
    if not found:
        raise InputError(f"{directory}: holds no study; give a results directory or the directory of a study")
    return found


def _one_study(directory: Path) -> Path:
    """The directory of a study: the one that is given, or the only one in it."""
    found = _study_directories(directory)
    if len(found) > 1:
        raise InputError(f"{directory}: holds {len(found)} studies; name one of them: {', '.join(str(f) for f in found)}")
    return found[0]


def _sentence(counts: dict[str, int]) -> str:
    words = {
        "converged": "converged",
        "fallback": "converged with the fallback solver",
        "not_converged": "did not converge",
        "failed": "failed",
        "pending": "still to be computed",
    }
    parts = [f"{counts[key]} {word}" for key, word in words.items() if counts[key] or key == "converged"]
    return f"{sum(counts.values())} members: {', '.join(parts)}"
