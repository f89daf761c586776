// Cholesky factor of a sparse symmetric matrix in dense blocks of columns, and the inverse on its
// pattern. A dense matrix is one block.
//
//   P A P' = L L',  the columns of a block ("supernode") with the same rows below
//
// The factor goes through the blocks from the leaves of their elimination tree to its roots, and
// hands what a block leaves for the rows below to its parent; the inverse goes back.
//
// References: Duff and Reid (1983), ACM Trans. Math. Softw. 9, 302-325; Takahashi, Fagan and Chin
// (1973), 8th PICA Conference; Campbell and Davis (1995), Univ. of Florida TR-95-021.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

class Supernodal {
 public:
  Supernodal() = default;
  // Rows of the strict lower triangle of A (n, n), by columns, repeats allowed; the diagonal is
  // always there. Throws ModelTooLarge where L would have more than `most` nonzeros.
  Supernodal(Index n, std::vector<std::vector<std::int32_t>> below, double most = 1e18);

  Index size() const { return n_; }
  Index nonzeros() const { return start_.empty() ? 0 : start_.back(); }
  double flops() const { return flops_; }  // of one factorisation, about

  // Where the entry (i, j) of A lies in values(); it must be in the pattern.
  Index position(Index i, Index j) const;

  // Storage of A, then of L.
  Vector& values() { return value_; }

  // A <- L; false when a pivot fails.
  bool factor();
  double log_determinant() const;  // of L

  void solve_lower(RowMatrix& B) const;  // B <- L^-1 P B    (n, m)
  void solve_upper(RowMatrix& B) const;  // B <- P'L^-T B

  // The inverse of A on the pattern of L, addressed by position(). L stays.
  const Vector& invert();

 private:
  Index n_ = 0;
  double flops_ = 0.0;
  std::vector<std::int32_t> place_;               // (n,) old index -> place in the elimination
  std::vector<std::int32_t> block_;               // (n,) block of a column
  std::vector<std::int32_t> first_;               // (blocks + 1,) first column of a block
  std::vector<std::vector<std::int32_t>> below_;  // rows below the columns of a block, ascending
  std::vector<std::int32_t> parent_;              // block that holds the first row below, or -1
  std::vector<std::vector<std::int32_t>> children_;
  std::vector<Index> start_;  // (blocks + 1,) of a block's (width + below, width), by columns
  Vector value_, inverse_;

  Index n_blocks() const { return static_cast<Index>(below_.size()); }
  Index width(Index s) const { return first_[s + 1] - first_[s]; }
  Index height(Index s) const { return width(s) + static_cast<Index>(below_[s].size()); }
  Eigen::Map<Matrix> panel(Vector& of, Index s) const {
    return {of.data() + start_[s], height(s), width(s)};
  }
  Eigen::Map<const Matrix> panel(Index s) const {
    return {value_.data() + start_[s], height(s), width(s)};
  }
  void order(const std::vector<std::vector<std::int32_t>>& below);
  std::vector<std::vector<std::int32_t>> renumber(
      const std::vector<std::vector<std::int32_t>>& below);
  void analyse(const std::vector<std::vector<std::int32_t>>& columns, double most);
  void amalgamate();
  void places_in_parent(Index s, std::vector<std::int32_t>& out) const;
};

}  // namespace ranef
