"""The figures and tables of one study: which there are, their captions, and the files they go to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dajko.report import panels, slopes, style
from dajko.report.captions import FIGURE_NAMES
from dajko.report.choice import best_theta
from dajko.report.convergence import convergence_table, orders
from dajko.report.errors import error_table, status_table
from dajko.report.reading import StudyResults, read_results
from dajko.report.warning import warning_table
from dajko.study.store.files import output_folder
from dajko.study.store.labelled import damage_sentences

FIGURES, TABLES = "figures", "tables"

TABLE_NAMES = ("warnings", "errors", "best_theta", "convergence", "orders", "status")


def make_tables(results: StudyResults, damage: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """All tables of a study by name; those that it cannot have are empty.

    Parameters
    ----------
    results : StudyResults
    damage : sequence of str
        Sentences about cells that cannot be read, which become warnings.

    Returns
    -------
    dict of pandas.DataFrame
        ``warnings``, ``errors``, ``best_theta``, ``convergence``, ``orders``, ``status``.
    """
    errors = error_table(results)
    convergence = convergence_table(results)
    return {
        "warnings": warning_table(results, damage),
        "errors": errors,
        "best_theta": best_theta(results, errors),
        "convergence": convergence,
        "orders": orders(convergence),
        "status": status_table(results),
    }


def make_figures(results: StudyResults, tables: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    """All figures that a study can have, by name.

    Parameters
    ----------
    results : StudyResults
    tables : dict of pandas.DataFrame
        From :func:`make_tables`.
    """
    errors, best = tables["errors"], tables["best_theta"]
    made = {
        "error_theta": panels.error_theta(results, errors, best),
        "error_theta_final": panels.error_theta(results, errors, best, statistic="final"),
        "convergence": slopes.convergence(results, tables["convergence"]),
        "error_time": panels.error_time(results, errors, best),
        "densities": panels.densities(results, errors, best),
        "energy": panels.energy(results, errors, best),
        "optimality": panels.optimality(results, errors, best),
    }
    return {name: figure for name, figure in made.items() if figure is not None}


def plot_study(directory: Path) -> list[Path]:
    """Write the figures (SVG and PNG) and tables (CSV) of a study, and remove those that it no longer has.

    An unfinished study can be plotted: cells that have not converged are left out, and counted in the tables. What is
    damaged is among the warnings, which the page shows before anything else.

    Parameters
    ----------
    directory : Path
        The directory of the study, such as ``results/theta-noise``.

    Returns
    -------
    list of Path
        The files in ``figures/`` and ``tables/``.

    Raises
    ------
    InputError
        If there is no store.
    """
    results = read_results(directory)
    tables = make_tables(results, damage_sentences(directory))
    written: list[Path] = []
    for folder in (FIGURES, TABLES):  # also for a study that has no figure at all
        output_folder(directory / folder)
    for name, table in tables.items():
        if not table.empty:
            path = directory / TABLES / f"{name}.csv"
            table.drop(columns=["point", "same_time"], errors="ignore").to_csv(path, index=False, lineterminator="\n")
            written.append(path)
    for name, figure in make_figures(results, tables).items():
        written += style.save_figure(figure, directory / FIGURES / name)
    ours = [directory / FIGURES / f"{name}{suffix}" for name in FIGURE_NAMES for suffix in (".svg", ".png")]
    ours += [directory / TABLES / f"{name}.csv" for name in TABLE_NAMES]
    for path in set(ours) - set(written):
        path.unlink(missing_ok=True)
    return written
