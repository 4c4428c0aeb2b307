#include "zstd/fse.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace vcm::zstd {

FseTable::FseTable(const std::vector<int>& shares, int log)
    : log_(log),
      first_(shares.size(), -1),
      base_(std::size_t{1} << log),
      bits_(std::size_t{1} << log),
      previous_(shares.size() << log) {
  const int size = 1 << log, mask = size - 1, stride = (size >> 1) + (size >> 3) + 3;
  std::vector<int> emits(static_cast<std::size_t>(size));
  int high = size - 1;
  for (std::size_t s = 0; s < shares.size(); ++s)
    if (shares[s] == -1) emits[static_cast<std::size_t>(high--)] = static_cast<int>(s);
  int at = 0;
  for (std::size_t s = 0; s < shares.size(); ++s)
    for (int k = 0; k < shares[s]; ++k) {
      emits[static_cast<std::size_t>(at)] = static_cast<int>(s);
      do at = (at + stride) & mask;
      while (at > high);
    }
  std::vector<int> next(shares.size());
  for (std::size_t s = 0; s < shares.size(); ++s) next[s] = std::abs(shares[s]);
  for (int state = 0; state < size; ++state) {
    const auto k = static_cast<std::size_t>(state);
    const int symbol = emits[k], number = next[static_cast<std::size_t>(symbol)]++;
    if (first_[static_cast<std::size_t>(symbol)] < 0) first_[static_cast<std::size_t>(symbol)] = state;
    bits_[k] = log - (std::bit_width(static_cast<unsigned>(number)) - 1);
    base_[k] = (number << bits_[k]) - size;
    const auto row = previous_.begin() + (static_cast<std::ptrdiff_t>(symbol) << log) + base_[k];
    std::fill(row, row + (std::ptrdiff_t{1} << bits_[k]), static_cast<std::uint16_t>(state));
  }
}

std::vector<int> fse_shares(const std::vector<std::int64_t>& counts, int log) {
  const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const std::int64_t size = std::int64_t{1} << log;
  std::vector<int> shares(counts.size());
  std::int64_t left = size;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] == 0) continue;
    shares[s] = static_cast<int>(std::max<std::int64_t>(1, counts[s] * size / total));
    left -= shares[s];
  }
  // the most frequent symbols bear what rounding left
  while (left != 0) {
    const auto most = std::max_element(shares.begin(), shares.end());
    const std::int64_t change = left > 0 ? left : std::max<std::int64_t>(left, -std::max(1, *most / 2));
    *most += static_cast<int>(change);
    left -= change;
  }
  return shares;
}

std::int64_t write_fse_shares(const std::vector<int>& shares, int log, std::uint8_t* to) {
  BitWriter out(to);
  out.add(static_cast<std::uint64_t>(log - 5), 4);
  int left = 1 << log;
  for (std::size_t s = 0; left > 0; ++s) {
    // share + 1 is one of 0 … left + 1: the lowest of them need a bit less
    const int width = std::bit_width(static_cast<unsigned>(left + 1)), value = shares[s] + 1;
    const int short_ones = (1 << width) - 2 - left, half = 1 << (width - 1);
    if (value < short_ones)
      out.add(static_cast<std::uint64_t>(value), width - 1);
    else
      out.add(static_cast<std::uint64_t>(value < half ? value : value + short_ones), width);
    left -= shares[s];
    if (shares[s] != 0) continue;
    int more = 0;  // zeros behind a zero are counted
    while (shares[s + 1] == 0) ++s, ++more;
    for (; more >= 3; more -= 3) out.add(3, 2);
    out.add(static_cast<std::uint64_t>(more), 2);
  }
  return out.pad();
}

}  // namespace vcm::zstd
