"""Sources that use what their torch, CUDA, Python or compiler does not have, or does not have that way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import advice, known, names
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import numpy


def port(hit: Hit) -> Fix:
    """The line that rewrites the project."""
    return fixes.dcnbuild("port", operands=(hit["project"],))


def _owner_of(hit: Hit) -> str:
    """The namespace or class that a name was looked for in."""
    return hit["alias"] or hit["owner"]


def whose(hit: Hit) -> Owner:
    """Whose file the message is about: what pip fetched counts as its package's."""
    found = owner(hit["source"])
    source = hit["source"]
    of_checkout = re.match(r"/|[A-Za-z]:", source) and not re.search(
        r"pip-|[/\\]builds-v0[/\\]|[/\\]\.tmp", source
    )
    if found.kind == "own" and hit["package"] != "." and not of_checkout:
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
        yield fixes.say(
            f"or build with a release before {found.since}{known.last_before(found.since)}"
        )


def _is_gone_from(hit: Hit, product: str) -> bool:
    found = _gone(hit)
    return found is not None and found.since.startswith(product)


gone_from_cuda = partial(_is_gone_from, product="CUDA")
gone_from_cudnn = partial(_is_gone_from, product="cuDNN")
gone_from_torch = partial(_is_gone_from, product="torch")
gone_from_cxx = partial(_is_gone_from, product="C++")


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
    return "what Cython generated" if _CYTHON.search(text) else "the source"


#: What shows that Cython wrote a C file: its own names, and names of Python that hardly anything else uses.
_CYTHON = re.compile(
    r"__pyx|Pyx|cython|longintrepr|ob_digit|tp_print|curexc_|use_tracing|exc_type|_PyGen_Send|_PyUnicode_Ready"
    r"|_PyThreadState_UncheckedGet|_PyLong_AsByteArray|_PyObject_GetBuiltin|ma_version_tag|\w\.c:\d{4,5}:"
)


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
        if hit["package"]:
            yield fixes.say("a newer release, whose C files a newer Cython wrote:")
            yield fixes.pip_install(hit["package"], options=("--upgrade",))
        yield fixes.say("or write the C files anew, delete the old .c or .cpp file and build:")
        yield fixes.pip_install("cython>=3.0.11", options=("--upgrade",))
        yield advice.build(hit)
    else:
        yield fixes.say("a newer release of the source, it names the Pythons that it is for")
        if hit["package"]:
            yield fixes.pip_install(hit["package"], options=("--upgrade",))
    yield fixes.say(f"or an older Python, {before}:")
    yield fixes.command("conda", "create", "-n", f"py{before.replace('.', '')}", f"python={before}")


def gone_from_numpy(hit: Hit) -> bool:
    """Whether a name of numpy's C interface, or a member of its PyArray_Descr, is gone."""
    if hit["owner"] or not re.match(r"_?(?:Py|NPY|npy)", hit["name"]):
        return "PyArray_Descr" in f"{hit['owner']} {hit['alias']}"
    return any(entry.removed for entry in numpy.C_TABLE.find(hit["name"]))


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


def _type_dispatch_when(hit: Hit) -> bool:
    return "DeprecatedTypeProperties" in hit.around(after=2)


def _cuda_too_old_for_source_when(hit: Hit) -> bool:
    return names.added(hit["name"], _owner_of(hit), hit["toolkit"]) is not None


def _cuda_too_old_for_source_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} uses {hit['name']}, which CUDA has since "
        f"{names.added(hit['name'], _owner_of(hit), hit['toolkit'])} only; this is {hit['toolkit']}."
    )


def _cuda_too_old_for_source_fix(hit: Hit) -> Iterable[Fix]:
    return (fixes.install_toolkit(names.added(hit["name"], _owner_of(hit), hit["toolkit"]) or ""),)
