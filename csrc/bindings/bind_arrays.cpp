#include <chrono>
#include <utility>

#include "bindings/arrays.hpp"

namespace vcm {
Type type_of(const std::string& dtype, const char* name) {
  static constexpr std::pair<const char*, Type> kTypes[] = {
      {"u1", Type::u8},  {"b1", Type::u8},  {"u2", Type::u16}, {"u4", Type::u32},
      {"u8", Type::u64}, {"i1", Type::i8},  {"i2", Type::i16}, {"i4", Type::i32},
      {"i8", Type::i64}, {"f4", Type::f32}, {"f8", Type::f64}};
  if (!dtype.empty() && dtype[0] != '>')
    for (const auto& [code, type] : kTypes)
      if (dtype.substr(1) == code) return type;
  throw std::invalid_argument(std::string(name) + " has dtype '" + dtype +
                              "'; expected a little-endian integer, float32 or float64");
}

ChunkedView chunked_view(const py::tuple& tuple, std::size_t first, const char* name) {
  ChunkedView view;
  const std::string who(name);
  const auto buffer = exactly<std::uint8_t>(tuple[first], (who + ".buffer").c_str(), 1);
  const auto offsets = exactly<std::int64_t>(tuple[first + 1], (who + ".offsets").c_str(), 1);
  const auto starts = exactly<std::int64_t>(tuple[first + 2], (who + ".starts").c_str(), 1);
  view.buffer = buffer.data();
  view.offsets = offsets.data();
  view.starts = starts.data();
  view.n_chunks = offsets.size();
  view.type = type_of(py::cast<std::string>(tuple[first + 3]), name);
  require(starts.size() == offsets.size() + 1 && view.starts[0] == 0,
          who + ".starts must begin with 0 and have one entry more than offsets");
  const std::int64_t width = size_of(view.type), n_bytes = buffer.size();
  for (std::int64_t chunk = 0; chunk < view.n_chunks; ++chunk) {
    const std::int64_t length = view.starts[chunk + 1] - view.starts[chunk], offset = view.offsets[chunk];
    require(length >= 0 && offset >= 0 && offset <= n_bytes && length <= (n_bytes - offset) / width,
            who + ": piece " + text(chunk) + " does not lie inside its buffer");
  }
  return view;
}

RowsView rows_view(const py::tuple& tuple) {
  require(tuple.size() == 11, "rows must be the 11 parts of Rows.args()");
  RowsView rows;
  rows.n_rows = py::cast<std::int64_t>(tuple[0]);
  rows.n_cols = py::cast<std::int64_t>(tuple[1]);
  require(rows.n_rows >= 0 && rows.n_cols >= 0, "rows must have a shape without negative numbers");
  const auto indptr = exactly<std::int64_t>(tuple[2], "indptr", 1);
  require(indptr.size() == rows.n_rows + 1, "indptr has " + text(indptr.size()) + " entries; expected " +
                                                text(rows.n_rows + 1) + " (one more than rows)");
  rows.indptr = indptr.data();
  rows.indices = chunked_view(tuple, 3, "indices");
  rows.data = chunked_view(tuple, 7, "data");
  require(rows.indices.type != Type::f32 && rows.indices.type != Type::f64, "indices must be integers");
  require(rows.indices.size() == rows.data.size(),
          "indices has " + text(rows.indices.size()) + " entries, data has " + text(rows.data.size()));
  return rows;
}

void require_good_indptr(const RowsView& rows) {
  bool good = rows.indptr[0] == 0 && rows.indptr[rows.n_rows] == rows.data.size();
  for (std::int64_t row = 0; row < rows.n_rows; ++row) good &= rows.indptr[row] <= rows.indptr[row + 1];
  require(good, "indptr must start at 0, never fall, and end at the number of stored values");
}

Team team_of(int n_threads, std::function<void()> progress) {
  require(n_threads >= 1, "n_threads is " + text(n_threads) + "; pass a positive number");
  Team team;
  team.n_threads = n_threads;
  auto last = std::chrono::steady_clock::now();
  team.tick = [progress = std::move(progress), last]() mutable {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (progress && now - last >= std::chrono::milliseconds(100)) {
      last = now;
      progress();
    }
    return false;
  };
  return team;
}

}  // namespace vcm
