// Prints how many float64 fused multiply-adds a second one core does from registers alone: the floor that
// sums of products are compared with. Built with -O3 -march=native -ffp-contract=fast.
#include <chrono>
#include <cstdio>

#ifdef __AVX512F__
constexpr int kWidth = 8;
#elif defined(__AVX__)
constexpr int kWidth = 4;
#else
constexpr int kWidth = 2;
#endif
typedef double Vector __attribute__((vector_size(kWidth * 8)));
constexpr int kSums = 12;
constexpr long kSteps = 10'000'000;

double work(double with) {
  Vector sum[kSums], x = Vector{} + 0.5, y = Vector{} + with;
  for (int s = 0; s < kSums; ++s) sum[s] = Vector{} + double(s);  // different, so that none is left out
  for (long step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
    for (int s = 0; s < kSums; ++s) sum[s] = sum[s] * x + y;
  }
  double out = 0;
  for (const Vector& v : sum) out += v[0];
  return out;
}

int main() {
  double best = 0, sink = 1;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    sink += work(sink * 1e-9);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double rate = double(kSteps) * kSums * kWidth / seconds;
    if (rate > best) best = rate;
  }
  std::printf("%.6g %g\n", best, sink);
}
