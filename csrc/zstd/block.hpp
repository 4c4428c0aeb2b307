#pragma once
#include <cstdint>
#include <vector>

#include "zstd/byte_runs.hpp"
#include "zstd/limits.hpp"

namespace vcm::zstd {

// Bytes that a block may need beside its content: its head.
inline constexpr std::int64_t kBlockHead = 3;

// Writes blocks of Zstandard frames (RFC 8878) for bytes sorted by their place in numbers: runs of equal
// bytes, Huffman codes for what is between them, and no search for matches, which hardly ever pay there.
// Blocks know nothing of each other, so that any number of threads writes the same. One writer a thread.
class BlockWriter {
 public:
  BlockWriter();
  // One block that is not the last, n ≤ kBlock bytes, to room for n + kBlockHead; the bytes written.
  std::int64_t write(const std::uint8_t* from, std::int64_t n, std::uint8_t* to);

 private:
  std::int64_t compressed(std::int64_t n, std::uint8_t* to);
  std::int64_t literals(std::uint8_t* to);
  std::int64_t coded_literals(std::uint8_t* to);
  std::int64_t sequences(std::uint8_t* to);

  std::vector<std::uint8_t> content_, literals_;
  std::vector<std::int32_t> before_, repeats_;
  std::vector<std::uint32_t> pairs_;
  ByteRuns runs_;
};

}  // namespace vcm::zstd
