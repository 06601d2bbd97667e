"""Builds projects as they are and as they are ported to the stable ABI: their results on the CPU are the same.

DCNBUILD_SECOND_PYTHON names a Python that has another torch; the same library is loaded there too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.stable.abi import Target

pytestmark = pytest.mark.slow
CASES = Path(__file__).with_name("stable_cases")

_CALL = {
    "ms-deform-attn": """
import MultiScaleAttention as m
shapes, starts = torch.tensor([[6, 4], [3, 2]]), torch.tensor([0, 24])
value, places = torch.rand(2, 30, 2, 4).double(), torch.rand(2, 5, 2, 2, 3, 2).double() * 1.2 - 0.1
weights = torch.rand(2, 5, 2, 2, 3).double()
out = m.ms_deform_attn_forward(value, shapes, starts, places, weights, 64)
found = [out, *m.ms_deform_attn_backward(value, shapes, starts, places, weights, out.cos(), 64)]
""",
    "grounding-ops": """
from groundingdino import _C as m
x, rows, w = torch.rand(7, 3), torch.tensor([1, 8, 3, 0]), torch.rand(4)
y = x.clone()
m.scale_(y, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 1)
found = [*m.sample(x, rows, w, 2.0), *m.sample(value=x, locations=rows, weights=None), y]
assert m.get_compiler_version().startswith("GCC") and m.has_cuda() is False
""",
}
_RUN = """
import json, sys
import torch
torch.manual_seed(0)
{call}
print(json.dumps([x.double().flatten().tolist() for x in found]))
"""


#: Arithmetic of tensors and numbers, as C++ and as Python. Each function takes two tensors.
_NUMBERS = {
    "mixed": """auto z = x * 0.1 + y / 3 - 2;
  return at::where(z > 0.5, z, y).clamp(0, 4) + (x == 2).to(at::kInt) + (1 - z) * 2.5;""",
    "whole": "return x * 3 + y - 2 - (y - x) + 7;",
    "no_dimensions": "auto k = x.sum() * 0.1 + 1; return k.pow(2) - y.sum() / 3 + 2 * k;",
    "in_place": "x += y; x -= 0.1; x *= 2; x.div_(3).add_(1); x[0] += y; return -x.masked_fill(x > 0.1, 0.1);",
}


def _in_python(body: str) -> str:
    lines = body.replace("at::kInt", "torch.int32").replace("at::", "torch.").replace("auto ", "")
    return "; ".join(line.strip() for line in lines.split(";"))


def build(root: Path, environment: dict[str, str]) -> None:
    """Builds a project's extensions in place."""
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def results(python: str, root: Path, name: str) -> list[list[float]]:
    program = _RUN.format(call=_CALL[name])
    done = subprocess.run([python, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[list[float]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(
    "DCNBUILD_PORTED" not in os.environ, reason="takes ten minutes: nox -s port_stable_archives runs it"
)
@pytest.mark.parametrize("name", sorted(_CALL))
def test_the_ported_library_computes_the_same(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "FORCE_CUDA": "0", "CUDA_HOME": "", "MAX_JOBS": "1"}
    old = CASES / name / "in"
    for folder, options in (
        ("today", Options()),
        ("stable", Options(stable=Target())),
    ):
        write_copy(old, tmp_path / folder, port_project(old, options).files)
        build(tmp_path / folder, environment)
    wanted = results(sys.executable, tmp_path / "today", name)
    assert all(wanted) and results(sys.executable, tmp_path / "stable", name) == wanted
    found = (tmp_path / "stable").rglob("*_library*.so")
    libraries = [path for path in found if "build" not in path.relative_to(tmp_path).parts]
    assert len(libraries) == 1
    audit = [sys.executable, "-m", "dcnbuild", "audit", str(libraries[0])]
    said = subprocess.run(audit, capture_output=True, text=True, check=True).stdout
    assert "stable ABI: 2.10 and newer" in said and "no name of its C API" in said
    second = os.environ.get("DCNBUILD_SECOND_PYTHON")
    if second is None:
        pytest.skip(f"built and equal in torch {torch.__version__}; DCNBUILD_SECOND_PYTHON names no other")
    assert results(second, tmp_path / "stable", name) == wanted


def load_ported(folder: Path, name: str, text: str) -> None:
    """Ports a text, compiles the result against the C shims, and loads its operators."""
    (folder / "in").mkdir()
    (folder / "in" / f"{name}.cpp").write_text(f"#include <torch/extension.h>\n{text}")
    result = port_project(folder / "in", Options(stable=Target()))
    assert result.ok
    write_copy(folder / "in", folder / "out", result.files)
    root, library = Path(torch.__file__).parent, folder / f"{name}.so"
    command = [os.environ.get("CXX", "c++"), "-std=c++20", "-fPIC", "-shared", str(folder / "out" / f"{name}.cpp")]
    command += [f"-DTORCH_TARGET_VERSION={Target().macro}", "-isystem", str(root / "include")]
    command += ["-isystem", str(root / "include/torch/csrc/api/include"), "-o", str(library)]
    done = subprocess.run([*command, f"-L{root / 'lib'}", "-ltorch_cpu", "-lc10"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    torch.ops.load_library(str(library))


def test_numbers_beside_tensors_give_what_torch_gives(tmp_path: Path) -> None:
    functions = [f"at::Tensor {name}(at::Tensor x, at::Tensor y) {{ {body} }}" for name, body in _NUMBERS.items()]
    bound = "".join(f'm.def("{name}", &{name}); ' for name in _NUMBERS)
    load_ported(tmp_path, "numbers", "\n".join([*functions, f"PYBIND11_MODULE(numbers, m) {{ {bound}}}\n"]))
    compared = 0
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.int64):
        for name, body in _NUMBERS.items():
            if name == "in_place" and not dtype.is_floating_point:
                continue  # a float does not fit in, and both say so
            x, y = (torch.rand(3, 4) * 9).to(dtype), (torch.rand(4) * 9).to(dtype)
            space: dict[str, Any] = {"torch": torch, "x": x.clone(), "y": y}
            exec(f"def f(x, y): {_in_python(body)}\nwanted = f(x, y)", space)
            found = getattr(torch.ops.numbers, name)(x, y)
            torch.testing.assert_close(found, space["wanted"], rtol=0, atol=0)
            assert torch.equal(x, space["x"])
            compared += 1
    assert compared == 25


#: Indices in C++, and what they are in Python.
_INDICES = {
    "Slice(), 1": ":, 1",
    "0": "0",
    '"...", Slice(None, -1)': "..., :-1",
    "Slice(1, None, 2), None, Ellipsis": "1::2, None, ...",
    "at::select(y, 0, 0)": "y[0]",
    "Slice(), at::select(y, 0, 1), Slice(0, 2)": ":, y[1], 0:2",
    "x > 0.5": "x > 0.5",
    "Slice(None, 2), at::select(y, 0, 0), 1": ":2, y[0], 1",
}


def test_indices_give_what_torch_gives(tmp_path: Path) -> None:
    lines = ["using namespace torch::indexing;"]
    bound = ""
    for number, at in enumerate(_INDICES):
        lines.append(f"at::Tensor get{number}(at::Tensor x, at::Tensor y) {{ return x.index({{{at}}}); }}")
        lines.append(f"void put{number}(at::Tensor x, at::Tensor y) {{ x.index_put_({{{at}}}, 3.5); }}")
        bound += f'm.def("get{number}", &get{number}); m.def("put{number}", &put{number}); '
    kinds = "x.is_floating_point() + 2 * x.is_complex() + 4 * c10::isIntegralType(x.scalar_type(), true)"
    formats = "x.is_contiguous() + 2 * x.is_contiguous(at::MemoryFormat::ChannelsLast)"
    lines += [
        f"int64_t kind(at::Tensor x) {{ return {kinds}; }}",
        f"int64_t form(at::Tensor x) {{ return {formats}; }}",
    ]
    bound += (
        'm.def("kind", &kind); m.def("form", &form); m.def("least", [](at::Tensor x, int k) { return first(x, k); });'
    )
    lines.append(
        'at::Tensor first(at::Tensor x, int k) { CHECK(k > 0) << "k is " << k; return x.narrow(0, 0, k) * k; }'
    )
    load_ported(tmp_path, "indices", "\n".join([*lines, f"PYBIND11_MODULE(indices, m) {{ {bound} }}\n"]))
    own = torch.ops.indices
    x, y = torch.rand(3, 4, 5), torch.tensor([[0, 2], [1, 3]])
    for number, wanted in enumerate(_INDICES.values()):
        space: dict[str, Any] = {"x": x.clone(), "y": y}
        exec(f"wanted = x[{wanted}].clone(); x[{wanted}] = 3.5", space)
        assert torch.equal(getattr(own, f"get{number}")(x, y), space["wanted"]), wanted
        changed = x.clone()
        getattr(own, f"put{number}")(changed, y)
        assert torch.equal(changed, space["x"]), wanted
    for dtype, kind in ((torch.float16, 1), (torch.complex64, 2), (torch.uint8, 4), (torch.bool, 4), (torch.int64, 4)):
        assert own.kind(torch.zeros(2, dtype=dtype)) == kind
    for sizes in ((2, 3, 4, 5), (2, 1, 4, 5), (1, 1, 1, 1), (2, 3)):
        one = torch.rand(sizes)
        for made in (one, one.to(memory_format=torch.channels_last), one[:, :, ::2]) if one.dim() == 4 else (one,):
            last = made.is_contiguous(memory_format=torch.channels_last)
            assert own.form(made) == made.is_contiguous() + 2 * last
    assert torch.equal(own.least(x, 2), x[:2] * 2)
    with pytest.raises(RuntimeError, match="k is -1"):
        own.least(x, -1)
