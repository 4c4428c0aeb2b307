#pragma once

#include <string>

namespace vcm::cuda {

// How many devices can run our kernels, and why that is none.
struct Devices {
  int count;
  std::string reason;  // empty when count > 0
};

// Asks the driver; never throws, and never needs one: libcuda.so.1 is looked for at run time.
Devices query_devices();

}  // namespace vcm::cuda
