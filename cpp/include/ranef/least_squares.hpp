// Penalised least squares at a given covariance: what the search and the model ask of it.
//
//   H = I + Z Sigma Z',  Sigma = Lambda Lambda'          (everything relative to sigma^2, weights
//   absorbed) d = log|H| + [REML: log|X'H^-1 X|] + nu (1 + log(2 pi r^2 / nu)),   r^2 = y'P y
//
// `Pls` answers by a Cholesky factor, `CrossedPls` by sparse products and solves.
#pragma once

#include <utility>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/traces.hpp"

namespace ranef {

// What the objective is made of at one covariance.
struct Objective {
  double value = 0.0;
  double logdet_L = 0.0;   // log|H|
  double logdet_RX = 0.0;  // log|X'H^-1 X|
  double pwrss = 0.0;      // r^2
};

// One covariance parameter: element (i, j), i >= j, of the covariance of a term; or, of a block
// with a structure, its parameter i, and j = -1 - block.
struct Parameter {
  std::size_t term;
  int i, j;
  bool is_structured() const { return j < 0; }
  std::size_t block() const { return static_cast<std::size_t>(-1 - j); }
};

struct Derivatives {
  std::vector<Matrix> S;  // (k_t, k_t) d by Sigma_t, symmetric
  Matrix information;     // (m, m) average information by the elements of Sigma, and by the
                          // parameters of structures
  Vector quadratic;       // (m,) y'P V_a P y / s^2, s^2 = r^2 / nu
};

// What an approximate answer says of itself. An exact one leaves all at zero.
struct Approximation {
  double value_sd = 0.0;   // Monte Carlo standard deviation of the objective, bias included
  double theta_sd = 0.0;   // largest of a parameter, as a share of its standard error
  double residual = 0.0;   // largest relative residual of a solve
  bool is_reached = true;  // whether all of them are as small as promised
  int n_probes = 0, n_deflated = 0, degree = 0;
  bool exact_second = false;  // the second moment is exact
  // Where the deflation was chosen, and the interval of what it leaves: with the two numbers above
  // they make the same approximation again.
  std::vector<double> deflated_at;
  double low = 0.0, high = 0.0;
};

// A value that the search never prefers and that is still finite.
constexpr double kInfeasible = 1e300;

class LeastSquares {
 public:
  // Of the terms only sizes and blocks are kept here; blocks[t][j] is the block of column j, and
  // structures[t] what is known of each block.
  LeastSquares(const CrossProducts& products, std::vector<std::vector<int>> blocks,
               std::vector<BlockStructures> structures = {});
  virtual ~LeastSquares() = default;
  LeastSquares(LeastSquares&&) = default;
  LeastSquares& operator=(LeastSquares&&) = default;

  std::size_t n_terms() const { return n_levels_.size(); }
  Index k(std::size_t t) const { return k_[t]; }
  Index n_levels(std::size_t t) const { return n_levels_[t]; }
  Index n_obs() const { return n_; }
  Index n_fixef() const { return gram_.cols() - 1; }
  double degrees(bool reml) const { return static_cast<double>(n_ - (reml ? n_fixef() : 0)); }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Columns of each block of a term, ascending.
  std::vector<std::vector<int>> block_columns(std::size_t t) const;

  // The structure of a block, null where it is free.
  const Structure* structure(std::size_t t, std::size_t block) const {
    return t < structures_.size() && block < structures_[t].size() ? structures_[t][block].get()
                                                                   : nullptr;
  }
  bool is_structured(std::size_t t) const;
  bool is_structured() const;

  // Parameters of a model, in the order of parameters(), and the state of each term: its factor
  // lambda (k, k), or its parameters (m_t, 1) where a block has a structure.
  Vector pack(const std::vector<Matrix>& states) const;
  std::vector<Matrix> states(const Vector& theta) const;
  // Relative covariance factors (k_t, k_t).
  std::vector<Matrix> factors(const Vector& theta) const;
  // First parameter of a block with a structure.
  Index first_parameter(std::size_t t, std::size_t block) const;

  // Natural parameters of each block's structure in a term, at theta; `scale` (k,) of its columns.
  std::vector<Vector> natural(const Vector& theta, std::size_t t, const Vector& scale) const;

  // Take the derivatives of structures at theta: call before derivatives(), factors() after.
  void aim(const Vector& theta);
  // (k_t, k_t) d Sigma_t by parameter a, at the last aim(): of a free element its pattern.
  Matrix direction(std::size_t a) const;

  virtual Index n_root() const = 0;
  virtual bool is_sparse() const = 0;

  // Replace the response by another with X'W y = 0 and y'W y = n, given by its Z_t'W y (l_t * k_t).
  virtual void set_response(const std::vector<Vector>& zy) = 0;

  // The objective at relative covariance factors lambda_t (k_t, k_t), lower triangular. Never
  // throws: where a factorisation fails the value is kInfeasible.
  virtual Objective objective(const std::vector<Matrix>& lambda, bool reml) = 0;

  // Derivatives where objective() was last called; lambda of every term but the first must be
  // invertible. Afterwards call objective() again before anything else.
  virtual void derivatives(bool reml, Derivatives& out) = 0;

  // tr(P V_a P V_b) where derivatives() were last taken, P = H^-1 - [REML: H^-1 X U U'X'H^-1], as
  // far as these are cheap then: (m, m) for the parameters from the returned one on, 0 before.
  virtual Index projected_traces(bool reml, Matrix& out) = 0;

  // At the last objective(): beta (p,), the factor of (X'H^-1 X)^-1, and b = Sigma Z'P y by term.
  virtual Vector beta() const = 0;
  virtual Matrix cov_beta_root() const = 0;  // (p, p) upper triangular U, (X'H^-1 X)^-1 = U U'
  virtual std::vector<Matrix> modes() = 0;   // (k_t, l_t)

  // b given beta, D Z'(y - X beta) + sigma D^1/2 e for noise e (l_t * k_t, 1) by term, at the last
  // objective(): a draw for standard normal noise, the mean for noise of zero. (k_t, l_t)
  virtual std::vector<Matrix> draw(const Vector& beta, double sigma, std::vector<RowMatrix> noise);

  // Conditional covariances of b, relative to sigma^2, for beta known: (k_t * k_t, l_t) by term.
  virtual std::vector<Matrix> conditional_covariances() = 0;

  // Z'H^-1 X U by term, (l_t * k_t, p), at the last objective(); the columns of X U, U that of
  // cov_beta_root(), are orthonormal under H^-1.
  virtual std::vector<RowMatrix> fixed_scores() = 0;

  // H'Z'H^-1 Z H of q-vectors given by term (l_t * k_t, m), at the last objective().
  virtual Matrix quadratic_form(const std::vector<RowMatrix>& H) = 0;

  // Traces of H^-1 V_a H^-1 V_b, at the last objective().
  virtual PairTraces pair_traces() = 0;

  // z'D z of new rows at the last objective(), D as below: codes[t] (m,) the level of each row in
  // term t, -1 for a row and null for a term without part.
  virtual Vector variances(const std::vector<const std::int32_t*>& codes,
                           const std::vector<RowMatrix>& z,  // by term (m, k_t)
                           Index m) = 0;

  // Z'X by term (l_t * k_t, p).
  virtual std::vector<RowMatrix> fixed_rows() const = 0;

  // D B = Lambda Omega^-1 Lambda' B for B given by term (l_t * k_t, m): the modes of right sides B.
  virtual std::vector<RowMatrix> solve(std::vector<RowMatrix> B) = 0;

  // Make the approximation as good as promised at an optimum. Whether it changed, so that the
  // optimum is to be sought again; never for an exact one.
  virtual bool improve(const std::vector<Matrix>& /*lambda*/, bool /*reml*/) { return false; }
  virtual Approximation approximation() const { return {}; }
  // Take the approximation of a former fit to the same rows.
  virtual void resume(const Approximation& /*former*/) {}

 protected:
  Index n_ = 0;
  std::vector<Index> n_levels_, k_;
  std::vector<std::vector<int>> blocks_;
  std::vector<BlockStructures> structures_;
  std::vector<Matrix> directions_;  // of structured parameters, at the last aim()
  std::vector<Parameter> parameters_;
  Matrix gram_;  // (c, c)
};

}  // namespace ranef
