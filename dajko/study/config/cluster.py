"""The configuration of clusters: what may stand below the key ``cluster`` of a file of studies."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from dajko.study.config.ingredients import PathText, Strict, expanded
from dajko.validation import Positive, PositiveWhole

_TIME = re.compile(r"^(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)$")
# Time for a worker to start and to compile its kernels: a job that ends sooner computes nothing.
_SHORTEST = 60


def seconds_of(walltime: str) -> int:
    """Seconds of a time such as ``04:00:00`` or ``1-00:00:00``."""
    match = _TIME.match(walltime)
    assert match is not None
    parts = {name: int(text or 0) for name, text in match.groupdict().items()}
    return ((parts["days"] * 24 + parts["hours"]) * 60 + parts["minutes"]) * 60 + parts["seconds"]


def _time_text(value: Any) -> Any:
    """YAML 1.1 reads ``10:00:00`` as the number of its seconds."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        minutes, seconds = divmod(value, 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return value


def _time(value: str) -> str:
    if not _TIME.match(value) or len(value) > 20:
        raise PydanticCustomError(
            "walltime", "must be a time such as 04:00:00 or 1-00:00:00, got {got}", {"got": repr(value)}
        )
    if seconds_of(value) < _SHORTEST:
        raise PydanticCustomError("walltime", "must be at least a minute, got {got}", {"got": repr(value)})
    return value


# With less a worker is ended by its nanny before it has computed anything: 440 MB, and more while kernels are compiled.
LEAST_MEMORY = 600_000_000


def _memory(value: str) -> str:
    from dask.utils import parse_bytes  # takes long to import, and few files name an amount

    try:
        large_enough = parse_bytes(value) >= LEAST_MEMORY
    except ValueError:
        large_enough = False
    if not large_enough:
        raise PydanticCustomError(
            "memory",
            "must be an amount of memory such as 2GB, at least {least}MB, which Python and the libraries need, got {got}",
            {"least": LEAST_MEMORY // 10**6, "got": repr(value)},
        )
    return value


def _line(value: str) -> str:
    if not value.strip() or "\n" in value or "\r" in value:
        raise PydanticCustomError("line", "must be one line of text, got {got}", {"got": repr(value[:40])})
    return value


WallTime = Annotated[str, BeforeValidator(_time_text), AfterValidator(_time)]
Memory = Annotated[str, AfterValidator(_memory)]
Line = Annotated[str, AfterValidator(_line)]
Dashboard = Annotated[
    bool, Field(description="Serve Dask's dashboard on loopback, where every user of the same host can read it.")
]


class Certificates(Strict):
    """Files in PEM format for Dask's TLS, as `dajko cluster certificates` makes them; the same for all roles."""

    ca: PathText = Field(description="Certificate of the authority that signed the certificates of all who take part.")
    cert: PathText = Field(description="Certificate.")
    key: PathText = Field(description="Its private key, readable by its owner only.")


class LocalCluster(Strict):
    """Processes on this machine, one thread each."""

    kind: Literal["local"] = "local"
    workers: PositiveWhole | None = Field(None, description="Number of processes; by default as many as there are cores.")
    memory: Memory | None = Field(
        None, description="Memory of one process; by default its share of the machine's. A process above it is ended."
    )
    patience: Positive = Field(
        300.0, description="Seconds to wait for a process when all are gone in the middle of a study."
    )
    dashboard: Dashboard = False


class SchedulerAddress(Strict):
    """A Dask scheduler that is running already."""

    kind: Literal["scheduler"]
    address: str | None = Field(None, min_length=1, description="For example tls://10.0.0.1:8786.")
    file: PathText | None = Field(None, description="A scheduler file, as `dask scheduler --scheduler-file` writes it.")
    wait: Positive = Field(60.0, description="Seconds to wait for the first worker.")
    patience: Positive = Field(600.0, description="Seconds to wait for a worker when all are gone in the middle of a study.")
    tls: Certificates | None = Field(None, description="Certificates, for a scheduler with a tls:// address.")
    allow_plain_text: bool = Field(
        False, description="Use a scheduler on a network although its connections are neither encrypted nor authenticated."
    )

    @model_validator(mode="after")
    def _one(self) -> SchedulerAddress:
        if (self.address is None) == (self.file is None):
            raise PydanticCustomError("cluster", "must have exactly one of the keys address and file")
        return self


class SlurmCluster(Strict):
    """Slurm jobs of one worker process each, submitted by dajko itself, with a scheduler inside dajko."""

    kind: Literal["slurm"]
    partition: Line | None = Field(None, description="Partition; by default Slurm's.")
    account: Line | None = Field(None, description="Account that is charged.")
    workers: PositiveWhole | None = Field(None, description="Number of jobs: this or minimum and maximum.")
    minimum: PositiveWhole | None = Field(None, description="Smallest number of jobs.")
    maximum: PositiveWhole | None = Field(None, description="Largest number of jobs.")
    memory: Memory = Field("2GB", description="Memory of one job.")
    walltime: WallTime = Field("01:00:00", description="Wall time of one job: HH:MM:SS, D-HH:MM:SS or seconds.")
    margin: Positive | None = Field(
        None, description="Seconds before the end of a job at which its worker begins no more blocks; by default measured."
    )
    interface: Line | None = Field(None, description="Network interface that reaches the nodes, such as ib0.")
    directives: list[Line] = Field(default_factory=list, description="Further options of sbatch, such as --qos=long.")
    prologue: list[Line] = Field(
        default_factory=list, description="Shell commands at the start of a job, such as module load."
    )
    python: Annotated[Line, AfterValidator(expanded)] | None = Field(
        None, description="Python on the nodes; by default that of dajko."
    )
    scratch: Line | None = Field(None, description="Directory on the nodes for temporary files; by default their own.")
    logs: PathText | None = Field(None, description="Directory for the jobs' output; by default logs/slurm of the study.")
    wait: Positive = Field(3600.0, description="Seconds to wait for the first worker.")
    patience: Positive = Field(
        3600.0, description="Seconds to wait for a worker when all are gone in the middle of a study."
    )
    tls: Certificates | None = Field(None, description="Certificates; by default a set that lasts as long as the cluster.")
    dashboard: Dashboard = False

    @model_validator(mode="after")
    def _number(self) -> SlurmCluster:
        if self.workers is None and self.maximum is None:
            raise PydanticCustomError("cluster", "must have the key workers, or the keys minimum and maximum")
        if self.workers is not None and (self.minimum, self.maximum) != (None, None):
            raise PydanticCustomError("cluster", "must have either workers or minimum and maximum, not both")
        if self.maximum is not None and (self.minimum or 1) > self.maximum:
            raise PydanticCustomError("cluster", "must have a minimum that is at most maximum")
        if self.margin is not None and self.margin >= seconds_of(self.walltime):
            raise PydanticCustomError("cluster", "must have a margin that is less than walltime")
        return self

    @property
    def least(self) -> int:
        """Smallest number of jobs."""
        return self.workers or self.minimum or 1

    @property
    def most(self) -> int:
        """Largest number of jobs."""
        return self.workers or self.maximum or 1


ClusterConfig = Annotated[LocalCluster | SchedulerAddress | SlurmCluster, Field(discriminator="kind")]
