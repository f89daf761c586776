#include "ranef/level_lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// Levels side by side: two registers of 256 bits, so that one sum waits while the other is added.
constexpr int kSideBySide = 8;
// Fewer levels are worked on one by one.
constexpr Index kFewLevels = 4;
using Side = Eigen::Array<double, kSideBySide, 1>;
// Squares of numbers for each of some levels, by columns.
using Sides = std::vector<Side, Eigen::aligned_allocator<Side>>;

// Element e of each level's block, zero past the last level.
Side gather(const double* blocks, Index size, Index here) {
  Side out = Side::Zero();
  for (Index v = 0; v < here; ++v) out(v) = blocks[v * size];
  return out;
}

void scatter(const Side& values, Index size, Index here, double* blocks) {
  for (Index v = 0; v < here; ++v) blocks[v * size] = values(v);
}

class Factor {
 public:
  explicit Factor(const Matrix& Lambda)
      : k_(Lambda.cols()), lambda_(Lambda), A_(k_ * k_), M_(k_ * k_), W_(k_ * k_), pivot_(k_) {
    invertible_ = lambda_.diagonal().cwiseAbs().minCoeff() >= 1.0;
    if (invertible_)
      inverse_ = lambda_.triangularView<Eigen::Lower>().solve(Matrix::Identity(k_, k_));
  }

  // Factor some levels; false where a pivot is not positive.
  bool take(const double* own, Index here) {
    is_diagonal_ = true;
    for (Index j = 0; j < k_; ++j)
      for (Index i = 0; i < k_; ++i) {
        A_[j * k_ + i] = gather(own + j * k_ + i, k_ * k_, here);
        if (i != j) is_diagonal_ = is_diagonal_ && (A_[j * k_ + i] == 0.0).all();
      }
    multiply();
    if (!decompose()) return false;
    halve();
    return true;
  }

  const Side& pivot(Index j) const { return pivot_[j]; }

  void write(Index here, double* T, double* K) {
    for (Index j = 0; j < k_; ++j)
      for (Index i = j; i < k_; ++i) {
        Side sum = Side::Zero();
        for (Index m = 0; m < k_; ++m) sum += W_[i * k_ + m] * W_[j * k_ + m];
        M_[j * k_ + i] = M_[i * k_ + j] = sum;
        scatter(sum, k_ * k_, here, K + j * k_ + i);
        if (i != j) scatter(sum, k_ * k_, here, K + i * k_ + j);
      }
    if (invertible_)
      write_solved(here, T);
    else
      write_rest(here, T);
  }

 private:
  Index k_;
  Matrix lambda_, inverse_;
  bool invertible_ = false, is_diagonal_ = false;
  Sides A_, M_, W_;  // M_ holds A Lambda, then C below its diagonal, at last K
  Sides pivot_;      // squared diagonal of C, then its reciprocal root

  // The lower triangle of I + Lambda'A Lambda, in W_.
  void multiply() {
    for (Index j = 0; j < k_; ++j)
      for (Index i = is_diagonal_ ? j : 0; i < k_; ++i) {
        if (is_diagonal_) {
          M_[j * k_ + i] = A_[i * k_ + i] * lambda_(i, j);
          continue;
        }
        Side sum = Side::Zero();
        for (Index m = j; m < k_; ++m) sum += A_[m * k_ + i] * lambda_(m, j);
        M_[j * k_ + i] = sum;
      }
    for (Index j = 0; j < k_; ++j)
      for (Index i = j; i < k_; ++i) {
        Side sum = Side::Constant(i == j ? 1.0 : 0.0);
        for (Index m = i; m < k_; ++m) sum += lambda_(m, i) * M_[j * k_ + m];
        W_[j * k_ + i] = sum;
      }
  }

  // C, by rows in M_ below the diagonal.
  bool decompose() {
    bool good = true;
    for (Index j = 0; j < k_; ++j) {
      Side pivot = W_[j * k_ + j];
      for (Index m = 0; m < j; ++m) pivot -= M_[j * k_ + m].square();
      good = good && (pivot > 0.0).all();
      reciprocal_at(j, pivot);
      for (Index i = j + 1; i < k_; ++i) {
        Side sum = W_[j * k_ + i];
        for (Index m = 0; m < j; ++m) sum -= M_[i * k_ + m] * M_[j * k_ + m];
        M_[i * k_ + j] = sum * M_[j * k_ + j];
      }
    }
    return good;
  }

  void reciprocal_at(Index j, const Side& pivot) {
    pivot_[j] = pivot;
    M_[j * k_ + j] = pivot.sqrt().inverse();
  }

  // W = C^-1 Lambda', by columns.
  void halve() {
    for (Index j = 0; j < k_; ++j)
      for (Index i = 0; i < k_; ++i) {
        Side sum = Side::Constant(i <= j ? lambda_(j, i) : 0.0);
        for (Index m = 0; m < i; ++m) sum -= M_[i * k_ + m] * W_[j * k_ + m];
        W_[j * k_ + i] = sum * M_[i * k_ + i];
      }
    if (!invertible_) return;
    C_ = M_;
  }

  // I - A K
  void write_rest(Index here, double* T) const {
    for (Index j = 0; j < k_; ++j)
      for (Index i = 0; i < k_; ++i) {
        Side sum = Side::Constant(i == j ? 1.0 : 0.0);
        if (is_diagonal_)
          sum -= A_[i * k_ + i] * M_[j * k_ + i];
        else
          for (Index m = 0; m < k_; ++m) sum -= A_[m * k_ + i] * M_[j * k_ + m];
        scatter(sum, k_ * k_, here, T + j * k_ + i);
      }
  }

  // Lambda^-T C^-T W
  void write_solved(Index here, double* T) {
    for (Index j = 0; j < k_; ++j) {
      Side* column = W_.data() + j * k_;
      for (Index i = k_ - 1; i >= 0; --i) {
        for (Index m = i + 1; m < k_; ++m) column[i] -= C_[m * k_ + i] * column[m];
        column[i] *= C_[i * k_ + i];
      }
      for (Index i = 0; i < k_; ++i) {
        Side sum = Side::Zero();
        for (Index m = i; m < k_; ++m) sum += inverse_(m, i) * column[m];
        scatter(sum, k_ * k_, here, T + j * k_ + i);
      }
    }
  }

  Sides C_;
};

// Level by level by products of large matrices.
double factor_one_by_one(const Matrix& own, const Matrix& Lambda, Matrix& T, Matrix& K) {
  const Index k = Lambda.cols();
  const bool invertible = Lambda.diagonal().cwiseAbs().minCoeff() >= 1.0;
  Matrix A(k, k), AL(k, k), M(k, k), W(k, k);
  Eigen::LLT<Matrix> llt(k);
  double log_determinant = 0.0;
  for (Index l = 0; l < own.cols(); ++l) {
    A = Eigen::Map<const Matrix>(own.data() + l * k * k, k, k);
    AL.noalias() = A * Lambda;
    M.noalias() = Lambda.transpose() * AL;
    M.diagonal().array() += 1.0;
    llt.compute(M);
    if (llt.info() != Eigen::Success) return std::numeric_limits<double>::quiet_NaN();
    W = Lambda.transpose();
    llt.matrixL().solveInPlace(W);
    M.noalias() = W.transpose() * W;
    std::copy_n(M.data(), k * k, K.data() + l * k * k);
    if (invertible) {
      llt.matrixU().solveInPlace(W);
      AL = Lambda.transpose().triangularView<Eigen::Upper>().solve(W);
    } else {
      AL.noalias() = A * M;
      AL = -AL;
      AL.diagonal().array() += 1.0;
    }
    std::copy_n(AL.data(), k * k, T.data() + l * k * k);
    log_determinant += 2.0 * llt.matrixLLT().diagonal().array().log().sum();
  }
  return log_determinant;
}

}  // namespace

double factor_side_by_side(const Matrix& own, const Matrix& Lambda, Matrix& T, Matrix& K) {
  const Index k = Lambda.cols(), levels = own.cols();
  if (k > kLarge || levels < kFewLevels) return factor_one_by_one(own, Lambda, T, K);
  Factor factor(Lambda);
  Side product = Side::Ones();
  double sum = 0.0;
  for (Index first = 0; first < levels; first += kSideBySide) {
    const Index here = std::min<Index>(kSideBySide, levels - first);
    if (!factor.take(own.data() + first * k * k, here))
      return std::numeric_limits<double>::quiet_NaN();
    for (Index j = 0; j < k; ++j) {
      product *= factor.pivot(j);
      if ((product < 1e150).all() && (product > 1e-150).all()) continue;
      sum += product.log().sum();
      product.setOnes();
    }
    factor.write(here, T.data() + first * k * k, K.data() + first * k * k);
  }
  return sum + product.log().sum();
}

}  // namespace ranef
