// Divides the backward pass among threads: whole images if memory allows one for each thread, else
// slices of an image's channels. Only one slice writes its gradients of input and weight, so they
// need no locks and do not depend on timing. The gradients of offset and mask are sums over
// channels, which are added up slice by slice, in order.
#pragma once

#include <vector>

#include "common/cpu/strided.h"

namespace dcnbuild::cpu {

/// Channels [begin, end) of an image, and their offset groups.
struct Slice {
  int64_t begin, end;
  int64_t first_group, groups;  // offset groups
  std::vector<Run> runs;        // channels relative to `begin`, offset groups to `first_group`
  int64_t channels() const { return end - begin; }
};

/// The weight groups of a slice, of which each has `width` channels in it, from its channel
/// `first_channel` on; a slice may be narrower than its only group.
struct SliceGroups {
  int64_t first, groups, width, first_channel;
  SliceGroups(const Geometry& g, const Slice& slice)
      : first(slice.begin / g.channels_per_group()),
        groups(slice.channels() / std::min(slice.channels(), g.channels_per_group())),
        width(std::min(slice.channels(), g.channels_per_group())),
        first_channel(slice.begin % g.channels_per_group()) {}
};

/// Divides the channels into at most `count` slices of nearly equal size; all but the last are
/// multiples of `unit`.
inline std::vector<Slice> make_slices(const Geometry& g, int64_t count, int64_t unit) {
  const int64_t units = ceil_div(g.channels, unit), per_group = g.channels_per_offset_group();
  count = std::min(count, units);
  std::vector<Slice> slices;
  for (int64_t i = 0; i < count; ++i) {
    Slice slice{};
    slice.begin = i * units / count * unit;
    slice.end = std::min((i + 1) * units / count * unit, g.channels);
    slice.first_group = slice.begin / per_group;
    slice.groups = ceil_div(slice.end, per_group) - slice.first_group;
    for (int64_t group = 0; group < slice.groups; ++group) {
      const int64_t first = (slice.first_group + group) * per_group;
      const int64_t begin = std::max(first, slice.begin),
                    end = std::min(first + per_group, slice.end);
      slice.runs.push_back({group, begin - slice.begin, end - begin, begin - slice.begin});
    }
    slices.push_back(slice);
  }
  return slices;
}

/// The unit of slices: whole weight groups, or panels of channels if there is only one group.
inline int64_t slice_unit(const Geometry& g, int64_t lanes) {
  return g.groups > 1 ? g.channels_per_group() : lanes;
}

}  // namespace dcnbuild::cpu
