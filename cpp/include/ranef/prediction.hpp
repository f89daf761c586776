// Variances of the errors of predictions of a mixed model, linear or generalised.
#pragma once

#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/least_squares.hpp"

namespace ranef {

// New rows of one term.
struct NewTerm {
  const std::int32_t* codes;  // (m,) level, -1 for a level the fit has not seen; null: no part
  Matrix z;                   // (m, k) user's columns
};

// A fit as its errors are known by; terms in the kernel's order.
struct FittedErrors {
  const std::vector<Matrix>& Tz;          // (k_t, k_t) user's columns to standardised ones
  const std::vector<std::size_t>& place;  // kernel's term -> user's term
  const std::vector<Matrix>& lambda;      // (k_t, k_t)
  Matrix root;                            // (p, p) U U' is the covariance of the standardised beta
};

// Variance of the error of x'beta + z'b, relative to sigma^2 where there is one:
//
//   z'D z + |U'(x - X'W Z D z)|^2,   D = Lambda M^-1 Lambda', and z'Sigma z for a level not seen.
//
// pls holds the factor of M, or what stands for it. With a factor the work is linear in the rows
// and, by row, in what its levels meet; without one it is a solve for each row.
Vector error_variances(LeastSquares& pls, const FittedErrors& fit,
                       const Matrix& X,  // (m, p) standardised
                       const std::vector<NewTerm>& terms,
                       const std::vector<RowMatrix>& ZWX  // by term (l_t * k_t, p)
);

}  // namespace ranef
