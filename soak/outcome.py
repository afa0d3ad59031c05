"""What became of a disturbed study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from soak.counting import Count, count
from soak.studies import different, store

# Cells of a block of the study that is disturbed: what a worker has in flight.
BLOCK = 16


@dataclass
class Outcome:
    """One run of a study that was disturbed until it was complete.

    Attributes
    ----------
    kind : str
    seed : str
        What decides when and where it was disturbed.
    starts : int
        How often the program was started.
    disturbances : int
        Kills, or disks that were full.
    computed, again : int
        Cells that were computed, and those of them more than once: in flight when something was killed.
    problems : list of str
        What should not have been.
    """

    kind: str
    seed: str
    starts: int = 0
    disturbances: int = 0
    computed: int = 0
    again: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything was as it should be."""
        return not self.problems

    def judge(self, file: Path, log: Path, reference: dict[str, str], cells: int, in_flight: int) -> None:
        """Compare the complete store with the undisturbed one, and the computations with what may have been in flight.

        Parameters
        ----------
        file : Path
            The configuration; its store lies beside it.
        log : Path
            What the workers wrote.
        reference : dict from str to str
            The chunks of the undisturbed store.
        cells : int
            Cells of the study.
        in_flight : int
            Blocks that may have been under way when something was killed, over all kills.
        """
        differing = different(store(file), reference)
        if differing:
            self.problems.append(f"{len(differing)} chunks differ from the undisturbed store, the first {differing[0]}")
        found: Count = count(log)
        self.computed, self.again = found.computed, found.again
        if found.computed != cells:
            self.problems.append(f"{found.computed} of {cells} cells were computed")
        if found.wasted:
            self.problems.append(
                f"{len(found.wasted)} cells were computed again after they had been written: {found.wasted[:5]}"
            )
        if found.repeated > in_flight * BLOCK:
            self.problems.append(f"{found.repeated} computations were repeated, at most {in_flight * BLOCK} were in flight")
