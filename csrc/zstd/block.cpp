#include "zstd/block.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "zstd/fse.hpp"
#include "zstd/huffman.hpp"

namespace vcm::zstd {
namespace {

enum class Kind : std::uint32_t { raw, rle, compressed };

void put(std::uint64_t value, int n_bytes, std::uint8_t* to) {
  for (int k = 0; k < n_bytes; ++k) to[k] = static_cast<std::uint8_t>(value >> (8 * k));
}

void put_head(Kind kind, std::int64_t size, std::uint8_t* to) {
  put(static_cast<std::uint64_t>(kind) << 1 | static_cast<std::uint64_t>(size) << 3, 3, to);
}

// Literals as they are, or one of them repeated (section 3.1.1.3.1.1).
std::int64_t put_plain_head(Kind kind, std::int64_t n, std::uint8_t* to) {
  const auto type = static_cast<std::uint64_t>(kind);
  const auto size = static_cast<std::uint64_t>(n);
  if (n < 32) return put(type | size << 3, 1, to), 1;
  if (n < 4096) return put(type | 1 << 2 | size << 4, 2, to), 2;
  return put(type | 3 << 2 | size << 4, 3, to), 3;
}

// How lengths are told: a code and bits that say which of the lengths from `first` on
// (section 3.1.1.3.2.1.1).
struct LengthCode {
  int code;
  int n_bits;
  std::int32_t rest;
};

// Codes below `plain` are single lengths, counted from `least`; `firsts` and `bits` continue them.
LengthCode length_code(std::int32_t length, std::int32_t least, int plain, const std::int32_t* firsts,
                       const int* bits, int n) {
  if (length < least + plain) return {length - least, 0, 0};
  const int k = static_cast<int>(std::upper_bound(firsts, firsts + n, length) - firsts) - 1;
  return {plain + k, bits[k], length - firsts[k]};
}

LengthCode literal_code(std::int32_t length) {
  static constexpr std::int32_t kFirst[] = {16,  18,  20,  22,   24,   28,   32,   40,    48,    64,
                                            128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
  static constexpr int kBits[] = {1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  return length_code(length, 0, 16, kFirst, kBits, 20);
}

LengthCode match_code(std::int32_t length) {
  static constexpr std::int32_t kFirst[] = {35,  37,  39,  41,   43,   47,   51,   59,    67,    83,   99,
                                            131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539};
  static constexpr int kBits[] = {1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  return length_code(length, 3, 32, kFirst, kBits, 21);
}

// One of the two codes of lengths in a block: a single value, or a table of its own.
class LengthTable {
 public:
  static constexpr int kLog = 8;
  enum Mode : std::uint8_t { rle = 1, fse = 2 };

  explicit LengthTable(const std::vector<LengthCode>& codes) : counts_(53) {
    for (const LengthCode& code : codes) ++counts_[static_cast<std::size_t>(code.code)];
    if (std::count(counts_.begin(), counts_.end(), 0) == static_cast<std::ptrdiff_t>(counts_.size()) - 1) {
      only_ = codes.front().code;
      return;
    }
    while (counts_.back() == 0) counts_.pop_back();
    // a small block has no use for fine shares
    log_ = std::clamp(static_cast<int>(std::bit_width(codes.size())) - 1, 6, kLog);
    shares_ = fse_shares(counts_, log_);
    table_.emplace_back(shares_, log_);
  }
  Mode mode() const { return only_ >= 0 ? rle : fse; }
  std::int64_t describe(std::uint8_t* to) const {
    if (only_ < 0) return write_fse_shares(shares_, log_, to);
    *to = static_cast<std::uint8_t>(only_);
    return 1;
  }
  void start(const LengthCode& code) {
    if (only_ < 0) state_ = table_[0].start(code.code);
  }
  void step(const LengthCode& code, BitWriter& to) {
    if (only_ < 0) state_ = table_[0].step(code.code, state_, to);
  }
  void finish(BitWriter& to) const {
    if (only_ < 0) to.add(static_cast<std::uint64_t>(state_), log_);
  }

 private:
  std::vector<std::int64_t> counts_;
  std::vector<int> shares_;
  std::vector<FseTable> table_;
  int only_ = -1, log_ = kLog, state_ = 0;
};

// Whether a sample of one byte in eight shows no byte often enough for codes to gain the 1.6 % asked for:
// pairs of equal bytes are then hardly more frequent than chance has them.
bool even(const std::uint8_t* from, std::int64_t n) {
  constexpr std::int64_t kParts = 8;
  const std::int64_t length = n / (kParts * kParts);
  std::uint32_t counts[256] = {};
  for (std::int64_t k = 0; k < kParts; ++k)
    VCM_SELECT_ISA(count_bytes)(from + k * (n / kParts), length, counts);
  std::uint64_t pairs = 0;
  for (std::uint64_t count : counts) pairs += count * (count - 1) * (count > 0);
  const auto sampled = static_cast<std::uint64_t>(kParts * length);
  return pairs * 256 * 10 < 11 * sampled * sampled;
}

}  // namespace

BlockWriter::BlockWriter()
    // codes are bounded by 11 bits a literal; tables and lengths of runs come beside them
    : content_(2 * kBlock + 4096),
      literals_(kBlock),
      before_(kMostRuns),
      repeats_(kMostRuns),
      pairs_(1 << 16) {
  runs_.room = literals_.data();
  runs_.before = before_.data();
  runs_.repeats = repeats_.data();
}

std::int64_t BlockWriter::write(const std::uint8_t* from, std::int64_t n, std::uint8_t* to) {
  if (n > 0) {
    VCM_SELECT_ISA(find_runs)(from, n, runs_);
    if (runs_.n_runs == 1 && runs_.repeats[0] == n - 1) {
      put_head(Kind::rle, n, to);
      to[kBlockHead] = from[0];
      return kBlockHead + 1;
    }
    const std::int64_t size = compressed(n, content_.data());
    if (size < n) {
      put_head(Kind::compressed, size, to);
      std::memcpy(to + kBlockHead, content_.data(), static_cast<std::size_t>(size));
      return kBlockHead + size;
    }
    std::memcpy(to + kBlockHead, from, static_cast<std::size_t>(n));
  }
  put_head(Kind::raw, n, to);
  return kBlockHead + n;
}

// The content of a compressed block; n where it would not be smaller.
std::int64_t BlockWriter::compressed(std::int64_t n, std::uint8_t* to) {
  const std::int64_t size = literals(to);
  if (size + 4 * runs_.n_runs > n) return n;
  return size + sequences(to + size);
}

std::int64_t BlockWriter::literals(std::uint8_t* to) {
  const std::int64_t n = runs_.n_literals;
  const std::int64_t coded = coded_literals(to);
  if (coded > 0) return coded;
  if (runs_.n_runs == 0) return n;  // the block is stored as it is
  const std::int64_t head = put_plain_head(Kind::raw, n, to);
  std::memcpy(to + head, runs_.literals, static_cast<std::size_t>(n));
  return head + n;
}

// 0 where Huffman codes gain nothing.
std::int64_t BlockWriter::coded_literals(std::uint8_t* to) {
  constexpr std::int64_t kFew = 64, kSampled = 1 << 14, kStreams = 4, kHead = 5, kJumps = 6;
  const std::int64_t n = runs_.n_literals;
  if (n < kFew) return 0;
  std::uint32_t counts[256] = {};
  if (n >= kSampled && even(runs_.literals, n)) return 0;
  VCM_SELECT_ISA(count_bytes)(runs_.literals, n, counts);
  if (*std::max_element(counts, counts + 256) == n) return 0;  // too rare among literals to be worth a case
  const HuffmanCode code = huffman_code(counts);
  const auto described = static_cast<std::int64_t>(code.description.size());
  if (described == 0 || described + code.n_bits / 8 + kHead + kJumps + kStreams >= n - n / 64) return 0;

  std::uint32_t codes[256];
  for (std::size_t s = 0; s < 256; ++s)
    codes[s] = code.code[s] | static_cast<std::uint32_t>(code.length[s]) << 24;
  const bool paired = code.n_symbols <= kFewSymbols && n > 4 * kFewSymbols * kFewSymbols;
  if (paired)
    for (int a = 0; a < code.n_symbols; ++a)
      for (int b = 0; b < code.n_symbols; ++b) {
        const std::size_t first = code.symbols[static_cast<std::size_t>(a)],
                          second = code.symbols[static_cast<std::size_t>(b)];
        const std::size_t as_stored =
            std::endian::native == std::endian::little ? first | second << 8 : second | first << 8;
        const int length = code.length[first] + code.length[second];
        pairs_[as_stored] = code.code[second] |
                            static_cast<std::uint32_t>(code.code[first]) << code.length[second] |
                            static_cast<std::uint32_t>(length) << 24;
      }
  const auto write = VCM_SELECT_ISA(write_codes);
  std::memcpy(to + kHead, code.description.data(), code.description.size());
  const std::int64_t jumps = kHead + described, each = (n + kStreams - 1) / kStreams;
  std::int64_t size = jumps + kJumps;
  for (std::int64_t k = 0; k < kStreams; ++k) {
    const std::int64_t begin = k * each, length = std::min(each, n - begin);
    const std::int64_t written = write(runs_.literals + begin, length, codes,
                                       paired ? pairs_.data() : nullptr, code.longest, to + size);
    if (k + 1 < kStreams) put(static_cast<std::uint64_t>(written), 2, to + jumps + 2 * k);
    size += written;
  }
  put(std::uint64_t{2} | 3 << 2 | static_cast<std::uint64_t>(n) << 4 |
          static_cast<std::uint64_t>(size - kHead) << 22,
      5, to);
  return size;
}

// Runs are matches one byte back, which is where the first of the recent offsets always points.
std::int64_t BlockWriter::sequences(std::uint8_t* to) {
  const std::int64_t n = runs_.n_runs;
  if (n == 0) return put(0, 1, to), 1;
  std::int64_t size = 0;
  if (n < 128) {
    put(static_cast<std::uint64_t>(n), 1, to), size = 1;
  } else {
    to[0] = static_cast<std::uint8_t>((n >> 8) + 128), to[1] = static_cast<std::uint8_t>(n), size = 2;
  }
  std::vector<LengthCode> before, repeats;
  for (std::int64_t k = 0; k < n; ++k) {
    before.push_back(literal_code(runs_.before[k]));
    repeats.push_back(match_code(runs_.repeats[k]));
  }
  LengthTable by_before(before), by_repeats(repeats);
  to[size++] =
      static_cast<std::uint8_t>(by_before.mode() << 6 | LengthTable::rle << 4 | by_repeats.mode() << 2);
  size += by_before.describe(to + size);
  to[size++] = 0;  // the code of every offset
  size += by_repeats.describe(to + size);
  BitWriter out(to + size);
  for (std::size_t k = before.size(); k-- > 0;) {
    if (k + 1 == before.size()) {
      by_repeats.start(repeats[k]);
      by_before.start(before[k]);
    } else {
      by_repeats.step(repeats[k], out);
      by_before.step(before[k], out);
    }
    out.add(static_cast<std::uint64_t>(before[k].rest), before[k].n_bits);
    out.add(static_cast<std::uint64_t>(repeats[k].rest), repeats[k].n_bits);
  }
  by_repeats.finish(out);
  by_before.finish(out);
  return size + out.close();
}

}  // namespace vcm::zstd
