#include "zstd/huffman.hpp"

#include <algorithm>

#include "zstd/fse.hpp"

namespace vcm::zstd {
namespace {

constexpr int kWeightsLog = 6;

// Lengths of an optimal code by the two-queue method; the longest of them.
int code_lengths(const std::vector<std::pair<std::uint32_t, int>>& sorted,
                 std::array<std::uint8_t, 256>& length) {
  const int n = static_cast<int>(sorted.size());
  std::vector<std::uint64_t> weight(static_cast<std::size_t>(2 * n - 1));
  std::vector<int> parent(static_cast<std::size_t>(2 * n - 1)), depth(static_cast<std::size_t>(2 * n - 1));
  for (int k = 0; k < n; ++k) weight[static_cast<std::size_t>(k)] = sorted[static_cast<std::size_t>(k)].first;
  int leaf = 0, node = n;
  for (int made = n; made < 2 * n - 1; ++made) {
    for (int child = 0; child < 2; ++child) {
      const bool take_leaf = leaf < n && (node >= made || weight[static_cast<std::size_t>(leaf)] <=
                                                              weight[static_cast<std::size_t>(node)]);
      const auto taken = static_cast<std::size_t>(take_leaf ? leaf++ : node++);
      weight[static_cast<std::size_t>(made)] += weight[taken];
      parent[taken] = made;
    }
  }
  int longest = 0;
  for (int k = 2 * n - 3; k >= 0; --k) {
    const auto at = static_cast<std::size_t>(k);
    depth[at] = depth[static_cast<std::size_t>(parent[at])] + 1;
    if (k >= n) continue;
    length[static_cast<std::size_t>(sorted[at].second)] = static_cast<std::uint8_t>(depth[at]);
    longest = std::max(longest, depth[at]);
  }
  return longest;
}

// The weights of all symbols but the last, two of them a byte, or entropy-coded by two states in turn.
std::vector<std::uint8_t> describe(const std::vector<int>& weights) {
  const auto n = static_cast<int>(weights.size());
  std::vector<std::uint8_t> plain;
  if (n <= 128) {
    plain.push_back(static_cast<std::uint8_t>(127 + n));
    for (int k = 0; k < n; k += 2) {
      const int second = k + 1 < n ? weights[static_cast<std::size_t>(k + 1)] : 0;
      plain.push_back(static_cast<std::uint8_t>(weights[static_cast<std::size_t>(k)] << 4 | second));
    }
  }
  std::vector<std::int64_t> counts(kLongestCode + 1);
  for (int weight : weights) ++counts[static_cast<std::size_t>(weight)];
  const auto different = std::count_if(counts.begin(), counts.end(), [](std::int64_t c) { return c > 0; });
  if (different < 2 || n < 3) return plain;
  const std::vector<int> shares = fse_shares(counts, kWeightsLog);
  const FseTable table(shares, kWeightsLog);
  std::vector<std::uint8_t> coded(512);
  std::int64_t size = 1 + write_fse_shares(shares, kWeightsLog, coded.data() + 1);
  BitWriter out(coded.data() + size);
  int state[2];
  for (int k = n - 1; k >= 0; --k) {
    int& here = state[k % 2];
    const int weight = weights[static_cast<std::size_t>(k)];
    here = k >= n - 2 ? table.start(weight) : table.step(weight, here, out);
  }
  out.add(static_cast<std::uint64_t>(state[1]), kWeightsLog);
  out.add(static_cast<std::uint64_t>(state[0]), kWeightsLog);
  size += out.close();
  if (size > 128 || (!plain.empty() && static_cast<std::int64_t>(plain.size()) <= size)) return plain;
  coded[0] = static_cast<std::uint8_t>(size - 1);
  coded.resize(static_cast<std::size_t>(size));
  return coded;
}

}  // namespace

HuffmanCode huffman_code(const std::uint32_t* counts) {
  HuffmanCode made;
  std::vector<std::pair<std::uint32_t, int>> sorted;
  for (int s = 0; s < 256; ++s) {
    if (counts[s] == 0) continue;
    sorted.emplace_back(counts[s], s);
    made.symbols[static_cast<std::size_t>(made.n_symbols++)] = static_cast<std::uint8_t>(s);
  }
  std::sort(sorted.begin(), sorted.end());
  // flatter counts make shorter codes: longer codes than allowed are rare, so little is lost
  const int limit = made.n_symbols <= kFewSymbols ? kLongestOfFew : kLongestCode;
  while ((made.longest = code_lengths(sorted, made.length)) > limit)
    for (auto& entry : sorted) entry.first = (entry.first + 1) / 2;

  const int last = made.symbols[static_cast<std::size_t>(made.n_symbols - 1)];
  std::vector<int> weights(static_cast<std::size_t>(last));
  std::array<int, kLongestCode + 2> of_length{}, next{};
  for (int s = 0; s <= last; ++s) {
    const int length = made.length[static_cast<std::size_t>(s)];
    made.n_bits += static_cast<std::int64_t>(counts[s]) * length;
    if (length == 0) continue;
    ++of_length[static_cast<std::size_t>(length)];
    if (s < last) weights[static_cast<std::size_t>(s)] = made.longest + 1 - length;
  }
  // codes ascend from the longest to the shortest, and by symbol among equals
  for (int length = made.longest, code = 0; length > 0; --length) {
    next[static_cast<std::size_t>(length)] = code;
    code = (code + of_length[static_cast<std::size_t>(length)]) >> 1;
  }
  for (int k = 0; k < made.n_symbols; ++k) {
    const auto s = static_cast<std::size_t>(made.symbols[static_cast<std::size_t>(k)]);
    made.code[s] = static_cast<std::uint16_t>(next[made.length[s]]++);
  }
  made.description = describe(weights);
  return made;
}

}  // namespace vcm::zstd
