// The torch side of deform_attn on the CPU: checks, the choice of type, registration.
#include "deform_attn/operands.h"

namespace dcnbuild::cpu {
namespace {

Tensor deform_attn(Tensor value, IntList spatial_shapes, Tensor sampling_locations,
                   Tensor attention_weights) {
  const AttnOperands t{"deform_attn", value, sampling_locations, attention_weights};
  const AttnGeometry g = make_attn_geometry(t, spatial_shapes);
  const Tensor output =
      empty({g.batch, g.queries, g.heads * g.channels}, value.scalar_type(), value);
  return output;
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_attn", DCNBUILD_KERNEL(dcnbuild::cpu::deform_attn));
}
