// Every kernel, compiled for the host.
#include "cuda/cells/group_sums.cu"
#include "cuda/cells/rank_sums.cu"
#include "cuda/profiles/column_correlation.cu"
#include "cuda/profiles/match_rank.cu"
#include "cuda/profiles/pair_sums.cu"
#include "cuda/tiles/pair_means.cu"
