#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace vcm::zstd {

inline constexpr int kLongestCode = 11;
// Up to so many symbols codes are shorter, so that more of them are written at a time.
inline constexpr int kFewSymbols = 64, kLongestOfFew = 9;

// The prefix code of one block's literals.
struct HuffmanCode {
  std::array<std::uint16_t, 256> code{};
  std::array<std::uint8_t, 256> length{};   // 0: the symbol does not occur
  std::array<std::uint8_t, 256> symbols{};  // those that occur, ascending
  int n_symbols = 0;
  int longest = 0;
  std::int64_t n_bits = 0;                // of all literals
  std::vector<std::uint8_t> description;  // of the code (section 4.2.1); empty: none exists
};

// The code of shortest total for these counts, none longer than allowed, and its description. Two or
// more symbols must occur.
HuffmanCode huffman_code(const std::uint32_t* counts);

}  // namespace vcm::zstd
