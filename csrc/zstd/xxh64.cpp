#include "zstd/xxh64.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/views.hpp"

namespace vcm::zstd {
namespace {

constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9u, kPrime4 = 0x85EBCA77C2B2AE63u,
                        kPrime5 = 0x27D4EB2F165667C5u;

}  // namespace

void Xxh64::stripe(const std::uint8_t* from) {
  for (int k = 0; k < 4; ++k)
    lanes_[k] = std::rotl(lanes_[k] + load<std::uint64_t>(from + 8 * k) * kPrime2, 31) * kPrime1;
}

void Xxh64::add(const std::uint8_t* from, std::int64_t n) {
  if (n == 0) return;  // from may be null
  total_ += n;
  if (n_rest_ > 0) {
    const std::int64_t taken = std::min<std::int64_t>(kStripe - n_rest_, n);
    std::memcpy(rest_ + n_rest_, from, static_cast<std::size_t>(taken));
    n_rest_ += taken, from += taken, n -= taken;
    if (n_rest_ < kStripe) return;
    stripe(rest_);
    n_rest_ = 0;
  }
  for (; n >= kStripe; from += kStripe, n -= kStripe) stripe(from);
  std::memcpy(rest_, from, static_cast<std::size_t>(n));
  n_rest_ = n;
}

std::uint64_t Xxh64::digest() const {
  std::uint64_t hash = kPrime5;
  if (total_ >= kStripe) {
    hash = 0;
    for (int k = 0; k < 4; ++k) hash += std::rotl(lanes_[k], k == 0 ? 1 : k == 1 ? 7 : k == 2 ? 12 : 18);
    for (std::uint64_t lane : lanes_)
      hash = (hash ^ (std::rotl(lane * kPrime2, 31) * kPrime1)) * kPrime1 + kPrime4;
  }
  hash += static_cast<std::uint64_t>(total_);
  std::int64_t k = 0;
  for (; k + 8 <= n_rest_; k += 8) {
    hash ^= std::rotl(load<std::uint64_t>(rest_ + k) * kPrime2, 31) * kPrime1;
    hash = std::rotl(hash, 27) * kPrime1 + kPrime4;
  }
  for (; k + 4 <= n_rest_; k += 4)
    hash = std::rotl(hash ^ load<std::uint32_t>(rest_ + k) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; k < n_rest_; ++k) hash = std::rotl(hash ^ rest_[k] * kPrime5, 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

}  // namespace vcm::zstd
