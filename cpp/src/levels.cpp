#include "ranef/levels.hpp"

#include <cmath>
#include <limits>

#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// Sum of logarithms with one call to log in hundreds.
class LogSum {
 public:
  void add(double x) {
    product_ *= x;
    if (product_ > 1e200 || product_ < 1e-200) flush();
  }
  double total() {
    flush();
    return sum_;
  }

 private:
  double product_ = 1.0, sum_ = 0.0;
  void flush() {
    sum_ += std::log(product_);
    product_ = 1.0;
  }
};

double factor_scalar(const Matrix& own, double sigma, Matrix& T, Matrix& K) {
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const double d = 1.0 + own(0, l) * sigma;
    const double t = 1.0 / d;
    T(0, l) = t;
    K(0, l) = sigma * t;
    logs.add(d);
  }
  return logs.total();
}

// det(I + A Sigma) = 1 + tr(A Sigma) + det A det Sigma: no cancellation.
double factor_pairs(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K) {
  const double s00 = Sigma(0, 0), s10 = Sigma(1, 0), s11 = Sigma(1, 1);
  const double det_Sigma = std::max(0.0, s00 * s11 - s10 * s10);
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const double* a = own.data() + 4 * l;
    const double det_A = std::max(0.0, a[0] * a[3] - a[1] * a[1]);
    const double m00 = a[0] * s00 + a[1] * s10, m01 = a[0] * s10 + a[1] * s11;
    const double m10 = a[1] * s00 + a[3] * s10, m11 = a[1] * s10 + a[3] * s11;
    const double det = 1.0 + m00 + m11 + det_A * det_Sigma;
    const double inverse = 1.0 / det;
    double* t = T.data() + 4 * l;
    t[0] = (1.0 + m11) * inverse;
    t[1] = -m10 * inverse;
    t[2] = -m01 * inverse;
    t[3] = (1.0 + m00) * inverse;
    double* k = K.data() + 4 * l;
    k[0] = (s00 + a[3] * det_Sigma) * inverse;
    k[1] = k[2] = (s10 - a[1] * det_Sigma) * inverse;
    k[3] = (s11 + a[0] * det_Sigma) * inverse;
    logs.add(det);
  }
  return logs.total();
}

template <int Size>
double factor_general(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K) {
  using Small = Eigen::Matrix<double, Size, Size>;
  const Index k = Sigma.cols();
  const Small S = Sigma;
  Small M(k, k), inverse(k, k);
  Eigen::PartialPivLU<Small> lu(k);
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Small> A(own.data() + l * k * k, k, k);
    M.noalias() = A.lazyProduct(S);
    M.diagonal().array() += 1.0;
    lu.compute(M);
    const double det = lu.determinant();
    if (!(det > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    inverse = lu.inverse();
    Eigen::Map<Small> Tl(T.data() + l * k * k, k, k), Kl(K.data() + l * k * k, k, k);
    Tl = inverse;
    M.noalias() = S.lazyProduct(inverse);
    Kl = 0.5 * (M + M.transpose());
    logs.add(det);
  }
  return logs.total();
}

}  // namespace

double factor_levels(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K) {
  const Index k = Sigma.cols();
  if (k == 1) return factor_scalar(own, Sigma(0, 0), T, K);
  if (k == 2) return factor_pairs(own, Sigma, T, K);
  return with_size(k, [&](auto size) {
    constexpr int Size = decltype(size)::value;
    return factor_general<Size>(own, Sigma, T, K);
  });
}

void apply_levels(const Matrix& M, const RowMatrix& rows, RowMatrix& out) {
  const Index levels = M.cols(), m = rows.cols();
  if (levels == 0) return;
  const Index k = rows.rows() / levels;
  if (k == 1) {
    for (Index l = 0; l < levels; ++l) out.row(l) = M(0, l) * rows.row(l);
    return;
  }
  for (Index l = 0; l < levels; ++l) {
    const double* a = M.data() + l * k * k;
    const double* in = rows.data() + l * k * m;
    double* to = out.data() + l * k * m;
    for (Index i = 0; i < k; ++i)
      for (Index j = 0; j < m; ++j) {
        double sum = 0.0;
        for (Index r = 0; r < k; ++r) sum += a[r * k + i] * in[r * m + j];
        to[i * m + j] = sum;
      }
  }
}

Matrix sum_B(const Matrix& own, const Matrix& T, Index k) {
  Matrix out = Matrix::Zero(k, k);
  double* o = out.data();
  for (Index l = 0; l < own.cols(); ++l) {
    const double* a = own.data() + l * k * k;
    const double* t = T.data() + l * k * k;
    for (Index j = 0; j < k; ++j)
      for (Index r = 0; r < k; ++r)
        for (Index i = 0; i < k; ++i) o[j * k + i] += t[r * k + i] * a[j * k + r];
  }
  return 0.5 * (out + out.transpose());
}

}  // namespace ranef
