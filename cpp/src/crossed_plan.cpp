#include "ranef/crossed_plan.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "ranef/memory.hpp"

namespace ranef {
namespace {

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
                      !(fits || component_flops(products, offset) <= settings.flops);
  return plan;
}

}  // namespace ranef
