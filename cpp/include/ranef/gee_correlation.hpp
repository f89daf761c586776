// Working correlations: moment estimates of their parameters, and products with R^-1/2.
#pragma once

#include <cmath>
#include <vector>

#include "ranef/gee.hpp"

namespace ranef {

// Distances between the times of a cluster's rows, in units of the median gap between neighbours,
// so that a correlation to the power of a distance does not depend on how time is counted. On
// regular times every whole number of steps is one, otherwise those that occur are listed.
class Lags {
 public:
  Lags() = default;                    // where distances do not matter
  explicit Lags(const GeeData& data);  //
  Index id(Index a, Index b) const;    // of the distance between two waves of one cluster
  bool regular() const { return !position_.empty(); }
  double distance(Index id) const { return distance_[static_cast<std::size_t>(id)]; }
  Index count() const { return static_cast<Index>(distance_.size()); }
  // Whether a negative correlation has a power at every distance, also by the user's unit of time.
  bool allows_negative() const { return allows_negative_; }
  double per_unit_of_time(double alpha) const;

 private:
  double gap(Index a, Index b) const { return std::abs(time_[b] - time_[a]) / unit_; }
  double unit_ = 1.0;
  Vector time_;                   // (n_waves,)
  std::vector<Index> position_;   // (n_waves,) in steps, of regular times
  std::vector<double> distance_;  // of each lag id, ascending
  bool allows_negative_ = false;
};

// Moment estimate of the correlation parameters from Pearson residuals r (n,).
//   exchangeable: mean of r_j r_k / phi over pairs;   unstructured: the same for each pair of
//   waves; m_dependent: the same for each lag of 1 to m waves;   ar1: least squares of alpha^lag
//   over all pairs.
Vector estimate_alpha(const GeeData& data, const GeeOptions& options, const Lags& lags,
                      ConstVectorRef pearson, double phi, const Vector& previous, bool& at_bound);

// Multiplies the rows of a cluster by R^-1/2: (R^-1/2)'(R^-1/2) = R^-1 over the cluster's waves.
// Closed forms for exchangeable (rank one) and AR(1) (the previous row); otherwise a Cholesky
// factor, kept from cluster to cluster while the waves are the same.
class Whitener {
 public:
  Whitener(const GeeData& data, const GeeOptions& options, const Lags& lags, const Vector& alpha);
  bool valid() const { return valid_; }
  void apply(Int32Ref wave, Eigen::Ref<RowMatrix> block) const;

 private:
  void factor(Int32Ref wave) const;
  const Lags& lags_;
  Corr corr_;
  double alpha_ = 0.0;
  mutable bool valid_ = true;
  std::vector<double> decay_;           // alpha^lag, by lag id
  std::vector<double> rest_;            // (1 - decay^2)^-1/2
  Matrix R_;                            // (n_waves, n_waves)
  mutable std::vector<Index> pattern_;  // waves that factor_ belongs to
  mutable Matrix factor_;               // lower Cholesky factor
  mutable Eigen::RowVectorXd shift_;    // share of a cluster's sum, a workspace
};

}  // namespace ranef
