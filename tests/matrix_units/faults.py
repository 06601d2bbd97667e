"""Faults in the kernels for half types, each of which check.cpp must notice."""

from __future__ import annotations

from emulator.faults import ADDRESS, Fault

AMX, HALF, GEMM = "common/cpu/kernels_amx.cpp", "common/cpu/half.h", "common/cpu/gemm.h"
GATHER, COPY = "deform_conv2d/cpu/gather.h", "common/cpu/copy.h"

FAULTS = tuple(
    Fault(name, file, old, new, ADDRESS, within)
    for name, file, old, new, within in (
        (
            "second panel of B not loaded",
            AMX,
            "tiles::load<7>(b + p.b_panel, b_unit);",
            "tiles::load<7>(b, b_unit);",
            "",
        ),
        ("second row of A not loaded", AMX, "a + kRows * p.a_row", "a", ""),
        ("wrong stride of A's rows", AMX, "p.a_row * sizeof(uint16_t)", "p.a_row", ""),
        ("depth of B counted in values", AMX, "kDepth / kUnit * p.b_unit", "kDepth * p.b_unit", ""),
        ("sums cleared", AMX, "p.accumulate", "false", ""),
        ("rows beyond the last tile", AMX, "i + kRows < p.rows", "i < p.rows", ""),
        ("last panel left out", AMX, "panel < p.panels", "false", ""),
        ("tiles not released", AMX, "tiles::release();", "", ""),
        ("tiles not configured", AMX, "tiles::configure(&kTileShapes);", "", ""),
        ("pairs of A as far apart as values", GEMM, "p.a_row / 2", "p.a_row", ""),
        ("units of B as far apart as panels", GEMM, "p.b_unit / 2", "p.b_panel / 2", ""),
        (
            "pairs of positions swapped",
            GEMM,
            "words[0] | (words[1] << 16)",
            "words[1] | (words[0] << 16)",
            "",
        ),
        ("packed rows lack the padding", GEMM, "i < padded", "i < rows", ""),
        (
            "even and odd channels swapped",
            HALF,
            "_mm512_cvtne2ps_pbh(two[1], two[0])",
            "_mm512_cvtne2ps_pbh(two[0], two[1])",
            "",
        ),
        (
            "second vector of float16 not stored",
            HALF,
            "store_as<bytes>(to + kLanes<float, bytes>, two[1]);",
            "",
            "",
        ),
        (
            "a corner's last channels from another",
            GATHER,
            "load_as<bytes>(at.pixel[which] + c)",
            "load_as<bytes>(at.pixel[0] + c)",
            "sum += at.weight[which] * load_as<bytes>(at.pixel[which] + c);",
        ),
        (
            "a corner's single channels from another",
            GATHER,
            "value_of(at.pixel[which][c])",
            "value_of(at.pixel[0][c])",
            "",
        ),
        (
            "rows of a transposed word swapped",
            COPY,
            "DCNBUILD_SHUFFLE8(w[i], w[i + 4], 4, 12, 5, 13, 6, 14, 7, 15)",
            "DCNBUILD_SHUFFLE8(w[i + 4], w[i], 4, 12, 5, 13, 6, 14, 7, 15)",
            "",
        ),
    )
)
