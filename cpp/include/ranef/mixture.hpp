// Finite mixtures of growth curves: units fall into classes, each with a curve of its own.
//
// Unit u has rows y_u, X_u and belongs to class k with probability pi_k:
//   l = sum_u log sum_k pi_k f_k(y_u),
// gaussian  f_k = N(X_u beta_k, Z_u Psi_k Z_u' + sigma2_k I), Z_u the first r columns of X_u;
// poisson   f_k = product over rows of Poisson(exp(X_u beta_k)), r = 0.
// Maximised by EM from every start, accelerated by squared extrapolation (Varadhan and Roland,
// 2008).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/threads.hpp"

namespace ranef {

// What became of a start. Empty: a class lost its units; collapsed: a residual variance ran to
// zero, where the likelihood has no bound; stopped: out of steps; broken: not a number.
enum class MixtureStatus : int { converged, stopped, empty, collapsed, broken };

struct MixtureSettings {
  int max_steps = 3000;      // evaluations of the EM map
  double tolerance = 1e-10;  // gain of a step, relative to 1 + |l|
  double smallest = 0.0;     // residual variance below which a class has collapsed
};

// Places of the parameters: log pi (K), beta (K p), log sigma2 (K), lower triangle of the root of
// Psi, by rows (K r(r+1)/2). Poisson classes have the first two only.
struct MixtureLayout {
  Index classes = 1, p = 1, r = 0;
  bool poisson = false;

  Index roots() const { return r * (r + 1) / 2; }
  Index beta(Index k) const { return classes + k * p; }
  Index log_variance(Index k) const { return classes * (1 + p) + k; }
  Index root(Index k) const { return classes * (2 + p) + k * roots(); }
  Index size() const { return poisson ? classes * (1 + p) : root(classes); }
};

// The two steps that a family has of its own.
class MixtureFamily {
 public:
  virtual ~MixtureFamily() = default;
  // log f_k(y_u) into D (units, classes).
  virtual void density(const Vector& at, Matrix& D) const = 0;
  // Raise sum_uk R_uk log f_k(y_u) from `at`: all but the log pi of `next`.
  virtual MixtureStatus maximise(const Matrix& R,  // (units, classes)
                                 const Vector& at, Vector& next) const = 0;
};

// Rows of a mixture: unit u has rows start[u] .. start[u + 1] - 1.
struct MixtureRows {
  Matrix X;  // (n, p), p <= 4
  Vector y;  // (n,)
  std::vector<Index> start;

  Index units() const { return static_cast<Index>(start.size()) - 1; }
};

std::unique_ptr<MixtureFamily> gaussian_classes(const MixtureRows& rows,
                                                const MixtureLayout& layout, bool equal,
                                                double smallest);
std::unique_ptr<MixtureFamily> poisson_classes(const MixtureRows& rows,
                                               const MixtureLayout& layout);

// A column or an element for each start.
struct MixtureRuns {
  Vector llf;
  Eigen::VectorXi status, steps;
  Matrix at;  // (size, starts)
};

class Mixture {
 public:
  // `equal`: the variances are the same in all classes.
  Mixture(const ConstMatrixRef& X, const ConstVectorRef& y, std::vector<Index> start, Index classes,
          Index n_random, bool equal, bool poisson, const MixtureSettings& settings);

  // EM from each column of labels: the class of every unit at the start.
  MixtureRuns fit(const Eigen::Ref<const Eigen::MatrixXi>& labels,  // (units, starts)
                  Team& team) const;
  // EM from parameters, a column a start.
  MixtureRuns refine(const ConstMatrixRef& at,  // (size, starts)
                     Team& team) const;
  // log f_k(y_u), (units, classes).
  Matrix density(const ConstVectorRef& at) const;
  Index size() const { return layout_.size(); }

 private:
  MixtureLayout layout_;
  MixtureSettings settings_;
  MixtureRows rows_;
  std::unique_ptr<MixtureFamily> family_;

  struct Run;
  void climb(Vector at, Index start, MixtureRuns& runs) const;
};

}  // namespace ranef
