"""The flags of every build on every machine; they are part of the JIT cache's key."""

from __future__ import annotations

#: No -march: one binary for every machine of its kind.
CXX_FLAGS = (
    *("-O3", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-Wall"),
    "-fstack-protector-strong",
)
NVCC_FLAGS = (
    "-O3",
    "-DUSE_CUDA",
    "--expt-relaxed-constexpr",
    "-Xcompiler=-fPIC,-fvisibility=hidden,-fvisibility-inlines-hidden,-fstack-protector-strong",
)
#: Beside CXX_FLAGS, for the CUDA sources as plain C++. What they do between two launches does not pay for more than
#: -O1, and `#pragma unroll` is the kernels'.
NVRTC_FLAGS = ("-O1", "-DDCNBUILD_NVRTC", "-Wno-unknown-pragmas", "-x", "c++")
LINK_FLAGS = (
    "-shared",
    # Need only libraries that are used; and fail here, not at import, if a symbol is undefined.
    "-Wl,--as-needed,-z,defs",
    # Full RELRO: the loader fills all tables at load, and makes them read-only.
    "-Wl,-z,relro,-z,now",
    # Hides the static CUDA runtime's symbols, which must not replace those of torch's runtime.
    "-Wl,--exclude-libs,ALL",
)
#: The static CUDA runtime, so that the library needs no NVIDIA library, and the runtime's own dependencies.
CUDA_RUNTIME = ("-lcudart_static", "-ldl", "-lrt", "-lpthread")
