"""Every feature of the language, against mmengine, which executes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provecfg.mmconfig import read_config

pytestmark = pytest.mark.stack

Load = Callable[[Path], dict[str, Any] | None]

FEATURES = r'''
#: literals
a = [1, 2.5, -3, 'x', b'y', None, True, ..., (1,), {2, 3}, {'k': [1]}, (), [], {}]
#: dict_call
a = dict(x=1, **dict(y=2))
b = dict([('k', 1), ['l', 2]], m=3)
c = dict({'a': 1}, b=2)
#: names_share_values
n = dict(type='BN')
m = dict(a=n, b=n)
n['type'] = 'SyncBN'
n.update(eps=1)
#: arithmetic
a = [7 // 2, 7 % 3, 2 ** 10, 1 / 4, -7 // 2, 3 * 1.5, 1 << 4, 6 & 3, 6 | 1, 6 ^ 3, ~5, 2 ** -1]
#: sequences
a = [1] + [2] * 3
b = (1,) + (2,) * 2
c = 'ab' * 2 + 'c'
d = [0] * 3 + [[]] * 2
#: comparisons
a = [1 < 2 <= 2, 1 in [1], 'a' not in 'b', 1 == 1.0, 'a' != 'b', None is None, 3 is not None]
#: boolean
a = [1 and 2, 0 or 'x', not [], None or [] or 0, 1 and 0 and 2]
#: conditional
n = 3
a = 'big' if n > 2 else 'small'
b = [i if i % 2 else -i for i in range(4)]
#: fstrings
n, x = 3, 0.12345
a = [f'{n}d', f'{x:.2f}', f'{n!r}', f'{n:>{5}}', f'{{}}{n:03d}', f"{'q'}", f'{[1, (2,)]}']
#: percent
a = ['%d-%s' % (1, 'x'), '%5.2f' % 1.5, '%(k)s' % dict(k=1), '%%', '%s' % [1], '%*d' % (5, 1)]
#: format
a = ['{}-{}'.format(1, 2), '{0}{1}{0}'.format('a', 'b'), '{x:>4}'.format(x=1), '{0[k]}'.format({'k': 1})]
#: string_methods
a = ['A-b'.lower(), 'x'.upper(), 'a,b'.split(','), '/'.join(['a', 'b']),
    ' a '.strip(), 'ab'.replace('a', 'c')]
b = ['ab'.startswith('a'), 'ab'.endswith(('a', 'b')), 'a.b'.rpartition('.'),
    'abc'.find('c'), '7'.zfill(3), 'x'.center(5, '*')]
#: subscripts
d = dict(a=[1, dict(b='c')])
x = d['a'][1]['b']
y = d['a'][-2]
z = 'abc'[1]
w = (1, 2, 3)[::-1]
v = [1, 2, 3, 4][1:3]
#: unpacking
a, b = 1, 2
(c, [d, e]), *f = (1, [2, 3]), 4, 5
*g, h = 'xyz'
i = j = []
k = [*range(3), *'ab']
l = {**{'a': 1}, 'b': 2}
#: augmented
a = 1
a += 2
b = [1]
c = b
b += [2]
d = 'x'
d *= 3
e = dict(n=1)
e['n'] -= 5
f = {}
f |= dict(g=1)
#: list_comprehension
a = [x * y for x in range(3) if x for y in (1, 2)]
b = [[i] * 2 for i in 'ab']
c = sum([i for i in (1, 2)])
#: dict_comprehension
a = {f'k{i}': dict(lr=0.1 * i) for i in range(3)}
b = {k: v for k, v in a.items() if v['lr'] > 0}
#: set_comprehension
a = sorted({x % 3 for x in range(9)})
b = {1, 2} | {3}
#: generators
a = sum(x * x for x in range(4))
b = dict((k, 1) for k in 'ab')
c = any(x > 2 for x in [1, 3])
d = tuple(i for i in [1])
#: comprehension_scope
i = 'kept'
a = [i for i in range(2)]
#: builtins
a = [len([1]), int('3'), int(2.7), float('1e-3'), str(1.5), sum([1, 2], 3),
    min(2, 1), max([1, 5]), abs(-2), round(2.567, 1)]
b = [list('ab'), tuple([1]), sorted([3, 1], reverse=True), list(zip([1], 'a')),
    list(enumerate('a', 1)), list(reversed([1, 2]))]
c = [bool(0), any([0, 1]), all([]), isinstance(1, int), isinstance('a', (list, str)),
    list(map(str, [1])), list(filter(None, [0, 2]))]
d = [repr('a'), ord('a'), chr(98), divmod(7, 2), list(range(5, 0, -2)),
    frozenset([1]), max('a', 'bb', key=len), format(3.14159, '.2f')]
#: math
import math
from math import pi
a = [math.ceil(1.2), math.sqrt(4), math.inf]
b = pi
#: paths
import os.path as osp
import os
a = osp.join('a', 'b')
b = os.path.basename('x/y.py')
c = osp.splitext('x.tar.gz')
#: copying
import copy
a = dict(b=[1])
c = copy.deepcopy(a)
d = copy.copy(a)
a['b'].append(2)
e = a.copy()
a['f'] = 1
#: list_methods
a = [3, 1]
a.append(2)
a.extend([5, 4])
a.insert(0, 9)
a.sort()
b = a.pop()
a.remove(1)
a.reverse()
c = [a.index(2), a.count(3)]
#: dict_methods
a = dict(x=1, y=2)
a.update(z=3)
a.update(dict(x=4))
b = a.pop('y')
c = a.get('q', 7)
a.setdefault('w', []).append(1)
d = [list(a), list(a.values()), list(a.items())]
#: for_loops
a = []
for i in range(5):
    if i == 1:
        continue
    if i == 4:
        break
    a.append(i)
else:
    a = None
for k, v in dict(x=1).items():
    a += [k, v]
#: while_loops
n = 1
while n < 100:
    n *= 3
else:
    m = 'done'
#: if_statements
n = 3
if n > 5:
    a = 1
elif n == 3:
    a = 2
else:
    a = 3
#: functions
def scaled(x, by=2, *more, key=None, **rest):
    if x > 10:
        return 'big'
    return [x * by, more, key, rest]
a = [scaled(1), scaled(1, 3, 4, key=5, z=6), scaled(11)]
#: recursion
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
a = fib(10)
#: lambdas
half = dict(f=1)
twice = lambda x, n=2: x * n
a = [twice(3), (lambda: 4)()]
b = sorted([3, 1, 2], key=lambda x: -x)
#: closures
def outer(n):
    def inner(x):
        return x + n
    return inner(1)
a = outer(2)
#: deletion
a = dict(x=1, y=[1, 2])
del a['x'], a['y'][0]
b = 1
del b
#: annotations
a: int = 3
b: 'list[int]' = [1]
#: hidden_names
__hidden = 1
_kept = __hidden + 1
__all__ = ['a']
#: import_left_out
import os
import json as j
from os import path
a = 1
#: assertions
a = 1
assert a == 1, 'never'
print('nothing')
#: walrus
b = (n := 3) + n
#: aliasing_in_lists
p = [dict(type='A')]
q = [p, p]
p[0]['type'] = 'B'
r = p + [dict(type='C')]
r[0]['x'] = 1
#: unicode
é = 'ü'
a = dict(日本=é)
#: semicolons_and_continuations
a = 1; b = \
    2
c = ('x'
     'y')
#: main_guard
a = 1
if __name__ == '__main__':
    a = 2
#: file_name_in_code
import os.path as osp
a = len(osp.basename('{{ fileBasename }}'))
#: docstring
"""What it is for."""
a = 1
'''


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in re.findall(r"#: (\w+)\n((?:(?!#:).*\n)*)", FEATURES)]
)
def test_a_feature_gives_what_mmengine_gives(text: str, write: Callable[..., Path], load_with_mmengine: Load) -> None:
    path = write(text)
    view = read_config(path)
    assert view.problems == ()
    assert view.values == load_with_mmengine(path)


FAILURES = {
    "undefined_name": ("a = b", "CFG011"),
    "division_by_zero": ("a = 1 / 0", "CFG012"),
    "missing_key": ("a = dict(b=1)['c']", "CFG012"),
    "missing_index": ("a = [1][2]", "CFG012"),
    "type_error": ("a = 1 + 'x'", "CFG012"),
    "list_plus_tuple": ("a = [1] + (2,)", "CFG012"),
    "dict_plus_dict": ("a = dict() + dict()", "CFG012"),
    "attribute_of_plain_dict": ("a = dict(b=1)\nc = a.b", "CFG012"),
    "calling_a_string": ("a = 'x'()", "CFG012"),
    "unhashable": ("a = {[]: 1}", "CFG012"),
    "too_many_to_unpack": ("a, b = 1, 2, 3", "CFG012"),
    "too_few_to_unpack": ("a, b, *c = [1]", "CFG012"),
    "not_iterable": ("a = [x for x in 3]", "CFG012"),
    "missing_argument": ("def f(x): return x\na = f()", "CFG012"),
    "unknown_argument": ("def f(x): return x\na = f(1, y=2)", "CFG012"),
    "repeated_argument": ("def f(x): return x\na = f(1, x=2)", "CFG012"),
    "bad_format": ("a = '{:d}'.format('x')", "CFG012"),
    "bad_percent": ("a = '%d' % 'x'", "CFG012"),
    "no_such_method": ("a = [].add(1)", "CFG012"),
    "not_a_mapping": ("a = dict(**[1])", "CFG012"),
    "deleted_name": ("a = 1\ndel a\nb = a", "CFG011"),
    "tuple_assignment": ("a = (1,)\na[0] = 2", "CFG012"),
    "bad_join": ("a = ','.join([1])", "CFG012"),
    "failed_assertion": ("assert 1 == 2, 'no'", "CFG012"),
    "raised": ("raise ValueError('no')", "CFG012"),
    "int_of_text": ("a = int('x')", "CFG012"),
    "order_of_kinds": ("a = sorted([1, 'x'])", "CFG012"),
    "reserved_key": ("filename = 'x'", "CFG015"),
    "syntax": ("a = (", "CFG001"),
    "byte_order_mark": ("\ufeffa = 1", "CFG007"),
}


@pytest.mark.parametrize(("text", "code"), FAILURES.values(), ids=FAILURES)
def test_what_fails_in_mmengine_is_one_error(
    text: str, code: str, write: Callable[..., Path], load_with_mmengine: Load
) -> None:
    path = write(text)
    assert load_with_mmengine(path) is None
    assert [problem.code for problem in read_config(path).problems] == [code]


def test_reading_goes_on_after_a_failing_line(write: Callable[..., Path]) -> None:
    view = read_config(write("a = 1 / 0\nb = missing\nc = dict(d=2, e=nowhere)"))
    assert [(problem.code, problem.span and problem.span.row) for problem in view.problems] == [
        ("CFG012", 1),
        ("CFG011", 2),
        ("CFG011", 3),
    ]
    assert view.values["c"]["d"] == 2
