// How the leading term meets the others: A_12 Lambda_2, and what is done with it.
//
// The columns are those of the root: the random effects of all other terms, one after the other.
// Only the blocks that occur are stored. Where most do, large products take them in panels, a few
// levels written out densely at a time, so that no dense matrix of their size is ever held.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/interrupt.hpp"

namespace ranef {

constexpr Index kLevelsAtOnce = 64;  // between two pauses

class Coupling {
 public:
  Coupling() = default;
  // `pairs`: the leading term with each other term; `offset[t]`: the first root column of term t
  // + 1.
  Coupling(std::vector<PairProducts> pairs, const std::vector<Index>& offset,
           const std::vector<Index>& k_other, Index k, Index n_levels, Index n_root);

  bool is_dense() const { return dense_; }
  // Take other values of the same blocks.
  void renew(const std::vector<PairProducts>& pairs);

  // Blocks of each pair (k * k_t, nnz), like PairProducts::value, from one column for each entry.
  void split(const Matrix& columns,       // (k, nnz)
             std::vector<Matrix>& blocks  // by term of the root, out
  ) const;

  // From now on entries are updated one by one, as for_each_downdate and for_each_quadratic need.
  void use_entries();
  Index nonzeros() const { return static_cast<Index>(index_.size()); }
  Index start(Index level) const { return start_[level]; }
  std::int32_t column(Index entry) const { return index_[entry]; }
  Index n_levels() const { return static_cast<Index>(start_.size()) - 1; }
  Index k() const { return k_; }

  // Take scaled = A_12 Lambda_2 from now on, where lambda[t] is the factor of the root's term t.
  void scale(const std::vector<Matrix>& lambda);

  // out += scaled' rows.
  void add_transposed(const RowMatrix& rows,  // (q_1, m)
                      RowMatrix& out          // (q_2, m)
  ) const;

  // take(column, value) for the entries of scaled_l' row of one level, `row` of length k.
  template <class Take>
  void for_level(Index level, const double* row, Take&& take) const;

  // rows -= scaled U.
  void subtract(const RowMatrix& U,  // (q_2, m)
                RowMatrix& rows      // (q_1, m)
  ) const;

  // Arrange for downdate() and quadratic(), which go through the entries column by column.
  void order_by_column();

  // Omega <- Omega - scaled' K scaled, lower triangle.
  void downdate(const Matrix& K,  // (k * k, l)
                MatrixRef Omega   // (q_2, q_2)
  );

  // The same through update(column_i, column_j, value) for each pair i >= j of each level, level by
  // level.
  template <class Update>
  void for_each_downdate(const Matrix& K, Update&& update) const;

  // G_l = scaled_l D scaled_l' for each level (k * k, l), D symmetric of which the lower triangle
  // is read.
  void quadratic(const MatrixRef& D, Matrix& G);

  // The columns of scaled_l D at the entries of each level (k, nnz), and G as of quadratic().
  void multiply(const MatrixRef& D, Matrix& product, Matrix& G);

  // The same where D is read by entry(i, j), in the order of for_each_downdate.
  template <class Entry>
  void for_each_product(Entry&& entry, Matrix& product, Matrix& G) const;

  // The same where D is read by entry(i, j), in the order of for_each_downdate.
  template <class Entry>
  void for_each_quadratic(Entry&& entry, Matrix& G) const;

 private:
  bool dense_ = false;
  Index k_ = 0, n_root_ = 0;
  std::vector<Index> start_;         // (l + 1,)
  std::vector<std::int32_t> index_;  // (nnz,) root columns, ascending within a level
  std::vector<Index> offset_, k_other_;
  std::vector<Index> column_start_;         // (n_root + 1,)
  std::vector<std::int32_t> column_level_;  // (nnz,) levels of a column, ascending
  std::vector<Index> column_entry_;         // (nnz,) their entries
  std::vector<Index> part_start_;           // (parts + 1,) columns of tasks
  Index n_sums_ = 1;                        // of quadratic_by_column
  Matrix value_, scaled_;                   // (k, nnz); dense: scaled_ is empty
  mutable std::vector<double> pair_work_;   // (k,)
  mutable std::vector<double> root_work_;   // (q_2 * m,)
  std::vector<Matrix> lambda_;              // dense: (k_t, k_t) of each root term
  RowMatrix panel_, work_;                  // dense: (levels * k, q_2)

  void take(PairProducts pair, Index k_other);
  void gather(const std::vector<PairProducts>& pairs);
  Index fill_panel(Index first);
  void scale_rows(bool transposed, Eigen::Ref<RowMatrix> rows) const;
  Eigen::Map<RowMatrix> root_rows(Index m) const;
  void divide_columns();
  Index n_parts() const { return static_cast<Index>(part_start_.size()) - 1; }
  void downdate_by_column(const Matrix& K, MatrixRef Omega);
  void quadratic_by_column(const MatrixRef& D, Matrix& G) const;
  void close_products(const Matrix& product, Matrix& G) const;
  template <class Block>
  void for_each_block(Block&& block) const;
};

template <class Take>
void Coupling::for_level(Index level, const double* row, Take&& take) const {
  const Matrix& entry = dense_ ? value_ : scaled_;
  const auto product = [&](Index e) {
    double sum = 0.0;
    for (Index i = 0; i < k_; ++i) sum += entry(i, e) * row[i];
    return sum;
  };
  std::size_t t = 0;
  for (Index e = start_[level]; e < start_[level + 1];) {
    if (!dense_) {
      take(index_[e], product(e));
      ++e;
      continue;
    }
    while (t + 1 < offset_.size() && index_[e] >= offset_[t + 1]) ++t;
    const Index k = k_other_[t];
    for (Index j = 0; j < k; ++j) {  // lambda is lower triangular
      double sum = 0.0;
      for (Index r = j; r < k; ++r) sum += product(e + r) * lambda_[t](r, j);
      take(index_[e + j], sum);
    }
    e += k;
  }
}

template <class Update>
void Coupling::for_each_downdate(const Matrix& K, Update&& update) const {
  const Index k = k_;
  std::vector<double>& w = pair_work_;
  for (Index l = 0; l < n_levels(); ++l) {
    if (l % kLevelsAtOnce == 0) pause();
    const double* kl = K.data() + l * k * k;
    for (Index a = start_[l]; a < start_[l + 1]; ++a) {
      const double* va = scaled_.data() + a * k;
      for (Index i = 0; i < k; ++i) {
        w[i] = 0.0;
        for (Index r = 0; r < k; ++r) w[i] += kl[r * k + i] * va[r];
      }
      for (Index b = a; b < start_[l + 1]; ++b) {
        const double* vb = scaled_.data() + b * k;
        double sum = 0.0;
        for (Index i = 0; i < k; ++i) sum += w[i] * vb[i];
        update(index_[b], index_[a], sum);
      }
    }
  }
}

template <class Entry>
void Coupling::for_each_quadratic(Entry&& entry, Matrix& G) const {
  const Index k = k_;
  G.setZero(k * k, n_levels());
  std::vector<double>& w = pair_work_;
  for (Index l = 0; l < n_levels(); ++l) {
    if (l % kLevelsAtOnce == 0) pause();
    double* g = G.data() + l * k * k;
    for (Index a = start_[l]; a < start_[l + 1]; ++a) {
      const double* va = scaled_.data() + a * k;
      const double half = 0.5 * entry(index_[a], index_[a]);
      for (Index i = 0; i < k; ++i) w[i] = half * va[i];
      for (Index b = a + 1; b < start_[l + 1]; ++b) {
        const double d = entry(index_[b], index_[a]);
        const double* vb = scaled_.data() + b * k;
        for (Index i = 0; i < k; ++i) w[i] += d * vb[i];
      }
      for (Index j = 0; j < k; ++j)
        for (Index i = 0; i < k; ++i) g[j * k + i] += va[i] * w[j] + w[i] * va[j];
    }
  }
}

template <class Entry>
void Coupling::for_each_product(Entry&& entry, Matrix& product, Matrix& G) const {
  product.setZero(k_, nonzeros());
  for (Index l = 0; l < n_levels(); ++l)
    for (Index a = start_[l]; a < start_[l + 1]; ++a)
      for (Index b = a; b < start_[l + 1]; ++b) {
        const double d = entry(index_[b], index_[a]);
        product.col(a) += d * scaled_.col(b);
        if (b != a) product.col(b) += d * scaled_.col(a);
      }
  close_products(product, G);
}

}  // namespace ranef
