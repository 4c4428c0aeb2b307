#pragma once
#include <cstdint>
#include <vector>

#include "core/views.hpp"

namespace vcm {

// One row's values and column numbers as plain aligned arrays: in place where a single piece holds them, else
// gathered in a buffer that is used again for the next row.
class RowPieces {
 public:
  // Number of stored entries of `row`; indptr must have been found good.
  std::int64_t open(const RowsView& rows, std::int64_t row);
  const void* values() const { return values_; }
  const void* columns() const { return columns_; }

 private:
  static const void* flat(const ChunkedView& array, std::int64_t first, std::int64_t n, std::int64_t& chunk,
                          std::vector<std::uint64_t>& buffer);
  const void* values_ = nullptr;
  const void* columns_ = nullptr;
  std::int64_t value_chunk_ = 0, column_chunk_ = 0;
  std::vector<std::uint64_t> value_buffer_, column_buffer_;
};

// Rows cut into blocks of about `values` stored entries: borders 0 … n_rows.
std::vector<std::int64_t> row_blocks(const std::int64_t* indptr, std::int64_t n_rows, std::int64_t values);

}  // namespace vcm
