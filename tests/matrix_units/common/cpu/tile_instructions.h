// In the place of the header of this name: tiles that are arrays.
#pragma once

#include "stand_in.h"

namespace dcnbuild::cpu::tiles {

inline void configure(const void* shapes) { stand_in::tiles().configure(shapes); }
inline void release() { stand_in::tiles().release(); }

template <int tile>
inline void clear() {
  stand_in::tiles().clear(tile);
}
template <int tile>
inline void load(const void* from, int64_t stride) {
  stand_in::tiles().load(tile, from, stride);
}
template <int tile>
inline void store(void* to, int64_t stride) {
  stand_in::tiles().store(tile, to, stride);
}
template <int c, int a, int b>
inline void add_bfloat16() {
  stand_in::tiles().add_products(c, a, b, stand_in::from_bfloat16);
}
template <int c, int a, int b>
inline void add_half() {
  stand_in::tiles().add_products(c, a, b, stand_in::from_half);
}

}  // namespace dcnbuild::cpu::tiles
