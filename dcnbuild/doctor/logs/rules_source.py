"""Sources that use what their torch, CUDA, Python or compiler does not have, or does not have that way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import names
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit, LogRule
from dcnbuild.doctor.parse.patterns import ASIDE

_TH_HEADER = r"TH[CS]?(?:UNN|NN)?/[\w./-]+\.(?:h|cuh|hpp)"
_TH_NAME = (
    r"_?(?:TH(?!CudaCheck\b)(?:C|Cuda|Float|Double|Long|Int|Short|Byte|Char|Half|Bool|Tensor|Blas"
    r"|ArgCheck|Assert|Error|Alloc|Free|Generator|Vector|NN)\w*|lazyInitCUDA)"
)


def port(hit: Hit) -> Fix:
    """The line that rewrites the project."""
    return fixes.dcnbuild("port", operands=(hit["project"],))


def _owner_of(hit: Hit) -> str:
    """The namespace or class that a name was looked for in."""
    return hit["alias"] or hit["owner"]


def whose(hit: Hit) -> Owner:
    """Whose file the message is about: what pip fetched counts as its package's."""
    found = owner(hit["source"])
    if found.kind == "own" and hit["package"] != ".":
        return Owner("package", hit["package"])
    return found


def _today(name: str, scope: str = "") -> str:
    found = names.gone(name, scope)
    return f"; today it is {found.today}" if found and found.today else ""


def _replace(hit: Hit, name: str, scope: str, today: str) -> Iterator[Fix]:
    """What to do about a name that is gone: whoever owns the file decides."""
    maker = whose(hit)
    if maker.kind == "package" and maker.name:
        yield fixes.say(f"{maker.name} is what uses it: a newer release of it, or its main branch")
        yield fixes.pip_install(maker.name, options=("--upgrade", "--no-build-isolation"))
        return
    if names.ported(name, scope):
        yield port(hit)
        return
    yield fixes.command("grep", "-rnw", name, operands=(hit["project"],))
    if today:
        yield fixes.say(f"{scope + '::' if scope else ''}{name} becomes {today}")


# -- TH and THC ------------------------------------------------------------------------------------


def _th_cause(hit: Hit) -> str:
    name = hit["header"] or hit["name"] or hit["symbol"]
    verb = "includes" if hit["header"] else "uses"
    return (
        f"{hit['where']} {verb} {name}, which torch removed with the TH and THC libraries in 1.11"
        f"{_today(name)}."
    )


# -- a name that is there, in a header that is not included -------------------------------------------


def _missing_header(hit: Hit) -> str | None:
    """The header to include for a name that the compiler does not know."""
    note = re.search(r"is defined in header ['\"‘<]{1,3}([\w./]+)", hit.around(after=5))
    if note:
        return note[1]
    text = hit.around(after=4)
    if re.search(r"only available (?:from|with) C\+\+", text):
        return None
    return names.header_of(hit["name"], _owner_of(hit))


def _include_cause(hit: Hit) -> str:
    header = _missing_header(hit)
    age = ", which newer compilers and headers no longer include along the way"
    return f"{hit['where']} uses {hit['name']} without #include <{header}>{age}."


def _include_fix(hit: Hit) -> Iterator[Fix]:
    header, maker, source = _missing_header(hit), whose(hit), hit["source"]
    if maker.kind == "own" and source and not hit.context.windows:
        yield fixes.command("sed", "-i", f"1i #include <{header}>", operands=(source,))
        return
    if hit.context.windows:
        yield fixes.say(f"put at the top of {source or 'the file'}: include {header}")
        return
    name = maker.name or "the project"
    yield fixes.say(f"{name}: a newer release may have it, without one, include it in every file:")
    yield fixes.set_env("CXXFLAGS", f"-include {header}")
    yield fixes.set_env("NVCC_APPEND_FLAGS", f"-include {header}")


# -- a name that is gone --------------------------------------------------------------------------------


def _gone(hit: Hit) -> names.Gone | None:
    return names.gone(hit["name"], _owner_of(hit))


def _gone_cause(hit: Hit) -> str:
    found, (scope, name) = _gone(hit), names.split(hit["name"], _owner_of(hit))
    assert found is not None
    full = f"{scope}::{name}" if scope else name
    toolkit = (
        f" (this is {hit['toolkit']})" if found.since.startswith("CUDA") and hit["toolkit"] else ""
    )
    today = f": today it is {found.today}" if found.today else ""
    return f"{hit['where']} uses {full}, which is gone since {found.since}{toolkit}{today}."


def _gone_fix(hit: Hit) -> Iterator[Fix]:
    found, (scope, name) = _gone(hit), names.split(hit["name"], _owner_of(hit))
    assert found is not None
    yield from _replace(hit, name, scope, found.today)
    if found.since.startswith(("CUDA", "torch")):
        yield fixes.say(f"or build with a release before {found.since}")


def _is_gone_from(product: str) -> dict[str, object]:
    return {
        "kinds": ("undeclared-name",),
        "when": lambda hit: (found := _gone(hit)) is not None and found.since.startswith(product),
        "unless": ASIDE,
        "cause": _gone_cause,
        "fix": _gone_fix,
    }


# -- a function that takes other arguments ------------------------------------------------------------------

_CALLED = re.compile(
    r"\b((?:cu|cuda|nvrtc|cudnn|cublas|cusparse|_?Py|at::|torch::)[A-Za-z_]\w{3,60})\s*\("
)


def _called(hit: Hit) -> str:
    """The function that the message is about: named in it, or called in the quoted source below it."""
    if hit["name"] and names.changed(hit["name"], hit["toolkit"]):
        return re.sub(r"_v\d+$", "", hit["name"])
    for found in _CALLED.finditer(hit.around(before=1, after=3)):
        if names.changed(found[1], hit["toolkit"]):
            return re.sub(r"_v\d+$", "", found[1])
    return ""


def _changed_cause(hit: Hit) -> str:
    name = _called(hit)
    found = names.changed(name, hit["toolkit"])
    assert found is not None
    return f"{hit['where']} calls {name} as before {found.since}: {found.today}."


def _changed_fix(hit: Hit) -> Iterator[Fix]:
    name = _called(hit)
    found = names.changed(name, hit["toolkit"])
    assert found is not None
    yield from _replace(hit, name, "", "")
    yield fixes.say(f"{name}: {found.today}")


# -- Python's C API -------------------------------------------------------------------------------------------


def _python_name(hit: Hit) -> str:
    return next(
        (hit[key] for key in ("owner", "name", "header") if names.without_in_python(hit[key])), ""
    )


def _python_cause(hit: Hit) -> str:
    name = _python_name(hit)
    since = names.without_in_python(name)
    return (
        f"{name} of Python's C API is gone, or no longer open to others, since Python {since}: "
        f"{_bound(hit)} is older than the Python {hit['python'] or 'in use'} it is compiled for."
    )


def _bound(hit: Hit) -> str:
    """What it is that does not know the Python."""
    text = hit.around(before=12, after=3)
    if re.search(r"torch[/\\]include|pybind11", text):
        return "the torch (its pybind11)" if "torch" in text else "pybind11"
    return "what Cython generated" if "__pyx" in text or "Pyx" in text else "the source"


def _python_fix(hit: Hit) -> Iterator[Fix]:
    since = names.without_in_python(_python_name(hit)) or "3.11"
    before = f"{since.split('.')[0]}.{int(since.split('.')[1]) - 1}"
    if "torch" in _bound(hit):
        first = {
            "3.11": "torch 1.13 or newer",
            "3.12": "torch 2.2 or newer",
            "3.13": "torch 2.5 or newer",
        }
        yield fixes.say(f"{first.get(since, 'a newer torch')} knows this Python:")
        yield fixes.install_torch()
    elif "Cython" in _bound(hit):
        yield fixes.pip_install("cython>=3.0.11", options=("--upgrade",))
        yield fixes.say(
            "then let it generate the C files anew: delete the old .c and .cpp files and build"
        )
    else:
        yield fixes.say("a newer release of the source, it names the Pythons that it is for")
    yield fixes.say(f"or an older Python, {before}:")
    yield fixes.command("conda", "create", "-n", f"py{before.replace('.', '')}", f"python={before}")


# -- host and device ---------------------------------------------------------------------------------------------


def _sides_cause(hit: Hit) -> str:
    if not hit["have"]:
        return f"{hit['where']} uses {hit['name']} in code of the GPU, where it does not exist."
    return (
        f"{hit['where']} calls {hit['name']}, a {hit['have']} function, from "
        f"{hit['caller'] or 'code'}, which is {hit['want']} and so is compiled for the other side too."
    )


def _sides_fix(hit: Hit) -> Iterator[Fix]:
    if "__host__" in hit["want"] and "__device__" in hit["have"]:
        yield fixes.say(
            f"mark {hit['caller'].split('(')[0]} __device__ only, or guard the call by __CUDA_ARCH__"
        )
    elif "constexpr" in hit["have"]:
        yield fixes.set_env("NVCC_APPEND_FLAGS", "--expt-relaxed-constexpr")
    else:
        yield fixes.say(
            f"mark {hit['name'].split('(')[0]} __host__ __device__, or use its CUDA counterpart"
        )


# -- torch ------------------------------------------------------------------------------------------------------------


def _member_cause(hit: Hit) -> str:
    scope, name = names.split(hit["name"], _owner_of(hit))
    return (
        f"{hit['where']} uses {scope}::{name}, which the torch it is compiled against "
        f"{'(' + hit['torch'] + ') ' if hit['torch'] else ''}does not have: "
        "the source is written for an older or a newer torch."
    )


def _member_fix(hit: Hit) -> Iterator[Fix]:
    scope, name = names.split(hit["name"], _owner_of(hit))
    yield from _replace(hit, name, scope, "")
    yield fixes.say("or install the torch release that the documentation of the project names")


def _is_torch(hit: Hit) -> bool:
    scope = names.split(hit["name"], _owner_of(hit))[0]
    return bool(re.match(r"(?:at|c10|torch|caffe2)(?:::|$)", scope))


# -- anything else that the toolkit does not declare ------------------------------------------------------------------


def _cuda_name(hit: Hit) -> bool:
    scope, name = names.split(hit["name"], _owner_of(hit))
    return bool(
        re.match(r"(?:cub|thrust|cuda|cooperative_groups|nvtx3?|cudaDeviceProp)(?:::|$)", scope)
        or re.match(
            r"(?:cuda[A-Z]|cu[A-Z][a-z]|CU_|cublas|cusparse|cudnn|cufft|curand|nvrtc|nvml|__nv_)\w",
            name,
        )
    )


def _cuda_cause(hit: Hit) -> str:
    scope, name = names.split(hit["name"], _owner_of(hit))
    full, toolkit = f"{scope}::{name}" if scope else name, hit["toolkit"]
    return (
        f"{hit['where']} uses {full}, which CUDA{' ' + toolkit if toolkit else ''} does not have: it is "
        "written for another CUDA, or lacks an #include."
    )


def _cuda_fix(hit: Hit) -> Iterator[Fix]:
    scope, name = names.split(hit["name"], _owner_of(hit))
    yield fixes.command("nvcc", "--version")
    yield from _replace(hit, name, scope, "")
    yield fixes.say("or build with the CUDA release that the project was made for")


RULES = (
    LogRule(
        id="thc-headers",
        title="THC headers are gone",
        kinds=("missing-header",),
        where={"header": _TH_HEADER},
        cause=_th_cause,
        fix=lambda hit: (
            port(hit),
            fixes.say("or build with the last torch that had them: torch 1.10"),
        ),
        explains=("thcudacheck", "th-api-removed"),
        example="src/cuda/dcn_v2_cuda.cu:4:10: fatal error: THC/THC.h: No such file or directory",
    ),
    LogRule(
        id="thcudacheck",
        title="THCudaCheck is gone",
        kinds=("undeclared-name",),
        where={"name": "THCudaCheck(?:Warn)?"},
        unless=ASIDE,
        cause=_th_cause,
        fix=lambda hit: (port(hit), fixes.say("THCudaCheck becomes C10_CUDA_CHECK")),
        example='dcn_v2_cuda.cu(107): error: identifier "THCudaCheck" is undefined',
    ),
    LogRule(
        id="th-api-removed",
        title="TH and THC functions are gone",
        kinds=("undeclared-name",),
        where={"name": _TH_NAME},
        unless=ASIDE,
        cause=_th_cause,
        fix=lambda hit: (port(hit),),
        example='dcn_v2_cuda.cu(72): error: identifier "THCState_getCurrentStream" is undefined',
    ),
    LogRule(
        id="th-api-removed",
        title="TH and THC functions are gone",
        kinds=("undefined-reference",),
        where={"symbol": rf".{{0,80}}?(?<![A-Za-z0-9])(?:__imp_)?{_TH_NAME}.{{0,200}}"},
        unless=ASIDE,
        cause=lambda hit: (
            f"What is linked calls {hit['symbol']} of the TH and THC libraries, which torch removed in 1.11."
        ),
        fix=lambda hit: (port(hit),),
        example="vision.o: undefined reference to `THCudaBlas_Sgemm'",
    ),
    LogRule(
        id="at-check",
        title="AT_CHECK is gone",
        kinds=("undeclared-name",),
        where={"name": "AT_CHECK"},
        unless=ASIDE,
        cause=lambda hit: f"{hit['where']} uses AT_CHECK, which torch removed in 1.5.",
        fix=lambda hit: (port(hit), fixes.say("AT_CHECK becomes TORCH_CHECK")),
        example="src/vision.cpp:14:3: error: 'AT_CHECK' was not declared in this scope",
    ),
    LogRule(
        id="type-dispatch",
        title="Dispatch over x.type()",
        kinds=("wrong-type", "wrong-arguments"),
        patterns=(
            ("no suitable", r"no suitable .{1,80}(?:from|exists).{0,80}DeprecatedTypeProperties"),
            (
                "cannot convert",
                r"cannot convert .{0,40}at::DeprecatedTypeProperties.{0,60}ScalarType",
            ),
            ("could not convert", r"could not convert .{0,200}at::DeprecatedTypeProperties"),
        ),
        when=lambda hit: "DeprecatedTypeProperties" in hit.around(after=2),
        unless=ASIDE,
        cause=lambda hit: (
            f"{hit['where']} dispatches over x.type(), which AT_DISPATCH macros no longer take (since torch 2.6)."
        ),
        fix=lambda hit: (
            port(hit),
            fixes.say("AT_DISPATCH of x.type() becomes one of x.scalar_type()"),
        ),
        example="dcn_v2_cuda.cu(65): error: no suitable conversion function from "
        '"const at::DeprecatedTypeProperties" to "c10::ScalarType" exists',
    ),
    LogRule(
        id="torch-too-old-for-python",
        title="The sources are older than this Python",
        kinds=("incomplete-type", "undeclared-name", "wrong-arguments", "missing-header"),
        when=lambda hit: bool(_python_name(hit)),
        unless=ASIDE,
        cause=_python_cause,
        fix=_python_fix,
        example="torch/include/pybind11/cast.h:446:36: error: invalid use of incomplete type ‘PyFrameObject’ "
        "{aka ‘struct _frame’}",
    ),
    LogRule(
        id="cuda-api-changed",
        title="A function of CUDA takes other arguments now",
        kinds=("wrong-arguments", "wrong-type"),
        when=lambda hit: bool(_called(hit)),
        unless=ASIDE,
        cause=_changed_cause,
        fix=_changed_fix,
        example="decode.cpp:44:24: error: too few arguments to function ‘CUresult cuCtxCreate_v4(CUctx_st**, "
        "CUctxCreateParams*, unsigned int, CUdevice)’",
    ),
    LogRule(
        id="cuda-api-removed",
        title="CUDA function is gone",
        example='kernel.cu(31): error: identifier "cudaThreadSynchronize" is undefined',
        **_is_gone_from("CUDA"),  # type: ignore[arg-type]
    ),
    LogRule(
        id="cuda-api-removed",
        title="CUDA function is gone",
        example='conv.cpp(31): error: identifier "cudnnGetConvolutionForwardAlgorithm" is undefined',
        **_is_gone_from("cuDNN"),  # type: ignore[arg-type]
    ),
    LogRule(
        id="torch-api-changed",
        title="torch lacks what the source uses",
        example="src/nms.cpp:21:14: error: 'getType' is not a member of 'at'",
        **_is_gone_from("torch"),  # type: ignore[arg-type]
    ),
    LogRule(
        id="cxx-removed",
        title="The C++ standard no longer has this name",
        example="src/a.cpp:9:8: error: ‘random_shuffle’ is not a member of ‘std’",
        **_is_gone_from("C++"),  # type: ignore[arg-type]
    ),
    LogRule(
        id="cuda-too-old-for-source",
        title="The source is newer than the CUDA toolkit",
        kinds=("undeclared-name",),
        when=lambda hit: names.added(hit["name"], _owner_of(hit), hit["toolkit"]) is not None,
        unless=ASIDE,
        cause=lambda hit: (
            f"{hit['where']} uses {hit['name']}, which CUDA has since "
            f"{names.added(hit['name'], _owner_of(hit), hit['toolkit'])} only; this is {hit['toolkit']}."
        ),
        fix=lambda hit: (
            fixes.install_toolkit(names.added(hit["name"], _owner_of(hit), hit["toolkit"]) or ""),
        ),
        example="/usr/local/cuda-11.8/bin/nvcc -c g.cu\n"
        'g.cu(7): error: identifier "cudaGraphConditionalHandle" is undefined',
    ),
    LogRule(
        id="missing-include",
        title="An #include is missing",
        kinds=("undeclared-name",),
        when=lambda hit: _missing_header(hit) is not None,
        unless=ASIDE,
        cause=_include_cause,
        fix=_include_fix,
        example="src/raster.h:9:47: error: ‘uintptr_t’ is not a member of ‘std’",
    ),
    LogRule(
        id="host-device-call",
        title="Code of the host and of the GPU do not go together",
        kinds=("host-device-call",),
        unless=ASIDE,
        cause=_sides_cause,
        fix=_sides_fix,
        example='act.cu(5): error: calling a __device__ function("__expf") from a __host__ __device__ '
        'function("fast_exp") is not allowed',
    ),
    LogRule(
        id="torch-api-changed",
        title="torch lacks what the source uses",
        kinds=("undeclared-name",),
        when=_is_torch,
        unless=ASIDE + r"|[/\\]torch[/\\]include[/\\]",
        cause=_member_cause,
        fix=_member_fix,
        example="src/nms.cpp:21:14: error: 'newStorage' is not a member of 'at'",
    ),
    LogRule(
        id="cuda-api-removed",
        title="CUDA function is gone",
        kinds=("undeclared-name",),
        when=_cuda_name,
        unless=ASIDE,
        cause=_cuda_cause,
        fix=_cuda_fix,
        example='sort.cu(9): error: namespace "cub" has no member "DeviceQuickSort"',
    ),
    LogRule(
        id="torch-too-old-for-source",
        title="Source is newer than torch",
        kinds=("missing-header",),
        where={"header": r"(?:ATen|c10|torch)/(?!extension\.h|torch\.h|types\.h)[\w./-]+"},
        cause=lambda hit: (
            f"{hit['where']} includes {hit['header']}, which the torch it is compiled against "
            f"{'(' + hit['torch'] + ') ' if hit['torch'] else ''}does not have: "
            "the source is written for another, usually newer, torch."
        ),
        fix=(
            fixes.install_torch(),
            fixes.say(
                "or check out a release of the source for this torch. Which Python has which torch:"
            ),
            fixes.command(
                "python", "-c", "import sys, torch; print(sys.executable, torch.__version__)"
            ),
        ),
        example="csrc/deform_attn.cu:6:10: fatal error: ATen/ceil_div.h: No such file or directory",
    ),
)
