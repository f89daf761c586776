// The only file that includes Eigen.
//
// In a checked build (RANEF_CHECKED, the C++ tests) a failed shape assertion throws instead of
// aborting, and Eigen's allocator can be switched off to prove that a hot path does not allocate.
#pragma once

#ifdef RANEF_CHECKED
#include <stdexcept>
#include <string>
#define eigen_assert(condition)                                                        \
  do {                                                                                 \
    if (!(condition)) throw std::logic_error(std::string("Eigen check: " #condition)); \
  } while (false)
#define EIGEN_RUNTIME_NO_MALLOC
#endif

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/OrderingMethods>
#include <Eigen/QR>
#include <Eigen/SparseCore>

#include "ranef/eigen_instances.hpp"

namespace ranef {

using Index = Eigen::Index;
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixRef = Eigen::Ref<Eigen::MatrixXd>;
using ConstMatrixRef = Eigen::Ref<const Eigen::MatrixXd>;
using VectorRef = Eigen::Ref<Eigen::VectorXd>;
using ConstVectorRef = Eigen::Ref<const Eigen::VectorXd>;

}  // namespace ranef
