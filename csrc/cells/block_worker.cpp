#include "cells/block_worker.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cells/gene_grid.hpp"

namespace vcm {

Worker::Worker(const GatherJob& job, const std::vector<SidePlan>& plans,
               const std::vector<Reference>& references, std::int64_t widest)
    : job_(job), plans_(plans), references_(references), scratch_(plans.size()) {
  for (std::size_t s = 0; s < plans.size(); ++s) {
    SideScratch& scratch = scratch_[s];
    const SidePlan& plan = plans[s];
    const std::int64_t value_bytes = plan.record == Record::u16 ? 2 : plan.record == Record::f32 ? 4 : 8;
    const std::int64_t cell_bytes = plan.record == Record::u16 ? 2 : 4;
    // an odd number of cache lines, so that equal positions of many genes do not share a cache set
    const std::int64_t lines = ((plan.cells() + kStreamPad) * 2 + 63) / 64 | 1;
    scratch.streams.stride = lines * 32;
    scratch.streams.width = widest;
    scratch.values.reserve(widest * scratch.streams.stride * value_bytes);
    scratch.cells.reserve(widest * scratch.streams.stride * cell_bytes);
    scratch.tile.reserve(widest * kTileCells * value_bytes);
    std::memset(scratch.tile.get(), 0, static_cast<std::size_t>(widest * kTileCells * value_bytes));
    scratch.borders.resize(static_cast<std::size_t>((job.sides[s].n_groups + 1) * widest));
    scratch.positions.resize(static_cast<std::size_t>(widest));
    scratch.cursors.resize(plan.fragments.size());
    scratch.streams.values = scratch.values.get();
    scratch.streams.cells = scratch.cells.get();
    scratch.streams.borders = scratch.borders.data();
  }
  if (!references.empty()) reserve_ranks();
}

void Worker::start_range(std::int64_t first_gene) {
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    const int bytes = static_cast<int>(size_of(job_.sides[s].rows.indices.type));
    for (std::size_t f = 0; f < plans_[s].fragments.size(); ++f)
      scratch_[s].cursors[f] = first_gene == 0 ? 0 : lower_entry(plans_[s].fragments[f], bytes, first_gene);
  }
}

SumsJob Worker::list(std::size_t s, std::int64_t g, std::int64_t k) const {
  const Streams& streams = scratch_[s].streams;
  const SidePlan& plan = plans_[s];
  const std::int64_t begin = streams.borders[g * streams.width + k],
                     end = streams.borders[(g + 1) * streams.width + k];
  const std::int64_t at = k * streams.stride + begin;
  SumsJob list{};
  list.record = plan.record;
  list.length = end - begin;
  list.values = static_cast<const std::uint8_t*>(streams.values) + at * (plan.record == Record::u16   ? 2
                                                                         : plan.record == Record::f32 ? 4
                                                                                                      : 8);
  list.cells = static_cast<const std::uint8_t*>(streams.cells) + at * (plan.record == Record::u16 ? 2 : 4);
  list.units =
      job_.key == Key::ratio ? plan.units.data() + plan.group_cells[static_cast<std::size_t>(g)] : nullptr;
  return list;
}

void Worker::sums(std::size_t s, std::int64_t k, std::int64_t gene) {
  const GatherSide& side = job_.sides[s];
  const bool asked = side.sum != nullptr || side.linear != nullptr || side.log1p != nullptr ||
                     side.expm1 != nullptr || side.square != nullptr || side.nonzero != nullptr;
  if (!asked) return;
  for (std::int64_t g = 0; g < side.n_groups; ++g) {
    SumsJob sums = list(s, g, k);
    sums.want_sum = side.sum != nullptr;
    sums.want_linear = side.linear != nullptr;
    sums.want_log1p = side.log1p != nullptr;
    sums.want_log1p_square = side.log1p_square != nullptr;
    sums.want_expm1 = side.expm1 != nullptr;
    sums.want_square = side.square != nullptr;
    group_sums_(sums);
    const std::int64_t at = g * job_.n_cols + gene;
    if (side.sum != nullptr) side.sum[at] = sums.sum;
    if (side.linear != nullptr) side.linear[at] = sums.linear;
    if (side.log1p != nullptr) side.log1p[at] = sums.log1p;
    if (side.log1p_square != nullptr) side.log1p_square[at] = sums.log1p_square;
    if (side.expm1 != nullptr) side.expm1[at] = sums.expm1;
    if (side.square != nullptr) side.square[at] = sums.square;
    if (side.nonzero != nullptr) side.nonzero[at] = sums.length;
  }
}

void Worker::logs(std::size_t s, std::int64_t first_gene, std::int64_t n_genes) {
  const GatherSide& side = job_.sides[s];
  const SidePlan& plan = plans_[s];
  for (std::size_t d = 0; d < side.depths.size(); ++d)
    for (std::int64_t g = 0; g < side.n_groups; ++g) {
      const std::int64_t first = plan.group_cells[static_cast<std::size_t>(g)];
      for (std::int64_t k = 0; k < n_genes; ++k) {
        SumsJob logs = list(s, g, k);
        logs.units = plan.depth_units[d].data() + first;
        if (!plan.depth_logs[d].empty()) logs.logs = plan.depth_logs[d].data() + first * kLoggedCounts;
        logs.want_log1p = true;
        logs.want_log1p_square = side.depths[d].log1p_square != nullptr;
        group_sums_(logs);
        const std::int64_t at = g * job_.n_cols + first_gene + k;
        side.depths[d].log1p[at] = logs.log1p;
        if (logs.want_log1p_square) side.depths[d].log1p_square[at] = logs.log1p_square;
      }
    }
}

void Worker::keys_of(std::size_t s, std::int64_t g, std::int64_t k, std::vector<double>& keys) const {
  const SumsJob stored = list(s, g, k);
  const double* totals = plans_[s].totals.data() + plans_[s].group_cells[static_cast<std::size_t>(g)];
  keys.resize(static_cast<std::size_t>(stored.length));
  const auto fill = [&](const auto* values, const auto* cells) {
    for (std::int64_t i = 0; i < stored.length; ++i) {
      const auto value = static_cast<double>(values[i]);
      keys[static_cast<std::size_t>(i)] = job_.key == Key::ratio ? value / totals[cells[i]] : value;
    }
  };
  const auto* wide_cells = static_cast<const std::uint32_t*>(stored.cells);
  if (stored.record == Record::u16)
    fill(static_cast<const std::uint16_t*>(stored.values), static_cast<const std::uint16_t*>(stored.cells));
  else if (stored.record == Record::f32)
    fill(static_cast<const float*>(stored.values), wide_cells);
  else
    fill(static_cast<const double*>(stored.values), wide_cells);
}

double Worker::control_mean(const Reference& reference, std::int64_t k) const {
  const auto s = static_cast<std::size_t>(reference.side);
  SumsJob sums = list(s, reference.code, k);
  sums.want_linear = true;
  group_sums_(sums);
  const std::int64_t n = plans_[s].cells(reference.code);
  return n == 0 ? 0.0 : sums.linear / static_cast<double>(n);
}

void Worker::reserve_ranks() {
  std::int64_t longest = 0;
  for (const SidePlan& plan : plans_)
    for (std::size_t g = 0; g + 1 < plan.group_cells.size(); ++g)
      longest = std::max(longest, plan.cells(static_cast<std::int64_t>(g)));
  const std::int64_t entries = longest + kStreamPad;
  const auto array = [](Buffer& buffer, auto*& pointer, std::int64_t count) {
    buffer.reserve(count * static_cast<std::int64_t>(sizeof(*pointer)));
    pointer = buffer.as<std::remove_reference_t<decltype(*pointer)>>();
  };
  array(codes_, rank_.codes, entries);
  array(key_values_, rank_.keys, entries);
  array(other_codes_, rank_.other_codes, entries);
  array(other_keys_, rank_.other_keys, entries);
  array(suspects_, rank_.suspects, entries);
  array(flags_, rank_.flags, entries);
  array(slots_, rank_.slots, (std::int64_t{1} << kSlotBits) + kStreamPad);
  array(control_codes_, control_.codes, entries);
  array(control_keys_, control_.keys, entries);
  array(run_ends_, control_.run_ends, entries);
  array(buckets_, control_.buckets, kMaxBuckets + kStreamPad);
  std::memset(rank_.flags, 0, static_cast<std::size_t>(entries));
  std::memset(rank_.slots, 0, (std::size_t{1} << kSlotBits) * 2 + kStreamPad * 2);
}

RankList Worker::rank_list(std::size_t s, std::int64_t g, std::int64_t k) const {
  const SumsJob stored = list(s, g, k);
  const double* totals = plans_[s].totals.data() + plans_[s].group_cells[static_cast<std::size_t>(g)];
  return {stored.record, stored.values, stored.cells, stored.length,
          job_.key == Key::ratio ? totals : nullptr};
}

void Worker::ranks(std::int64_t k, std::int64_t gene) {
  for (const Reference& reference : references_) {
    if (job_.gate >= 0 && !(control_mean(reference, k) > job_.gate)) continue;
    const auto control_side = static_cast<std::size_t>(reference.side);
    const std::int64_t n_control = plans_[control_side].cells(reference.code);
    bool indexed = false, sorted = false;
    for (std::size_t s = 0; s < plans_.size(); ++s) {
      const GatherSide& side = job_.sides[s];
      if (side.u2 == nullptr || side.control_side != reference.side || side.control_code != reference.code)
        continue;
      for (std::int64_t g = 0; g < side.n_groups; ++g) {
        if (s == control_side && g == reference.code) continue;
        const RankList group = rank_list(s, g, k);
        RankSum rank;
        if (group.length <= kLongestList && n_control + plans_[s].cells(g) <= kLargestPool) {
          if (!indexed)
            index_control_(rank_list(control_side, reference.code, k), n_control, control_, rank_);
          indexed = true;
          rank = rank_group_(group, plans_[s].cells(g), control_, rank_);
        } else {
          if (!sorted) {
            keys_of(control_side, reference.code, k, sorted_control_.keys);
            sorted_control_.sort(n_control);
          }
          sorted = true;
          keys_of(s, g, k, keys_);
          rank = rank_by_sort(keys_, plans_[s].cells(g), sorted_control_);
        }
        side.u2[g * job_.n_cols + gene] = rank.u2;
        side.tie[g * job_.n_cols + gene] = rank.tie;
      }
    }
  }
}

void Worker::block(std::int64_t first_gene, std::int64_t n_genes,
                   std::vector<std::vector<double>>& jackknife) {
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    SideScratch& scratch = scratch_[s];
    const SidePlan& plan = plans_[s];
    scratch.streams.width = n_genes;
    TransposeJob transpose{};
    transpose.fragments = plan.fragments.data();
    transpose.group_fragments = plan.group_fragments.data();
    transpose.n_groups = job_.sides[s].n_groups;
    transpose.cursors = scratch.cursors.data();
    transpose.first_gene = first_gene;
    transpose.n_genes = n_genes;
    transpose.index_bytes = static_cast<int>(size_of(job_.sides[s].rows.indices.type));
    transpose.value_type = job_.sides[s].rows.data.type;
    transpose.record = plan.record;
    transpose.tile = scratch.tile.get();
    transpose.positions = scratch.positions.data();
    transpose.streams = &scratch.streams;
    transpose_block_(transpose);
    taken_ += transpose.taken;
  }
  for (std::int64_t k = 0; k < n_genes; ++k) {
    for (std::size_t s = 0; s < plans_.size(); ++s) sums(s, k, first_gene + k);
    ranks(k, first_gene + k);
  }
  // group by group, so that the logs of its cells stay near
  for (std::size_t s = 0; s < plans_.size(); ++s) logs(s, first_gene, n_genes);
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    if (job_.sides[s].jackknife == nullptr) continue;
    const std::int64_t n_groups = job_.sides[s].n_groups;
    for (std::int64_t first = 0; first < n_genes; first += kJackknifeGenes) {
      const std::int64_t part = (first_gene + first) / kJackknifeGenes,
                         count = std::min(kJackknifeGenes, n_genes - first);
      for (std::int64_t g = 0; g < n_groups; ++g)
        if (plans_[s].jackknife[static_cast<std::size_t>(g)].n_cells > 1)
          jackknife[s][static_cast<std::size_t>(part * n_groups + g)] =
              jackknife_block_(plans_[s].jackknife[static_cast<std::size_t>(g)], plans_[s].record,
                               scratch_[s].streams, g, first, count);
    }
  }
}

}  // namespace vcm
