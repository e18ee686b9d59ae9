"""The base of every schema class: strict, frozen, unknown keys refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Spec(BaseModel):
    """A part of a study file."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


Text = Annotated[str, Field(min_length=1)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]


def strict_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a validator hands them on: strict Python and no longer JSON, and there a list is no tuple."""
    return {key: tuple(item) if isinstance(item, list) else item for key, item in fields.items()}


def problem(kind: str, text: str) -> PydanticCustomError:
    """An error for a validator to raise. The text travels as a value, so braces in a user's input stay braces."""
    return PydanticCustomError(kind, "{text}", {"text": text})
