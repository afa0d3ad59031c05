#!/usr/bin/env bash
# Run by Snakemake in the new environment, from the folder that it was started in: the root of this checkout.
set -euo pipefail
pip install --no-deps --no-build-isolation --editable .
