#include "sources/transpose_rows.hpp"

#include <algorithm>
#include <atomic>

#include "sources/row_pieces.hpp"
#include "sources/value_kind.hpp"

namespace vcm {
namespace {

// Cells of one block: their write positions (8 bytes each) stay in the first cache, the lines they point to
// in the second.
constexpr std::int64_t kBlockCells = 4096;
// ... and a bound on the table of begins for very many cells.
constexpr std::int64_t kMaxBlocks = 64;

template <class Wide>
void widen(Type type, const std::uint8_t* from, std::int64_t n, Wide* to) {
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t k = 0; k < n; ++k)
      to[k] = static_cast<Wide>(load<T>(from + k * static_cast<std::int64_t>(sizeof(T))));
  });
}

}  // namespace

Transpose::Transpose(const RowsView& by_gene, const Team& team) : by_gene_(by_gene), team_(team) {
  const std::int64_t n_cells = by_gene.n_cols, n_genes = by_gene.n_rows;
  block_cells_ = std::max(kBlockCells, (n_cells + kMaxBlocks - 1) / kMaxBlocks);
  n_blocks_ = (n_cells + block_cells_ - 1) / block_cells_;
  begins_.resize(static_cast<std::size_t>((n_blocks_ + 1) * n_genes));
  std::vector<RowPieces> pieces(static_cast<std::size_t>(n_workers(team, n_genes, by_gene.data.size())));
  for_each_task(
      team, n_genes, by_gene.data.size(), [&](std::int64_t g, int worker, const std::atomic<bool>&) {
        RowPieces& piece = pieces[static_cast<std::size_t>(worker)];
        const std::int64_t n = piece.open(by_gene_, g), first = by_gene_.indptr[g];
        with_type(by_gene_.indices.type, [&](auto zero) {
          const auto* cells = static_cast<const decltype(zero)*>(piece.columns());
          std::int64_t at = 0;
          for (std::int64_t block = 0; block <= n_blocks_; ++block) {
            at = std::partition_point(
                     cells + at, cells + n,
                     [&](auto cell) { return static_cast<std::int64_t>(cell) < block * block_cells_; }) -
                 cells;
            begins_[static_cast<std::size_t>(block * n_genes + g)] = first + at;
          }
        });
      });
}

// body(cell, gene, value) for the non-zero entries of each block of cells, genes ascending.
template <class Body>
void Transpose::for_each_block(const Body& body) const {
  const std::int64_t n_genes = by_gene_.n_rows;
  struct Run {
    std::vector<std::int64_t> cells;
    std::vector<double> values;
  };
  std::vector<Run> runs(static_cast<std::size_t>(n_workers(team_, n_blocks_, by_gene_.data.size())));
  for_each_task(team_, n_blocks_, by_gene_.data.size(),
                [&](std::int64_t block, int worker, const std::atomic<bool>& stop) {
                  Run& run = runs[static_cast<std::size_t>(worker)];
                  run.cells.resize(static_cast<std::size_t>(block_cells_));
                  run.values.resize(static_cast<std::size_t>(block_cells_));
                  for (std::int64_t g = 0; g < n_genes; ++g) {
                    if (stop.load(std::memory_order_relaxed)) return;
                    for_each_run(by_gene_, begins_[static_cast<std::size_t>(block * n_genes + g)],
                                 begins_[static_cast<std::size_t>((block + 1) * n_genes + g)],
                                 [&](const std::uint8_t* cells, const std::uint8_t* values, std::int64_t n) {
                                   widen(by_gene_.indices.type, cells, n, run.cells.data());
                                   widen(by_gene_.data.type, values, n, run.values.data());
                                   for (std::int64_t k = 0; k < n; ++k) {
                                     const auto at = static_cast<std::size_t>(k);
                                     if (run.values[at] != 0.0) body(run.cells[at], g, run.values[at]);
                                   }
                                 });
                  }
                });
}

Counted Transpose::count(std::int64_t* counts) const {
  std::fill(counts, counts + by_gene_.n_cols, std::int64_t{0});
  std::vector<std::uint8_t> large(static_cast<std::size_t>(by_gene_.n_cols));
  for_each_block([&](std::int64_t cell, std::int64_t, double value) {
    ++counts[cell];
    large[static_cast<std::size_t>(cell)] |= static_cast<std::uint8_t>(!all_u16(&value, 1));
  });
  Counted found;
  if (std::find(large.begin(), large.end(), std::uint8_t{1}) != large.end())
    found.kind = wide_kind(by_gene_.data.type);
  return found;
}

void Transpose::fill(const CompactRows& out) const {
  std::vector<std::int64_t> next(out.indptr, out.indptr + by_gene_.n_cols);
  with_output(out, [&](auto* indices, auto* data) {
    for_each_block([&](std::int64_t cell, std::int64_t gene, double value) {
      const std::int64_t at = next[static_cast<std::size_t>(cell)]++;
      indices[at] = static_cast<std::remove_reference_t<decltype(*indices)>>(gene);
      data[at] = static_cast<std::remove_reference_t<decltype(*data)>>(value);
    });
  });
}

}  // namespace vcm
