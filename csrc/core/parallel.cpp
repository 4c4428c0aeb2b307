#include "core/parallel.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.hpp"

namespace vcm {
namespace {

constexpr auto kTickEvery = std::chrono::milliseconds(50);

// std::jthread without its library support: libc++ of some platforms lacks it.
class JoiningThreads {
 public:
  ~JoiningThreads() { join(); }
  template <class Function>
  void start(Function&& function) {
    threads_.emplace_back(std::forward<Function>(function));
  }
  void join() {
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
};

void run_here(const Team& team, std::int64_t n_tasks, const Body& body) {
  const std::atomic<bool> stop{false};
  auto last = std::chrono::steady_clock::now();
  for (std::int64_t task = 0; task < n_tasks; ++task) {
    body(task, 0, stop);
    if (!team.tick) continue;
    const auto now = std::chrono::steady_clock::now();
    if (now - last < kTickEvery) continue;
    last = now;
    if (team.tick()) throw Interrupted();
  }
}

}  // namespace

int n_workers(const Team& team, std::int64_t n_tasks, std::int64_t work) {
  if (work < kSmallWork) return 1;
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(team.n_threads, n_tasks)));
}

void for_each_task(const Team& team, std::int64_t n_tasks, std::int64_t work, const Body& body) {
  const int workers = n_workers(team, n_tasks, work);
  // long work with a tick keeps the caller's thread free to answer Ctrl-C inside a task, even with one worker
  if (workers == 1 && (!team.tick || work < kSmallWork)) return run_here(team, n_tasks, body);

  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::condition_variable finished;
  std::exception_ptr first;
  int running = 0;
  bool interrupted = false;
  {
    JoiningThreads threads;
    auto work_on = [&](int worker) {
      try {
        for (std::int64_t task;
             !stop.load(std::memory_order_relaxed) && (task = next.fetch_add(1)) < n_tasks;)
          body(task, worker, stop);
      } catch (...) {
        stop.store(true);
        const std::lock_guard<std::mutex> lock(mutex);
        if (!first) first = std::current_exception();
      }
      const std::lock_guard<std::mutex> lock(mutex);
      --running;
      finished.notify_one();
    };
    try {
      for (int worker = 0; worker < workers; ++worker) {
        {
          const std::lock_guard<std::mutex> lock(mutex);
          ++running;
        }
        try {
          threads.start([&work_on, worker] { work_on(worker); });
        } catch (...) {
          const std::lock_guard<std::mutex> lock(mutex);
          --running;
          throw;
        }
      }
      std::unique_lock<std::mutex> lock(mutex);
      while (running > 0) {
        if (finished.wait_for(lock, kTickEvery, [&] { return running == 0; })) break;
        if (!team.tick || interrupted) continue;
        lock.unlock();
        if (team.tick()) {
          interrupted = true;
          stop.store(true);
        }
        lock.lock();
      }
    } catch (...) {
      stop.store(true);  // a thread could not start, or tick threw: let the others end before rethrowing
      throw;
    }
  }
  if (first) std::rethrow_exception(first);
  if (interrupted) throw Interrupted();
}

}  // namespace vcm
