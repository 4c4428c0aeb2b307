#include "core/isa.hpp"

#include <cstdlib>
#include <stdexcept>

namespace vcm {

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::v3: return "v3";
    case Isa::v4: return "v4";
    case Isa::v4_vbmi2: return "v4_vbmi2";
    default: return "baseline";
  }
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found{Isa::baseline};
#ifdef VCM_X86_LEVELS
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v3) found.push_back(Isa::v3);
  if (v4) found.push_back(Isa::v4);
  if (v4 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2"))
    found.push_back(Isa::v4_vbmi2);
#endif
  return found;
}

Isa active_isa() {
  const std::vector<Isa> found = available_isas();
  const char* wish = std::getenv("VCMETRICS_ISA");
  if (wish == nullptr || *wish == '\0') return found.back();
  const std::string word(wish);
  for (Isa isa : {Isa::baseline, Isa::v3, Isa::v4, Isa::v4_vbmi2}) {
    // asking for more than there is gives the best there is
    if (word == isa_name(isa)) return isa < found.back() ? isa : found.back();
  }
  throw std::invalid_argument("VCMETRICS_ISA is '" + word +
                              "'; use baseline, v3, v4 or v4_vbmi2, or unset it");
}

}  // namespace vcm
