#pragma once
#include <atomic>
#include <cstdint>
#include <functional>

namespace vcm {

// How a kernel may use the machine. `tick` runs on the caller's thread about 20 times a second while workers
// work (progress, Ctrl-C) and returns true to stop them; it may be empty.
struct Team {
  int n_threads = 1;
  std::function<bool()> tick;
};

// Below this many element operations a thread costs more than it brings (a spawn is about 0.1 ms).
inline constexpr std::int64_t kSmallWork = 4'000'000;

// body(task, worker, stop) for each task of [0, n_tasks), taken dynamically by the workers 0 …
// n_workers(…)-1. Long bodies poll `stop` at block edges and return. Results must not depend on which worker
// ran a task. The first exception wins, the others stop, the caller's thread rethrows; a stop asked by tick
// throws Interrupted. With one worker (or work < kSmallWork) the body runs on the caller's thread and tick
// runs between tasks.
using Body = std::function<void(std::int64_t task, int worker, const std::atomic<bool>& stop)>;
void for_each_task(const Team& team, std::int64_t n_tasks, std::int64_t work, const Body& body);

// How many workers for_each_task uses: for scratch that is allocated beforehand.
int n_workers(const Team& team, std::int64_t n_tasks, std::int64_t work);

}  // namespace vcm
