#include "cuda/cells/rank_sums.hpp"
#include "cuda/core/launch.hpp"
#include "ops/rank_sum.hpp"

namespace vcm::cuda {
namespace {

constexpr int kRankThreads = 128;  // a gene or a group each

VCM_HD constexpr std::int64_t rank_tiles(std::int64_t n) { return (n + kRankThreads - 1) / kRankThreads; }

// A task is a tile of genes: the control's own tie blocks, zeros left out.
struct ControlTies {
  static constexpr int kThreads = kRankThreads;
  struct Shared {};
  struct Local {};

  RankSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t tile) const {
    block.each([&](int thread, Local&) {
      const std::int64_t gene = tile * kThreads + thread;
      if (gene >= job.n_genes) return;
      std::uint64_t tie = 0;
      const std::int64_t end = job.control_starts[gene + 1];
      for (std::int64_t first = job.control_starts[gene], last; first < end; first = last) {
        for (last = first + 1; last < end && job.control[last] == job.control[first];) ++last;
        tie += tie_block(last - first);
      }
      job.control_ties[gene] = tie;
    });
  }
};

// A task is a gene × a tile of groups, which look up in the same control.
struct RankGroups {
  static constexpr int kThreads = kRankThreads;
  struct Shared {};
  struct Local {};

  RankSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles = rank_tiles(job.n_groups), gene = task / tiles;
    block.each([&](int thread, Local&) {
      const std::int64_t group = task % tiles * kThreads + thread;
      if (group >= job.n_groups) return;
      const std::int64_t begin = job.starts[gene * job.n_groups + group];
      const std::int64_t stored = job.starts[gene * job.n_groups + group + 1] - begin;
      const std::int64_t from = job.control_starts[gene], n_stored = job.control_starts[gene + 1] - from;
      const RankSums found =
          RankSums::of(job.keys + begin, stored, job.sizes[group] - stored, job.control + from, n_stored,
                       job.n_control - n_stored, job.control_ties[gene]);
      job.u2[group * job.n_genes + gene] = found.u2;
      job.tie[group * job.n_genes + gene] = static_cast<double>(found.tie);
    });
  }
};

}  // namespace

void launch_rank_sums(const RankSumsJob& job, Stream stream) {
  launch("control_ties", ControlTies{job}, rank_tiles(job.n_genes), stream);
  launch("rank_groups", RankGroups{job}, job.n_genes * rank_tiles(job.n_groups), stream);
}

}  // namespace vcm::cuda
