// Matrices by rows as the transposes that they are in memory, for products of plain matrices.
#pragma once

#include "ranef/dense.hpp"

namespace ranef {

// The transpose of `rows`: the same numbers, not copied.
inline Eigen::Map<const Matrix> turned(const RowMatrix& rows) {
  return {rows.data(), rows.cols(), rows.rows()};
}

// rows M.
inline RowMatrix rows_times(const RowMatrix& rows, const Matrix& M) {
  const Matrix product = crossprod(M, turned(rows));
  return Eigen::Map<const RowMatrix>(product.data(), rows.rows(), M.cols());
}

}  // namespace ranef
