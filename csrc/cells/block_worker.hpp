#pragma once
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "cells/rank_by_sort.hpp"
#include "cells/rank_sums.hpp"
#include "cells/side_plan.hpp"

namespace vcm {

// Uninitialised memory, aligned to a cache line; pages are touched only where they are used.
class Buffer {
 public:
  void reserve(std::int64_t bytes) {
    const auto rounded = static_cast<std::size_t>((bytes + 64 + 63) / 64 * 64);
    memory_.reset(std::aligned_alloc(64, rounded));
    if (!memory_) throw std::bad_alloc();
  }
  void* get() const { return memory_.get(); }
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
};

// A group of one side that rank sums are taken against.
struct Reference {
  int side, code;
};

// What one thread needs to work on gene blocks.
class Worker {
 public:
  Worker(const GatherJob& job, const std::vector<SidePlan>& plans, const std::vector<Reference>& references,
         std::int64_t widest);

  void start_range(std::int64_t first_gene);
  // transposes and digests one block, whose first gene begins a part of the jackknife; partial jackknife sums
  // go to jackknife[side][part * n_groups + g]
  void block(std::int64_t first_gene, std::int64_t n_genes, std::vector<std::vector<double>>& jackknife);
  std::int64_t taken() const { return taken_; }

 private:
  struct SideScratch {
    Buffer values, cells, tile;
    std::vector<std::uint32_t> borders, positions, cursors;
    Streams streams{};
  };

  void sums(std::size_t s, std::int64_t k, std::int64_t gene);
  // Logs of a block's genes at every further depth.
  void logs(std::size_t s, std::int64_t first_gene, std::int64_t n_genes);
  void ranks(std::int64_t k, std::int64_t gene);
  double control_mean(const Reference& reference, std::int64_t k) const;
  void keys_of(std::size_t s, std::int64_t g, std::int64_t k, std::vector<double>& keys) const;
  RankList rank_list(std::size_t s, std::int64_t g, std::int64_t k) const;
  void reserve_ranks();
  SumsJob list(std::size_t s, std::int64_t g, std::int64_t k) const;

  const GatherJob& job_;
  const std::vector<SidePlan>& plans_;
  const std::vector<Reference>& references_;
  std::vector<SideScratch> scratch_;
  std::vector<double> keys_;
  SortedControl sorted_control_;
  Buffer codes_, key_values_, other_codes_, other_keys_, suspects_, flags_, slots_;
  Buffer control_codes_, control_keys_, run_ends_, buckets_;
  RankScratch rank_{};
  ControlIndex control_{};
  std::int64_t taken_ = 0;
  decltype(VCM_SELECT_ISA(transpose_block)) transpose_block_ = VCM_SELECT_ISA(transpose_block);
  decltype(VCM_SELECT_ISA(group_sums)) group_sums_ = VCM_SELECT_ISA(group_sums);
  decltype(VCM_SELECT_ISA(index_control)) index_control_ = VCM_SELECT_ISA(index_control);
  decltype(VCM_SELECT_ISA(rank_group)) rank_group_ = VCM_SELECT_ISA(rank_group);
  decltype(VCM_SELECT_ISA(jackknife_block)) jackknife_block_ = VCM_SELECT_ISA(jackknife_block);
};

}  // namespace vcm
