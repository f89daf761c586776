// Sums over clusters, the raw material of every cluster-robust covariance matrix.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

using CodesRef = Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>>;

// Add up rows by cluster:  out_g = sum over rows i of cluster g of X_i.
RowMatrix sum_by_cluster(ConstMatrixRef X,  // (n, p)
                         CodesRef codes,    // (n,), 0 to n_clusters - 1
                         Index n_clusters   //
);                                          // (n_clusters, p)

// Cross products by cluster, for the clusters first to last - 1:  out_g = X_g' X_g, row by row.
RowMatrix gram_by_cluster(ConstMatrixRef X,        // (n, p)
                          CodesRef codes,          // (n,)
                          Index first, Index last  //
);                                                 // (last - first, p * p)

// Rows by cluster, in the order of the data within each: a counting sort.
Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1> order_by_cluster(CodesRef codes,   // (n,)
                                                                Index n_clusters  //
);                                                                                // (n,)

}  // namespace ranef
