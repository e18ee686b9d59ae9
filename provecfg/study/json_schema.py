"""The JSON Schema of study files, by which editors complete and check YAML."""

from __future__ import annotations

from typing import Any

from provecfg.study.schema import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def study_schema() -> dict[str, Any]:
    """The schema, as `json.dumps` takes it."""
    return {"$schema": DIALECT, **Study.model_json_schema()}
