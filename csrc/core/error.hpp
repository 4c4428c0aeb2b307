#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace vcm {

// The caller's tick asked to stop (Ctrl-C): not an error of the data.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// For checks at the boundary: the words say what was given, what was expected and the way out.
inline void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

inline std::string text(std::int64_t number) { return std::to_string(number); }

}  // namespace vcm
