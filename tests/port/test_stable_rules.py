"""Tests every rule to the stable ABI by its example, and what the rules know of torch."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
import torch
from port.test_rules import HIDDEN

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText, apply_family
from dcnbuild.port.edits import Revision
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.result import Change, Remark
from dcnbuild.port.rule import Rule
from dcnbuild.port.stable import arithmetic, leftovers, pointers
from dcnbuild.port.stable.abi import OLDEST, Target, targets
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.facts import StableScope, signatures
from dcnbuild.port.stable.helpers import CALLED_AS, HELPERS
from dcnbuild.port.stable.operators import OPERATORS, Operator
from dcnbuild.port.stable.text import RULES, port_stable
from dcnbuild.port.tree import Project

EVERY = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
NAME = PurePosixPath("source.cu")


def scope_of(text: str, target: str = OLDEST) -> tuple[Code, StableScope]:
    """A text that stands in a project of its own."""
    project = Project({NAME: text})
    plain = project.scope(NAME)
    code = project.codes[NAME].with_own(plain.own)
    known = signatures(project.codes)
    scope = StableScope(
        own=plain.own,
        target=Target(target),
        signatures=known,
        mutated=pointers.mutated(project.codes, known),
        opaque=pointers.opaque(project.codes),
        signed=arithmetic.signed(project.codes),
    )
    return code, scope


def by_rule(rule: Rule, text: str) -> str:
    code, scope = scope_of(text)
    revision = Revision(text)
    changes: list[Change] = []
    _, failed = apply_family([rule], revision, code, scope, changes)
    assert failed == []
    return revision.text


def to_stable(text: str, target: str = OLDEST) -> PortedText:
    return port_stable(*scope_of(text, target))


def left(text: str, target: str = OLDEST) -> dict[str, list[str]]:
    """What is named of a text: id → subjects."""
    found: dict[str, list[str]] = {}
    for remark in to_stable(text, target).remarks:
        assert isinstance(remark, Remark) and remark.need == "broken"
        found.setdefault(remark.id, []).append(remark.subject)
    return found


def test_ids_are_unique_and_say_what_they_are_for() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"stable(-[a-z0-9]+)+", id) for id in ids)


@EVERY
def test_the_example_becomes_what_the_entry_says(rule: Rule) -> None:
    assert by_rule(rule, rule.before) == rule.after
    assert by_rule(rule, rule.after) == rule.after


@EVERY
def test_what_looks_alike_is_left_alone(rule: Rule) -> None:
    assert rule.untouched
    for text in rule.untouched:
        assert by_rule(rule, text) == text


@pytest.mark.parametrize("place", ["line comment", "block comment", "raw string", "#if 0", "ROCm"])
@EVERY
def test_where_it_is_no_code_it_is_left_alone(rule: Rule, place: str) -> None:
    text = HIDDEN[place](rule.before)
    assert by_rule(rule, text) == text


@EVERY
def test_line_ends_stay(rule: Rule) -> None:
    found = by_rule(rule, rule.before.replace("\n", "\r\n"))
    assert found.count("\n") == found.count("\r\n") or rule.id == "stable-library"


@pytest.mark.parametrize("rule", [r for r in RULES if r.helper], ids=lambda rule: rule.id)
def test_a_helper_comes_with_what_calls_it_once(rule: Rule) -> None:
    helper = next(h for h in HELPERS if h.name == rule.helper)
    called = re.compile(rf"\b(?:{CALLED_AS.get(helper.name, helper.name)})\b")
    found = to_stable(rule.before).text
    assert called.search(found.replace(helper.text, ""))
    assert found.count(helper.text) == 1
    assert all(f"#include <{header}>" in found for header in helper.headers)
    assert to_stable(found).text == found


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.helper], ids=lambda rule: rule.id)
def test_helpers_stand_behind_the_headers_they_need(rule: Rule) -> None:
    text = to_stable(rule.before).text
    assert text.rfind("#include <") < text.find("#ifndef PORTED_")


@pytest.mark.parametrize("refusal", leftovers.ALL, ids=lambda refusal: refusal.id)
def test_what_is_refused_is_named_with_its_line(refusal: leftovers.Refusal) -> None:
    remarks = to_stable(f"// first line\n{refusal.example}").remarks
    assert [(r.id, r.lines) for r in remarks] == [(refusal.id, (2,))]
    assert remarks[0].reason and remarks[0].advice


OVERLOADS = [operator for several in OPERATORS.values() for operator in several]


@pytest.mark.parametrize("operator", OVERLOADS, ids=lambda o: f"{o.name}.{o.overload}")
def test_operators_are_as_torch_registers_them(operator: Operator) -> None:
    schema = torch._C._get_schema(f"aten::{operator.name}", operator.overload)
    types = {"number": "Scalar", "List[int]": "int[]", "List[Tensor]": "Tensor[]"}

    def type_of(written: str) -> str:
        inner = re.fullmatch(r"Optional\[(.+)\]", written)
        if inner:
            return type_of(inner[1]) + "?"
        return types.get(written, written)

    kinds = {"ScalarType": "int", "Layout": "int", "MemoryFormat": "int"}
    for (type, name, default), argument in zip(operator.parameters, schema.arguments, strict=True):
        plain = re.sub(r"\[\d\]", "[]", type)
        known = type_of(str(argument.type))
        assert name == argument.name
        assert kinds.get(plain.rstrip("?"), plain.rstrip("?")) == known.rstrip("?")
        assert plain.endswith("?") == known.endswith("?")
        assert (default is None) == (not argument.has_default_value())
        if default is not None:
            assert default.replace(" ", "") == str(argument.default_value).replace(" ", "")
    results = operator.results.split(", ")
    assert results == [type_of(str(r.type)) for r in schema.returns]


def test_the_target_decides_which_names_there_are() -> None:
    old, new = Target("2.10"), Target("2.14")
    assert old.macro == "0x020a000000000000" and new.macro == "0x020e000000000000"
    assert targets()[0] == OLDEST == "2.10"
    for name, kind in (("new_zeros", "function"), ("TORCH_BOX", "macro"), ("zero_", "function")):
        assert old.has(name, kind)
    assert not old.has("permute", "function") and new.has("permute", "function")
    assert not old.has("Tensor::layout", "member") and Target("2.11").has("Tensor::layout", "member")
    assert not old.has_header("torch/headeronly/cuda/Atomic.h")
    assert new.has_header("torch/headeronly/cuda/Atomic.h")
    assert not new.has("AT_DISPATCH_FLOATING_TYPES", "macro")


def test_a_newer_target_needs_fewer_calls_of_the_dispatcher() -> None:
    text = "auto f(at::Tensor x) { return x.permute({1, 0}); }\n"
    assert 'ported_call("aten::permute", "", x, std::vector<int64_t>{1, 0})' in to_stable(text).text
    assert "torch::stable::permute(x, {1, 0})" in to_stable(text, "2.14").text


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        ("at::Tensor f(at::Tensor x, int k)", "f(Tensor x, int k) -> Tensor"),
        ("void f(const at::Tensor& x, double s, bool b)", "f(Tensor x, float s, bool b) -> ()"),
        (
            "std::tuple<at::Tensor, int64_t> f(c10::optional<at::Tensor> x)",
            "f(Tensor? x) -> (Tensor, int)",
        ),
        (
            "std::vector<torch::Tensor> f(std::vector<at::Tensor> xs, std::vector<int64_t> k)",
            "f(Tensor[] xs, int[] k) -> Tensor[]",
        ),
        ("std::string f(std::string s, float t)", "f(str s, float t) -> str"),
        ("int f(at::IntArrayRef sizes)", "f(int[] sizes) -> int"),
    ],
)
def test_schemas_are_read_from_signatures(declared: str, schema: str) -> None:
    text = f'{declared};\nPYBIND11_MODULE(e, m) {{ m.def("f", &f); }}\n'
    ported = to_stable(text)
    assert f'm.def("{schema}");' in ported.text
    assert ported.remarks == ()


def test_only_what_is_known_to_be_written_to_is_marked() -> None:
    text = (
        "void fill(float* p, const float* q);\n"
        "void f(at::Tensor a, at::Tensor b, at::Tensor c, at::Tensor& d) {\n"
        "  fill(a.data_ptr<float>(), b.data_ptr<float>());\n  c.zero_();\n}\n"
        'PYBIND11_MODULE(e, m) { m.def("f", &f); }\n'
    )
    found = to_stable(text).text
    assert 'm.def("f(Tensor(a!) a, Tensor b, Tensor(b!) c, Tensor d) -> ()");' in found
    assert "fill(a.mutable_data_ptr<float>(), b.const_data_ptr<float>())" in found


def test_widths_that_an_operator_does_not_hand_over_get_a_wrapper() -> None:
    text = 'float f(at::Tensor x, float s);\nPYBIND11_MODULE(e, m) { m.def("f", &f); }\n'
    found = to_stable(text).text
    assert "static double boxed_f(const torch::stable::Tensor& x, double s) {" in found
    assert "TORCH_BOX(&boxed_f)" in found


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("auto f(at::Tensor x) { return x.add(y, 2); }\n", ".add"),
        ("auto f(at::Tensor x) { return x.options(); }\n", ".options"),
        ("auto f(at::Tensor x) { return x.view({1}) * *g(x); }\n", "* of a tensor"),
        ("void f(at::Tensor x) { x |= *g(); }\n", "|= of a tensor"),
        ("void f(at::Tensor x) { bool b = x && x + !x; }\n", "+ of a tensor"),
        (
            "#define MID(a, b) (((a) + (b)) / 2)\nauto f(at::Tensor x) { return MID(x, x) + MID(1, 1); }\n",
            "MID of a tensor",
        ),
        ("#define FIRST(a, n) (a), (n - 3)\nvoid f(at::Tensor x) { g(FIRST(x, 2)); }\n", None),
        ("void f() { at::cuda::CUDAEvent event; }\n", "at::cuda::CUDAEvent"),
        ("auto f = [] -> at::Scalar { return 1; };\n", "at::Scalar"),
        ("#include <c10/util/flat_hash_map.h>\n", None),
        ('void f(at::Tensor x) { AT_DISPATCH_INDEX_TYPES(x.scalar_type(), "f", [&] {}); }\n', None),
    ],
)
def test_nothing_unstable_stays_unnamed(text: str, subject: str | None) -> None:
    found = to_stable(text)
    unstable = re.search(r"\b(?:at|c10)::|AT_DISPATCH|\.(?:add|options)\(|[*+]=? ?[x1]", found.text)
    named = [remark.subject for remark in found.remarks]
    assert subject in named if subject else bool(named) == bool(unstable)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("x.mul(k)", 'ported_binary("aten::mul", "Tensor", x, k)'),  # k may be a tensor or a number
        ("1 - k / x", 'ported_added(1, ported_binary("aten::div", "Tensor", k, x), -1)'),
        ("x - y - 2", "ported_added(ported_added(x, y, -1), 2, -1)"),
        ("n * k + x * n * k", None),
        ("-x * y", 'ported_call("aten::mul", "Tensor", ported_call("aten::neg", "", x), y)'),
        ("n > 0 ? x : x.clamp(0, 1)", None),
        ("x * -1 + (x > -k)", None),
        ("0 < x", 'ported_binary("aten::lt", "Tensor", 0, x)'),
        ("f(x < k, y > 2)", None),  # no template list
        ("x % 2 & ~y", None),
        ("n - -x + ~x - -2 * x", None),
        ("-2 < x", 'ported_binary("aten::lt", "Tensor", -2, x)'),
        ("-x > 0", 'ported_binary("aten::gt", "Tensor", ported_call("aten::neg", "", x), 0)'),
        ("x == y & y", 'ported_call("aten::bitwise_and", "Tensor", ported_call("aten::eq", "Tensor", x, y), y)'),
        ("x | n ^ y", None),
        ("x.masked_fill(y, k)", 'ported_call("aten::masked_fill", "Tensor", x, y, ported_operand(k, x))'),
        ("x + (y == n).sum() * n", None),
        ("x.size(0) * n - n", "x.size(0) * n - n"),
        ("x.data_ptr<float>() + n * 4", "x.mutable_data_ptr<float>() + n * 4"),
    ],
)
def test_signs_and_numbers_beside_tensors(written: str, becomes: str | None) -> None:
    found = to_stable(f"auto f(at::Tensor x, at::Tensor y, int n, double k) {{ return {written}; }}\n")
    assert not found.remarks
    assert becomes is None or f"return {becomes};" in found.text


@pytest.mark.parametrize(
    "lambda_",
    [
        "[&](const at::Tensor& a) { return at::relu(a); }",
        "[&](auto a) -> at::Tensor { if (n) { return a; } return g(a); }",
        "[] { at::Tensor a = g(); return a; }",
    ],
)
def test_what_a_lambda_returns_is_known(lambda_: str) -> None:
    text = f"auto f(at::Tensor x, int n) {{\n  auto step = {lambda_};\n  return step(x) * 2;\n}}\n"
    assert 'ported_binary("aten::mul", "Tensor", step(x), 2)' in to_stable(text).text
    other = text.replace(lambda_, "[&](at::Tensor a) { return a.size(0); }")
    assert "step(x) * 2" in to_stable(other).text and not to_stable(other).remarks


def test_what_an_expression_is() -> None:
    text = (
        "at::Tensor make(int n); std::tuple<at::Tensor, at::Tensor> two(); std::tuple<at::Tensor, int> one();\n"
        "void f(const at::Tensor& x, std::vector<at::Tensor> xs, float k) {\n"
        "  auto a = x.view({1}); auto b = xs[0]; auto c = x.size(0); auto d = make(3).t();\n"
        "  auto e = a; auto [g, h] = x.max(1); const auto& [i, j] = two(); auto [l, m] = one();\n"
        "  auto n = two(); auto o = std::get<1>(n); int at_end;\n}\n"
    )
    code, scope = scope_of(text)
    known = expressions(code, scope.signatures)
    kinds = {name: known.kind_of_name(name, text.index("at_end")) for name in ("xs", *"xkabcdeghijlmno")}
    tensors = {name for name, kind in kinds.items() if kind == "tensor"}
    assert tensors == set("xabdeghijo") and kinds["xs"] == "tensors"


TAKEN = "at::Tensor x, const c10::optional<at::Tensor>& w, at::Device device, at::ScalarType type, int64_t i"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("w->contiguous()", "torch::stable::contiguous(*w)"),
        ("(*w).mul(i)", 'ported_binary("aten::mul", "Tensor", (*w), i)'),
        ("w->item<float>()", "ported_item<float>(*w)"),
        ("w->to(device, type, true)", "torch::stable::to(*w, type, std::nullopt, device, std::nullopt, true)"),
        ("x.to(device, false)", "torch::stable::to(x, device, false)"),
        (
            "x.to(type, false, true)",
            "torch::stable::to(x, type, std::nullopt, std::nullopt, std::nullopt, false, true)",
        ),
        ("at::zeros({2}, w->options())", "torch::stable::new_zeros((*w), {2})"),
        ("at::zeros_like(*w, type)", "torch::stable::new_zeros((*w), (*w).sizes(), type)"),
        (
            "at::empty_like(x, w->options())",
            "torch::stable::new_empty(x, x.sizes(), (*w).scalar_type(), std::nullopt, (*w).device())",
        ),
        (
            "at::empty({2}, x.options().device(device))",
            "torch::stable::new_empty(x, {2}, std::nullopt, std::nullopt, device)",
        ),
        ("x.index({at::indexing::Slice(), i})", "ported_index(x, {ported_indexing::Slice(), i})"),
        ("x.index_put_({x > 1}, 2)", 'ported_index_put_(x, {ported_binary("aten::gt", "Tensor", x, 1)}, 2)'),
        ("x.is_floating_point() && !w->is_complex()", "ported_is_floating(x) && !ported_is_complex(*w)"),
        ("isFloatingType(x.scalar_type())", "ported_is_floating(x.scalar_type())"),
        (
            "x.is_contiguous(at::MemoryFormat::ChannelsLast)",
            "ported_is_contiguous(x, torch::headeronly::MemoryFormat::ChannelsLast)",
        ),
        ("x.template packed_accessor32<T, 2>()", "ported_packed<int32_t, T, 2>(x)"),
        ("x.dtype().name()", "torch::headeronly::toString(x.scalar_type())"),
        ("sigmoid(x)", 'ported_call("aten::sigmoid", "", x)'),
        ("abs(i)", "abs(i)"),
        ("0.5 * i * x", 'ported_binary("aten::mul", "Tensor", 0.5 * i, x)'),
        ("i ? x * 2 : x", 'i ? ported_binary("aten::mul", "Tensor", x, 2) : x'),
        ("(i ? x.exp() : x).clone()", 'torch::stable::clone((i ? ported_call("aten::exp", "", x) : x))'),
        ("x.to(at::kLong)", "torch::stable::to(x, torch::headeronly::ScalarType::Long)"),
        ("x.__rshift__(4)", 'ported_binary("aten::__rshift__", "Tensor", x, 4)'),
        (
            "at::from_blob(p, {2}).clone()",
            "torch::stable::clone(ported_from_blob(p, {2}, torch::headeronly::DeviceType::CPU, torch::headeronly::ScalarType::Float))",
        ),
    ],
)
def test_what_is_written_for_members_and_functions(written: str, becomes: str) -> None:
    found = to_stable(f"template <typename T> auto f({TAKEN}, float* p) {{ return {written}; }}\n")
    assert f"return {becomes};" in found.text and not found.remarks
    assert to_stable(found.text).text == found.text


@pytest.mark.parametrize(
    ("bound", "schema", "boxed"),
    [
        ("[](at::Tensor x, int k) { return f(x); }", "Tensor x, int k", "&boxed_g"),
        ("[](at::Tensor x) -> at::Tensor { py::gil_scoped_release r; return f(x) * 2; }", "Tensor x", "&boxed_g_body"),
        (
            '[](at::Tensor x) { if (x.dim() > 9) throw py::value_error("no"); return f(x); }',
            "Tensor x",
            "&boxed_g_body",
        ),
        ("&part<2>", "Tensor x", "&part<2>"),
        ("f", "Tensor x", "&f"),
    ],
)
def test_lambdas_and_templates_are_registered(bound: str, schema: str, boxed: str) -> None:
    text = (
        "#include <torch/extension.h>\nnamespace py = pybind11;\nat::Tensor f(at::Tensor x) { return x; }\n"
        "template <int K> at::Tensor part(at::Tensor x) { return x.narrow(0, 0, K); }\n"
        f'PYBIND11_MODULE(e, m) {{ m.def("g", {bound}, "a text"); }}\n'
    )
    found = to_stable(text)
    assert f'm.def("g({schema}) -> Tensor");' in found.text and f"TORCH_BOX({boxed})" in found.text
    assert not found.remarks and "py" not in found.text.replace("copy", "")


def test_a_module_binds_the_functions_of_its_own_file(tmp_path: Path) -> None:
    for name, parameters in (("cpu", "at::Tensor x"), ("cuda", "const at::Tensor x, int64_t k")):
        text = f'at::Tensor f({parameters}) {{ return x; }}\nPYBIND11_MODULE({name}, m) {{ m.def("f", &f); }}\n'
        (tmp_path / f"{name}.cpp").write_text(f"#include <torch/extension.h>\n{text}")
    result = port_project(tmp_path, Options(stable=Target()))
    assert result.ok
    assert ["int k" in file.new for file in result.changed] == [False, True]


def test_references_to_what_no_operator_hands_over() -> None:
    text = 'void f(at::Tensor& x, at::IntArrayRef& s, int& k);\nPYBIND11_MODULE(e, m) { m.def("f", &f); }\n'
    passed = (
        'x, ported_lvalue(torch::headeronly::IntHeaderOnlyArrayRef(s)), ported_lvalue(ported_narrowed<int>(k, "k"))'
    )
    assert f"f({passed});" in to_stable(text).text


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("float f(float x) { return abs(x); }", "math.h"),
        ("float f(float x) { return std::abs(x); }", "cmath"),
        ("bool f(float x) { return isinf(x); }", "math.h"),
        ("auto f(float* a) { return std::inclusive_scan(a, a, a); }", "numeric"),
        ("std::unordered_set<int> f();", "unordered_set"),
    ],
)
def test_headers_that_those_of_torch_brought(text: str, header: str) -> None:
    assert f"#include <{header}>" in to_stable(f"#include <torch/extension.h>\n{text}\n").text


def test_headers_for_what_the_files_own_headers_use(tmp_path: Path) -> None:
    (tmp_path / "own.h").write_text("inline float own(float x) { return abs(x); }\n")
    (tmp_path / "a.cpp").write_text('#include <torch/extension.h>\n#include "own.h"\nat::Tensor f(at::Tensor x);\n')
    result = port_project(tmp_path, Options(stable=Target()))
    assert [(str(file.path), "#include <math.h>" in file.new) for file in result.changed] == [("a.cpp", True)]


@pytest.mark.parametrize(
    "text",
    [
        "at::Tensor f(at::Tensor W) { at::Tensor y = W; return y; }\n__global__ void k(float* __restrict__ a, float* y, int n) {}\n",
        "at::Tensor f(at::Tensor x) { return x; }\ntemplate <typename T, typename U> struct A {};\n",
        "at::Tensor f(at::Tensor x);\ntemplate at::Tensor f<2>(at::Tensor x);\nauto g = &f<2>;\n",
        "void f(at::Tensor x) {\n  { const int* x = p(); g(x[0] * 2 + 1); }\n}\n",
        "#define SAME(a, b, s) TORCH_CHECK((a).size(0) == (b).size(0) * s)\nvoid f(at::Tensor x) { SAME(x, x, 2); }\n",
    ],
)
def test_what_is_no_tensor_stays(text: str) -> None:
    found = to_stable(text)
    assert "ported_" not in found.text and "select" not in found.text and not found.remarks


def test_checks_with_words_behind_them() -> None:
    found = to_stable(
        'void f(at::Tensor x, at::IntArrayRef s) {\n  CHECK(x.is_cuda()) << "on a GPU";\n  TORCH_CHECK(x.sizes() == s, s);\n}\n'
    )
    assert "#define CHECK(condition)" in found.text and "x.sizes() == s, ported_text(s))" in found.text
    own = to_stable("#define CHECK(x) if (!(x)) throw 1\nvoid f(at::Tensor x) { CHECK(x.is_cuda()); }\n")
    assert "Check failed" not in own.text


def test_a_source_without_torch_stays_as_it_is(tmp_path: Path) -> None:
    text = "#include <vector>\n\nint f(std::vector<int> x) { return x.size() + x[0]; }\n"
    (tmp_path / "plain.cpp").write_text(text)
    result = port_project(tmp_path, Options(stable=Target()))
    assert result.changed == () and result.ok
