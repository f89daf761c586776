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

// W columns side by side, so that one look at a row's codes serves all of them, and no row in two
// lines of the cache. Plain loops: a compiler takes long over Eigen's expressions.
template <int W>
struct alignas(W * sizeof(double)) Row {
  double at[W] = {};
};
template <int W>
using Block = std::vector<Row<W>>;

// to += factor x
template <int W>
void add(double factor, const Row<W>& x, Row<W>& to) {
  for (int j = 0; j < W; ++j) to.at[j] += factor * x.at[j];
}

template <int W>
void divide(double by, Row<W>& x) {
  for (double& value : x.at) value /= by;
}

template <int W>
Row<W> gather(const Layout& layout, const Block<W>& a, Index i) {
  const std::int32_t* level = layout.level.data() + i * layout.rest;
  Row<W> sum = a[static_cast<std::size_t>(level[0])];
  for (Index k = 1; k < layout.rest; ++k) add(1.0, a[static_cast<std::size_t>(level[k])], sum);
  return sum;
}

template <int W>
void scatter(const Layout& layout, Index i, const Row<W>& value, Block<W>& out) {
  const std::int32_t* level = layout.level.data() + i * layout.rest;
  for (Index k = 0; k < layout.rest; ++k) add(1.0, value, out[static_cast<std::size_t>(level[k])]);
}

// out = D'W M_1 v, where v gives the W values of a sorted row.
template <int W, class Values>
void project(const Layout& layout, const Values& v, Block<W>& out) {
  std::fill(out.begin(), out.end(), Row<W>{});
  for (std::size_t l = 0; l + 1 < layout.start.size(); ++l) {
    Row<W> mean;
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) add<W>(layout.w(i), v(i), mean);
    if (layout.total[l] > 0.0) divide(layout.total[l], mean);
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      const Row<W> here = v(i);
      Row<W> value;
      for (int j = 0; j < W; ++j) value.at[j] = layout.w(i) * (here.at[j] - mean.at[j]);
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
  Block<W> a;  // (n_unknown,)
  Row<W> iterations;
  bool converged = true;
};

// Column sums of r * z.
template <int W>
Row<W> dots(const Block<W>& r, const Block<W>& z) {
  Row<W> sum;
  for (std::size_t i = 0; i < r.size(); ++i)
    for (int j = 0; j < W; ++j) sum.at[j] += r[i].at[j] * z[i].at[j];
  return sum;
}

// z = r / diagonal.
template <int W>
void precondition(const Block<W>& r, const Vector& diagonal, Block<W>& z) {
  for (std::size_t i = 0; i < r.size(); ++i)
    for (int j = 0; j < W; ++j) z[i].at[j] = r[i].at[j] / diagonal[static_cast<Index>(i)];
}

// Conjugate gradients for D'W M_1 D a = b, every column with its own steps.
template <int W>
Solution<W> solve(const Layout& layout, const Block<W>& b, const Row<W>& size, double tolerance,
                  int max_iterations) {
  const Vector diagonal = level_weights(layout);
  Solution<W> out;
  out.a.resize(b.size());
  Block<W> r = b, z(b.size()), s(b.size());
  precondition(r, diagonal, z);
  Block<W> p = z;
  Row<W> rz = dots(r, z);
  for (int iteration = 0;; ++iteration) {
    bool active[W], any = false;
    for (int j = 0; j < W; ++j) {
      active[j] = rz.at[j] > tolerance * tolerance * size.at[j];
      any = any || active[j];
    }
    if (!any) return out;
    pause();
    if (iteration == max_iterations) break;
    project<W>(layout, [&](Index i) { return gather<W>(layout, p, i); }, s);
    const Row<W> ps = dots(p, s);
    Row<W> step, turn;
    for (int j = 0; j < W; ++j) {
      out.iterations.at[j] += active[j];
      step.at[j] = active[j] && ps.at[j] != 0.0 ? rz.at[j] / ps.at[j] : 0.0;
    }
    for (std::size_t i = 0; i < r.size(); ++i)
      for (int j = 0; j < W; ++j) {
        out.a[i].at[j] += p[i].at[j] * step.at[j];
        r[i].at[j] -= s[i].at[j] * step.at[j];
      }
    precondition(r, diagonal, z);
    const Row<W> next = dots(r, z);
    for (int j = 0; j < W; ++j) {
      const double now = active[j] ? next.at[j] : rz.at[j];
      turn.at[j] = rz.at[j] != 0.0 ? now / rz.at[j] : 0.0;
      rz.at[j] = now;
    }
    for (std::size_t i = 0; i < r.size(); ++i)
      for (int j = 0; j < W; ++j) p[i].at[j] = z[i].at[j] + p[i].at[j] * turn.at[j];
  }
  out.converged = false;
  return out;
}

// Absorb the columns first to first + W - 1 of X (those that exist) into `out`.
template <int W>
void absorb_block(const Layout& layout, ConstMatrixRef X, CountsRef n_levels, Index first,
                  double tolerance, int max_iterations, Absorbed& out) {
  const Index width = std::min<Index>(W, X.cols() - first);
  Block<W> x(static_cast<std::size_t>(layout.n));
  Row<W> size;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (Index j = 0; j < width; ++j) {
      const double value = X(layout.order[i], first + j);
      x[i].at[j] = value;
      size.at[j] += layout.w(static_cast<Index>(i)) * value * value;
    }
  const auto row = [&x](Index i) -> Row<W>& { return x[static_cast<std::size_t>(i)]; };
  Solution<W> found;
  if (layout.rest > 0) {
    Block<W> b(static_cast<std::size_t>(layout.n_unknown));
    project<W>(layout, row, b);
    found = solve<W>(layout, b, size, tolerance, max_iterations);
    out.converged = out.converged && found.converged;
  }
  std::vector<Index> at(static_cast<std::size_t>(n_levels.size()) + 1, 0);
  for (Index k = 0; k < n_levels.size(); ++k) {
    at[static_cast<std::size_t>(k) + 1] = at[static_cast<std::size_t>(k)] + n_levels[k];
  }
  for (std::size_t l = 0; l + 1 < layout.start.size(); ++l) {
    Row<W> mean;
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      if (layout.rest > 0) add(-1.0, gather<W>(layout, found.a, i), row(i));
      add(layout.w(i), row(i), mean);
    }
    if (layout.total[l] > 0.0) divide(layout.total[l], mean);
    for (Index i = layout.start[l]; i < layout.start[l + 1]; ++i) {
      const Index to = layout.order[static_cast<std::size_t>(i)];
      for (Index j = 0; j < width; ++j) out.residual(to, first + j) = row(i).at[j] - mean.at[j];
    }
    const Index target = at[static_cast<std::size_t>(layout.eliminated)] + static_cast<Index>(l);
    for (Index j = 0; j < width; ++j) out.effects(target, first + j) = mean.at[j];
  }
  for (Index j = 0; j < width; ++j) {
    out.iterations[first + j] = static_cast<std::int32_t>(found.iterations.at[j]);
    for (std::size_t k = 0; k < layout.factor.size(); ++k) {
      const Index to = at[static_cast<std::size_t>(layout.factor[k])];
      for (Index l = 0; l < n_levels[layout.factor[k]]; ++l)
        out.effects(to + l, first + j) =
            found.a[static_cast<std::size_t>(layout.offset[k] + l)].at[j];
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
