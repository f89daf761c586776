#include "ranef/crossed_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "ranef/errors.hpp"
#include "ranef/memory.hpp"
#include "ranef/sparse_cholesky.hpp"

namespace ranef {
namespace {

// A Schur complement with more couplings a column than this fills up.
constexpr double kFewCouplings = 6.0;
// What an operation of a sparse factor costs in those of a dense one.
constexpr double kScattered = 10.0;

// Levels of all terms but the first that any chain of leading levels connects.
class Components {
 public:
  explicit Components(Index n) : parent_(n), size_(n, 1.0) {
    std::iota(parent_.begin(), parent_.end(), Index{0});
  }

  void join(Index a, Index b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    if (size_[a] < size_[b]) std::swap(a, b);
    parent_[b] = a;
    size_[a] += size_[b];
  }

  // sum over components of size^3: operations of a factor and inverse of each.
  double cubes() const {
    double sum = 0.0;
    for (std::size_t i = 0; i < parent_.size(); ++i)
      if (parent_[i] == static_cast<Index>(i)) sum += size_[i] * size_[i] * size_[i];
    return sum;
  }

 private:
  std::vector<Index> parent_;
  std::vector<double> size_;

  Index find(Index a) {
    while (parent_[a] != a) a = parent_[a] = parent_[parent_[a]];
    return a;
  }
};

// What a sparse factor needs at most: nearly nested factors fall into small components.
double component_flops(const CrossProducts& products, const std::vector<Index>& offset) {
  Components components(offset.back());
  const Index leading = products.terms[0].n_levels;
  for (Index l = 0; l < leading; ++l) {
    Index first = -1;
    for (std::size_t t = 1; t < products.terms.size(); ++t) {
      const PairProducts& pair = products.pairs[0][t - 1];
      for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
        const Index column = offset[t - 1] + pair.level[e];
        if (first < 0) first = column;
        components.join(first, column);
      }
    }
  }
  return components.cubes();
}

// Whether every level of each term lies within one level of every larger term after it.
bool is_nested(const CrossProducts& products) {
  for (const auto& pairs : products.pairs)
    for (const PairProducts& pair : pairs)
      for (std::size_t l = 0; l + 1 < pair.start.size(); ++l)
        if (pair.start[l + 1] - pair.start[l] > 1) return false;
  return true;
}

// Pairs of root columns that the Schur complement couples, by the smaller of the two; empty where
// they are more than `most`.
std::vector<std::vector<std::int32_t>> coupled(const CrossProducts& products,
                                               const std::vector<Index>& offset, double most) {
  std::vector<std::vector<std::int32_t>> below(offset.back());
  double count = 0.0;
  const auto add = [&](Index i, Index j) {
    below[std::min(i, j)].push_back(static_cast<std::int32_t>(std::max(i, j)));
    count += 1.0;
  };
  std::vector<Index> met;
  for (Index l = 0; l < products.terms[0].n_levels && count <= most; ++l) {
    met.clear();
    for (std::size_t t = 1; t < products.terms.size(); ++t) {
      const PairProducts& pair = products.pairs[0][t - 1];
      for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e)
        met.push_back(offset[t - 1] + pair.level[e]);
    }
    const double pairs = static_cast<double>(met.size() * (met.size() - 1)) / 2.0;
    if (met.size() > 1 && count + pairs > most) return {};
    for (std::size_t a = 0; a < met.size(); ++a)
      for (std::size_t b = a + 1; b < met.size(); ++b) add(met[a], met[b]);
  }
  for (std::size_t s = 1; s < products.terms.size(); ++s)
    for (std::size_t t = s + 1; t < products.terms.size(); ++t) {
      const PairProducts& pair = products.pairs[s][t - s - 1];
      for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e)
          add(offset[s - 1] + l, offset[t - 1] + pair.level[e]);
    }
  for (std::vector<std::int32_t>& column : below) {
    std::sort(column.begin(), column.end());
    column.erase(std::unique(column.begin(), column.end()), column.end());
  }
  return below;
}

// Whether a sparse factor is within the budget: of nested and nearly nested factors, and of those
// that fall into small parts.
bool is_sparse_enough(const CrossProducts& products, const std::vector<Index>& offset,
                      double flops) {
  if (is_nested(products) || component_flops(products, offset) <= flops) return true;
  const double q = static_cast<double>(offset.back());
  const auto below = coupled(products, offset, kFewCouplings * q);
  if (below.empty()) return false;
  try {
    // A factor of n nonzeros takes about n^2 / q operations.
    const SparseCholesky cholesky(offset.back(), below, std::sqrt(flops * q));
    return kScattered * cholesky.flops() <= flops;
  } catch (const ModelTooLarge&) {
    return false;
  }
}

}  // namespace

bool is_crossed(const CrossProducts& products) {
  return products.terms.size() > 1 &&
         std::all_of(products.terms.begin(), products.terms.end(),
                     [](const TermProducts& term) { return term.k == 1; });
}

MethodPlan plan_method(const CrossProducts& products, const MethodSettings& settings) {
  MethodPlan plan;
  std::vector<Index> offset{0};
  for (std::size_t t = 1; t < products.terms.size(); ++t)
    offset.push_back(offset.back() + products.terms[t].n_levels * products.terms[t].k);
  const double q = static_cast<double>(offset.back());
  plan.flops = q * q * q;
  plan.bytes = 8.0 * q * q;
  if (settings.method == Method::kIterative && !is_crossed(products))
    throw std::invalid_argument("method: iteration takes two or more terms of one column each");
  if (settings.method == Method::kExact || !is_crossed(products)) return plan;
  const double memory = settings.bytes > 0.0 ? settings.bytes : free_memory();
  const bool fits = plan.flops <= settings.flops && plan.bytes <= kMemoryShare * memory;
  plan.is_iterative = settings.method == Method::kIterative ||
                      !(fits || is_sparse_enough(products, offset, settings.flops));
  return plan;
}

}  // namespace ranef
