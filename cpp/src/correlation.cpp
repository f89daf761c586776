#include "ranef/correlation.hpp"

#include <cmath>
#include <stdexcept>

namespace ranef {
namespace {

double logistic(double a) { return 1.0 / (1.0 + std::exp(-a)); }

Index count(Correlation kind, Index n_places) {
  switch (kind) {
    case Correlation::kIndependence:
      return 0;
    case Correlation::kToeplitz:
      return n_places - 1;
    case Correlation::kUnstructured:
      return n_places * (n_places - 1) / 2;
    default:
      return 1;
  }
}

}  // namespace

Correlation parse_correlation(const std::string& name) {
  if (name == "independence") return Correlation::kIndependence;
  if (name == "exchangeable") return Correlation::kExchangeable;
  if (name == "ar1") return Correlation::kAr1;
  if (name == "car1") return Correlation::kCar1;
  if (name == "toeplitz") return Correlation::kToeplitz;
  if (name == "unstructured") return Correlation::kUnstructured;
  throw std::invalid_argument("corr: no such correlation: " + name);
}

CorrelationFamily::CorrelationFamily(Correlation kind, Index n_places, Index largest)
    : kind_(kind), n_places_(n_places), n_parameters_(count(kind, n_places)) {
  if (kind == Correlation::kExchangeable) low_ = -1.0 / std::max(1.0, double(largest - 1));
  if (kind == Correlation::kToeplitz) {
    r_ = r_slopes_ = Vector::Zero(n_places);
    phi_ = phi_next_ = Vector::Zero(n_places);
    r_jacobian_ = phi_slopes_ = phi_slopes_next_ = Matrix::Zero(n_places, n_parameters_);
  }
  if (kind == Correlation::kUnstructured) {
    K_ = R_ = R_slopes_ = K_slopes_ = Matrix::Zero(n_places, n_places);
    norms_ = Vector::Zero(n_places);
  }
}

void CorrelationFamily::set(const Eigen::Ref<const Vector>& a) {
  switch (kind_) {
    case Correlation::kIndependence:
      return;
    case Correlation::kExchangeable:
      rho_ = low_ + (1.0 - low_) * logistic(a(0));
      slope_ = (1.0 - low_) * logistic(a(0)) * logistic(-a(0));
      return;
    case Correlation::kAr1:
      rho_ = std::tanh(a(0));
      slope_ = 1.0 / std::pow(std::cosh(a(0)), 2);
      return;
    case Correlation::kCar1:
      rho_ = logistic(a(0));
      slope_ = rho_ * logistic(-a(0));
      return;
    case Correlation::kToeplitz:
      return set_toeplitz(a);
    case Correlation::kUnstructured:
      return set_unstructured(a);
  }
}

// Durbin and Levinson: with partial correlations p_k and prediction coefficients phi,
//   r_k = p_k v_{k-1} + sum_j phi_{k-1,j} r_{k-j},  v_k = v_{k-1} (1 - p_k^2),
//   phi_{k,j} = phi_{k-1,j} - p_k phi_{k-1,k-j},    phi_{k,k} = p_k;
// derivatives by all parameters go along.
void CorrelationFamily::set_toeplitz(const Eigen::Ref<const Vector>& a) {
  r_(0) = 1.0;
  r_jacobian_.setZero();
  phi_slopes_.setZero();
  double v = 1.0;
  auto v_slopes = phi_slopes_next_.row(0);  // row 0 of phi is not used
  v_slopes.setZero();
  for (Index k = 1; k < n_places_; ++k) {
    const double p = std::tanh(a(k - 1)), dp = 1.0 / std::pow(std::cosh(a(k - 1)), 2);
    r_(k) = p * v;
    r_jacobian_.row(k) = p * v_slopes;
    r_jacobian_(k, k - 1) += dp * v;
    for (Index j = 1; j < k; ++j) {
      r_(k) += phi_(j) * r_(k - j);
      r_jacobian_.row(k) += phi_slopes_.row(j) * r_(k - j) + phi_(j) * r_jacobian_.row(k - j);
    }
    for (Index j = 1; j < k; ++j) {
      phi_next_(j) = phi_(j) - p * phi_(k - j);
      phi_slopes_next_.row(j) = phi_slopes_.row(j) - p * phi_slopes_.row(k - j);
      phi_slopes_next_(j, k - 1) -= dp * phi_(k - j);
    }
    for (Index j = 1; j < k; ++j) {
      phi_(j) = phi_next_(j);
      phi_slopes_.row(j) = phi_slopes_next_.row(j);
    }
    phi_(k) = p;
    phi_slopes_.row(k).setZero();
    phi_slopes_(k, k - 1) = dp;
    v_slopes *= 1.0 - p * p;
    v_slopes(k - 1) -= 2.0 * p * dp * v;
    v *= 1.0 - p * p;
  }
}

void CorrelationFamily::set_unstructured(const Eigen::Ref<const Vector>& a) {
  Index at = 0;
  for (Index i = 0; i < n_places_; ++i) {
    for (Index j = 0; j < i; ++j) K_(i, j) = a(at++);
    K_(i, i) = 1.0;
    norms_(i) = K_.row(i).head(i + 1).norm();
    K_.row(i).head(i + 1) /= norms_(i);
  }
  for (Index j = 0; j < n_places_; ++j)
    for (Index i = j; i < n_places_; ++i)
      R_(i, j) = R_(j, i) = K_.row(i).head(j + 1).dot(K_.row(j).head(j + 1));
}

double CorrelationFamily::at(double s, double t) const {
  switch (kind_) {
    case Correlation::kIndependence:
      return 0.0;
    case Correlation::kExchangeable:
      return rho_;
    case Correlation::kAr1:
    case Correlation::kCar1:
      return std::pow(rho_, std::abs(s - t));
    case Correlation::kToeplitz:
      return r_(static_cast<Index>(std::abs(s - t)));
    case Correlation::kUnstructured:
      return R_(static_cast<Index>(s), static_cast<Index>(t));
  }
  return 0.0;
}

void CorrelationFamily::clear() {
  collected_ = 0.0;
  r_slopes_.setZero();
  R_slopes_.setZero();
}

void CorrelationFamily::collect(double s, double t, double slope) {
  switch (kind_) {
    case Correlation::kIndependence:
      return;
    case Correlation::kExchangeable:
      collected_ += slope;
      return;
    case Correlation::kAr1:
    case Correlation::kCar1: {
      const double lag = std::abs(s - t);
      collected_ += slope * lag * std::pow(rho_, lag - 1.0);
      return;
    }
    case Correlation::kToeplitz:
      r_slopes_(static_cast<Index>(std::abs(s - t))) += slope;
      return;
    case Correlation::kUnstructured: {
      const Index i = static_cast<Index>(s), j = static_cast<Index>(t);
      R_slopes_(i, j) += slope;
      R_slopes_(j, i) += slope;
      return;
    }
  }
}

void CorrelationFamily::gradient(VectorRef g) {
  if (kind_ == Correlation::kIndependence) return;
  if (kind_ == Correlation::kToeplitz) {
    g.noalias() = r_jacobian_.transpose() * r_slopes_;
    return;
  }
  if (kind_ != Correlation::kUnstructured) {
    g(0) = collected_ * slope_;
    return;
  }
  // dR = dK K' + K dK', and dK_i is what is left of the raw row's change across K_i.
  K_slopes_.noalias() = R_slopes_ * K_.triangularView<Eigen::Lower>();
  Index at = 0;
  for (Index i = 0; i < n_places_; ++i) {
    const double along = K_slopes_.row(i).head(i + 1).dot(K_.row(i).head(i + 1));
    for (Index j = 0; j < i; ++j) g(at++) = (K_slopes_(i, j) - along * K_(i, j)) / norms_(i);
  }
}

Vector CorrelationFamily::natural() const {
  if (kind_ == Correlation::kIndependence) return Vector(0);
  if (kind_ == Correlation::kToeplitz) return r_.tail(n_places_ - 1);
  if (kind_ != Correlation::kUnstructured) return Vector::Constant(1, rho_);
  Vector out(n_parameters_);
  Index at = 0;
  for (Index j = 0; j < n_places_; ++j)
    for (Index i = j + 1; i < n_places_; ++i) out(at++) = R_(i, j);
  return out;
}

}  // namespace ranef
