#pragma once
#include <pybind11/pybind11.h>

namespace vcm {

// One binder a family, each in its own bind_<family>.cpp; add a new one to the list in bind_all.
inline void bind_all([[maybe_unused]] pybind11::module_& m) {}

}  // namespace vcm
