#include "ranef/merge.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "ranef/lmm.hpp"
#include "ranef/standard_basis.hpp"

namespace ranef {
namespace {

Index rows_of(const PairProducts& pair) { return static_cast<Index>(pair.start.size()) - 1; }

Index count(const PairProducts& pair, Index l) {
  return l < rows_of(pair) ? pair.start[l + 1] - pair.start[l] : 0;
}

// Append entry e of `from` to `to`, or add it to the last entry there when the level is the same.
void append(const PairProducts& from, Index e, bool same, PairProducts& to) {
  if (same) {
    to.value.col(static_cast<Index>(to.level.size()) - 1) += from.value.col(e);
    return;
  }
  to.value.col(static_cast<Index>(to.level.size())) = from.value.col(e);
  to.level.push_back(from.level[e]);
}

void grow(const TermInput& seen, TermProducts& term) {
  const Index before = term.n_levels;
  if (seen.n_levels <= before) return;
  term.own.conservativeResize(Eigen::NoChange, seen.n_levels);
  term.own.rightCols(seen.n_levels - before).setZero();
  term.xy.conservativeResize(seen.n_levels * term.k, Eigen::NoChange);
  term.xy.bottomRows((seen.n_levels - before) * term.k).setZero();
  term.n_levels = seen.n_levels;
}

TermProducts renumbered(const TermProducts& term, const std::vector<std::int32_t>& number,
                        Index n_levels) {
  TermProducts out = term;
  out.n_levels = n_levels;
  out.own.setZero(term.own.rows(), n_levels);
  out.xy.setZero(n_levels * term.k, term.xy.cols());
  for (Index l = 0; l < term.n_levels; ++l) {
    out.own.col(number[l]) = term.own.col(l);
    out.xy.middleRows(number[l] * term.k, term.k) = term.xy.middleRows(l * term.k, term.k);
  }
  return out;
}

void check_numbers(const std::vector<std::int32_t>& number, Index count, Index n_levels) {
  if (static_cast<Index>(number.size()) != count)
    throw std::invalid_argument("number: not one number a level");
  std::vector<bool> used(n_levels, false);
  for (const std::int32_t i : number) {
    if (i < 0 || i >= n_levels || used[i])
      throw std::invalid_argument("number: out of range or used twice");
    used[i] = true;
  }
}

}  // namespace

PairProducts merge(const PairProducts& a, const PairProducts& b) {
  PairProducts out;
  const Index rows = std::max(rows_of(a), rows_of(b));
  out.start.assign(rows + 1, 0);
  out.level.reserve(a.level.size() + b.level.size());
  out.value.resize(std::max(a.value.rows(), b.value.rows()),
                   static_cast<Index>(a.level.size() + b.level.size()));
  for (Index l = 0; l < rows; ++l) {
    Index i = l < rows_of(a) ? a.start[l] : 0, j = l < rows_of(b) ? b.start[l] : 0;
    const Index i_end = i + count(a, l), j_end = j + count(b, l);
    while (i < i_end || j < j_end) {
      const bool take_a = j == j_end || (i < i_end && a.level[i] <= b.level[j]);
      const bool both = take_a && j < j_end && a.level[i] == b.level[j];
      append(take_a ? a : b, take_a ? i++ : j++, false, out);
      if (both) append(b, j++, true, out);
    }
    out.start[l + 1] = static_cast<Index>(out.level.size());
  }
  out.value.conservativeResize(Eigen::NoChange, static_cast<Index>(out.level.size()));
  return out;
}

PairProducts transpose(const PairProducts& pair, Index k_s, Index k_t, Index n_levels_t) {
  PairProducts out;
  out.start.assign(n_levels_t + 1, 0);
  for (const std::int32_t m : pair.level) ++out.start[m + 1];
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  std::vector<Index> next(out.start.begin(), out.start.end() - 1);
  out.level.resize(pair.level.size());
  out.value.resize(k_s * k_t, pair.value.cols());
  for (Index l = 0; l < rows_of(pair); ++l)
    for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
      const Index at = next[pair.level[e]]++;
      out.level[at] = static_cast<std::int32_t>(l);
      Eigen::Map<Matrix>(out.value.col(at).data(), k_t, k_s) =
          Eigen::Map<const Matrix>(pair.value.col(e).data(), k_s, k_t).transpose();
    }
  return out;
}

PairProducts renumber(const PairProducts& pair, const std::vector<std::int32_t>& s,
                      const std::vector<std::int32_t>& t, Index n_levels_s) {
  PairProducts out;
  out.start.assign(n_levels_s + 1, 0);
  for (Index l = 0; l < rows_of(pair); ++l) out.start[s[l] + 1] = count(pair, l);
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  out.level.resize(pair.level.size());
  out.value.resize(pair.value.rows(), pair.value.cols());
  std::vector<Index> order;
  for (Index l = 0; l < rows_of(pair); ++l) {
    order.resize(count(pair, l));
    std::iota(order.begin(), order.end(), pair.start[l]);
    std::sort(order.begin(), order.end(),
              [&](Index a, Index b) { return t[pair.level[a]] < t[pair.level[b]]; });
    Index at = out.start[s[l]];
    for (const Index e : order) {
      out.level[at] = t[pair.level[e]];
      out.value.col(at++) = pair.value.col(e);
    }
  }
  return out;
}

CrossProducts reorder(CrossProducts products, const std::vector<std::size_t>& place) {
  CrossProducts out;
  out.n = products.n;
  out.sum_log_w = products.sum_log_w;
  out.gram = std::move(products.gram);
  out.pairs.resize(place.size());
  for (std::size_t s = 0; s < place.size(); ++s)
    for (std::size_t t = s + 1; t < place.size(); ++t) {
      const std::size_t a = std::min(place[s], place[t]), b = std::max(place[s], place[t]);
      PairProducts pair = std::move(products.pairs[a][b - a - 1]);
      if (place[s] > place[t])
        pair =
            transpose(pair, products.terms[a].k, products.terms[b].k, products.terms[b].n_levels);
      out.pairs[s].push_back(std::move(pair));
    }
  for (std::size_t t : place) out.terms.push_back(std::move(products.terms[t]));
  return out;
}

Accumulator::Accumulator(Input layout) : layout_(std::move(layout)) {
  const Index c = static_cast<Index>(layout_.fixed.size()) + 1;
  products_.gram.setZero(c, c);
  for (const TermInput& term : layout_.terms) {
    TermProducts products;
    products.k = static_cast<Index>(term.columns.size());
    products.own.resize(products.k * products.k, 0);
    products.xy.resize(0, c);
    products_.terms.push_back(std::move(products));
  }
  pairs_.resize(layout_.terms.size());
  for (std::size_t s = 0; s < pairs_.size(); ++s) pairs_[s].resize(pairs_.size() - s - 1);
}

void Accumulator::push(std::vector<PairProducts>& parts, PairProducts part) {
  parts.push_back(std::move(part));
  while (parts.size() > 1) {
    PairProducts& last = parts[parts.size() - 1];
    PairProducts& before = parts[parts.size() - 2];
    if (before.level.size() > 2 * last.level.size()) break;
    before = ranef::merge(before, last);
    parts.pop_back();
  }
}

void Accumulator::add(const Input& chunk) {
  if (chunk.n == 0) return;
  if (!begun_) shifts_ = choose_shifts(chunk);
  begun_ = true;
  for (std::size_t t = 0; t < products_.terms.size(); ++t) {
    if (chunk.terms[t].n_levels < products_.terms[t].n_levels)
      throw std::invalid_argument("codes: fewer levels than before");
    grow(chunk.terms[t], products_.terms[t]);
  }
  add_products(chunk, shifts_, products_);
  for (std::size_t s = 0; s + 1 < pairs_.size(); ++s) {
    LevelOrder order;
    for (std::size_t j = 0; j < pairs_[s].size(); ++j) {
      const std::size_t t = s + 1 + j;
      if (!chunk.weights && use_table(s, j, chunk.n)) {
        pairs_[s][j].table.add(chunk.terms[s].codes, chunk.terms[t].codes, chunk.n,
                               products_.terms[s].n_levels, products_.terms[t].n_levels);
        continue;
      }
      if (order.start.empty()) order = order_by_level(chunk.terms[s], chunk.n);
      push(pairs_[s][j].parts, pair_products(chunk, shifts_, s, t, order));
    }
  }
}

void Accumulator::add_within(Index n, double sum_log_w, double squares) {
  if (!begun_) throw std::invalid_argument("no rows were added");
  const Index y = products_.gram.cols() - 1;
  products_.n += n;
  products_.sum_log_w += sum_log_w;
  products_.gram(y, y) += squares * shifts_.xy.back().scale * shifts_.xy.back().scale;
}

// Whether n rows without weights are best counted in the table; what is known goes there as well.
bool Accumulator::use_table(std::size_t s, std::size_t j, Index n) {
  const std::size_t t = s + 1 + j;
  if (!is_indicator(layout_.terms[s]) || !is_indicator(layout_.terms[t])) return false;
  Pair& pair = pairs_[s][j];
  const Index n_s = products_.terms[s].n_levels, n_t = products_.terms[t].n_levels;
  if (!pair.table.is_empty()) {
    if (pair.table.holds(n_s, n_t, n)) return true;
    push(pair.parts, pair.table.pairs());
    pair.table = CountTable();
    return false;
  }
  Index known = n;
  for (const PairProducts& part : pair.parts) known += static_cast<Index>(part.level.size());
  if (!CountTable::pays(n_s, n_t, known)) return false;
  while (!pair.parts.empty() && pair.table.absorb(pair.parts.back(), n_s, n_t))
    pair.parts.pop_back();
  return true;
}

PairProducts Accumulator::pair(std::size_t s, std::size_t j) const {
  const Pair& pair = pairs_[s][j];
  PairProducts out;
  if (pair.table.is_empty())
    out.value.resize(products_.terms[s].k * products_.terms[s + 1 + j].k, 0);
  else
    out = pair.table.pairs();
  for (auto part = pair.parts.rbegin(); part != pair.parts.rend(); ++part)
    out = ranef::merge(*part, out);
  out.start.resize(products_.terms[s].n_levels + 1, static_cast<Index>(out.level.size()));
  return out;
}

void Accumulator::renumber(const std::vector<std::vector<std::int32_t>>& number,
                           const std::vector<Index>& n_levels) {
  if (number.size() != products_.terms.size() || n_levels.size() != number.size())
    throw std::invalid_argument("number: not one a term");
  for (std::size_t t = 0; t < number.size(); ++t)
    check_numbers(number[t], products_.terms[t].n_levels, n_levels[t]);
  const auto same = [&](std::size_t t) {
    return n_levels[t] == products_.terms[t].n_levels &&
           std::is_sorted(number[t].begin(), number[t].end());
  };
  for (std::size_t s = 0; s + 1 < pairs_.size(); ++s)
    for (std::size_t j = 0; j < pairs_[s].size(); ++j) {
      const std::size_t t = s + 1 + j;
      if (same(s) && same(t)) continue;
      Pair& pair = pairs_[s][j];
      if (!pair.table.is_empty())
        pair.table.renumber(number[s], number[t], n_levels[s], n_levels[t]);
      for (PairProducts& part : pair.parts)
        part = ranef::renumber(part, number[s], number[t], n_levels[s]);
    }
  for (std::size_t t = 0; t < number.size(); ++t)
    if (!same(t)) products_.terms[t] = renumbered(products_.terms[t], number[t], n_levels[t]);
}

CrossProducts Accumulator::whole() const {
  CrossProducts out = products_;
  out.pairs.resize(pairs_.size());
  for (std::size_t s = 0; s + 1 < pairs_.size(); ++s)
    for (std::size_t j = 0; j < pairs_[s].size(); ++j) out.pairs[s].push_back(pair(s, j));
  return out;
}

void Accumulator::merge(const Accumulator& other) {
  if (!other.begun_) return;
  if (!begun_) shifts_ = other.shifts_;
  begun_ = true;
  CrossProducts added = other.whole();
  reshift(layout_, other.shifts_, shifts_, added);
  for (std::size_t t = 0; t < added.terms.size(); ++t) {
    TermInput seen;
    seen.n_levels = added.terms[t].n_levels;
    grow(seen, products_.terms[t]);
    products_.terms[t].own.leftCols(seen.n_levels) += added.terms[t].own;
    products_.terms[t].xy.topRows(seen.n_levels * added.terms[t].k) += added.terms[t].xy;
  }
  products_.n += added.n;
  products_.sum_log_w += added.sum_log_w;
  products_.gram += added.gram;
  for (std::size_t s = 0; s + 1 < pairs_.size(); ++s)
    for (std::size_t j = 0; j < pairs_[s].size(); ++j) {
      Pair& pair = pairs_[s][j];
      const Index n_s = products_.terms[s].n_levels, n_t = products_.terms[s + 1 + j].n_levels;
      const bool counted = !pair.table.is_empty() && pair.table.holds(n_s, n_t, 0) &&
                           pair.table.absorb(added.pairs[s][j], n_s, n_t);
      if (!counted) push(pair.parts, std::move(added.pairs[s][j]));
    }
}

std::unique_ptr<Lmm> Accumulator::model(const MethodSettings& method,
                                        const std::vector<BlockStructures>& structures) const {
  if (!begun_) throw std::invalid_argument("no rows were added");
  Input layout = layout_;
  for (std::size_t t = 0; t < layout.terms.size(); ++t) {
    const bool has_own = t < structures.size() && !structures[t].empty();
    if (has_own == layout.terms[t].structures.empty())
      throw std::invalid_argument("structures: not those of the layout");
    if (has_own) layout.terms[t].structures = structures[t];
  }
  return std::make_unique<Lmm>(std::move(layout), shifts_, whole(), method);
}

Accumulator::State Accumulator::state() const {
  State out;
  out.n = static_cast<double>(products_.n);
  out.sum_log_w = products_.sum_log_w;
  const auto keep = [&](const std::vector<Affine>& columns) {
    for (const Affine& a : columns) {
      out.shift.push_back(a.shift);
      out.scale.push_back(a.scale);
    }
  };
  keep(shifts_.xy);
  for (const std::vector<Affine>& term : shifts_.terms) keep(term);
  out.gram = products_.gram;
  for (const TermProducts& term : products_.terms) {
    out.own.push_back(term.own);
    out.xy.push_back(term.xy.transpose());
  }
  for (std::size_t s = 0; s + 1 < pairs_.size(); ++s)
    for (std::size_t j = 0; j < pairs_[s].size(); ++j) {
      PairProducts whole = pair(s, j);
      out.start.emplace_back(whole.start.begin(), whole.start.end());
      out.level.push_back(std::move(whole.level));
      out.value.push_back(std::move(whole.value));
    }
  return out;
}

void Accumulator::restore(const State& state) {
  products_.n = static_cast<Index>(state.n);
  products_.sum_log_w = state.sum_log_w;
  products_.gram = state.gram;
  begun_ = products_.n > 0;
  std::size_t at = 0;
  const auto take = [&](std::size_t count) {
    std::vector<Affine> out;
    for (std::size_t i = 0; i < count && begun_; ++i, ++at)
      out.push_back({state.shift.at(at), state.scale.at(at)});
    return out;
  };
  shifts_.xy = take(layout_.fixed.size() + 1);
  shifts_.terms.clear();
  std::size_t pair = 0;
  for (std::size_t t = 0; t < products_.terms.size(); ++t) {
    shifts_.terms.push_back(take(layout_.terms[t].columns.size()));
    TermProducts& term = products_.terms[t];
    term.own = state.own.at(t);
    term.xy = state.xy.at(t).transpose();
    term.n_levels = term.own.cols();
    for (Pair& of_terms : pairs_[t]) {
      PairProducts whole;
      whole.start.assign(state.start.at(pair).begin(), state.start.at(pair).end());
      whole.level = state.level.at(pair);
      whole.value = state.value.at(pair++);
      of_terms = {{std::move(whole)}, {}};
    }
  }
}

}  // namespace ranef
