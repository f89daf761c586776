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

  void renew(const Vector& weights);                               // (n,)
  std::vector<RowMatrix> transposed(const RowMatrix& rows) const;  // Z' rows, rows (n, m)
  std::vector<RowMatrix> transposed(const Vector& row) const;      // the same of one column, (n,)
  Vector multiply(const std::vector<RowMatrix>& b) const;          // Z b, b with one column

  // Z'W Z b under the weights of the last renew(), b with one column; no rows are touched.
  std::vector<RowMatrix> applied(const std::vector<RowMatrix>& b) const;

  // z_i'D z_i of each row, D given where levels meet: like the values of the cross products.
  Vector quadratic(const std::vector<Matrix>& own,
                   const std::vector<std::vector<Matrix>>& pairs) const;

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
};

}  // namespace ranef
