// Cross products of rows that stay, under weights that change: the pattern once, the values often.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/pls.hpp"

namespace ranef {

// Vectors of random effects are by term, RowMatrix (l_t * k_t, m), the k_t of a level together.
class RowProducts {
 public:
  // Levels and blocks of the input's terms; z holds each term's columns (n, k_t) as they are used.
  // Rows in the order of the first term's levels are added up faster.
  RowProducts(const Input& input, std::vector<RowMatrix> z);

  // Z'W Z under the weights of the last renew(). There is no X, and the response is empty.
  const CrossProducts& products() const { return products_; }
  const RowMatrix& z(std::size_t t) const { return z_[t]; }
  const std::vector<std::int32_t>& codes(std::size_t t) const { return codes_[t]; }
  // First row of each level of the first term, and one more; empty where rows stand in no order.
  const std::vector<Index>& starts() const { return start_; }

  void renew(const Vector& weights);                               // (n,)
  std::vector<RowMatrix> transposed(const RowMatrix& rows) const;  // Z' rows, rows (n, m)
  std::vector<RowMatrix> transposed(const Vector& row) const {     // the same of one column, (n,)
    std::vector<RowMatrix> out;
    transpose(row, out);
    return out;
  }
  Vector multiply(const std::vector<RowMatrix>& b) const {  // Z b, b with one column
    Vector out;
    multiply(b, out);
    return out;
  }

  // Into what was used before, so that nothing is allocated. Z' of one column (n,); Z b, b with one
  // column; Z'W Z b under the weights of the last renew(), which touches no rows.
  void transpose(const Vector& row, std::vector<RowMatrix>& out) const;
  void multiply(const std::vector<RowMatrix>& b, Vector& out) const;
  void apply(const std::vector<RowMatrix>& b, std::vector<RowMatrix>& out) const;

  // z_i'D z_i of each row, D given where levels meet: like the values of the cross products.
  void quadratic(const std::vector<Matrix>& own, const std::vector<std::vector<Matrix>>& pairs,
                 Vector& out) const;
  Vector quadratic(const std::vector<Matrix>& own,
                   const std::vector<std::vector<Matrix>>& pairs) const {
    Vector out;
    quadratic(own, pairs, out);
    return out;
  }

  // Z'W X by term (l_t * k_t, p) and X'W X, X (n, p), in one pass over the rows.
  void weigh(const Matrix& X, const Vector& weights, std::vector<RowMatrix>& ZWX,
             Matrix& XWX) const;

  // The same where terms belong to one of several predictors each: weights (n, r (r + 1) / 2) of
  // pairs of predictors (a, b), a <= b, at b (b + 1) / 2 + a; rows and products (n, r).
  void assign(std::vector<int> predictor, int count);
  void renew_pairs(const Matrix& weights);
  std::vector<RowMatrix> transposed_own(const Matrix& rows) const;
  RowMatrix transposed_term(std::size_t t, const RowMatrix& rows) const;
  Matrix multiply_own(const std::vector<RowMatrix>& b) const;
  Matrix quadratic_pairs(const std::vector<Matrix>& own,
                         const std::vector<std::vector<Matrix>>& pairs) const;

 private:
  std::vector<int> predictor_;  // by term
  int n_predictors_ = 1;
  std::vector<RowMatrix> z_;
  std::vector<std::vector<std::int32_t>> codes_;               // (n,) by term
  std::vector<std::vector<std::vector<std::int32_t>>> entry_;  // (n,) block of a row, by pair
  CrossProducts products_;
  std::vector<Index> start_;  // (l + 1,) first row of each level of the first term, or empty
  // By term the one column of each row that is not zero, as of indicators: (n,), or empty.
  std::vector<std::vector<std::int32_t>> only_;

  template <class Weights>
  void renew_by(Weights weights);  // of the pair (a, b) of predictors
  void add_weighted(std::size_t t, const double* block, Index first, Index count, Index p,
                    RowMatrix& out) const;
  void add_levels(std::size_t level, const double* column, Index first, Index count, Index j,
                  RowMatrix& out) const;
};

}  // namespace ranef
