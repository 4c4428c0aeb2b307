#pragma once
#include <pybind11/pybind11.h>

namespace vcm {

// One binder a family, each in its own bind_<family>.cpp; add a new one to the list in bind_all.
void bind_cells(pybind11::module_& m);
void bind_columns(pybind11::module_& m);
void bind_groups(pybind11::module_& m);
void bind_profiles(pybind11::module_& m);
void bind_sources(pybind11::module_& m);
void bind_tiles(pybind11::module_& m);
void bind_transport(pybind11::module_& m);
void bind_zstd(pybind11::module_& m);

inline void bind_all(pybind11::module_& m) {
  bind_cells(m);
  bind_columns(m);
  bind_groups(m);
  bind_profiles(m);
  bind_sources(m);
  bind_tiles(m);
  bind_transport(m);
  bind_zstd(m);
}

}  // namespace vcm
