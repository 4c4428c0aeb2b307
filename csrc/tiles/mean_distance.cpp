#include "tiles/mean_distance.hpp"

#include <algorithm>
#include <vector>

#include "core/error.hpp"
#include "tiles/mean_plan.hpp"
#include "tiles/sparse_mean.hpp"

namespace vcm {
namespace {

// Rows × 64 cells of running sums stay near 2 MiB a thread.
constexpr MeanShape kShape{kTileCells, kTileStep, 512, 4096};

template <class Out>
void decode(const std::uint8_t* at, Type type, std::int64_t n, Out* out) {
  with_type(type, [&](auto element) {
    using In = decltype(element);
    for (std::int64_t k = 0; k < n; ++k)
      out[k] = static_cast<Out>(load<In>(at + k * static_cast<std::int64_t>(sizeof(In))));
  });
}

// Hands over the stored entries of a row as sink(column, value).
template <class T>
class RowReader {
 public:
  explicit RowReader(const RowsView& rows) : n_cols(rows.n_cols), rows_(rows) {}

  std::int64_t nnz(std::int64_t row) const { return rows_.indptr[row + 1] - rows_.indptr[row]; }

  template <class Sink>
  void operator()(std::int64_t row, const Sink& sink) const {
    constexpr std::int64_t kAtOnce = 256;
    std::int64_t columns[kAtOnce];
    T values[kAtOnce];
    for_each_run(rows_, rows_.indptr[row], rows_.indptr[row + 1],
                 [&](const std::uint8_t* column, const std::uint8_t* value, std::int64_t length) {
                   for (std::int64_t from = 0; from < length; from += kAtOnce) {
                     const std::int64_t n = std::min(kAtOnce, length - from);
                     decode(column + from * size_of(rows_.indices.type), rows_.indices.type, n, columns);
                     decode(value + from * size_of(rows_.data.type), rows_.data.type, n, values);
                     for (std::int64_t k = 0; k < n; ++k) sink(columns[k], values[k]);
                   }
                 });
  }

  const std::int64_t n_cols;

 private:
  const RowsView& rows_;
};

// |x|^2 of the used cells in plan order, and the check that their columns ascend and lie in range.
template <class T>
std::vector<double> norms_of(const MeanPlan& plan, const RowReader<T>& reader, std::int64_t entries,
                             const Team& team) {
  constexpr std::int64_t kRows = 256;
  const auto n = static_cast<std::int64_t>(plan.order.size());
  std::vector<double> norms(plan.order.size());
  for_each_task(
      team, (n + kRows - 1) / kRows, entries, [&](std::int64_t task, int, const std::atomic<bool>&) {
        for (std::int64_t i = task * kRows; i < std::min(n, (task + 1) * kRows); ++i) {
          double norm = 0;
          std::int64_t last = -1;
          bool good = true;
          reader(plan.order[i], [&](std::int64_t column, T value) {
            good &= column > last && column < reader.n_cols;
            last = column;
            norm += static_cast<double>(value) * static_cast<double>(value);
          });
          require(good, "column numbers of cell " + text(plan.order[i]) +
                            " do not ascend within the number of genes; make the rows canonical first");
          norms[i] = norm;
        }
      });
  return norms;
}

template <class T>
void sparse_means(const RowsView& rows, const MeanDistanceJob& job, const Team& team) {
  const RowReader<T> reader(rows);
  constexpr auto kEntryBytes = static_cast<std::int64_t>(sizeof(T) + sizeof(std::uint16_t));
  MeanPlan plan = plan_mean_distances(
      job.codes, rows.n_rows, job.n_groups, job.pairs, job.n_pairs, kShape,
      [&](const std::int64_t* cells, std::int64_t n) {
        std::int64_t bytes = 0;
        for (std::int64_t i = 0; i < n; ++i) bytes += reader.nnz(cells[i]) * kEntryBytes;
        return bytes;
      },
      kPanelBytes);
  const std::int64_t entries = rows.indptr[rows.n_rows];
  const std::vector<double> norms = norms_of(plan, reader, entries, team);

  std::vector<double> slots(plan.n_slots, 0.0);
  SparseMean<T, RowReader<T>> means(plan, reader, norms.data(), VCM_SELECT_ISA(distance_tiles)());
  const std::int64_t work =
      plan.n_pairs_of_cells() * std::max<std::int64_t>(1, rows.n_rows > 0 ? entries / rows.n_rows : 0);
  std::vector<SparseScratch<T>> scratch(n_workers(team, team.n_threads, work));
  for (const MeanBatch& batch : plan.batches) {
    open_batch(plan, batch);
    means.open(batch);
    for_each_task(team, batch.last_panel - batch.first_panel, work,
                  [&](std::int64_t task, int, const std::atomic<bool>&) {
                    means.pack_panel(batch.first_panel + task);
                  });
    for_each_task(team, static_cast<std::int64_t>(plan.items.size()), work,
                  [&](std::int64_t task, int worker, const std::atomic<bool>&) {
                    means.run(plan.items[task], scratch[worker], slots.data());
                  });
  }
  finish_means(plan, slots.data(), nullptr, Estimator::v, job.means);
}

bool fits_float(Type type) {
  return type == Type::f32 || type == Type::u8 || type == Type::u16 || type == Type::i8 || type == Type::i16;
}

}  // namespace

void mean_distances(const RowsView& rows, const MeanDistanceJob& job, const Team& team) {
  if (fits_float(rows.data.type)) return sparse_means<float>(rows, job, team);
  sparse_means<double>(rows, job, team);
}

}  // namespace vcm
