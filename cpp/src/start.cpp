#include "ranef/start.hpp"

#include <algorithm>
#include <cmath>

namespace ranef {
namespace {

constexpr double kSmallest = 0.02;
constexpr double kLargest = 1e5;

struct Component {
  std::size_t term;
  Index column;
};

// Z_a'X rows of a component: row of level l is l * k + column.
RowMatrix fixed_rows(const TermProducts& term, Index column) {
  const Index p = term.xy.cols() - 1;
  RowMatrix out(term.n_levels, p);
  for (Index l = 0; l < term.n_levels; ++l) out.row(l) = term.xy.row(l * term.k + column).head(p);
  return out;
}

// sum over level pairs of A(l, m)^2 - 2 A(l, m) x_l'x_m / n for two components.
double crossed(const CrossProducts& products, const Component& a, const Component& b,
               const RowMatrix& Xa, const RowMatrix& Xb) {
  const double n = static_cast<double>(products.n);
  double sum = 0.0;
  if (a.term == b.term) {
    const TermProducts& term = products.terms[a.term];
    for (Index l = 0; l < term.n_levels; ++l) {
      const double v = term.own(b.column * term.k + a.column, l);
      sum += v * (v - 2.0 * Xa.row(l).dot(Xb.row(l)) / n);
    }
    return sum;
  }
  const PairProducts& pair = products.pairs[a.term][b.term - a.term - 1];
  const Index ks = products.terms[a.term].k;
  for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
    for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
      const double v = pair.value(b.column * ks + a.column, e);
      sum += v * (v - 2.0 * Xa.row(l).dot(Xb.row(pair.level[e])) / n);
    }
  return sum;
}

}  // namespace

std::vector<Matrix> moment_start(const CrossProducts& products) {
  const double n = static_cast<double>(products.n);
  const Index p = products.gram.cols() - 1;
  std::vector<Component> components;
  std::vector<RowMatrix> X;
  std::vector<Matrix> XX;
  for (std::size_t t = 0; t < products.terms.size(); ++t)
    for (Index j = 0; j < products.terms[t].k; ++j) {
      components.push_back({t, j});
      X.push_back(fixed_rows(products.terms[t], j));
      XX.push_back(X.back().transpose() * X.back() / n);
    }
  const Index m = static_cast<Index>(components.size());
  Matrix G(m + 1, m + 1);
  Vector right(m + 1), mean(m);
  for (Index a = 0; a < m; ++a) {
    const TermProducts& term = products.terms[components[a].term];
    const Index column = components[a].column;
    const double own = term.own.row(column * term.k + column).sum();
    mean(a) = own / static_cast<double>(term.n_levels);
    G(a, m) = G(m, a) = own - XX[a].trace();
    double squares = 0.0;
    for (Index l = 0; l < term.n_levels; ++l)
      squares += term.xy(l * term.k + column, p) * term.xy(l * term.k + column, p);
    right(a) = squares;
    for (Index b = a; b < m; ++b)
      G(a, b) = G(b, a) = crossed(products, components[a], components[b], X[a], X[b]) +
                          (XX[a].array() * XX[b].array()).sum();
  }
  G(m, m) = n - static_cast<double>(p);
  right(m) = n;
  const Vector phi = Eigen::ColPivHouseholderQR<Matrix>(G).solve(right);
  std::vector<Matrix> lambda;
  for (const TermProducts& term : products.terms) lambda.push_back(Matrix::Zero(term.k, term.k));
  const double residual = std::max(phi(m), 1e-3);
  for (Index a = 0; a < m; ++a) {
    const double size = phi(a) / residual * mean(a);
    const double kept = std::isfinite(size) ? std::clamp(size, kSmallest, kLargest) : 1.0;
    const Index j = components[a].column;
    lambda[components[a].term](j, j) = mean(a) > 0.0 ? std::sqrt(kept / mean(a)) : 1.0;
  }
  return lambda;
}

}  // namespace ranef
