"""The configuration of studies: pydantic models, the one definition behind errors, JSON Schema and reference.

Nothing here computes anything; :mod:`dajko.study.twin.experiment` builds grids, energies and data from these models.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dajko.solvers.interior_point import InteriorPoint
from dajko.study.config.cluster import ClusterConfig, LocalCluster
from dajko.study.config.ingredients import (
    GridConfig,
    ModelConfig,
    NoiseConfig,
    ObservationsConfig,
    PathText,
    SolverField,
    Strict,
    TimeConfig,
    TruthConfig,
)
from dajko.study.config.variation import EnsembleConfig, Values
from dajko.validation import NonNegative, PositiveWhole

SCHEMA_VERSION = 5

StudyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80)]


class StoreConfig(Strict):
    """Which fields are kept."""

    density: Literal["all", "final", "none"] = Field(
        "all", description="Times at which densities and truth are kept; errors and observations are kept at all times."
    )
    diagnostics: list[Literal["optimality"]] = Field(
        default_factory=list,
        description="What else is computed of every step: how far it is from satisfying the optimality conditions.",
    )


class ReportConfig(Strict):
    """What the report shows."""

    times: list[NonNegative] | None = Field(None, description="Times of the density figure; a few by default.")
    reference: Literal["truth", "finest"] = Field(
        "truth", description="What convergence is measured against: the truth, or the finest run of the sweep."
    )


# In the JSON Schema, what `StudyConfig` says of data without a weight.
_DATA_HAVE_A_WEIGHT: dict[str, Any] = {
    "if": {
        "properties": {"observations": {"properties": {"operators": {"minItems": 1}}, "required": ["operators"]}},
        "required": ["observations"],
    },
    "then": {
        "anyOf": [
            {"required": ["theta"]},
            {"properties": {"sweep": {"required": ["theta"]}}, "required": ["sweep"]},
            {"properties": {"zip": {"required": ["theta"]}}, "required": ["zip"]},
        ]
    },
}


class StudyConfig(Strict):
    """One study: a twin experiment, what varies in it, and what is kept."""

    model_config = ConfigDict(json_schema_extra=_DATA_HAVE_A_WEIGHT)

    title: str = ""
    truth: TruthConfig
    model: ModelConfig
    grid: GridConfig
    time: TimeConfig
    observations: ObservationsConfig = ObservationsConfig()
    noise: NoiseConfig = NoiseConfig()
    theta: Annotated[float, Field(gt=0, allow_inf_nan=True)] = Field(
        math.inf,
        description="Weight of the data term, as in section 4.2 of the paper; .inf switches the data off. "
        "Without observations it may be left out.",
    )
    solver: SolverField = InteriorPoint()
    sweep: dict[str, Values] = Field(default_factory=dict, description="Dotted keys and their values; all combinations.")
    zip: dict[str, Values] = Field(default_factory=dict, description="Dotted keys that vary together, as one axis.")
    limits: bool = Field(False, description="Add to a sweep over theta the limits of the scheme: model only, and data only.")
    ensemble: EnsembleConfig = EnsembleConfig()
    store: StoreConfig = StoreConfig()
    block: PositiveWhole | None = Field(None, description="Cells in one task and one chunk; estimated by default.")
    slabs: PositiveWhole = Field(1, description="Snakemake jobs that share the study.")
    report: ReportConfig = ReportConfig()

    @model_validator(mode="after")
    def _data_have_a_weight(self) -> StudyConfig:
        written = self.model_fields_set
        if self.observations.operators and "theta" not in {*written, *self.sweep, *self.zip}:
            raise PydanticCustomError(
                "missing_key", "is missing; .inf records the measurements and does not use them", {"key": "theta"}
            )
        return self


# Keys that say how a study is run or shown, not what it computes: they may change without a cell being computed again.
NOT_COMPUTED = ("title", "block", "slabs", "report")
# Keys that a sweep cannot vary, because they say what the study is.
NOT_SWEPT = (*NOT_COMPUTED, "sweep", "zip", "limits", "ensemble", "store")


def study_hash(study: StudyConfig) -> str:
    """Hash of everything in a study that decides what is computed."""
    content = study.model_dump(mode="json", exclude=set(NOT_COMPUTED))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# --- the file -------------------------------------------------------------------------------------------------------------


class StudyFile(Strict):
    """A file of studies."""

    studies: Annotated[dict[StudyName, StudyConfig], Field(min_length=1)]
    cluster: ClusterConfig = LocalCluster()
    results: PathText = Field("results", description="Directory that the stores and reports go to.")
