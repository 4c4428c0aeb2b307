#pragma once
#include <cstdint>
#include <vector>

namespace vcm::zstd {

// Bits written from low to high; a reader takes them from the other end (RFC 8878, section 4).
class BitWriter {
 public:
  explicit BitWriter(std::uint8_t* to) : begin_(to), to_(to) {}
  // The lowest `count` (0 … 32) bits of `value`.
  void add(std::uint64_t value, int count) {
    bits_ |= (value & ((std::uint64_t{1} << count) - 1)) << used_;
    used_ += count;
    while (used_ >= 8) {
      *to_++ = static_cast<std::uint8_t>(bits_);
      bits_ >>= 8;
      used_ -= 8;
    }
  }
  // Fill the last byte with zeros; the number of bytes written.
  std::int64_t pad() {
    if (used_ > 0) add(0, 8 - used_);
    return to_ - begin_;
  }
  // The mark that tells a reader from the end where the bits begin; the number of bytes written.
  std::int64_t close() {
    add(1, 1);
    return pad();
  }

 private:
  std::uint8_t* begin_;
  std::uint8_t* to_;
  std::uint64_t bits_ = 0;
  int used_ = 0;
};

// A finite-state-entropy code as an encoder needs it. shares[s] of the 2^log states emit symbol s; -1 is a
// share of one state whose bits are all spent (section 4.1.1).
class FseTable {
 public:
  FseTable(const std::vector<int>& shares, int log);

  int log() const { return log_; }
  // A state that emits `symbol` and may be the last: it leads on by at least one bit, whose absence is how a
  // reader of Huffman weights finds the end.
  int start(int symbol) const { return first_[static_cast<std::size_t>(symbol)]; }
  // The state before `state` that emits `symbol`; the bits that lead from there to `state` are written.
  int step(int symbol, int state, BitWriter& to) const {
    const int before =
        previous_[(static_cast<std::size_t>(symbol) << log_) + static_cast<std::size_t>(state)];
    to.add(static_cast<std::uint64_t>(state - base_[static_cast<std::size_t>(before)]),
           bits_[static_cast<std::size_t>(before)]);
    return before;
  }

 private:
  int log_;
  std::vector<int> first_;               // of each symbol: the state of most bits
  std::vector<int> base_;                // of each state: the first that may follow
  std::vector<int> bits_;                // of each state: 2^bits may follow
  std::vector<std::uint16_t> previous_;  // symbol, next state -> state
};

// Shares of 2^log states, near the counts, at least one for each symbol that occurs. Needs 2 … 2^log
// different symbols.
std::vector<int> fse_shares(const std::vector<std::int64_t>& counts, int log);

// The description of a table (section 4.1.1), as bytes at `to`; how many. Shares of -1 are not written.
std::int64_t write_fse_shares(const std::vector<int>& shares, int log, std::uint8_t* to);

}  // namespace vcm::zstd
