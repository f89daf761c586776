// tr(T^2) of a crossed graph, exactly.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "ranef/crossed_logdet.hpp"
#include "ranef/row_chunks.hpp"

namespace ranef {
namespace {

// A graph has few columns that meet more than once if the entries by which they do are no more than
// this share of all entries; it is not asked where its wedges are more than this many an entry.
constexpr double kFew = 2.0, kLongWalk = 100.0;

// Pairs of columns that share several rows, of a part of the columns with those after each.
class Walk {
 public:
  Walk(const CrossedGraph& graph, const std::vector<Index>& place)
      : rows_(graph.rows()),
        columns_(graph.columns()),
        place_(place),
        count_(static_cast<std::size_t>(graph.n_root()), 0) {}

  // The entries of column m with those after it; false where there are more than `most` in all.
  bool add(Index m, std::size_t most, Meetings& out) {
    bool several = false;
    around(m, [&](Index j, Index, Index) {
      if (j == m) return;
      std::uint8_t& count = count_[static_cast<std::size_t>(j)];
      if (count < 2) several |= ++count == 2;
    });
    met_.clear();
    if (several)
      around(m, [&](Index j, Index e, Index f) {
        if (j != m && count_[static_cast<std::size_t>(j)] == 2) met_.push_back({j, e, f});
      });
    around(m, [&](Index j, Index, Index) { count_[static_cast<std::size_t>(j)] = 0; });
    std::sort(met_.begin(), met_.end());
    for (std::size_t i = 0; i < met_.size(); ++i) {
      if (i == 0 || met_[i][0] != met_[i - 1][0]) {
        out.start.push_back(static_cast<Index>(out.entry.size()));
        out.pair.push_back({static_cast<std::int32_t>(m), static_cast<std::int32_t>(met_[i][0])});
      }
      out.entry.push_back({met_[i][1], met_[i][2]});
    }
    return out.entry.size() <= most;
  }

 private:
  const SparseRows &rows_, &columns_;
  const std::vector<Index>& place_;  // of the columns' entries among those of the rows
  std::vector<std::uint8_t> count_;
  std::vector<std::array<Index, 3>> met_;

  // Call visit(j, e, f) for the columns j from m on that a row of m meets, e and f being entries by
  // column and by row.
  template <class Visit>
  void around(Index m, Visit&& visit) const {
    for (Index e = columns_.start[m]; e < columns_.start[m + 1]; ++e) {
      const Index end = rows_.start[columns_.column[e] + 1];
      for (Index f = place_[static_cast<std::size_t>(e)]; f < end; ++f)
        visit(rows_.column[f], e, f);
    }
  }
};

void append(Meetings part, Meetings& out) {
  const Index before = static_cast<Index>(out.entry.size());
  for (const Index start : part.start) out.start.push_back(before + start);
  out.pair.insert(out.pair.end(), part.pair.begin(), part.pair.end());
  out.entry.insert(out.entry.end(), part.entry.begin(), part.entry.end());
}

}  // namespace

Meetings find_meetings(const CrossedGraph& graph) {
  const double entries = static_cast<double>(graph.nonzeros());
  if (graph.entangled() > kLongWalk * entries) return {};
  const auto most = static_cast<std::size_t>(kFew * entries);
  const SparseRows& columns = graph.columns();
  std::vector<Index> place(columns.column.size()), next(graph.rows().start);
  for (Index e = 0; e < columns.nonzeros(); ++e) place[e] = next[columns.column[e]]++;
  const WithTeam team(&graph.team());
  // What is found of a column does not depend on its part.
  const Index threads = graph.team().size(), C = graph.n_root();
  const Index count = threads == 1 ? 1 : std::min(C, 8 * threads);
  std::vector<Meetings> parts(static_cast<std::size_t>(count));
  std::atomic<bool> are_few{true};
  each_task(count, [&](Index part) {
    Walk walk(graph, place);
    for (Index m = part * C / count; m < (part + 1) * C / count; ++m) {
      if (m % 256 == 0) pause();
      if (!are_few) return;
      if (!walk.add(m, most, parts[static_cast<std::size_t>(part)])) are_few = false;
    }
  });
  Meetings out;
  for (Meetings& part : parts) append(std::move(part), out);
  if (!are_few || out.entry.size() > most) return {};
  out.start.push_back(static_cast<Index>(out.entry.size()));
  out.place = std::move(place);
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
  const double entries = static_cast<double>(graph.nonzeros());
  SecondMoment out;
  out.by_sigma.setZero(static_cast<Index>(graph.n_terms()));
  Vector squares(graph.n_leading());
  const auto by_row = [&](Index begin, Index end, double* total) {
    for (Index l = begin; l < end; ++l) {
      double sum = 0.0, fourths = 0.0;
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
        const double g = rows.at(e) * b(rows.column[e]), square = g * g;
        sum += square;
        fourths += square * square;
      }
      squares(l) = sum;
      *total += 2.0 * a2(l) * slope(l) * (sum * sum - fourths);
    }
  };
  double by_leading = chunk_sums(graph.team(), rows.rows(), 1, entries, by_row)(0);
  out.diagonal.resize(graph.n_root());
  const auto by_column = [&](Index begin, Index end, double* total) {
    for (Index m = begin; m < end; ++m) {
      double sum = 0.0, own = 0.0, own_slope = 0.0;
      for (Index e = columns.start[m]; e < columns.start[m + 1]; ++e) {
        const Index l = columns.column[e];
        const double g = columns.at(e) * b(m), square = g * g;
        sum += a2(l) * a2(l) * square * (squares(l) - square);
        own += a2(l) * square;
        own_slope += slope(l) * square;
      }
      out.diagonal(m) = sum + own * own;
      *total += 2.0 * own * own_slope;
    }
  };
  by_leading += chunk_sums(graph.team(), columns.rows(), 1, entries, by_column)(0);
  Vector gain(static_cast<Index>(meetings.pair.size()));
  const auto by_pair = [&](Index begin, Index end, double* total) {
    for (Index i = begin; i < end; ++i) {
      const auto [m, j] = meetings.pair[i];
      double value = 0.0, by_slope = 0.0, alone = 0.0, mixed = 0.0;
      for (Index at = meetings.start[i]; at < meetings.start[i + 1]; ++at) {
        const auto [e, f] = meetings.entry[static_cast<std::size_t>(at)];
        const Index l = columns.column[e];
        const double g = columns.at(e) * rows.at(f) * b(m) * b(j);
        const double v = a2(l) * g, s = slope(l) * g;
        value += v;
        by_slope += s;
        alone += v * v;
        mixed += v * s;
      }
      gain(i) = value * value - alone;
      *total += 4.0 * (value * by_slope - mixed);
    }
  };
  by_leading += chunk_sums(graph.team(), gain.size(), 1, entries, by_pair)(0);
  for (Index i = 0; i < gain.size(); ++i) {
    out.diagonal(meetings.pair[i][0]) += gain(i);
    out.diagonal(meetings.pair[i][1]) += gain(i);
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

// With h = a g, g = A_12 B: tr(T^2) = sum_m own_m^2 + sum_l (s_l^2 - sum_m h^4) + sum over pairs of
// 2 (v^2 - sum v_i^2), own and s the sums of h^2 of a column and a row, v_i = h_e h_f and v their
// sum over the rows that a pair shares.
void add_second_moment_slopes(const CrossedGraph& graph, const Meetings& meetings, double scale,
                              LogdetSlopes& slopes) {
  const SparseRows &rows = graph.rows(), &columns = graph.columns();
  const Vector &a2 = graph.a2(), &b = graph.b();
  const double entries = static_cast<double>(graph.nonzeros());
  const auto square = [&](double value, Index l, Index m) {
    return a2(l) * value * value * b(m) * b(m);
  };
  Vector own(graph.n_root()), by_entry(graph.nonzeros());  // by the entry, over a^2
  in_parts(graph.team(), own.size(), entries, [&](Index begin, Index end) {
    for (Index m = begin; m < end; ++m) {
      own(m) = 0.0;
      for (Index e = columns.start[m]; e < columns.start[m + 1]; ++e)
        own(m) += square(columns.at(e), columns.column[e], m);
    }
  });
  in_parts(graph.team(), rows.rows(), entries, [&](Index begin, Index end) {
    for (Index l = begin; l < end; ++l) {
      double sum = 0.0;
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e)
        sum += square(rows.at(e), l, rows.column[e]);
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
        const Index m = rows.column[e];
        by_entry(e) = 4.0 * rows.at(e) * b(m) * b(m) * (own(m) + sum - square(rows.at(e), l, m));
      }
    }
  });
  for (std::size_t i = 0; i < meetings.pair.size(); ++i) {
    const double of_pair = b(meetings.pair[i][0]) * b(meetings.pair[i][1]);
    const auto summand = [&](Index e, Index f) {
      return a2(columns.column[e]) * columns.at(e) * rows.at(f) * of_pair;
    };
    double value = 0.0;
    for (Index at = meetings.start[i]; at < meetings.start[i + 1]; ++at)
      value += summand(meetings.entry[at][0], meetings.entry[at][1]);
    for (Index at = meetings.start[i]; at < meetings.start[i + 1]; ++at) {
      const auto [e, f] = meetings.entry[at];
      const double slope = 4.0 * of_pair * (value - summand(e, f));
      by_entry(meetings.place[e]) += slope * rows.at(f);
      by_entry(f) += slope * columns.at(e);
    }
  }
  in_parts(graph.team(), rows.rows(), entries, [&](Index begin, Index end) {
    for (Index l = begin; l < end; ++l)
      for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
        slopes.pairs(e) += scale * a2(l) * by_entry(e);
        slopes.a2(l) += 0.5 * scale * by_entry(e) * rows.at(e);
      }
  });
  in_parts(graph.team(), own.size(), entries, [&](Index begin, Index end) {
    for (Index m = begin; m < end; ++m)
      for (Index e = columns.start[m]; e < columns.start[m + 1]; ++e)
        slopes.log_b(m) +=
            scale * a2(columns.column[e]) * by_entry(meetings.place[e]) * columns.at(e);
  });
}

}  // namespace ranef
