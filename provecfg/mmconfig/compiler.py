"""What Python's compiler refuses although its parser does not: a keyword twice, `break` outside a loop, and the like.

Compiling executes nothing. But it works out operators on constants, compares every keyword of a call with every other,
writes a `finally` out for each way into it and copies names into each function inside another, so that a small text can
take it hours or gigabytes. Hence only texts are compiled whose cost is bounded; all real configs are (the largest of
mmseg and mmdet has 30,000 characters). What the compiler has against another text is not known.
"""

from __future__ import annotations

import ast
import re
import warnings

from provecfg.mmconfig.budget import LimitError

_MAX_LENGTH = 50_000
"""Characters of a text that is compiled."""
_HARMLESS_LENGTH = 2_500
"""Characters that stay within all that follows, but for `finally`, however they are arranged."""
_MAX_LENGTH_OF_COSTLY = 5_000
"""The same of one with statements whose code can grow with the square of their length."""
_MAX_FINALLY = 3
"""Each can double the code."""
_MAX_EQUAL_SIGNS = 4_000
"""A call has no more keywords; each is compared with each (CPython, Python/compile.c, validate_keywords)."""
_MAX_FOLDED = 20_000_000
"""Characters that working out `+` and `*` on constants can make."""
_FOLDED_TEXT = 4_096
"""Characters that one `*` makes at most (CPython, Python/ast_opt.c, MAX_STR_SIZE)."""
_MAX_COPIED = 1_000_000
"""Characters, once for each function, of which the names can be copied into that."""
_COSTLY = re.compile(r"(?m)^[ \t\f]*(?:class|match|finally)\b")
_FINALLY = re.compile(r"\bfinally\b")
_FUNCTION = re.compile(r"\b(?:lambda|def|for|class)\b")


def check_compiles(tree: ast.Module, text: str) -> None:
    """Check that Python compiles what it has parsed, where that can be found out at a bounded cost.

    Args:
        tree: The text's syntax tree, nested within the limits of `scan`.
        text: The text.

    Raises:
        SyntaxError: It does not; `offset` counts bytes from 1.
        LimitError: It is nested too deeply to be compiled.
    """
    if not _is_cheap(text):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of `is` with a literal
            compile(tree, "<config>", "exec", dont_inherit=True)
    except (RecursionError, MemoryError):
        raise LimitError("it is nested too deeply") from None
    except ValueError as error:
        raise SyntaxError(str(error)) from None


def _is_cheap(text: str) -> bool:
    length = len(text)
    if length <= _HARMLESS_LENGTH and "finally" not in text:  # most configs
        return True
    return (
        length <= _MAX_LENGTH
        and text.count("=") <= _MAX_EQUAL_SIGNS
        and (text.count("+") + text.count("*")) * max(length, _FOLDED_TEXT) <= _MAX_FOLDED
        and len(_FUNCTION.findall(text)) * length <= _MAX_COPIED
        and (
            not _COSTLY.search(text)
            or (length <= _MAX_LENGTH_OF_COSTLY and len(_FINALLY.findall(text)) <= _MAX_FINALLY)
        )
    )
