#pragma once
#include <cstdint>
#include <vector>

#include "sources/compact_rows.hpp"

namespace vcm {

// Genes × cells (a CSC matrix read as rows) to compact cells × genes. The rows given must ascend strictly and
// lie in range, as scan_rows says; explicit zeros are dropped.
class Transpose {
 public:
  Transpose(const RowsView& by_gene, const Team& team);

  // counts: one entry a cell (by_gene.n_cols).
  Counted count(std::int64_t* counts) const;
  void fill(const CompactRows& out) const;

 private:
  template <class Body>
  void for_each_block(const Body& body) const;

  const RowsView& by_gene_;
  const Team& team_;
  std::int64_t block_cells_ = 0, n_blocks_ = 0;
  std::vector<std::int64_t>
      begins_;  // [block][gene]: first stored entry of the gene at or after the block's first cell
};

}  // namespace vcm
