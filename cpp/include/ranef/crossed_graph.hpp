// The graph in which scalar random-effects terms meet, as an operator of O(nonzeros) operations.
//
// The leading term is eliminated; the columns of the others, the root, follow each other. With
// n_1 = A_11, d_1 = 1 + Sigma_1 n_1 for the leading levels and d_2 likewise for the root's,
//
//   a^2 = Sigma_1 / d_1,   b = lambda_2 / sqrt(d_2),   N = off-diagonal part of A_22
//   T = B (A_21 a^2 A_12 - N) B,   D_2^-1/2 Omega_22 D_2^-1/2 = I - T
//
// where Omega_22 is the Schur complement of I + Lambda'A Lambda. I - T is positive definite.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/threads.hpp"

namespace ranef {

// A sparse matrix by rows. Values that are all one are not kept.
struct SparseRows {
  std::vector<Index> start;          // (rows + 1,)
  std::vector<std::int32_t> column;  // (nnz,) ascending within a row
  std::vector<double> value;         // (nnz,), or empty

  Index rows() const { return static_cast<Index>(start.size()) - 1; }
  Index nonzeros() const { return static_cast<Index>(column.size()); }
  double at(Index entry) const { return value.empty() ? 1.0 : value[entry]; }
  Index find(Index row, Index of_column) const;  // of an entry that is there
};

// The same matrix by columns.
SparseRows transpose(const SparseRows& S, Index columns);

// Products w = A_12 B x and y = T x of a block of vectors.
struct GraphProduct {
  RowMatrix w;  // (R, m)
  RowMatrix y;  // (C, m)
};

class CrossedGraph {
 public:
  CrossedGraph() = default;
  // Takes the pairs out of `products`, whose terms all have one column.
  CrossedGraph(CrossProducts& products, int threads);

  // Take the values of products of the same levels under other weights; set() is to follow.
  void renew(const CrossProducts& products);

  Index n_leading() const { return own1_.size(); }
  Index n_root() const { return own2_.size(); }
  Index nonzeros() const { return rows_.nonzeros(); }
  bool has_root_pairs() const { return among_.nonzeros() > 0; }
  // Sum over leading levels of the squared number of root columns they meet.
  double entangled() const { return entangled_; }
  std::size_t n_terms() const { return offset_.size(); }
  const std::vector<Index>& offset() const { return offset_; }  // (terms,) root's, and its size
  const SparseRows& rows() const { return rows_; }
  const SparseRows& columns() const { return columns_; }
  // A_22 off its diagonal, both triangles.
  const SparseRows& root_pairs() const { return among_; }
  const Vector& own1() const { return own1_; }
  const Vector& own2() const { return own2_; }

  // Take relative standard deviations lambda, one a term.
  void set(const std::vector<double>& lambda);
  const Vector& d1() const { return d1_; }
  const Vector& d2() const { return d2_; }
  const Vector& a2() const { return a2_; }
  const Vector& b() const { return b_; }
  double lambda(std::size_t t) const { return lambda_[t]; }
  const std::vector<double>& lambda() const { return lambda_; }
  // (C,) d log b / d Sigma of the column's own term: 1 / (2 Sigma d_2), 0 where Sigma is zero.
  const Vector& slope_b() const { return slope_b_; }

  // w = A_12 B x (R, m).
  void leading(const RowMatrix& x, RowMatrix& w) const;
  void apply(const RowMatrix& x, GraphProduct& out) const;
  // B A_21 r for rows r (R, m).
  void transposed(const RowMatrix& r, RowMatrix& out) const;
  // N x, and zero where there are no pairs within the root.
  void within(const RowMatrix& x, RowMatrix& out) const;

  // Solve (I - T) X = B by conjugate gradients from X, until every residual is below `tolerance`
  // of its column of B. The residual is left in R; the largest ratio is returned.
  double solve(const RowMatrix& B, double tolerance, RowMatrix& X, RowMatrix& R) const;
  // The same with a tolerance for each column. A column that has reached its own stays as it is:
  // what becomes of it does not depend on the others.
  double solve(const RowMatrix& B, const Vector& tolerance, RowMatrix& X, RowMatrix& R) const;

  // Column by column x'y, summed in an order that does not depend on the threads.
  Vector dots(const RowMatrix& x, const RowMatrix& y) const;
  Team& team() const { return *team_; }

 private:
  SparseRows rows_, columns_, among_;
  std::vector<std::uint32_t> place_;  // (nnz,) of columns_' entries among rows_', once renewed
  Vector own1_, own2_, d1_, d2_, a2_, b_, slope_b_;
  std::vector<Index> offset_;
  std::vector<double> lambda_;
  double entangled_ = 0.0;
  std::unique_ptr<Team> team_;
  mutable RowMatrix scaled_, weighted_;
  mutable RowMatrix product_, direction_;

  void apply(const RowMatrix& x, double* w, RowMatrix& y) const;  // w may be null
  void apply_scaled(double* w, RowMatrix& y) const;
  void scale(const RowMatrix& x) const;
};

// out = S in, or out += factor * S in.
void multiply(Team& team, const SparseRows& S, const RowMatrix& in, RowMatrix& out);

}  // namespace ranef
