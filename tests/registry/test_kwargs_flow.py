from __future__ import annotations

import ast
import textwrap

from provecfg.registry.kwargs_flow import Delegate, Flow, Target
from provecfg.registry.source_reading import constructor_flow


def flow(source: str) -> Flow | None:
    """The flow of `__init__` of the class in `source`; every name that the source uses counts as `m.<name>`."""
    owner = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(owner, ast.ClassDef)
    init = next(f for f in owner.body if isinstance(f, ast.FunctionDef) and f.name == "__init__")
    return constructor_flow(init, owner, lambda name: f"m.{name}")


def body(*lines: str, arguments: str = "self, a, **kwargs", rest: str = "") -> Flow | None:
    inner = "\n".join(f"        {line}" for line in lines)
    return flow(f"class C(Base):\n    def __init__({arguments}):\n{inner}\n{rest}")


def test_no_kwargs_no_flow() -> None:
    assert body("pass", arguments="self, a") is None


def test_unused_kwargs_go_nowhere() -> None:
    assert body("super().__init__(a)") == Flow()


def test_kwargs_go_to_the_next_init_beside_what_the_call_gives() -> None:
    assert body("super().__init__(a, mode=1, **kwargs)") == Flow(targets=(Target("super", 1, ("mode",)),))


def test_super_with_its_own_class_is_plain_super() -> None:
    assert body("super(C, self).__init__(**kwargs)") == Flow(targets=(Target("super"),))


def test_super_with_a_parent_skips_that_parent() -> None:
    assert body("super(Base, self).__init__(**kwargs)") == Flow(targets=(Target("super:m.Base"),))


def test_a_parent_named_outright_takes_self_by_position() -> None:
    assert body("Base.__init__(self, a, **kwargs)") == Flow(targets=(Target("m.Base", 1),))


def test_args_and_kwargs_handed_on_together_leave_the_position_alone() -> None:
    flow = body("super().__init__(a, *args, **kwargs)", arguments="self, a, *args, **kwargs")
    assert flow == Flow(targets=(Target("super", 1),))


def test_names_looked_up_are_read() -> None:
    flow = body("self.x = kwargs.get('x')", "y = kwargs.pop('y', 1)", "if 'z' in kwargs:", "    z = kwargs['z']")
    assert flow == Flow(reads=("x", "y", "z"))


def test_a_name_that_is_overwritten_is_set() -> None:
    assert body("kwargs['x'] = 1", "super().__init__(**kwargs)") == Flow(sets=("x",), targets=(Target("super"),))


def test_a_name_that_is_changed_is_read() -> None:
    assert body("if a:", "    kwargs['x'] = 1", "super().__init__(**kwargs)") == Flow(
        reads=("x",), targets=(Target("super"),)
    )


def test_names_of_a_loop_over_a_literal_are_read() -> None:
    flow = body("old = dict(p=1, q=2)", "for was, now in old.items():", "    if was in kwargs:", "        kwargs[was]")
    assert flow == Flow(reads=("p", "q"))


def test_raising_on_what_is_left_refuses() -> None:
    assert body("if kwargs:", "    raise TypeError(f'unknown {kwargs}')") == Flow(refuses=True)
    assert body("assert not kwargs") == Flow(refuses=True)


def test_a_message_about_kwargs_is_no_use_of_them() -> None:
    assert body("warnings.warn(f'unused {kwargs}')") == Flow()


def test_a_call_under_a_condition_is_conditional() -> None:
    assert body("if a:", "    super().__init__(**kwargs)") == Flow(targets=(Target("super", conditional=True),))


def test_a_config_dict_whose_type_is_a_parameter_is_a_delegate() -> None:
    flow = body("self.cfg = dict(type=kind, scale=a, **kwargs)", arguments="self, a, kind='Resize', **kwargs")
    assert flow == Flow(delegates=(Delegate("kind", ("scale",)),))


def test_an_own_method_is_read_into() -> None:
    flow = body("self.make(1, **kwargs)", rest="    def make(self, n, bias=True): pass\n")
    assert flow == Flow(reads=("n", "bias"), refuses=True)


def test_kwargs_kept_for_the_runner_are_followed() -> None:
    later = "    def save(self, runner):\n        runner.save_checkpoint(1, 2, meta=None, **self.args)\n"
    assert body("self.args = kwargs", rest=later) == Flow(
        targets=(Target("mmengine.runner.runner.Runner.save_checkpoint", 2, ("meta",)),)
    )


def test_what_cannot_be_followed_is_unknown() -> None:
    for line in ("self.kwargs = kwargs", "f(kwargs)", "self.model(**kwargs)", "x = {**kwargs}", "kwargs.update(a)"):
        assert body(line) == Flow(unknown=True), line


def test_names_that_a_decorator_renames_are_read() -> None:
    source = """
    class C(Base):
        @deprecated_api_warning({'dropout': 'ffn_drop'}, cls_name='C')
        def __init__(self, ffn_drop=0.0): pass
    """
    assert flow(source) == Flow(reads=("dropout",), refuses=True)
