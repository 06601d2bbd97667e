// The products of AMX: tiles of 16 rows of 64 bytes, two by two of them in C.
#include "common/cpu/matrix_levels.h"

#ifdef DCNBUILD_HAS_AVX512BF16
#include "common/cpu/tile_instructions.h"

namespace dcnbuild::cpu {
namespace {

constexpr int kRows = kAmxRows, kLanes = 16, kDepth = kAmxDepth, kUnit = 2;

/// What ldtilecfg reads: palette 1, and all eight tiles at their full size. Tiles are never
/// smaller: buffers are padded instead, because a new configuration would clear the sums.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {kRows, kRows, kRows, kRows, kRows, kRows, kRows, kRows};
};
static_assert(sizeof(TileShapes) == 64);
const TileShapes kTileShapes;

/// Tiles 0 to 3 hold C, 4 and 5 rows of A, 6 and 7 panels of B. The instructions have the numbers
/// of their tiles in them, so these are macros.
#define DCNBUILD_EACH_SUM(DO)             \
  DO(0, 0, 0, 4, 6)                       \
  if constexpr (panels > 1) {             \
    DO(1, 0, 1, 4, 7)                     \
  }                                       \
  if constexpr (rows > 1) {               \
    DO(2, 1, 0, 5, 6)                     \
  }                                       \
  if constexpr (rows > 1 && panels > 1) { \
    DO(3, 1, 1, 5, 7)                     \
  }
#define DCNBUILD_LOAD_SUM(tile, i, j, left, right) \
  tiles::load<tile>(c + (i) * kRows * p.c_row + (j) * kLanes, c_row);
#define DCNBUILD_CLEAR_SUM(tile, i, j, left, right) tiles::clear<tile>();
#define DCNBUILD_STORE_SUM(tile, i, j, left, right) \
  tiles::store<tile>(c + (i) * kRows * p.c_row + (j) * kLanes, c_row);
#define DCNBUILD_ADD_BFLOAT16(tile, i, j, left, right) tiles::add_bfloat16<tile, left, right>();
#define DCNBUILD_ADD_HALF(tile, i, j, left, right) tiles::add_half<tile, left, right>();

/// One block of C, `rows` by `panels` tiles, kept in tiles over the whole depth.
template <bool half, int rows, int panels>
void multiply_block(const MatrixProduct& p, const uint16_t* a, const uint16_t* b, float* c) {
  const int64_t a_row = p.a_row * sizeof(uint16_t), b_unit = p.b_unit * sizeof(uint16_t),
                c_row = p.c_row * sizeof(float);
  if (p.accumulate) {
    DCNBUILD_EACH_SUM(DCNBUILD_LOAD_SUM)
  } else {
    DCNBUILD_EACH_SUM(DCNBUILD_CLEAR_SUM)
  }
  for (int64_t k = 0; k < p.depth; k += kDepth, a += kDepth, b += kDepth / kUnit * p.b_unit) {
    tiles::load<4>(a, a_row);
    if constexpr (rows > 1) tiles::load<5>(a + kRows * p.a_row, a_row);
    tiles::load<6>(b, b_unit);
    if constexpr (panels > 1) tiles::load<7>(b + p.b_panel, b_unit);
    if constexpr (half) {
      DCNBUILD_EACH_SUM(DCNBUILD_ADD_HALF)
    } else {
      DCNBUILD_EACH_SUM(DCNBUILD_ADD_BFLOAT16)
    }
  }
  DCNBUILD_EACH_SUM(DCNBUILD_STORE_SUM)
}

/// All rows of one or two panels.
template <bool half, int panels>
void multiply_panels(const MatrixProduct& p, int64_t panel) {
  const uint16_t* b = p.b + panel * p.b_panel;
  float* c = p.c + panel * kLanes;
  int64_t i = 0;
  for (; i + kRows < p.rows; i += 2 * kRows)
    multiply_block<half, 2, panels>(p, p.a + i * p.a_row, b, c + i * p.c_row);
  if (i < p.rows) multiply_block<half, 1, panels>(p, p.a + i * p.a_row, b, c + i * p.c_row);
}

template <bool half>
void multiply(const MatrixProduct& p) {
  tiles::configure(&kTileShapes);
  int64_t panel = 0;
  for (; panel + 2 <= p.panels; panel += 2) multiply_panels<half, 2>(p, panel);
  if (panel < p.panels) multiply_panels<half, 1>(p, panel);
  // Otherwise each switch between threads would save 8 KiB of tiles.
  tiles::release();
}

}  // namespace

void multiply_amx_bfloat16(const MatrixProduct& product) { multiply<false>(product); }
void multiply_amx_half(const MatrixProduct& product) { multiply<true>(product); }

}  // namespace dcnbuild::cpu
#endif
