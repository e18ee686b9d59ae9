"""Follows keys that a dict hands on as arguments, `f(**config)`, to the parameter that takes them, or to nowhere.

What a function takes in `**kwargs` and hands on in the same way is traced further, by watching the calls that are
made meanwhile. Nothing is read from source: what is seen is what was bound.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import opcode
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Protocol

_UNPACK = opcode.opmap["DICT_MERGE"]
_CALL = opcode.opmap["CALL_FUNCTION_EX"]
_KEYWORD_CALLS = frozenset({"CALL_KW", "CALL_FUNCTION_KW"})
_WITH_ARGS, _WITH_KWARGS = 0x04, 0x08  # of `co_flags`


@dataclass(frozen=True, slots=True)
class Swallowed:
    """Where a key got lost.

    Args:
        by: The function that took it in `**kwargs` and handed it to nobody, qualified name.
        module: That function's module.
    """

    by: str
    module: str


class KeyFate(Protocol):
    """Where it is noted what became of keys; see `recorded_config.Reads`."""

    declared: dict[Any, Any]
    consumed: set[Any]
    swallowed: dict[Any, Swallowed]
    kept: dict[Any, tuple[object, str]]


@dataclass(slots=True, eq=False)
class _Holder:
    """A call that has keys in its `**kwargs`."""

    frame: FrameType
    kwargs: dict[Any, Any]
    keys: frozenset[Any]
    owner: object


@dataclass(slots=True, eq=False)
class _KwargsTrace:
    """One `f(**config)`: the frame that calls, and the keys that have reached no parameter yet."""

    frame: FrameType
    start: int
    fate: KeyFate
    pending: dict[Any, Any]
    call: int | None = None
    holders: list[_Holder] = field(default_factory=list)
    is_over: bool = False

    def see(self, frame: FrameType, event: str) -> None:
        if event == "call":
            back = frame.f_back
            if back is self.frame:
                if not self._has_left() and _operation(back) == _CALL:
                    self.call = back.f_lasti
                    self._bind(frame)
            elif self.holders and any(back is holder.frame for holder in self.holders):
                self._bind(frame)
            else:
                return
        elif frame is self.frame:
            if event == "return" or (event == "c_call" and self.call is None and _operation(frame) == _CALL):
                self.is_over = True
            else:
                self._has_left()
        else:
            return
        self.is_over = self.is_over or not self.pending
        if self.is_over:
            self.finish()

    def _has_left(self) -> bool:
        """Whether the caller has gone on to something else."""
        at = self.frame.f_lasti
        if at < self.start or (self.call is not None and at != self.call):
            self.is_over = True
        return self.is_over

    def _bind(self, frame: FrameType) -> None:
        code, values = frame.f_code, frame.f_locals
        count = code.co_argcount + code.co_kwonlyargcount
        named = code.co_varnames[:count]
        for key in [key for key in self.pending if key in named]:
            if values.get(key) is self.pending[key]:
                self._consume(key)
        if code.co_flags & _WITH_KWARGS:
            kwargs = values.get(code.co_varnames[count + bool(code.co_flags & _WITH_ARGS)])
            if isinstance(kwargs, dict):
                held = frozenset(key for key, value in self.pending.items() if kwargs.get(key, self) is value)
                if held:
                    owner = values.get(named[0]) if named else None
                    self.holders.append(_Holder(frame, kwargs, held, owner))
        # Handed on inside another dict: it cannot be followed there, so it counts as taken.
        for name in named:
            inside: Any = values.get(name)
            if type(inside) is dict or hasattr(inside, "declared_at"):
                for key in [key for key, value in self.pending.items() if dict.get(inside, key, self) is value]:
                    self._consume(key)

    def _consume(self, key: Any) -> None:
        del self.pending[key]
        self.fate.consumed.add(key)
        self.fate.swallowed.pop(key, None)

    def finish(self) -> None:
        """Say what became of the keys that reached no parameter."""
        self.is_over = True
        for key, value in list(self.pending.items()):
            holders = [holder for holder in self.holders if key in holder.keys]
            kept = next((where for holder in holders if (where := _kept_in(holder.owner, key, value))), None)
            if not holders or any(_reads(holder, key) for holder in holders):
                self._consume(key)
            elif kept == (holders[0].owner, key):
                self._consume(key)  # as an attribute of its own name
            elif kept is not None:
                self.fate.kept.setdefault(key, kept)
            elif key not in self.fate.consumed:
                code = holders[-1].frame.f_code
                module = str(holders[-1].frame.f_globals.get("__name__", ""))
                self.fate.swallowed.setdefault(key, Swallowed(_name(code, holders[-1].owner), module))
        self.pending = {}
        self.holders = []


class KwargsTracer:
    """Traces keys through calls while it is on: each `f(**config)` has a trace of its own."""

    def __init__(self) -> None:
        self.is_on = False
        self._traces: list[_KwargsTrace] = []

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Be on meanwhile."""
        before, self.is_on = sys.getprofile(), True
        try:
            yield
        finally:
            sys.setprofile(before)
            self.is_on = False
            for trace in self._traces:
                trace.finish()
            self._traces = []

    def follow(self, frame: FrameType, fate: KeyFate, values: Mapping[Any, Any]) -> None:
        """Follow the keys of a dict that `frame` is unpacking into the arguments of a call.

        Args:
            frame: The caller.
            fate: Where it is noted what became of them.
            values: The keys and the very objects that are handed on.
        """
        for trace in self._traces:
            if trace.frame is frame and trace.call is not None:
                trace.finish()
        self._traces = [trace for trace in self._traces if not trace.is_over]
        pending = {key: values[key] for key in values if key in fate.declared and key not in fate.consumed}
        if pending:
            self._traces.append(_KwargsTrace(frame, frame.f_lasti, fate, pending))
            sys.setprofile(self._see)

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        over = False
        for trace in self._traces:
            trace.see(frame, event)
            over = over or trace.is_over
        if over:
            self._traces = [trace for trace in self._traces if not trace.is_over]
            if not self._traces:
                sys.setprofile(None)


def is_unpacking(frame: FrameType) -> bool:
    """Whether the frame is just unpacking a dict into the arguments of a call."""
    return _operation(frame) == _UNPACK


def _operation(frame: FrameType) -> int:
    return _bytecode(frame.f_code)[frame.f_lasti]


@functools.cache
def _bytecode(code: CodeType) -> bytes:
    return code.co_code


def _reads(holder: _Holder, key: Any) -> bool:
    """Whether a call took the key out of its `**kwargs`, or names it in its code."""
    return key not in holder.kwargs or key in _constants(holder.frame.f_code)


@functools.cache
def _constants(code: CodeType) -> frozenset[Any]:
    """Strings that code loads. The names of keyword arguments are none: `f(key=...)` does not read `key`."""
    strings: set[Any] = set()
    instructions = [step for step in dis.get_instructions(code) if step.opname not in ("PRECALL", "CACHE")]
    for step, following in zip(instructions, [*instructions[1:], None], strict=True):
        if step.opname != "LOAD_CONST" or (following is not None and following.opname in _KEYWORD_CALLS):
            continue
        if isinstance(step.argval, str):
            strings.add(step.argval)
        elif isinstance(step.argval, (tuple, frozenset)):
            strings.update(item for item in step.argval if isinstance(item, str))
    return frozenset(strings)


def _kept_in(owner: object, key: Any, value: Any) -> tuple[object, str] | None:
    """Where an object keeps the value for later."""
    for attribute, kept in getattr(owner, "__dict__", {}).items():
        if attribute == key and kept is value:
            return owner, attribute
        if isinstance(kept, functools.partial):
            kept = kept.keywords
        if isinstance(kept, dict) and dict.get(kept, key, _kept_in) is value:
            return owner, attribute
    return None


def _name(code: CodeType, owner: object) -> str:
    """The name of a method with the class that has it (before Python 3.11, code knows no qualified name)."""
    for cls in type(owner).__mro__:
        if getattr(cls.__dict__.get(code.co_name), "__code__", None) is code:
            return f"{cls.__name__}.{code.co_name}"
    return getattr(code, "co_qualname", code.co_name)
