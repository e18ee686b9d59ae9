"""The JSON Schema of study files, by which editors complete and check YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from provecfg.study.schema import Study

SHIPPED_SCHEMA: Final = Path(__file__).with_name("study.schema.json")
"""The schema as a file of the package, for what cannot call `study_schema`; `python -m docs.generate` writes it."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> dict[str, Any]:
    """The schema, as `json.dumps` takes it."""
    return {"$schema": DIALECT, **Study.model_json_schema()}
