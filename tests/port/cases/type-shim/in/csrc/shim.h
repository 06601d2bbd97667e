#pragma once
#include <ATen/ATen.h>

struct AnyType {
  const at::Type& payload;
  AnyType(const at::Type& type) : payload(type) {}
  operator const at::Type&() { return payload; }
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
      AT_ERROR(NAME, " is not for ", toString(TYPE)); \
  }
