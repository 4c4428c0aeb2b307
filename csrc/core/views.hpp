#pragma once
#include <cstdint>
#include <cstring>

namespace vcm {

// Element types that stored arrays may have (little endian).
enum class Type : std::uint8_t { u8, u16, u32, u64, i8, i16, i32, i64, f32, f64 };

inline std::int64_t size_of(Type type) {
  switch (type) {
    case Type::u8:
    case Type::i8: return 1;
    case Type::u16:
    case Type::i16: return 2;
    case Type::u32:
    case Type::i32:
    case Type::f32: return 4;
    default: return 8;
  }
}

// Chunks of files need not be aligned to their type; this is a plain load on every CPU we know.
template <class T>
inline T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// f(T{}) with the C++ type of `type`: one switch for the bindings and kernels that are templates over it.
template <class Function>
decltype(auto) with_type(Type type, Function&& f) {
  switch (type) {
    case Type::u8: return f(std::uint8_t{});
    case Type::u16: return f(std::uint16_t{});
    case Type::u32: return f(std::uint32_t{});
    case Type::u64: return f(std::uint64_t{});
    case Type::i8: return f(std::int8_t{});
    case Type::i16: return f(std::int16_t{});
    case Type::i32: return f(std::int32_t{});
    case Type::i64: return f(std::int64_t{});
    case Type::f32: return f(float{});
    default: return f(double{});
  }
}

// Rows × columns, rows `row_stride` elements apart.
template <class T>
struct MatrixView {
  const T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;

  const T* row(std::int64_t i) const { return data + i * row_stride; }
};

// A 1-D array in pieces: piece c begins at byte offsets[c] of buffer and holds the elements
// starts[c] … starts[c+1]-1. The binding has checked that every piece lies inside the buffer, or inside
// another one, whose distance the offset then includes.
struct ChunkedView {
  const std::uint8_t* buffer = nullptr;
  const std::int64_t* offsets = nullptr;
  const std::int64_t* starts = nullptr;
  std::int64_t n_chunks = 0;
  Type type = Type::f32;

  std::int64_t size() const { return n_chunks == 0 ? 0 : starts[n_chunks]; }

  // The piece that holds `element` (0 ≤ element < size()); empty pieces are passed over.
  std::int64_t chunk_of(std::int64_t element) const {
    std::int64_t low = 0, high = n_chunks;  // starts[low] <= element < starts[high]
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (starts[middle] <= element ? low : high) = middle;
    }
    return low;
  }
  const std::uint8_t* at(std::int64_t chunk, std::int64_t element) const {
    return buffer + offsets[chunk] + (element - starts[chunk]) * size_of(type);
  }
};

// f(bytes, length) for the elements first … last-1, cut wherever a piece ends. `last` ≤ size.
template <class Function>
void for_each_piece(const ChunkedView& array, std::int64_t first, std::int64_t last, Function&& f) {
  if (first >= last) return;
  for (std::int64_t c = array.chunk_of(first); first < last; ++c) {
    const std::int64_t end = array.starts[c + 1] < last ? array.starts[c + 1] : last;
    if (end <= first) continue;
    f(array.at(c, first), end - first);
    first = end;
  }
}

// Cells × genes in compressed rows. indptr has n_rows + 1 entries; nothing about its content or about the
// column numbers is assumed by scan_rows, everything else wants what scan_rows found to be good.
struct RowsView {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  const std::int64_t* indptr = nullptr;
  ChunkedView indices;
  ChunkedView data;
};

// f(column bytes, value bytes, length) for the stored entries first … last-1, cut wherever a piece of
// either array ends. `first` ≤ `last` ≤ size of both arrays.
template <class Function>
void for_each_run(const RowsView& rows, std::int64_t first, std::int64_t last, Function&& f) {
  if (first >= last) return;
  std::int64_t ci = rows.indices.chunk_of(first), cd = rows.data.chunk_of(first);
  while (first < last) {
    while (rows.indices.starts[ci + 1] <= first) ++ci;
    while (rows.data.starts[cd + 1] <= first) ++cd;
    std::int64_t end = last;
    if (rows.indices.starts[ci + 1] < end) end = rows.indices.starts[ci + 1];
    if (rows.data.starts[cd + 1] < end) end = rows.data.starts[cd + 1];
    f(rows.indices.at(ci, first), rows.data.at(cd, first), end - first);
    first = end;
  }
}

}  // namespace vcm
