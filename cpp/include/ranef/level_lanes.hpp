// The leading block of Omega for levels of several columns, some levels side by side, or one by one
// where there are few of them or their blocks are large.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// T_l and K_l of each level, as levels.hpp has them, from a factor of Sigma that may be singular:
//
//   I + Lambda'A_l Lambda = C C'     W = C^-1 Lambda'     K_l = W'W     T_l = I - A_l K_l
//
// T_l is Lambda^-T C^-T W where every direction is larger than the noise, which keeps digits.
// Returns sum_l log det(I + A_l Sigma), NaN when a pivot is not positive.
double factor_side_by_side(const Matrix& own,     // (k * k, l) A_l
                           const Matrix& Lambda,  // (k, k) lower triangular
                           Matrix& T,             // (k * k, l) out
                           Matrix& K              // (k * k, l) out
);

}  // namespace ranef
