#include "ranef/crossed_graph.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ranef/interrupt.hpp"
#include "ranef/row_chunks.hpp"

namespace ranef {
namespace {

constexpr int kMaxIterations = 2000;

// Where a product goes: times a factor of each row, and as it is unless `raw` is null.
struct Target {
  double* out;
  const double* factor = nullptr;  // (rows,), or null for one
  double* raw = nullptr;
};

// Rows begin .. end - 1 of M columns of S in, from column `first` on.
template <int M, bool kOnes>
void multiply_rows(const SparseRows& S, const double* in, Index stride, const Target& to,
                   Index first, Index begin, Index end) {
  const std::int32_t* column = S.column.data();
  for (Index l = begin; l < end; ++l) {
    Eigen::Array<double, M, 1> sum = Eigen::Array<double, M, 1>::Zero();
    for (Index e = S.start[l]; e < S.start[l + 1]; ++e) {
      const Eigen::Map<const Eigen::Array<double, M, 1>> x(in + column[e] * stride + first);
      if constexpr (kOnes)
        sum += x;
      else
        sum += S.value[e] * x;
    }
    if (to.raw) Eigen::Map<Eigen::Array<double, M, 1>>(to.raw + l * stride + first) = sum;
    if (to.factor) sum *= to.factor[l];
    Eigen::Map<Eigen::Array<double, M, 1>>(to.out + l * stride + first) = sum;
  }
}

template <int M>
void multiply_rows(const SparseRows& S, const double* in, Index stride, const Target& to,
                   Index first, Index begin, Index end) {
  if (S.value.empty())
    multiply_rows<M, true>(S, in, stride, to, first, begin, end);
  else
    multiply_rows<M, false>(S, in, stride, to, first, begin, end);
}

// All m columns, as few passes over S as their number allows.
void multiply_panels(const SparseRows& S, const double* in, Index m, const Target& to, Index begin,
                     Index end) {
  Index first = 0;
  const auto pass = [&](auto size) {
    constexpr int M = decltype(size)::value;
    multiply_rows<M>(S, in, m, to, first, begin, end);
    first += M;
  };
  while (first < m) {
    const Index left = m - first;
    if (left >= 16)
      pass(std::integral_constant<int, 16>{});
    else if (left >= 12)
      pass(std::integral_constant<int, 12>{});
    else if (left >= 8)
      pass(std::integral_constant<int, 8>{});
    else if (left >= 6)
      pass(std::integral_constant<int, 6>{});
    else if (left == 5)
      pass(std::integral_constant<int, 5>{});
    else if (left == 4)
      pass(std::integral_constant<int, 4>{});
    else if (left == 3)
      pass(std::integral_constant<int, 3>{});
    else if (left == 2)
      pass(std::integral_constant<int, 2>{});
    else
      pass(std::integral_constant<int, 1>{});
  }
}

void drop_ones(SparseRows& S) {
  if (std::all_of(S.value.begin(), S.value.end(), [](double v) { return v == 1.0; }))
    std::vector<double>().swap(S.value);
}

SparseRows take(PairProducts& pair) {
  SparseRows S{std::move(pair.start), std::move(pair.level), {}};
  S.value.assign(pair.value.data(), pair.value.data() + pair.value.size());
  pair.value.resize(0, 0);
  drop_ones(S);
  return S;
}

// Where each entry of the transpose is among those of the rows.
std::vector<std::uint32_t> places(const SparseRows& rows, const SparseRows& columns) {
  std::vector<std::uint32_t> out(rows.column.size());
  std::vector<Index> next(columns.start.begin(), columns.start.end() - 1);
  for (std::size_t e = 0; e < out.size(); ++e)
    out[static_cast<std::size_t>(next[rows.column[e]]++)] = static_cast<std::uint32_t>(e);
  return out;
}

// Several couplings of the same leading term beside each other.
SparseRows beside(std::vector<PairProducts>& pairs, const std::vector<Index>& offset,
                  Index n_leading) {
  if (pairs.size() == 1) return take(pairs[0]);
  SparseRows S;
  S.start.assign(n_leading + 1, 0);
  for (Index l = 0; l < n_leading; ++l) {
    for (std::size_t t = 0; t < pairs.size(); ++t)
      for (Index e = pairs[t].start[l]; e < pairs[t].start[l + 1]; ++e) {
        S.column.push_back(static_cast<std::int32_t>(offset[t] + pairs[t].level[e]));
        S.value.push_back(pairs[t].value.data()[e]);
      }
    S.start[l + 1] = S.nonzeros();
  }
  pairs.clear();
  drop_ones(S);
  return S;
}

// The couplings within the root, both triangles.
SparseRows among(const CrossProducts& products, const std::vector<Index>& offset) {
  std::vector<std::vector<std::pair<std::int32_t, double>>> rows(offset.back());
  for (std::size_t s = 1; s < products.terms.size(); ++s)
    for (std::size_t t = s + 1; t < products.terms.size(); ++t) {
      const PairProducts& pair = products.pairs[s][t - s - 1];
      for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const Index i = offset[s - 1] + l, j = offset[t - 1] + pair.level[e];
          rows[i].emplace_back(static_cast<std::int32_t>(j), pair.value.data()[e]);
          rows[j].emplace_back(static_cast<std::int32_t>(i), pair.value.data()[e]);
        }
    }
  SparseRows S;
  S.start.assign(offset.back() + 1, 0);
  for (Index i = 0; i < offset.back(); ++i) {
    std::sort(rows[i].begin(), rows[i].end());
    for (const auto& [column, value] : rows[i]) {
      S.column.push_back(column);
      S.value.push_back(value);
    }
    S.start[i + 1] = S.nonzeros();
  }
  drop_ones(S);
  return S;
}

}  // namespace

Index SparseRows::find(Index row, Index of_column) const {
  const auto begin = column.begin() + start[row], end = column.begin() + start[row + 1];
  return std::lower_bound(begin, end, of_column) - column.begin();
}

SparseRows transpose(const SparseRows& S, Index columns) {
  SparseRows out;
  out.start.assign(columns + 1, 0);
  for (const std::int32_t j : S.column) ++out.start[j + 1];
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  std::vector<Index> next(out.start.begin(), out.start.end() - 1);
  out.column.resize(S.column.size());
  out.value.resize(S.value.size());
  for (Index l = 0; l < S.rows(); ++l)
    for (Index e = S.start[l]; e < S.start[l + 1]; ++e) {
      const Index at = next[S.column[e]]++;
      out.column[at] = static_cast<std::int32_t>(l);
      if (!S.value.empty()) out.value[at] = S.value[e];
    }
  return out;
}

static void multiply_to(Team& team, const SparseRows& S, const RowMatrix& in, const Target& to) {
  in_parts(
      team, S.rows(), static_cast<double>(S.nonzeros() * in.cols()),
      [&](Index begin, Index end) { multiply_panels(S, in.data(), in.cols(), to, begin, end); });
}

void multiply(Team& team, const SparseRows& S, const RowMatrix& in, RowMatrix& out) {
  out.resize(S.rows(), in.cols());
  multiply_to(team, S, in, {out.data()});
}

CrossedGraph::CrossedGraph(CrossProducts& products, int threads)
    : offset_{0}, team_(std::make_unique<Team>(threads)) {
  own1_ = products.terms[0].own.row(0).transpose();
  for (std::size_t t = 1; t < products.terms.size(); ++t)
    offset_.push_back(offset_.back() + products.terms[t].n_levels);
  own2_.resize(offset_.back());
  for (std::size_t t = 1; t < products.terms.size(); ++t)
    own2_.segment(offset_[t - 1], products.terms[t].n_levels) =
        products.terms[t].own.row(0).transpose();
  rows_ = beside(products.pairs[0], offset_, own1_.size());
  columns_ = transpose(rows_, own2_.size());
  if (products.terms.size() > 2) among_ = among(products, offset_);
  for (Index l = 0; l < rows_.rows(); ++l) {
    const double met = static_cast<double>(rows_.start[l + 1] - rows_.start[l]);
    entangled_ += met * met;
  }
}

// The order of entries is that of `beside`, `among` and `transpose`.
void CrossedGraph::renew(const CrossProducts& products) {
  own1_ = products.terms[0].own.row(0).transpose();
  for (std::size_t t = 1; t < products.terms.size(); ++t)
    own2_.segment(offset_[t - 1], products.terms[t].n_levels) =
        products.terms[t].own.row(0).transpose();
  const std::size_t entries = static_cast<std::size_t>(rows_.nonzeros());
  rows_.value.resize(entries);
  columns_.value.resize(entries);
  if (place_.empty()) place_ = places(rows_, columns_);
  const std::vector<PairProducts>& pairs = products.pairs[0];
  Index at = 0;
  if (pairs.size() == 1)
    std::copy_n(pairs[0].value.data(), entries, rows_.value.data());
  else
    for (Index l = 0; l < rows_.rows(); ++l)
      for (const PairProducts& pair : pairs)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e)
          rows_.value[at++] = pair.value.data()[e];
  in_parts(*team_, rows_.nonzeros(), static_cast<double>(entries), [&](Index begin, Index end) {
    for (Index e = begin; e < end; ++e) columns_.value[e] = rows_.value[place_[e]];
  });
  if (!has_root_pairs()) return;
  among_.value.resize(static_cast<std::size_t>(among_.nonzeros()));
  for (std::size_t s = 1; s < products.terms.size(); ++s)
    for (std::size_t t = s + 1; t < products.terms.size(); ++t) {
      const PairProducts& pair = products.pairs[s][t - s - 1];
      for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const Index i = offset_[s - 1] + l, j = offset_[t - 1] + pair.level[e];
          among_.value[among_.find(i, j)] = among_.value[among_.find(j, i)] = pair.value.data()[e];
        }
    }
}

void CrossedGraph::set(const std::vector<double>& lambda) {
  lambda_ = lambda;
  const double first = lambda[0] * lambda[0];
  d1_ = 1.0 + first * own1_.array();
  a2_ = first / d1_.array();
  d2_.resize(n_root());
  b_.resize(n_root());
  slope_b_.resize(n_root());
  for (std::size_t t = 1; t < lambda.size(); ++t) {
    const double Sigma = lambda[t] * lambda[t];
    for (Index m = offset_[t - 1]; m < offset_[t]; ++m) {
      d2_(m) = 1.0 + Sigma * own2_(m);
      b_(m) = lambda[t] / std::sqrt(d2_(m));
      slope_b_(m) = Sigma > 0.0 ? 0.5 / (Sigma * d2_(m)) : 0.0;
    }
  }
}

// scaled_ = B x.
void CrossedGraph::scale(const RowMatrix& x) const {
  scaled_.resize(x.rows(), x.cols());
  in_parts(*team_, x.rows(), static_cast<double>(x.size()), [&](Index begin, Index end) {
    scaled_.middleRows(begin, end - begin).array() =
        x.middleRows(begin, end - begin).array().colwise() * b_.segment(begin, end - begin).array();
  });
}

void CrossedGraph::leading(const RowMatrix& x, RowMatrix& w) const {
  pause();
  scale(x);
  multiply(*team_, rows_, scaled_, w);
}

void CrossedGraph::transposed(const RowMatrix& r, RowMatrix& out) const {
  pause();
  out.resize(n_root(), r.cols());
  multiply_to(*team_, columns_, r, {out.data(), b_.data()});
}

void CrossedGraph::within(const RowMatrix& x, RowMatrix& out) const {
  if (!has_root_pairs()) {
    out.setZero(x.rows(), x.cols());
    return;
  }
  multiply(*team_, among_, x, out);
}

void CrossedGraph::apply(const RowMatrix& x, GraphProduct& out) const {
  out.w.resize(n_leading(), x.cols());
  apply(x, out.w.data(), out.y);
}

void CrossedGraph::apply(const RowMatrix& x, double* w, RowMatrix& y) const {
  scale(x);
  apply_scaled(w, y);
}

// A product of the x whose B x is in scaled_.
void CrossedGraph::apply_scaled(double* w, RowMatrix& y) const {
  pause();
  const Index m = scaled_.cols();
  weighted_.resize(n_leading(), m);
  multiply_to(*team_, rows_, scaled_, {weighted_.data(), a2_.data(), w});
  y.resize(n_root(), m);
  if (!has_root_pairs()) {
    multiply_to(*team_, columns_, weighted_, {y.data(), b_.data()});
    return;
  }
  multiply_to(*team_, columns_, weighted_, {y.data()});
  multiply(*team_, among_, scaled_, weighted_);
  in_parts(*team_, n_root(), static_cast<double>(y.size()), [&](Index begin, Index end) {
    const auto b = b_.segment(begin, end - begin).array();
    auto rows = y.middleRows(begin, end - begin).array();
    rows = (rows - weighted_.middleRows(begin, end - begin).array()).colwise() * b;
  });
}

Vector CrossedGraph::dots(const RowMatrix& x, const RowMatrix& y) const {
  const Index m = x.cols();
  const double *left = x.data(), *right = y.data();
  return chunk_sums(*team_, x.rows(), m, static_cast<double>(x.size()),
                    [=](Index begin, Index end, double* sum) {
                      each_row(begin, end, m, sum, [=](auto size, Index at, Index) {
                        constexpr int M = decltype(size)::value;
                        return (ConstCells<M>(left + at) * ConstCells<M>(right + at)).eval();
                      });
                    });
}

double CrossedGraph::solve(const RowMatrix& B, double tolerance, RowMatrix& X, RowMatrix& R) const {
  return solve(B, Vector(Vector::Constant(B.cols(), tolerance)), X, R);
}

double CrossedGraph::solve(const RowMatrix& B, const Vector& tolerance, RowMatrix& X,
                           RowMatrix& R) const {
  const Index n = B.rows(), m = B.cols();
  const double cells = static_cast<double>(B.size());
  const Vector whole = dots(B, B);
  apply(X, nullptr, product_);
  R.resize(n, m);
  direction_.resize(n, m);
  double *x = X.data(), *r = R.data(), *d = direction_.data(), *p = product_.data();
  const double* right = B.data();
  Vector rr = chunk_sums(*team_, n, m, cells, [=](Index begin, Index end, double* sum) {
    each_row(begin, end, m, sum, [=](auto size, Index at, Index) {
      constexpr int M = decltype(size)::value;
      Cells<M> left(r + at);
      left = ConstCells<M>(right + at) - ConstCells<M>(x + at) + ConstCells<M>(p + at);
      Cells<M>(d + at) = left;
      return left.square().eval();
    });
  });
  const auto is_open = [&](Index j) { return rr(j) > tolerance(j) * tolerance(j) * whole(j); };
  const auto any_open = [&] {
    for (Index j = 0; j < rr.size(); ++j)
      if (is_open(j)) return true;
    return false;
  };
  Vector step(m), keep(m);
  scale(direction_);
  for (int i = 0; i < kMaxIterations && any_open(); ++i) {
    apply_scaled(nullptr, product_);
    const Vector curved = chunk_sums(*team_, n, m, cells, [=](Index begin, Index end, double* sum) {
      each_row(begin, end, m, sum, [=](auto size, Index at, Index) {
        constexpr int M = decltype(size)::value;
        const ConstCells<M> along(d + at);
        Cells<M> product(p + at);
        product = along - product;
        return (along * product).eval();
      });
    });
    for (Index j = 0; j < m; ++j) step(j) = is_open(j) && curved(j) > 0.0 ? rr(j) / curved(j) : 0.0;
    const Vector next =
        chunk_sums(*team_, n, m, cells, [=, by = step.data()](Index begin, Index end, double* sum) {
          each_row(begin, end, m, sum, [=](auto size, Index at, Index column) {
            constexpr int M = decltype(size)::value;
            const ConstCells<M> length(by + column);
            Cells<M>(x + at) += length * ConstCells<M>(d + at);
            Cells<M> left(r + at);
            left -= length * ConstCells<M>(p + at);
            return left.square().eval();
          });
        });
    for (Index j = 0; j < m; ++j) keep(j) = step(j) > 0.0 ? next(j) / rr(j) : 0.0;
    rr = next;
    if (!any_open()) break;
    in_parts(*team_, n, cells, [&](Index begin, Index end) {
      const auto rows = [=](RowMatrix& M) { return M.middleRows(begin, end - begin); };
      auto along = rows(direction_);
      along = along * keep.asDiagonal() + rows(R);
      rows(scaled_).noalias() = b_.segment(begin, end - begin).asDiagonal() * along;
    });
  }
  double ratio = 0.0;
  for (Index j = 0; j < rr.size(); ++j)
    if (whole(j) > 0.0) ratio = std::max(ratio, rr(j) / whole(j));
  return std::sqrt(ratio);
}

}  // namespace ranef
