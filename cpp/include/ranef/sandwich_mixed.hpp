// What each cluster of a mixed model contributes to a cluster-robust covariance.
#pragma once

#include <string>

#include "ranef/eigen.hpp"

namespace ranef {

using RowsRef = Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>>;
using RowsMatrixRef = Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic>>;

// The marginal model, in units of sigma^2:  V = Z Sigma Z' + W^-1, block diagonal over clusters.
struct MarginalModel {
  ConstMatrixRef X;        // (n, r)
  ConstVectorRef resid;    // (n,) y - X beta
  ConstVectorRef weights;  // (n,) precision weights, or empty
  RowsMatrixRef codes;     // (n, terms) level of each row
  RowsRef sizes;           // (terms,) number of columns
  ConstMatrixRef z;        // (n, S) columns of all terms
  ConstMatrixRef sigma;    // (S, S) their relative covariances, block diagonal
  RowsRef order;           // (n,) rows by cluster
  RowsRef start;           // (n_clusters + 1,)
};

struct MarginalPieces {
  RowMatrix scores;      // (g, r)      a'e
  RowMatrix own;         // (g, r * r)  a'Va
  RowMatrix cross;       // (g, r * r)  X'a
  bool complete = true;  // false where CR3 does not exist
};

// Sum over clusters of X'V^-1 X.
Matrix marginal_gram(const MarginalModel& model);  // (r, r)

// Adjusted columns a = A'V^-1 X of the clusters first to last - 1, where X'V^-1 X = I over all:
//   CR0: A = I;   CR3: A = (I - XX'V^-1)^-1;   CR2: A = D'(D(V - XX')D')^-1/2 D with D'D = V.
MarginalPieces marginal_pieces(const MarginalModel& model, const std::string& kind, Index first,
                               Index last);

}  // namespace ranef
