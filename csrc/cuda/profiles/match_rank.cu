#include "cuda/core/block_sum.hpp"
#include "cuda/core/launch.hpp"
#include "cuda/profiles/match_rank.hpp"
#include "ops/match_count.hpp"

namespace vcm::cuda {
namespace {

// A task is a row.
template <class T>
struct MatchCounts {
  static constexpr int kThreads = 256;
  struct Shared {
    std::int64_t count[3][kThreads];
  };
  struct Local {};

  const T* distances;
  std::int64_t n, n_candidates, row_stride;
  const std::int64_t* own;
  std::int64_t* counts;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t row) const {
    block.each([&](int thread, Local&) {
      const T* at = distances + row * row_stride;
      const std::int64_t mine = own[row];
      const auto against = static_cast<double>(at[mine]);
      MatchCount count;
      for (std::int64_t j = thread; j < n_candidates; j += kThreads)
        if (j != mine) count.step(static_cast<double>(at[j]), against, j < mine);
      block.shared.count[0][thread] = count.nearer;
      block.shared.count[1][thread] = count.equal;
      block.shared.count[2][thread] = count.equal_before;
    });
    for (int k = 0; k < 3; ++k) add_halves(block, block.shared.count[k]);
    block.each([&](int thread, Local&) {
      if (thread < 3) counts[thread * n + row] = block.shared.count[thread][0];
    });
  }
};

template <class T>
void launch_type(const MatchCountsJob& job, Stream stream) {
  const MatchCounts<T> kernel{
      static_cast<const T*>(job.distances), job.n, job.n_candidates, job.row_stride, job.own, job.counts};
  launch("match_counts", kernel, job.n, stream);
}

}  // namespace

void launch_match_counts(const MatchCountsJob& job, Stream stream) {
  if (job.is_float)
    launch_type<float>(job, stream);
  else
    launch_type<double>(job, stream);
}

}  // namespace vcm::cuda
