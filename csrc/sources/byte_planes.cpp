#include "sources/byte_planes.hpp"

namespace vcm {

void byte_planes(const std::uint8_t* from, std::int64_t n_values, std::int64_t width, std::int64_t run,
                 std::uint8_t* to, const Team& team) {
  const auto split = VCM_SELECT_ISA(split_planes);
  const std::int64_t bytes = run * width;
  for_each_task(team, n_values / run, n_values, [&](std::int64_t task, int, const std::atomic<bool>&) {
    split(from + task * bytes, run, width, to + task * bytes);
  });
}

}  // namespace vcm
