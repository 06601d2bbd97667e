"""Tests Python sources: rewritten code keeps its style, and ported Functions compute and differentiate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from port.python_texts import execute, port_files
from port.support import port_py

from dcnbuild.port.project import port_project
from dcnbuild.port.python.statements import as_python3

SCALE = '''\
import torch
from torch.autograd import Function


class ScaleShift(Function):
    """Scales and shifts."""

    def __init__(self, factor, shift=1.0, dims=(0, 1)):
        super(ScaleShift, self).__init__()
        self.factor = factor  # kept for backward
        # the shift is a number
        self.shift = float(shift)
        if dims is None:
            self.dims = ()
        else:
            self.dims = dims

    def forward(self, x, weight):
        self.save_for_backward(x, weight)
        self.shape = x.shape
        return self._scaled(x) * weight + self.shift

    def backward(self, grad):
        x, weight = self.saved_tensors
        if not self.needs_input_grad[0]:
            return None, (grad * self._scaled(x)).sum(0)
        assert grad.shape == self.shape
        grads = grad * weight * self.factor, (grad * self._scaled(x)).sum(0)
        return grads

    def _scaled(self, x):
        return x * self.factor


def scale(x, weight, factor):
    return ScaleShift(factor, shift=2)(x, weight)


class Module(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, x):
        func = ScaleShift(self.factor, dims=None)
        return func(x, self.weight)
'''


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_function_with_settings_and_helpers_works_again() -> None:
    ported = port_py(SCALE)
    assert "ScaleShift.apply(x, weight, factor, 2)" in ported
    assert "ScaleShift.apply(x, self.weight, self.factor, 1.0, None)" in ported
    assert "# kept for backward" in ported and "# the shift is a number" in ported
    assert "def __init__(self, factor, shift" not in ported
    module = execute("scale", ported)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.equal(module.scale(x, weight, 3.0), x * 3.0 * weight + 2)
    assert torch.autograd.gradcheck(lambda a, b: module.scale(a, b, 3.0), (x, weight))
    assert torch.equal(module.Module(2.0)(x), x * 2.0 + 1.0)
    # the old form is what torch refuses today
    with pytest.raises(RuntimeError, match=r"[Ll]egacy"):
        execute("old", SCALE).scale(x, weight, 3.0)
    assert port_py(ported) == ported


KEPT = """\
class F(Function):
    def __init__(self, a, b=1):
        self.a, self.b = a, b

    def forward(self, x):
        return x * self.a + self.b


class M:
    def __init__(self, a, b):
        {made}

    def forward(self, x):
        return self.f(x)
"""


@pytest.mark.parametrize(
    ("made", "kept", "call"),
    [
        ("self.a = a; self.f = F(a)", "self.a = a; pass", "x, self.a"),
        ("self.f = F(self.a, b=2)", "pass", "x, self.a, 2"),
        ("self.f = F(a, b + 1)", "self.f = (a, b + 1)", "x, *self.f"),
        ("self.f = F(a)", "self.f = (a,)", "x, *self.f"),
        ("self.a = a; a = 2; self.f = F(a)", "self.a = a; a = 2; self.f = (a,)", "x, *self.f"),
        ("self.a = a; self.f = F(self.a); self.a = 2", None, "x, *self.f"),
    ],
)
def test_a_function_kept_on_self(made: str, kept: str | None, call: str) -> None:
    ported = port_py(KEPT.format(made=made))
    assert f"        return F.apply({call})\n" in ported
    assert kept is None or f"    def __init__(self, a, b):\n        {kept}\n" in ported


@pytest.mark.parametrize("use", ["g(self.f)", "self.f.a", "self.f(*x)", "[self.f]", "self.f(x, y=1)", "self.f(**x)"])
def test_a_function_on_self_that_is_used_otherwise_is_named(use: str) -> None:
    text = KEPT.format(made="self.f = F(a)").replace("self.f(x)", use)
    (result,) = port_files(module="from torch.autograd import Function\n" + text).values()
    assert "self.f = F(a)" in result.new or "*self.f" in result.new
    assert "*self.f" in result.new or "autograd-call" in {remark.id for remark in result.remarks}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return args[1] * args[0].a", "return args[0] * ctx.a, None, None"),
        ("a = args[0]\n        return args[2]", "a = ctx\n        return args[1], None, None"),
        ("return args[1:]", None),
        ("self, grad = args\n        return grad", None),
    ],
)
def test_backward_with_a_star(body: str, expected: str | None) -> None:
    text = KEPT.split("\n\n\n")[0] + f"\n\n    def backward(*args):\n        {body}\n"
    (result,) = port_files(module="from torch.autograd import Function\n" + text).values()
    if expected is None:
        assert [remark.id for remark in result.remarks] == ["autograd-function"]
    else:
        assert f"    def backward(ctx, *args):\n        {expected}\n" in result.new
        assert not result.remarks


@pytest.mark.parametrize("method", ["def forward(*args)", "def forward(self, x, /)", "def forward()"])
def test_a_function_of_an_unforeseen_shape_is_named(method: str) -> None:
    text = f"from torch.autograd import Function\n\n\nclass F(Function):\n    {method}:\n        pass\n"
    (result,) = port_files(module=text).values()
    assert [remark.id for remark in result.remarks] == ["autograd-function"]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("grad", "grad, None, None"),
        ("grad, None", "grad, None, None, None"),
        ("(grad, None)", "(grad, None, None, None)"),
        ("(grad,\n            None,)", "(grad,\n            None, None, None)"),
        ("grads", "(*grads, None, None)"),
        ("self.both(grad)", "(*F.both(ctx, grad), None, None)"),
    ],
)
def test_returns_of_backward(returned: str, expected: str) -> None:
    inputs = "x" if returned == "grad" else "x, y"
    text = (
        "class F(Function):\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n\n"
        f"    def forward(self, {inputs}):\n        return x\n\n"
        f"    def backward(self, grad):\n        return {returned}\n\n"
        "    def both(self, grad):\n        return grad, grad\n"
    )
    assert f"        return {expected}\n" in port_py(text)


def test_calls_in_other_files_follow_and_what_cannot_is_said() -> None:
    results = port_files(
        functions="from torch.autograd import Function\n\n\n"
        "class Pool(Function):\n    def __init__(self, size, scale=1):\n        self.size = size\n"
        "        self.scale = scale\n\n    def forward(self, x, rois):\n        return x\n",
        module="from .functions import Pool as P\n\n\n"
        "def pool(x, rois):\n    return P(scale=2, size=7)(x, rois=rois)\n\n\n"
        "class M:\n    def __init__(self):\n        self.pools = [P(7)]\n\n"
        "    def forward(self, x, rois):\n        return self.pools[0](x, rois)\n",
    )
    assert "    return P.apply(x, rois, 7, 2)\n" in results["module"].new
    (remark,) = results["module"].remarks
    assert (remark.id, remark.subject, remark.lines) == ("autograd-call", "P(7)", (10,))
    assert not results["functions"].remarks


@pytest.mark.parametrize(
    "method",
    [
        "    def __init__(self, *sizes):\n        self.sizes = sizes\n\n    def forward(self, x):\n        return x\n",
        "    def __init__(self, x):\n        self.x = x\n\n    def forward(self, x):\n        return x\n",
        "    def __init__(self, n):\n        self.n = n\n\n    def forward(self, *x):\n        return x\n",
    ],
)
def test_classes_that_cannot_be_ported_are_said(method: str) -> None:
    text = f"class F(Function):\n{method}"
    result = port_files(module=text)["module"]
    assert result.new == text
    assert [(r.id, r.subject, r.need) for r in result.remarks] == [("autograd-function", "class F", "broken")]


@pytest.mark.parametrize(
    ("imported", "base"),
    [
        ("import torch.autograd as ag", "ag.Function"),
        ("from torch import autograd as ag", "ag.Function"),
        ("from torch.autograd import Function as F", "F"),
    ],
)
def test_functions_are_known_under_any_name(imported: str, base: str) -> None:
    text = (
        f"{imported}\n\n\nclass Scale({base}):\n    def forward(self, x):\n        return x * 2\n\n\ny = Scale()(x)\n"
    )
    assert "@staticmethod\n    def forward(ctx, x):" in port_py(text) and "y = Scale.apply(x)" in port_py(text)


@pytest.mark.parametrize("base", ["Base", "InplaceFunction"])
def test_a_function_that_derives_from_another_is_said(base: str) -> None:
    text = (
        "from torch.autograd.function import Function, InplaceFunction\n\n\nclass Base(Function):\n"
        "    def __init__(self, k):\n        self.k = k\n\n\n"
        f"class Sub({base}):\n    def forward(self, x):\n        return x * self.k\n"
    )
    (result,) = port_files(a=text).values()
    assert [(r.id, r.subject) for r in result.remarks] == [("autograd-function", "class Sub")]


def test_two_functions_of_one_name_and_different_settings_are_left() -> None:
    one = (
        "class F(Function):\n    def __init__(self, a):\n        pass\n\n    def forward(self, x):\n        return x\n"
    )
    other = one.replace("a):", "b, c):")
    results = port_files(one=one, other=other)
    assert results["one"].new == one and results["other"].new == other
    assert all(r.remarks[0].id == "autograd-function" for r in results.values())


def test_python_2_and_ffi_are_said() -> None:
    results = port_files(
        old="from torch.utils.ffi import create_extension\nprint 'building'\n",
        build="import torch\nfrom torch.utils.ffi import create_extension\n",
    )
    assert [(r.id, r.lines) for r in results["old"].remarks] == [("python-syntax", (2,))]
    assert [(r.id, r.lines) for r in results["build"].remarks] == [("torch-utils-ffi", (2,))]


WORDS = st.sampled_from(
    [
        *(
            "class F(Function):\n",
            "    def __init__(self, a):\n",
            "        self.a = a\n",
            "        pass\n",
        ),
        *("    def forward(self, x):\n", "        return x\n", "    def backward(self, g):\n"),
        *("F(1)(2)\n", "f = F(3)\n", "f(x)\n", "f.append('-std=c++14')\n", "g = ['-arch=sm_60']\n"),
        *("from torch._six import inf\n", "torch._six.inf\n", "if a:\n    ", "# cpp_extension\n"),
        *("torch.cuda.is_available()\n", "setup()\n", "# CUDAExtension\n", "\r\n", "\\\n", "é"),
    ]
)


@given(st.lists(WORDS, max_size=14).map("".join))
def test_any_python_is_ported_to_python_and_twice_is_once(text: str) -> None:
    try:
        compile(text, "module", "exec")
    except (SyntaxError, ValueError):
        return
    once = port_py(text)
    compile(once, "module", "exec")
    assert port_py(once) == once


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if x: print 'a', x\n", "if x: print('a', x)\n"),
        ("print 'a',  # no end\r\nprint x\r\n", "print('a', end=\" \")  # no end\r\nprint(x)\r\n"),
        (
            "try:\n    f()\nexcept (A, B), e:\n    raise E, 'no'\n",
            "try:\n    f()\nexcept (A, B) as e:\n    raise E('no')\n",
        ),
        ("print >>f.err, 'a %s' % x,\n", "print('a %s' % x, end=' ', file=f.err)\n"),
        ("if x: print >>f\nprint 'b'\n", "if x: print(file=f)\nprint('b')\n"),
        ("print >> sys.stderr, (\n    'a'), b\n", "print('a', b, file=sys.stderr)\n"),
        ("y = x >> 2\nx >> 2, y\n", "y = x >> 2\nx >> 2, y\n"),
        ("print x\nexec 'y'\n", "print x\nexec 'y'\n"),  # all or nothing
        ("print('a')\n", "print('a')\n"),
    ],
)
def test_statements_of_python_2(old: str, new: str) -> None:
    assert as_python3(old)[0] == new


CFFI = {
    "build.py": "from torch.utils.ffi import create_extension\ncreate_extension('_ext.op', headers=['op.h'], sources=['op.c'])\n",
    "op.h": "int op_run(THFloatTensor *x, int *out);\n",
    "op.c": "#include <TH/TH.h>\nint op_run(THFloatTensor *x, int *out) { *out = THFloatTensor_size(x, 0); return 1; }\n",
}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("from cffi import FFI\nffi = FFI()\nn = ffi.new('int *')\nop.op_run(x, n)\n", (4,)),
        ("from cffi import FFI\nfrom _ext.op import op_run\nf = FFI()\nop_run(x, f.cast('int', 3))\n", (4,)),
        ("ffi = op._op.ffi\ndef c(s):\n    return ffi.new('char[]', s)\nop.op_run(c(x))\n", (1, 4)),
        ("ffi = op._op.ffi\nif op.op_new() == ffi.NULL:\n    pass\n", (1, 2)),
        ("from cffi import FFI\nffi = FFI()\nself.n = ffi.new('int *')\nself.n[0] = int(self.n[0])\n", ()),
        ("from cffi import FFI\nffi = FFI()\nlib = ffi.dlopen(None)\nlib.f(ffi.new('int *'))\n", ()),
    ],
)
def test_objects_of_cffi_that_meet_a_binding_are_named(text: str, lines: tuple[int, ...], tmp_path: Path) -> None:
    for name, written in (CFFI | {"use.py": text}).items():
        (tmp_path / name).write_text(written)
    remarks = {str(f.path): f.remarks for f in port_project(tmp_path).files}
    assert tuple(n for r in remarks.get("use.py", ()) if r.id == "cffi-object" for n in r.lines) == lines
    assert [(r.id, r.subject) for r in remarks["op_binding.cpp"]] == [("ffi-pointer", "int * out of op_run")]


def test_a_function_of_c_that_takes_what_comes_is_not_bound_but_named(tmp_path: Path) -> None:
    more = "int op_all(int n, ...);\n", "int op_all(int n, ...) { return n; }\nint op_own(int n, ...) { return n; }\n"
    for name, added in ("build.py", ""), ("op.h", more[0]), ("op.c", more[1]):
        (tmp_path / name).write_text(CFFI[name].replace("int *out", "long out").replace("*out", "out") + added)
    (binding,) = (file for file in port_project(tmp_path).files if file.path.name == "op_binding.cpp")
    assert 'm.def("op_run", &op_run);' in binding.new and "op_all" not in binding.new
    assert [(r.id, r.subject, r.need) for r in binding.remarks] == [("ffi-variadic", "op_all(…, ...)", "broken")]


@pytest.mark.parametrize(
    "sources",
    [
        "[here + '/src/a.c']",
        "[f'{here}/src/a.c']",
        "[here + '/src/' + 'a.c']",
        "[os.path.join(here, 'src', n + '.c') for n in ('a',)]",
        "list(os.path.join(here, 'src', n) for n in names)",
        "paths",
    ],
)
def test_paths_of_a_build_script_are_found_however_they_are_put_together(sources: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.h").write_text("int run(THFloatTensor *x);\n")
    (tmp_path / "src" / "a.c").write_text("#include <TH/TH.h>\nint run(THFloatTensor *x) { return 1; }\n")
    (tmp_path / "build.py").write_text(
        "import os\nfrom torch.utils.ffi import create_extension\nhere = os.path.dirname(__file__)\n"
        "names = ['a.c']\npaths = []\npaths.append(os.path.join(here, 'src/a.c'))\n"
        f"create_extension('_ext.a', headers=[here + '/src/a.h'], sources={sources})\n"
    )
    files = {str(file.path): file.new for file in port_project(tmp_path).files}
    assert "['src/a_glue.cpp', 'a_binding.cpp']" in files["setup.py"]
