// Generalised estimating equations: mean model, working correlation, whitened scores.
#pragma once

#include <cstdint>
#include <string>

#include "ranef/distributions.hpp"
#include "ranef/eigen.hpp"
#include "ranef/links.hpp"

namespace ranef {

using Int32Ref = Eigen::Ref<const Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>>;

enum class Corr { independence, exchangeable, ar1, m_dependent, unstructured, fixed };

Corr parse_corr(const std::string& name);

struct GeeOptions {
  Distribution family = Distribution::gaussian;
  Link link = Link::identity;
  Corr corr = Corr::exchangeable;
  int lags = 1;             // of m_dependent
  double tolerance = 1e-8;  // change of beta in standard errors, and of alpha
  int max_iterations = 200;
};

// Rows sorted by cluster, and by time within it.
struct GeeData {
  ConstVectorRef y;        // (n,)
  ConstMatrixRef X;        // (n, p)
  ConstVectorRef offset;   // (n,) or empty
  ConstVectorRef weights;  // (n,) positive, or empty
  Int32Ref start;          // (n_clusters + 1,) first row of each cluster
  Int32Ref wave;           // (n,) position of the row's time, 0 to n_waves - 1
  ConstVectorRef time;     // (n_waves,) the times, ascending; lags of AR(1) are their differences
  ConstMatrixRef fixed;    // (n_waves, n_waves) correlation given by the user, or empty
};

enum class GeeStatus { converged, iterations, not_positive_definite, invalid_mean, singular };

struct GeeFit {
  Vector beta;       // (p,)
  Vector alpha;      // parameters of the working correlation
  double phi = 1.0;  // scale
  Matrix bread;      // (p, p) sum of D'V^-1 D with phi = 1
  Matrix columns;    // (n, p) rows of V^-1/2 D with phi = 1
  Vector resid;      // (n,) V^-1/2 (y - mu)
  Vector mu;         // (n,)
  int iterations = 0;
  bool alpha_at_bound = false;
  GeeStatus status = GeeStatus::iterations;
};

// Solve  sum_g D_g' V_g^-1 (y_g - mu_g) = 0,  V = phi A^1/2 R(alpha) A^1/2 with A = V(mu) / w, by
// Fisher scoring in beta between moment estimates of phi = sum w r^2 / sum w and of alpha, r the
// Pearson residuals: least squares of r_j r_k / phi on the working correlations over all pairs,
// weighted by w_j w_k.
GeeFit fit_gee(const GeeData& data, const GeeOptions& options);

// The mean and its derivative by the linear predictor.
Vector mean_of(Link link, ConstVectorRef eta);
Vector mean_slope(Link link, ConstVectorRef eta);

}  // namespace ranef
