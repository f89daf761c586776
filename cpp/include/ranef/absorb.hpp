// Absorption: the residuals of many columns from any number of categorical factors.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

using CodesMatrixRef =
    Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic>>;
using CountsRef = Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>>;

struct Absorbed {
  Matrix residual;  // (n, m)
  Matrix effects;   // (sum of n_levels, m), in factor order
  Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1> iterations;  // (m,)
  bool converged = true;
};

// Weighted least squares of every column of X on the indicator columns D of all factors:
//   min over a of  sum_i w_i (x_i - sum_k a_k[codes_ik])^2.
// The factor with most levels is eliminated; the rest solve  D'W M_1 D a = D'W M_1 x  by conjugate
// gradients with a diagonal preconditioner, all columns of a block in one pass over the rows. A
// column is done when the level means left in it are below `tolerance` times the column's own size.
Absorbed absorb(ConstMatrixRef X,        // (n, m)
                CodesMatrixRef codes,    // (n, K), 0 to n_levels[k] - 1
                CountsRef n_levels,      // (K,)
                ConstVectorRef weights,  // (n,), positive, or empty for ones
                double tolerance,        //
                int max_iterations);

// Number of connected components of the bipartite graph whose edges are the rows of two factors.
Index count_components(CodesMatrixRef codes,  // (n, 2)
                       CountsRef n_levels     // (2,)
);

}  // namespace ranef
