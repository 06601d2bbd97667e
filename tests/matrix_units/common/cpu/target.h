// In the place of the header of this name: no target, and instructions that are functions.
#pragma once

#include "stand_in.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif
#define DCNBUILD_TARGET(names)
#define DCNBUILD_TARGET_END
