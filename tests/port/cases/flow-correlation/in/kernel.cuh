#pragma once
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <cuda_runtime.h>
int corr_kernel(at::Tensor& out, int ob, int os, at::Tensor& a, at::Tensor& b, int pad, cudaStream_t stream);
