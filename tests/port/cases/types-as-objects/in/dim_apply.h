#pragma once
#include <torch/torch.h>
#define DIM_APPLY1(TYPE1, T1, DIM, CODE) \
  [&] { TYPE1* T1##_data = T1.data<TYPE1>(); int64_t T1##_stride = T1.stride(DIM); CODE; }()
