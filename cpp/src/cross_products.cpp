#include "ranef/cross_products.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "ranef/interrupt.hpp"
#include "ranef/memory.hpp"
#include "ranef/threads.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

constexpr Index kChunk = 256;
constexpr Index kRowsOfTask = 1 << 18;
constexpr Index kRowsOfOne = 1 << 15;  // as fast on one thread
constexpr Index kRangesPerThread = 8, kMostRanges = 1024;
constexpr Index kLevelsToPause = 256;

struct Moments {
  double mean = 0.0;
  double sd = 1.0;
};

Moments moments(const double* x, Index n) {
  double sum = 0.0, squares = 0.0;
  const double origin = x[0];
  for (Index start = 0; start < n; start += kChunk) {
    const Index stop = std::min(n, start + kChunk);
    double s = 0.0, s2 = 0.0;
    for (Index i = start; i < stop; ++i) {
      const double d = x[i] - origin;
      s += d;
      s2 += d * d;
    }
    sum += s;
    squares += s2;
  }
  const double count = static_cast<double>(n);
  const double variance = squares / count - (sum / count) * (sum / count);
  return {origin + sum / count, variance > 0.0 ? std::sqrt(variance) : 0.0};
}

// Centre by the mean when the constant is in the span, and divide by what is left.
Affine affine(const Moments& m, bool centred) {
  const double size = centred ? m.sd : std::hypot(m.mean, m.sd);
  return {centred ? m.mean : 0.0, size > 0.0 && std::isfinite(1.0 / size) ? 1.0 / size : 1.0};
}

// A block absorbs a shift when it holds the constant beside other columns.
bool block_has_constant(const TermInput& term, int block) {
  for (std::size_t j = 0; j < term.columns.size(); ++j)
    if (term.blocks[j] == block && term.columns[j] == kIntercept) return true;
  return false;
}

// Rows of one chunk: square-root weights and the columns, transformed, row by row.
class Chunk {
 public:
  Chunk(const Input& input, const Shifts& shifts)
      : input_(input),
        shifts_(shifts),
        xy(kChunk, static_cast<Index>(input.fixed.size()) + 1),
        root_weight(kChunk) {
    Index widest = 1;
    for (const TermInput& t : input.terms)
      widest = std::max(widest, static_cast<Index>(t.columns.size()));
    z.resize(kChunk, widest);
  }

  void load(Index start, Index rows) {
    start_ = start;
    rows_ = rows;
    for (Index i = 0; i < rows; ++i)
      root_weight(i) = input_.weights ? std::sqrt(input_.weights[start + i]) : 1.0;
    const Index p = static_cast<Index>(input_.fixed.size());
    for (Index j = 0; j < p; ++j) copy(input_.fixed[j], shifts_.xy[j], xy, j);
    copy_values(input_.y, shifts_.xy[p], xy, p);
  }

  void load_term(std::size_t t) {
    const TermInput& term = input_.terms[t];
    for (std::size_t j = 0; j < term.columns.size(); ++j)
      copy(term.columns[j], shifts_.terms[t][j], z, static_cast<Index>(j));
  }

 private:
  const Input& input_;
  const Shifts& shifts_;
  Index start_ = 0, rows_ = 0;

  void copy(int reference, const Affine& a, RowMatrix& out, Index j) {
    if (reference == kIntercept) {
      for (Index i = 0; i < rows_; ++i) out(i, j) = root_weight(i);
    } else {
      copy_values(input_.columns[reference], a, out, j);
    }
  }

  void copy_values(const double* x, const Affine& a, RowMatrix& out, Index j) {
    for (Index i = 0; i < rows_; ++i)
      out(i, j) = (x[start_ + i] - a.shift) * a.scale * root_weight(i);
  }

 public:
  RowMatrix xy;  // (rows, c)
  RowMatrix z;   // (rows, k)
  Vector root_weight;
};

// gram <- gram + xy'xy over the rows of a chunk.
void add_gram(const RowMatrix& xy, Index rows, Matrix& gram) {
  with_size(xy.cols(), [&](auto size) {
    constexpr int C = decltype(size)::value;
    if constexpr (C == Eigen::Dynamic) {
      gram.noalias() += xy.topRows(rows).transpose() * xy.topRows(rows);
    } else {
      double sums[C][C] = {};
      const double* row = xy.data();
      for (Index i = 0; i < rows; ++i, row += C)
        for (int r = 0; r < C; ++r)
          for (int s = 0; s <= r; ++s) sums[r][s] += row[r] * row[s];
      for (int r = 0; r < C; ++r)
        for (int s = 0; s < C; ++s) gram(r, s) += sums[std::max(r, s)][std::min(r, s)];
    }
  });
}

// own += z z', xy += z [X y] of one row.
template <int K, int C>
void add_row(const double* z, const double* row, Index k, Index c, double* own, double* xy) {
  if constexpr (K != Eigen::Dynamic) k = K;
  if constexpr (C != Eigen::Dynamic) c = C;
  for (Index s = 0; s < k; ++s)
    for (Index r = 0; r < k; ++r) own[s * k + r] += z[r] * z[s];
  for (Index r = 0; r < k; ++r)
    for (Index j = 0; j < c; ++j) xy[r * c + j] += z[r] * row[j];
}

template <int K, int C>
void add_rows(const std::int32_t* codes, Index rows, const Chunk& chunk, Index k, Index c,
              TermProducts& out) {
  const auto z = [&](Index i) { return chunk.z.data() + i * chunk.z.cols(); };
  const auto row = [&](Index i) { return chunk.xy.data() + i * c; };
  if constexpr (K == Eigen::Dynamic || C == Eigen::Dynamic) {
    for (Index i = 0; i < rows; ++i)
      add_row<K, C>(z(i), row(i), k, c, out.own.data() + codes[i] * k * k,
                    out.xy.data() + codes[i] * k * c);
  } else {
    // Rows of a level that follow each other are added up in registers.
    for (Index i = 0; i < rows;) {
      const std::int32_t code = codes[i];
      double own[K * K] = {}, xy[K * C] = {};
      do {
        add_row<K, C>(z(i), row(i), k, c, own, xy);
      } while (++i < rows && codes[i] == code);
      for (int e = 0; e < K * K; ++e) out.own(e, code) += own[e];
      for (int e = 0; e < K * C; ++e) out.xy.data()[code * (K * C) + e] += xy[e];
    }
  }
}

}  // namespace

// Each part of the rows counts its own and knows where they begin, so that the order is that of the
// rows whatever the parts.
LevelOrder order_by_level(const TermInput& term, Index n) {
  const Index levels = term.n_levels;
  const Index most = std::max<Index>(1, n / std::max<Index>(1, 4 * levels));
  const Index parts = n < kRowsOfOne ? 1 : std::min<Index>(team_at_hand().size(), most);
  std::vector<std::vector<Index>> next(static_cast<std::size_t>(parts));
  const auto rows_of = [&](Index part) { return part * n / parts; };
  each_task(parts, [&](Index part) {
    std::vector<Index>& count = next[static_cast<std::size_t>(part)];
    count.assign(static_cast<std::size_t>(levels), 0);
    for (Index i = rows_of(part); i < rows_of(part + 1); ++i) ++count[term.codes[i]];
  });
  LevelOrder order;
  order.start.assign(levels + 1, 0);
  Index at = 0;
  for (Index l = 0; l < levels; ++l) {
    for (std::vector<Index>& count : next) at += std::exchange(count[l], at);
    order.start[l + 1] = at;
  }
  order.row.resize(n);
  each_task(parts, [&](Index part) {
    std::vector<Index>& to = next[static_cast<std::size_t>(part)];
    for (Index i = rows_of(part); i < rows_of(part + 1); ++i)
      order.row[to[term.codes[i]]++] = static_cast<std::int32_t>(i);
  });
  return order;
}

bool is_indicator(const TermInput& term) {
  return term.columns.size() == 1 && term.columns[0] == kIntercept;
}

namespace {

// The value of a term's column j in a row, unweighted.
double term_value(const Input& input, const Shifts& shifts, std::size_t t, std::size_t j,
                  Index row) {
  const int reference = input.terms[t].columns[j];
  if (reference == kIntercept) return 1.0;
  const Affine& a = shifts.terms[t][j];
  return (input.columns[reference][row] - a.shift) * a.scale;
}

// work(range, begin, end) for consecutive ranges of levels, no more of them than levels. What
// becomes of a level does not depend on its range.
template <class Work>
void each_range(Index n_levels, Index rows, Work&& work) {
  const Index threads = rows < kRowsOfOne ? 1 : team_at_hand().size();
  const Index count =
      std::min(n_levels, threads == 1 ? 1 : std::min(kMostRanges, threads * kRangesPerThread));
  each_task(count, [&](Index range) {
    work(range, range * n_levels / count, (range + 1) * n_levels / count);
  });
}

// The distinct levels of t that meet each level of s, ascending.
void pair_pattern(const TermInput& s, const TermInput& t, const LevelOrder& order,
                  PairProducts& out) {
  out.start.assign(s.n_levels + 1, 0);
  std::vector<std::vector<std::int32_t>> met(kMostRanges);  // by range
  each_range(s.n_levels, order.start.back(), [&](Index range, Index begin, Index end) {
    std::vector<std::int32_t> stamp(t.n_levels, -1);
    std::vector<std::int32_t>& level = met[static_cast<std::size_t>(range)];
    for (Index l = begin; l < end; ++l) {
      if (l % kLevelsToPause == 0) pause();
      const auto first = static_cast<std::ptrdiff_t>(level.size());
      for (Index i = order.start[l]; i < order.start[l + 1]; ++i) {
        const std::int32_t m = t.codes[order.row[i]];
        if (stamp[m] != l) {
          stamp[m] = static_cast<std::int32_t>(l);
          level.push_back(m);
        }
      }
      std::sort(level.begin() + first, level.end());
      out.start[l + 1] = static_cast<Index>(level.size()) - first;
    }
  });
  std::partial_sum(out.start.begin(), out.start.end(), out.start.begin());
  out.level.reserve(out.start.back());
  for (const std::vector<std::int32_t>& level : met)
    out.level.insert(out.level.end(), level.begin(), level.end());
}

}  // namespace

PairProducts pair_products(const Input& input, const Shifts& shifts, std::size_t s, std::size_t t,
                           const LevelOrder& order) {
  const TermInput& first = input.terms[s];
  const TermInput& second = input.terms[t];
  const Index ks = static_cast<Index>(first.columns.size());
  const Index kt = static_cast<Index>(second.columns.size());
  PairProducts out;
  pair_pattern(first, second, order, out);
  out.value.setZero(ks * kt, static_cast<Index>(out.level.size()));
  const bool counts = is_indicator(first) && is_indicator(second);
  double* value = out.value.data();
  each_range(first.n_levels, order.start.back(), [&](Index, Index begin, Index end) {
    std::vector<Index> where(second.n_levels);
    std::vector<double> zs(ks), zt(kt);
    for (Index l = begin; l < end; ++l) {
      if (l % kLevelsToPause == 0) pause();
      for (Index e = out.start[l]; e < out.start[l + 1]; ++e) where[out.level[e]] = e;
      for (Index i = order.start[l]; i < order.start[l + 1]; ++i) {
        const Index row = order.row[i];
        const double w = input.weights ? input.weights[row] : 1.0;
        const Index e = where[second.codes[row]];
        if (counts) {
          value[e] += w;
          continue;
        }
        for (Index a = 0; a < ks; ++a) zs[a] = term_value(input, shifts, s, a, row);
        for (Index b = 0; b < kt; ++b) zt[b] = w * term_value(input, shifts, t, b, row);
        double* block = value + e * ks * kt;
        for (Index b = 0; b < kt; ++b)
          for (Index a = 0; a < ks; ++a) block[b * ks + a] += zs[a] * zt[b];
      }
    }
  });
  return out;
}

namespace {

void check(const Input& input) {
  if (input.n <= 0) throw std::invalid_argument("y: no rows");
  const auto one = [&](Index item) {
    const TermInput& t = input.terms[static_cast<std::size_t>(item)];
    for (Index i = 0; i < input.n; ++i)
      if (t.codes[i] < 0 || t.codes[i] >= t.n_levels)
        throw std::invalid_argument("codes: a level is out of range");
  };
  const Index terms = static_cast<Index>(input.terms.size());
  if (input.n >= kRowsOfOne) return each_task(terms, one);
  for (Index item = 0; item < terms; ++item) one(item);
}

// Each column and the response, the last.
template <class Work>
void each_column(const Input& input, Work&& work) {
  const std::size_t count = input.columns.size();
  const auto one = [&](Index j) {
    const std::size_t i = static_cast<std::size_t>(j);
    work(i, i < count ? input.columns[i] : input.y);
  };
  if (input.n >= kRowsOfOne) return each_task(static_cast<Index>(count) + 1, one);
  for (Index j = 0; j <= static_cast<Index>(count); ++j) one(j);
}

}  // namespace

Shifts choose_shifts(const Input& input) {
  std::vector<Moments> columns(input.columns.size() + 1);  // the response last
  each_column(input, [&](std::size_t j, const double* x) { columns[j] = moments(x, input.n); });
  const bool constant =
      std::find(input.fixed.begin(), input.fixed.end(), kIntercept) != input.fixed.end();
  Shifts shifts;
  for (int reference : input.fixed)
    shifts.xy.push_back(reference == kIntercept ? Affine{} : affine(columns[reference], constant));
  shifts.xy.push_back(affine(columns.back(), constant));
  for (const TermInput& term : input.terms) {
    std::vector<Affine> of_term;
    for (std::size_t j = 0; j < term.columns.size(); ++j) {
      const int reference = term.columns[j];
      of_term.push_back(reference == kIntercept || term.structure(term.blocks[j])
                            ? Affine{}
                            : affine(columns[reference], block_has_constant(term, term.blocks[j])));
    }
    shifts.terms.push_back(std::move(of_term));
  }
  return shifts;
}

namespace {

// visit(chunk, start, rows) for the chunks of consecutive rows.
template <class Visit>
void each_chunk(const Input& input, const Shifts& shifts, Index begin, Index end, Visit&& visit) {
  Chunk chunk(input, shifts);
  for (Index start = begin; start < end; start += kChunk) {
    pause();
    const Index rows = std::min(kChunk, end - start);
    chunk.load(start, rows);
    visit(chunk, start, rows);
  }
}

void add_term(const Input& input, std::size_t t, Chunk& chunk, Index start, Index rows,
              TermProducts& out) {
  chunk.load_term(t);
  with_sizes(out.k, chunk.xy.cols(), [&](auto size, auto columns) {
    add_rows<decltype(size)::value, decltype(columns)::value>(input.terms[t].codes + start, rows,
                                                              chunk, out.k, chunk.xy.cols(), out);
  });
}

// Each block of rows and each term is a task, which reads the rows anew; a thread alone reads them
// once. The sums are the same.
void add_by_tasks(const Input& input, const Shifts& shifts, std::vector<Matrix>& grams,
                  CrossProducts& out) {
  const Index terms = static_cast<Index>(input.terms.size());
  each_task(terms + static_cast<Index>(grams.size()), [&](Index task) {
    if (task < terms) {
      const std::size_t t = static_cast<std::size_t>(task);
      each_chunk(input, shifts, 0, input.n, [&](Chunk& chunk, Index start, Index rows) {
        add_term(input, t, chunk, start, rows, out.terms[t]);
      });
      return;
    }
    const Index begin = (task - terms) * kRowsOfTask;
    Matrix& gram = grams[static_cast<std::size_t>(task - terms)];
    each_chunk(input, shifts, begin, std::min(input.n, begin + kRowsOfTask),
               [&](Chunk& chunk, Index, Index rows) { add_gram(chunk.xy, rows, gram); });
  });
}

}  // namespace

void add_products(const Input& input, const Shifts& shifts, CrossProducts& out) {
  check(input);
  out.n += input.n;
  const Index blocks = (input.n + kRowsOfTask - 1) / kRowsOfTask;
  std::vector<Matrix> grams(static_cast<std::size_t>(blocks),
                            Matrix::Zero(out.gram.rows(), out.gram.cols()));
  if (team_at_hand().size() > 1 && input.n >= kRowsOfOne) {
    add_by_tasks(input, shifts, grams, out);
  } else {
    each_chunk(input, shifts, 0, input.n, [&](Chunk& chunk, Index start, Index rows) {
      add_gram(chunk.xy, rows, grams[static_cast<std::size_t>(start / kRowsOfTask)]);
      for (std::size_t t = 0; t < input.terms.size(); ++t)
        add_term(input, t, chunk, start, rows, out.terms[t]);
    });
  }
  for (const Matrix& gram : grams) out.gram += gram;
  if (input.weights)
    for (Index i = 0; i < input.n; ++i) out.sum_log_w += std::log(input.weights[i]);
}

CrossProducts accumulate(const Input& input, const Shifts& shifts) {
  const Index c = static_cast<Index>(input.fixed.size()) + 1;
  CrossProducts out;
  out.gram.setZero(c, c);
  for (const TermInput& term : input.terms) {
    TermProducts products;
    products.n_levels = term.n_levels;
    products.k = static_cast<Index>(term.columns.size());
    resize_large(products.own, products.k * products.k, term.n_levels);
    resize_large(products.xy, products.k * term.n_levels, c);
    products.own.setZero();
    products.xy.setZero();
    out.terms.push_back(std::move(products));
  }
  add_products(input, shifts, out);
  out.pairs.resize(input.terms.size());
  for (std::size_t s = 0; s + 1 < input.terms.size(); ++s) {
    const LevelOrder order = order_by_level(input.terms[s], input.n);
    for (std::size_t t = s + 1; t < input.terms.size(); ++t)
      out.pairs[s].push_back(pair_products(input, shifts, s, t, order));
  }
  return out;
}

}  // namespace ranef
