"""What dajko claims about speed, measured: ``make bench``, or ``python -m benchmarks --help`` at the root of the repository.

docs/performance.md says what the numbers mean.
"""

import os

# What is measured is one core. The libraries read these when they are loaded, so this comes before them.
for _library in ("OMP", "MKL", "OPENBLAS", "NUMBA", "VECLIB"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
