// Derivatives of the log determinant of a crossed graph by the graph's own values.
#include <vector>

#include "ranef/crossed_logdet.hpp"

namespace ranef {
namespace {

// out (b, m) = W x for b vectors of m sets, row-major.
void combine(const Matrix& W, const double* x, Index m, std::vector<double>& out) {
  const Index b = W.rows();
  Eigen::Map<RowMatrix>(out.data(), b, m).noalias() =
      W.lazyProduct(Eigen::Map<const RowMatrix>(x, b, m));
}

double dot(const double* x, const double* y, Index size) {
  return Eigen::Map<const Vector>(x, size).dot(Eigen::Map<const Vector>(y, size));
}

}  // namespace

// With z'T z = sum_l a^2_l w_l^2 - (B z)'N(B z), w = A_12 B z.
void add_slopes(const CrossedGraph& graph, const RowMatrix& z, const RowMatrix& w,
                const RowMatrix& Tz, const Matrix& W, Index m, double scale, LogdetSlopes& slopes) {
  const Index size = z.cols();
  const SparseRows &rows = graph.rows(), &among = graph.root_pairs();
  const Vector& b = graph.b();
  split(graph.team(), graph.n_leading(), [&](int, Index begin, Index end) {
    std::vector<double> mixed(static_cast<std::size_t>(size));
    for (Index l = begin; l < end; ++l) {
      const double* own = w.data() + l * size;
      combine(W, own, m, mixed);
      slopes.a2(l) += scale * dot(own, mixed.data(), size);
      const double twice = 2.0 * scale * graph.a2()(l);
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
        const Index c = rows.column[e];
        slopes.pairs(e) += twice * b(c) * dot(z.data() + c * size, mixed.data(), size);
      }
    }
  });
  const bool meets = graph.has_root_pairs();
  split(graph.team(), graph.n_root(), [&](int, Index begin, Index end) {
    std::vector<double> mixed(static_cast<std::size_t>(size));
    for (Index c = begin; c < end; ++c) {
      combine(W, z.data() + c * size, m, mixed);
      slopes.log_b(c) += 2.0 * scale * dot(mixed.data(), Tz.data() + c * size, size);
      if (!meets) continue;
      for (Index e = among.start[c]; e < among.start[c + 1]; ++e) {
        const Index other = among.column[e];
        slopes.among(e) -=
            scale * b(c) * b(other) * dot(mixed.data(), z.data() + other * size, size);
      }
    }
  });
}

void subtract_trace_slopes(const CrossedGraph& graph, LogdetSlopes& slopes) {
  slopes.log_b -= 2.0 * product_diagonal(graph);
  const SparseRows& rows = graph.rows();
  split(graph.team(), rows.rows(), [&](int, Index begin, Index end) {
    for (Index l = begin; l < end; ++l)
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
        const double weight = rows.at(e) * graph.b()(rows.column[e]) * graph.b()(rows.column[e]);
        slopes.a2(l) -= weight * rows.at(e);
        slopes.pairs(e) -= 2.0 * graph.a2()(l) * weight;
      }
  });
}

// What V knows of T is forgotten with the weights: a solve starts from V alone, here and after
// deflate().
void CrossedLogdet::take(RowMatrix V, const CrossedGraph& graph) {
  V_ = std::move(V);
  complete_ = V_.cols() == graph.n_root();
  inner_.setZero(V_.cols(), V_.cols());
}

}  // namespace ranef
