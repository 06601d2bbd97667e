// Reads what NVRTC makes, as far as the driver that stands in for NVIDIA's needs it: for which GPU
// it is, which kernels it holds, and the bytes of each of their parameters.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

namespace stand_in {

struct Image {
  bool ptx = false;
  int capability = 0;                                  // 90 for sm_90 or compute_90
  std::map<std::string, std::vector<size_t>> kernels;  // bytes of each parameter
};

template <typename T>
T at(const char* image, size_t place) {
  T value;
  std::memcpy(&value, image + place, sizeof(T));
  return value;
}

/// The parameters in a section .nv.info.<kernel>: records of a format, an attribute and two bytes,
/// which are a value, or for format 4 the length of what follows.
inline std::vector<size_t> parameters_of_info(const char* info, size_t size) {
  std::vector<size_t> sizes;
  for (size_t place = 0; place + 4 <= size;) {
    const auto format = at<uint8_t>(info, place), attribute = at<uint8_t>(info, place + 1);
    const auto length = at<uint16_t>(info, place + 2);
    place += 4;
    if (format == 4 && attribute == 0x17) {  // index, ordinal, offset, and the size in the top bits
      const auto ordinal = at<uint16_t>(info, place + 4);
      if (sizes.size() <= ordinal) sizes.resize(ordinal + 1u);
      sizes[ordinal] = at<uint32_t>(info, place + 8) >> 18;
    }
    if (format == 4) place += length;
  }
  return sizes;
}

inline Image read_cubin(const char* image) {
  Image result;
  if (at<uint16_t>(image, 18) != 190) throw std::runtime_error("no ELF file of CUDA's");
  const auto flags = at<uint32_t>(image, 48);
  // Since CUDA 13 in the second byte.
  result.capability = image[8] >= 8 ? flags >> 8 & 0xff : flags & 0xff;
  const auto table = at<uint64_t>(image, 40);
  const auto entry = at<uint16_t>(image, 58), count = at<uint16_t>(image, 60),
             names = at<uint16_t>(image, 62);
  const auto strings = at<uint64_t>(image, table + names * entry + 24);
  const std::string prefix = ".nv.info.";
  for (uint16_t i = 0; i < count; ++i) {
    const uint64_t section = table + uint64_t(i) * entry;
    const std::string name = image + strings + at<uint32_t>(image, section);
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    result.kernels[name.substr(prefix.size())] = parameters_of_info(
        image + at<uint64_t>(image, section + 24), at<uint64_t>(image, section + 32));
  }
  return result;
}

inline Image read_ptx(const std::string& text) {
  Image result;
  result.ptx = true;
  std::smatch found;
  if (!std::regex_search(text, found, std::regex(R"(\.target sm_(\d+))")))
    throw std::runtime_error("neither a cubin nor PTX");
  result.capability = std::stoi(found[1]);
  const std::regex entry(R"(\.entry (\w+)\(([^)]*)\))"),
      parameter(
          R"(\.param (?:\.align \d+ )?\.[busf](\d+) (?:\.ptr (?:\.\w+ )?\.align \d+ )?\w+(?:\[(\d+)\])?)");
  for (std::sregex_iterator kernel(text.begin(), text.end(), entry), end; kernel != end; ++kernel) {
    std::vector<size_t>& sizes = result.kernels[(*kernel)[1]];
    const std::string list = (*kernel)[2];
    for (std::sregex_iterator each(list.begin(), list.end(), parameter); each != end; ++each)
      sizes.push_back(std::stoul((*each)[1]) / 8 *
                      ((*each)[2].matched ? std::stoul((*each)[2]) : 1));
  }
  return result;
}

inline Image read_image(const char* image) {
  return std::memcmp(image,
                     "\x7f"
                     "ELF",
                     4) == 0
             ? read_cubin(image)
             : read_ptx(image);
}

}  // namespace stand_in
