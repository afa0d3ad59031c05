"""What a cell costs, roughly, and how many of them make a block."""

from __future__ import annotations

from dajko.study.config.study import StudyConfig

# A chunk holds at most this many bytes of the largest variable, and the densities of a block that is being computed so many,
# whether they are kept or not.
_LARGEST_CHUNK, _MOST_MEMORY = 32_000_000, 128_000_000
# Estimated seconds of a block, as it should be and at most; the number of blocks that a group should not exceed; and that of
# the cells in one.
_BLOCK_SECONDS, _LONGEST_BLOCK_SECONDS, _MOST_BLOCKS, _LARGEST_BLOCK = 1.0, 10.0, 1024, 4096


def estimated_seconds(study: StudyConfig) -> float:
    """Rough cost of a cell, from measured costs of a cell, a step, and a node and an iteration."""
    interacts = study.model.energy.interaction is not None
    step = 50e-6 + study.solver.seconds(study.grid.nx, study.grid.nt, interacts=interacts)
    return 150e-6 + study.time.count * step


def block_size(study: StudyConfig, cells: int, given: int | None, largest: int) -> int:
    """Cells in a block.

    By default blocks of about a second by the estimate, at least eight of them in a study that is large enough, and
    whole lanes. A task takes several blocks, or one, as the measured rate has it, so that the estimate may be wrong. In a
    large study the number of blocks is bounded, and with it that of files: blocks grow up to ten seconds for that.

    Parameters
    ----------
    study : StudyConfig
        One point of the study.
    cells : int
        Cells in the group.
    given : int or None
        What the user asks for.
    largest : int
        Bytes of a cell in the largest variable.
    """
    from dajko.lanes import WIDTH  # loads a compiler, which who only reads stores does not need

    seconds = estimated_seconds(study)
    size = min(_BLOCK_SECONDS / seconds, cells / 8)
    size = max(size, min(cells / _MOST_BLOCKS, _LONGEST_BLOCK_SECONDS / seconds))
    size = int(max(1, min(size, _LARGEST_BLOCK)))
    size = given or (size if size < WIDTH else size // WIDTH * WIDTH)
    flow = 8 * (study.time.count + 1) * (study.grid.nx + 1)
    return max(1, min(size, cells, _LARGEST_CHUNK // largest, _MOST_MEMORY // flow))
