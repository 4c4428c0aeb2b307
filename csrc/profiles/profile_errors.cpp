#include "profiles/profile_errors.hpp"

namespace vcm {

void profile_errors(const ProfileErrorsJob& job, const Team& team) {
  const auto rows = VCM_SELECT_ISA(profile_errors_rows);
  for_each_task(team, job.n, job.n * job.n_genes,
                [&](std::int64_t row, int, const std::atomic<bool>&) { rows(job, row, row + 1); });
}

}  // namespace vcm
