// Dense Cholesky and inverse in place, in large products.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// Overwrite the lower triangle of A (n, n) with its Cholesky factor; false when a pivot fails.
bool cholesky_in_place(MatrixRef A);

// Overwrite the lower triangle of L (n, n) with that of (L L')^-1. `panel` is workspace (n, 64).
void inverse_from_cholesky(MatrixRef L, MatrixRef panel);

}  // namespace ranef
