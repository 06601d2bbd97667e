"""The flags of every build, whatever the machine; the JIT cache's key holds them."""

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
LINK_FLAGS = (
    "-shared",
    # Name as needed only what is used, and fail here, not at import, if something is defined nowhere.
    "-Wl,--as-needed,-z,defs",
    # Full RELRO: what the loader has filled in cannot be written afterwards, and all of it is filled in at load.
    "-Wl,-z,relro,-z,now",
    # The static CUDA runtime inside must not stand in for the one that torch brings.
    "-Wl,--exclude-libs,ALL",
)
#: The static CUDA runtime, so that no NVIDIA library is named as needed, and what it rests on.
CUDA_RUNTIME = ("-lcudart_static", "-ldl", "-lrt", "-lpthread")
