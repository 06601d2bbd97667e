// AMX's instructions by their bytes. Many machines have an assembler older than their compiler (gcc
// 13 beside an Ubuntu's binutils), and the intrinsics, which gcc makes text of, would end there in
// "no such instruction". The tests have a header of this name that stands in for the instructions.
#pragma once

#include <cstdint>

namespace dcnbuild::cpu::tiles {

/// ModRM of a tile and memory at rax + rcx; the SIB byte 0x08 follows.
constexpr int at_rax_rcx(int tile) { return 0x04 | tile << 3; }
/// ModRM of two tiles.
constexpr int of_two(int out, int in) { return 0xc0 | out << 3 | in; }
/// The last byte of VEX: its inverted third operand, and the prefix, 2 for F3 or 3 for F2.
constexpr int third(int tile, int prefix) { return (~tile & 15) << 3 | prefix; }

/// ldtilecfg: 64 bytes.
inline void configure(const void* shapes) {
  asm volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0x00" : : "a"(shapes) : "memory");
}
/// tilerelease.
inline void release() { asm volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0xc0" : : : "memory"); }

/// tilezero.
template <int tile>
inline void clear() {
  asm volatile(".byte 0xc4, 0xe2, 0x7b, 0x49, %c0" : : "i"(of_two(tile, 0)));
}
/// tileloadd; the stride counts bytes.
template <int tile>
inline void load(const void* from, int64_t stride) {
  asm volatile(".byte 0xc4, 0xe2, 0x7b, 0x4b, %c0, 0x08"
               :
               : "i"(at_rax_rcx(tile)), "a"(from), "c"(stride)
               : "memory");
}
/// tilestored.
template <int tile>
inline void store(void* to, int64_t stride) {
  asm volatile(".byte 0xc4, 0xe2, 0x7a, 0x4b, %c0, 0x08"
               :
               : "i"(at_rax_rcx(tile)), "a"(to), "c"(stride)
               : "memory");
}
/// tdpbf16ps: c += a b.
template <int c, int a, int b>
inline void add_bfloat16() {
  asm volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1" : : "i"(third(b, 2)), "i"(of_two(c, a)));
}
/// tdpfp16ps: c += a b.
template <int c, int a, int b>
inline void add_half() {
  asm volatile(".byte 0xc4, 0xe2, %c0, 0x5c, %c1" : : "i"(third(b, 3)), "i"(of_two(c, a)));
}

}  // namespace dcnbuild::cpu::tiles
