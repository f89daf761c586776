// The leading block of Omega: one small matrix for each level, I + A_l Sigma.
//
//   T_l = (I + A_l Sigma)^-1      K_l = Sigma T_l = Lambda (I + Lambda'A_l Lambda)^-1 Lambda'
//   B_l = T_l A_l = Z_l'(I + Z_l Sigma Z_l')^-1 Z_l
//
// None of it needs Sigma to be invertible.
#pragma once

#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

// Compute T_l and K_l of each level; returns sum_l log det(I + A_l Sigma), NaN when it is not
// positive.
double factor_levels(const Matrix& own,     // (k * k, l) A_l
                     const Matrix& Lambda,  // (k, k) lower triangular
                     const Matrix& Sigma,   // (k, k)
                     Matrix& T,             // (k * k, l) out
                     Matrix& K              // (k * k, l) out
);

// gram <- gram - sum_l rows_l'K_l rows_l, and KR_l = K_l rows_l unless KR is null.
void reduce_levels(const Matrix& K,        // (k * k, l)
                   const RowMatrix& rows,  // (l * k, c)
                   Matrix& gram,           // (c, c) in and out
                   RowMatrix* KR           // (l * k, c) out
);

// out_l = T_l rows_l U; `out` may be `rows`.
void transform_levels(const Matrix& T,        // (k * k, l)
                      const RowMatrix& rows,  // (l * k, c)
                      const Matrix& U,        // (c, c) upper triangular
                      RowMatrix& out          // (l * k, c)
);

// out_l = M_l rows_l, or M_l'rows_l; `out` may be `rows`.
void multiply_levels(const Matrix& M,  // (k * k, l)
                     bool transposed,
                     const RowMatrix& rows,  // (l * k, m)
                     RowMatrix& out          // (l * k, m)
);

// The rows of each of `levels` levels, the first at row `first`, times M or M' from the left.
void scale_level_rows(const Matrix& M,  // (k, k), k rows a level
                      bool transposed, Index levels, Index first,
                      RowMatrix& rows  // (.., c) in and out
);

// The columns of each of `levels` levels, the first at column `first`, times M from the right.
void scale_level_columns(const Matrix& M,  // (k, k), k columns a level
                         Index levels, Index first,
                         RowMatrix& rows  // (.., c) in and out
);

// What the leading term adds to the derivatives. Elements of Sigma are (i, j), i >= j, by columns;
// with n_l the last column of N_l, h_a = E_a n_l.
struct LevelSums {
  Matrix B;         // (k, k) sum B_l
  Matrix fixed;     // (k, k) sum N_X N_X'
  Matrix response;  // (k, k) sum n_l n_l'
  Matrix Q;         // (m, m) sum h_a'B_l h_b
  Matrix J;         // (p, m) sum N_X'h_a
};

void sum_levels(const Matrix& own,   // (k * k, l)
                const Matrix& T,     // (k * k, l)
                const RowMatrix& N,  // (l * k, c)
                LevelSums& sums,     // out
                RowMatrix* Th        // (l * k, m) T_l'h_a, unless null
);

// The same along given directions of Sigma in place of its elements, h_a = D_a n_l.
void sum_levels_along(const Matrix& own,                      // (k * k, l)
                      const Matrix& T,                        // (k * k, l)
                      const RowMatrix& N,                     // (l * k, c)
                      const std::vector<Matrix>& directions,  // (k, k) each
                      LevelSums& sums,                        // out
                      RowMatrix* Th                           // (l * k, m), unless null
);

}  // namespace ranef
