#pragma once
#include <ATen/ATen.h>

struct AnyType {
  const at::DeprecatedTypeProperties& payload;
  AnyType(const at::DeprecatedTypeProperties& type) : payload(type) {}
  operator const at::DeprecatedTypeProperties&() { return payload; }
  operator at::ScalarType() { return payload.scalarType(); }
};

#define BY_KIND(TYPE, NAME, ...)                    \
  switch (TYPE) {                                   \
    case at::ScalarType::Float: {                   \
      using value_t = float;                        \
      __VA_ARGS__;                                  \
      break;                                        \
    }                                               \
    default:                                        \
      TORCH_CHECK(false, NAME, " is not for ", toString(TYPE)); \
  }
