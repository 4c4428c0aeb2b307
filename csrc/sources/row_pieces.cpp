#include "sources/row_pieces.hpp"

#include <algorithm>
#include <cstring>

namespace vcm {

std::int64_t RowPieces::open(const RowsView& rows, std::int64_t row) {
  const std::int64_t first = rows.indptr[row], n = rows.indptr[row + 1] - first;
  values_ = flat(rows.data, first, n, value_chunk_, value_buffer_);
  columns_ = flat(rows.indices, first, n, column_chunk_, column_buffer_);
  return n;
}

const void* RowPieces::flat(const ChunkedView& array, std::int64_t first, std::int64_t n, std::int64_t& chunk,
                            std::vector<std::uint64_t>& buffer) {
  const std::int64_t width = size_of(array.type);
  if (n == 0) return buffer.data();
  // rows mostly come in order: the piece is the one before, or the next
  if (chunk >= array.n_chunks || first < array.starts[chunk] || first >= array.starts[chunk + 1]) {
    ++chunk;
    if (chunk >= array.n_chunks || first < array.starts[chunk] || first >= array.starts[chunk + 1])
      chunk = array.chunk_of(first);
  }
  const std::uint8_t* here = array.at(chunk, first);
  const bool aligned = reinterpret_cast<std::uintptr_t>(here) % static_cast<std::uintptr_t>(width) == 0;
  if (first + n <= array.starts[chunk + 1] && aligned) return here;
  const std::size_t words = static_cast<std::size_t>((n * width + 7) / 8);
  if (buffer.size() < words) buffer.resize(words);
  auto* out = reinterpret_cast<std::uint8_t*>(buffer.data());
  for (std::int64_t c = chunk, at = first; at < first + n; ++c) {
    const std::int64_t end = std::min(first + n, array.starts[c + 1]);
    if (end <= at) continue;
    std::memcpy(out, array.at(c, at), static_cast<std::size_t>((end - at) * width));
    out += (end - at) * width;
    at = end;
  }
  return buffer.data();
}

std::vector<std::int64_t> row_blocks(const std::int64_t* indptr, std::int64_t n_rows, std::int64_t values) {
  std::vector<std::int64_t> borders{0};
  while (borders.back() < n_rows) {
    const std::int64_t first = borders.back();
    const std::int64_t* end =
        std::upper_bound(indptr + first + 1, indptr + n_rows + 1, indptr[first] + values);
    // at least one row; and not more than `values` empty ones
    const std::int64_t last = std::clamp<std::int64_t>(end - indptr - 1, first + 1, first + values);
    borders.push_back(std::min(last, n_rows));
  }
  return borders;
}

}  // namespace vcm
