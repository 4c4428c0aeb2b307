#pragma once
#include <cstdint>

namespace vcm::zstd {

// XXH64 with seed 0 of bytes that arrive in pieces: the checksum of a frame's content.
class Xxh64 {
 public:
  void add(const std::uint8_t* from, std::int64_t n);
  std::uint64_t digest() const;

 private:
  static constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu;
  static constexpr int kStripe = 32;

  void stripe(const std::uint8_t* from);

  std::uint64_t lanes_[4] = {kPrime1 + kPrime2, kPrime2, 0, std::uint64_t{0} - kPrime1};
  std::uint8_t rest_[kStripe];
  std::int64_t n_rest_ = 0, total_ = 0;
};

}  // namespace vcm::zstd
