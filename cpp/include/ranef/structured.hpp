// Linear models with structured covariances within independent units:
//
//   y_i ~ N(X_i beta, sigma^2 V_i),   V_i = sum_t Z_it lambda_t lambda_t' Z_it' + S_i C_i S_i,
//
// S_i diagonal with log sd = l + D delta, C_i a correlation of the rows of each cluster within unit
// i. Units of equal covariance (same places, Z, D) are one pattern, factored once; where they are
// many, their [X y] are replaced by the few rows of a triangle with the same cross products, so
// that an evaluation does not depend on the number of units.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "ranef/correlation.hpp"
#include "ranef/eigen.hpp"
#include "ranef/pls.hpp"

namespace ranef {

using Int32Array = Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>;
using ConstInt32Ref = Eigen::Ref<const Int32Array>;

struct StructuredTerm {
  Int32Array codes;         // (n,) level of each row; levels lie within units
  Matrix z;                 // (n, k)
  std::vector<int> blocks;  // (k,) columns of one block are correlated
};

// Rows sorted by unit. y and X are best standardised by the caller.
struct StructuredInput {
  Vector y;            // (n,)
  Matrix X;            // (n, p)
  Int32Array start;    // (units + 1,) first row of each unit
  Int32Array cluster;  // (n,) rows of one cluster are correlated by C
  Vector place;        // (n,) where a row stands in C
  Index n_places = 1;  // of toeplitz and unstructured
  Index largest = 1;   // rows of the largest cluster
  Correlation correlation = Correlation::kIndependence;
  Vector log_scale;  // (n,) l
  Matrix D;          // (n, d)
  std::vector<StructuredTerm> terms;
};

// What belongs to one value of the parameters.
struct StructuredPoint {
  double objective = 0.0;  // -2 log-likelihood, sigma profiled out; restricted if asked
  double rss = 0.0;        // (y - X beta)' V^-1 (y - X beta)
  double logdet_V = 0.0;
  double logdet_XVX = 0.0;  // log|X'V^-1 X|
  Vector beta;              // (p,)
  Matrix root;              // (p, p) upper triangular, root' root = X'V^-1 X
};

class Structured {
 public:
  explicit Structured(const StructuredInput& input);

  // Parameters: elements of each lambda_t, column by column within blocks; delta; correlation.
  Index n_parameters() const { return n_parameters_; }
  Index n_obs() const { return n_; }
  Index n_fixef() const { return p_; }
  Index n_patterns() const { return static_cast<Index>(patterns_.size()); }
  // Term, row and column of each element of lambda.
  const std::vector<std::array<int, 3>>& elements() const { return elements_; }
  Index n_variances() const { return d_; }
  Index n_terms() const { return static_cast<Index>(S_.size()); }

  double degrees(bool reml) const { return double(n_ - (reml ? p_ : 0)); }

  // Evaluate; false, and the objective kInfeasible, where a covariance is not positive definite to
  // rounding. No allocation.
  bool evaluate(const Eigen::Ref<const Vector>& psi, bool reml);
  const StructuredPoint& point() const { return point_; }

  // Exact gradient of the objective where it was last evaluated with success. No allocation.
  void gradient(VectorRef g);

  // Correlations that parameters stand for.
  Vector natural_correlation(const Eigen::Ref<const Vector>& psi);

  // Pattern of each unit, and covariances of a pattern relative to sigma^2: V, and S C S alone.
  const std::vector<std::int32_t>& pattern_of_unit() const { return pattern_of_unit_; }
  void covariances(Index pattern, const Eigen::Ref<const Vector>& psi, Matrix& V, Matrix& SCS);

  // Held by functions that threads may call on one model at the same time: see structured_at.hpp.
  std::mutex& in_use() { return in_use_; }

  // lambda_t from the parameters, (k, k) lower triangular; and back.
  Matrix lambda(Index term, const Eigen::Ref<const Vector>& psi) const;
  void set_lambda(Index term, const Matrix& lambda, VectorRef psi) const;
  const std::vector<int>& blocks(Index term) const {
    return blocks_[static_cast<std::size_t>(term)];
  }

 private:
  std::mutex in_use_;
  struct Term {
    Matrix z;                         // (n, k)
    std::vector<std::int32_t> codes;  // (n,)
  };
  struct Pattern {
    Index n = 0, units = 0, copies = 0;  // copies: units, or rows with their cross products
    Matrix D;                            // (n, d)
    Vector log_scale, place;             // (n,)
    std::vector<std::int32_t> cluster;   // (n,)
    std::vector<Term> terms;
    // [X y] of each copy, as a matrix (n, copies (p + 1)), the columns of one variable together; in
    // the same memory (n copies, p + 1).
    Matrix B;
    Matrix factor;  // (n, n) lower Cholesky factor of V
    Matrix W;       // factor^-1 B, laid out alike
  };

  Index n_ = 0, p_ = 0, d_ = 0, n_parameters_ = 0, n_max_ = 0;
  bool reml_ = false;
  std::vector<Pattern> patterns_;
  std::vector<std::int32_t> pattern_of_unit_;
  std::vector<std::array<int, 3>> elements_;
  std::vector<std::vector<int>> blocks_;
  CorrelationFamily correlation_;
  StructuredPoint point_;
  // Workspaces.
  std::vector<Matrix> lambda_, S_;  // (k, k): factors; derivatives by Sigma_t
  std::vector<Matrix> F_;           // (n_max, k): z lambda
  Vector scale_, delta_, delta_slopes_;
  Matrix products_, inverse_, panel_, G_, T_;
  Vector E_;  // (n copies (p + 1)) of the largest pattern

  void find_patterns(const StructuredInput& input);
  void fill(Pattern& pattern, const StructuredInput& input, Index first, Index last);
  void gather(Pattern& pattern, const StructuredInput& input,
              const std::vector<std::int32_t>& units);
  void set(const Eigen::Ref<const Vector>& psi);
  void scales(const Pattern& pattern);
  void add_random(const Pattern& pattern, MatrixRef V);
  void add_residual(const Pattern& pattern, MatrixRef V) const;
  bool solve();
  void derive(const Pattern& pattern);
  void collect(const Pattern& pattern);
};

}  // namespace ranef
