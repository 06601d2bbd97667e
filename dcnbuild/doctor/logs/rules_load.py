"""Loading: libraries that are not found when a module is imported."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.commands import module_of, rebuild
from dcnbuild.doctor.logs.patterns import START, Pattern
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: Library of torch, in whatever release.
_TORCH_LIBRARY = (
    r"lib(?:c10|c10_cuda|torch|torch_cpu|torch_cuda|torch_cuda_cu|torch_cuda_cpp|torch_python|shm"
    r"|caffe2|ATen|caffe2_gpu|torch_global_deps)"
)

_CUDA_LIBRARY = (
    r"lib(?:cudart|cublas|cublasLt|cusparse|cusparseLt|cusolver|cufft|curand|nvrtc|nvJitLink|cupti"
    r"|nvToolsExt|cudnn\w*|nccl|nvrtc-builtins|nvjpeg|npp\w+)"
)


def _cuda_version(library: str) -> str:
    found = re.search(r"\.so\.(\d{1,2}(?:\.\d)?)", library)
    return found.group(1) if found else ""


def _cudart_cause(hit: Hit) -> str:
    library = hit["library"]
    name, version = library.rsplit("/", 1)[-1], _cuda_version(library)
    if "cudart" not in name or not version:
        return f"{name} is not found: what loads it was built against a CUDA that is not here."
    return f"What is imported was built for CUDA {version}, whose {name} is not found here."


def _cudart_fix(hit: Hit) -> tuple[str, ...]:
    version = _cuda_version(hit["library"])
    where = f"/usr/local/cuda-{version}" if "." in version else "/usr/local/cuda"
    return (
        'python -c "import torch; print(torch.version.cuda)"',
        "# rebuild it for that CUDA (or install its wheel for that CUDA):",
        *rebuild(hit),
        "# or, where the other toolkit is installed:",
        f'export LD_LIBRARY_PATH="{where}/lib64${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"',
    )


def _libc10_cause(hit: Hit) -> str:
    name = hit["library"].rsplit("/", 1)[-1]
    if re.search(r"torch_cuda_c|caffe2|ATen", name):
        return (
            f"The extension was built for an old torch that had {name}; the installed one has not."
        )
    if "cuda" in name:
        return (
            f"{name} is not found: the extension is loaded before torch, or the installed torch is "
            "a CPU-only one."
        )
    return f"{name} is not found: the extension is loaded before torch, which brings that library."


def _libc10_fix(hit: Hit) -> tuple[str, ...]:
    name = hit["library"]
    if re.search(r"torch_cuda_c|caffe2|ATen", name):
        return rebuild(hit)
    return (
        'python -c "import torch; print(torch.__version__, torch.version.cuda)"',
        f"# import torch first: import torch, {module_of(hit.log.text(hit.line)) or 'the_extension'}",
    )


def _library_fix(hit: Hit) -> tuple[str, ...]:
    name = hit["library"].rsplit("/", 1)[-1]
    for start, line in (
        ("libcuda.so", "nvidia-smi  # the driver brings it; docker run needs: --gpus all"),
        ("libnvidia", "nvidia-smi  # the driver brings it; docker run needs: --gpus all"),
        ("libGL.so", "sudo apt-get install libgl1"),
        ("libgthread", "sudo apt-get install libglib2.0-0"),
        ("libEGL", "sudo apt-get install libegl1"),
        ("libgomp", "sudo apt-get install libgomp1"),
        ("libstdc++", "sudo apt-get install libstdc++6"),
        ("libpython", "sudo apt-get install libpython3-dev"),
        ("libmkl", "pip install mkl"),
        ("libopenblas", "sudo apt-get install libopenblas0"),
        ("libcrypt", "sudo apt-get install libcrypt1"),
    ):
        if name.startswith(start):
            return (line,)
    return (f"apt-file search {name}  # which package brings it",)


def _not_opened(library: str) -> tuple[Pattern, ...]:
    """Patterns for "the loader does not find it", with the group `library`."""
    name = rf"{START}(?P<library>(?:/[^\s:'\"]{{0,300}}/)?{library}\.(?:so|dylib)[\w.]{{0,20}})"
    return (
        ("cannot open shared object", rf"{name}: cannot open shared object file"),
        ("not found", rf"{name} => not found"),
        ("ibrary not loaded", rf"[Ll]ibrary not loaded:? .{{0,100}}?{name}"),
    )


RULES = (
    LogRule(
        id="libcudart-not-found",
        title="A CUDA library is not found",
        patterns=_not_opened(_CUDA_LIBRARY),
        cause=_cudart_cause,
        fix=_cudart_fix,
        example="ImportError: libcudart.so.10.1: cannot open shared object file: "
        "No such file or directory",
    ),
    LogRule(
        id="libc10-not-found",
        title="torch's libraries are not found",
        patterns=_not_opened(_TORCH_LIBRARY),
        cause=_libc10_cause,
        fix=_libc10_fix,
        example="ImportError: libc10.so: cannot open shared object file: No such file or directory",
    ),
    LogRule(
        id="library-not-found",
        title="A shared library is not found",
        patterns=(
            (
                "cannot open shared object file",
                rf"{START}(?P<library>(?:/[^\s:'\"]{{0,300}}/)?lib[\w+.-]{{1,80}}?\.so[\w.]{{0,20}}): "
                r"cannot open shared object file",
            ),
        ),
        unless=rf"{_CUDA_LIBRARY}\.so|{_TORCH_LIBRARY}\.so|Could not load dynamic library|ld\.so: ",
        cause="The shared library {library} is not on this machine or not on the loader's path.",
        fix=_library_fix,
        example="ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
    ),
    LogRule(
        id="dll-load-failed",
        title="A DLL of the extension is not found",
        patterns=(
            (
                "DLL load failed",
                r"DLL load failed(?: while importing (?P<name>[\w.]+))?:? ?(?P<why>.{0,200})",
            ),
            (
                "[WinError 126]",
                r"WinError 12[67]\](?P<why>.{0,200})",
            ),
            (
                "[WinError 127]",
                r"WinError 12[67]\](?P<why>.{0,200})",
            ),
        ),
        cause=lambda hit: (
            f"{hit['name'] or 'The extension'} was built for another torch or Python: "
            "a function that it calls is not in their DLLs."
            if "procedure" in hit["why"] or "WinError 127" in hit.match.group()
            else f"{hit['name'] or 'The extension'} finds not all its DLLs: import torch first, "
            "and the CUDA that it was built with has to be on PATH."
        ),
        fix=lambda hit: (
            'python -c "import torch; print(torch.__version__, torch.version.cuda)"',
            "rem import torch before the extension; then, if it still fails, rebuild:",
            "pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall .",
        ),
        example="ImportError: DLL load failed while importing _C: "
        "The specified procedure could not be found.",
    ),
)
