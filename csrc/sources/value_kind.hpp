#pragma once
#include <algorithm>
#include <cstdint>

#include "sources/compact_rows.hpp"

namespace vcm {

// What a source type needs once a value is not a whole number within 0 … 65535.
inline ValueKind wide_kind(Type type) {
  switch (type) {
    case Type::f32:
    case Type::u8:
    case Type::i8:
    case Type::u16:
    case Type::i16: return ValueKind::f32;
    default: return ValueKind::f64;
  }
}

// All n values are whole numbers within 0 … 65535 (and not NaN).
inline bool all_u16(const double* values, std::int64_t n) {
  constexpr double kRounder = 0x1.8p52;  // adding and taking it away rounds to a whole number
  bool good = true;
  for (std::int64_t k = 0; k < n; ++k) {
    const double x = values[k];
    good &= (x >= 0.0) & (x <= 65535.0) & ((x + kRounder) - kRounder == x);
  }
  return good;
}

// f(index pointer, value pointer) with the types of `out`.
template <class Function>
void with_output(const CompactRows& out, Function&& f) {
  auto with_index = [&](auto* data) {
    if (out.wide_indices) {
      f(static_cast<std::int32_t*>(out.indices), data);
    } else {
      f(static_cast<std::uint16_t*>(out.indices), data);
    }
  };
  if (out.kind == ValueKind::u16) {
    with_index(static_cast<std::uint16_t*>(out.data));
  } else if (out.kind == ValueKind::f32) {
    with_index(static_cast<float*>(out.data));
  } else {
    with_index(static_cast<double*>(out.data));
  }
}

}  // namespace vcm
