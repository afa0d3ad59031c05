"""The JSON Schema of a file of studies; ``python -m dajko.study.config.schema FILE`` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dajko.study.config.study import StudyFile


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file of studies."""
    content = StudyFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content, "title": "Studies of dajko"}


def text() -> str:
    """The schema as it stands in ``workflow/schemas/config.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
