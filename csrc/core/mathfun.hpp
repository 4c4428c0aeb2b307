#pragma once
// Elementary functions made of plain additions, multiplications and divisions, so that every instruction set
// gives the same bits and loops over them become vector code. Included by the per-ISA bodies: all is static.
#include <cstdint>

#include "ops/host_device.hpp"

namespace vcm {

// log(1 + x) to about one ulp for x > -1; -inf at -1, NaN below. 1 + x is split into 2^k m with m in
// [sqrt(1/2), sqrt(2)); what 1 + x lost in rounding comes back as a first-order term. With s = f / (2 + f),
// log m = f - f^2/2 + s (f^2/2 + R(s^2)), R the minimax polynomial known from fdlibm.
static inline VCM_HD double log1p_of(double x) {
  const double u = 1.0 + x;
  const double lost = x - (u - 1.0);  // exact for x < 1; above, u swallows it within its own half ulp
  constexpr std::uint64_t kOne = 0x3ff0000000000000u, kRootHalf = 0x3fe6a09e667f3bcdu;
  const std::uint64_t shifted = __builtin_bit_cast(std::uint64_t, u) + (kOne - kRootHalf);
  const std::uint64_t exponent = shifted >> 52;  // k + 1023
  const double m = __builtin_bit_cast(double, (shifted & 0x000fffffffffffffu) + kRootHalf);
  // the exponent as a double without an integer conversion, which AVX2 lacks
  const double k = __builtin_bit_cast(double, exponent + 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
  const bool near = k == 0.0;
  const double f = near ? x : m - 1.0;
  // the lost part over u: a tenth of an ulp needs 1/m to a tenth only
  const double scale = __builtin_bit_cast(double, (2046 - exponent) << 52);
  const double c = near ? 0.0 : lost * (scale * ((1.0 - f) + f * f));
  const double half = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s, w = z * z;
  const double odd =
      w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double even =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double r = odd + even;
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  double result = k * kLn2High - ((half - (s * (half + r) + (k * kLn2Low + c))) - f);
  result = x == -1.0 ? -__builtin_inf() : result;
  return x < -1.0 ? __builtin_nan("") : result;
}

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2 in three steps, Taylor to r^13: the next term is below 1e-17 of
// r. V is double or a vector of doubles.
template <class V>
static inline VCM_HD V exp_tail(V r, V r2) {
  const V p89 = 1.0 / 3628800 + r * (1.0 / 39916800);
  const V pab = 1.0 / 479001600 + r * (1.0 / 6227020800.0);
  return p89 + r2 * pab;
}
template <class V>
static inline VCM_HD V exp_middle(V r, V r2, V r4, V tail) {
  const V p45 = 1.0 / 720 + r * (1.0 / 5040), p67 = 1.0 / 40320 + r * (1.0 / 362880);
  return (p45 + r2 * p67) + r4 * tail;
}
template <class V>
static inline VCM_HD V exp_front(V r, V r2, V r4, V middle) {
  const V p01 = 0.5 + r * (1.0 / 6), p23 = 1.0 / 24 + r * (1.0 / 120);
  return (p01 + r2 * p23) + r4 * middle;
}

// exp(x) - 1 to about one ulp; +inf above 709.78, -1 far below. x = k ln 2 + r, |r| <= ln(2) / 2.
static inline VCM_HD double expm1_of(double x) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kShift = 6755399441055744.0;  // adding it rounds to a whole number
  const double bounded = x < -40.0 ? -40.0 : x > 710.0 ? 710.0 : x;
  const double k = (bounded * 1.44269504088896338700 + kShift) - kShift;
  const double high = bounded - k * kLn2High, low = k * kLn2Low;
  const double r = high - low;
  const double lost = (high - r) - low;
  const double r2 = r * r, r4 = r2 * r2;
  const double p = exp_front(r, r2, r4, exp_middle(r, r2, r4, exp_tail(r, r2)));
  const double e = r + (r2 * p + lost + r * lost);
  const auto whole = static_cast<std::int64_t>(__builtin_bit_cast(std::uint64_t, k + kShift) << 13) >> 13;
  // half of 2^k: k may be 1024
  const double half = __builtin_bit_cast(double, static_cast<std::uint64_t>(whole + 1022) << 52);
  return (half * e + (half - 0.5)) * 2.0;
}

// x[n] = exp(x[n]) to about one ulp for N numbers below 709, denormal results included; V is double or a
// vector of doubles, U the integers of its size. x = k ln 2 + r as above. Step by step for all N: one exp
// after the other is a chain of some 70 cycles, of which a CPU overlaps too few.
template <class V, class U, int N>
static inline VCM_HD void exp_down(V* x) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kShift = 6755399441055744.0;
  const V zero{};
  V shifted[N], k[N], low[N], r[N], lost[N], r2[N], r4[N], p[N], back[N];
  for (int n = 0; n < N; ++n) x[n] = x[n] < -750.0 ? zero - 750.0 : x[n];
  for (int n = 0; n < N; ++n) shifted[n] = x[n] * 1.44269504088896338700 + kShift;
  for (int n = 0; n < N; ++n) k[n] = shifted[n] - kShift;
  for (int n = 0; n < N; ++n) x[n] = x[n] - k[n] * kLn2High;
  for (int n = 0; n < N; ++n) low[n] = k[n] * kLn2Low;
  for (int n = 0; n < N; ++n) r[n] = x[n] - low[n];
  for (int n = 0; n < N; ++n) lost[n] = (x[n] - r[n]) - low[n];
  for (int n = 0; n < N; ++n) r2[n] = r[n] * r[n];
  for (int n = 0; n < N; ++n) r4[n] = r2[n] * r2[n];
  for (int n = 0; n < N; ++n) p[n] = exp_tail(r[n], r2[n]);
  for (int n = 0; n < N; ++n) p[n] = exp_middle(r[n], r2[n], r4[n], p[n]);
  for (int n = 0; n < N; ++n) p[n] = exp_front(r[n], r2[n], r4[n], p[n]);
  for (int n = 0; n < N; ++n) p[n] = 1.0 + (r[n] + (r2[n] * p[n] + lost[n] + r[n] * lost[n]));
  // 2^k in two steps where it is no normal number; the last one rounds
  for (int n = 0; n < N; ++n) back[n] = k[n] < -1000.0 ? zero + 0x1p-200 : zero + 1.0;
  for (int n = 0; n < N; ++n) shifted[n] += k[n] < -1000.0 ? zero + 200.0 : zero;
  for (int n = 0; n < N; ++n)
    x[n] = p[n] * __builtin_bit_cast(V, (__builtin_bit_cast(U, shifted[n]) + 1023) << 52) * back[n];
}

// exp(x) to about one ulp; +inf above 709.78, 0 below -708 (results there would be subnormal), NaN stays.
// x = k ln 2 + r, |r| <= ln(2) / 2; (exp(r) - 1 - r) / r^2 by a polynomial within 2e-17 of exp(r).
static inline VCM_HD double exp_of(double x) {
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  constexpr double kShift = 6755399441055744.0;  // adding it rounds to a whole number
  const double bounded = x < -708.0 ? -708.0 : x > 710.0 ? 710.0 : x;
  const double shifted = bounded * 1.44269504088896338700 + kShift;
  const double k = shifted - kShift;
  const double r = (bounded - k * kLn2High) - k * kLn2Low;
  const double r2 = r * r, r4 = r2 * r2;
  const double p01 = 0.5000000000000001 + r * 0.16666666666666669;
  const double p23 = 0.041666666666624164 + r * 0.008333333333330065;
  const double p45 = 0.0013888888917196736 + r * 0.00019841269863040559;
  const double p67 = 2.480152132234228e-05 + r * 2.7557268480289716e-06;
  const double p89 = 2.7620075892548164e-07 + r * 2.51003758422237e-08;
  const double p = (p01 + r2 * p23) + r4 * ((p45 + r2 * p67) + r4 * p89);
  const double e = r + r2 * p;
  // half of 2^k: k may be 1024; the low bits of `shifted` are k
  const double half = __builtin_bit_cast(double, (__builtin_bit_cast(std::uint64_t, shifted) + 1022) << 52);
  const double result = (half + half * e) * 2.0;
  return x < -708.0 ? 0.0 : result;
}

// log(x) to about one ulp for normal x > 0; -inf at 0, NaN below. Same reduction as log1p_of.
static inline VCM_HD double log_of(double x) {
  constexpr std::uint64_t kOne = 0x3ff0000000000000u, kRootHalf = 0x3fe6a09e667f3bcdu;
  const bool small = x < 0x1p-1022;  // subnormal
  const double u = small ? x * 0x1p54 : x;
  const std::uint64_t shifted = __builtin_bit_cast(std::uint64_t, u) + (kOne - kRootHalf);
  const double m = __builtin_bit_cast(double, (shifted & 0x000fffffffffffffu) + kRootHalf);
  const double k = __builtin_bit_cast(double, (shifted >> 52) + 0x4330000000000000u) -
                   (4503599627370496.0 + 1023.0) - (small ? 54.0 : 0.0);
  const double f = m - 1.0;
  const double half = 0.5 * f * f;
  const double s = f / (2.0 + f);
  const double z = s * s, w = z * z;
  const double odd =
      w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double even =
      z * (6.666666666666735130e-01 +
           w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  double result = k * kLn2High - ((half - (s * (half + (odd + even)) + k * kLn2Low)) - f);
  result = x == 0.0 ? -__builtin_inf() : result;
  result = x == __builtin_inf() ? x : result;
  return x >= 0.0 ? result : __builtin_nan("");
}

}  // namespace vcm
