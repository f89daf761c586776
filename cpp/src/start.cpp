#include "ranef/start.hpp"

#include <algorithm>
#include <cmath>

namespace ranef {
namespace {

constexpr double kSmallest = 0.02;
constexpr double kLargest = 1e5;
// A start needs no more levels of a term than these; sums over a term go by the sample.
constexpr Index kSampled = 20000;

struct Sample {
  Index step, count;
  double weight;  // levels that each one stands for

  explicit Sample(Index n_levels)
      : step(std::max<Index>(1, n_levels / kSampled)),
        count((n_levels + step - 1) / step),
        weight(static_cast<double>(n_levels) / static_cast<double>(count)) {}
};

struct Component {
  std::size_t term;
  Index column;
};

// Z_a'X of the level l of a component, (p,).
auto fixed_row(const CrossProducts& products, const Component& a, Index l) {
  const TermProducts& term = products.terms[a.term];
  return term.xy.row(l * term.k + a.column).head(term.xy.cols() - 1);
}

// X'Z_a Z_a'X.
Matrix fixed_square(const CrossProducts& products, const Component& a) {
  const TermProducts& term = products.terms[a.term];
  const Index p = term.xy.cols() - 1;
  const Sample sample(term.n_levels);
  const Eigen::Map<const RowMatrix, 0, Eigen::OuterStride<>> rows(
      term.xy.data() + a.column * (p + 1), sample.count, p,
      Eigen::OuterStride<>(sample.step * term.k * (p + 1)));
  return sample.weight * (rows.transpose() * rows);
}

// sum over level pairs of A(l, m)^2 - 2 A(l, m) x_l'x_m / n for two components.
double crossed(const CrossProducts& products, const Component& a, const Component& b) {
  const double twice = 2.0 / static_cast<double>(products.n);
  double sum = 0.0;
  if (a.term == b.term) {
    const TermProducts& term = products.terms[a.term];
    const Sample sample(term.n_levels);
    for (Index l = 0; l < term.n_levels; l += sample.step) {
      const double v = term.own(b.column * term.k + a.column, l);
      sum += v * (v - twice * fixed_row(products, a, l).dot(fixed_row(products, b, l)));
    }
    return sample.weight * sum;
  }
  const PairProducts& pair = products.pairs[a.term][b.term - a.term - 1];
  const Index ks = products.terms[a.term].k;
  for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
    for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
      const double v = pair.value(b.column * ks + a.column, e);
      sum += v * (v - twice * fixed_row(products, a, l).dot(fixed_row(products, b, pair.level[e])));
    }
  return sum;
}

}  // namespace

MomentStart::MomentStart(const CrossProducts& products) : n_(static_cast<double>(products.n)) {
  const double n = n_;
  const Index p = products.gram.cols() - 1;
  std::vector<Component> components;
  std::vector<Matrix> XX;
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    k_.push_back(products.terms[t].k);
    for (Index j = 0; j < products.terms[t].k; ++j) {
      components.push_back({t, j});
      XX.push_back(fixed_square(products, components.back()) / n);
    }
  }
  const Index m = static_cast<Index>(components.size());
  Matrix G(m + 1, m + 1);
  mean_.resize(m);
  for (Index a = 0; a < m; ++a) {
    const TermProducts& term = products.terms[components[a].term];
    const Index column = components[a].column;
    const Sample sample(term.n_levels);
    const auto sizes = term.own.row(column * term.k + column);
    const double own = sample.weight * sizes(Eigen::seqN(0, sample.count, sample.step)).sum();
    mean_(a) = own / static_cast<double>(term.n_levels);
    G(a, m) = G(m, a) = own - XX[a].trace();
    for (Index b = a; b < m; ++b)
      G(a, b) = G(b, a) =
          crossed(products, components[a], components[b]) + (XX[a].array() * XX[b].array()).sum();
  }
  G(m, m) = n - static_cast<double>(p);
  system_.compute(G);
}

std::vector<Matrix> MomentStart::operator()(const std::vector<Vector>& zy) const {
  const Index m = mean_.size();
  Vector right(m + 1);
  Index a = 0;
  for (std::size_t t = 0; t < k_.size(); ++t)
    for (Index j = 0; j < k_[t]; ++j) {
      const Sample sample(zy[t].size() / k_[t]);
      double squares = 0.0;
      for (Index i = j; i < zy[t].size(); i += sample.step * k_[t]) squares += zy[t](i) * zy[t](i);
      right(a++) = sample.weight * squares;
    }
  right(m) = n_;
  const Vector phi = system_.solve(right);
  const double residual = std::max(phi(m), 1e-3);
  std::vector<Matrix> lambda;
  a = 0;
  for (Index k : k_) {
    lambda.push_back(Matrix::Zero(k, k));
    for (Index j = 0; j < k; ++j, ++a) {
      const double size = phi(a) / residual * mean_(a);
      const double kept = std::isfinite(size) ? std::clamp(size, kSmallest, kLargest) : 1.0;
      lambda.back()(j, j) = mean_(a) > 0.0 ? std::sqrt(kept / mean_(a)) : 1.0;
    }
  }
  return lambda;
}

}  // namespace ranef
