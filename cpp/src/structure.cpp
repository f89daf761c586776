#include "ranef/structure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "ranef/dense.hpp"
#include "ranef/matern.hpp"

namespace ranef {
namespace {

// Beyond these a parameter is as good as infinite.
constexpr double kFarCorrelation = 14.0, kFarLog = 40.0;
// A smoothness is sought between these; from about 20 on nothing tells one from another.
constexpr double kLeastSmoothness = 0.02, kMostSmoothness = 50.0;
// Differences of slopes are taken over this step.
constexpr double kStep = 1e-4;
// A correlation matrix that is singular to rounding is factored with so much on its diagonal.
constexpr double kJitter[] = {0.0, 1e-13, 1e-11, 1e-9};

double logistic(double z) { return 1.0 / (1.0 + std::exp(-z)); }

// The smoothness k of a parameter z, and dk / dz: log k is logistic in z.
double smoothness_of(double z, double* slope) {
  const double span = std::log(kMostSmoothness / kLeastSmoothness), e = logistic(z);
  const double k = kLeastSmoothness * std::exp(span * e);
  if (slope) *slope = k * span * e * (1.0 - e);
  return k;
}

double smoothness_parameter(double k) {
  const double e = std::log(k / kLeastSmoothness) / std::log(kMostSmoothness / kLeastSmoothness);
  return std::log(e / (1.0 - e));
}

Matrix distances(const Matrix& a, const Matrix& b) {
  Matrix out(a.rows(), b.rows());
  for (Index j = 0; j < b.rows(); ++j)
    for (Index i = 0; i < a.rows(); ++i) out(i, j) = (a.row(i) - b.row(j)).norm();
  return out;
}

double median_of_positive(const Matrix& distance) {
  std::vector<double> values;
  for (Index i = 0; i < distance.size(); ++i)
    if (distance.data()[i] > 0.0) values.push_back(distance.data()[i]);
  if (values.empty()) return 1.0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Lower factor of a correlation matrix.
Matrix root(const Matrix& R) {
  for (double jitter : kJitter) {
    const Eigen::LLT<Matrix> llt(Matrix(R + jitter * Matrix::Identity(R.rows(), R.cols())));
    if (llt.info() == Eigen::Success) return llt.matrixL();
  }
  return Matrix::Constant(R.rows(), R.cols(), std::numeric_limits<double>::quiet_NaN());
}

// d L of L L' = R: L times the lower triangle of L^-1 dR L^-T, half its diagonal.
Matrix root_slope(const Matrix& L, const Matrix& slope) {
  const auto triangle = L.triangularView<Eigen::Lower>();
  Matrix left = slope;
  triangle.solveInPlace(left);
  Matrix middle = left.transpose();
  triangle.solveInPlace(middle);  // symmetric but for rounding: read from its transpose
  Matrix lower = Matrix::Zero(L.rows(), L.cols());
  for (Index j = 0; j < L.cols(); ++j) {
    lower(j, j) = 0.5 * middle(j, j);
    for (Index i = j + 1; i < L.rows(); ++i) lower(i, j) = middle(j, i);
  }
  return product(L, lower);
}

// D M, and D M D, of a diagonal D.
Matrix times_rows(const Vector& d, Matrix M) {
  for (Index j = 0; j < M.cols(); ++j)
    for (Index i = 0; i < M.rows(); ++i) M(i, j) *= d(i);
  return M;
}

Matrix times_both(const Vector& d, Matrix M) {
  for (Index j = 0; j < M.cols(); ++j)
    for (Index i = 0; i < M.rows(); ++i) M(i, j) *= d(i) * d(j);
  return M;
}

}  // namespace

Shape parse_shape(const std::string& name) {
  if (name == "identity") return Shape::kIdentity;
  if (name == "cs") return Shape::kCompound;
  if (name == "ar1") return Shape::kAutoregressive;
  if (name == "toep") return Shape::kToeplitz;
  if (name == "ou") return Shape::kDecay;
  if (name == "exponential") return Shape::kExponential;
  if (name == "matern") return Shape::kMatern;
  if (name == "variances") return Shape::kVariances;
  if (name == "precisions") return Shape::kPrecisions;
  throw std::invalid_argument("shape: " + name + " is not known");
}

Structure::Structure(Shape shape, Index k, bool homogeneous, Matrix places, Matrix forms)
    : shape_(shape),
      k_(k),
      homogeneous_(homogeneous),
      places_(std::move(places)),
      forms_(std::move(forms)) {
  if (k < 1) throw std::invalid_argument("structure: no columns");
  switch (shape) {
    case Shape::kIdentity:
      break;
    case Shape::kCompound:
    case Shape::kAutoregressive:
      n_shape_ = 1;
      break;
    case Shape::kToeplitz:
      n_shape_ = k - 1;
      break;
    case Shape::kDecay:
    case Shape::kExponential:
    case Shape::kMatern:
      n_shape_ = shape == Shape::kMatern ? 2 : 1;
      if (places_.rows() != k) throw std::invalid_argument("places: not one row for each column");
      distance_ = distances(places_, places_);
      typical_ = median_of_positive(distance_);
      break;
    case Shape::kVariances:
    case Shape::kPrecisions:
      if (forms_.rows() != k || forms_.cols() < 1 || !(forms_.minCoeff() >= 0.0))
        throw std::invalid_argument("forms: not one row of numbers from zero on for each column");
      homogeneous_ = true;
      break;
  }
  if (shape != Shape::kIdentity && !is_diagonal() && k < 2)
    throw std::invalid_argument("structure: a correlation needs two columns");
  n_sds_ = is_diagonal() && shape != Shape::kIdentity ? forms_.cols() : homogeneous_ ? 1 : k;
}

bool Structure::is_diagonal() const {
  return shape_ == Shape::kIdentity || shape_ == Shape::kVariances || shape_ == Shape::kPrecisions;
}

// rho and d rho / dz of the shapes with one correlation.
double Structure::correlation_parameter(double z, double* slope) const {
  const double low = shape_ == Shape::kCompound ? -1.0 / static_cast<double>(k_ - 1) : -1.0;
  const double e = logistic(2.0 * z);
  if (slope) *slope = (1.0 - low) * 2.0 * e * (1.0 - e);
  return low + (1.0 - low) * e;
}

Vector Structure::deviations(const Vector& psi) const {
  if (homogeneous_) return Vector::Constant(k_, psi(0));
  return psi.head(k_).array().exp();
}

// Diagonal of a diagonal Sigma, and its slopes (k, m).
Vector Structure::variances(const Vector& psi, Matrix* slopes) const {
  if (shape_ == Shape::kPrecisions) {
    const Vector precision = psi.array().exp();
    const Vector f = (forms_ * precision).cwiseInverse();
    if (slopes)
      *slopes = (-f.array().square()).matrix().asDiagonal() * forms_ * precision.asDiagonal();
    return f;
  }
  const Matrix F = shape_ == Shape::kIdentity ? Matrix::Ones(k_, 1) : forms_;
  if (slopes) *slopes = 2.0 * F * psi.asDiagonal();
  return F * psi.array().square().matrix();
}

void Structure::toeplitz(const Vector& psi, Matrix& R, std::vector<Matrix>* slopes) const {
  // Durbin and Levinson: r_m = sum_j a_j r_(m-j) + pi_m v, a of order m - 1 and v its error.
  const Index m = n_shape_;
  Vector r = Vector::Zero(m + 1), a = Vector::Zero(m + 1);
  Matrix dr = Matrix::Zero(m + 1, m), da = Matrix::Zero(m + 1, m);
  double v = 1.0;
  Vector dv = Vector::Zero(m);
  r(0) = 1.0;
  for (Index i = 1; i <= m; ++i) {
    const double pi = std::tanh(psi(n_sds_ + i - 1)), dpi = 1.0 - pi * pi;
    r(i) = pi * v;
    dr.row(i) = pi * dv.transpose();
    dr(i, i - 1) += dpi * v;
    for (Index j = 1; j < i; ++j) {
      r(i) += a(j) * r(i - j);
      dr.row(i) += da.row(j) * r(i - j) + a(j) * dr.row(i - j);
    }
    const Vector before = a;
    const Matrix dbefore = da;
    for (Index j = 1; j < i; ++j) {
      a(j) = before(j) - pi * before(i - j);
      da.row(j) = dbefore.row(j) - pi * dbefore.row(i - j);
      da(j, i - 1) -= dpi * before(i - j);
    }
    a(i) = pi;
    da.row(i).setZero();
    da(i, i - 1) = dpi;
    dv = (1.0 - pi * pi) * dv;
    dv(i - 1) -= 2.0 * pi * dpi * v;
    v *= 1.0 - pi * pi;
  }
  for (Index j = 0; j < k_; ++j)
    for (Index i = 0; i < k_; ++i) R(i, j) = r(std::abs(i - j));
  for (Index b = 0; slopes && b < m; ++b)
    for (Index j = 0; j < k_; ++j)
      for (Index i = 0; i < k_; ++i) (*slopes)[b](i, j) = dr(std::abs(i - j), b);
}

void Structure::decay(const Matrix& distance, const Vector& psi, Matrix& R,
                      std::vector<Matrix>* slopes) const {
  const double z = psi(n_sds_) * (shape_ == Shape::kDecay ? 1.0 : -1.0);
  const double sign = shape_ == Shape::kDecay ? 1.0 : -1.0;
  const Matrix x = distance * std::exp(z);
  if (shape_ != Shape::kMatern) {
    R = (-x.array()).exp();
    if (slopes) (*slopes)[0] = -sign * x.array() * R.array();
    return;
  }
  double by_parameter = 0.0;
  const double smoothness = smoothness_of(psi(n_sds_ + 1), &by_parameter);
  for (Index j = 0; j < x.cols(); ++j)
    for (Index i = 0; i < x.rows(); ++i) {
      if (slopes && i < j) continue;  // symmetric then
      const Matern at = matern(x(i, j), smoothness);
      R(i, j) = at.value;
      if (!slopes) continue;
      (*slopes)[0](i, j) = (*slopes)[0](j, i) = -x(i, j) * at.by_distance;
      (*slopes)[1](i, j) = (*slopes)[1](j, i) = by_parameter * at.by_smoothness;
    }
  if (slopes) R = Matrix(R.selfadjointView<Eigen::Lower>());
}

// R and its slopes by phi; NaN where phi is out of reach.
void Structure::correlation(const Vector& psi, Matrix& R, std::vector<Matrix>* slopes) const {
  R = Matrix::Identity(k_, k_);
  if (slopes) slopes->assign(static_cast<std::size_t>(n_shape_), Matrix::Zero(k_, k_));
  if (n_shape_ == 0) return;
  const bool by_log = distance_.size() > 0;
  const double far = psi.tail(n_shape_).cwiseAbs().maxCoeff();
  if (!(far < (by_log ? kFarLog : kFarCorrelation))) {
    R.setConstant(std::numeric_limits<double>::quiet_NaN());
    return;
  }
  if (by_log) return decay(distance_, psi, R, slopes);
  if (shape_ == Shape::kToeplitz) return toeplitz(psi, R, slopes);
  double by_z = 0.0;
  const double rho = correlation_parameter(psi(n_sds_), &by_z);
  for (Index j = 0; j < k_; ++j)
    for (Index i = 0; i < k_; ++i) {
      if (i == j) continue;
      const int lag = shape_ == Shape::kCompound ? 1 : static_cast<int>(std::abs(i - j));
      R(i, j) = std::pow(rho, lag);
      if (slopes) (*slopes)[0](i, j) = by_z * lag * std::pow(rho, lag - 1);
    }
}

Matrix Structure::covariance(const Vector& psi) const {
  if (is_diagonal()) return variances(psi, nullptr).asDiagonal();
  Matrix R;
  correlation(psi, R, nullptr);
  return times_both(deviations(psi), std::move(R));
}

std::vector<Matrix> Structure::slopes(const Vector& psi) const {
  std::vector<Matrix> out;
  if (is_diagonal()) {
    Matrix by_psi;
    variances(psi, &by_psi);
    for (Index a = 0; a < n_sds_; ++a) out.push_back(by_psi.col(a).asDiagonal());
    return out;
  }
  Matrix R;
  std::vector<Matrix> by_shape;
  correlation(psi, R, &by_shape);
  const Vector d = deviations(psi);
  if (homogeneous_) {
    out.push_back(2.0 * psi(0) * R);
  } else {
    const Matrix Sigma = times_both(d, R);
    for (Index a = 0; a < k_; ++a) {
      out.push_back(Matrix::Zero(k_, k_));
      out.back().row(a) += Sigma.row(a);
      out.back().col(a) += Sigma.col(a);
    }
  }
  for (const Matrix& slope : by_shape) out.push_back(times_both(d, slope));
  return out;
}

Matrix Structure::factor(const Vector& psi) const {
  if (is_diagonal()) return variances(psi, nullptr).cwiseSqrt().asDiagonal();
  Matrix R;
  correlation(psi, R, nullptr);
  return times_rows(deviations(psi), root(R));
}

std::vector<Matrix> Structure::factor_slopes(const Vector& psi) const {
  std::vector<Matrix> out;
  if (shape_ == Shape::kIdentity) return {Matrix(Matrix::Identity(k_, k_))};
  if (is_diagonal()) {
    Matrix by_psi;
    const Vector sd = variances(psi, &by_psi).cwiseSqrt();
    for (Index a = 0; a < n_sds_; ++a) {
      Vector slope = Vector::Zero(k_);
      for (Index i = 0; i < k_; ++i)
        if (sd(i) > 0.0)
          slope(i) = 0.5 * by_psi(i, a) / sd(i);
        else if (shape_ == Shape::kVariances)
          slope(i) = std::sqrt(forms_(i, a));
      out.push_back(slope.asDiagonal());
    }
    return out;
  }
  Matrix R;
  std::vector<Matrix> by_shape;
  correlation(psi, R, &by_shape);
  const Matrix L = root(R);
  const Vector d = deviations(psi);
  if (homogeneous_) {
    out.push_back(L);
  } else {
    for (Index a = 0; a < k_; ++a) {
      out.push_back(Matrix::Zero(k_, k_));
      out.back().row(a) = d(a) * L.row(a);
    }
  }
  for (const Matrix& slope : by_shape) out.push_back(times_rows(d, root_slope(L, slope)));
  return out;
}

Matrix Structure::bends(const Vector& psi, const Matrix& S) const {
  const Index m = n_parameters();
  Matrix H(m, m);
  for (Index b = 0; b < m; ++b) {
    Vector up = psi, down = psi;
    up(b) += kStep;
    down(b) -= kStep;
    const std::vector<Matrix> above = slopes(up), below = slopes(down);
    for (Index a = 0; a < m; ++a) {
      const auto i = static_cast<std::size_t>(a);
      H(a, b) = (above[i] - below[i]).cwiseProduct(S).sum() / (2.0 * kStep);
    }
  }
  return 0.5 * (H + H.transpose());
}

Vector Structure::start(const Vector& variances_at, int number) const {
  Vector psi = Vector::Zero(n_parameters());
  std::vector<double> sorted(variances_at.data(), variances_at.data() + variances_at.size());
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double middle = std::sqrt(std::clamp(sorted[sorted.size() / 2], 1e-2, 1e4));
  if (shape_ == Shape::kPrecisions) {
    psi.setConstant(-2.0 * std::log(middle));
  } else if (homogeneous_) {
    psi.head(n_sds_).setConstant(middle);
  } else {
    for (Index j = 0; j < k_; ++j) psi(j) = 0.5 * std::log(std::clamp(variances_at(j), 1e-2, 1e4));
  }
  if (n_shape_ == 0) return psi;
  constexpr double kCorrelation[] = {0.5, 1.5, -0.2}, kShare[] = {0.5, 2.0, 0.1};
  const double range = std::log(kShare[number] * typical_);
  if (distance_.size() == 0)
    psi(n_sds_) = kCorrelation[number];
  else
    psi(n_sds_) = shape_ == Shape::kDecay ? -range : range;
  if (shape_ == Shape::kMatern) psi(n_sds_ + 1) = smoothness_parameter(1.0);
  return psi;
}

void Structure::rectify(VectorRef psi) const {
  if (homogeneous_ && shape_ != Shape::kPrecisions) psi.head(n_sds_) = psi.head(n_sds_).cwiseAbs();
}

double Structure::margin(const Vector& psi) const {
  const double sd = is_diagonal() ? std::sqrt(variances(psi, nullptr).minCoeff())
                                  : deviations(psi).cwiseAbs().minCoeff();
  if (n_shape_ == 0) return sd;
  if (distance_.size() > 0) {
    Matrix R;
    correlation(psi, R, nullptr);
    double low = 1.0, high = 0.0;
    for (Index j = 0; j < k_; ++j)
      for (Index i = j + 1; i < k_; ++i) {
        low = std::min(low, R(i, j));
        high = std::max(high, R(i, j));
      }
    const double e = shape_ == Shape::kMatern ? logistic(psi(n_sds_ + 1)) : 0.5;
    return std::min({sd, high, 1.0 - low, e, 1.0 - e});
  }
  if (shape_ == Shape::kToeplitz)
    return std::min(sd, 1.0 - psi.tail(n_shape_).array().tanh().abs().maxCoeff());
  const double e = logistic(2.0 * psi(n_sds_));
  return std::min({sd, 2.0 * e, 2.0 * (1.0 - e)});
}

std::vector<Index> Structure::vanishing(const Vector& psi, double small) const {
  std::vector<Index> out;
  if (!homogeneous_ || shape_ == Shape::kPrecisions) return out;
  for (Index a = 0; a < n_sds_; ++a)
    if (psi(a) * psi(a) < small) out.push_back(a);
  return out;
}

std::vector<Departure> Structure::departures(const Vector& psi, Index parameter) const {
  std::vector<Departure> out;
  constexpr double kGrid[] = {-2.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 4.0};
  const std::size_t count = n_shape_ > 0 ? std::size(kGrid) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    Vector at = psi;
    if (n_shape_ > 0) {
      at.tail(n_shape_).setZero();
      at(n_sds_) = kGrid[i];
      if (distance_.size() > 0)
        at(n_sds_) += (shape_ == Shape::kDecay ? -1.0 : 1.0) * std::log(typical_);
      if (shape_ == Shape::kMatern) at(n_sds_ + 1) = smoothness_parameter(1.0);
    }
    at.head(n_sds_).setZero();
    at(parameter) = 1.0;
    const Matrix direction = covariance(at);
    if (!direction.allFinite()) continue;
    at.head(n_sds_) = psi.head(n_sds_);
    out.push_back({at, parameter, direction});
  }
  return out;
}

Vector Structure::natural(const Vector& psi, const Vector& scale) const {
  Vector out = psi;
  if (shape_ == Shape::kPrecisions)
    out = psi.array().exp() / (scale(0) * scale(0));
  else if (homogeneous_)
    out.head(n_sds_) = psi.head(n_sds_).cwiseAbs() * scale(0);
  else
    out.head(n_sds_) = deviations(psi).cwiseProduct(scale);
  if (n_shape_ == 0) return out;
  if (distance_.size() > 0) {
    out(n_sds_) = std::exp(psi(n_sds_));
    if (shape_ == Shape::kMatern) out(n_sds_ + 1) = smoothness_of(psi(n_sds_ + 1), nullptr);
  } else if (shape_ == Shape::kToeplitz) {
    Matrix R(k_, k_);
    toeplitz(psi, R, nullptr);
    out.tail(n_shape_) = R.col(0).tail(n_shape_);
  } else {
    out(n_sds_) = correlation_parameter(psi(n_sds_), nullptr);
  }
  return out;
}

Vector Structure::from_natural(const Vector& natural, const Vector& scale) const {
  if (natural.size() != n_parameters()) throw std::invalid_argument("natural: a wrong length");
  Vector psi = natural;
  if (shape_ == Shape::kPrecisions)
    psi = (natural * scale(0) * scale(0)).array().log();
  else if (homogeneous_)
    psi.head(n_sds_) = natural.head(n_sds_) / scale(0);
  else
    psi.head(n_sds_) = natural.head(n_sds_).cwiseQuotient(scale).array().log();
  if (n_shape_ == 0) return psi;
  if (distance_.size() > 0) {
    psi(n_sds_) = std::log(natural(n_sds_));
    if (shape_ == Shape::kMatern) psi(n_sds_ + 1) = smoothness_parameter(natural(n_sds_ + 1));
  } else if (shape_ == Shape::kToeplitz) {
    Vector a = Vector::Zero(n_shape_ + 1), before = a;
    double v = 1.0;
    for (Index i = 1; i <= n_shape_; ++i) {
      double pi = natural(n_sds_ + i - 1);
      for (Index j = 1; j < i; ++j) pi -= a(j) * natural(n_sds_ + i - j - 1);
      pi /= v;
      before = a;
      for (Index j = 1; j < i; ++j) a(j) = before(j) - pi * before(i - j);
      a(i) = pi;
      v *= 1.0 - pi * pi;
      psi(n_sds_ + i - 1) = std::atanh(pi);
    }
  } else {
    const double low = shape_ == Shape::kCompound ? -1.0 / static_cast<double>(k_ - 1) : -1.0;
    const double e = (natural(n_sds_) - low) / (1.0 - low);
    psi(n_sds_) = 0.5 * std::log(e / (1.0 - e));
  }
  return psi;
}

Matrix Structure::between(const Vector& psi, const Matrix& places) const {
  if (distance_.size() == 0 || places.cols() != places_.cols())
    throw std::invalid_argument("places: this structure has no such coordinates");
  Matrix R(places.rows(), k_);
  decay(distances(places, places_), psi, R, nullptr);
  return R;
}

}  // namespace ranef
