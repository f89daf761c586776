// The part of Omega that is left when the leading term has been eliminated: dense or sparse.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "ranef/coupling.hpp"
#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/sparse_cholesky.hpp"

namespace ranef {

// Terms of the root and where each begins.
struct RootLayout {
  std::vector<Index> offset, k, n_levels;
  Index size = 0;  // q_2
};

class DenseRoot {
 public:
  explicit DenseRoot(Index size) : omega_(size, size), panel_(size, std::min<Index>(size, 64)) {}

  Matrix& omega() { return omega_; }
  bool factor();
  double log_determinant() const { return omega_.diagonal().array().log().sum(); }
  void solve_lower(RowMatrix& B) const;
  void solve_upper(RowMatrix& B) const;
  void invert();
  void multiply_by_inverse(RowMatrix& B) const;
  double inverse(Index i, Index j) const { return omega_(i, j); }  // i >= j

 private:
  Matrix omega_;  // Omega, then L, then the inverse: lower triangle
  Matrix panel_;
};

class SparseRoot {
 public:
  SparseRoot(std::unique_ptr<SparseCholesky> cholesky, std::vector<Index> own,
             std::vector<Index> cliques)
      : cholesky_(std::move(cholesky)), own_(std::move(own)), cliques_(std::move(cliques)) {}

  SparseCholesky& cholesky() { return *cholesky_; }
  const SparseCholesky& cholesky() const { return *cholesky_; }
  const std::vector<Index>& own() const { return own_; }          // positions of A_22's entries
  const std::vector<Index>& cliques() const { return cliques_; }  // of the leading term's pairs
  const Vector& inverse() const { return *inverse_; }
  void invert() { inverse_ = &cholesky_->invert(); }

 private:
  std::unique_ptr<SparseCholesky> cholesky_;
  std::vector<Index> own_, cliques_;
  const Vector* inverse_ = nullptr;
};

// Omega_22 = I + Lambda_2'A_22 Lambda_2 - (A_12 Lambda_2)'K(A_12 Lambda_2), factored and inverted.
class Root {
 public:
  Root() = default;
  // Decides between dense and sparse by counting operations; throws ModelTooLarge.
  Root(RootLayout layout, std::vector<TermProducts> terms,
       std::vector<std::vector<PairProducts>> pairs, Coupling& coupling);

  const RootLayout& layout() const { return layout_; }
  Index size() const { return layout_.size; }
  bool is_sparse() const { return std::holds_alternative<SparseRoot>(kind_); }
  const std::vector<TermProducts>& terms() const { return terms_; }

  bool factor(const std::vector<Matrix>& lambda, const Matrix& K, Coupling& coupling);
  double log_determinant() const;
  void solve_lower(RowMatrix& B) const;
  void solve_upper(RowMatrix& B) const;

  // Where sparse right sides of `rows` lead: the number m of rows of L^-1 B that can differ from
  // zero, and slot[i] in 0 .. m - 1 for each i in `rows`. Then B <- L^-1 B of those rows.
  Index reach(const std::vector<std::int32_t>& rows, std::vector<std::int32_t>& slot) const;
  void solve_reached(RowMatrix& B) const;  // (m, columns)

  // Overwrite the factor by the inverse; solve_lower and solve_upper are over until the next
  // factor().
  void invert();
  // B <- Omega_22^-1 B, before and after invert().
  void solve(RowMatrix& B) const;
  // Diagonal block of the inverse of one level of root term t.
  void inverse_block(std::size_t t, Index level, Matrix& block) const;
  // Blocks of the inverse where the levels of root terms s < t meet (k_s * k_t, nnz), the blocks'
  // order that of the products of the pair; `blocks` is by s and t - s - 1.
  void inverse_pairs(std::vector<std::vector<Matrix>>& blocks) const;
  // Rows first .. first + rows.rows() - 1 of a dense inverse.
  void inverse_rows(Index first, RowMatrix& rows) const;
  // scaled_l Omega_22^-1 scaled_l' of each leading level (k * k, l).
  void quadratic(Coupling& coupling, Matrix& G);
  // Beside it, the columns of scaled_l Omega_22^-1 at the entries of the coupling (k, nnz).
  void multiply(Coupling& coupling, Matrix& product, Matrix& G);

  // Take other products of the same levels.
  void renew(const CrossProducts& products);

 private:
  RootLayout layout_;
  std::vector<TermProducts> terms_;
  std::vector<std::vector<PairProducts>> pairs_;
  std::variant<DenseRoot, SparseRoot> kind_{DenseRoot(0)};
  bool inverted_ = false;

  template <class Visit>
  void for_each_entry(const std::vector<Matrix>* lambda, Visit&& visit) const;
  std::vector<std::vector<std::int32_t>> pattern(const Coupling& coupling) const;
  double sampled_density(const Coupling& coupling) const;
};

}  // namespace ranef
