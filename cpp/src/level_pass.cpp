#include "ranef/level_pass.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "ranef/with_size.hpp"

namespace ranef {
namespace {

constexpr Index kMostRows = 4;     // k of the levels that have a pass
constexpr Index kMostColumns = 8;  // c
// Levels side by side: as many as a register of 256 bits holds.
constexpr int kLanes = 4;
using Lanes = Eigen::Array<double, kLanes, 1>;
// Sums over this many levels are added up by themselves, so that a million levels lose no more
// digits than a thousand.
constexpr Index kLevelsAtATime = 512;

// Sum of logarithms with one call to log in hundreds.
class LogSum {
 public:
  void add(const Lanes& x) {
    product_ *= x;
    if (!(product_ < 1e200 && product_ > 1e-200).all()) flush();
  }
  double total() {
    flush();
    return sum_;
  }

 private:
  Lanes product_ = Lanes::Ones();
  double sum_ = 0.0;
  void flush() {
    sum_ += product_.log().sum();
    product_.setOnes();
  }
};

// Some levels at a time. Lanes past the last level hold zeros, which add nothing to any sum. All of
// it is compiled into the loops over levels, where it stays in registers: half the time of calls.
template <int K>
class Levels {
 public:
  using Column = std::array<Lanes, K>;

  Levels(const Matrix& own, const Matrix& Lambda) : own_(own), lambda_(Lambda) {
    // Where every direction is larger than the noise, Lambda^-T keeps digits that I - A K loses;
    // where one is small, there is no inverse to trust.
    invertible_ = lambda_.diagonal().cwiseAbs().minCoeff() >= 1.0;
    if (invertible_) inverse_ = lambda_.inverse();
  }

  Index count() const { return own_.cols(); }

  // Take the levels from `first` on and factor I + Lambda'A Lambda = L L'.
  EIGEN_ALWAYS_INLINE void load(Index first) {
    here_ = std::min<Index>(kLanes, count() - first);
    first_ = first;
    for (int e = 0; e < K * K; ++e) A_[e] = gather(own_.data() + first * K * K + e, K * K);
    for (int j = 0; j < K; ++j) {
      Column M;  // column j of A Lambda
      for (int i = 0; i < K; ++i) {
        M[i] = A_[i * K + j] * lambda_(j, j);
        for (int m = j + 1; m < K; ++m) M[i] += A_[i * K + m] * lambda_(m, j);
      }
      for (int i = j; i < K; ++i) {
        Lanes sum = lambda_(i, i) * M[i];
        for (int m = i + 1; m < K; ++m) sum += lambda_(m, i) * M[m];
        for (int m = 0; m < j; ++m) sum -= L_[i * K + m] * L_[j * K + m];
        if (i == j) {
          pivot_[j] = 1.0 + sum;
          reciprocal_[j] = pivot_[j].sqrt().inverse();
        } else {
          L_[i * K + j] = sum * reciprocal_[j];
        }
      }
    }
  }

  const Column& pivots() const { return pivot_; }
  EIGEN_ALWAYS_INLINE Column own(int j) const {
    Column out;
    for (int i = 0; i < K; ++i) out[i] = A_[i * K + j];
    return out;
  }

  // Column j of the levels' rows.
  EIGEN_ALWAYS_INLINE Column read(const RowMatrix& rows, Index j) const {
    const Index c = rows.cols();
    const double* r = rows.data() + first_ * K * c + j;
    Column out;
    for (int i = 0; i < K; ++i) out[i] = gather(r + i * c, K * c);
    return out;
  }
  void write(const Column& column, RowMatrix& rows, Index j) const {
    const Index c = rows.cols();
    double* r = rows.data() + first_ * K * c + j;
    for (int i = 0; i < K; ++i)
      for (Index v = 0; v < here_; ++v) r[(v * K + i) * c] = column[i](v);
  }

  // L^-1 Lambda'r
  EIGEN_ALWAYS_INLINE Column half(const Column& r) const {
    Column w;
    for (int i = 0; i < K; ++i) {
      w[i] = lambda_(i, i) * r[i];
      for (int m = i + 1; m < K; ++m) w[i] += lambda_(m, i) * r[m];
      for (int m = 0; m < i; ++m) w[i] -= L_[i * K + m] * w[m];
      w[i] *= reciprocal_[i];
    }
    return w;
  }
  // u = (I + Lambda'A Lambda)^-1 Lambda'r
  EIGEN_ALWAYS_INLINE Column spherical(const Column& r) const {
    Column u = half(r);
    for (int i = K - 1; i >= 0; --i) {
      for (int m = i + 1; m < K; ++m) u[i] -= L_[m * K + i] * u[m];
      u[i] *= reciprocal_[i];
    }
    return u;
  }
  // K r = Lambda u
  EIGEN_ALWAYS_INLINE Column modes(const Column& r) const {
    const Column u = spherical(r);
    Column b;
    for (int i = 0; i < K; ++i) {
      b[i] = lambda_(i, 0) * u[0];
      for (int m = 1; m <= i; ++m) b[i] += lambda_(i, m) * u[m];
    }
    return b;
  }
  // T r = Lambda^-T u = r - A K r
  EIGEN_ALWAYS_INLINE Column scores(const Column& r) const {
    if (!invertible_) {
      const Column b = modes(r);
      Column out = r;
      for (int i = 0; i < K; ++i)
        for (int m = 0; m < K; ++m) out[i] -= A_[i * K + m] * b[m];
      return out;
    }
    const Column u = spherical(r);
    Column out;
    for (int i = 0; i < K; ++i) {
      out[i] = inverse_(i, i) * u[i];
      for (int m = i + 1; m < K; ++m) out[i] += inverse_(m, i) * u[m];
    }
    return out;
  }

 private:
  using Small = Eigen::Matrix<double, K, K>;
  const Matrix& own_;
  Small lambda_, inverse_ = Small::Identity();
  bool invertible_ = false;
  Index first_ = 0, here_ = 0;
  std::array<Lanes, K * K> A_, L_;
  Column pivot_, reciprocal_;

  EIGEN_ALWAYS_INLINE Lanes gather(const double* from, Index stride) const {
    if (here_ == kLanes) return {from[0], from[stride], from[2 * stride], from[3 * stride]};
    Lanes out = Lanes::Zero();
    for (Index v = 0; v < here_; ++v) out(v) = from[v * stride];
    return out;
  }
};

template <int K, int C>
double reduce(const Matrix& own, const Matrix& Lambda, const RowMatrix& rows, Matrix& gram) {
  constexpr int kColumns = C == Eigen::Dynamic ? kMostColumns : C;
  const int c = C == Eigen::Dynamic ? static_cast<int>(rows.cols()) : C;
  Levels<K> levels(own, Lambda);
  LogSum logs;
  std::array<typename Levels<K>::Column, kColumns> W;
  for (Index block = 0; block < levels.count(); block += kLevelsAtATime) {
    std::array<Lanes, kColumns * kColumns> sums;
    for (Lanes& sum : sums) sum.setZero();
    const Index stop = std::min(levels.count(), block + kLevelsAtATime);
    for (Index l = block; l < stop; l += kLanes) {
      levels.load(l);
      for (const Lanes& pivot : levels.pivots()) logs.add(pivot);
      for (int j = 0; j < c; ++j) {
        W[j] = levels.half(levels.read(rows, j));
        for (int i = 0; i <= j; ++i)
          for (int m = 0; m < K; ++m) sums[j * kColumns + i] += W[i][m] * W[j][m];
      }
    }
    for (int j = 0; j < c; ++j)
      for (int i = 0; i <= j; ++i) gram(i, j) -= sums[j * kColumns + i].sum();
  }
  gram.triangularView<Eigen::StrictlyLower>() = gram.transpose();
  return logs.total();
}

// Sums over lanes of the products of one level, elements of Sigma in the order of LevelSums.
template <int K, int C>
class Sums {
 public:
  explicit Sums(int p) : p_(p) {
    for (auto* part : {&B_, &fixed_, &response_})
      for (Lanes& sum : *part) sum.setZero();
    for (Lanes& sum : Q_) sum.setZero();
    for (Lanes& sum : J_) sum.setZero();
  }

  // T A, and the columns of N, of which the last is the response's.
  template <class Columns>
  EIGEN_ALWAYS_INLINE void add(const std::array<std::array<Lanes, K>, K>& B, const Columns& N) {
    const auto& n = N[p_];
    std::array<std::array<Lanes, K>, kElements> Bh;
    int a = 0;
    for (int j = 0; j < K; ++j)
      for (int i = j; i < K; ++i, ++a) {
        B_[a] += B[j][i];
        response_[a] += n[i] * n[j];
        for (int x = 0; x < p_; ++x) {
          fixed_[a] += N[x][i] * N[x][j];
          J_[a * kFixed + x] += times_h(N[x], n, i, j);
        }
        for (int r = 0; r < K; ++r) {
          Bh[a][r] = B[i][r] * n[j];
          if (i != j) Bh[a][r] += B[j][r] * n[i];
        }
      }
    for (a = 0; a < kElements; ++a) {
      int b = 0;
      for (int j = 0; j < K; ++j)
        for (int i = j; i < K; ++i, ++b)
          if (b <= a) Q_[a * kElements + b] += times_h(Bh[a], n, i, j);
    }
  }

  void write(LevelSums& out) const {
    out.B.resize(K, K);
    out.fixed.resize(K, K);
    out.response.resize(K, K);
    out.Q.resize(kElements, kElements);
    out.J.resize(p_, kElements);
    int a = 0;
    for (int j = 0; j < K; ++j)
      for (int i = j; i < K; ++i, ++a) {
        out.B(i, j) = out.B(j, i) = B_[a].sum();
        out.fixed(i, j) = out.fixed(j, i) = fixed_[a].sum();
        out.response(i, j) = out.response(j, i) = response_[a].sum();
        for (int b = 0; b <= a; ++b) out.Q(a, b) = out.Q(b, a) = Q_[a * kElements + b].sum();
        for (int x = 0; x < p_; ++x) out.J(x, a) = J_[a * kFixed + x].sum();
      }
  }

 private:
  static constexpr int kElements = K * (K + 1) / 2;
  static constexpr int kFixed = (C == Eigen::Dynamic ? kMostColumns : C) - 1 + (C == 1);
  int p_;
  std::array<Lanes, kElements> B_, fixed_, response_;
  std::array<Lanes, kElements * kElements> Q_;
  std::array<Lanes, kElements * kFixed> J_;

  // v'h of the element (i, j)
  static Lanes times_h(const std::array<Lanes, K>& v, const std::array<Lanes, K>& n, int i, int j) {
    if (i == j) return v[i] * n[i];
    return v[i] * n[j] + v[j] * n[i];
  }
};

template <int K, int C>
void sum(const Matrix& own, const Matrix& Lambda, const RowMatrix& rows, const Matrix& U,
         LevelSums& out) {
  constexpr int kColumns = C == Eigen::Dynamic ? kMostColumns : C;
  const int c = C == Eigen::Dynamic ? static_cast<int>(rows.cols()) : C;
  using Column = typename Levels<K>::Column;
  Levels<K> levels(own, Lambda);
  Sums<K, C> sums(c - 1);
  std::array<Column, K> B;
  std::array<Column, kColumns> N;
  for (Index l = 0; l < levels.count(); l += kLanes) {
    levels.load(l);
    for (int j = 0; j < K; ++j) B[j] = levels.scores(levels.own(j));
    for (int j = 0; j < c; ++j) N[j] = levels.scores(levels.read(rows, j));
    for (int j = c - 1; j >= 0; --j)  // N <- N U
      for (int i = 0; i < K; ++i) {
        N[j][i] *= U(j, j);
        for (int r = 0; r < j; ++r) N[j][i] += N[r][i] * U(r, j);
      }
    sums.add(B, N);
  }
  sums.write(out);
}

template <int K>
void solve(const Matrix& own, const Matrix& Lambda, RowMatrix& B) {
  Levels<K> levels(own, Lambda);
  for (Index l = 0; l < levels.count(); l += kLanes) {
    levels.load(l);
    for (Index j = 0; j < B.cols(); ++j) levels.write(levels.modes(levels.read(B, j)), B, j);
  }
}

template <class F>
void with_rows(Index k, F&& f) {
  with_size(k, [&](auto size) {
    if constexpr (decltype(size)::value != Eigen::Dynamic) f(size);
  });
}

// Columns known to the compiler where that pays: two to four, of levels of one or two rows.
template <int K, class F>
void with_columns(Index c, F&& f) {
  if constexpr (K <= 2)
    with_size<2>(c, f);
  else
    f(std::integral_constant<int, Eigen::Dynamic>{});
}

}  // namespace

bool has_level_pass(Index k, Index c) { return k <= kMostRows && c <= kMostColumns; }

double reduce_levels_pass(const Matrix& own, const Matrix& Lambda, const RowMatrix& rows,
                          Matrix& gram) {
  double out = std::numeric_limits<double>::quiet_NaN();
  with_rows(Lambda.cols(), [&](auto size) {
    with_columns<decltype(size)::value>(rows.cols(), [&](auto columns) {
      out = reduce<decltype(size)::value, decltype(columns)::value>(own, Lambda, rows, gram);
    });
  });
  return out;
}

void sum_levels_pass(const Matrix& own, const Matrix& Lambda, const RowMatrix& rows,
                     const Matrix& U, LevelSums& sums) {
  with_rows(Lambda.cols(), [&](auto size) {
    with_columns<decltype(size)::value>(rows.cols(), [&](auto columns) {
      sum<decltype(size)::value, decltype(columns)::value>(own, Lambda, rows, U, sums);
    });
  });
}

void solve_levels_pass(const Matrix& own, const Matrix& Lambda, RowMatrix& B) {
  with_rows(Lambda.cols(), [&](auto size) { solve<decltype(size)::value>(own, Lambda, B); });
}

}  // namespace ranef
