"""What a study is, in a few sentences made from its configuration."""

from __future__ import annotations

from typing import Any

from dajko.report.words import SCHEMES, number
from dajko.study.config.foreign import foreign_sentence, unknown
from dajko.study.config.ingredients import EnergyConfig, ExactTruth
from dajko.study.config.study import StudyConfig


def describe(study: StudyConfig) -> list[str]:
    """Sentences that say what was run: truth, model, data, sweep and ensemble.

    Parameters
    ----------
    study : StudyConfig
    """
    if unknown(study):
        return [f"{foreign_sentence(study).capitalize()}: the configuration below is as the store has it.", _sweep(study)]
    return [_truth(study), _model(study), _data(study), _sweep(study)]


def _truth(study: StudyConfig) -> str:
    if isinstance(study.truth, ExactTruth):
        return f"The truth is {study.truth.solution.in_words(number)}, known in closed form."
    truth = study.truth
    cells = number(truth.nx) if truth.nx else "twice as many"
    return (
        f"The truth is solved with {_energy(truth.energy)} from {truth.initial.in_words(number)}, on {cells} cells in space "
        f"and with {truth.substeps} substeps in each step."
    )


def _model(study: StudyConfig) -> str:
    grid, time, swept = study.grid, study.time, {*study.sweep, *study.zip}

    def shown(symbol: str, key: str, value: Any) -> str:
        return f"{symbol} as swept" if key in swept else f"{symbol}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{number(value)}"

    tau = shown("τ", "time.tau", time.tau)
    if swept & {"time.tau", "time.steps", "time.end"}:
        until = f" until t = {number(time.end)}" if time.end and "time.end" not in swept else ""
        steps = f"The flow takes steps of {tau}{until}"
    else:
        steps = f"The flow takes {time.count} step{'s' if time.count > 1 else ''} of {tau}"
    by = {"bdf2": " by the variational BDF2 scheme"}.get(time.scheme, "") if "time.scheme" not in swept else ""
    cells = f"{shown('Nₓ', 'grid.nx', grid.nx)} and {shown('Nₜ', 'grid.nt', grid.nt)}"
    scheme = f", {SCHEMES[grid.scheme]}" if "grid.scheme" not in swept else ""
    mass = f", rescaled to the mass {number(study.model.mass)}" if study.model.mass else ""
    return (
        f"The model has {_energy(study.model.energy)} and starts from {study.model.initial.in_words(number)}{mass}. "
        f"{steps}{by} on ({number(grid.left)}, {number(grid.right)}) with {cells}{scheme}, by the solver {_solver(study)}."
    )


def _solver(study: StudyConfig) -> str:
    swept = [key for key in (*study.sweep, *study.zip) if key.startswith("solver")]
    tolerance = study.solver.content().get("tol")
    return study.solver.kind + (f" with tolerance {number(tolerance)}" if tolerance and not swept else "")


def _data(study: StudyConfig) -> str:
    swept = {*study.sweep, *study.zip}
    measures = study.observations.operators or "observations.operators" in swept
    if not measures or (study.theta == float("inf") and "theta" not in swept):
        return "There is no data term (θ = ∞)."
    names = [o.in_words(number) for o in study.observations.operators]
    what = (
        "as swept" if "observations.operators" in swept else " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    )
    every = study.observations.every
    when = "every step" if every == 1 else f"every {every} steps"
    first = f" from step {study.observations.first} on" if study.observations.first > 1 else ""
    level = study.noise.level
    if "noise.level" in swept:
        noise = "noise as swept"
    else:
        noise = f"{study.noise.kind.capitalize()} noise of level {number(level)}" if level > 0 else "no noise"
    relative = ", relative to the signal" if study.noise.relative and noise != "no noise" else ""
    theta = "θ as swept" if "theta" in swept else f"θ = {number(study.theta)}"
    return f"Measured: {what}, at {when}{first}, with {noise}{relative}; weight {theta}."


def _sweep(study: StudyConfig) -> str:
    parts = []
    for key, given in study.sweep.items():
        limits = " and both limits" if key == "theta" and study.limits else ""
        parts.append(f"{key} ({_values(given)}{limits})")
    if study.zip:
        parts.append(f"together {' and '.join(f'{key} ({_values(given)})' for key, given in study.zip.items())}")
    text = f"Swept: {'; '.join(parts)}. " if parts else "Nothing is swept. "
    members = study.ensemble.members
    text += f"{members} members at each point." if members > 1 else "One member at each point."
    perturbations = study.ensemble.perturbations
    if perturbations:
        text += f" Members differ in {'; '.join(f'{k} ({d.in_words(number)})' for k, d in perturbations.items())}."
    return text


def _values(given: Any) -> str:
    values = list(given) if isinstance(given, list) else given.values()
    if len(values) > 5 and all(isinstance(v, int | float) for v in values):
        return f"{len(values)} values from {number(values[0])} to {number(values[-1])}"
    texts = [number(v) for v in values]
    return ", ".join(texts if len(texts) <= 5 else [*texts[:4], "…", texts[-1]])


def _energy(energy: EnergyConfig) -> str:
    parts = [part.in_words(number) for part in (energy.internal, energy.potential, energy.interaction) if part is not None]
    if len(parts) > 2:
        parts = [", ".join(parts[:-1]), parts[-1]]
    return " and ".join(parts) or "no energy"
