// Dense matrices: Cholesky and inverse in place, in large products; products of plain matrices.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// Overwrite the lower triangle of A (n, n) with its Cholesky factor; false when a pivot fails.
bool cholesky_in_place(MatrixRef A);

// Overwrite the lower triangle of L (n, n) with that of (L L')^-1. `panel` is workspace (n, 64).
void inverse_from_cholesky(MatrixRef L, MatrixRef panel);

// A B, A'B and A B', compiled once: where a product is not the time of a fit, an expression of
// Eigen's only makes one more instance of its templates, and products of products many.
Matrix product(const ConstMatrixRef& A, const ConstMatrixRef& B);
Matrix crossprod(const ConstMatrixRef& A, const ConstMatrixRef& B);
Matrix tcrossprod(const ConstMatrixRef& A, const ConstMatrixRef& B);

// Q of A = Q R for A (n, k), k <= n: (n, k).
Matrix orthonormal_columns(const Matrix& A);

// The smallest singular value of A, by one-sided Jacobi rotations (Hestenes 1958).
double smallest_singular_value(Matrix A);

}  // namespace ranef
