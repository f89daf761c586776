#include "ranef/pedigree.hpp"

#include <algorithm>
#include <queue>
#include <stdexcept>
#include <utility>

#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

// Animals, parents first; shorter than all of them where there is a loop.
Animals parents_first(const Animals& sire, const Animals& dam) {
  const std::size_t n = sire.size();
  std::vector<std::size_t> start(n + 1, 0);
  Animals waits(n, 0);
  const auto each_parent = [&](std::size_t i, auto&& visit) {
    if (sire[i] >= 0) visit(sire[i]);
    if (dam[i] >= 0) visit(dam[i]);
  };
  for (std::size_t i = 0; i < n; ++i)
    each_parent(i, [&](std::int32_t p) { ++start[p + 1], ++waits[i]; });
  for (std::size_t i = 0; i < n; ++i) start[i + 1] += start[i];
  Animals offspring(start[n]);
  std::vector<std::size_t> at(start.begin(), start.end() - 1);
  for (std::size_t i = 0; i < n; ++i)
    each_parent(i, [&](std::int32_t p) { offspring[at[p]++] = static_cast<std::int32_t>(i); });
  Animals order;
  for (std::size_t i = 0; i < n; ++i)
    if (waits[i] == 0) order.push_back(static_cast<std::int32_t>(i));
  for (std::size_t next = 0; next < order.size(); ++next) {
    const std::int32_t p = order[next];
    for (std::size_t e = start[p]; e < start[p + 1]; ++e)
      if (--waits[offspring[e]] == 0) order.push_back(offspring[e]);
  }
  return order;
}

// Go from an animal that is its own ancestor, or descends from one, to parents of its kind until
// one comes again.
Animals find_loop(const Animals& sire, const Animals& dam, const Animals& order) {
  std::vector<char> free(sire.size(), 0);
  for (std::int32_t i : order) free[i] = 1;
  Animals path, seen(sire.size(), -1);
  auto i = static_cast<std::int32_t>(std::find(free.begin(), free.end(), 0) - free.begin());
  while (seen[i] < 0) {
    seen[i] = static_cast<std::int32_t>(path.size());
    path.push_back(i);
    i = sire[i] >= 0 && !free[sire[i]] ? sire[i] : dam[i];
  }
  path.erase(path.begin(), path.begin() + seen[i]);
  return path;
}

}  // namespace

// a_ii = sum over ancestors k of l_ik^2 d_k, A = L D L', each animal's l_i from its youngest
// ancestors to its oldest.
Ancestry trace_ancestry(const Animals& sire, const Animals& dam) {
  const std::size_t n = sire.size();
  if (dam.size() != n) throw std::invalid_argument("sire, dam: not one of each for each animal");
  for (std::size_t i = 0; i < n; ++i)
    if (sire[i] >= static_cast<std::int32_t>(n) || dam[i] >= static_cast<std::int32_t>(n))
      throw std::invalid_argument("sire, dam: no animal of this number");
  Ancestry out;
  const Animals order = parents_first(sire, dam);
  if (order.size() < n) {
    out.loop = find_loop(sire, dam, order);
    return out;
  }
  Animals place(n);
  for (std::size_t r = 0; r < n; ++r) place[order[r]] = static_cast<std::int32_t>(r);
  const auto of = [&](std::int32_t parent) { return parent < 0 ? -1 : place[parent]; };
  Vector F = Vector::Zero(n), D(n), share = Vector::Zero(n);  // in the order
  const auto inbreeding_of = [&](std::int32_t r) { return r < 0 ? -1.0 : F(r); };
  std::priority_queue<std::int32_t> left;
  std::pair<std::int32_t, std::int32_t> before{-1, -1};
  double known = 0.0;
  for (std::size_t r = 0; r < n; ++r) {
    if (r % 1024 == 0) pause();
    const std::int32_t i = order[r], s = of(sire[i]), d = of(dam[i]);
    D(r) = 0.5 - 0.25 * (inbreeding_of(s) + inbreeding_of(d));
    if (s < 0 || d < 0) continue;
    const std::pair<std::int32_t, std::int32_t> parents{std::min(s, d), std::max(s, d)};
    if (before == parents) {  // a full sib of the last one
      F(r) = known;
      continue;
    }
    double sum = D(r);
    const auto pass_on = [&](std::int32_t parent, double half) {
      if (parent < 0) return;
      if (share(parent) == 0.0) left.push(parent);
      share(parent) += half;
    };
    pass_on(s, 0.5);
    pass_on(d, 0.5);
    while (!left.empty()) {
      const std::int32_t k = left.top();
      left.pop();
      const double l = share(k);
      share(k) = 0.0;
      sum += l * l * D(k);
      pass_on(of(sire[order[k]]), 0.5 * l);
      pass_on(of(dam[order[k]]), 0.5 * l);
    }
    F(r) = known = sum - 1.0;
    before = parents;
  }
  out.inbreeding.resize(n);
  out.mendelian.resize(n);
  for (std::size_t r = 0; r < n; ++r) {
    out.inbreeding(order[r]) = F(r);
    out.mendelian(order[r]) = D(r);
  }
  return out;
}

}  // namespace ranef
