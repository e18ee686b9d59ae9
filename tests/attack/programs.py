"""Small programs in the language of configs, made by chance; what Python makes of them, and what the reader claims.

A program is a handful of statements over a few names, each of which mostly holds values of one kind, so that most
programs run; now and then anything stands anywhere. Nothing in a program reaches outside of itself, loops end by
construction, and every fault that Python has a word against can be in it: at compiling and at running.
"""

from __future__ import annotations

import ast
import contextlib
import io
import random
import re
import signal
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from provecfg.findings import Severity
from provecfg.mmconfig import ConfigView, DottedName, Opaque, read_config


def forms(table: str) -> tuple[str, ...]:
    """Pieces of programs, from a text in which two spaces or more stand between them."""
    return tuple(re.split(r"\s{2,}", table.strip()))


LIST, DICT, TEXT, NUMBER, ANY = "list", "dict", "text", "number", "any"
NAMES = {"a": LIST, "b": DICT, "c": TEXT, "d": NUMBER, "e": ANY, "l": LIST, "m": DICT}
FUNCTIONS = ("f", "g", "h")

LITERALS = {
    LIST: forms(r"""
        []   [1, 2, 3]   ['b', 'a']   [[1], [2]]   [dict(k=1), dict(k=2)]   [True, None]   [3, 1, 2]
    """),
    DICT: forms(r"""
        {}   {'k': 1}   {'k': {'x': [1]}, 'l': 2}   dict(k=[1, 2])   {'a': [], 0: 1}   dict(type='A', k=0)
    """),
    TEXT: forms(r"""
        'abc'   ''   'k'   'a b c'   'x,y'   '%s-%s'   '{}'   '3'
    """),
    NUMBER: forms(r"""
        0   1   -3   2.5   True   10 ** 3   1e300   7   0x1f   -1
    """),
    ANY: forms(r"""
        None   ()   (1, 'x')   {1, 2}   b'x'   1j   ...   range(3)   (1, [2])   set()   None
    """),
}
EXPRESSIONS = {
    LIST: forms(r"""
        L + L   L * 2   L[1:]   L[::-1]   [X, X]   [*L, X]   list(L)   sorted(L)   [i for i in L]   [X for i in L]
        [i for i in L if X]   [(i, X) for i in range(3)]   list(D)   list(D.items())   [k for k, v in D.items()]
        T.split()   list(T)   L.copy()   list(map(str, L))   list(zip(L, L))   list(reversed(L))
        list(enumerate(L, 1))   [lambda: i for i in L]   D.setdefault('q', L)   copy.copy(L)   D.get('k', L)
        [*D, *L]   sum([L, L], [])   [[i, j] for i in L for j in [i]]   list(D.values())   list(filter(None, L))
        [L for _ in range(2)]   copy.deepcopy(L)   sorted(L, key=str, reverse=True)   list(range(N if N else 2))
        [i := 3, i]   [D[k] for k in D]   [x for x, *_ in [L]]   L or L   L and L
    """),
    DICT: forms(r"""
        {**D, 'k': X}   dict(D)   dict(D, k=X)   D | D   {'k': X, 'l': X}   {i: X for i in L if not i}
        dict(zip(T, L))   D.copy()   dict(k=X, **D)   dict(L)   {k: v for k, v in D.items()}   D.get('k', D)
        {X: X}   copy.deepcopy(D)   dict([('k', X)])   {**D, **D}   {T: X}   dict(k=dict(k=X))   D or D
        D.setdefault('k', {})   {'k': D}   dict(a=L, b=L)   dict(enumerate(L))   {k: X for k in D}
    """),
    TEXT: forms(r"""
        T + T   T * 2   T[0]   T[1:]   f'{a}'   f'{d:.2f}'   f'{c!r:>8}-{b}'   '%s-%d' % (T, N)   '%s' % T
        '{} {x}'.format(X, x=X)   '%(k)s' % D   '{0[k]}'.format(D)   T.upper()   T.replace('a', T)   str(X)
        ','.join(T)   ','.join(str(i) for i in L)   T.strip()   repr(X)   f'{d:{d}}'   T.format(X)   T % (X, X)
        T.title()   f'{c=}'   T.join(['a', 'b'])   format(N, '>4')   '{:>{}}'.format(T, 4)   T or T   chr(N)
        T.zfill(5)   max(T, T)   type(X).__name__   T.center(9, '*')   T.partition('b')[0]   '%r' % L
    """),
    NUMBER: forms(r"""
        N + N   N - N   N * N   N // 2   N / 2   N % 3   -N   ~N   N ** 2   len(L)   len(D)   len(T)   sum(L)
        max(N, N)   min(L)   abs(N)   round(N)   int(T)   N == N   X == X   N < N   X in L   X in D   not X
        L.index(X)   L.count(X)   isinstance(X, (int, str))   bool(X)   any(L)   all(L)   N & 3   N | 1   T in T
        X is None   X is not X   1 < N <= 3   math.floor(N)   math.pi   N << 1   float(N)   sum(1 for i in L)
        any(i == 1 for i in L)   all(X for i in L)   callable(X)   L == L   D == D   L < L   N if X else N   hash(N)
        T.count('a')   T.find('b')   D.get('l', N)   L[0]   D['k']   next(iter(L))   divmod(N, 3)[0]   pow(N, 2)
        N and N   N or N   (d := N)   T.startswith('a')   N >> 1   N ^ N   max(L, key=lambda x: -x)   len(D.items())
    """),
    ANY: forms(r"""
        (X, X)   (X,)   {N, N}   tuple(L)   set(L)   L[0]   D['k']   F(A)   F(A)   (lambda: X)   (lambda x: x)(X)
        X if X else X   L[N]   D[T]   None   frozenset(L)   {i for i in L}   (i for i in L)   zip(L, L)
        map(str, L)   D.items()   D.pop('k', X)   L.pop()   iter(L)   range(N)   (lambda *x, k=X: (x, k))(*L)   D.k
        (N).real   T.nothing   type(X)   L.sort()   X @ X   set(L) | {X}   (*L, X)   e[X]   len   print(X)
        D.keys()   (yield)   {*L}   set(L) - {1}   F   math   D.popitem()   [*L][0:N]   X.k   L.__len__()   X[X]
        super()   OrderedDict(D)
    """),
}
"""L, D, T, N, X stand for an expression of each kind, F for a function, A for arguments."""

TARGETS = {
    LIST: forms(r"""
        L[0]   L[-1]   L[1:2]   L[:]   a   l   D['k']   D['k']['x']
    """),
    DICT: forms(r"""
        b   m   D['k']   D[T]   L[0]   D.k
    """),
    TEXT: forms(r"""
        c   D['t']   L[0]   D[T]
    """),
    NUMBER: forms(r"""
        d   D[N]   L[N]   D['n']   D['k']['n']   L[0]
    """),
    ANY: forms(r"""
        e   e, d   d, *a   [e, (d, c)]   e.x   e[X]   e = d   *a, d   L[0], D['k']   e, = a
    """),
}
MUTATIONS = forms(r"""
    L.append(X)   L.extend(L)   L.insert(0, X)   L.pop()   L.sort()   L.reverse()   L.clear()   L.remove(X)
    D.update(k=X)   D.update(D)   D.pop('k')   D.pop('q', None)   D.clear()   D.setdefault('s', []).append(X)
    D['k'].append(X)   L[0].append(X)   L += L   L *= 2   D |= D   T += T   N += N   N -= 1   N *= 2   D['k'] += X
    L[0] += X   e |= {1}   e += (1,)   N //= 2   D['k'] = X   L[0] = X   del L[0]   del D['k']   del L[1:]   del d
    del X   del unknown   L.sort(key=lambda i: str(i))   D.popitem()   e.add(1)   F(A)   print(L)
    L.extend(i for i in T)   L[:] = L   L[::2] = [X]   e.discard(1)   e -= {1}   e &= {1}   del b.k   X.sort()
    e.update(X)   L.append(L)   math.x = 1   e <<= 1   F.x = 1   D['k']['x'] = X   L.copy().append(1)
    L.insert(N, X)   L.nothing()   d = d   (L.append(X), X)   X and L.append(X)   L.append(X) if X else D.clear()
    [L.append(i) for i in range(2)]   e @= 2
""")
LOOPS = forms(r"""
    for i in range(3)   for i in L   for e in L   for k, v in D.items()   for i, e in enumerate(L)   for i in T
    for k in D   for d in [N, N]   for k in list(D)   for i, j in zip(L, T)   for e, *l in [L, L]   for a[0] in L
    for b['k'] in range(2)   for i in sorted(L)   for i in X   for v in D.values()   for i in (j for j in L)
""")
IMPORTS = forms(r"""
    import math   import math as e   import copy   from math import pi   from copy import deepcopy as f   import os
    from os import path   import os.path   from itertools import product, chain   from math import *
    import sys as math   from __future__ import annotations   from collections import OrderedDict
    import math, copy
""")
REFUSED = tuple(
    form.replace("¶>", "\n    ").replace("¶", "\n")
    for form in forms(r"""
    break   continue   return   yield 1   await a   a = dict(k=1, k=2)   def f(x, x): pass   nonlocal a   a = *b
    *a, *b = c   def f():¶>x = 1¶>global x   del __debug__   None: int = 1   f = lambda x, x: 1   )(   x = (1
    a = [(yield) for i in b]   a = [b := 1 for b in c]   class A:¶>return 1   async with a: pass   f(**a, *b)
    a = 1 = b   for i in a: pass¶else: break   try: pass¶except: pass¶except A: pass   f'{a b}'
    [i for i in a for i in (i := 1)]   def f(a):¶>global a   from __future__ import nothing   if a:¶b
    a = {**b for b in c}   lambda: (yield   print(a=1, a=1)
""")
)
"""Most of these the parser takes, and the compiler does not."""


class Programs:
    """Makes programs.

    Args:
        seed: Equal seeds make equal programs.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._depth = 0
        self._made: list[str] = []
        self._in_function = False
        self._in_loop = False

    def program(self) -> str:
        """One program."""
        lines = ["import math", "import copy"] if self._happens(0.7) else []
        lines += [f"{name} = {self._pick(LITERALS[kind])}" for name, kind in NAMES.items() if self._happens(0.99)]
        for _ in range(self._chance.randint(1, 6)):
            lines += self._statement()
        if self._happens(0.03):
            lines += self._pick(REFUSED).split("\n")
        return "\n".join(lines) + "\n"

    # Statements

    def _statement(self) -> list[str]:
        makers: list[tuple[float, Callable[[], list[str]]]] = [
            (8, self._assignment),
            (7, self._mutation),
            (2, self._for),
            (1, self._while),
            (2, self._if),
            (2.5, self._def),
            (0.6, self._try),
            (0.4, self._class),
            (0.4, self._match),
            (0.5, lambda: [self._pick(IMPORTS)]),
            (0.3, lambda: [f"assert {self._expression()}"]),
            (0.2, lambda: [self._pick(("raise ValueError('x')", "raise", "raise e"))]),
            (0.4, lambda: [f"{self._pick(('d', 'b.x', 'a[0]', 'e'))}: int = {self._expression(NUMBER)}"]),
            (0.6, self._leave),
            (0.2, lambda: [f"global {self._name()}"]),
        ]
        if self._depth > 2:
            makers = makers[:2]
        return self._chance.choices([maker for _, maker in makers], [weight for weight, _ in makers])[0]()

    def _block(self, most: int = 3) -> list[str]:
        self._depth += 1
        lines: list[str] = []
        for _ in range(self._chance.randint(1, most)):
            lines += self._statement()
        self._depth -= 1
        return [f"    {line}" for line in lines]

    def _assignment(self) -> list[str]:
        kind = self._pick((LIST, LIST, DICT, DICT, TEXT, NUMBER, NUMBER, ANY))
        return [f"{self._filled(self._pick(TARGETS[kind]), names=True)} = {self._expression(kind)}"]

    def _mutation(self) -> list[str]:
        return [self._filled(self._pick(MUTATIONS), names=True)]

    def _for(self) -> list[str]:
        return [f"{self._filled(self._pick(LOOPS))}:", *self._loop_body(), *self._else()]

    def _while(self) -> list[str]:
        counter = self._pick(("n", "o"))
        test = self._pick((f"{counter} < 3", f"{counter} < 2 and {self._expression()}"))
        return [f"{counter} = 0", f"while {test}:", f"    {counter} += 1", *self._loop_body(), *self._else()]

    def _loop_body(self) -> list[str]:
        outer, self._in_loop = self._in_loop, True
        body = self._block()
        self._in_loop = outer
        return body

    def _else(self) -> list[str]:
        return ["else:", *self._block(2)] if self._happens(0.2) else []

    def _if(self) -> list[str]:
        membership = f"'{self._pick('kq')}' in b"
        test = self._pick((self._expression(NUMBER), self._expression(), membership, "unknown or 1", "a"))
        lines = [f"if {test}:", *self._block()]
        if self._happens(0.2):
            lines += [f"elif {self._expression()}:", *self._block(2)]
        return [*lines, *(["else:", *self._block(2)] if self._happens(0.5) else [])]

    def _def(self) -> list[str]:
        name = self._pick(FUNCTIONS)
        outer = self._in_function, self._in_loop
        self._in_function, self._in_loop = True, False
        outward = self._pick(("global", "global", "nonlocal"))
        declared = [f"    {outward} {self._name()}"] if self._happens(0.1) else []
        body = [*declared, *self._block(), f"    return {self._expression()}"]
        self._in_function, self._in_loop = outer
        parameters = self._pick((
            "", "", "x", "x, y", f"x=1, y={self._expression()}", "x=2, *rest", "*rest, k=1", "x=0, **more",
            "x=3, /, y=2", f"x=4, *, y={self._pick(LITERALS[LIST])}", "a=None", "b", "x=[]",
        ))  # fmt: skip
        decorator = [f"@{self._pick(('staticmethod', 'f', 'e'))}"] if self._happens(0.04) else []
        keyword = "async def" if self._happens(0.02) else "def"
        lines = [*decorator, f"{keyword} {name}({parameters}):", *body]
        if self._depth == 0:
            self._made.append(name)
        if self._happens(0.9):
            lines.append(f"{self._name()} = {name}({self._arguments(parameters)})")
        return lines

    def _arguments(self, parameters: str) -> str:
        needed = [part for part in parameters.split(", ") if part.isalpha()]
        if self._happens(0.85):
            return ", ".join(self._expression() for _ in needed)
        return self._filled(self._pick(("X, X", "x=X", "*L", "**D", "X, y=X", "1, *L, k=3", "X")))

    def _try(self) -> list[str]:
        lines = ["try:", *self._block(2)]
        if self._happens(0.8):
            caught = self._pick(("", " Exception", " (KeyError, TypeError) as e"))
            lines += [f"except{caught}:", *self._block(2)]
            lines += ["else:", *self._block(1)] if self._happens(0.2) else []
        return [*lines, *(["finally:", *self._block(1)] if len(lines) < 4 or self._happens(0.1) else [])]

    def _class(self) -> list[str]:
        return [f"class {self._pick(('A', 'a', 'e'))}:", *self._block(2)]

    def _match(self) -> list[str]:
        pattern = self._pick(("1", "[x, *_]", "{'k': b, **m}", "str()", "a", "_", "1 | 2", "None", "[*l]"))
        return [f"match {self._expression()}:", f"    case {pattern}:", *(f"    {line}" for line in self._block(2))]

    def _leave(self) -> list[str]:
        words = [
            *(["break", "continue"] if self._in_loop else []),
            *([f"return {self._expression()}", "return"] if self._in_function else []),
        ]
        return [f"if {self._expression()}:", f"    {self._pick(words)}"] if words else ["pass"]

    # Expressions

    def _expression(self, kind: str | None = None) -> str:
        if kind is None or self._happens(0.03):
            kind = self._pick((LIST, DICT, TEXT, NUMBER, ANY))
        if self._depth > 4 or self._happens(0.45):
            return self._name(kind) if self._happens(0.6) else self._pick(LITERALS[kind])
        self._depth += 1
        text = self._filled(self._pick(EXPRESSIONS[kind]))
        self._depth -= 1
        return f"({text})" if " " in text else text

    def _filled(self, form: str, *, names: bool = False) -> str:
        """A form with expressions for its capital letters; with `names`, what it begins with is a name."""
        kinds = {"L": LIST, "D": DICT, "T": TEXT, "N": NUMBER, "X": None}
        start = len("del ") if form.startswith("del ") else 0
        filled = []
        for index, letter in enumerate(form):
            alone = not (form[index - 1 : index].isalpha() or form[index + 1 : index + 2].isalpha())
            if not alone or letter not in "LDTNXFA":
                filled.append(letter)
            elif letter == "F":
                filled.append(self._pick(self._made or FUNCTIONS) if self._happens(0.98) else self._pick(FUNCTIONS))
            elif letter == "A":
                filled.append(self._pick(("", self._expression(), f"x={self._expression()}")))
            else:
                kind = kinds[letter]
                filled.append(self._name(kind) if names and index == start else self._expression(kind))
        return "".join(filled)

    def _name(self, kind: str | None = None) -> str:
        if self._happens(0.003):
            return "unknown"
        if self._happens(0.01):
            return self._pick(("i", "x", "k", "v", "e"))
        return self._pick([name for name, holds in NAMES.items() if kind in (None, holds)])

    def _happens(self, probability: float) -> bool:
        return self._chance.random() < probability

    def _pick(self, options: Sequence[str]) -> str:
        return self._chance.choice(options)


# What Python makes of it, and what the reader claims


def disagreement(text: str, path: Path) -> str | None:
    """What the reader claims of a program and Python does not do, or None. Executes the program.

    Args:
        text: A program of `Programs`, or one as harmless.
        path: Where it is said to stand; nothing is written.
    """
    view = read_config(path, text=text)
    codes = {problem.code for problem in view.problems}
    errors = [problem for problem in view.problems if problem.severity is Severity.ERROR]
    if "CFG008" in codes:  # too large: no claim is made
        return None
    try:
        code = compile(text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        # With more of these the compiler's work is not bounded, and its word is not asked for.
        return None if codes and ("CFG001" in codes or text.count("finally") > 3) else f"Python refuses it: {error}"
    variables: dict[str, Any] = {"__file__": str(path)}
    try:
        with _seconds(1.0), contextlib.redirect_stdout(io.StringIO()):
            exec(code, variables)
    except (_Endless, MemoryError):
        return None
    except Exception as error:
        return None if view.problems else f"Python raises {error!r}, the reader says nothing"
    if errors:
        return f"Python runs it, the reader says {errors[0].code}: {errors[0].message}"
    return next(_differences(view, variables), None)


def without_faults(text: str) -> str | None:
    """The program without the statements that raise, so that Python runs it to its end; None where it does not compile.

    Executes the program.
    """
    lines = text.split("\n")
    while True:
        text = "\n".join(lines)
        try:
            body = ast.parse(text).body
            code = compile(text, "<program>", "exec", dont_inherit=True)
        except SyntaxError:
            return None
        try:
            with _seconds(0.5), contextlib.redirect_stdout(io.StringIO()):
                exec(code, {"__name__": "builtins"})
            return text
        except (Exception, _Endless) as error:
            row = error.__traceback__.tb_next.tb_lineno if error.__traceback__ and error.__traceback__.tb_next else 1
        raising = next(node for node in body if node.lineno <= row <= (node.end_lineno or row) or node is body[-1])
        first = min([raising.lineno, *(node.lineno for node in getattr(raising, "decorator_list", []))])
        del lines[first - 1 : raising.end_lineno]


class _Endless(BaseException):
    """A program does not come to its end: `for i in a: a.append(i)`."""


@contextlib.contextmanager
def _seconds(most: float) -> Iterator[None]:
    def end(*_: object) -> None:
        raise _Endless

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _differences(view: ConfigView, variables: dict[str, Any]) -> Iterator[str]:
    # mmengine drops names with `__`, functions and modules.
    expected = {
        name: value
        for name, value in variables.items()
        if not name.startswith("__") and not isinstance(value, (types.FunctionType, types.ModuleType))
    }
    codes = {problem.code for problem in view.problems}  # CFG013: a statement is not read, such as `import *`
    for name, value in expected.items():
        if name not in view.values:
            if not isinstance(value, (type, types.BuiltinFunctionType)) and "CFG013" not in codes:
                yield f"{name} is {value!r}, the reader does not have it"
        elif not is_alike(view.values[name], value):
            yield f"{name} is {value!r}, the reader says {view.values[name]!r}"
    for name, value in view.values.items():
        if name not in expected and not isinstance(value, (Opaque, DottedName)):
            yield f"{name} does not exist, the reader says {value!r}"


_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def is_alike(read: Any, made: Any) -> bool:
    """Whether what was read is what Python made, or not known."""
    if isinstance(read, Opaque):
        return True
    if isinstance(read, DottedName):
        return not isinstance(made, (*_PLAIN, dict, list, tuple, set))
    if isinstance(made, dict):
        return (
            isinstance(read, dict)
            and list(map(repr, read)) == list(map(repr, made))
            and all(is_alike(read[key], value) for key, value in made.items())
        )
    for kind in (list, tuple):
        if isinstance(made, kind):
            return isinstance(read, kind) and len(read) == len(made) and all(map(is_alike, read, made))
    if isinstance(made, (set, frozenset)):
        return isinstance(read, (set, frozenset)) and sorted(map(repr, read)) == sorted(map(repr, made))
    if isinstance(made, (*_PLAIN, range)):
        return type(read) is type(made) and repr(read) == repr(made)
    return False
