// Correlation structures of the rows of a group, in parameters without bounds.
#pragma once

#include <string>

#include "ranef/eigen.hpp"

namespace ranef {

enum class Correlation { kIndependence, kExchangeable, kAr1, kCar1, kToeplitz, kUnstructured };

Correlation parse_correlation(const std::string& name);

// The correlation of two rows at places s and t, as a function of parameters a.
//
//   exchangeable   rho between -1/(m - 1) and 1, m the largest group   rho = low + (1 - low) F(a)
//   ar1            rho^|s - t|, places integers                        rho = tanh(a)
//   car1           rho^|s - t|, 0 < rho < 1                            rho = F(a)
//   toeplitz       r(|s - t|), places 0, 1, ...; a by partial correlations tanh(a_k)
//   unstructured   R(s, t), places 0, 1, ...; R = K K', rows of K = (a_s1 .. a_s,s-1, 1) made unit
//
// with F the logistic function. Every a gives a positive definite matrix, and every such matrix
// has its a. `set` and `gradient` do not allocate.
class CorrelationFamily {
 public:
  // n_places: largest place + 1 of toeplitz and unstructured; largest: rows of the largest group.
  CorrelationFamily(Correlation kind, Index n_places, Index largest);

  Index n_parameters() const { return n_parameters_; }
  Correlation kind() const { return kind_; }

  void set(const Eigen::Ref<const Vector>& a);
  double at(double s, double t) const;

  // Reverse mode: `collect` the derivative of an objective by the correlation of each pair of rows
  // once, then read its gradient by a.
  void clear();
  void collect(double s, double t, double slope);
  void gradient(VectorRef g);

  // The correlations that the parameters stand for: rho; r(1), r(2), ...; R below its diagonal,
  // column by column.
  Vector natural() const;

 private:
  Correlation kind_;
  Index n_places_, n_parameters_ = 0;
  double low_ = 0.0, rho_ = 0.0, slope_ = 0.0;  // slope_: d rho / da
  double collected_ = 0.0;
  Vector r_, r_slopes_;    // toeplitz: correlation by lag, collected slopes
  Matrix r_jacobian_;      // (lags, parameters)
  Vector phi_, phi_next_;  // Durbin-Levinson coefficients
  Matrix phi_slopes_, phi_slopes_next_;
  Matrix K_, R_, R_slopes_, K_slopes_;  // unstructured
  Vector norms_;

  void set_toeplitz(const Eigen::Ref<const Vector>& a);
  void set_unstructured(const Eigen::Ref<const Vector>& a);
};

}  // namespace ranef
