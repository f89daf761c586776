#include "ranef/levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "ranef/level_lanes.hpp"
#include "ranef/turned.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// The loops here are plain: a compiler takes long over Eigen's expressions of blocks of known size,
// which are no faster.

// A size, known to the compiler where it can be.
template <int K>
constexpr Index known(Index size) {
  return K == Eigen::Dynamic ? size : K;
}

// K times M numbers for the time of a call.
template <int K, int M>
struct Known {
  double numbers[K * M];
  explicit Known(Index /*size*/) {}
  double* data() { return numbers; }
};
template <int K, int M>
using Room =
    std::conditional_t<K == Eigen::Dynamic, Workspace, Known<(K > 0 ? K : 1), (M > 0 ? M : 1)>>;

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

// LU of M (k, k), by columns and in place, rows exchanged so that pivots are large: its
// determinant.
template <int K>
double decompose(double* M, Index* exchanged, Index size) {
  const Index k = known<K>(size);
  double determinant = 1.0;
  for (Index j = 0; j < k; ++j) {
    double* column = M + j * k;
    Index best = j;
    for (Index i = j + 1; i < k; ++i)
      if (std::abs(column[i]) > std::abs(column[best])) best = i;
    exchanged[j] = best;
    if (best != j) {
      determinant = -determinant;
      for (Index c = 0; c < k; ++c) std::swap(M[c * k + j], M[c * k + best]);
    }
    determinant *= column[j];
    const double reciprocal = 1.0 / column[j];
    for (Index i = j + 1; i < k; ++i) column[i] *= reciprocal;
    for (Index c = j + 1; c < k; ++c)
      for (Index i = j + 1; i < k; ++i) M[c * k + i] -= column[i] * M[c * k + j];
  }
  return determinant;
}

// The inverse of M from its LU.
template <int K>
void invert(const double* M, const Index* exchanged, Index size, double* inverse) {
  const Index k = known<K>(size);
  for (Index i = 0; i < k * k; ++i) inverse[i] = 0.0;
  for (Index i = 0; i < k; ++i) inverse[i * k + i] = 1.0;
  for (Index j = 0; j < k; ++j)
    for (Index c = 0; c < k && exchanged[j] != j; ++c)
      std::swap(inverse[c * k + j], inverse[c * k + exchanged[j]]);
  for (Index c = 0; c < k; ++c) {
    double* x = inverse + c * k;
    for (Index j = 0; j < k; ++j)
      for (Index i = j + 1; i < k; ++i) x[i] -= M[j * k + i] * x[j];
    for (Index j = k - 1; j >= 0; --j) {
      x[j] /= M[j * k + j];
      for (Index i = 0; i < j; ++i) x[i] -= M[j * k + i] * x[j];
    }
  }
}

// C <- A B, (k, k) each, by columns.
template <int K>
void multiply_blocks(const double* A, const double* B, Index size, double* C) {
  const Index k = known<K>(size);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < k; ++i) {
      double sum = 0.0;
      for (Index m = 0; m < k; ++m) sum += A[m * k + i] * B[j * k + m];
      C[j * k + i] = sum;
    }
}

template <int K>
double factor_general(const Matrix& own, const Matrix& Sigma, Matrix& T, Matrix& K_out) {
  const Index k = known<K>(Sigma.cols());
  Room<K, K> work(k * k);
  std::vector<Index> exchanged(k);
  double* const M = work.data();
  LogSum logs;
  for (Index l = 0; l < own.cols(); ++l) {
    double *inverse = T.data() + l * k * k, *to = K_out.data() + l * k * k;
    multiply_blocks<K>(own.data() + l * k * k, Sigma.data(), k, M);
    for (Index i = 0; i < k; ++i) M[i * k + i] += 1.0;
    const double determinant = decompose<K>(M, exchanged.data(), k);
    if (!(determinant > 0.0)) return std::numeric_limits<double>::quiet_NaN();
    invert<K>(M, exchanged.data(), k, inverse);
    multiply_blocks<K>(Sigma.data(), inverse, k, M);
    for (Index j = 0; j < k; ++j)
      for (Index i = 0; i <= j; ++i)
        to[j * k + i] = to[i * k + j] = 0.5 * (M[j * k + i] + M[i * k + j]);
    logs.add(determinant);
  }
  return logs.total();
}

}  // namespace

double factor_levels(const Matrix& own, const Matrix& Lambda, const Matrix& Sigma, Matrix& T,
                     Matrix& K) {
  const Index k = Sigma.cols();
  if (k == 1) return factor_scalar(own, Sigma(0, 0), T, K);
  if (k == 2) return factor_pairs(own, Sigma, T, K);
  if (k == 3) return factor_general<3>(own, Sigma, T, K);
  return factor_side_by_side(own, Lambda, T, K);
}

namespace {

// Up to so many columns small loops beat a product over all rows.
constexpr Index kFewColumns = 8;

// Sums over this many levels are added up by themselves, so that a million levels lose no more
// digits than a thousand.
constexpr Index kLevelsAtATime = 512;

template <int K>
void reduce_few(const Matrix& Kb, const RowMatrix& rows, Matrix& gram, RowMatrix* KR) {
  const Index levels = Kb.cols();
  const Index k = known<K>(rows.rows() / levels), c = rows.cols();
  Room<K, kFewColumns> work(k * kFewColumns);
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

// out_l = T_l rows_l U, k rows of c numbers a level.
template <int K>
void transform_few(const Matrix& T, const RowMatrix& rows, const Matrix& U, Index size,
                   RowMatrix& out) {
  const Index k = known<K>(size), c = rows.cols();
  Room<K, kFewColumns> work(k * kFewColumns);
  double* const scores = work.data();
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
        scores[i * c + j] = sum;
      }
    }
    std::copy_n(scores, k * c, out.data() + l * k * c);
  }
}

// out_l = M_l rows_l, or M_l'rows_l, a column at a time; `out` may be `rows`.
template <int K>
void multiply(const Matrix& M, bool transposed, const RowMatrix& rows, RowMatrix& out) {
  const Index c = rows.cols(), down = transposed ? K : 1, across = transposed ? 1 : K;
  double column[K];
  for (Index l = 0; l < M.cols(); ++l) {
    const double *Ml = M.data() + l * K * K, *r = rows.data() + l * K * c;
    double* to = out.data() + l * K * c;
    for (Index j = 0; j < c; ++j) {
      for (Index m = 0; m < K; ++m) column[m] = r[m * c + j];
      for (Index i = 0; i < K; ++i) {
        double sum = 0.0;
        for (Index m = 0; m < K; ++m) sum += Ml[i * down + m * across] * column[m];
        to[i * c + j] = sum;
      }
    }
  }
}

// One column: a level is a number, and its row is scaled in one stroke.
template <>
void multiply<1>(const Matrix& M, bool, const RowMatrix& rows, RowMatrix& out) {
  for (Index l = 0; l < M.cols(); ++l) out.row(l) = M(0, l) * rows.row(l);
}

// A few columns of any number k of rows a level, by columns of M.
void multiply_few(const Matrix& M, bool transposed, const RowMatrix& rows, Index k,
                  RowMatrix& out) {
  const Index c = rows.cols();
  Workspace work(2 * k * c);
  double *const in = work.data(), *const product = in + k * c;
  for (Index l = 0; l < M.cols(); ++l) {
    const double *Ml = M.data() + l * k * k, *r = rows.data() + l * k * c;
    for (Index j = 0; j < c; ++j)
      for (Index i = 0; i < k; ++i) {
        in[j * k + i] = r[i * c + j];
        product[j * k + i] = 0.0;
      }
    for (Index m = 0; m < k; ++m) {
      const double* column = Ml + m * k;
      for (Index j = 0; j < c; ++j) {
        double *to = product + j * k, *from = in + j * k;
        if (transposed)
          for (Index i = 0; i < k; ++i) to[m] += column[i] * from[i];
        else
          for (Index i = 0; i < k; ++i) to[i] += column[i] * from[m];
      }
    }
    double* back = out.data() + l * k * c;
    for (Index j = 0; j < c; ++j)
      for (Index i = 0; i < k; ++i) back[i * c + j] = product[j * k + i];
  }
}

// The same for levels of any number k of rows, a row at a time.
void multiply_any(const Matrix& M, bool transposed, const RowMatrix& rows, Index k,
                  RowMatrix& out) {
  const Index c = rows.cols(), down = transposed ? k : 1, across = transposed ? 1 : k;
  if (c <= kFewColumns) return multiply_few(M, transposed, rows, k, out);
  Workspace work(k * c);
  for (Index l = 0; l < M.cols(); ++l) {
    const double *Ml = M.data() + l * k * k, *r = rows.data() + l * k * c;
    for (Index i = 0; i < k; ++i) {
      double* product = work.data() + i * c;
      for (Index j = 0; j < c; ++j) product[j] = 0.0;
      for (Index m = 0; m < k; ++m) {
        const double factor = Ml[i * down + m * across];
        for (Index j = 0; j < c; ++j) product[j] += factor * r[m * c + j];
      }
    }
    std::copy_n(work.data(), k * c, out.data() + l * k * c);
  }
}

// h_a of the element a = (i, j) of Sigma has n_j in row i and n_i in row j: v'h_a for v at stride
// `step`.
inline double times_h(const double* v, Index step, const double* n, Index i, Index j) {
  return i == j ? v[i * step] * n[i] : v[i * step] * n[j] + v[j * step] * n[i];
}

// visit(a, i, j) of every element.
template <class Visit>
inline void each_element(Index k, Visit&& visit) {
  Index a = 0;
  for (Index j = 0; j < k; ++j)
    for (Index i = j; i < k; ++i) visit(a++, i, j);
}

template <int K>
void sum_all(const Matrix& own, const Matrix& T, const RowMatrix& N, Index size, LevelSums& sums,
             RowMatrix* Th) {
  constexpr int M = K == Eigen::Dynamic ? K : K * (K + 1) / 2;
  const Index k = known<K>(size), m = k * (k + 1) / 2, p = sums.J.rows(), c = p + 1;
  Room<K, K> of_B(k * k);
  Room<K, M> of_Bh(k * m);
  Room<K, 1> of_n(k);
  Room<K, 3 * K> of_sums(3 * k * k);
  Room<M, M> of_Q(m * m);
  double *const B = of_B.data(), *const Bh = of_Bh.data(), *const n = of_n.data();
  double *const sum_B = of_sums.data(), *const fixed = sum_B + k * k,
                *const response = fixed + k * k;
  double* const Q = of_Q.data();
  std::fill_n(sum_B, 3 * k * k, 0.0);
  std::fill_n(Q, m * m, 0.0);
  for (Index l = 0; l < own.cols(); ++l) {
    const double *Tl = T.data() + l * k * k, *rows = N.data() + l * k * c;
    multiply_blocks<K>(Tl, own.data() + l * k * k, k, B);
    for (Index i = 0; i < k; ++i) n[i] = rows[i * c + p];
    each_element(k, [&](Index a, Index i, Index j) {
      const double *one = rows + i * c, *other = rows + j * c;
      double sum = 0.0, *J = sums.J.data() + a * p;
      for (Index x = 0; x < p; ++x) sum += one[x] * other[x];
      for (Index x = 0; x < p; ++x)
        J[x] += i == j ? one[x] * n[i] : one[x] * n[j] + other[x] * n[i];
      fixed[j * k + i] += sum;
      response[j * k + i] += n[i] * n[j];
      sum_B[j * k + i] += 0.5 * (B[j * k + i] + B[i * k + j]);
      for (Index r = 0; r < k; ++r) Bh[a * k + r] = times_h(B + r, k, n, i, j);
    });
    each_element(k, [&](Index b, Index i, Index j) {
      for (Index a = b; a < m; ++a) Q[b * m + a] += times_h(Bh + a * k, 1, n, i, j);
      if (!Th) return;
      double* to = Th->data() + l * k * m + b;
      for (Index r = 0; r < k; ++r) to[r * m] = times_h(Tl + r * k, 1, n, i, j);
    });
  }
  std::copy_n(sum_B, k * k, sums.B.data());
  std::copy_n(fixed, k * k, sums.fixed.data());
  std::copy_n(response, k * k, sums.response.data());
  std::copy_n(Q, m * m, sums.Q.data());
}

}  // namespace

void reduce_levels(const Matrix& K, const RowMatrix& rows, Matrix& gram, RowMatrix* KR) {
  const Index k = K.cols() == 0 ? 1 : rows.rows() / K.cols();
  if (rows.cols() > kFewColumns) {
    RowMatrix work;
    RowMatrix& product = KR ? *KR : work;
    product.resize(rows.rows(), rows.cols());
    multiply_levels(K, false, rows, product);
    gram -= tcrossprod(turned(rows), turned(product));
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
  for (Index first = 0; first < out.rows(); first += kPanel) {
    const Index count = std::min(kPanel, out.rows() - first);
    const Matrix panel = crossprod(U, turned(out).middleCols(first, count));
    out.middleRows(first, count) = Eigen::Map<const RowMatrix>(panel.data(), count, out.cols());
  }
}

void multiply_levels(const Matrix& M, bool transposed, const RowMatrix& rows, RowMatrix& out) {
  const Index k = M.cols() == 0 ? 1 : rows.rows() / M.cols();
  with_size(k, [&](auto size) {
    if constexpr (decltype(size)::value == Eigen::Dynamic)
      multiply_any(M, transposed, rows, k, out);
    else
      multiply<decltype(size)::value>(M, transposed, rows, out);
  });
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
  Matrix B(k, k), h(k, m), Nl(k, p + 1);
  for (Index l = 0; l < own.cols(); ++l) {
    const Eigen::Map<const Matrix> A(own.data() + l * k * k, k, k), Tl(T.data() + l * k * k, k, k);
    Nl = N.middleRows(l * k, k);
    for (Index a = 0; a < m; ++a)
      h.col(a).noalias() = directions[static_cast<std::size_t>(a)] * Nl.col(p);
    if (A.isDiagonal(0.0))
      B = Tl * A.diagonal().asDiagonal();
    else
      B = product(Tl, A);
    sums.B += B;
    sums.response += tcrossprod(Nl.col(p), Nl.col(p));
    sums.fixed += tcrossprod(Nl.leftCols(p), Nl.leftCols(p));
    sums.Q += crossprod(h, product(B, h));
    sums.J += crossprod(Nl.leftCols(p), h);
    if (Th) Th->middleRows(l * k, k) = crossprod(Tl, h);
  }
  sums.B = (0.5 * (sums.B + sums.B.transpose())).eval();
}

void sum_levels(const Matrix& own, const Matrix& T, const RowMatrix& N, LevelSums& sums,
                RowMatrix* Th) {
  const Index k = N.rows() / own.cols();
  const Index m = k * (k + 1) / 2;
  sums.J.setZero(N.cols() - 1, m);
  sums.Q.setZero(m, m);
  for (Matrix* square : {&sums.B, &sums.fixed, &sums.response}) square->setZero(k, k);
  with_size(k, [&](auto size) { sum_all<decltype(size)::value>(own, T, N, k, sums, Th); });
  for (Matrix* square : {&sums.B, &sums.fixed, &sums.response, &sums.Q})
    square->triangularView<Eigen::StrictlyUpper>() = square->transpose();
}

}  // namespace ranef
