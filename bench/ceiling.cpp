// What the units of this CPU can do from registers alone: G operations of float64 a second over all threads.
// c++ -O3 -march=native -ffp-contract=off -pthread ceiling.cpp && ./a.out THREADS
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#if defined(__FMA__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 8, kSums = 24;
#elif defined(__AVX2__)
constexpr int kLanes = 4, kSums = 10;
#else
constexpr int kLanes = 2, kSums = 10;
#endif
typedef double Vector __attribute__((vector_size(kLanes * sizeof(double))));

Vector all(double x) { return x - Vector{}; }

// the compiler must take it that the value changed
void touch(Vector& v) {
#if defined(__x86_64__)
  __asm__ volatile("" : "+x"(v));
#else
  __asm__ volatile("" : "+w"(v));
#endif
}

Vector fused(Vector x, Vector y, Vector z) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(x, y, z);
#elif defined(__FMA__)
  return _mm256_fmadd_pd(x, y, z);
#else
  return x * y + z;
#endif
}

Vector minus_by_multiplier(Vector x, Vector y, [[maybe_unused]] Vector one) {
#if defined(__AVX512F__)
  return _mm512_fmsub_pd(x, one, y);
#elif defined(__FMA__)
  return _mm256_fmsub_pd(x, one, y);
#else
  return x - y;
#endif
}

struct Fused {
  static Vector step(Vector sum, Vector x, Vector y, Vector, int) { return fused(x, y, sum); }
};
struct Square {
  static Vector step(Vector sum, Vector x, Vector y, Vector one, int i) {
    const Vector d = i % 2 == 0 ? x - y : minus_by_multiplier(x, y, one);
    return sum + d * d;
  }
};
struct Product {
  static Vector step(Vector sum, Vector x, Vector y, Vector, int) { return sum + x * y; }
};

template <class Op>
double run(std::int64_t n) {
  Vector sum[kSums], x = all(1e-9), one = all(1.0), y[3] = {all(2e-9), all(3e-9), all(4e-9)};
  for (int i = 0; i < kSums; ++i) sum[i] = all(1e-3 * i);
  touch(one);
  for (std::int64_t k = 0; k < n; ++k) {
    for (Vector& v : y) touch(v);
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) {
      // one operand a row of three, as in a block
      if (i % 3 == 0) touch(x);
      sum[i] = Op::step(sum[i], x, y[i % 3], one, i);
    }
  }
  double total = 0;
  for (Vector& v : sum) total += v[0];
  return total;
}

template <class Op>
double rate(int n_threads) {
  constexpr std::int64_t kSteps = 6'000'000;
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<double> sink(n_threads);
    std::vector<std::thread> threads;
    const auto start = std::chrono::steady_clock::now();
    for (int t = 0; t < n_threads; ++t) threads.emplace_back([&sink, t] { sink[t] = run<Op>(kSteps); });
    for (auto& thread : threads) thread.join();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double found = double(kSteps) * kSums * kLanes * n_threads / seconds / 1e9;
    if (found > best) best = found;
    if (sink[0] == 12345) std::puts("");
  }
  return best;
}

}  // namespace

int main(int, char** argv) {
  const int n_threads = std::atoi(argv[1]);
  std::printf("{\"fused\": %.2f, \"square\": %.2f, \"product\": %.2f}\n", rate<Fused>(n_threads),
              rate<Square>(n_threads), rate<Product>(n_threads));
}
