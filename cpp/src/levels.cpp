#include "ranef/levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

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

// A determinant that is negative by rounding alone is zero.
double rounded_determinant(double a, double b, double c) {
  const double det = a * c - b * b;
  return det < 0.0 && det > -1e-14 * std::abs(a * c) ? 0.0 : det;
}

// det(I + A Sigma) = 1 + tr(A Sigma) + det A det Sigma: no cancellation.
double factor_pairs(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K) {
  const double s00 = Sigma(0, 0), s10 = Sigma(1, 0), s11 = Sigma(1, 1);
  const double det_Sigma = std::max(0.0, s00 * s11 - s10 * s10);
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const double* a = own.data() + 4 * l;
    const double det_A = rounded_determinant(a[0], a[1], a[3]);
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

// By Sigma = L L': K = L (I + L'A L)^-1 L', which stays accurate where Sigma is large. False where
// Sigma is singular to rounding.
bool factor_symmetric(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K,
                      double& log_determinant) {
  const Index k = Sigma.cols();
  const Eigen::LLT<Matrix> root(Sigma);
  if (root.info() != Eigen::Success) return false;
  const Matrix L = root.matrixL();
  Matrix AL(k, k), M(k, k), W(k, k), Kl(k, k);
  Eigen::LLT<Matrix> llt(k);
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Matrix> A(own.data() + l * k * k, k, k);
    AL.noalias() = A * L;
    M.noalias() = L.transpose() * AL;
    M.diagonal().array() += 1.0;
    llt.compute(M);
    if (llt.info() != Eigen::Success) return false;
    W = L.transpose();
    llt.matrixL().solveInPlace(W);
    Kl.noalias() = W.transpose() * W;
    Eigen::Map<Matrix>(K.data() + l * k * k, k, k) = Kl;
    Eigen::Map<Matrix> Tl(T.data() + l * k * k, k, k);
    Tl.noalias() = -A * Kl;
    Tl.diagonal().array() += 1.0;
    const auto diagonal = llt.matrixLLT().diagonal();
    for (Index i = 0; i < k; ++i) logs.add(diagonal(i) * diagonal(i));
  }
  log_determinant = logs.total();
  return true;
}

template <class Block>
double factor_general(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K) {
  constexpr bool kMayBeLarge = Block::MaxRowsAtCompileTime == Eigen::Dynamic;
  const Index k = Sigma.cols();
  const Block S = Sigma;
  Block M(k, k), inverse(k, k);
  Eigen::PartialPivLU<Block> lu(k);
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Block> A(own.data() + l * k * k, k, k);
    if (kMayBeLarge && k > kLarge)
      M.noalias() = A * S;
    else
      M.noalias() = A.lazyProduct(S);
    M.diagonal().array() += 1.0;
    lu.compute(M);
    const double det = lu.determinant();
    if (!(det > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    inverse = lu.inverse();
    Eigen::Map<Block> Tl(T.data() + l * k * k, k, k), Kl(K.data() + l * k * k, k, k);
    Tl = inverse;
    if (kMayBeLarge && k > kLarge)
      M.noalias() = S * inverse;
    else
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
  double log_determinant = 0.0;
  if (k > kLarge && factor_symmetric(own, Sigma, T, K, log_determinant)) return log_determinant;
  if (k > 4 && k <= kOnStack) return factor_general<SmallSquare>(own, Sigma, T, K);
  return with_size<3>(k, [&](auto size) {
    return factor_general<Square<decltype(size)::value>>(own, Sigma, T, K);
  });
}

namespace {

// Up to so many columns small loops beat a product over all rows.
constexpr Index kFewColumns = 8;

template <int K>
using Rows = Eigen::Matrix<double, K, Eigen::Dynamic, Eigen::RowMajor>;

// Sums over this many levels are added up by themselves, so that a million levels lose no more
// digits than a thousand.
constexpr Index kLevelsAtATime = 512;

// A workspace whose size the compiler knows.
template <int K>
struct Known {
  double numbers[(K > 0 ? K : 1) * kFewColumns];
  explicit Known(Index /*size*/) {}
  double* data() { return numbers; }
};

template <int K>
void reduce_few(const Matrix& Kb, const RowMatrix& rows, Matrix& gram, RowMatrix* KR) {
  const Index levels = Kb.cols();
  const Index k = K == Eigen::Dynamic ? rows.rows() / levels : K;
  const Index c = rows.cols();
  std::conditional_t<K == Eigen::Dynamic, Workspace, Known<K>> work(k * kFewColumns);
  double* const product = work.data();
  for (Index start = 0; start < levels; start += kLevelsAtATime) {
    double sums[kFewColumns * kFewColumns] = {};
    const Index stop = std::min(levels, start + kLevelsAtATime);
    for (Index l = start; l < stop; ++l) {
      const double* Kl = Kb.data() + l * k * k;
      const double* r = rows.data() + l * k * c;
      for (Index i = 0; i < k; ++i)
        for (Index j = 0; j < c; ++j) {
          double sum = 0.0;
          for (Index m = 0; m < k; ++m) sum += Kl[m * k + i] * r[m * c + j];
          product[i * c + j] = sum;
        }
      for (Index j = 0; j < c; ++j)
        for (Index i = 0; i <= j; ++i) {
          double sum = 0.0;
          for (Index m = 0; m < k; ++m) sum += r[m * c + i] * product[m * c + j];
          sums[j * kFewColumns + i] += sum;
        }
      if (KR) std::copy_n(product, k * c, KR->data() + l * k * c);
    }
    for (Index j = 0; j < c; ++j)
      for (Index i = 0; i <= j; ++i) gram(i, j) -= sums[j * kFewColumns + i];
  }
}

template <int K>
using FewRows = Eigen::Matrix<double, K, Eigen::Dynamic, Eigen::RowMajor, K, kFewColumns>;

// out_l = T_l rows_l U, k rows of c numbers a level.
template <int K>
void transform_few(const Matrix& T, const RowMatrix& rows, const Matrix& U, Index k_dynamic,
                   RowMatrix& out) {
  const Index k = K == Eigen::Dynamic ? k_dynamic : K, c = rows.cols();
  FewRows<K> scores(k, c);
  double product[kFewColumns];
  for (Index l = 0; l < T.cols(); ++l) {
    const double* Tl = T.data() + l * k * k;
    const double* r = rows.data() + l * k * c;
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < c; ++j) {
        product[j] = 0.0;
        for (Index m = 0; m < k; ++m) product[j] += Tl[m * k + i] * r[m * c + j];
      }
      for (Index j = 0; j < c; ++j) {
        double sum = 0.0;
        for (Index m = 0; m <= j; ++m) sum += product[m] * U(m, j);
        scores(i, j) = sum;
      }
    }
    std::copy_n(scores.data(), k * c, out.data() + l * k * c);
  }
}

template <int K>
void multiply(const Matrix& M, bool transposed, const RowMatrix& rows, Index k, RowMatrix& out) {
  Column<K> product(k);
  for (Index l = 0; l < M.cols(); ++l) {
    const Eigen::Map<const Square<K>> Ml(M.data() + l * k * k, k, k);
    for (Index j = 0; j < rows.cols(); ++j) {
      const auto column = rows.col(j).segment(l * k, k);
      if (transposed)
        product.noalias() = Ml.transpose().lazyProduct(column);
      else
        product.noalias() = Ml.lazyProduct(column);
      out.col(j).segment(l * k, k) = product;
    }
  }
}

// One column: a level is a number, and its row is scaled in one stroke.
template <>
void multiply<1>(const Matrix& M, bool, const RowMatrix& rows, Index, RowMatrix& out) {
  for (Index l = 0; l < M.cols(); ++l) out.row(l) = M(0, l) * rows.row(l);
}

template <int K>
void sum_all(const Matrix& own, const Matrix& T, const RowMatrix& N, Index k, LevelSums& sums,
             RowMatrix* Th) {
  constexpr int M = K == Eigen::Dynamic ? Eigen::Dynamic : K * (K + 1) / 2;
  const Index m = k * (k + 1) / 2, p = sums.J.rows(), c = p + 1;
  Square<K> B(k, k), sum_B(k, k), fixed(k, k), response(k, k);
  Eigen::Matrix<double, K, M> h(k, m), Bh(k, m);
  Eigen::Matrix<double, M, M> Q(m, m);
  Eigen::Matrix<double, K, 1> n(k);
  sum_B.setZero();
  fixed.setZero();
  response.setZero();
  h.setZero();
  Q.setZero();
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Square<K>> A(own.data() + l * k * k, k, k);
    const Eigen::Map<const Square<K>> Tl(T.data() + l * k * k, k, k);
    const Eigen::Map<const Rows<K>> Nl(N.data() + l * k * c, k, c);
    n = Nl.col(p);
    Index a = 0;
    for (Index j = 0; j < k; ++j)
      for (Index i = j; i < k; ++i, ++a) {
        h(i, a) = n(j);
        if (i != j) h(j, a) = n(i);
      }
    B.noalias() = Tl.lazyProduct(A);
    sum_B += B;
    response.noalias() += n.lazyProduct(n.transpose());
    for (Index x = 0; x < p; ++x) fixed.noalias() += Nl.col(x).lazyProduct(Nl.col(x).transpose());
    Bh.noalias() = B.lazyProduct(h);
    Q.noalias() += h.transpose().lazyProduct(Bh);
    for (Index b = 0; b < m; ++b)
      for (Index x = 0; x < p; ++x) sums.J(x, b) += Nl.col(x).dot(h.col(b));
    if (Th) Th->middleRows(l * k, k).noalias() = Tl.transpose().lazyProduct(h);
  }
  sums.B = 0.5 * (sum_B + sum_B.transpose());
  sums.fixed = fixed;
  sums.response = response;
  sums.Q = Q;
}

}  // namespace

void reduce_levels(const Matrix& K, const RowMatrix& rows, Matrix& gram, RowMatrix* KR) {
  const Index k = K.cols() == 0 ? 1 : rows.rows() / K.cols();
  if (rows.cols() > kFewColumns) {
    RowMatrix work;
    RowMatrix& product = KR ? *KR : work;
    product.resize(rows.rows(), rows.cols());
    multiply_levels(K, false, rows, product);
    gram.noalias() -= rows.transpose() * product;
    return;
  }
  with_size(k, [&](auto size) { reduce_few<decltype(size)::value>(K, rows, gram, KR); });
  gram.triangularView<Eigen::StrictlyLower>() = gram.transpose();
}

void transform_levels(const Matrix& T, const RowMatrix& rows, const Matrix& U, RowMatrix& out) {
  const Index k = T.cols() == 0 ? 1 : rows.rows() / T.cols();
  if (rows.cols() <= kFewColumns) {
    with_size(k, [&](auto size) { transform_few<decltype(size)::value>(T, rows, U, k, out); });
    return;
  }
  multiply_levels(T, false, rows, out);
  constexpr Index kPanel = 256;
  RowMatrix panel(kPanel, rows.cols());
  for (Index first = 0; first < out.rows(); first += kPanel) {
    const Index count = std::min(kPanel, out.rows() - first);
    panel.topRows(count).noalias() = out.middleRows(first, count) * U;
    out.middleRows(first, count) = panel.topRows(count);
  }
}

void multiply_levels(const Matrix& M, bool transposed, const RowMatrix& rows, RowMatrix& out) {
  const Index k = M.cols() == 0 ? 1 : rows.rows() / M.cols();
  with_size(k, [&](auto size) { multiply<decltype(size)::value>(M, transposed, rows, k, out); });
}

void scale_level_rows(const Matrix& M, bool transposed, Index levels, Index first,
                      RowMatrix& rows) {
  const Index k = M.rows();
  if (k == 1) {
    rows.middleRows(first, levels) *= M(0, 0);
    return;
  }
  Workspace numbers(k);
  Eigen::Map<Vector> work(numbers.data(), k);
  for (Index l = 0; l < levels; ++l)
    for (Index j = 0; j < rows.cols(); ++j) {
      auto column = rows.col(j).segment(first + l * k, k);
      if (transposed)
        work.noalias() = M.transpose().lazyProduct(column);
      else
        work.noalias() = M.lazyProduct(column);
      column = work;
    }
}

void scale_level_columns(const Matrix& M, Index levels, Index first, RowMatrix& rows) {
  const Index k = M.rows();
  if (k == 1) {
    rows.middleCols(first, levels) *= M(0, 0);
    return;
  }
  Eigen::RowVectorXd work(k);
  for (Index i = 0; i < rows.rows(); ++i)
    for (Index l = 0; l < levels; ++l) {
      auto part = rows.row(i).segment(first + l * k, k);
      work.noalias() = part.lazyProduct(M);
      part = work;
    }
}

void sum_levels_along(const Matrix& own, const Matrix& T, const RowMatrix& N,
                      const std::vector<Matrix>& directions, LevelSums& sums, RowMatrix* Th) {
  const Index k = N.rows() / own.cols(), p = N.cols() - 1;
  const Index m = static_cast<Index>(directions.size());
  sums.B.setZero(k, k);
  sums.fixed.setZero(k, k);
  sums.response.setZero(k, k);
  sums.Q.setZero(m, m);
  sums.J.setZero(p, m);
  if (Th) Th->resize(N.rows(), m);
  Matrix B(k, k), h(k, m), Bh(k, m), Nl(k, p + 1);
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Matrix> A(own.data() + l * k * k, k, k), Tl(T.data() + l * k * k, k, k);
    Nl = N.middleRows(l * k, k);
    for (Index a = 0; a < m; ++a)
      h.col(a).noalias() = directions[static_cast<std::size_t>(a)] * Nl.col(p);
    B.noalias() = Tl * A;
    sums.B += B;
    sums.response.noalias() += Nl.col(p) * Nl.col(p).transpose();
    sums.fixed.noalias() += Nl.leftCols(p) * Nl.leftCols(p).transpose();
    Bh.noalias() = B * h;
    sums.Q.noalias() += h.transpose() * Bh;
    sums.J.noalias() += Nl.leftCols(p).transpose() * h;
    if (Th) Th->middleRows(l * k, k).noalias() = Tl.transpose() * h;
  }
  sums.B = (0.5 * (sums.B + sums.B.transpose())).eval();
}

void sum_levels(const Matrix& own, const Matrix& T, const RowMatrix& N, LevelSums& sums,
                RowMatrix* Th) {
  const Index k = N.rows() / own.cols();
  sums.J.setZero(N.cols() - 1, k * (k + 1) / 2);
  with_size(k, [&](auto size) { sum_all<decltype(size)::value>(own, T, N, k, sums, Th); });
}

}  // namespace ranef
