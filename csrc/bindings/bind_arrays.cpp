#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

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

struct Span {
  std::uintptr_t begin;
  std::int64_t size;

  // bytes from `at` to the end; -1 where `at` lies elsewhere
  std::int64_t left(std::uintptr_t at) const {
    const std::uintptr_t offset = at - begin;  // wraps round below the beginning
    return offset <= static_cast<std::uintptr_t>(size) ? size - static_cast<std::int64_t>(offset) : -1;
  }
};

// One buffer, or a tuple of several.
std::vector<Span> spans_of(const py::handle& buffers, const std::string& name) {
  std::vector<Span> spans;
  const auto add = [&](const py::handle& one) {
    const auto buffer = exactly<std::uint8_t>(one, name.c_str(), 1);
    spans.push_back({reinterpret_cast<std::uintptr_t>(buffer.data()), buffer.size()});
  };
  if (!py::isinstance<py::tuple>(buffers)) {
    add(buffers);
  } else {
    for (const py::handle& one : py::reinterpret_borrow<py::tuple>(buffers)) add(one);
  }
  require(!spans.empty(), name + " must hold a buffer");
  return spans;
}

ChunkedView chunked_view(const py::tuple& tuple, std::size_t first, const char* name) {
  ChunkedView view;
  const std::string who(name);
  const std::vector<Span> spans = spans_of(tuple[first], who + ".buffer");
  const auto offsets = exactly<std::int64_t>(tuple[first + 1], (who + ".offsets").c_str(), 1);
  const auto starts = exactly<std::int64_t>(tuple[first + 2], (who + ".starts").c_str(), 1);
  view.buffer = reinterpret_cast<const std::uint8_t*>(spans[0].begin);
  view.offsets = offsets.data();
  view.starts = starts.data();
  view.n_chunks = offsets.size();
  view.type = type_of(py::cast<std::string>(tuple[first + 3]), name);
  require(starts.size() == offsets.size() + 1 && view.starts[0] == 0,
          who + ".starts must begin with 0 and have one entry more than offsets");
  const std::int64_t width = size_of(view.type);
  std::size_t held = 0;  // pieces mostly lie in the buffer of the one before
  for (std::int64_t chunk = 0; chunk < view.n_chunks; ++chunk) {
    const std::int64_t length = view.starts[chunk + 1] - view.starts[chunk];
    const std::uintptr_t at = spans[0].begin + static_cast<std::uintptr_t>(view.offsets[chunk]);
    const auto fits = [&](const Span& span) {
      const std::int64_t left = span.left(at);
      return left >= 0 && length <= left / width;
    };
    if (!fits(spans[held]))
      held = static_cast<std::size_t>(std::find_if(spans.begin(), spans.end(), fits) - spans.begin());
    require(length >= 0 && held < spans.size(),
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
