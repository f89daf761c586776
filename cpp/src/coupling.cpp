#include "ranef/coupling.hpp"

#include <algorithm>
#include <numeric>

namespace ranef {
namespace {

// Above this share of entries a large product beats scattered updates.
constexpr double kDenseShare = 0.15;

}  // namespace

Coupling::Coupling(const std::vector<PairProducts>& pairs, const std::vector<Index>& offset,
                   const std::vector<Index>& k_other, Index k, Index n_levels, Index n_root)
    : k_(k),
      n_root_(n_root),
      start_(n_levels + 1, 0),
      offset_(offset),
      k_other_(k_other),
      pair_work_(k) {
  for (std::size_t t = 0; t < pairs.size(); ++t)
    for (Index l = 0; l < n_levels; ++l)
      start_[l + 1] += (pairs[t].start[l + 1] - pairs[t].start[l]) * k_other[t];
  std::partial_sum(start_.begin(), start_.end(), start_.begin());
  index_.resize(start_[n_levels]);
  value_.resize(k, start_[n_levels]);
  std::vector<Index> next(start_.begin(), start_.end() - 1);
  for (std::size_t t = 0; t < pairs.size(); ++t)
    for (Index l = 0; l < n_levels; ++l)
      for (Index e = pairs[t].start[l]; e < pairs[t].start[l + 1]; ++e)
        for (Index j = 0; j < k_other[t]; ++j) {
          const Index at = next[l]++;
          index_[at] = static_cast<std::int32_t>(offset[t] + pairs[t].level[e] * k_other[t] + j);
          value_.col(at) = pairs[t].value.col(e).segment(j * k, k);
        }
  const double cells = static_cast<double>(n_levels) * static_cast<double>(n_root);
  dense_ = n_root > 0 && static_cast<double>(nonzeros()) > kDenseShare * cells;
  if (dense_)
    fill_dense();
  else
    scaled_ = value_;
}

void Coupling::fill_dense() {
  Matrix full = Matrix::Zero(n_levels() * k_, n_root_);
  for (Index l = 0; l < n_levels(); ++l)
    for (Index e = start_[l]; e < start_[l + 1]; ++e)
      full.col(index_[e]).segment(l * k_, k_) = value_.col(e);
  value_ = std::move(full);
  scaled_ = value_;
  work_.resize(value_.rows(), n_root_);
}

// Runs of columns that belong to one level of one root term: block(term, first column or entry).
template <class Block>
void Coupling::for_each_block(Block&& block) const {
  if (dense_) {
    for (std::size_t t = 0; t < offset_.size(); ++t) {
      const Index stop = t + 1 < offset_.size() ? offset_[t + 1] : n_root_;
      for (Index j = offset_[t]; j < stop; j += k_other_[t]) block(t, j);
    }
    return;
  }
  for (Index l = 0; l < n_levels(); ++l) {
    std::size_t t = 0;
    for (Index e = start_[l]; e < start_[l + 1]; e += k_other_[t]) {
      while (t + 1 < offset_.size() && index_[e] >= offset_[t + 1]) ++t;
      block(t, e);
    }
  }
}

void Coupling::scale(const std::vector<Matrix>& lambda) {
  const Index rows = value_.rows();
  for_each_block([&](std::size_t t, Index first) {
    const Index k = k_other_[t];
    if (k == 1) {
      scaled_.col(first) = lambda[t](0, 0) * value_.col(first);
      return;
    }
    for (Index j = 0; j < k; ++j) {  // lambda is lower triangular
      double* out = scaled_.data() + (first + j) * rows;
      for (Index i = 0; i < rows; ++i) out[i] = 0.0;
      for (Index r = j; r < k; ++r) {
        const double factor = lambda[t](r, j);
        const double* in = value_.data() + (first + r) * rows;
        for (Index i = 0; i < rows; ++i) out[i] += factor * in[i];
      }
    }
  });
}

void Coupling::add_transposed(const RowMatrix& rows, RowMatrix& out) const {
  if (dense_) {
    out.noalias() += scaled_.transpose() * rows;
    return;
  }
  const Index m = rows.cols();
  for (Index l = 0; l < n_levels(); ++l)
    for (Index e = start_[l]; e < start_[l + 1]; ++e) {
      double* to = out.data() + index_[e] * m;
      for (Index i = 0; i < k_; ++i) {
        const double v = scaled_(i, e);
        const double* from = rows.data() + (l * k_ + i) * m;
        for (Index j = 0; j < m; ++j) to[j] += v * from[j];
      }
    }
}

void Coupling::subtract(const RowMatrix& U, RowMatrix& rows) const {
  if (dense_) {
    rows.noalias() -= scaled_ * U;
    return;
  }
  const Index m = rows.cols();
  for (Index l = 0; l < n_levels(); ++l)
    for (Index e = start_[l]; e < start_[l + 1]; ++e) {
      const double* from = U.data() + index_[e] * m;
      for (Index i = 0; i < k_; ++i) {
        const double v = scaled_(i, e);
        double* to = rows.data() + (l * k_ + i) * m;
        for (Index j = 0; j < m; ++j) to[j] -= v * from[j];
      }
    }
}

void Coupling::order_by_column() {
  if (dense_) return;
  column_start_.assign(n_root_ + 1, 0);
  for (const std::int32_t j : index_) ++column_start_[j + 1];
  std::partial_sum(column_start_.begin(), column_start_.end(), column_start_.begin());
  std::vector<Index> next(column_start_.begin(), column_start_.end() - 1);
  column_level_.resize(index_.size());
  column_entry_.resize(index_.size());
  for (Index l = 0; l < n_levels(); ++l)
    for (Index e = start_[l]; e < start_[l + 1]; ++e) {
      const Index at = next[index_[e]]++;
      column_level_[at] = static_cast<std::int32_t>(l);
      column_entry_[at] = e;
    }
}

// One column of Omega at a time stays in the nearest cache; the levels' entries stream past it.
void Coupling::downdate_by_column(const Matrix& K, MatrixRef Omega) {
  const Index k = k_;
  const std::int32_t* index = index_.data();
  const double* v = scaled_.data();
  std::vector<double>& w = pair_work_;
  for (Index j = 0; j < n_root_; ++j) {
    double* column = Omega.data() + j * Omega.outerStride();
    for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q) {
      const Index l = column_level_[q], a = column_entry_[q], stop = start_[l + 1];
      const double* kl = K.data() + l * k * k;
      if (k == 1) {
        const double factor = kl[0] * v[a];
        for (Index b = a; b < stop; ++b) column[index[b]] -= factor * v[b];
        continue;
      }
      for (Index i = 0; i < k; ++i) {
        w[i] = 0.0;
        for (Index r = 0; r < k; ++r) w[i] += kl[r * k + i] * v[a * k + r];
      }
      for (Index b = a; b < stop; ++b) {
        double sum = 0.0;
        for (Index i = 0; i < k; ++i) sum += w[i] * v[b * k + i];
        column[index[b]] -= sum;
      }
    }
  }
}

void Coupling::quadratic_by_column(const MatrixRef& D, Matrix& G) const {
  const Index k = k_;
  const std::int32_t* index = index_.data();
  const double* v = scaled_.data();
  std::vector<double>& w = pair_work_;
  G.setZero(k * k, n_levels());
  for (Index j = 0; j < n_root_; ++j) {
    const double* column = D.data() + j * D.outerStride();
    for (Index q = column_start_[j]; q < column_start_[j + 1]; ++q) {
      const Index l = column_level_[q], a = column_entry_[q], stop = start_[l + 1];
      double* g = G.data() + l * k * k;
      if (k == 1) {
        double sum = 0.5 * column[j] * v[a];
        for (Index b = a + 1; b < stop; ++b) sum += column[index[b]] * v[b];
        g[0] += 2.0 * v[a] * sum;
        continue;
      }
      for (Index i = 0; i < k; ++i) w[i] = 0.5 * column[j] * v[a * k + i];
      for (Index b = a + 1; b < stop; ++b)
        for (Index i = 0; i < k; ++i) w[i] += column[index[b]] * v[b * k + i];
      for (Index r = 0; r < k; ++r)
        for (Index i = 0; i < k; ++i) g[r * k + i] += v[a * k + i] * w[r] + w[i] * v[a * k + r];
    }
  }
}

void Coupling::downdate(const Matrix& K, MatrixRef Omega) {
  if (!dense_) return downdate_by_column(K, Omega);
  for (Index l = 0; l < n_levels(); ++l) {
    const Eigen::Map<const Matrix> Kl(K.data() + l * k_ * k_, k_, k_);
    if (k_ == 1)
      work_.row(l) = Kl(0, 0) * scaled_.row(l);
    else
      work_.middleRows(l * k_, k_).noalias() = Kl.lazyProduct(scaled_.middleRows(l * k_, k_));
  }
  Omega.triangularView<Eigen::Lower>() -= scaled_.transpose() * work_;
}

void Coupling::quadratic(const MatrixRef& D, Matrix& G) {
  if (!dense_) return quadratic_by_column(D, G);
  work_.noalias() = scaled_ * D.selfadjointView<Eigen::Lower>();
  G.resize(k_ * k_, n_levels());
  for (Index l = 0; l < n_levels(); ++l) {
    Eigen::Map<Matrix> Gl(G.data() + l * k_ * k_, k_, k_);
    Gl.noalias() =
        work_.middleRows(l * k_, k_).lazyProduct(scaled_.middleRows(l * k_, k_).transpose());
  }
}

}  // namespace ranef
