"""Command line of the soak tests."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from soak.attack import attacked, can_be_another_user, unprotected
from soak.damage import damaged
from soak.disks import can_mount, disk_full
from soak.fuzz import Answer
from soak.fuzz import fuzz as fuzzed
from soak.kills import Undisturbed, in_own_folder, scheduler_killed, undisturbed, workers_killed, workflow_killed
from soak.outcome import Outcome
from soak.stores import store_damaged
from soak.verdict import Verdict, figures, verdicts

Disturb = Callable[[Path, str, Undisturbed], Outcome]

# What is disturbed, and how often in the long version: workers 30 times, scheduler or workflow 20 times, the disk 5 times;
# complete stores are damaged 15 times, in five ways each.
KINDS: dict[str, tuple[Disturb, int]] = {
    "workers": (workers_killed, 30),
    "dajko": (partial(workflow_killed, runner="dajko"), 8),
    "snakemake": (partial(workflow_killed, runner="snakemake"), 8),
    "scheduler": (scheduler_killed, 4),
    "disk": (disk_full, 5),
    "store": (store_damaged, 15),
}

_seed = click.option("--seed", type=int, default=1, show_default=True, help="Decides every instant and every damage.")
_json = click.option("--json", "output", type=click.Path(path_type=Path), help="Where the figures go.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Disturb studies, and damage configurations. Exit code 1 if anything is not as it should be."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: ended"))  # and what has been started is ended too


@main.command()
@_seed
@_json
@click.option("--members", type=click.IntRange(min=8), default=300, show_default=True, help="At each of the seven points.")
@click.option("--share", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="Of the usual runs.")
@click.option("--runs", type=click.IntRange(min=1), help="Runs of each kind, in place of the usual numbers.")
@click.option("--only", type=click.Choice(list(KINDS)), multiple=True, help="Only this kind.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where studies are run; a temporary folder by default.")
def studies(
    seed: int, output: Path | None, members: int, share: float, runs: int | None, only: tuple[str, ...], folder: Path | None
) -> None:
    """Kill workers, schedulers and workflows and fill disks at random instants, until the study is complete each time.

    A run is named by its seed, such as 1-workers-3: run it again with --seed 1 --only workers.
    """
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        place = folder.absolute() if folder else Path(temporary)
        whole = undisturbed(place / "undisturbed", members)
        console.print(f"{whole.cells} cells in {whole.seconds:.1f} s undisturbed, seed {seed}", highlight=False)
        outcomes: list[Outcome] = []
        for number, kind in _order(
            {k: runs or max(1, round(share * n)) for k, (_, n) in KINDS.items() if not only or k in only}
        ):
            if kind == "disk" and not can_mount(place / "disk"):
                console.print("disk: a small file system cannot be mounted here, so this is not tried", style="yellow")
                continue
            outcome = in_own_folder(KINDS[kind][0], place, f"{seed}-{kind}-{number}", whole)
            outcomes.append(outcome)
            said = "; ".join(outcome.problems) or "good"
            console.print(
                f"{outcome.seed}: {outcome.disturbances} disturbances, {outcome.seconds:.0f} s: {said}", highlight=False
            )
            _save(
                output, {"seed": seed, "cells": whole.cells, "seconds": whole.seconds, "runs": [asdict(o) for o in outcomes]}
            )
    console.print(_table(outcomes))
    sys.exit(not all(outcome.good for outcome in outcomes))


@main.command()
@_seed
@_json
@click.option("--count", type=click.IntRange(min=1), default=10_000, show_default=True, help="Damaged configurations.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the first of them.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--show", is_flag=True, help="Print the first configuration, and what is said of it, instead.")
def fuzz(seed: int, output: Path | None, count: int, first: int, processes: int, show: bool) -> None:
    """Validate damaged configurations: each is accepted, or answered by clear sentences, and nothing is written.

    A configuration is named by seed and number: --seed 1 --first 417 --show prints one, --first 417 --count 1 tries it.
    """
    console = Console(width=140)
    if show:
        damage, data = damaged(seed, first)
        click.echo(f"# {damage}\n{data.decode(errors='backslashreplace')}")
        return
    answers: list[Answer] = []
    for answer in fuzzed(seed, list(range(first, first + count)), processes):
        answers.append(answer)
        if answer.problem:
            console.print(f"{seed}-{answer.number} ({answer.damage}): {answer.problem}", highlight=False, markup=False)
    bad = [asdict(answer) for answer in answers if answer.problem]
    seconds = sorted(answer.seconds for answer in answers)
    figures = {
        "seed": seed,
        "first": first,
        "configurations": len(answers),
        "accepted": sum(answer.accepted for answer in answers),
        "answered": sum(not answer.accepted and not answer.problem for answer in answers),
        "problems": bad,
        "median_seconds": seconds[len(seconds) // 2],
        "longest_seconds": seconds[-1],
    }
    _save(output, figures)
    table = Table("configurations", "accepted", "answered", "problems", "median, s", "longest, s")
    table.add_row(
        *(str(figures[key]) for key in ("configurations", "accepted", "answered")),
        str(len(bad)),
        f"{figures['median_seconds']:.3f}",
        f"{figures['longest_seconds']:.1f}",
    )
    console.print(table)
    sys.exit(bool(bad))


@main.command()
@_json
@click.option("--count", type=click.IntRange(min=1), default=10_000, show_default=True, help="Problems.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the first of them.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True)
def wild(output: Path | None, count: int, first: int, processes: int) -> None:
    """Solve wild random problems of one step, and judge what is called good.

    Exit code 1 if a good step has another mass, is negative, or is not within 2 % of the mass of a much finer one.
    """
    console = Console(width=140)
    found: list[Verdict] = []
    for judged in verdicts(list(range(first, first + count)), processes):
        found.append(judged)
        if judged.doubtful:
            console.print(str(judged), highlight=False)
    known = figures(found)
    _save(output, known)
    for name, value in known.items():
        console.print(f"{name.replace('_', ' ')}: {value}", highlight=False)
    sys.exit(any(judged.doubtful for judged in found))


@main.command()
@_json
@click.option("--runner", type=click.Choice(["dajko", "snakemake"]), multiple=True, help="Only what this one runs.")
def attack(output: Path | None, runner: tuple[str, ...]) -> None:
    """Attack a study while it runs, as another user of this machine where that is possible (as root), on loopback only.

    First a cluster with Dask's own settings, which shows that the attack is one.
    """
    console = Console(width=140)
    if not can_be_another_user():
        console.print("no other user: the attacker is the owner, without his certificates", style="yellow")
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        place = Path(temporary)
        place.chmod(0o755)  # the other user comes as far as the temporary directory of the run
        before, stopped = unprotected(place / "unprotected")
        problems = [] if before.ran and before.pages and before.spoilt and stopped else ["the attack is none"]
        runs = {"Dask's own settings": (before, ["was stopped by a lock"] * stopped)}
        for name in runner or ("dajko", "snakemake"):
            outcome, loot = attacked(place / name, name)
            problems += outcome.problems
            if loot is not None:
                runs[name] = loot, outcome.problems
    table = Table("study run by", "attacker", "sockets", "code was run", "pages", "files read", "files spoilt", "besides")
    for name, (loot, said) in runs.items():
        numbers = map(str, (loot.uid, loot.listening, *map(len, (loot.ran, loot.pages, loot.read, loot.spoilt))))
        table.add_row(name, *numbers, "; ".join(said) or "nothing")
    console.print(table)
    _save(output, {name: {**asdict(loot), "besides": said} for name, (loot, said) in runs.items()})
    sys.exit(bool(problems))


def _order(runs: dict[str, int]) -> list[tuple[int, str]]:
    """The runs of all kinds, mixed evenly, so that a soak that is stopped early has tried all of them."""
    return [(i, kind) for _, i, kind in sorted(((i + 0.5) / n, i, kind) for kind, n in runs.items() for i in range(n))]


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("kind", "runs", "good", "disturbances", "starts", "cells computed again, a run", "seconds")
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.kind == kind]
        again = f"{sum(o.again for o in own) / len(own):.1f}, at most {max(o.again for o in own)}"
        sums = [len(own), sum(o.good for o in own), sum(o.disturbances for o in own), sum(o.starts for o in own)]
        table.add_row(kind, *map(str, sums), again, f"{sum(o.seconds for o in own):.0f}")
    return table


def _save(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
