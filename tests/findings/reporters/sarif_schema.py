"""The part of SARIF 2.1.0 that reports use, as a JSON Schema written from the standard: no other property may occur.

Each comment gives the section of the standard.
"""

from __future__ import annotations

from typing import Any


def an_object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: Any, *, least: int = 0, unique: bool = True) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "uniqueItems": unique}


TEXT = {"type": "string", "minLength": 1}
POSITIVE = {"type": "integer", "minimum": 1}
MESSAGE = an_object(("text",), text=TEXT)  # 3.11, 3.12
LEVEL = {"enum": ["none", "note", "warning", "error"]}  # 3.27.10
ARTIFACT_LOCATION = an_object(("uri",), uri={"type": "string", "format": "uri-reference"}, uriBaseId=TEXT)  # 3.4
REGION = an_object(  # 3.30
    ("startLine",), startLine=POSITIVE, startColumn=POSITIVE, endLine=POSITIVE, endColumn=POSITIVE
)
PHYSICAL = an_object(("artifactLocation",), artifactLocation=ARTIFACT_LOCATION, region=REGION)  # 3.29
LOGICAL = an_object(("fullyQualifiedName",), fullyQualifiedName=TEXT, kind=TEXT)  # 3.33
LOCATION = an_object(  # 3.28
    ("physicalLocation",),
    id={"type": "integer", "minimum": 0},
    physicalLocation=PHYSICAL,
    logicalLocations=array(LOGICAL),
    message=MESSAGE,
)
RULE = an_object(  # 3.49, reportingDescriptor
    ("id",),
    id=TEXT,
    name=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    helpUri={"type": "string", "format": "uri", "pattern": "^[a-z][a-z0-9+.-]*:"},
    defaultConfiguration=an_object(level=LEVEL),
    properties=an_object(tags=array(TEXT)),
)
REPLACEMENT = an_object(  # 3.57
    ("deletedRegion",), deletedRegion=REGION, insertedContent=an_object(("text",), text={"type": "string"})
)
FIX = an_object(  # 3.55
    ("artifactChanges",),
    description=MESSAGE,
    artifactChanges=array(
        an_object(  # 3.56
            ("artifactLocation", "replacements"),
            artifactLocation=ARTIFACT_LOCATION,
            replacements=array(REPLACEMENT, least=1, unique=False),
        ),
        least=1,
    ),
)
RESULT = an_object(  # 3.27
    ("message",),
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations=array(LOCATION, unique=False),
    relatedLocations=array(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    fixes=array(FIX),
)
RUN = an_object(  # 3.14
    ("tool",),
    tool=an_object(  # 3.18, 3.19
        ("driver",), driver=an_object(("name",), name=TEXT, semanticVersion=TEXT, rules=array(RULE))
    ),
    invocations=array(an_object(("executionSuccessful",), executionSuccessful={"type": "boolean"})),  # 3.20
    artifacts=array(an_object(location=ARTIFACT_LOCATION, roles=array({"enum": ["analysisTarget"]}))),  # 3.24
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=array(RESULT, unique=False),
)
LOG = an_object(  # 3.13
    ("version", "runs"),
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"const": "2.1.0"},
    runs=array(RUN, unique=False),
)
