#include "cells/gather.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <string>

#include "cells/rank_by_sort.hpp"
#include "cells/records.hpp"
#include "core/error.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kRowBlock = 1024;    // rows of one task of the first look
constexpr std::int64_t kBlockGenes = 256;   // genes transposed at once; 64-512 are nearly equal, 32 and 1,024 worse
constexpr std::int64_t kManyCells = 65536;  // from here on fewer genes at once, so that streams stay in the cache
constexpr std::int64_t kRangesPerThread = 2;

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

// What is known of one side before its first gene is visited.
struct SidePlan {
  Record record = Record::u16;
  std::vector<Fragment> fragments;             // by group, cells ascending
  std::vector<std::int64_t> group_fragments;   // [n_groups + 1]
  std::vector<std::int64_t> group_cells;       // [n_groups + 1]: where a group starts in per-cell tables
  std::vector<double> totals, units;           // per cell of each group: l, and l / scale
  std::vector<float> divisors;                 // lognorm32 only
  std::vector<double> shares, log_rest, rests, moments;
  std::vector<std::uint32_t> heavy;
  std::vector<JackknifeGroup> jackknife;
  std::int64_t n_stored = 0;

  std::int64_t cells() const { return group_cells.back(); }
  std::int64_t cells(std::int64_t g) const {
    return group_cells[static_cast<std::size_t>(g) + 1] - group_cells[static_cast<std::size_t>(g)];
  }
};

struct FirstLook {
  ValueFacts facts;
  std::int64_t bad_total_row = -1;
  std::int64_t bad_value_row = -1;
};

std::string where(std::size_t side, std::int64_t row) {
  return "row " + text(row) + " of matrix " + text(static_cast<std::int64_t>(side));
}

// One look at the values of the used rows: which record holds them, and what must not be there.
ValueFacts first_look(const GatherJob& job, std::size_t s, const Team& team) {
  const GatherSide& side = job.sides[s];
  const std::int64_t n_rows = side.rows.n_rows, n_tasks = (n_rows + kRowBlock - 1) / kRowBlock;
  std::vector<FirstLook> looks(static_cast<std::size_t>(n_tasks));
  const auto look_at_values = VCM_SELECT_ISA(look_at_values);
  const bool divides = job.key != Key::raw;
  for_each_task(team, n_tasks, side.rows.data.size(), [&](std::int64_t task, int, const std::atomic<bool>& stop) {
    FirstLook& look = looks[static_cast<std::size_t>(task)];
    for (std::int64_t row = task * kRowBlock; row < std::min(n_rows, (task + 1) * kRowBlock); ++row) {
      if (side.codes[row] < 0) continue;
      if (stop.load(std::memory_order_relaxed)) return;
      ValueFacts facts;
      for_each_run(side.rows, side.rows.indptr[row], side.rows.indptr[row + 1],
                   [&](const std::uint8_t*, const std::uint8_t* values, std::int64_t length) {
                     look_at_values(side.rows.data.type, values, length, facts);
                   });
      const double total = side.totals[row];
      const bool total_good = std::isfinite(total) && total >= 0 &&
                              (total > 0 || job.key != Key::ratio || !facts.nonzero);
      if (divides && !total_good && look.bad_total_row < 0) look.bad_total_row = row;
      if ((!facts.finite || (facts.negative && job.key == Key::lognorm32)) && look.bad_value_row < 0)
        look.bad_value_row = row;
      look.facts.narrow &= facts.narrow;
    }
  });
  ValueFacts facts;
  for (const FirstLook& look : looks) {
    facts.narrow &= look.facts.narrow;
    require(look.bad_value_row < 0, where(s, look.bad_value_row) + " holds a value that is not finite" +
                                        (job.key == Key::lognorm32 ? " or is negative" : "") +
                                        "; clean the matrix first");
    require(look.bad_total_row < 0, where(s, look.bad_total_row) +
                                        " has a total that is negative, not finite, or 0 although values are stored");
  }
  return facts;
}

Record record_for(const GatherJob& job, const GatherSide& side, const SidePlan& plan, const ValueFacts& facts) {
  std::int64_t largest = 0;
  for (std::int64_t g = 0; g < side.n_groups; ++g) largest = std::max(largest, plan.cells(g));
  if (job.key == Key::lognorm32) return Record::f32;
  if (facts.narrow && largest <= 65535) return Record::u16;
  const Type type = side.rows.data.type;
  const bool exact_in_f32 = type == Type::f32 || type == Type::u8 || type == Type::i8 || type == Type::u16 || type == Type::i16;
  return job.key == Key::raw && exact_in_f32 ? Record::f32 : Record::f64;
}

void plan_jackknife(const GatherJob& job, const GatherSide& side, SidePlan& plan) {
  const auto n_cells = static_cast<std::size_t>(plan.cells());
  plan.shares.resize(n_cells);
  plan.log_rest.resize(n_cells);
  plan.rests.resize(n_cells);
  plan.moments.assign(static_cast<std::size_t>(side.n_groups) * (2 * kMaxTerms + 1), 0.0);
  std::vector<std::int64_t> heavy_starts;
  for (std::int64_t g = 0; g < side.n_groups; ++g) {
    const auto first = static_cast<std::size_t>(plan.group_cells[static_cast<std::size_t>(g)]);
    const std::int64_t n = plan.cells(g);
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += plan.totals[first + static_cast<std::size_t>(i)];
    JackknifeGroup group{};
    group.n_cells = sum > 0 && n > 1 ? n : 0;
    group.tau = sum > 0 ? job.jackknife_target / sum : 0;
    heavy_starts.push_back(static_cast<std::int64_t>(plan.heavy.size()));
    double* moments = plan.moments.data() + static_cast<std::size_t>(g) * (2 * kMaxTerms + 1);
    double most = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::size_t cell = first + static_cast<std::size_t>(i);
      const double x = sum > 0 ? plan.totals[cell] / sum : 0;
      plan.shares[cell] = x;
      plan.log_rest[cell] = x < 1 ? std::log1p(-x) : 0;
      plan.rests[cell] = (sum - plan.totals[cell]) / job.jackknife_target;
      if (x > kHeavyShare) {
        plan.heavy.push_back(static_cast<std::uint32_t>(i));
        continue;
      }
      most = std::max(most, x);
      double power = 1;
      for (int k = 1; k <= 2 * kMaxTerms; ++k) moments[k] += power *= x;
    }
    // the tail after K terms is below x^K / (1 - x) of the whole
    group.n_terms = most > 0 ? std::clamp(static_cast<int>(std::ceil(-53 * std::log(2.0) / std::log(most))), 1, kMaxTerms) : 1;
    plan.jackknife.push_back(group);
  }
  heavy_starts.push_back(static_cast<std::int64_t>(plan.heavy.size()));
  for (std::size_t g = 0; g < plan.jackknife.size(); ++g) {
    JackknifeGroup& group = plan.jackknife[g];
    const auto first = static_cast<std::size_t>(plan.group_cells[g]);
    group.moments = plan.moments.data() + g * (2 * kMaxTerms + 1);
    group.shares = plan.shares.data() + first;
    group.log_rest = plan.log_rest.data() + first;
    group.rests = plan.rests.data() + first;
    group.heavy = plan.heavy.data() + heavy_starts[g];
    group.n_heavy = heavy_starts[g + 1] - heavy_starts[g];
  }
}

SidePlan plan_side(const GatherJob& job, std::size_t s, const Team& team) {
  const GatherSide& side = job.sides[s];
  SidePlan plan;
  const auto n_groups = static_cast<std::size_t>(side.n_groups);
  plan.group_cells.assign(n_groups + 1, 0);
  for (std::int64_t row = 0; row < side.rows.n_rows; ++row)
    if (side.codes[row] >= 0) ++plan.group_cells[static_cast<std::size_t>(side.codes[row]) + 1];
  for (std::size_t g = 0; g < n_groups; ++g) side.n[g] = plan.group_cells[g + 1];
  std::partial_sum(plan.group_cells.begin(), plan.group_cells.end(), plan.group_cells.begin());

  const ValueFacts facts = first_look(job, s, team);
  plan.record = record_for(job, side, plan, facts);

  const auto n_cells = static_cast<std::size_t>(plan.cells());
  std::vector<std::int64_t> next(plan.group_cells.begin(), plan.group_cells.end() - 1);
  std::vector<std::int64_t> row_of(n_cells);
  for (std::int64_t row = 0; row < side.rows.n_rows; ++row)
    if (side.codes[row] >= 0) row_of[static_cast<std::size_t>(next[static_cast<std::size_t>(side.codes[row])]++)] = row;

  plan.totals.resize(n_cells);
  plan.units.resize(n_cells);
  if (job.key == Key::lognorm32) plan.divisors.resize(n_cells);
  plan.group_fragments.assign(n_groups + 1, 0);
  plan.fragments.reserve(n_cells);
  const std::int64_t longest = std::int64_t{1} << 31;  // fragment lengths are 32 bits
  for (std::size_t g = 0; g < n_groups; ++g) {
    for (std::int64_t c = plan.group_cells[g]; c < plan.group_cells[g + 1]; ++c) {
      const auto cell = static_cast<std::size_t>(c);
      const std::int64_t row = row_of[cell];
      const double total = side.totals[row];
      plan.totals[cell] = total;
      plan.units[cell] = total > 0 ? total / job.scale : 1.0;
      if (job.key == Key::lognorm32) {
        const float divisor = static_cast<float>(total) / static_cast<float>(job.scale);
        plan.divisors[cell] = total > 0 ? divisor : 1.0f;
      }
      const auto number = static_cast<std::uint32_t>(c - plan.group_cells[g]);
      for_each_run(side.rows, side.rows.indptr[row], side.rows.indptr[row + 1],
                   [&](const std::uint8_t* columns, const std::uint8_t* values, std::int64_t length) {
                     require(length < longest, where(s, row) + " is too long");
                     plan.fragments.push_back({columns, values, static_cast<std::uint32_t>(length), number});
                     plan.n_stored += length;
                   });
    }
    plan.group_fragments[g + 1] = static_cast<std::int64_t>(plan.fragments.size());
  }
  if (side.jackknife != nullptr) plan_jackknife(job, side, plan);
  return plan;
}

std::uint64_t column_at(const std::uint8_t* columns, int bytes, std::int64_t at) {
  if (bytes == 2) return load<std::uint16_t>(columns + at * 2);
  if (bytes == 4) return load<std::uint32_t>(columns + at * 4);
  return load<std::uint64_t>(columns + at * 8);
}

// First entry of an ascending fragment whose column is at least `gene`.
std::uint32_t lower_entry(const Fragment& fragment, int bytes, std::int64_t gene) {
  std::int64_t low = 0, high = fragment.length;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (column_at(fragment.columns, bytes, middle) < static_cast<std::uint64_t>(gene)) low = middle + 1;
    else high = middle;
  }
  return static_cast<std::uint32_t>(low);
}

// The gene axis, cut once for a shape of data: block borders never depend on the number of threads.
struct Grid {
  std::vector<std::int64_t> genes;   // block b holds genes genes[b] … genes[b + 1] - 1
  std::vector<std::int64_t> ranges;  // range r holds blocks ranges[r] … ranges[r + 1] - 1, about equal stored values
  std::int64_t widest = 0;

  std::int64_t n_blocks() const { return static_cast<std::int64_t>(genes.size()) - 1; }
};

Grid make_grid(const GatherJob& job, const std::vector<SidePlan>& plans, int n_threads) {
  Grid grid;
  std::int64_t most_cells = 0;
  for (const SidePlan& plan : plans) most_cells = std::max(most_cells, plan.cells());
  grid.widest = most_cells < kManyCells ? kBlockGenes : kBlockGenes / 4;
  for (std::int64_t gene = 0; gene < job.n_cols; gene += grid.widest) grid.genes.push_back(gene);
  grid.genes.push_back(job.n_cols);

  const std::int64_t n_blocks = grid.n_blocks();
  std::vector<double> weight(static_cast<std::size_t>(n_blocks), 1.0);
  for (std::size_t s = 0; s < plans.size(); ++s) {
    const int bytes = static_cast<int>(size_of(job.sides[s].rows.indices.type));
    const std::size_t step = plans[s].fragments.size() / 512 + 1;
    for (std::size_t f = 0; f < plans[s].fragments.size(); f += step)
      for (std::int64_t i = 0; i < plans[s].fragments[f].length; i += 16) {
        const std::uint64_t column = column_at(plans[s].fragments[f].columns, bytes, i);
        if (column < static_cast<std::uint64_t>(job.n_cols))
          weight[static_cast<std::size_t>(static_cast<std::int64_t>(column) / grid.widest)] += 16;
      }
  }
  const double all = std::accumulate(weight.begin(), weight.end(), 0.0);
  const std::int64_t n_ranges = std::min(n_blocks, n_threads == 1 ? 1 : kRangesPerThread * n_threads);
  double sum = 0;
  grid.ranges.push_back(0);
  for (std::int64_t block = 0; block < n_blocks; ++block) {
    sum += weight[static_cast<std::size_t>(block)];
    if (sum * static_cast<double>(n_ranges) >= all * static_cast<double>(grid.ranges.size()) && block + 1 < n_blocks)
      grid.ranges.push_back(block + 1);
  }
  grid.ranges.push_back(n_blocks);
  return grid;
}

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
  // transposes and digests one block; partial jackknife sums go to jackknife[side][block * n_groups + g]
  void block(std::int64_t b, std::int64_t first_gene, std::int64_t n_genes, std::vector<std::vector<double>>& jackknife);
  std::int64_t taken() const { return taken_; }

 private:
  struct SideScratch {
    Buffer values, cells, tile;
    std::vector<std::uint32_t> borders, positions, cursors;
    Streams streams{};
  };

  void sums(std::size_t s, std::int64_t k, std::int64_t gene);
  void ranks(std::int64_t k, std::int64_t gene);
  double control_mean(const Reference& reference, std::int64_t k) const;
  void keys_of(std::size_t s, std::int64_t g, std::int64_t k, std::vector<double>& keys) const;
  SumsJob list(std::size_t s, std::int64_t g, std::int64_t k) const;

  const GatherJob& job_;
  const std::vector<SidePlan>& plans_;
  const std::vector<Reference>& references_;
  std::vector<SideScratch> scratch_;
  std::vector<double> keys_;
  SortedControl control_;
  std::int64_t taken_ = 0;
  decltype(VCM_SELECT_ISA(transpose_block)) transpose_block_ = VCM_SELECT_ISA(transpose_block);
  decltype(VCM_SELECT_ISA(group_sums)) group_sums_ = VCM_SELECT_ISA(group_sums);
  decltype(VCM_SELECT_ISA(jackknife_block)) jackknife_block_ = VCM_SELECT_ISA(jackknife_block);
};

Worker::Worker(const GatherJob& job, const std::vector<SidePlan>& plans, const std::vector<Reference>& references,
               std::int64_t widest)
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
  const std::int64_t begin = streams.borders[g * streams.width + k], end = streams.borders[(g + 1) * streams.width + k];
  const std::int64_t at = k * streams.stride + begin;
  SumsJob list{};
  list.record = plan.record;
  list.length = end - begin;
  list.values = static_cast<const std::uint8_t*>(streams.values) +
                at * (plan.record == Record::u16 ? 2 : plan.record == Record::f32 ? 4 : 8);
  list.cells = static_cast<const std::uint8_t*>(streams.cells) + at * (plan.record == Record::u16 ? 2 : 4);
  list.units = job_.key == Key::ratio ? plan.units.data() + plan.group_cells[static_cast<std::size_t>(g)] : nullptr;
  return list;
}

void Worker::sums(std::size_t s, std::int64_t k, std::int64_t gene) {
  const GatherSide& side = job_.sides[s];
  for (std::int64_t g = 0; g < side.n_groups; ++g) {
    SumsJob sums = list(s, g, k);
    sums.want_sum = side.sum != nullptr;
    sums.want_linear = side.linear != nullptr;
    sums.want_log1p = side.log1p != nullptr;
    sums.want_expm1 = side.expm1 != nullptr;
    sums.want_expm1_32 = side.expm1_32 != nullptr;
    sums.want_square = side.square != nullptr;
    group_sums_(sums);
    const std::int64_t at = g * job_.n_cols + gene;
    if (side.sum != nullptr) side.sum[at] = sums.sum;
    if (side.linear != nullptr) side.linear[at] = sums.linear;
    if (side.log1p != nullptr) side.log1p[at] = sums.log1p;
    if (side.expm1 != nullptr) side.expm1[at] = sums.expm1;
    if (side.expm1_32 != nullptr) side.expm1_32[at] = sums.expm1_32;
    if (side.square != nullptr) side.square[at] = sums.square;
    if (side.nonzero != nullptr) side.nonzero[at] = sums.length;
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

void Worker::ranks(std::int64_t k, std::int64_t gene) {
  for (const Reference& reference : references_) {
    if (job_.gate >= 0 && !(control_mean(reference, k) > job_.gate)) continue;
    const auto control_side = static_cast<std::size_t>(reference.side);
    keys_of(control_side, reference.code, k, control_.keys);
    control_.sort(plans_[control_side].cells(reference.code));
    for (std::size_t s = 0; s < plans_.size(); ++s) {
      const GatherSide& side = job_.sides[s];
      if (side.u2 == nullptr || side.control_side != reference.side || side.control_code != reference.code) continue;
      for (std::int64_t g = 0; g < side.n_groups; ++g) {
        if (s == control_side && g == reference.code) continue;
        keys_of(s, g, k, keys_);
        const RankSum rank = rank_by_sort(keys_, plans_[s].cells(g), control_);
        side.u2[g * job_.n_cols + gene] = rank.u2;
        side.tie[g * job_.n_cols + gene] = rank.tie;
      }
    }
  }
}

void Worker::block(std::int64_t b, std::int64_t first_gene, std::int64_t n_genes,
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
    transpose.divisors = plan.divisors.empty() ? nullptr : plan.divisors.data();
    transpose.group_cells = plan.group_cells.data();
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
  for (std::size_t s = 0; s < plans_.size(); ++s) {
    if (job_.sides[s].jackknife == nullptr) continue;
    const std::int64_t n_groups = job_.sides[s].n_groups;
    for (std::int64_t g = 0; g < n_groups; ++g)
      if (plans_[s].jackknife[static_cast<std::size_t>(g)].n_cells > 1)
        jackknife[s][static_cast<std::size_t>(b * n_groups + g)] =
            jackknife_block_(plans_[s].jackknife[static_cast<std::size_t>(g)], plans_[s].record, scratch_[s].streams, g);
  }
}

}  // namespace

void gather(GatherJob& job, const Team& team) {
  std::vector<SidePlan> plans;
  std::vector<Reference> references;
  std::int64_t n_stored = 0;
  for (std::size_t s = 0; s < job.sides.size(); ++s) {
    const GatherSide& side = job.sides[s];
    plans.push_back(plan_side(job, s, team));
    n_stored += plans.back().n_stored;
    if (side.u2 == nullptr) continue;
    std::fill_n(side.u2, side.n_groups * job.n_cols, -1);
    std::fill_n(side.tie, side.n_groups * job.n_cols, -1.0);
    const bool known = std::any_of(references.begin(), references.end(), [&](const Reference& reference) {
      return reference.side == side.control_side && reference.code == side.control_code;
    });
    if (side.control_side >= 0 && !known) references.push_back({side.control_side, side.control_code});
  }
  job.total = n_stored;

  const int n_threads = n_workers(team, job.n_cols, n_stored);
  const Grid grid = make_grid(job, plans, n_threads);
  std::vector<std::vector<double>> jackknife(plans.size());
  for (std::size_t s = 0; s < plans.size(); ++s)
    if (job.sides[s].jackknife != nullptr)
      jackknife[s].assign(static_cast<std::size_t>(grid.n_blocks() * job.sides[s].n_groups), 0.0);

  std::vector<std::unique_ptr<Worker>> workers;
  for (int worker = 0; worker < n_threads; ++worker)
    workers.push_back(std::make_unique<Worker>(job, plans, references, std::min(grid.widest, job.n_cols)));
  const auto n_ranges = static_cast<std::int64_t>(grid.ranges.size()) - 1;
  for_each_task(team, n_ranges, n_stored, [&](std::int64_t range, int w, const std::atomic<bool>& stop) {
    Worker& worker = *workers[static_cast<std::size_t>(w)];
    const std::int64_t first = grid.ranges[static_cast<std::size_t>(range)], last = grid.ranges[static_cast<std::size_t>(range) + 1];
    worker.start_range(grid.genes[static_cast<std::size_t>(first)]);
    for (std::int64_t b = first; b < last && !stop.load(std::memory_order_relaxed); ++b) {
      const std::int64_t gene = grid.genes[static_cast<std::size_t>(b)], before = worker.taken();
      worker.block(b, gene, grid.genes[static_cast<std::size_t>(b) + 1] - gene, jackknife);
      job.done += worker.taken() - before;
    }
  });

  std::int64_t taken = 0;
  for (const auto& worker : workers) taken += worker->taken();
  require(taken == n_stored, "the column numbers of a row do not ascend, or lie outside [0, " + text(job.n_cols) +
                                 "); make the matrix canonical first");
  for (std::size_t s = 0; s < plans.size(); ++s) {
    if (job.sides[s].jackknife == nullptr) continue;
    const std::int64_t n_groups = job.sides[s].n_groups;
    for (std::int64_t g = 0; g < n_groups; ++g) {
      double sum = 0;
      for (std::int64_t b = 0; b < grid.n_blocks(); ++b) sum += jackknife[s][static_cast<std::size_t>(b * n_groups + g)];
      const auto n = static_cast<double>(plans[s].cells(g));
      job.sides[s].jackknife[g] = n < 2 ? 0.0 : std::max(0.0, (n - 1) / n * sum);
    }
  }
}

}  // namespace vcm
