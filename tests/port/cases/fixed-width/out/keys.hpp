#ifndef KEYS
#define KEYS
#include <array>
#include <vector>
#include <cstdint>

using Key = std::array<uint8_t, 4>;
inline uint64_t spread(Key key) { return uint64_t(key[0]) << 32 | key[1]; }
#endif
