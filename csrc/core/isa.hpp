#pragma once
#include <string>
#include <vector>

namespace vcm {

// Instruction sets with an own object of every kernel family, slowest first.
enum class Isa { baseline, v3, v4, v4_vbmi2 };

const char* isa_name(Isa isa);

// What this build and this CPU both have, slowest first; never empty.
std::vector<Isa> available_isas();

// The one in use: the best available, lowered by VCMETRICS_ISA (read once a call, so tests can change it).
// Throws std::invalid_argument when the variable holds another word.
Isa active_isa();

}  // namespace vcm

// A family declares `VCM_DECLARE_ISA(void, name, (arguments))` and calls `VCM_SELECT_ISA(name)(arguments)`.
#ifdef VCM_X86_LEVELS
#define VCM_DECLARE_ISA(result, name, arguments) \
  namespace isa_baseline {                       \
  result name arguments;                         \
  }                                              \
  namespace isa_v3 {                             \
  result name arguments;                         \
  }                                              \
  namespace isa_v4 {                             \
  result name arguments;                         \
  }                                              \
  namespace isa_v4_vbmi2 {                       \
  result name arguments;                         \
  }
#define VCM_SELECT_ISA(name)                                        \
  (::vcm::active_isa() == ::vcm::Isa::v4_vbmi2 ? isa_v4_vbmi2::name \
   : ::vcm::active_isa() == ::vcm::Isa::v4     ? isa_v4::name       \
   : ::vcm::active_isa() == ::vcm::Isa::v3     ? isa_v3::name       \
                                               : isa_baseline::name)
#else
#define VCM_DECLARE_ISA(result, name, arguments) \
  namespace isa_baseline {                       \
  result name arguments;                         \
  }
#define VCM_SELECT_ISA(name) isa_baseline::name
#endif
