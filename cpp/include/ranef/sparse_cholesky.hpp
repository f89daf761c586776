// Sparse Cholesky with a pattern analysed once, and the inverse on that pattern.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// L L' = A for a pattern that stays. Values of A are placed straight into L's storage, so a new
// factorisation neither searches nor allocates.
class SparseCholesky {
 public:
  // Pattern of the strict lower triangle of A (n, n), by columns; the diagonal is always there.
  // Throws ModelTooLarge where L would have more than `most` nonzeros.
  SparseCholesky(Index n, const std::vector<std::vector<std::int32_t>>& below, double most = 1e18);

  // Floating-point operations of one factorisation, about.
  double flops() const { return flops_; }
  Index nonzeros() const { return static_cast<Index>(row_.size()); }
  Index size() const { return n_; }

  // Where the entry (i, j) of A lies in `values()`; it must be in the pattern.
  Index position(Index i, Index j) const;

  // Storage of A, then of L.
  Vector& values() { return value_; }

  // A <- L; false when a pivot fails.
  bool factor();
  double log_determinant() const;  // of L

  void solve_lower(RowMatrix& B) const;  // B <- L^-1 P B    (n, m)
  void solve_upper(RowMatrix& B) const;  // B <- P' L^-T B

  // Rows of L^-1 P B that can differ from zero where those of B in `rows` do, ascending in the
  // elimination order; slot[i] of an old index i in `rows` is its place among them.
  Index reach(const std::vector<std::int32_t>& rows, std::vector<std::int32_t>& slot) const;
  // B <- L^-1 B for the rows that were reached last.
  void solve_reached(RowMatrix& B) const;  // (reached, m)

  // The inverse of A on the pattern of L (Takahashi's recursion), addressed by `position`.
  const Vector& invert();

 private:
  Index n_;
  std::vector<std::int32_t> place_;  // (n,) old index -> position in the elimination order
  std::vector<Index> start_;         // (n + 1,)
  std::vector<std::int32_t> row_;    // rows of each column, ascending, the diagonal first
  Vector value_, inverse_, work_;
  std::vector<std::int32_t> head_, next_, mark_;
  std::vector<Index> first_;
  mutable RowMatrix permuted_;
  mutable std::vector<std::int32_t> reached_, slot_;  // places that were reached; -1 for others
  double flops_ = 0.0;

  void order(const std::vector<std::vector<std::int32_t>>& below);
  void analyse(const std::vector<std::vector<std::int32_t>>& below, double most);
};

}  // namespace ranef
