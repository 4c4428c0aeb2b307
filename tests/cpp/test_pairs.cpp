#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "tiles/pair_means.hpp"
#include "tiles/weighted_sums.hpp"

namespace {

constexpr std::int64_t kCells = 1300, kFeatures = 140, kGroups = 4, kColumns = 30;

// Enough pairs that threads are used; several tiles and panels a group.
struct Data {
  std::vector<float> cells = std::vector<float>(kCells * kFeatures);
  std::vector<double> weights = std::vector<double>(kCells * kColumns);
  std::vector<std::int32_t> codes = std::vector<std::int32_t>(kCells), pairs;

  Data() {
    std::mt19937 random(1);
    for (float& x : cells) x = static_cast<float>(random() % 1000) / 100.0F;
    for (double& w : weights) w = static_cast<double>(random() % 3);
    for (std::int32_t& code : codes) code = static_cast<std::int32_t>(random() % (kGroups + 1)) - 1;
    for (std::int32_t a = 0; a < kGroups; ++a)
      for (std::int32_t b = a; b < kGroups; ++b) pairs.insert(pairs.end(), {a, b});
  }

  vcm::MatrixView<float> view() const { return {cells.data(), kCells, kFeatures, kFeatures}; }
};

std::vector<double> means_of(const Data& data, const vcm::Team& team) {
  const double gammas[2] = {1e-3, 1e-4};
  std::vector<double> means(data.pairs.size());  // two gammas, two numbers a pair
  vcm::PairMeansJob job{};
  job.codes = data.codes.data();
  job.n_groups = kGroups;
  job.pairs = data.pairs.data();
  job.n_pairs = static_cast<std::int64_t>(data.pairs.size() / 2);
  job.term = vcm::CellTerm::rbf;
  job.gammas = gammas;
  job.n_gammas = 2;
  job.estimator = vcm::Estimator::v;
  job.means = means.data();
  vcm::pair_means(data.view(), job, team);
  CHECK(job.done == job.total);
  return means;
}

std::vector<double> sums_of(const Data& data, const vcm::Team& team) {
  std::vector<double> sums(kColumns);
  vcm::WeightedSumsJob<float> job{};
  job.x = data.view();
  job.wx = {data.weights.data(), kCells, kColumns, kColumns};
  job.term = vcm::CellTerm::euclidean;
  job.out = sums.data();
  vcm::weighted_pair_sums(job, team);
  CHECK(job.done == job.total);
  return sums;
}

std::vector<double> row_sums_of(const Data& data, const vcm::Team& team) {
  std::vector<double> sums(kCells);
  vcm::RowSumsJob<float> job{};
  job.x = data.view();
  job.term = vcm::CellTerm::cityblock;
  job.out = sums.data();
  vcm::pair_row_sums(job, team);
  return sums;
}

}  // namespace

TEST(pairs_give_the_same_bits_for_every_number_of_threads) {
  const Data data;
  const vcm::Team one{1, {}};
  const auto means = means_of(data, one), sums = sums_of(data, one), rows = row_sums_of(data, one);
  for (const double mean : means) CHECK(mean > 0 && mean < 1);
  for (const int n_threads : {2, 5}) {
    const vcm::Team team{n_threads, {}};
    CHECK(means_of(data, team) == means);
    CHECK(sums_of(data, team) == sums);
    CHECK(row_sums_of(data, team) == rows);
  }
}

TEST(pairs_stop_when_asked) {
  // a second of work at least, and the first tick comes after 50 ms
  constexpr std::int64_t kMany = 40'000;
  const std::vector<float> cells(kMany * kFeatures, 1.0F);
  std::vector<double> sums(kMany);
  vcm::RowSumsJob<float> job{};
  job.x = {cells.data(), kMany, kFeatures, kFeatures};
  job.term = vcm::CellTerm::euclidean;
  job.out = sums.data();
  bool stopped = false;
  try {
    vcm::pair_row_sums(job, vcm::Team{3, [] { return true; }});
  } catch (const vcm::Interrupted&) {
    stopped = true;
  }
  CHECK(stopped);
}
