#include "ranef/general_terms.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace ranef {
namespace {

// Blocks of (l, m), in any order and repeated, each once and added up.
void compress(LevelBlocks& blocks) {
  const std::size_t count = blocks.l.size();
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::size_t a, std::size_t b) {
    return blocks.m[a] != blocks.m[b] ? blocks.m[a] < blocks.m[b] : blocks.l[a] < blocks.l[b];
  };
  if (!std::is_sorted(order.begin(), order.end(), before))
    std::sort(order.begin(), order.end(), before);
  LevelBlocks out{blocks.s, blocks.t, {}, {}, Matrix(blocks.value.rows(), blocks.value.cols())};
  Index last = -1;
  for (std::size_t e : order) {
    const bool again = last >= 0 && out.l.back() == blocks.l[e] && out.m.back() == blocks.m[e];
    const auto value = blocks.value.col(static_cast<Index>(e));
    if (again) {
      out.value.col(last) += value;
      continue;
    }
    out.l.push_back(blocks.l[e]);
    out.m.push_back(blocks.m[e]);
    out.value.col(++last) = value;
  }
  out.value.conservativeResize(Eigen::NoChange, last + 1);
  blocks = std::move(out);
}

// Collects blocks; those of one term only on and below the diagonal.
class Collector {
 public:
  Collector(std::size_t s, std::size_t t, Index ks, Index kt)
      : out_{s, t, {}, {}, {}}, ks_(ks), kt_(kt) {}

  void add(std::int32_t l, std::int32_t m, const Eigen::Ref<const Matrix>& block) {
    out_.l.push_back(l);
    out_.m.push_back(m);
    values_.insert(values_.end(), block.size(), 0.0);
    Eigen::Map<Matrix>(values_.data() + values_.size() - block.size(), ks_, kt_) = block;
  }

  LevelBlocks finish() {
    out_.value =
        Eigen::Map<const Matrix>(values_.data(), ks_ * kt_, static_cast<Index>(out_.l.size()));
    values_ = {};
    compress(out_);
    return std::move(out_);
  }

 private:
  LevelBlocks out_;
  Index ks_, kt_;
  std::vector<double> values_;
};

// Columns of a member times what takes them to the scale of the term's first member.
void rescale(CrossProducts& products, std::size_t a, const Vector& factor) {
  const Index k = factor.size();
  TermProducts& term = products.terms[a];
  for (Index l = 0; l < term.n_levels; ++l) {
    for (Index j = 0; j < k; ++j) {
      term.xy.row(l * k + j) *= factor(j);
      for (Index i = 0; i < k; ++i) term.own(j * k + i, l) *= factor(i) * factor(j);
    }
  }
  for (std::size_t s = 0; s < products.pairs.size(); ++s)
    for (std::size_t p = 0; p < products.pairs[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      Matrix& value = products.pairs[s][p].value;
      const Index ks = products.terms[s].k, kt = products.terms[t].k;
      for (Index j = 0; j < kt; ++j)
        for (Index i = 0; i < ks; ++i) {
          if (s == a) value.row(j * ks + i) *= factor(i);
          if (t == a) value.row(j * ks + i) *= factor(j);
        }
    }
}

Eigen::Map<const Matrix> block_of(const Matrix& blocks, Index e, Index rows, Index columns) {
  return {blocks.data() + e * rows * columns, rows, columns};
}

}  // namespace

bool factor_precision(const SparseLower& Q, Index n, Supernodal& factor) {
  if (static_cast<Index>(Q.start.size()) != n + 1 || Q.row.size() != Q.value.size())
    throw std::invalid_argument("precision: not one column for each level");
  std::vector<std::vector<std::int32_t>> pattern(n);
  for (Index m = 0; m < n; ++m)
    for (Index e = Q.start[m]; e < Q.start[m + 1]; ++e) {
      if (Q.row[e] < m || Q.row[e] >= n)
        throw std::invalid_argument("precision: not in the lower triangle");
      if (Q.row[e] > m) pattern[m].push_back(Q.row[e]);
    }
  factor = Supernodal(n, std::move(pattern));
  for (Index m = 0; m < n; ++m)
    for (Index e = Q.start[m]; e < Q.start[m + 1]; ++e)
      factor.values()(factor.position(Q.row[e], m)) += Q.value[e];
  return factor.factor();
}

GeneralProducts join_members(CrossProducts products, const GeneralTerms& terms,
                             StandardBasis& basis) {
  const std::size_t members = products.terms.size(), count = terms.precision.size();
  if (terms.term.size() != members || terms.blocks.size() != count || terms.size.size() != count)
    throw std::invalid_argument("terms: members and terms do not fit");
  std::vector<Matrix> Tz;
  for (std::size_t a = 0; a < members; ++a) {
    if (Tz.size() == terms.term[a]) {
      Tz.push_back(basis.Tz[a]);
      continue;
    }
    if (terms.term[a] + 1 != Tz.size() || products.terms[a].k != products.terms[a - 1].k ||
        products.terms[a].n_levels != products.terms[a - 1].n_levels)
      throw std::invalid_argument("terms: the members of a term differ in levels or columns");
    rescale(products, a, Tz.back().diagonal().cwiseQuotient(basis.Tz[a].diagonal()));
  }
  basis.Tz = std::move(Tz);

  GeneralProducts out;
  out.sums.n = products.n;
  out.sums.sum_log_w = products.sum_log_w;
  out.sums.gram = products.gram;
  std::vector<std::vector<Collector>> collectors(count);
  out.sums.terms.resize(count);
  for (std::size_t a = 0; a < members; ++a) {
    TermProducts& sum = out.sums.terms[terms.term[a]];
    const TermProducts& member = products.terms[a];
    if (sum.k == 0) {
      sum = member;
    } else {
      sum.own += member.own;
      sum.xy += member.xy;
    }
  }
  for (std::size_t s = 0; s < count; ++s)
    for (std::size_t t = s; t < count; ++t)
      collectors[s].emplace_back(s, t, out.sums.terms[s].k, out.sums.terms[t].k);
  for (std::size_t a = 0; a < members; ++a) {
    const std::size_t s = terms.term[a];
    const Index k = products.terms[a].k;
    for (Index l = 0; l < products.terms[a].n_levels; ++l) {
      const auto own = block_of(products.terms[a].own, l, k, k);
      const auto level = static_cast<std::int32_t>(l);
      if ((own.array() != 0.0).any()) collectors[s][0].add(level, level, own);
    }
    for (std::size_t p = 0; p < products.pairs[a].size(); ++p) {
      const std::size_t b = a + 1 + p, t = terms.term[b];
      const PairProducts& pair = products.pairs[a][p];
      const Index kt = products.terms[b].k;
      Collector& to = collectors[s][t - s];
      for (Index l = 0; l + 1 < static_cast<Index>(pair.start.size()); ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const auto block = block_of(pair.value, e, k, kt);
          const auto level = static_cast<std::int32_t>(l);
          const std::int32_t m = pair.level[e];
          if ((block.array() == 0.0).all()) continue;
          if (s != t || level > m) {
            to.add(level, m, block);
          } else if (level < m) {
            to.add(m, level, Matrix(block.transpose()));
          } else {
            const Matrix both = block + block.transpose();
            to.add(level, level, both);
            out.sums.terms[s].own.col(l) += Eigen::Map<const Vector>(both.data(), both.size());
          }
        }
    }
  }
  for (std::vector<Collector>& row : collectors)
    for (Collector& collector : row) out.blocks.push_back(collector.finish());
  return out;
}

}  // namespace ranef
