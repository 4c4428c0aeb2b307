#include <atomic>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "cells/gather.hpp"
#include "check.hpp"
#include "core/error.hpp"

namespace {

// A side with its data and its results; enough stored values that threads are used.
struct Data {
  static constexpr std::int64_t kCells = 1800, kGenes = 2600, kGroups = 5;

  std::vector<std::int64_t> indptr{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  std::vector<double> totals;
  std::vector<std::int32_t> codes;
  std::int64_t offset = 0, column_starts[2] = {0, 0};
  std::vector<std::int64_t> n = std::vector<std::int64_t>(kGroups),
                            u2 = std::vector<std::int64_t>(kGroups * kGenes);
  std::vector<double> sum = std::vector<double>(kGroups * kGenes), log1p = sum, tie = sum,
                      jackknife = std::vector<double>(kGroups);

  explicit Data(unsigned seed) {
    std::mt19937 random(seed);
    for (std::int64_t cell = 0; cell < kCells; ++cell) {
      double total = 0;
      for (std::int64_t gene = 0; gene < kGenes; ++gene) {
        if (random() % 16 == 0) continue;
        columns.push_back(static_cast<std::int32_t>(gene));
        values.push_back(static_cast<float>(random() % 3 + 1));
        total += static_cast<double>(values.back());
      }
      indptr.push_back(static_cast<std::int64_t>(columns.size()));
      totals.push_back(total);
      codes.push_back(static_cast<std::int32_t>(random() % kGroups));
    }
    column_starts[1] = indptr.back();
  }

  vcm::GatherSide side() {
    vcm::GatherSide made{};
    const auto* column_bytes = reinterpret_cast<const std::uint8_t*>(columns.data());
    const auto* value_bytes = reinterpret_cast<const std::uint8_t*>(values.data());
    made.rows = {kCells,
                 kGenes,
                 indptr.data(),
                 {column_bytes, &offset, column_starts, 1, vcm::Type::i32},
                 {value_bytes, &offset, column_starts, 1, vcm::Type::f32}};
    made.totals = totals.data();
    made.codes = codes.data();
    made.n_groups = kGroups;
    made.n = n.data();
    made.sum = sum.data();
    made.log1p = log1p.data();
    made.u2 = u2.data();
    made.tie = tie.data();
    made.jackknife = jackknife.data();
    return made;
  }
};

void run(Data& real, Data& pred, const vcm::Team& team) {
  vcm::GatherJob job;
  job.sides = {real.side(), pred.side()};
  job.n_cols = Data::kGenes;
  job.key = vcm::Key::ratio;
  job.scale = 1e6;
  job.gate = 5;
  job.jackknife_target = 5e4;
  vcm::gather(job, team);
  CHECK(job.done == job.total);
}

}  // namespace

TEST(gather_gives_the_same_bits_for_every_number_of_threads) {
  Data real(1), pred(2);
  run(real, pred, vcm::Team{1, {}});
  for (const int n_threads : {2, 5}) {
    Data real_again(1), pred_again(2);
    run(real_again, pred_again, vcm::Team{n_threads, {}});
    for (const auto& [once, again] : {std::pair{&real, &real_again}, std::pair{&pred, &pred_again}}) {
      CHECK(once->sum == again->sum);
      CHECK(once->log1p == again->log1p);
      CHECK(once->u2 == again->u2);
      CHECK(once->tie == again->tie);
      CHECK(once->jackknife == again->jackknife);
    }
  }
}

TEST(gather_stops_when_asked) {
  Data real(3), pred(4);
  bool stopped = false;
  try {
    run(real, pred, vcm::Team{3, [] { return true; }});
  } catch (const vcm::Interrupted&) {
    stopped = true;
  }
  CHECK(stopped);
}

TEST(gather_refuses_rows_that_do_not_ascend) {
  Data real(5), pred(6);
  real.columns[1000] = Data::kGenes;
  bool refused = false;
  try {
    run(real, pred, vcm::Team{3, {}});
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}
