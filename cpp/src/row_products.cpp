#include "ranef/row_products.hpp"

#include <algorithm>
#include <utility>

#include "ranef/threads.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// Where each row's levels meet among the blocks of a pair.
std::vector<std::int32_t> entries(const std::vector<std::int32_t>& s,
                                  const std::vector<std::int32_t>& t, const PairProducts& pair) {
  std::vector<std::int32_t> out(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto begin = pair.level.begin() + pair.start[s[i]];
    const auto end = pair.level.begin() + pair.start[s[i] + 1];
    out[i] = static_cast<std::int32_t>(std::lower_bound(begin, end, t[i]) - pair.level.begin());
  }
  return out;
}

// Rows that one thread takes as fast as several, and rows of a task.
constexpr Index kRowsAlone = 1 << 15, kRowsTask = 1 << 15;

// work(item) for each of `count` items of n rows each.
template <class Work>
void each_item(Index count, Index n, Work&& work) {
  if (n >= kRowsAlone) return each_task(count, work);
  for (Index item = 0; item < count; ++item) work(item);
}

// work(begin, end) for ranges of rows that do not depend on each other.
template <class Work>
void each_rows(Index n, Work&& work) {
  if (n < kRowsAlone || team_at_hand().size() == 1) return work(Index{0}, n);
  each_task((n + kRowsTask - 1) / kRowsTask,
            [&](Index task) { work(task * kRowsTask, std::min(n, (task + 1) * kRowsTask)); });
}

// blocks(:, code_i) += w_i z_i z_i'.
template <int K>
void add_own(const RowMatrix& z, const std::vector<std::int32_t>& codes,
             const Eigen::Ref<const Vector>& w, Matrix& blocks) {
  const Index k = K == Eigen::Dynamic ? z.cols() : K;
  for (Index i = 0; i < w.size(); ++i) {
    const double* row = z.data() + i * k;
    double* block = blocks.data() + codes[i] * k * k;
    for (Index b = 0; b < k; ++b)
      for (Index a = 0; a < k; ++a) block[b * k + a] += w(i) * row[a] * row[b];
  }
}

// First row of each level where rows stand in the order of their levels; empty where they do not.
std::vector<Index> level_starts(const std::vector<std::int32_t>& codes, Index n_levels) {
  if (!std::is_sorted(codes.begin(), codes.end())) return {};
  std::vector<Index> out(static_cast<std::size_t>(n_levels) + 1, 0);
  for (const std::int32_t code : codes) ++out[static_cast<std::size_t>(code) + 1];
  for (std::size_t l = 1; l < out.size(); ++l) out[l] += out[l - 1];
  return out;
}

using Segment = Eigen::Map<const Vector>;

// Columns up to which their products are taken one by one; rows that are worked on together.
constexpr Index kFewColumns = 6, kRowsTogether = 512;

// Levels that have fewer rows are not worth operations on whole arrays.
constexpr Index kSegment = 8;

double sum_of_products(const double* a, const double* b, Index count) {
  if (count >= kSegment) return Segment(a, count).dot(Segment(b, count));
  double sum = 0.0;
  for (Index i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

double sum_of_squares(const double* w, const double* z, Index count) {
  if (count >= kSegment)
    return (Segment(w, count).array() * Segment(z, count).array().square()).sum();
  double sum = 0.0;
  for (Index i = 0; i < count; ++i) sum += w[i] * z[i] * z[i];
  return sum;
}

// add_own for rows in the order of their levels.
template <int K>
void own_in_order(const RowMatrix& z, const std::vector<Index>& start, const double* w,
                  Matrix& blocks) {
  const Index k = K == Eigen::Dynamic ? z.cols() : K;
  for (Index l = 0; l + 1 < static_cast<Index>(start.size()); ++l) {
    const Index first = start[l], count = start[l + 1] - first;
    if constexpr (K == 1) {
      blocks(0, l) = sum_of_squares(w + first, z.data() + first, count);
    } else {
      Square<K> sum = Square<K>::Zero(k, k);
      for (Index i = first; i < first + count; ++i) {
        const double* row = z.data() + i * k;
        for (Index b = 0; b < k; ++b)
          for (Index a = 0; a < k; ++a) sum(a, b) += w[i] * row[a] * row[b];
      }
      Eigen::Map<Square<K>>(blocks.data() + l * k * k, k, k) = sum;
    }
  }
}

// Z_l'r of each level, rows in the order of their levels.
template <int K>
void transposed_in_order(const RowMatrix& z, const std::vector<Index>& start, const double* r,
                         double* out) {
  const Index k = K == Eigen::Dynamic ? z.cols() : K;
  for (Index l = 0; l + 1 < static_cast<Index>(start.size()); ++l) {
    const Index first = start[l], count = start[l + 1] - first;
    if constexpr (K == 1) {
      out[l] = sum_of_products(z.data() + first, r + first, count);
    } else {
      Column<K> sum = Column<K>::Zero(k);
      for (Index i = first; i < first + count; ++i)
        for (Index a = 0; a < k; ++a) sum(a) += r[i] * z.data()[i * k + a];
      Eigen::Map<Column<K>>(out + l * k, k) = sum;
    }
  }
}

// The same for rows in any order, added to `out`.
template <int K>
void add_transposed(const RowMatrix& z, const std::int32_t* codes, const double* r, double* out) {
  const Index k = K == Eigen::Dynamic ? z.cols() : K;
  for (Index i = 0; i < z.rows(); ++i)
    for (Index a = 0; a < k; ++a) out[codes[i] * k + a] += r[i] * z.data()[i * k + a];
}

// out_i += z_i'b of the row's level.
template <int K>
void add_multiplied(const RowMatrix& z, const std::int32_t* codes, const double* b, Index begin,
                    Index end, double* out) {
  const Index k = K == Eigen::Dynamic ? z.cols() : K;
  for (Index i = begin; i < end; ++i) {
    const double* of_level = b + codes[i] * k;
    double sum = 0.0;
    for (Index a = 0; a < k; ++a) sum += z.data()[i * k + a] * of_level[a];
    out[i] += sum;
  }
}

// The one column of each row that is not zero; empty where a row has several, or few columns.
std::vector<std::int32_t> only_columns(const RowMatrix& z) {
  if (z.cols() < 3) return {};
  std::vector<std::int32_t> out(static_cast<std::size_t>(z.rows()), 0);
  for (Index i = 0; i < z.rows(); ++i) {
    Index count = 0;
    for (Index a = 0; a < z.cols(); ++a)
      if (z(i, a) != 0.0) {
        out[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(a);
        if (++count > 1) return {};
      }
  }
  return out;
}

// visit(i, code * k + a, z_ia) of each row and its one column.
template <class Visit>
void each_only(const RowMatrix& z, const std::vector<std::int32_t>& codes,
               const std::vector<std::int32_t>& only, Visit&& visit) {
  const Index k = z.cols();
  for (std::size_t i = 0; i < only.size(); ++i)
    visit(static_cast<Index>(i), codes[i] * k + only[i],
          z.data()[static_cast<Index>(i) * k + only[i]]);
}

void add_pair(const RowMatrix& zs, const RowMatrix& zt, const std::vector<std::int32_t>& entry,
              const Eigen::Ref<const Vector>& w, Matrix& blocks) {
  const Index ks = zs.cols(), kt = zt.cols();
  for (Index i = 0; i < w.size(); ++i) {
    double* block = blocks.data() + entry[i] * ks * kt;
    for (Index b = 0; b < kt; ++b) {
      const double right = w(i) * zt(i, b);
      for (Index a = 0; a < ks; ++a) block[b * ks + a] += zs(i, a) * right;
    }
  }
}

// out_i += scale * zs_i'block zt_i.
template <int S, int T>
void add_bilinear(const RowMatrix& zs, const RowMatrix& zt, const std::vector<std::int32_t>& entry,
                  const Matrix& blocks, double scale, Index begin, Index end,
                  Eigen::Ref<Vector> out) {
  const Index ks = S == Eigen::Dynamic ? zs.cols() : S, kt = T == Eigen::Dynamic ? zt.cols() : T;
  for (Index i = begin; i < end; ++i) {
    const double* block = blocks.data() + entry[i] * ks * kt;
    double sum = 0.0;
    for (Index b = 0; b < kt; ++b)
      for (Index a = 0; a < ks; ++a)
        sum += zs.data()[i * ks + a] * block[b * ks + a] * zt.data()[i * kt + b];
    out(i) += scale * sum;
  }
}

}  // namespace

RowProducts::RowProducts(const Input& input, std::vector<RowMatrix> z) : z_(std::move(z)) {
  products_.n = input.n;
  products_.gram.setIdentity(1, 1);
  const std::size_t count = input.terms.size();
  predictor_.assign(count, 0);
  for (const RowMatrix& of_term : z_) only_.push_back(only_columns(of_term));
  for (const TermInput& term : input.terms) {
    codes_.emplace_back(term.codes, term.codes + input.n);
    const Index k = static_cast<Index>(term.columns.size());
    products_.terms.push_back({term.n_levels, k, Matrix::Zero(k * k, term.n_levels),
                               RowMatrix::Zero(k * term.n_levels, 1)});
  }
  Shifts unshifted;
  for (const TermInput& term : input.terms) unshifted.terms.emplace_back(term.columns.size());
  start_ = level_starts(codes_[0], products_.terms[0].n_levels);
  products_.pairs.resize(count);
  entry_.resize(count);
  for (std::size_t s = 0; s + 1 < count; ++s) {
    const LevelOrder order = order_by_level(input.terms[s], input.n);
    for (std::size_t t = s + 1; t < count; ++t) {
      products_.pairs[s].push_back(pair_products(input, unshifted, s, t, order));
      entry_[s].push_back(entries(codes_[s], codes_[t], products_.pairs[s].back()));
    }
  }
}

void RowProducts::assign(std::vector<int> predictor, int count) {
  predictor_ = std::move(predictor);
  n_predictors_ = count;
}

void RowProducts::renew(const Vector& weights) {
  renew_by([&](int, int) -> Eigen::Ref<const Vector> { return weights; });
}

void RowProducts::renew_pairs(const Matrix& weights) {
  renew_by([&](int a, int b) -> Eigen::Ref<const Vector> {
    return weights.col(a <= b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b);
  });
}

template <class Weights>
void RowProducts::renew_by(Weights weights) {
  const auto renew_own = [&](std::size_t t) {
    Matrix& own = products_.terms[t].own;
    const Eigen::Ref<const Vector> w = weights(predictor_[t], predictor_[t]);
    if (!only_[t].empty()) {
      const Index k = z_[t].cols();
      own.setZero();
      each_only(z_[t], codes_[t], only_[t],
                [&](Index i, Index at, double z) { own.data()[at * k + at % k] += w(i) * z * z; });
      return;
    }
    with_size(z_[t].cols(), [&](auto size) {
      if (t == 0 && !start_.empty())
        return own_in_order<decltype(size)::value>(z_[t], start_, w.data(), own);
      own.setZero();
      add_own<decltype(size)::value>(z_[t], codes_[t], w, own);
    });
  };
  std::vector<std::pair<std::size_t, std::size_t>> met;
  for (std::size_t s = 0; s < entry_.size(); ++s)
    for (std::size_t p = 0; p < entry_[s].size(); ++p) met.emplace_back(s, p);
  const Index pairs = static_cast<Index>(met.size()), terms = static_cast<Index>(z_.size());
  each_item(pairs + terms, products_.n, [&](Index item) {
    if (item >= pairs) return renew_own(static_cast<std::size_t>(item - pairs));
    const auto [s, p] = met[static_cast<std::size_t>(item)];
    const std::size_t t = s + 1 + p;
    Matrix& value = products_.pairs[s][p].value;
    value.setZero();
    add_pair(z_[s], z_[t], entry_[s][p], weights(predictor_[s], predictor_[t]), value);
  });
}

RowMatrix RowProducts::transposed_term(std::size_t t, const RowMatrix& rows) const {
  const Index k = z_[t].cols(), m = rows.cols();
  RowMatrix sum = RowMatrix::Zero(products_.terms[t].n_levels * k, m);
  for (Index i = 0; i < rows.rows(); ++i)
    for (Index a = 0; a < k; ++a) {
      double* to = sum.data() + (codes_[t][i] * k + a) * m;
      const double* from = rows.data() + i * m;
      for (Index j = 0; j < m; ++j) to[j] += z_[t](i, a) * from[j];
    }
  return sum;
}

std::vector<RowMatrix> RowProducts::transposed(const RowMatrix& rows) const {
  std::vector<RowMatrix> out(z_.size());
  each_item(static_cast<Index>(z_.size()), products_.n, [&](Index item) {
    const std::size_t t = static_cast<std::size_t>(item);
    out[t] = transposed_term(t, rows);
  });
  return out;
}

void RowProducts::transpose(const Vector& row, std::vector<RowMatrix>& out) const {
  out.resize(z_.size());
  each_item(static_cast<Index>(z_.size()), products_.n, [&](Index item) {
    const std::size_t t = static_cast<std::size_t>(item);
    const Index k = z_[t].cols();
    out[t].resize(products_.terms[t].n_levels * k, 1);
    double* sum = out[t].data();
    const bool in_order = t == 0 && !start_.empty();
    if (!only_[t].empty() || !in_order) out[t].setZero();
    if (!only_[t].empty())
      return each_only(z_[t], codes_[t], only_[t],
                       [&](Index i, Index at, double z) { sum[at] += z * row(i); });
    with_size(k, [&](auto size) {
      constexpr int K = decltype(size)::value;
      if (in_order) return transposed_in_order<K>(z_[t], start_, row.data(), sum);
      add_transposed<K>(z_[t], codes_[t].data(), row.data(), sum);
    });
  });
}

// Z'W X of some rows of a term, whose rows of W X stand in `block`.
void RowProducts::add_weighted(std::size_t t, const double* block, Index first, Index count,
                               Index p, RowMatrix& out) const {
  const Index k = z_[t].cols();
  const bool is_single = !only_[t].empty();
  for (Index i = 0; i < count; ++i) {
    const double *from = block + i * p, *z = z_[t].data() + (first + i) * k;
    const auto row = static_cast<std::size_t>(first + i);
    const Index begin = is_single ? only_[t][row] : 0, end = is_single ? begin + 1 : k;
    for (Index a = begin; a < end; ++a) {
      double* to = out.data() + (codes_[t][row] * k + a) * p;
      for (Index j = 0; j < p; ++j) to[j] += z[a] * from[j];
    }
  }
}

// The same of one column of the leading term and one of W X, rows in the order of their levels.
void RowProducts::add_levels(std::size_t level, const double* column, Index first, Index count,
                             Index j, RowMatrix& out) const {
  for (Index i = 0; i < count; ++level) {
    const Index end = std::min(count, start_[level + 1] - first);
    out(static_cast<Index>(level), j) +=
        sum_of_products(column + i, z_[0].data() + first + i, end - i);
    i = end;
  }
}

void RowProducts::weigh(const Matrix& X, const Vector& weights, std::vector<RowMatrix>& ZWX,
                        Matrix& XWX) const {
  const Index n = X.rows(), p = X.cols();
  XWX.setZero(p, p);
  ZWX.resize(z_.size());
  for (std::size_t t = 0; t < z_.size(); ++t)
    ZWX[t].setZero(products_.terms[t].n_levels * z_[t].cols(), p);
  const Index most = std::min(kRowsTogether, n);
  const bool in_order = !start_.empty() && z_[0].cols() == 1;
  RowMatrix block(most, p);
  Vector column(most);
  std::size_t begin = 0;  // level of the block's first row
  for (Index i = 0; i < n; i += kRowsTogether) {
    const Index count = std::min(kRowsTogether, n - i);
    auto some = column.head(count);
    while (in_order && start_[begin + 1] <= i) ++begin;
    for (Index j = 0; j < p; ++j) {
      some = weights.segment(i, count).cwiseProduct(X.col(j).segment(i, count));
      if (in_order) add_levels(begin, some.data(), i, count, j, ZWX[0]);
      if (!in_order || z_.size() > 1 || p > kFewColumns)
        for (Index r = 0; r < count; ++r) block.data()[r * p + j] = some(r);
      if (p > kFewColumns) continue;
      for (Index m = 0; m <= j; ++m) XWX(m, j) += X.col(m).segment(i, count).dot(some);
    }
    if (p > kFewColumns) XWX.noalias() += X.middleRows(i, count).transpose() * block.topRows(count);
    for (std::size_t t = in_order ? 1 : 0; t < z_.size(); ++t)
      add_weighted(t, block.data(), i, count, p, ZWX[t]);
  }
  if (p <= kFewColumns) XWX.triangularView<Eigen::StrictlyLower>() = XWX.transpose();
}

std::vector<RowMatrix> RowProducts::transposed_own(const Matrix& rows) const {
  std::vector<RowMatrix> out;
  for (std::size_t t = 0; t < z_.size(); ++t)
    out.push_back(transposed_term(t, rows.col(predictor_[t])));
  return out;
}

Matrix RowProducts::multiply_own(const std::vector<RowMatrix>& b) const {
  Matrix out = Matrix::Zero(products_.n, n_predictors_);
  for (std::size_t t = 0; t < z_.size(); ++t) {
    const Index k = z_[t].cols();
    double* to = out.col(predictor_[t]).data();
    for (Index i = 0; i < out.rows(); ++i) {
      const double* of_level = b[t].data() + codes_[t][i] * k;
      for (Index a = 0; a < k; ++a) to[i] += z_[t](i, a) * of_level[a];
    }
  }
  return out;
}

void RowProducts::multiply(const std::vector<RowMatrix>& b, Vector& out) const {
  out.resize(products_.n);
  each_rows(products_.n, [&](Index begin, Index end) {
    out.segment(begin, end - begin).setZero();
    for (std::size_t t = 0; t < z_.size(); ++t) {
      if (!only_[t].empty()) {
        const Index k = z_[t].cols();
        for (Index i = begin; i < end; ++i) {
          const Index at = codes_[t][i] * k + only_[t][i];
          out(i) += z_[t](i, only_[t][i]) * b[t].data()[at];
        }
        continue;
      }
      with_size(z_[t].cols(), [&](auto size) {
        add_multiplied<decltype(size)::value>(z_[t], codes_[t].data(), b[t].data(), begin, end,
                                              out.data());
      });
    }
  });
}

void RowProducts::apply(const std::vector<RowMatrix>& b, std::vector<RowMatrix>& out) const {
  out.resize(b.size());
  for (std::size_t t = 0; t < b.size(); ++t) {
    const TermProducts& A = products_.terms[t];
    const Index k = A.k;
    out[t].resize(b[t].rows(), 1);
    if (k == 1) {
      out[t].col(0) = A.own.row(0).transpose().cwiseProduct(b[t].col(0));
      continue;
    }
    if (!only_[t].empty()) {  // the blocks are diagonal
      for (Index at = 0; at < out[t].rows(); ++at)
        out[t](at, 0) = A.own.data()[at * k + at % k] * b[t](at, 0);
      continue;
    }
    for (Index l = 0; l < A.n_levels; ++l)
      out[t].col(0).segment(l * k, k) = Eigen::Map<const Matrix>(A.own.data() + l * k * k, k, k)
                                            .lazyProduct(b[t].col(0).segment(l * k, k));
  }
  for (std::size_t s = 0; s < products_.pairs.size(); ++s)
    for (std::size_t p = 0; p < products_.pairs[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      const PairProducts& pair = products_.pairs[s][p];
      const Index ks = products_.terms[s].k, kt = products_.terms[t].k;
      for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const double* block = pair.value.data() + e * ks * kt;
          const Index m = pair.level[e];
          for (Index c = 0; c < kt; ++c)
            for (Index a = 0; a < ks; ++a) {
              out[s](l * ks + a, 0) += block[c * ks + a] * b[t](m * kt + c, 0);
              out[t](m * kt + c, 0) += block[c * ks + a] * b[s](l * ks + a, 0);
            }
        }
    }
}

void RowProducts::quadratic(const std::vector<Matrix>& own,
                            const std::vector<std::vector<Matrix>>& pairs, Vector& out) const {
  out.setZero(products_.n);
  const auto add = [&](Index begin, Index end) {
    for (std::size_t t = 0; t < z_.size(); ++t) {
      const Index k = z_[t].cols();
      if (!only_[t].empty()) {
        for (Index i = begin; i < end; ++i) {
          const Index column = only_[t][i], at = codes_[t][i] * k + column;
          const double z = z_[t](i, column);
          out(i) += z * z * own[t].data()[at * k + at % k];
        }
        continue;
      }
      with_sizes(k, k, [&](auto one, auto other) {
        add_bilinear<decltype(one)::value, decltype(other)::value>(z_[t], z_[t], codes_[t], own[t],
                                                                   1.0, begin, end, out);
      });
    }
    for (std::size_t s = 0; s < entry_.size(); ++s)
      for (std::size_t p = 0; p < entry_[s].size(); ++p)
        with_sizes(z_[s].cols(), z_[s + 1 + p].cols(), [&](auto one, auto other) {
          add_bilinear<decltype(one)::value, decltype(other)::value>(
              z_[s], z_[s + 1 + p], entry_[s][p], pairs[s][p], 2.0, begin, end, out);
        });
  };
  each_rows(products_.n, add);
}

Matrix RowProducts::quadratic_pairs(const std::vector<Matrix>& own,
                                    const std::vector<std::vector<Matrix>>& pairs) const {
  Matrix out = Matrix::Zero(products_.n, n_predictors_ * (n_predictors_ + 1) / 2);
  const auto place = [](int a, int b) {
    return a <= b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b;
  };
  for (std::size_t t = 0; t < z_.size(); ++t)
    add_bilinear<Eigen::Dynamic, Eigen::Dynamic>(z_[t], z_[t], codes_[t], own[t], 1.0, 0,
                                                 out.rows(),
                                                 out.col(place(predictor_[t], predictor_[t])));
  for (std::size_t s = 0; s < entry_.size(); ++s)
    for (std::size_t p = 0; p < entry_[s].size(); ++p) {
      const int a = predictor_[s], b = predictor_[s + 1 + p];
      add_bilinear<Eigen::Dynamic, Eigen::Dynamic>(z_[s], z_[s + 1 + p], entry_[s][p], pairs[s][p],
                                                   a == b ? 2.0 : 1.0, 0, out.rows(),
                                                   out.col(place(a, b)));
    }
  return out;
}

}  // namespace ranef
