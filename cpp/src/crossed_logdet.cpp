#include "ranef/crossed_logdet.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "ranef/row_chunks.hpp"

namespace ranef {
namespace {

constexpr int kFirstVectors = 4;  // of the subspace that is tried first
constexpr int kIterations = 3;    // of it, and again each time that it grows
constexpr int kFilter = 5;        // degree of what takes the place of a power of T
constexpr double kBulk = 0.35;    // eigenvalues below are left to the probes
constexpr double kNoGap = 0.9;    // a subspace twice as large that lowers the next one by less ...
constexpr int kLanczos = 12;      // steps that bound the bulk
constexpr Index kWhole = 48;      // a root of so few columns is taken whole
constexpr int kDegree = 80;       // largest of the polynomial
constexpr double kBias = 1e-4;    // bound on its error in the log determinant
constexpr double kBatchBytes = 2e8;  // of the products of a batch of probes
constexpr double kKeptBytes = 1e8;
constexpr Index kBatch = 16;

// A hash with full avalanche (the finaliser of SplitMix64: Steele, Lea and Flood, 2014).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Sixty-four signs of a component: those of the probes 64 block .. 64 block + 63.
std::uint64_t sign_word(std::uint64_t seed, std::uint64_t block, std::uint64_t component) {
  return mixed(mixed(mixed(seed) ^ block) ^ component);
}

// Orthonormal columns with the same span, by two rounds of Cholesky.
void orthonormalise(RowMatrix& V) {
  for (int round = 0; round < 2; ++round) {
    Matrix gram = V.transpose() * V;
    const double ridge = 1e-14 * gram.trace();
    gram.diagonal().array() += ridge;
    const Eigen::LLT<Matrix> llt(gram);
    const Matrix inverse = llt.matrixU().solve(Matrix(Matrix::Identity(V.cols(), V.cols())));
    V = (V * inverse).eval();
  }
}

// x'dT y by each Sigma_t, column by column: (terms, m), from the products of x and y.
//
// dT by Sigma_1 is B A_21 diag(1 / d_1^2) A_12 B; by a root's Sigma, E T + T E with E = d log b.
Matrix bilinear(const CrossedGraph& graph, const RowMatrix& x, const GraphProduct& Tx,
                const RowMatrix& y, const GraphProduct& Ty) {
  Matrix out(static_cast<Index>(graph.n_terms()), x.cols());
  const Vector weight = graph.d1().array().square().inverse();
  out.row(0) = ((Tx.w.array() * Ty.w.array()).colwise() * weight.array()).colwise().sum();
  for (std::size_t t = 1; t < graph.n_terms(); ++t) {
    const Index first = graph.offset()[t - 1], count = graph.offset()[t] - first;
    const auto slope = graph.slope_b().segment(first, count).array();
    out.row(static_cast<Index>(t)) =
        ((x.middleRows(first, count).array() * Ty.y.middleRows(first, count).array() +
          Tx.y.middleRows(first, count).array() * y.middleRows(first, count).array())
             .colwise() *
         slope)
            .colwise()
            .sum();
  }
  return out;
}

// The same for every pair of columns, contracted with weights: sum_ij W_ij x_i'dT y_j.
Vector contracted(const CrossedGraph& graph, const RowMatrix& x, const GraphProduct& Tx,
                  const RowMatrix& y, const GraphProduct& Ty, const Matrix& W) {
  const RowMatrix right = y * W.transpose();
  const GraphProduct product{Ty.w * W.transpose(), Ty.y * W.transpose()};
  return bilinear(graph, x, Tx, right, product).rowwise().sum();
}

}  // namespace

static void clear(const CrossedGraph& graph, LogdetSlopes& slopes) {
  slopes.a2.setZero(graph.n_leading());
  slopes.log_b.setZero(graph.n_root());
  slopes.pairs.setZero(graph.nonzeros());
  slopes.among.setZero(graph.root_pairs().nonzeros());
}

double probe_sign(std::uint64_t seed, std::uint64_t probe, std::uint64_t component) {
  return (sign_word(seed, probe / 64, component) >> (probe % 64)) & 1U ? 1.0 : -1.0;
}

// t(T) V, t the Chebyshev polynomial of [low, kBulk]: where eigenvalues below zero are as large as
// those that stand out, powers of T would hardly tell them apart.
static RowMatrix filtered(const CrossedGraph& graph, const RowMatrix& V, double low) {
  const double centre = 0.5 * (kBulk + low), width = 0.5 * (kBulk - low);
  GraphProduct product;
  graph.apply(V, product);
  RowMatrix before = V, now = (product.y - centre * V) / width;
  for (int degree = 1; degree < kFilter; ++degree) {
    graph.apply(now, product);
    RowMatrix next = (2.0 / width) * (product.y - centre * now) - before;
    before = std::move(now);
    now = std::move(next);
  }
  return now;
}

// V'x (k, m), summed in an order that does not depend on the threads.
static Matrix inner_products(Team& team, const RowMatrix& V, const RowMatrix& x) {
  const Index k = V.cols(), m = x.cols();
  const double operations = static_cast<double>(x.size() * k);
  const auto add = [&](Index begin, Index end, double* sum) {
    Eigen::Map<Matrix>(sum, k, m).noalias() +=
        V.middleRows(begin, end - begin).transpose() * x.middleRows(begin, end - begin);
  };
  return chunk_sums(team, x.rows(), k * m, operations, add).reshaped(k, m);
}

void CrossedLogdet::project(Team& team, RowMatrix& x) const {
  const Matrix inner = inner_products(team, V_, x);
  in_chunks(team, x.rows(), static_cast<double>(x.size()), [&](Index, Index begin, Index end) {
    x.middleRows(begin, end - begin).noalias() -= V_.middleRows(begin, end - begin) * inner;
  });
}

// Subspace iteration with Rayleigh and Ritz; it grows while what it leaves is not a small bulk.
void CrossedLogdet::deflate(const CrossedGraph& graph, const LogdetSettings& settings,
                            int most_vectors) {
  const Index C = graph.n_root();
  complete_ = C <= kWhole;
  low_ = high_ = 0.0;
  if (complete_) {
    V_ = RowMatrix::Identity(C, C);
    GraphProduct product;
    graph.apply(V_, product);
    inner_ = V_.transpose() * product.y;
    if (any_weights_) inner_.setZero();
    return;
  }
  // Eigenvalues reach below zero only where root terms meet each other.
  const double shift = graph.has_root_pairs() ? static_cast<double>(graph.n_terms()) - 2.0 : 0.0;
  const Index most = std::min<Index>(most_vectors, C / 2);
  RowMatrix V(C, 0);
  GraphProduct product;
  Eigen::SelfAdjointEigenSolver<Matrix> eigen;
  double before = 1.0;
  for (Index size = std::min<Index>(kFirstVectors, most);; size = std::min(most, 2 * size)) {
    const Index old = V.cols();
    V.conservativeResize(C, size);
    for (Index j = old; j < size; ++j)
      for (Index m = 0; m < C; ++m)
        V(m, j) = j == 0 ? graph.b()(m) * graph.own2()(m)
                         : probe_sign(~settings.seed, static_cast<std::uint64_t>(j),
                                      static_cast<std::uint64_t>(m));
    orthonormalise(V);
    for (int i = 0; i < kIterations; ++i) {
      if (shift > 0.0) {
        V = filtered(graph, V, -shift);
      } else {
        graph.apply(V, product);
        V = product.y;
      }
      orthonormalise(V);
    }
    graph.apply(V, product);
    eigen.compute(V.transpose() * product.y);
    const double last = eigen.eigenvalues()(0);
    if (last < kBulk || last > kNoGap * before || size == most) break;
    before = last;
  }
  // Keep what stands out; the rest of the subspace tells how far the bulk reaches.
  const Vector& values = eigen.eigenvalues();
  const Index size = V.cols();
  Index keep = 1;
  while (keep < size - 1 && values(size - 1 - keep) > std::max(kBulk, 1.2 * values(0))) ++keep;
  V_ = V * eigen.eigenvectors().rightCols(keep);
  inner_ = values.tail(keep).asDiagonal();
  if (any_weights_) inner_.setZero();
  bound_bulk(graph, settings.seed, shift > 0.0);
}

// Where the eigenvalues of PTP lie, by Lanczos from one vector of signs, and a margin.
void CrossedLogdet::bound_bulk(const CrossedGraph& graph, std::uint64_t seed, bool below_zero) {
  const Index C = graph.n_root();
  std::vector<RowMatrix> q(1, RowMatrix(C, 1));
  for (Index m = 0; m < C; ++m) q[0](m, 0) = probe_sign(seed + 3, 0, static_cast<std::uint64_t>(m));
  project(graph.team(), q[0]);
  q[0] /= std::sqrt(graph.dots(q[0], q[0])(0));
  Matrix H = Matrix::Zero(kLanczos, kLanczos);
  GraphProduct product;
  for (int j = 0; j < kLanczos; ++j) {
    graph.apply(q[j], product);
    RowMatrix next = std::move(product.y);
    project(graph.team(), next);
    H(j, j) = graph.dots(next, q[j])(0);
    for (const RowMatrix& before : q) next -= graph.dots(next, before)(0) * before;
    const double length = std::sqrt(graph.dots(next, next)(0));
    if (j + 1 == kLanczos || !(length > 1e-10)) {
      H.conservativeResize(j + 1, j + 1);
      break;
    }
    H(j + 1, j) = H(j, j + 1) = length;
    q.push_back(next / length);
  }
  const Vector ritz = Eigen::SelfAdjointEigenSolver<Matrix>(H).eigenvalues();
  const double most = std::max(0.0, ritz(ritz.size() - 1)), margin = 0.1 * most + 0.01;
  high_ = std::min(most + margin, 0.5 * (1.0 + most));
  low_ = below_zero ? std::min(0.0, 1.1 * ritz(0) - 0.01) : 0.0;
}

void CrossedLogdet::widen() {
  high_ = std::min(1.5 * high_, 0.7 * high_ + 0.3);
  low_ *= 1.3;
}

bool CrossedLogdet::has_few_meetings(const CrossedGraph& graph, double most) {
  if (graph.has_root_pairs()) return false;
  if (!looked_ && graph.entangled() <= most * static_cast<double>(graph.nonzeros())) {
    meetings_ = find_meetings(graph);
    looked_ = true;
  }
  return meetings_.are_known;
}

void CrossedLogdet::choose_polynomial(const CrossedGraph& graph, bool exact_second) {
  if (complete_) return;
  if (exact_second) has_few_meetings(graph, HUGE_VAL);
  // sum |x|^r over the bulk is at most its trace (of T's diagonal, none of it negative) times this.
  const double size = std::max(high_, -low_);
  const double C = static_cast<double>(graph.n_root());
  const double trace =
      std::max(1e-3, any_weights_ ? C * size : std::min(C * size, product_diagonal(graph).sum()));
  const auto fit = [&](int order) {
    const double most = low_ < 0.0 ? C * std::pow(size, order) : trace * std::pow(size, order - 1);
    CrossedPolynomial out = fit_polynomial(order, low_, high_, kBias / most, kDegree);
    return std::pair(out, out.error * most);
  };
  std::tie(third_, bias_) = fit(3);
  if (exact_second)
    polynomial_ = third_;
  else
    std::tie(polynomial_, bias_) = fit(2);
}

Vector product_diagonal(const CrossedGraph& graph) {
  const SparseRows& columns = graph.columns();
  Vector out(graph.n_root());
  in_parts(graph.team(), out.size(), static_cast<double>(columns.nonzeros()),
           [&](Index begin, Index end) {
             for (Index m = begin; m < end; ++m) {
               double sum = 0.0;
               for (Index e = columns.start[m]; e < columns.start[m + 1]; ++e)
                 sum += graph.a2()(columns.column[e]) * columns.at(e) * columns.at(e);
               out(m) = sum * graph.b()(m) * graph.b()(m);
             }
           });
  return out;
}

// -log|V'(I - T)^-1 V| and its derivatives: with K = V'AV, -tr(K^-1 AV' dT AV).
void CrossedLogdet::deflated_part(const CrossedGraph& graph, const RowMatrix& AV, Logdet& out,
                                  LogdetSlopes* slopes) const {
  Matrix K = V_.transpose() * AV;
  K = (0.5 * (K + K.transpose())).eval();
  const Eigen::LLT<Matrix> llt(K);
  if (llt.info() != Eigen::Success) {
    out.value = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  out.value -= 2.0 * Matrix(llt.matrixL()).diagonal().array().log().sum();
  GraphProduct product;
  graph.leading(AV, product.w);
  product.y = AV - V_;  // T (I - T)^-1 V
  const Matrix inverse = llt.solve(Matrix(Matrix::Identity(K.rows(), K.cols())));
  if (slopes) return add_slopes(graph, AV, product.w, product.y, inverse, 1, -1.0, *slopes);
  out.by_sigma -= contracted(graph, AV, product, AV, product, inverse);
}

// -tr(PTP) = -tr T + tr V'TV.
void CrossedLogdet::first_moment(const CrossedGraph& graph, const GraphProduct& TV, Logdet& out,
                                 LogdetSlopes* slopes) const {
  const Vector diagonal = product_diagonal(graph);
  out.value += V_.cwiseProduct(TV.y).sum() - diagonal.sum();
  if (slopes) {
    subtract_trace_slopes(graph, *slopes);
    const Matrix one = Matrix::Identity(V_.cols(), V_.cols());
    return add_slopes(graph, V_, TV.w, TV.y, one, 1, 1.0, *slopes);
  }
  out.by_sigma += bilinear(graph, V_, TV, V_, TV).rowwise().sum();
  const SparseRows& rows = graph.rows();
  const Vector squares = graph.b().array().square();
  const double operations = static_cast<double>(rows.nonzeros());
  const auto leading = [&](Index begin, Index end, double* total) {
    for (Index l = begin; l < end; ++l) {
      double sum = 0.0;
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e)
        sum += squares(rows.column[e]) * rows.at(e) * rows.at(e);
      *total += sum / (graph.d1()(l) * graph.d1()(l));
    }
  };
  out.by_sigma(0) -= chunk_sums(graph.team(), rows.rows(), 1, operations, leading)(0);
  for (std::size_t t = 1; t < graph.n_terms(); ++t) {
    const Index first = graph.offset()[t - 1], count = graph.offset()[t] - first;
    out.by_sigma(static_cast<Index>(t)) -=
        2.0 * graph.slope_b().segment(first, count).dot(diagonal.segment(first, count));
  }
}

// -tr((PTP)^2) / 2, tr((PTP)^2) = tr(T^2) - 2 |TV|^2 + |V'TV|^2; derivative 2 tr(PTP dT).
void CrossedLogdet::second_moment(const CrossedGraph& graph, const GraphProduct& TV, Logdet& out,
                                  LogdetSlopes* slopes) const {
  const Matrix inner = V_.transpose() * TV.y;
  GraphProduct TTV;
  if (slopes) {
    add_second_moment_slopes(graph, meetings_, -0.5, *slopes);
    graph.apply(TV.y, TTV);
    const Index k = V_.cols();
    Matrix W = Matrix::Zero(2 * k, 2 * k);  // of TV, then V
    W.topRightCorner(k, k).setIdentity();
    W.bottomLeftCorner(k, k).setIdentity();
    W.bottomRightCorner(k, k) = -0.5 * (inner + inner.transpose());
    const auto beside = [&](const RowMatrix& left, const RowMatrix& right) {
      RowMatrix both(left.rows(), 2 * k);
      both << left, right;
      return both;
    };
    return add_slopes(graph, beside(TV.y, V_), beside(TTV.w, TV.w), beside(TTV.y, TV.y), W, 1, 1.0,
                      *slopes);
  }
  const SecondMoment whole = ranef::second_moment(graph, meetings_);
  out.value -= 0.5 * (whole.trace - 2.0 * TV.y.squaredNorm() + inner.squaredNorm());
  out.by_sigma -= 0.5 * whole.by_sigma;
  graph.apply(TV.y, TTV);
  out.by_sigma += 2.0 * bilinear(graph, TV.y, TTV, V_, TV).rowwise().sum();
  out.by_sigma -= contracted(graph, V_, TV, V_, TV, inner);
}

namespace {

// Signs of the probes first, first + 1, ... of the sample, a column each.
void signs(const LogdetSettings& settings, Index first, RowMatrix& out, Index rows, Index count) {
  out.resize(rows, count);
  const auto probe = static_cast<std::uint64_t>(settings.first_probe + first);
  for (Index m = 0; m < rows; ++m) {
    std::uint64_t block = 0, word = 0;
    for (Index j = 0; j < count; ++j) {
      const std::uint64_t of = probe + static_cast<std::uint64_t>(j);
      if (j == 0 || of / 64 != block) {
        block = of / 64;
        word = sign_word(settings.seed, block, static_cast<std::uint64_t>(m));
      }
      out(m, j) = (word >> (of % 64)) & 1U ? 1.0 : -1.0;
    }
  }
}

// Sums over probes that the value, its derivatives and their errors are made of.
struct Samples {
  std::vector<double> value;  // of each probe
  std::vector<Vector> slope;  // (terms,) of each probe
  double squares = 0.0;       // sum |p(PTP) x|^2
  double third_squares = 0.0;
  Vector diagonal, third_diagonal;    // (C,) sum x * p(PTP) x
  double own = 0.0, third_own = 0.0;  // sum |x * p(PTP) x|^2
  double growth = 0.0;
};

void add_squares(const RowMatrix& raw, const RowMatrix& F, double& squares, Vector& diagonal,
                 double& own) {
  squares += F.squaredNorm();
  const RowMatrix each = raw.cwiseProduct(F);
  own += each.squaredNorm();
  diagonal += each.rowwise().sum();
}

// Variance of the mean of n quadratic forms of signs: 2 (|F|^2 - sum F_mm^2) / n, the diagonal's
// part from products of different probes.
double variance_of_mean(double squares, const Vector& diagonal, double own, double n) {
  const double whole = squares / n;
  const double diagonals = n > 1.0 ? (diagonal.squaredNorm() - own) / (n * (n - 1.0)) : 0.0;
  return 2.0 * std::max(whole - std::max(diagonals, 0.0), 0.05 * whole) / n;
}

// sum_j factor(m) u_j(m) sum_l D_jl v_l(m) over rows first .. first + rows - 1, by column; D is
// zero where j + l >= J.
template <class Left, class Right>
Vector quadratic_sum(Team& team, const Matrix& D, Index columns, Index first, Index rows,
                     const double* factor, Left&& u, Right&& v) {
  const Index J = D.rows();
  std::vector<const double*> left, right;
  for (Index j = 0; j < J; ++j) {
    left.push_back(u(j) + first * columns);
    right.push_back(v(j) + first * columns);
  }
  const auto add = [&](Index begin, Index end, double* sum) {
    each_row(begin, end, columns, sum, [&](auto size, Index at, Index) {
      constexpr int M = decltype(size)::value;
      Eigen::Array<double, M, 1> of_row = Eigen::Array<double, M, 1>::Zero();
      for (Index j = 0; j < J; ++j) {
        Eigen::Array<double, M, 1> inner = Eigen::Array<double, M, 1>::Zero();
        for (Index l = 0; l < J - j; ++l) inner += D(j, l) * ConstCells<M>(right[l] + at);
        of_row += inner * ConstCells<M>(left[j] + at);
      }
      return (factor[first + at / columns] * of_row).eval();
    });
  };
  return chunk_sums(team, rows, columns, static_cast<double>(rows * columns * J), add);
}

// Derivatives of each probe's x'p(PTP)x by the Sigma_t: sum_jl D_jl z_j'dT z_l.
Matrix sampled_slopes(const CrossedGraph& graph, const Matrix& D, const std::vector<RowMatrix>& z,
                      const std::vector<GraphProduct>& Tz) {
  const Index columns = z[0].cols();
  Matrix out(static_cast<Index>(graph.n_terms()), columns);
  const Vector weight = graph.d1().array().square().inverse();
  const auto w = [&](Index j) { return Tz[j].w.data(); };
  out.row(0) = quadratic_sum(graph.team(), D, columns, 0, graph.n_leading(), weight.data(), w, w)
                   .transpose();
  const auto left = [&](Index j) { return z[j].data(); };
  const auto right = [&](Index j) { return Tz[j].y.data(); };
  for (std::size_t t = 1; t < graph.n_terms(); ++t) {
    const Index first = graph.offset()[t - 1], count = graph.offset()[t] - first;
    out.row(static_cast<Index>(t)) = 2.0 * quadratic_sum(graph.team(), D, columns, first, count,
                                                         graph.slope_b().data(), left, right)
                                               .transpose();
  }
  return out;
}

// The derivatives of the mean over n probes by the graph's own values, what `count` columns from
// `first` on add, the vectors side by side.
void add_sampled(const CrossedGraph& graph, const std::vector<RowMatrix>& z,
                 const std::vector<GraphProduct>& Tz, const Matrix& difference, Index first,
                 Index count, Index n, LogdetSlopes& slopes) {
  const Index J = difference.rows();
  RowMatrix all(graph.n_root(), J * count), w(graph.n_leading(), J * count),
      y(all.rows(), all.cols());
  const auto beside = [&](RowMatrix& to, const auto& from) {
    in_parts(graph.team(), to.rows(), static_cast<double>(to.size()), [&](Index begin, Index end) {
      for (Index j = 0; j < J; ++j)
        to.block(begin, j * count, end - begin, count) =
            from(j).block(begin, first, end - begin, count);
    });
  };
  beside(all, [&](Index j) -> const RowMatrix& { return z[j]; });
  beside(w, [&](Index j) -> const RowMatrix& { return Tz[j].w; });
  beside(y, [&](Index j) -> const RowMatrix& { return Tz[j].y; });
  add_slopes(graph, all, w, y, difference, count, -1.0 / static_cast<double>(n), slopes);
}

}  // namespace

void CrossedLogdet::sampled_part(const CrossedGraph& graph, const LogdetSettings& settings,
                                 Want want, Logdet& out, LogdetError* error,
                                 LogdetSlopes* slopes) const {
  const Index C = graph.n_root(), J = polynomial_.degree(), n = settings.n_probes;
  const double bytes =
      8.0 * static_cast<double>(J) * static_cast<double>(2 * C + graph.n_leading());
  const Index batch =
      std::clamp<Index>(static_cast<Index>(kBatchBytes / bytes), 2, std::min(n, kBatch));
  Samples samples;
  samples.diagonal.setZero(C);
  samples.third_diagonal.setZero(C);
  const double centre = polynomial_.centre(), width = polynomial_.half_width();
  // Room that is kept from one value to the next where it is small.
  SampleWork passing, &work = bytes * static_cast<double>(batch) < kKeptBytes ? work_ : passing;
  if (&work == &work_) kept_ = {};
  work.z.resize(J + 1);
  work.Tz.resize(J);
  std::vector<RowMatrix>& z = work.z;
  std::vector<GraphProduct>& Tz = work.Tz;
  for (Index first = 0; first < n; first += batch) {
    const Index count = std::min(batch, n - first);
    RowMatrix& raw = work.raw;
    signs(settings, first, raw, C, count);
    z[0] = raw;
    project(graph.team(), z[0]);
    RowMatrix &F = work.sum, &third = work.third;
    const double cells = static_cast<double>(C * count);
    const auto rows = [](auto& M, Index begin, Index end) {
      return M.middleRows(begin, end - begin);
    };
    for (Index j = 0; j < J; ++j) {
      graph.apply(z[j], Tz[j]);
      const double scale = (j == 0 ? 1.0 : 2.0) / width, shift = scale * centre;
      const Matrix along = -scale * inner_products(graph.team(), V_, Tz[j].y);
      z[j + 1].resize(C, count);
      F.resize(C, count);
      third.resize(C, error ? count : 0);
      const bool in_third = error && j + 1 <= third_.degree();
      in_chunks(graph.team(), C, cells, [&](Index, Index begin, Index end) {
        auto next = rows(z[j + 1], begin, end);
        const auto now = rows(z[j], begin, end);
        next.noalias() = rows(V_, begin, end) * along;
        if (j == 0)
          next += scale * rows(Tz[j].y, begin, end) - shift * now;
        else
          next += scale * rows(Tz[j].y, begin, end) - shift * now - rows(z[j - 1], begin, end);
        auto sum = rows(F, begin, end);
        if (j == 0) sum = polynomial_.coefficient(0) * now;
        sum += polynomial_.coefficient(j + 1) * next;
        if (!error) return;
        auto sum_third = rows(third, begin, end);
        if (j == 0) sum_third = third_.coefficient(0) * now;
        if (in_third) sum_third += third_.coefficient(j + 1) * next;
      });
    }
    const Vector values = graph.dots(raw, F);
    const Matrix by_sigma = want == Want::kBySigma
                                ? sampled_slopes(graph, polynomial_.difference, z, Tz)
                                : Matrix(Matrix::Zero(out.by_sigma.size(), count));
    for (Index j = 0; j < count; ++j) {
      samples.value.push_back(values(j));
      samples.slope.push_back(by_sigma.col(j));
    }
    if (want == Want::kSlopes)
      add_sampled(graph, z, Tz, polynomial_.difference, 0, count, n, *slopes);
    const Vector start = graph.dots(z[0], z[0]), end = graph.dots(z[J], z[J]);
    samples.growth = std::max(samples.growth, (end.array() / start.array().max(1e-300)).maxCoeff());
    if (!error) continue;
    add_squares(raw, F, samples.squares, samples.diagonal, samples.own);
    add_squares(raw, third, samples.third_squares, samples.third_diagonal, samples.third_own);
  }
  if (&work == &work_ && batch >= n) kept_ = {settings.first_probe, settings.n_probes};
  const double of = static_cast<double>(n);
  Vector slope = Vector::Zero(out.by_sigma.size());
  for (Index j = 0; j < n; ++j) {
    out.value -= samples.value[j] / of;
    slope += samples.slope[j] / of;
  }
  out.by_sigma -= slope;
  if (!error) return;
  error->growth = samples.growth;
  error->variance = variance_of_mean(samples.squares, samples.diagonal, samples.own, of);
  error->variance_third =
      variance_of_mean(samples.third_squares, samples.third_diagonal, samples.third_own, of);
  error->gradient_variance.setZero(slope.size(), slope.size());
  for (const Vector& each : samples.slope)
    error->gradient_variance += (each - slope) * (each - slope).transpose();
  error->gradient_variance /= of * std::max(1.0, of - 1.0);
  error->bias = bias_;
}

static void clear(const CrossedGraph& graph, LogdetError* error) {
  if (!error) return;
  *error = {};
  const Index terms = static_cast<Index>(graph.n_terms());
  error->gradient_variance.setZero(terms, terms);
}

Logdet CrossedLogdet::value(const CrossedGraph& graph, const LogdetSettings& settings,
                            const RowMatrix& AV, LogdetError* error) const {
  Logdet out = whole_part(graph, settings, AV, nullptr);
  clear(graph, error);
  if (!complete_) sampled_part(graph, settings, Want::kBySigma, out, error, nullptr);
  return out;
}

Logdet CrossedLogdet::value_alone(const CrossedGraph& graph, const LogdetSettings& settings,
                                  const RowMatrix& AV, LogdetError* error) const {
  Logdet out = whole_part(graph, settings, AV, nullptr);
  clear(graph, error);
  if (!complete_) sampled_part(graph, settings, Want::kValue, out, error, nullptr);
  return out;
}

void CrossedLogdet::slopes(const CrossedGraph& graph, const LogdetSettings& settings,
                           const RowMatrix& AV, LogdetSlopes& out) const {
  slopes_without_sample(graph, settings, AV, out);
  add_slopes_of_sample(graph, settings, out);
}

void CrossedLogdet::slopes_without_sample(const CrossedGraph& graph, const LogdetSettings& settings,
                                          const RowMatrix& AV, LogdetSlopes& slopes) const {
  clear(graph, slopes);
  whole_part(graph, settings, AV, &slopes);
}

void CrossedLogdet::add_slopes_of_sample(const CrossedGraph& graph, const LogdetSettings& settings,
                                         LogdetSlopes& slopes) const {
  if (complete_) return;
  const int first = settings.first_probe - kept_.first;
  if (first >= 0 && first + settings.n_probes <= kept_.count)
    return add_sampled(graph, work_.z, work_.Tz, polynomial_.difference, first, settings.n_probes,
                       settings.n_probes, slopes);
  Logdet unused;
  unused.by_sigma.setZero(static_cast<Index>(graph.n_terms()));
  sampled_part(graph, settings, Want::kSlopes, unused, nullptr, &slopes);
}

// All but the sampled trace.
Logdet CrossedLogdet::whole_part(const CrossedGraph& graph, const LogdetSettings& settings,
                                 const RowMatrix& AV, LogdetSlopes* slopes) const {
  Logdet out;
  out.by_sigma.setZero(static_cast<Index>(graph.n_terms()));
  GraphProduct TV;
  graph.apply(V_, TV);
  deflated_part(graph, AV, out, slopes);
  if (complete_) return out;
  first_moment(graph, TV, out, slopes);
  if (settings.exact_second) second_moment(graph, TV, out, slopes);
  return out;
}

}  // namespace ranef
