// tr(T^2) of a crossed graph, exactly.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "ranef/crossed_logdet.hpp"

namespace ranef {
namespace {

// A graph has few columns that meet more than once if the entries by which they do are no more than
// this share of all entries; it is not asked where its wedges are more than this many an entry.
constexpr double kFew = 2.0, kLongWalk = 100.0;

// Sums over pairs of columns that share several rows, kept while the graph is walked once.
class Walk {
 public:
  explicit Walk(const CrossedGraph& graph)
      : rows_(graph.rows()),
        columns_(graph.columns()),
        next_(rows_.start.begin(), rows_.start.end() - 1),
        count_(static_cast<std::size_t>(graph.n_root()), 0) {}

  // Call visit(column, e, f) for the columns from `column` on that a row of it meets, e and f being
  // entries by column and by row. Columns are to come in order.
  template <class Visit>
  void around(Index column, Visit&& visit) {
    for (Index e = columns_.start[column]; e < columns_.start[column + 1]; ++e) {
      const Index l = columns_.column[e];
      for (Index f = next_[static_cast<std::size_t>(l)]; f < rows_.start[l + 1]; ++f)
        visit(rows_.column[f], e, f);
    }
  }
  void leave(Index column) {
    for (Index e = columns_.start[column]; e < columns_.start[column + 1]; ++e)
      ++next_[static_cast<std::size_t>(columns_.column[e])];
  }
  std::uint8_t& count(Index column) { return count_[static_cast<std::size_t>(column)]; }

 private:
  const SparseRows &rows_, &columns_;
  std::vector<Index> next_;
  std::vector<std::uint8_t> count_;
};

// The entries of a pair of columns that share several rows, of those of column m with others after
// it; false where they are more than `most`.
bool add_meetings(Walk& walk, Index m, std::size_t most, Meetings& out) {
  bool several = false;
  walk.around(m, [&](Index j, Index, Index) {
    if (j == m) return;
    std::uint8_t& count = walk.count(j);
    if (count < 2) several |= ++count == 2;
  });
  std::vector<std::array<Index, 3>> met;
  if (several)
    walk.around(m, [&](Index j, Index e, Index f) {
      if (j != m && walk.count(j) == 2) met.push_back({j, e, f});
    });
  walk.around(m, [&](Index j, Index, Index) { walk.count(j) = 0; });
  walk.leave(m);
  std::sort(met.begin(), met.end());
  for (std::size_t i = 0; i < met.size(); ++i) {
    if (i == 0 || met[i][0] != met[i - 1][0]) {
      out.start.push_back(static_cast<Index>(out.entry.size()));
      out.pair.push_back({static_cast<std::int32_t>(m), static_cast<std::int32_t>(met[i][0])});
    }
    out.entry.push_back({met[i][1], met[i][2]});
  }
  return out.entry.size() <= most;
}

}  // namespace

Meetings find_meetings(const CrossedGraph& graph) {
  Meetings out;
  const double entries = static_cast<double>(graph.nonzeros());
  if (graph.entangled() > kLongWalk * entries) return out;
  Walk walk(graph);
  const auto most = static_cast<std::size_t>(kFew * entries);
  for (Index m = 0; m < graph.n_root(); ++m)
    if (!add_meetings(walk, m, most, out)) return {};
  out.start.push_back(static_cast<Index>(out.entry.size()));
  out.are_known = true;
  return out;
}

namespace {

// Every pair of columns is met, in entangled() operations.
SecondMoment by_wedges(const CrossedGraph& graph) {
  const SparseRows &rows = graph.rows(), &columns = graph.columns();
  const Index C = graph.n_root();
  SecondMoment out;
  out.by_sigma.setZero(static_cast<Index>(graph.n_terms()));
  out.diagonal.setZero(C);
  std::vector<Index> next(rows.start.begin(), rows.start.end() - 1);
  std::vector<double> product(2 * C, 0.0);
  std::vector<std::int32_t> met;
  std::vector<char> seen(C, 0);
  double by_leading = 0.0;
  for (Index m = 0; m < C; ++m) {
    met.clear();
    // Columns from m on: those before were met when theirs was the turn.
    for (Index e = columns.start[m]; e < columns.start[m + 1]; ++e) {
      const Index l = columns.column[e];
      const double d = graph.d1()(l), v = graph.a2()(l) * columns.at(e);
      const double slope = columns.at(e) / (d * d);
      for (Index f = next[l]++; f < rows.start[l + 1]; ++f) {
        const std::int32_t j = rows.column[f];
        if (!seen[j]) {
          seen[j] = 1;
          met.push_back(j);
        }
        product[2 * j] += v * rows.at(f);
        product[2 * j + 1] += slope * rows.at(f);
      }
    }
    for (const std::int32_t j : met) {
      const double scale = graph.b()(m) * graph.b()(j);
      const double value = scale * product[2 * j], slope = scale * product[2 * j + 1];
      const double square = value * value;
      by_leading += (j == m ? 2.0 : 4.0) * value * slope;
      out.diagonal(m) += square;
      if (j != m) out.diagonal(j) += square;
      product[2 * j] = product[2 * j + 1] = 0.0;
      seen[j] = 0;
    }
  }
  out.by_sigma(0) = by_leading;
  return out;
}

// T_mm' = sum_l a^2_l g_lm g_lm', g = A_12 B. The squares of its summands have sums over all pairs
// of columns in closed form, row by row; what is left are products of two summands, of the diagonal
// and of pairs that share several rows.
SecondMoment by_meetings(const CrossedGraph& graph, const Meetings& meetings) {
  const SparseRows &rows = graph.rows(), &columns = graph.columns();
  const Vector &a2 = graph.a2(), &b = graph.b();
  const Vector slope = graph.d1().array().square().inverse();  // of a2 by Sigma_1
  SecondMoment out;
  out.by_sigma.setZero(static_cast<Index>(graph.n_terms()));
  Vector own = Vector::Zero(graph.n_root()), own_slope = own;
  out.diagonal = own;
  double by_leading = 0.0;
  for (Index l = 0; l < rows.rows(); ++l) {
    double sum = 0.0, fourths = 0.0;
    for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
      const double g = rows.at(e) * b(rows.column[e]), square = g * g;
      sum += square;
      fourths += square * square;
    }
    by_leading += 2.0 * a2(l) * slope(l) * (sum * sum - fourths);
    for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
      const Index m = rows.column[e];
      const double g = rows.at(e) * b(m), square = g * g;
      out.diagonal(m) += a2(l) * a2(l) * square * (sum - square);
      own(m) += a2(l) * square;
      own_slope(m) += slope(l) * square;
    }
  }
  out.diagonal += own.cwiseAbs2();
  by_leading += 2.0 * own.dot(own_slope);
  for (std::size_t i = 0; i < meetings.pair.size(); ++i) {
    const auto [m, j] = meetings.pair[i];
    double value = 0.0, by_slope = 0.0, squares = 0.0, mixed = 0.0;
    for (Index at = meetings.start[i]; at < meetings.start[i + 1]; ++at) {
      const auto [e, f] = meetings.entry[static_cast<std::size_t>(at)];
      const Index l = columns.column[e];
      const double g = columns.at(e) * rows.at(f) * b(m) * b(j);
      const double v = a2(l) * g, s = slope(l) * g;
      value += v;
      by_slope += s;
      squares += v * v;
      mixed += v * s;
    }
    out.diagonal(m) += value * value - squares;
    out.diagonal(j) += value * value - squares;
    by_leading += 4.0 * (value * by_slope - mixed);
  }
  out.by_sigma(0) = by_leading;
  return out;
}

}  // namespace

SecondMoment second_moment(const CrossedGraph& graph, const Meetings& meetings) {
  SecondMoment out = meetings.are_known ? by_meetings(graph, meetings) : by_wedges(graph);
  out.trace = out.diagonal.sum();
  for (std::size_t t = 1; t < graph.n_terms(); ++t) {
    const Index first = graph.offset()[t - 1], count = graph.offset()[t] - first;
    out.by_sigma(static_cast<Index>(t)) =
        4.0 * graph.slope_b().segment(first, count).dot(out.diagonal.segment(first, count));
  }
  return out;
}

}  // namespace ranef
