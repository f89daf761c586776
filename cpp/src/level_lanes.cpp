#include "ranef/level_lanes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// Levels side by side: two registers of 256 bits, so that one sum waits while the other is added.
constexpr int kSideBySide = 8;
// Fewer levels are worked on one by one.
constexpr Index kFewLevels = 4;
using Side = Eigen::Array<double, kSideBySide, 1>;
// As many numbers as a register holds, and as many of these.
using Packet = Eigen::internal::packet_traits<double>::type;
constexpr Index kPacket = Eigen::internal::packet_traits<double>::size;
struct Square {
  Packet packet[kPacket];
};

// Exchange rows and columns.
inline void transpose(Square& square) {
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"
#endif
  Eigen::internal::PacketBlock<Packet, kPacket> block;
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
  std::copy_n(square.packet, kPacket, block.packet);
  Eigen::internal::ptranspose(block);
  std::copy_n(block.packet, kPacket, square.packet);
}

// A square of numbers for each of some levels, by columns: on the stack, since a search comes here
// at every step.
using Sides = std::array<Side, kLarge * kLarge>;

// Elements of each level's block side by side, zero past the last level.
void to_sides(const double* blocks, Index size, Index here, Side* out) {
  Index e = 0;
  if (here == kSideBySide) {
    for (; e + kPacket <= size; e += kPacket)
      for (Index v = 0; v < kSideBySide; v += kPacket) {
        Square square;
        for (Index i = 0; i < kPacket; ++i)
          square.packet[i] = Eigen::internal::ploadu<Packet>(blocks + (v + i) * size + e);
        transpose(square);
        for (Index i = 0; i < kPacket; ++i)
          Eigen::internal::pstoreu(out[e + i].data() + v, square.packet[i]);
      }
  }
  for (; e < size; ++e) {
    out[e].setZero();
    for (Index v = 0; v < here; ++v) out[e](v) = blocks[v * size + e];
  }
}

void from_sides(const Side* values, Index size, Index here, double* blocks) {
  Index e = 0;
  if (here == kSideBySide) {
    for (; e + kPacket <= size; e += kPacket)
      for (Index v = 0; v < kSideBySide; v += kPacket) {
        Square square;
        for (Index i = 0; i < kPacket; ++i)
          square.packet[i] = Eigen::internal::ploadu<Packet>(values[e + i].data() + v);
        transpose(square);
        for (Index i = 0; i < kPacket; ++i)
          Eigen::internal::pstoreu(blocks + (v + i) * size + e, square.packet[i]);
      }
  }
  for (; e < size; ++e)
    for (Index v = 0; v < here; ++v) blocks[v * size + e] = values[e](v);
}

class Factor {
 public:
  explicit Factor(const Matrix& Lambda) : k_(Lambda.cols()), lambda_(Lambda) {
    invertible_ = lambda_.diagonal().cwiseAbs().minCoeff() >= 1.0;
    if (!invertible_) return;
    inverse_.setIdentity(k_, k_);
    lambda_.triangularView<Eigen::Lower>().solveInPlace(inverse_);
  }

  // Factor some levels; false where a pivot is not positive.
  bool take(const double* own, Index here) {
    to_sides(own, k_ * k_, here, A_.data());
    is_diagonal_ = true;
    for (Index j = 0; is_diagonal_ && j < k_; ++j)
      for (Index i = 0; i < j; ++i) is_diagonal_ = is_diagonal_ && (A_[j * k_ + i] == 0.0).all();
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
      }
    from_sides(M_.data(), k_ * k_, here, K);
    if (invertible_)
      solve();
    else
      subtract();
    from_sides(T_.data(), k_ * k_, here, T);
  }

 private:
  Index k_;
  const Matrix& lambda_;
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, kLarge, kLarge> inverse_;
  bool invertible_ = false, is_diagonal_ = false;
  Sides A_, M_, W_, T_;  // M_ holds A Lambda, then C below its diagonal, at last K
  Sides C_;              // of what is solved for
  Side pivot_[kLarge];   // squared diagonal of C, then its reciprocal root

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
    std::copy_n(M_.data(), k_ * k_, C_.data());
  }

  // I - A K
  void subtract() {
    for (Index j = 0; j < k_; ++j)
      for (Index i = 0; i < k_; ++i) {
        Side sum = Side::Constant(i == j ? 1.0 : 0.0);
        if (is_diagonal_)
          sum -= A_[i * k_ + i] * M_[j * k_ + i];
        else
          for (Index m = 0; m < k_; ++m) sum -= A_[m * k_ + i] * M_[j * k_ + m];
        T_[j * k_ + i] = sum;
      }
  }

  // Lambda^-T C^-T W
  void solve() {
    for (Index j = 0; j < k_; ++j) {
      Side* column = W_.data() + j * k_;
      for (Index i = k_ - 1; i >= 0; --i) {
        for (Index m = i + 1; m < k_; ++m) column[i] -= C_[m * k_ + i] * column[m];
        column[i] *= C_[i * k_ + i];
      }
      for (Index i = 0; i < k_; ++i) {
        Side sum = Side::Zero();
        for (Index m = i; m < k_; ++m) sum += inverse_(m, i) * column[m];
        T_[j * k_ + i] = sum;
      }
    }
  }
};

// The same for one level at a time, by products of large matrices.
class LargeFactor {
 public:
  explicit LargeFactor(const Matrix& Lambda)
      : k_(Lambda.cols()),
        lambda_(Lambda),
        invertible_(Lambda.diagonal().cwiseAbs().minCoeff() >= 1.0),
        M_(k_, k_),
        W_(k_, k_),
        half_(k_, k_),
        llt_(k_) {}

  // log det(I + A Sigma), NaN when a pivot is not positive; T and K are written.
  double take(const Eigen::Map<const Matrix>& A, double* T, double* K) {
    const Vector diagonal = A.diagonal();
    const bool is_diagonal = A.isDiagonal(0.0) && diagonal.minCoeff() >= 0.0;
    M_.setIdentity();
    if (is_diagonal) {
      half_ = diagonal.cwiseSqrt().asDiagonal() * lambda_;
      M_.selfadjointView<Eigen::Lower>().rankUpdate(half_.transpose());
    } else {
      half_.noalias() = A * lambda_;
      M_.noalias() += lambda_.transpose() * half_;
    }
    llt_.compute(M_);
    if (llt_.info() != Eigen::Success) return std::numeric_limits<double>::quiet_NaN();
    W_ = lambda_.transpose();
    llt_.matrixL().solveInPlace(W_);
    M_.setZero();
    M_.selfadjointView<Eigen::Lower>().rankUpdate(W_.transpose());
    M_.triangularView<Eigen::StrictlyUpper>() = M_.transpose();
    std::copy_n(M_.data(), k_ * k_, K);
    if (invertible_) {
      llt_.matrixU().solveInPlace(W_);
      lambda_.transpose().triangularView<Eigen::Upper>().solveInPlace(W_);
    } else {
      if (is_diagonal)
        W_ = -(diagonal.asDiagonal() * M_);
      else
        W_.noalias() = -A * M_;
      W_.diagonal().array() += 1.0;
    }
    std::copy_n(W_.data(), k_ * k_, T);
    return 2.0 * llt_.matrixLLT().diagonal().array().log().sum();
  }

 private:
  Index k_;
  Matrix lambda_;
  bool invertible_;
  Matrix M_, W_, half_;
  Eigen::LLT<Matrix> llt_;
};

// Levels that are alike, as where each has the same places, are factored once.
double factor_one_by_one(const Matrix& own, const Matrix& Lambda, Matrix& T, Matrix& K) {
  const Index k = Lambda.cols();
  LargeFactor factor(Lambda);
  double log_determinant = 0.0, last = 0.0;
  for (Index l = 0; l < own.cols(); ++l) {
    if (l > 0 && own.col(l) == own.col(l - 1)) {
      T.col(l) = T.col(l - 1);
      K.col(l) = K.col(l - 1);
    } else {
      last =
          factor.take({own.data() + l * k * k, k, k}, T.data() + l * k * k, K.data() + l * k * k);
      if (!std::isfinite(last)) return last;
    }
    log_determinant += last;
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
