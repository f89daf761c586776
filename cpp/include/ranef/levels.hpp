// The leading block of Omega: one small matrix for each level, I + A_l Sigma.
//
//   T_l = (I + A_l Sigma)^-1      K_l = Sigma T_l = Lambda (I + Lambda'A_l Lambda)^-1 Lambda'
//   B_l = T_l A_l = Z_l'(I + Z_l Sigma Z_l')^-1 Z_l
//
// None of it needs Sigma to be invertible.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// Compute T_l and K_l of each level; returns sum_l log det(I + A_l Sigma), NaN when it is not positive.
double factor_levels(const Matrix& own,    // (k * k, l) A_l
                     const Matrix& Sigma,  // (k, k)
                     Matrix& T,            // (k * k, l) out
                     Matrix& K             // (k * k, l) out
);

// rows_l <- M_l rows_l for each level's k rows (transposed: M_l').
void apply_levels(const Matrix& M,        // (k * k, l)
                  const RowMatrix& rows,  // (l * k, m)
                  RowMatrix& out          // (l * k, m)
);

// sum_l B_l.
Matrix sum_B(const Matrix& own, const Matrix& T, Index k);

}  // namespace ranef
