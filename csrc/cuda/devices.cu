#include <cuda_runtime.h>
#include <dlfcn.h>

#include <string>

#include "cuda/core/stream.hpp"
#include "cuda/devices.hpp"

namespace vcm::cuda {
namespace {

constexpr int kOldestMajor = 7;  // the oldest architecture compiled for: 7.5
constexpr int kOldestMinor = 5;

// The runtime calls a missing driver "insufficient"; look for the library first and say what is the case.
bool driver_is_installed() {
  void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return false;
  dlclose(library);
  return true;
}

bool runs_our_code(int device) {
  int major = 0;
  int minor = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return false;
  if (cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) return false;
  return major > kOldestMajor || (major == kOldestMajor && minor >= kOldestMinor);
}

}  // namespace

int cuda_version() { return CUDART_VERSION; }

namespace {

void require_good(cudaError_t status, int device) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw LaunchError("device " + std::to_string(device) + " cannot be used: " + cudaGetErrorString(status));
}

}  // namespace

void use_device(int device) { require_good(cudaSetDevice(device), device); }

DeviceFacts device_facts(int device) {
  cudaDeviceProp found{};
  require_good(cudaGetDeviceProperties(&found, device), device);
  return {found.name, static_cast<std::int64_t>(found.totalGlobalMem), found.major, found.minor};
}

Devices query_devices() {
  if (!driver_is_installed()) return {0, "no NVIDIA driver on this machine (libcuda.so.1 cannot be loaded)"};
  int found = 0;
  const cudaError_t status = cudaGetDeviceCount(&found);
  if (status != cudaSuccess) {
    cudaGetLastError();  // leave no error behind for the next caller
    return {0, std::string("the CUDA runtime says: ") + cudaGetErrorString(status)};
  }
  if (found == 0) return {0, "the NVIDIA driver reports no device"};
  int usable = 0;
  for (int device = 0; device < found; ++device) usable += runs_our_code(device) ? 1 : 0;
  if (usable < found) {
    // devices are addressed by number, so all must do; CUDA_VISIBLE_DEVICES hides the others
    return {0, "a visible GPU is older than compute capability 7.5; hide it with CUDA_VISIBLE_DEVICES"};
  }
  return {usable, ""};
}

}  // namespace vcm::cuda
