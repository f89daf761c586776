// The making of a structured model: units sorted into patterns, and their rows condensed.
#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "ranef/structured.hpp"

namespace ranef {
namespace {

// Units of a pattern are condensed where there are more than this many for each row that is left.
constexpr Index kWorth = 2;

template <class T>
void append(std::string& key, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  key.append(bytes, sizeof(T));
}

// Codes counted from 0 within the rows first to last, in order of appearance.
std::vector<std::int32_t> relative(const Int32Array& codes, Index first, Index last) {
  std::vector<std::int32_t> seen, out;
  for (Index i = first; i < last; ++i) {
    std::size_t at = 0;
    while (at < seen.size() && seen[at] != codes(i)) ++at;
    if (at == seen.size()) seen.push_back(codes(i));
    out.push_back(static_cast<std::int32_t>(at));
  }
  return out;
}

// Everything that the covariance of a unit depends on, as bytes.
std::string key_of(const StructuredInput& input, Index first, Index last) {
  std::string key;
  append(key, last - first);
  for (const std::int32_t code : relative(input.cluster, first, last)) append(key, code);
  for (const StructuredTerm& term : input.terms)
    for (const std::int32_t code : relative(term.codes, first, last)) append(key, code);
  for (Index i = first; i < last; ++i) {
    append(key, input.place(i));
    append(key, input.log_scale(i));
    for (Index j = 0; j < input.D.cols(); ++j) append(key, input.D(i, j));
    for (const StructuredTerm& term : input.terms)
      for (Index j = 0; j < term.z.cols(); ++j) append(key, term.z(i, j));
  }
  return key;
}

void check(const StructuredInput& input) {
  const Index n = input.y.size();
  const auto wrong = [](const std::string& name) {
    throw std::invalid_argument(name + " does not have a row for each of y");
  };
  if (input.X.rows() != n) wrong("X");
  if (input.cluster.size() != n) wrong("cluster");
  if (input.place.size() != n) wrong("place");
  if (input.log_scale.size() != n) wrong("log_scale");
  if (input.D.rows() != n) wrong("D");
  for (const StructuredTerm& term : input.terms)
    if (term.codes.size() != n || term.z.rows() != n ||
        term.z.cols() != static_cast<Index>(term.blocks.size()))
      wrong("a term");
  if (input.start.size() < 2 || input.start(0) != 0 || input.start(input.start.size() - 1) != n)
    throw std::invalid_argument("start does not run from 0 to the number of rows");
  for (Index u = 1; u < input.start.size(); ++u)
    if (input.start(u) <= input.start(u - 1))
      throw std::invalid_argument("start: a unit has no rows");
  const bool indexed = input.correlation == Correlation::kToeplitz ||
                       input.correlation == Correlation::kUnstructured;
  if (indexed && (input.place.minCoeff() < 0.0 || input.place.maxCoeff() >= double(input.n_places)))
    throw std::invalid_argument("place is outside 0 to n_places - 1");
}

}  // namespace

Structured::Structured(const StructuredInput& input)
    : n_(input.y.size()),
      p_(input.X.cols()),
      d_(input.D.cols()),
      correlation_(input.correlation, input.n_places, input.largest) {
  check(input);
  for (std::size_t t = 0; t < input.terms.size(); ++t) {
    const std::vector<int>& blocks = input.terms[t].blocks;
    const Index k = static_cast<Index>(blocks.size());
    blocks_.push_back(blocks);
    for (int j = 0; j < static_cast<int>(k); ++j)
      for (int i = j; i < static_cast<int>(k); ++i)
        if (blocks[static_cast<std::size_t>(i)] == blocks[static_cast<std::size_t>(j)])
          elements_.push_back({static_cast<int>(t), i, j});
    lambda_.push_back(Matrix::Zero(k, k));
    S_.push_back(Matrix::Zero(k, k));
  }
  n_parameters_ = static_cast<Index>(elements_.size()) + d_ + correlation_.n_parameters();
  find_patterns(input);
  for (const StructuredTerm& term : input.terms) F_.push_back(Matrix(n_max_, term.z.cols()));
  scale_ = Vector::Zero(n_max_);
  delta_ = delta_slopes_ = Vector::Zero(d_);
  products_ = T_ = Matrix::Zero(p_ + 1, p_ + 1);
  inverse_ = G_ = Matrix::Zero(n_max_, n_max_);
  panel_ = Matrix::Zero(n_max_, 64);
  Index longest = 0;
  for (const Pattern& pattern : patterns_) longest = std::max(longest, pattern.B.size());
  E_ = Vector::Zero(longest);
  point_.beta = Vector::Zero(p_);
  point_.root = Matrix::Zero(p_, p_);
}

void Structured::find_patterns(const StructuredInput& input) {
  std::unordered_map<std::string, std::int32_t> known;
  std::vector<std::vector<std::int32_t>> units;
  for (Index u = 0; u + 1 < input.start.size(); ++u) {
    const Index first = input.start(u), last = input.start(u + 1);
    const auto [found, is_new] =
        known.emplace(key_of(input, first, last), static_cast<std::int32_t>(patterns_.size()));
    if (is_new) {
      patterns_.emplace_back();
      units.emplace_back();
      fill(patterns_.back(), input, first, last);
      n_max_ = std::max(n_max_, last - first);
    }
    units[static_cast<std::size_t>(found->second)].push_back(static_cast<std::int32_t>(u));
    pattern_of_unit_.push_back(found->second);
  }
  for (std::size_t i = 0; i < patterns_.size(); ++i) gather(patterns_[i], input, units[i]);
}

void Structured::fill(Pattern& pattern, const StructuredInput& input, Index first, Index last) {
  pattern.n = last - first;
  pattern.D = input.D.middleRows(first, pattern.n);
  pattern.log_scale = input.log_scale.segment(first, pattern.n);
  pattern.place = input.place.segment(first, pattern.n);
  pattern.cluster = relative(input.cluster, first, last);
  for (const StructuredTerm& term : input.terms)
    pattern.terms.push_back(
        {term.z.middleRows(first, pattern.n), relative(term.codes, first, last)});
  pattern.factor = Matrix::Zero(pattern.n, pattern.n);
}

// [X y] of the units side by side. Sums over units of quadratic forms in [X_i y_i] depend on M'M
// alone, M having a row for each unit; the triangle of M = QR does as well.
void Structured::gather(Pattern& pattern, const StructuredInput& input,
                        const std::vector<std::int32_t>& units) {
  const Index n = pattern.n, width = p_ + 1, q = n * width;
  pattern.units = static_cast<Index>(units.size());
  Matrix M(pattern.units, q);
  for (Index u = 0; u < pattern.units; ++u) {
    const Index first = input.start(units[static_cast<std::size_t>(u)]);
    for (Index j = 0; j < p_; ++j)
      M.row(u).segment(j * n, n) = input.X.col(j).segment(first, n).transpose();
    M.row(u).segment(p_ * n, n) = input.y.segment(first, n).transpose();
  }
  if (pattern.units > kWorth * q) {
    const Eigen::HouseholderQR<Eigen::Ref<Matrix>> qr(M);
    M = Matrix(qr.matrixQR().topRows(q).triangularView<Eigen::Upper>());
  }
  pattern.copies = M.rows();
  pattern.B.resize(n, pattern.copies * width);
  for (Index j = 0; j < width; ++j)
    for (Index c = 0; c < pattern.copies; ++c)
      pattern.B.col(j * pattern.copies + c) = M.row(c).segment(j * n, n).transpose();
  pattern.W = pattern.B;
}

}  // namespace ranef
