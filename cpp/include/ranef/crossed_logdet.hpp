// log|I - T| of a crossed graph, by deflation, exact moments, and probes for the rest.
//
// With orthonormal V (C, k) and P = I - V V', for any V,
//
//   log|I - T| = -log|V'(I - T)^-1 V| - tr(PTP) - [tr((PTP)^2) / 2] - tr p(PTP)
//
// where p is what is left of -log(1 - x) and its trace is the mean of x'P p(PTP) P x over probes x
// of random signs. The value and its derivatives are those of the same probes: a smooth function of
// the covariance, with an exact gradient.
//
// References: Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450; for the variance of such
// a trace, Avron and Toledo (2011), J. ACM 58, 8.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ranef/crossed_graph.hpp"
#include "ranef/crossed_polynomial.hpp"
#include "ranef/eigen.hpp"

namespace ranef {

// Sign of a component of a probe: a function of its three numbers alone, so that a probe is the
// same whoever asks for it and however many there are.
double probe_sign(std::uint64_t seed, std::uint64_t probe, std::uint64_t component);

struct LogdetSettings {
  std::uint64_t seed = 0;
  int n_probes = 8;
  bool exact_second = false;
  double solve_tolerance = 1e-10;
  int first_probe = 0;  // the sample is that of the probes from this one on
};

// Derivatives of log|I - T| by what T is made of.
struct LogdetSlopes {
  Vector a2;     // (R,)
  Vector log_b;  // (C,)
  Vector pairs;  // (nnz,) by the entries of A_12, in the order of CrossedGraph::rows()
  Vector among;  // (nnz,) by those of A_22 off its diagonal, half of it in either triangle
};

struct Logdet {
  double value = 0.0;  // log|I - T|
  Vector by_sigma;     // (terms,) its derivatives by Sigma_t
};

// How well the probes know it.
struct LogdetError {
  double variance = 0.0;        // of the value
  Matrix gradient_variance;     // (terms, terms) of by_sigma
  double bias = 0.0;            // bound on what the polynomial leaves out
  double variance_third = 0.0;  // of the value if the second moment were exact
  double growth = 1.0;          // of a probe under t_J: above 1 when the interval is too small
};

// Pairs of columns that share several rows, where they are few: the entries of each, by column and
// by row, are entry[start[i]] .. entry[start[i + 1] - 1].
struct Meetings {
  bool are_known = false;
  std::vector<std::array<std::int32_t, 2>> pair;
  std::vector<Index> start;
  std::vector<std::array<Index, 2>> entry;
  std::vector<Index> place;  // (nnz,) of each entry by column among those by row
};
Meetings find_meetings(const CrossedGraph& graph);

class CrossedLogdet {
 public:
  CrossedLogdet() = default;

  // Choose V where the graph stands, and the polynomial: the interval covers what V leaves.
  void deflate(const CrossedGraph& graph, const LogdetSettings& settings, int most_vectors);
  void choose_polynomial(const CrossedGraph& graph, bool exact_second);
  // Widen the interval towards one: a probe was seen to leave it.
  void widen();
  // Choose it for any weights of the same levels from now on.
  void bound_whatever_weights() { any_weights_ = true; }
  double low() const { return low_; }
  double high() const { return high_; }
  void set_bounds(double low, double high) {
    low_ = low;
    high_ = high;
  }

  const RowMatrix& V() const { return V_; }
  const Matrix& inner() const { return inner_; }  // (k, k) V'TV where deflate() stood
  const CrossedPolynomial& polynomial() const { return polynomial_; }

  // At the graph's present covariance; AV (C, k) = (I - T)^-1 V to within the solve's tolerance.
  Logdet value(const CrossedGraph& graph, const LogdetSettings& settings, const RowMatrix& AV,
               LogdetError* error) const;
  // The value alone, for slopes() to follow; by_sigma and the gradient's variance are left at zero.
  Logdet value_alone(const CrossedGraph& graph, const LogdetSettings& settings, const RowMatrix& AV,
                     LogdetError* error) const;
  // Derivatives by the graph's own values where value_alone() was last asked for.
  void slopes(const CrossedGraph& graph, const LogdetSettings& settings, const RowMatrix& AV,
              LogdetSlopes& out) const;
  // Those in two parts: without the sampled trace, and its own, of any probes.
  void slopes_without_sample(const CrossedGraph& graph, const LogdetSettings& settings,
                             const RowMatrix& AV, LogdetSlopes& slopes) const;
  void add_slopes_of_sample(const CrossedGraph& graph, const LogdetSettings& settings,
                            LogdetSlopes& slopes) const;
  // The graph has changed: nothing of the sample is known any more.
  void forget() const { kept_ = {}; }

  // Whether few columns share several rows, so that the second moment costs little more than the
  // first; not looked for where that alone costs more than `most` steps an entry.
  bool has_few_meetings(const CrossedGraph& graph, double most);

  // Take another V, as of a former fit, that has orthonormal columns.
  void take(RowMatrix V, const CrossedGraph& graph);

  // Components that do not lie in V: x - V V'x.
  void project(Team& team, RowMatrix& x) const;

 private:
  // The vectors t_j(PTP) x of a batch of probes, and sums of them.
  struct SampleWork {
    std::vector<RowMatrix> z;      // (C, m) each
    std::vector<GraphProduct> Tz;  // of each but the last
    RowMatrix raw, sum, third;     // (C, m)
  };
  mutable SampleWork work_;
  struct Probes {
    int first = 0, count = 0;
  };
  mutable Probes kept_;  // whose vectors are in work_
  RowMatrix V_;          // (C, k)
  Matrix inner_;         // (k, k)
  double low_ = 0.0, high_ = 0.5;
  bool complete_ = false;     // V spans everything
  bool any_weights_ = false;  // the polynomial is for any weights
  double bias_ = 0.0;         // bound on what polynomial_ leaves out of the trace
  CrossedPolynomial polynomial_;
  CrossedPolynomial third_;  // of order 3 on the same interval
  Meetings meetings_;        // once they were looked for
  bool looked_ = false;

  void bound_bulk(const CrossedGraph& graph, std::uint64_t seed, bool below_zero);
  Logdet whole_part(const CrossedGraph& graph, const LogdetSettings& settings, const RowMatrix& AV,
                    LogdetSlopes* slopes) const;
  void deflated_part(const CrossedGraph& graph, const RowMatrix& AV, Logdet& out,
                     LogdetSlopes* slopes) const;
  void first_moment(const CrossedGraph& graph, const GraphProduct& TV, Logdet& out,
                    LogdetSlopes* slopes) const;
  void second_moment(const CrossedGraph& graph, const GraphProduct& TV, Logdet& out,
                     LogdetSlopes* slopes) const;
  enum class Want { kBySigma, kValue, kSlopes };
  void sampled_part(const CrossedGraph& graph, const LogdetSettings& settings, Want want,
                    Logdet& out, LogdetError* error, LogdetSlopes* slopes) const;
};

// Add `scale` times the derivatives of sum_ij W_ij z_i'T z_j, W symmetric, for each of m sets of
// vectors: row c of z, w = A_12 B z and Tz holds the m values of the first vector, then of the
// second, and so on.
void add_slopes(const CrossedGraph& graph, const RowMatrix& z, const RowMatrix& w,
                const RowMatrix& Tz, const Matrix& W, Index m, double scale, LogdetSlopes& slopes);
// Add those of -tr T.
void subtract_trace_slopes(const CrossedGraph& graph, LogdetSlopes& slopes);

// Add those of `scale` times tr(T^2), whose meetings are known.
void add_second_moment_slopes(const CrossedGraph& graph, const Meetings& meetings, double scale,
                              LogdetSlopes& slopes);

// Diagonal of T (C,).
Vector product_diagonal(const CrossedGraph& graph);

// tr(T^2), its derivatives by Sigma_t, and the diagonal of T^2, for graphs without pairs in the
// root: in entangled() operations, or in those of a product where the meetings are known.
struct SecondMoment {
  double trace = 0.0;
  Vector by_sigma;  // (terms,)
  Vector diagonal;  // (C,)
};
SecondMoment second_moment(const CrossedGraph& graph, const Meetings& meetings = {});

}  // namespace ranef
