#pragma once

#include <cstdint>
#include <string>

namespace vcm::cuda {

// How many devices can run our kernels, and why that is none.
struct Devices {
  int count;
  std::string reason;  // empty when count > 0
};

// The CUDA release of the runtime inside, 13000 for 13.0.
int cuda_version();

struct DeviceFacts {
  std::string name;
  std::int64_t memory;  // bytes
  int major, minor;     // compute capability
};
// LaunchError if there is none of that number.
DeviceFacts device_facts(int device);

// Makes a device that of the calling thread; LaunchError if there is none of that number.
void use_device(int device);

// Asks the driver; never throws, and never needs one: libcuda.so.1 is looked for at run time.
Devices query_devices();

}  // namespace vcm::cuda
