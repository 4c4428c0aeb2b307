#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace {

constexpr std::int64_t kTasks = 5000;
constexpr std::int64_t kMuchWork = 100 * vcm::kSmallWork;

vcm::Team team_of(int n_threads) {
  vcm::Team team;
  team.n_threads = n_threads;
  return team;
}

}  // namespace

TEST(every_task_runs_once) {
  for (const int n_threads : {1, 2, 3, 8}) {
    std::vector<int> seen(kTasks, 0);
    vcm::for_each_task(
        team_of(n_threads), kTasks, kMuchWork,
        [&](std::int64_t task, int, const std::atomic<bool>&) { ++seen[static_cast<std::size_t>(task)]; });
    for (const int times : seen) CHECK(times == 1);
  }
}

TEST(worker_numbers_fit_the_scratch) {
  const vcm::Team team = team_of(4);
  const int workers = vcm::n_workers(team, kTasks, kMuchWork);
  CHECK(workers >= 1 && workers <= 4);
  std::vector<std::int64_t> done(static_cast<std::size_t>(workers), 0);
  vcm::for_each_task(team, kTasks, kMuchWork, [&](std::int64_t, int worker, const std::atomic<bool>&) {
    CHECK(worker >= 0 && worker < workers);
    ++done[static_cast<std::size_t>(worker)];  // one worker, one slot: no lock is needed
  });
  std::int64_t total = 0;
  for (const std::int64_t part : done) total += part;
  CHECK(total == kTasks);
}

TEST(small_work_stays_on_one_thread) { CHECK(vcm::n_workers(team_of(8), kTasks, 1) == 1); }

TEST(first_exception_reaches_the_caller) {
  for (const int n_threads : {1, 4}) {
    bool thrown = false;
    try {
      vcm::for_each_task(team_of(n_threads), kTasks, kMuchWork,
                         [](std::int64_t task, int, const std::atomic<bool>&) {
                           if (task % 7 == 3) throw std::invalid_argument("bad task");
                         });
    } catch (const std::invalid_argument&) {
      thrown = true;
    }
    CHECK(thrown);
  }
}

TEST(tick_stops_the_work) {
  for (const int n_threads : {1, 4}) {
    vcm::Team team = team_of(n_threads);
    team.tick = [] { return true; };
    bool interrupted = false;
    try {
      vcm::for_each_task(team, std::int64_t{1} << 40, kMuchWork,
                         [](std::int64_t, int, const std::atomic<bool>&) {});
    } catch (const vcm::Interrupted&) {
      interrupted = true;
    }
    CHECK(interrupted);
  }
}
