#include "ranef/absorb.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

using Codes = std::vector<std::int32_t>;

// The rows in order of the eliminated factor, with the codes of the others laid side by side.
struct Layout {
  Index n = 0;
  Index rest = 0;              // number of factors that are not eliminated
  Index n_unknown = 0;         // their levels in all
  Index eliminated = 0;        // position of the eliminated factor
  std::vector<Index> start;    // (levels of the eliminated factor + 1,)
  std::vector<Index> order;    // (n,) row of X at each place
  Codes level;                 // (n * rest,) offset into the unknowns
  std::vector<double> weight;  // (n,), empty when all are one
  std::vector<double> total;   // (levels of the eliminated factor,) sum of weights
  std::vector<Index> factor;   // (rest,) position of each remaining factor
  std::vector<Index> offset;   // (rest,) its first unknown

  double w(Index i) const { return weight.empty() ? 1.0 : weight[static_cast<std::size_t>(i)]; }
};

void check(ConstMatrixRef X, CodesMatrixRef codes, CountsRef n_levels, ConstVectorRef weights) {
  if (codes.rows() != X.rows()) throw std::invalid_argument("codes: one row for each row of X");
  if (n_levels.size() != codes.cols() || codes.cols() == 0) {
    throw std::invalid_argument("n_levels: one entry for each column of codes");
  }
  if (weights.size() != 0 && weights.size() != X.rows()) {
    throw std::invalid_argument("weights: one entry for each row of X, or none");
  }
  for (Index k = 0; k < codes.cols() && codes.rows() > 0; ++k) {
    if (codes.col(k).minCoeff() < 0 || codes.col(k).maxCoeff() >= n_levels[k]) {
      throw std::invalid_argument("codes: an entry is outside 0 to n_levels - 1");
    }
  }
}

void sort_rows(CodesMatrixRef codes, Index levels, Layout& layout) {
  const auto key = codes.col(layout.eliminated);
  layout.start.assign(static_cast<std::size_t>(levels) + 1, 0);
  for (Index i = 0; i < layout.n; ++i) ++layout.start[static_cast<std::size_t>(key[i]) + 1];
  std::partial_sum(layout.start.begin(), layout.start.end(), layout.start.begin());
  std::vector<Index> next(layout.start.begin(), layout.start.end() - 1);
  layout.order.resize(static_cast<std::size_t>(layout.n));
  for (Index i = 0; i < layout.n; ++i) {
    layout.order[static_cast<std::size_t>(next[static_cast<std::size_t>(key[i])]++)] = i;
  }
}

Layout lay_out(CodesMatrixRef codes, CountsRef n_levels, ConstVectorRef weights) {
  Layout layout;
  layout.n = codes.rows();
  layout.rest = codes.cols() - 1;
  n_levels.maxCoeff(&layout.eliminated);
  sort_rows(codes, n_levels[layout.eliminated], layout);
  for (Index k = 0; k < codes.cols(); ++k) {
    if (k == layout.eliminated) continue;
    layout.factor.push_back(k);
    layout.offset.push_back(layout.n_unknown);
    layout.n_unknown += n_levels[k];
  }
  layout.level.resize(static_cast<std::size_t>(layout.n * layout.rest));
  if (weights.size() > 0) layout.weight.resize(static_cast<std::size_t>(layout.n));
  for (Index i = 0; i < layout.n; ++i) {
    const Index row = layout.order[static_cast<std::size_t>(i)];
    for (Index k = 0; k < layout.rest; ++k) {
      const auto at = static_cast<std::size_t>(k);
      layout.level[static_cast<std::size_t>(i * layout.rest + k)] =
          codes(row, layout.factor[at]) + static_cast<std::int32_t>(layout.offset[at]);
    }
    if (weights.size() > 0) layout.weight[static_cast<std::size_t>(i)] = weights[row];
  }
  const auto levels = layout.start.size() - 1;
  layout.total.assign(levels, 0.0);
  for (std::size_t l = 0; l < levels; ++l) {
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) layout.total[l] += layout.w(i);
  }
  return layout;
}

// W columns side by side, so that one look at a row's codes serves all of them.
template <int W>
using Block = Eigen::Array<double, Eigen::Dynamic, W, W == 1 ? Eigen::ColMajor : Eigen::RowMajor>;
template <int W>
using Row = Eigen::Array<double, 1, W>;

template <int W>
Row<W> gather(const Layout& layout, const Block<W>& a, Index i) {
  const std::int32_t* level = layout.level.data() + i * layout.rest;
  Row<W> sum = a.row(level[0]);
  for (Index k = 1; k < layout.rest; ++k) sum += a.row(level[k]);
  return sum;
}

template <int W>
void scatter(const Layout& layout, Index i, const Row<W>& value, Block<W>& out) {
  const std::int32_t* level = layout.level.data() + i * layout.rest;
  for (Index k = 0; k < layout.rest; ++k) out.row(level[k]) += value;
}

// out = D'W M_1 v, where v gives the W values of a sorted row.
template <int W, class Values>
void project(const Layout& layout, const Values& v, Block<W>& out) {
  out.setZero();
  for (std::size_t l = 0; l + 1 < layout.start.size(); ++l) {
    Row<W> mean = Row<W>::Zero();
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) mean += layout.w(i) * v(i);
    if (layout.total[l] > 0.0) mean /= layout.total[l];
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      const Row<W> value = layout.w(i) * (v(i) - mean);
      scatter<W>(layout, i, value, out);
    }
  }
}

Vector level_weights(const Layout& layout) {
  Vector out = Vector::Zero(layout.n_unknown);
  for (Index i = 0; i < layout.n; ++i) {
    for (Index k = 0; k < layout.rest; ++k) {
      out[layout.level[static_cast<std::size_t>(i * layout.rest + k)]] += layout.w(i);
    }
  }
  return (out.array() > 0.0).select(out, 1.0);
}

template <int W>
struct Solution {
  Block<W> a;  // (n_unknown, W)
  Row<W> iterations = Row<W>::Zero();
  bool converged = true;
};

template <int W>
Row<W> divide(const Row<W>& a, const Row<W>& b) {
  return (b != 0.0).select(a / (b == 0.0).select(Row<W>::Ones(), b), Row<W>::Zero());
}

// Conjugate gradients for D'W M_1 D a = b, every column with its own steps.
template <int W>
Solution<W> solve(const Layout& layout, const Block<W>& b, const Row<W>& size, double tolerance,
                  int max_iterations) {
  const Index q = layout.n_unknown;
  const Vector diagonal = level_weights(layout);
  Solution<W> out;
  out.a = Block<W>::Zero(q, b.cols());
  Block<W> r = b, z(q, W), p(q, W), s(q, W);
  const auto precondition = [&] { z = r.colwise() / diagonal.array(); };
  precondition();
  p = z;
  Row<W> rz = (r * z).colwise().sum();
  const Row<W> goal = tolerance * tolerance * size;
  for (int iteration = 0; (rz > goal).any(); ++iteration) {
    pause();
    if (iteration == max_iterations) {
      out.converged = false;
      break;
    }
    const Row<W> active = (rz > goal).select(Row<W>::Ones(), Row<W>::Zero());
    out.iterations += active;
    project<W>(layout, [&](Index i) { return gather<W>(layout, p, i); }, s);
    const Row<W> step = active * divide<W>(rz, (p * s).colwise().sum());
    out.a += p.rowwise() * step;
    r -= s.rowwise() * step;
    precondition();
    const Row<W> next = (active > 0.0).select(Row<W>((r * z).colwise().sum()), rz);
    p = z + (p.rowwise() * divide<W>(next, rz)).eval();
    rz = next;
  }
  return out;
}

// Absorb the columns first to first + W - 1 of X (those that exist) into `out`.
template <int W>
void absorb_block(const Layout& layout, ConstMatrixRef X, CountsRef n_levels, Index first,
                  double tolerance, int max_iterations, Absorbed& out) {
  const Index width = std::min<Index>(W, X.cols() - first);
  Block<W> x = Block<W>::Zero(layout.n, W);
  Row<W> size = Row<W>::Zero();
  for (Index i = 0; i < layout.n; ++i) {
    for (Index j = 0; j < width; ++j) {
      x(i, j) = X(layout.order[static_cast<std::size_t>(i)], first + j);
    }
    size += layout.w(i) * x.row(i).square();
  }
  Solution<W> found;
  if (layout.rest > 0) {
    Block<W> b(layout.n_unknown, W);
    project<W>(layout, [&](Index i) { return Row<W>(x.row(i)); }, b);
    found = solve<W>(layout, b, size, tolerance, max_iterations);
    out.converged = out.converged && found.converged;
  }
  std::vector<Index> at(static_cast<std::size_t>(n_levels.size()) + 1, 0);
  for (Index k = 0; k < n_levels.size(); ++k) {
    at[static_cast<std::size_t>(k) + 1] = at[static_cast<std::size_t>(k)] + n_levels[k];
  }
  for (std::size_t l = 0; l + 1 < layout.start.size(); ++l) {
    Row<W> mean = Row<W>::Zero();
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      if (layout.rest > 0) x.row(i) -= gather<W>(layout, found.a, i);
      mean += layout.w(i) * x.row(i);
    }
    if (layout.total[l] > 0.0) mean /= layout.total[l];
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      const Row<W> rest = x.row(i) - mean;
      const Index row = layout.order[static_cast<std::size_t>(i)];
      for (Index j = 0; j < width; ++j) out.residual(row, first + j) = rest[j];
    }
    const Index target = at[static_cast<std::size_t>(layout.eliminated)] + static_cast<Index>(l);
    for (Index j = 0; j < width; ++j) out.effects(target, first + j) = mean[j];
  }
  for (Index j = 0; j < width; ++j) {
    out.iterations[first + j] = static_cast<std::int32_t>(found.iterations[j]);
    for (std::size_t k = 0; k < layout.factor.size(); ++k) {
      const Index count = n_levels[layout.factor[k]];
      out.effects.col(first + j).segment(at[static_cast<std::size_t>(layout.factor[k])], count) =
          found.a.col(j).segment(layout.offset[k], count).matrix();
    }
  }
}

}  // namespace

Absorbed absorb(ConstMatrixRef X, CodesMatrixRef codes, CountsRef n_levels, ConstVectorRef weights,
                double tolerance, int max_iterations) {
  check(X, codes, n_levels, weights);
  const Layout layout = lay_out(codes, n_levels, weights);
  Absorbed out;
  out.residual.resize(X.rows(), X.cols());
  out.effects.resize(n_levels.cast<Index>().sum(), X.cols());
  out.iterations.setZero(X.cols());
  for (Index first = 0; first < X.cols();) {
    const Index left = X.cols() - first;
    if (left > 2) {
      absorb_block<4>(layout, X, n_levels, first, tolerance, max_iterations, out);
      first += 4;
    } else if (left == 2) {
      absorb_block<2>(layout, X, n_levels, first, tolerance, max_iterations, out);
      first += 2;
    } else {
      absorb_block<1>(layout, X, n_levels, first, tolerance, max_iterations, out);
      first += 1;
    }
  }
  return out;
}

Index count_components(CodesMatrixRef codes, CountsRef n_levels) {
  if (codes.cols() != 2 || n_levels.size() != 2) {
    throw std::invalid_argument("codes, n_levels: two factors");
  }
  std::vector<Index> parent(static_cast<std::size_t>(n_levels.cast<Index>().sum()));
  std::iota(parent.begin(), parent.end(), Index{0});
  const auto root = [&parent](Index v) {
    while (parent[static_cast<std::size_t>(v)] != v) {
      auto& up = parent[static_cast<std::size_t>(v)];
      up = parent[static_cast<std::size_t>(up)];
      v = up;
    }
    return v;
  };
  Index components = static_cast<Index>(parent.size());
  for (Index i = 0; i < codes.rows(); ++i) {
    const Index a = root(codes(i, 0)), b = root(n_levels[0] + codes(i, 1));
    if (a == b) continue;
    parent[static_cast<std::size_t>(b)] = a;
    --components;
  }
  return components;
}

}  // namespace ranef
