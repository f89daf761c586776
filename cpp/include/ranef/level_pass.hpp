// A leading term that is the only one: what levels.hpp keeps of every level is here made and used
// in one pass over them, several levels side by side.
//
//   I + Lambda'A_l Lambda = L_l L_l'      W_l = L_l^-1 Lambda' rows_l      K_l rows_l = Lambda
//   L_l^-T W_l
//
// rows'K rows is the square of W and so loses no more digits to a large Lambda than Z'y itself.
#pragma once

#include "ranef/eigen.hpp"
#include "ranef/levels.hpp"

namespace ranef {

// Whether there is a pass for k columns a level and c columns of [X y].
bool has_level_pass(Index k, Index c);

// gram <- gram - sum_l W_l'W_l; returns sum_l log det(I + Lambda'A_l Lambda), NaN where that is not
// positive.
double reduce_levels_pass(const Matrix& own,      // (k * k, l) A_l
                          const Matrix& Lambda,   // (k, k) lower triangular
                          const RowMatrix& rows,  // (l * k, c) Z_l'[X y]
                          Matrix& gram            // (c, c) in and out
);

// The sums of sum_levels() with N_l = T_l rows_l U.
void sum_levels_pass(const Matrix& own,      // (k * k, l)
                     const Matrix& Lambda,   // (k, k) lower triangular
                     const RowMatrix& rows,  // (l * k, c)
                     const Matrix& U,        // (c, c) upper triangular
                     LevelSums& sums         // out
);

// B_l <- K_l B_l.
void solve_levels_pass(const Matrix& own,     // (k * k, l)
                       const Matrix& Lambda,  // (k, k) lower triangular
                       RowMatrix& B           // (l * k, m) in and out
);

}  // namespace ranef
