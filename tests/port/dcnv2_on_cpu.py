"""Runs the ported CUDA kernels of DCNv2 on the CPU, against dcnbuild's operator.

DCNv2 0.4 has no CPU implementation: its kernels are compiled by the C++ compiler instead, over a header
that runs each thread after the other (they use no shared memory), and called as its own C++ code calls them.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

import torch

import dcnbuild

KERNELS = Path("src/cuda/dcn_v2_im2col_cuda.cu")
#: CUDA as far as these kernels use it. `emulated(blocks, threads, …, kernel)(arguments…)` is a launch.
_CUDA = """\
#include <cmath>
#include <cstdio>
#include <cstdlib>
#define __global__
#define __device__
struct Index { int x = 0; };
inline Index threadIdx, blockIdx, blockDim, gridDim;
using cudaStream_t = void*;
enum cudaError_t { cudaSuccess };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return ""; }
#define C10_CUDA_KERNEL_LAUNCH_CHECK() static_cast<void>(0)
inline float atomicAdd(float* to, float value) { return *to += value; }
template <typename... P>
auto emulated(int blocks, int threads, int, cudaStream_t, void (*kernel)(P...)) {
  return [=](P... arguments) {
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
      for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) kernel(arguments...);
  };
}
"""


def compiled(project: Path, work: Path) -> ctypes.CDLL:
    """The ported kernels as a library; raises CalledProcessError where they do not compile."""
    text = (project / KERNELS).read_text()
    text = re.sub(r"#include <(?:ATen|c10)/.*>", "", text)
    text, launches = re.subn(r"(\w+)\s*<<<(.*?)>>>\s*\(", r"emulated(\2, \1)(", text, flags=re.DOTALL)
    assert launches == 3, launches
    (work / "cuda.h").write_text(_CUDA)
    (work / "kernels.cpp").write_text(text)
    library = work / "kernels.so"
    command = [os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-w", "-shared", "-fPIC"]
    include = [f"-I{(project / KERNELS).parent}", "-include", str(work / "cuda.h")]
    subprocess.run([*command, *include, str(work / "kernels.cpp"), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def differences(project: Path, work: Path) -> dict[str, float]:
    """The largest difference to dcnbuild's operator, of the output and of each gradient.

    Args:
        project: the ported DCNv2, with its bugs fixed: the paddings differ here.
        work: where to compile.
    """
    library = compiled(project, work)
    generator = torch.Generator().manual_seed(0)

    def random(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator)

    channels, out, height, width, groups = 4, 3, 9, 11, 2
    kernel, stride, padding, dilation = (3, 2), (2, 1), (2, 1), (1, 2)
    rows, columns = (
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True)
    )
    taps = kernel[0] * kernel[1]
    image = random(1, channels, height, width)
    offset = 2 * random(1, 2 * groups * taps, rows, columns)
    mask = random(1, groups * taps, rows, columns).sigmoid()
    weight, bias = random(out, channels, *kernel), random(out)
    grad = random(1, out, rows, columns)

    def call(name: str, *tensors: torch.Tensor, outputs: tuple[torch.Tensor, ...]) -> None:
        sizes = (1, channels, height, width, rows, columns)
        shape = (*kernel, *padding, *stride, *dilation, groups)
        getattr(library, f"modulated_deformable_{name}_cuda")(
            None,
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors),
            *(ctypes.c_int(number) for number in (*sizes, *shape)),
            *(ctypes.c_void_p(tensor.data_ptr()) for tensor in outputs),
        )

    gathered = torch.empty(channels * taps, rows * columns)
    call("im2col", image, offset, mask, outputs=(gathered,))
    theirs = {"output": (weight.flatten(1) @ gathered).view_as(grad) + bias.view(-1, 1, 1)}
    back = weight.flatten(1).T @ grad.flatten(2)[0]
    theirs |= {"image": torch.zeros_like(image), "offset": torch.zeros_like(offset)}
    theirs |= {"mask": torch.zeros_like(mask)}
    call("col2im", back, offset, mask, outputs=(theirs["image"],))
    call("col2im_coord", back, image, offset, mask, outputs=(theirs["offset"], theirs["mask"]))
    theirs["weight"] = (grad.flatten(2)[0] @ gathered.T).view_as(weight)

    inputs = {"image": image, "offset": offset, "mask": mask, "weight": weight}
    for tensor in inputs.values():
        tensor.requires_grad_()
    output = dcnbuild.deform_conv2d(image, offset, weight, bias, stride, padding, dilation, mask=mask)
    output.backward(grad)
    ours = {"output": output.detach()}
    for name, tensor in inputs.items():
        assert tensor.grad is not None
        ours[name] = tensor.grad
    return {name: (ours[name] - value).abs().max().item() for name, value in theirs.items()}
