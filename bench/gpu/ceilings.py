"""What this GPU can do, measured: bytes a second of a copy, additions a second of either precision."""

from __future__ import annotations

from typing import Any

from bench.gpu.clock import seconds

_BYTES = 2 << 30
_SUMS, _STEPS, _THREADS = 16, 4096, 256
# independent running sums in registers; the result is stored, so that nothing is dropped
_ADDITIONS = """
extern "C" __global__ void additions(REAL* out, REAL step, int steps) {
  REAL sum[16];
  for (int s = 0; s < 16; ++s) sum[s] = threadIdx.x + s;
  for (int k = 0; k < steps; ++k) {
    #pragma unroll
    for (int s = 0; s < 16; ++s) sum[s] = sum[s] + step;
  }
  REAL all = 0;
  for (int s = 0; s < 16; ++s) all += sum[s];
  out[blockIdx.x * (long long)blockDim.x + threadIdx.x] = all;
}
"""


def measure(xp: Any) -> dict[str, float]:
    """``copy``: bytes read and written a second; ``float32``, ``float64``: additions a second."""
    return {"copy": _copy(xp), "float32": _additions(xp, "float"), "float64": _additions(xp, "double")}


def _copy(xp: Any) -> float:
    source = xp.random.default_rng(0).random(_BYTES // 4, dtype=xp.float32)
    target = xp.empty_like(source)
    median, _ = seconds(xp, lambda: xp.copyto(target, source))
    return 2 * _BYTES / median


def _additions(xp: Any, real: str) -> float:
    kernel = xp.RawKernel(_ADDITIONS.replace("REAL", real), "additions")
    blocks = 16 * int(xp.cuda.Device().attributes["MultiProcessorCount"])
    kind = xp.float32 if real == "float" else xp.float64
    out = xp.empty(blocks * _THREADS, dtype=kind)
    median, _ = seconds(xp, lambda: kernel((blocks,), (_THREADS,), (out, kind(1.5), _STEPS)))
    return blocks * _THREADS * _STEPS * _SUMS / median
