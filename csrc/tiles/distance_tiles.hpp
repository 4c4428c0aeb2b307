#pragma once
// Squared Euclidean distances between cells, by tiles of cells × cells.
#include <cstdint>

#include "core/isa.hpp"

namespace vcm {

// Below this share of |x|^2 + |y|^2 a squared distance from norms and product is computed again as a sum of
// squared differences: what cancellation leaves above it is a relative error of about 1e-12.
constexpr double kNearDuplicate = 1.0 / 4096;

// Cells of one tile at most; tiles are padded to a multiple of kTileStep.
constexpr std::int64_t kTileCells = 64;
constexpr std::int64_t kTileStep = 8;

// The inner loops for one instruction set; shapes and meanings are in distance_tiles.inc.
struct DistanceTiles {
  void (*dot_float)(const std::uint16_t* columns, const float* values, std::int64_t n, const float* tile,
                    std::int64_t stride, double* acc);
  void (*dot_double)(const std::uint16_t* columns, const double* values, std::int64_t n, const double* tile,
                     std::int64_t stride, double* acc);
  void (*difference_float)(const float* x, std::int64_t x_stride, std::int64_t rows, const float* tile,
                           std::int64_t stride, std::int64_t n, double* acc, std::int64_t acc_stride);
  void (*difference_double)(const double* x, std::int64_t x_stride, std::int64_t rows, const double* tile,
                            std::int64_t stride, std::int64_t n, double* acc, std::int64_t acc_stride);
  bool (*expand)(double norm, const double* norms, const double* dot, std::int64_t first, std::int64_t last,
                 double* squared);
  void (*replace_near)(double norm, const double* norms, const double* direct, std::int64_t first,
                       std::int64_t last, double* squared);
  void (*add_roots)(const double* squared, std::int64_t first, std::int64_t last, double* sums);
};

VCM_DECLARE_ISA(const DistanceTiles&, distance_tiles, ())

}  // namespace vcm
