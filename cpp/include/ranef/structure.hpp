// Covariances of a few parameters, for the columns of one block of a random-effects term.
//
//   Sigma(psi) = D R(phi) D     psi = (s, phi), D = s I          homogeneous
//                               psi = (l_1 .. l_k, phi), D = diag(exp l)
//   Sigma(psi) = diag(f)        f_i = sum_j F_ij s_j^2, or 1 / sum_j F_ij exp(l_j)
//
// This is the seam for every term that is more than a free covariance matrix. The kernel asks for
// Sigma, its factor and their derivatives by psi; value, gradient and curvature follow by the chain
// rule, and one search runs over psi beside the elements of free factors. A psi of any size is
// allowed: signs of s are free, correlations and rates are transformed. To add a structure, add a
// Shape and its case in `correlation` (or in `variances`, where Sigma is diagonal); in Python, a
// row of design/structure.py.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

enum class Shape {
  kIdentity,        // R = I
  kCompound,        // one correlation, rho between -1 / (k - 1) and 1
  kAutoregressive,  // rho^|i - j|
  kToeplitz,        // rho_|i - j|, by partial autocorrelations
  kDecay,           // exp(-rate d)
  kExponential,     // exp(-d / range)
  kMatern,          // 2^(1 - k) / Gamma(k) (d / range)^k K_k(d / range), smoothness k
  kVariances,       // diag(F s^2)
  kPrecisions,      // diag(1 / (F exp(l)))
};

// Throws std::invalid_argument for a name that is none of "identity", "cs", "ar1", "toep", "ou",
// "exponential", "matern", "variances", "precisions".
Shape parse_shape(const std::string& name);

// Where a variance is zero: the parameter, and the covariance that grows from there at slope one.
struct Departure {
  Vector psi;        // parameters, of which the one below is the root of the variance
  Index parameter;   //
  Matrix direction;  // (k, k) d Sigma by the square of that parameter
};

class Structure {
 public:
  // `places` (k, d): coordinates of the columns, for shapes with a distance. `forms` (k, m): F.
  Structure(Shape shape, Index k, bool homogeneous, Matrix places, Matrix forms);

  Index n_columns() const { return k_; }
  Index n_parameters() const { return n_sds_ + n_shape_; }
  Index n_sds() const { return n_sds_; }  // the first parameters, those of standard deviations
  // Whether columns may be scaled one by one without leaving the structure.
  bool is_scalable() const { return !homogeneous_; }

  // Lower triangular, Sigma = factor factor'; NaN where psi is too far out to compute with.
  Matrix factor(const Vector& psi) const;
  std::vector<Matrix> factor_slopes(const Vector& psi) const;  // d factor / d psi_a
  Matrix covariance(const Vector& psi) const;
  std::vector<Matrix> slopes(const Vector& psi) const;  // d Sigma / d psi_a

  // <S, d2 Sigma / d psi_a d psi_b>, (n_parameters, n_parameters), by differences of slopes.
  Matrix bends(const Vector& psi, const Matrix& S) const;

  // Where a search begins, for columns of these variances: number 0 to n_starts() - 1.
  int n_starts() const { return n_shape_ > 0 ? 3 : 1; }
  Vector start(const Vector& variances, int number) const;

  // The same covariance with standard deviations that are not negative.
  void rectify(VectorRef psi) const;
  // Distance from the boundary: the smallest standard deviation, or what a correlation lacks to its
  // limit.
  double margin(const Vector& psi) const;
  // Parameters whose square is a variance below `small`.
  std::vector<Index> vanishing(const Vector& psi, double small) const;
  // Ways off zero for a parameter that is zero: one for each of several correlations.
  std::vector<Departure> departures(const Vector& psi, Index parameter) const;

  // Standard deviations (or, of precisions, exp(l)), then what is of the shape: correlation; rate;
  // range; range, smoothness; correlations by lag. `scale` (k,) is that of each column.
  Vector natural(const Vector& psi, const Vector& scale) const;
  // psi from natural parameters, where these are inside their limits.
  Vector from_natural(const Vector& natural, const Vector& scale) const;

  // Correlations of effects at other places with those of the columns, (m, k).
  Matrix between(const Vector& psi, const Matrix& places) const;

 private:
  Shape shape_;
  Index k_, n_sds_ = 0, n_shape_ = 0;
  bool homogeneous_;
  Matrix places_, distance_, forms_;
  double typical_ = 1.0;  // distance

  bool is_diagonal() const;
  Vector variances(const Vector& psi, Matrix* slopes) const;
  void correlation(const Vector& psi, Matrix& R, std::vector<Matrix>* slopes) const;
  void decay(const Matrix& distance, const Vector& psi, Matrix& R,
             std::vector<Matrix>* slopes) const;
  void toeplitz(const Vector& psi, Matrix& R, std::vector<Matrix>* slopes) const;
  double correlation_parameter(double z, double* slope) const;
  Vector deviations(const Vector& psi) const;
};

using BlockStructures = std::vector<std::shared_ptr<const Structure>>;  // of each block; null: free

}  // namespace ranef
