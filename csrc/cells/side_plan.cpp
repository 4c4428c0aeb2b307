#include "cells/side_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "core/error.hpp"
#include "core/mathfun.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kRowBlock = 1024;  // rows of one task of the first look

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
  for_each_task(
      team, n_tasks, side.rows.data.size(), [&](std::int64_t task, int, const std::atomic<bool>& stop) {
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
          const bool total_good =
              job.key != Key::ratio || (std::isfinite(total) && total >= 0 && (total > 0 || !facts.nonzero));
          if (!total_good && look.bad_total_row < 0) look.bad_total_row = row;
          if (!facts.finite && look.bad_value_row < 0) look.bad_value_row = row;
          look.facts.narrow &= facts.narrow;
        }
      });
  ValueFacts facts;
  for (const FirstLook& look : looks) {
    facts.narrow &= look.facts.narrow;
    require(look.bad_value_row < 0,
            where(s, look.bad_value_row) + " holds a value that is not finite; clean the matrix first");
    require(look.bad_total_row < 0,
            where(s, look.bad_total_row) +
                " has a total that is negative, not finite, or 0 although values are stored");
  }
  return facts;
}

Record record_for(const GatherJob& job, const GatherSide& side, const SidePlan& plan,
                  const ValueFacts& facts) {
  std::int64_t largest = 0;
  for (std::int64_t g = 0; g < side.n_groups; ++g) largest = std::max(largest, plan.cells(g));
  if (facts.narrow && largest <= 65535) return Record::u16;
  const Type type = side.rows.data.type;
  const bool exact_in_f32 =
      type == Type::f32 || type == Type::u8 || type == Type::i8 || type == Type::u16 || type == Type::i16;
  return job.key == Key::raw && exact_in_f32 ? Record::f32 : Record::f64;
}

// log1p(v / unit) of every cell for v below kLoggedCounts
std::vector<double> logs_of_small_counts(const std::vector<double>& units) {
  std::vector<double> logs(units.size() * kLoggedCounts);
  for (std::size_t cell = 0; cell < units.size(); ++cell)
    for (int v = 0; v < kLoggedCounts; ++v)
      logs[cell * kLoggedCounts + static_cast<std::size_t>(v)] = log1p_of(v / units[cell]);
  return logs;
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
    group.n_terms =
        most > 0 ? std::clamp(static_cast<int>(std::ceil(-53 * std::log(2.0) / std::log(most))), 1, kMaxTerms)
                 : 1;
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

}  // namespace

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
    if (side.codes[row] >= 0)
      row_of[static_cast<std::size_t>(next[static_cast<std::size_t>(side.codes[row])]++)] = row;

  plan.totals.resize(n_cells);
  plan.units.resize(n_cells);
  plan.depth_units.assign(job.depths.size(), std::vector<double>(n_cells));
  plan.depth_logs.resize(job.depths.size());
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
      for (std::size_t d = 0; d < job.depths.size(); ++d)
        plan.depth_units[d][cell] = total > 0 ? total / job.depths[d] : 1.0;
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
  if (plan.record == Record::u16)
    for (std::size_t d = 0; d < side.depths.size(); ++d)
      plan.depth_logs[d] = logs_of_small_counts(plan.depth_units[d]);
  if (side.jackknife != nullptr) plan_jackknife(job, side, plan);
  return plan;
}

}  // namespace vcm
