#pragma once
// VCM_HD marks what the CPU and the GPU share; to g++ it is nothing.

#if defined(__CUDACC__)
#define VCM_HD __host__ __device__
#else
#define VCM_HD
#endif
