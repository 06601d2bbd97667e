"""Shapes of the CUDA runtime, the driver, NVML, nvidia-smi, NCCL, cuDNN and the system below them."""

from __future__ import annotations

from dcnbuild.doctor.parse.record import Shape

#: How a program says with what status another one ended.
_EXIT = r"(?:returned non-zero exit status|exited with (?:code|status)|failed with exit (?:code|status)|[Ee]xit code:?|did not run successfully|returned error code) ?(?P<code>-?[1-9]\d{0,9})?"

SHAPES = (
    Shape(
        "cuda-error",
        "cuda",
        "Error ",
        r"\b(?:Error|error|CUDA failure|code|Code)[ =:]{1,3}(?P<code>\d{1,3})(?: ?[:(-] ?(?P<text>[a-zA-Z][^\n)]{3,120}))",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "CUDA error",
        r"CUDA error(?: \d+)?[ :(-]{1,4}(?:\d{1,3}[ :-]{1,3})?(?P<text>[a-zA-Z][^\n]{3,160})",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "CUDA failure",
        r"C(?:UDA|uda) failure (?P<code>\d{1,3})?[ :']{0,3}(?P<text>[a-zA-Z][^\n']{3,120})",
    ),
    Shape("cuda-error", "cuda", "CUDA_ERROR_", r"(?P<name>CUDA_ERROR_[A-Z0-9_]{3,60})"),
    Shape("cuda-error", "cuda", "cudaError", r"\b(?P<name>cudaError[A-Z]\w{3,60})"),
    Shape(
        "cuda-error",
        "cuda",
        "driver version is insufficient",
        r"(?P<text>CUDA driver version is insufficient)",
    ),
    Shape(
        "cuda-error", "cuda", "system not yet initialized", r"(?P<text>system not yet initialized)"
    ),
    Shape(
        "cuda-error",
        "cuda",
        "system has unsupported display",
        r"(?P<text>system has unsupported display driver)",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "forward compatibility was attempted",
        r"(?P<text>forward compatibility was attempted on non supported HW)",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "no CUDA-capable device",
        r"(?P<text>no CUDA-capable device is detected)",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "device(s) is/are busy",
        r"(?P<text>devices? ?(?:\(s\))? is/are busy or unavailable|CUDA-capable device\(s\) is/are busy or unavailable)",
    ),
    Shape("cuda-error", "cuda", "invalid device ordinal", r"(?P<text>invalid device ordinal)"),
    Shape("cuda-error", "cuda", "named symbol not found", r"(?P<text>named symbol not found)"),
    Shape("cuda-error", "cuda", "invalid device function", r"(?P<text>invalid device function)"),
    Shape("cuda-error", "cuda", "no kernel image", r"(?P<text>no kernel image is available)"),
    Shape(
        "cuda-error",
        "cuda",
        "device kernel image is invalid",
        r"(?P<text>device kernel image is invalid)",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "an illegal memory access",
        r"(?P<text>an illegal memory access was encountered)",
    ),
    Shape(
        "cuda-error",
        "cuda",
        "too many resources requested",
        r"(?P<text>too many resources requested for launch)",
    ),
    Shape("cuda-error", "cuda", "device-side assert", r"(?P<text>device-side assert triggered)"),
    Shape(
        "cuda-error", "cuda", "unspecified launch failure", r"(?P<text>unspecified launch failure)"
    ),
    Shape(
        "cuda-error", "cuda", "uncorrectable ECC", r"(?P<text>uncorrectable ECC error encountered)"
    ),
    Shape("cuda-error", "cuda", "operation not supported", r"(?P<text>operation not supported)"),
    Shape("cuda-error", "cuda", "initialization error", r"(?P<text>initialization error)"),
    Shape(
        "cuda-error",
        "cuda",
        "unsupported toolchain",
        r"(?P<text>PTX was compiled with an unsupported toolchain)",
    ),
    Shape("cuda-error", "cuda", "ut of memory", r"(?P<text>CUDA out of memory)"),
    Shape(
        "library-status",
        "cuda",
        "_STATUS_",
        r"(?P<name>(?:CUBLAS|CUDNN|CUSPARSE|CUSOLVER|CURAND|CUFFT|NVRTC|CUBLASLT)_STATUS_[A-Z_]{3,60})",
    ),
    Shape("nvrtc-error", "cuda", "nvrtc: error", r"nvrtc: error: (?P<text>[^\n]{3,300})"),
    Shape(
        "nvml-error",
        "nvml",
        "NVML",
        r"(?:NVML: |initialize NVML: |nvml error: )(?P<text>[A-Za-z][^\n]{3,200})",
    ),
    Shape("nvml-error", "nvml", "NVMLError", r"(?P<name>NVMLError\w*)(?:: (?P<text>.{3,200}))?"),
    Shape(
        "nvidia-smi",
        "driver",
        "couldn't communicate with the NVIDIA driver",
        r"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
    ),
    Shape("nvidia-smi", "driver", "No devices were found", r"No devices were found"),
    Shape("kernel-module", "driver", "modprobe", r"modprobe: (?:ERROR|FATAL): (?P<text>.{1,200})"),
    Shape(
        "kernel-module",
        "driver",
        "Key was rejected",
        r"(?P<text>Key was rejected by service|Required key not available)",
    ),
    Shape(
        "kernel-module",
        "driver",
        "dkms",
        r"(?P<text>Error! (?:Bad return status for module build|Your kernel headers).{0,200}|ERROR: Unable to build the NVIDIA kernel module|Bad return status for module build)",
    ),
    Shape("kernel-module", "driver", "NVRM", r"NVRM: (?P<text>.{1,200})"),
    Shape(
        "kernel-module",
        "driver",
        "Nouveau",
        r"(?P<text>The Nouveau kernel driver is currently in use)",
    ),
    Shape("no-gpu", "torch", "no NVIDIA driver", r"[Ff]ound no NVIDIA driver on your system"),
    Shape("no-gpu", "torch", "GPUs are available", r"No (?P<name>CUDA|HIP) GPUs are available"),
    Shape("no-gpu", "torch", "is_available() is False", r"torch\.cuda\.is_available\(\) is False"),
    Shape("no-gpu", "", "not able to use GPU", r"[Tt]orch is not able to use (?:the )?GPU"),
    Shape(
        "nccl-error",
        "nccl",
        "NCCL",
        r"(?:NCCL error|NCCL WARN|ncclSystemError|ncclInternalError|ncclUnhandledCudaError|ncclInvalidUsage|ncclRemoteError)[^\n]{0,30}?:? ?(?P<text>[^\n]{0,300})",
    ),
    Shape(
        "openmp-twice",
        "openmp",
        "OMP: Error #15",
        r"OMP: Error #15: Initializing (?P<name>\S{1,80}?), but found (?P<other>\S{1,80}) already initialized",
    ),
    Shape(
        "mkl-threading",
        "mkl",
        "MKL_THREADING_LAYER",
        r"MKL_THREADING_LAYER=(?P<name>\w+) is incompatible with (?P<library>\S{1,80}) library",
    ),
    Shape("mkl-threading", "mkl", "MKL FATAL ERROR", r"MKL FATAL ERROR: (?P<text>.{1,200})"),
    Shape(
        "shared-memory",
        "system",
        "shared memory",
        r"(?P<text>insufficient shared memory \(shm\)|unable to open shared memory object.{0,80}|[Bb]us error.{0,60}shared memory)",
    ),
    Shape("too-many-files", "system", "Too many open files", r"Too many open files"),
    Shape(
        "crash", "system", "egmentation fault", r"(?P<text>Segmentation fault(?: \(core dumped\))?)"
    ),
    Shape(
        "crash",
        "system",
        "core dumped",
        r"(?P<text>(?:Aborted|Illegal instruction|Bus error|Floating point exception).{0,20}\(core dumped\))",
    ),
    Shape("crash", "system", "llegal instruction", r"(?P<text>[Ii]llegal instruction)"),
    *(
        Shape(
            "crash",
            "system",
            name,
            rf"(?:died with <Signals\.|[Ss]ignal: ?|signal \d+ \(|received )(?P<name>{name})",
        )
        for name in ("SIGSEGV", "SIGABRT", "SIGILL", "SIGBUS", "SIGFPE")
    ),
    # how a tool ended that said no more
    Shape(
        "failed-command",
        "",
        "rror",
        r"^(?P<tool>[\w.+-]{1,40}(?:\[\d+\])?): (?:\*\*\* |fatal )?[Ee]rror:? (?P<text>.{2,300})",
    ),
    Shape(
        "failed-command",
        "",
        "ERROR",
        r"^(?:\[?ERROR\]?|E|Error|FATAL|CRITICAL)[:\]] ?(?P<text>.{3,300})",
    ),
    Shape("failed-command", "", "rror:", r"^(?:fatal )?[Ee]rror: (?P<text>.{3,300})"),
    Shape("failed-command", "", "E: ", r"^E: (?P<text>.{3,300})"),
    Shape("failed-command", "", "fatal:", r"^(?:[\w./+-]{1,60}: )?fatal: (?P<text>.{3,300})"),
    Shape("failed-command", "", "FATAL", r"^FATAL(?: ERROR)?: (?P<text>.{3,300})"),
    Shape("failed-command", "", "panicked at", r"thread '.{1,60}' panicked at (?P<text>.{1,300})"),
    Shape(
        "failed-command",
        "",
        "terminate called",
        r"terminate called (?:after throwing an instance of|without) (?P<text>.{1,200})",
    ),
    *(
        Shape("exit-status", "", needle, _EXIT)
        for needle in (
            "non-zero exit",
            "exited with",
            "failed with exit",
            "xit code",
            "did not run",
            "returned error",
        )
    ),
    Shape(
        "exit-status", "make", "***", r"^(?:g?make|ninja)(?:\[\d+\])?: \*\*\* (?P<text>.{1,300})"
    ),
)
